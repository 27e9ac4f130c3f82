"""How one node is read, called and decoded, whatever its kind.

Rule of this file: the engine sees of a node a function from the values of a run to its *decoded* result:
a value, a tuple of them for several outputs, or the numbers of the targets that a gate selects.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, NamedTuple

from hypergraph.execution.calls import collected, unpack
from hypergraph.execution.program import Values, reader
from hypergraph.nodes import END, CallableNode, GateNode, HyperNode

MISSING: Final = object()
"""What lies in a slot that has no value."""

NO_OUTPUT, ONE_OUTPUT, SEVERAL_OUTPUTS, GATE, NESTED_GRAPH = range(5)
_FIXED = (bool, type, type(None), type(END))  # decisions of these types, and of names, are kept


class Port(NamedTuple):
    """One input of a node: its name, its slot, and the slot of its default or 0."""

    name: str
    slot: int
    fallback: int


class Record(NamedTuple):
    """What is looked at to run one node, in one place, as a lookup costs as much as a short call.

    ``function`` takes the inputs by position; ``read`` gives the inputs by name; ``decode`` turns what
    is returned into the result, ``None`` where they are the same; ``call`` does all three, but for a
    function that has to be awaited first: then it does not decode.
    """

    node: Any
    name: str
    kind: int
    function: Callable[..., Any]
    read: Callable[[Values], dict[str, Any]]
    decode: Callable[[Any], Any] | None
    call: Callable[[Values], Any]


def record(node: HyperNode, ports: tuple[Port, ...], index: Mapping[str, int]) -> Record:
    """Return the record of a node. ``index`` maps the names of all nodes to their numbers."""
    read = _by_name(ports)
    if not isinstance(node, CallableNode):
        kind = ONE_OUTPUT if node.is_interrupt else NESTED_GRAPH
        elsewhere = _carried_out_elsewhere
        return Record(node, node.name, kind, elsewhere, read, None, elsewhere)
    function, kind, decode = collected(node), min(len(node.outputs), SEVERAL_OUTPUTS), None
    if isinstance(node, GateNode):
        kind, decode = GATE, _decider(node, index)
    elif kind == SEVERAL_OUTPUTS:
        decode = partial(unpack, node)
    call = _call(function, ports, None if node.is_async else decode)
    return Record(node, node.name, kind, function, read, decode, call)


def _by_name(ports: tuple[Port, ...]) -> Callable[[Values], dict[str, Any]]:
    """Return a function that reads a node's inputs by name; those without any value are left out."""
    if len(ports) == 1 and not ports[0].fallback:
        name, slot, _ = ports[0]
        return lambda values: {} if (value := values[slot]) is MISSING else {name: value}

    def read(values: Values) -> dict[str, Any]:
        found = {}
        for name, slot, fallback in ports:
            value = values[slot]
            if value is MISSING:
                if not fallback:
                    continue
                value = values[fallback]
            found[name] = value
        return found

    return read


def _call(
    function: Callable[..., Any], ports: tuple[Port, ...], decode: Callable[[Any], Any] | None
) -> Callable[[Values], Any]:
    """Return a function that reads a node's inputs, calls it, and decodes what it returns."""
    if len(ports) == 1 and not ports[0].fallback:
        slot = ports[0].slot
        if decode is not None:
            return lambda values: decode(function(values[slot]))
        return lambda values: function(values[slot])
    read = _by_position(ports)
    if decode is not None:
        return lambda values: decode(function(*read(values)))
    return lambda values: function(*read(values))


def _by_position(ports: tuple[Port, ...]) -> Callable[[Values], tuple[Any, ...]]:
    if not any(port.fallback for port in ports):
        return reader(port.slot for port in ports)
    return lambda values: tuple(
        values[slot] if values[slot] is not MISSING else values[fallback]
        for _, slot, fallback in ports
    )


def _decider(gate: GateNode, index: Mapping[str, int]) -> Callable[[Any], tuple[int, ...]]:
    """Return a function from what a gate returned to the numbers of the targets it selects."""
    known: dict[Any, tuple[int, ...]] = {}

    def decide(value: Any) -> tuple[int, ...]:
        try:
            return known[value]
        except (KeyError, TypeError):  # first time, or not hashable
            pass  # what is raised below must not drag this error along, which holds the value
        chosen = tuple(index[target] for target in gate.decide(value) if isinstance(target, str))
        if type(value) in _FIXED or (type(value) is str and value in gate.targets):
            known[value] = chosen
        return chosen

    return decide


def _carried_out_elsewhere(*_: Any) -> Any:
    raise AssertionError("nested graphs and interrupts are carried out by the flows and lanes")
