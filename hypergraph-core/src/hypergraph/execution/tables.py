"""What a schedule that cannot be foreseen (gates, cycles) is driven by: who to tell of a new value.

Rule of this file: all rules of "when a node runs" that do not depend on values are decided here, as
integers. A write *triggers* a consumer, or only carries its value; a gate holds one bit of each target.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple

from hypergraph.execution.calls import collected, unpack
from hypergraph.execution.plan import Schedule
from hypergraph.execution.program import Values, reader
from hypergraph.graph.order import Cycle, reaches_ungated
from hypergraph.nodes import END, CallableNode, GateNode, HyperNode

MISSING: Final = object()
_FIXED = (bool, type, type(None), type(END))  # decisions of these types, and of names, are kept
# What a node's decoded result is: see `Execution.commit`.
NO_OUTPUT, ONE_OUTPUT, SEVERAL_OUTPUTS, GATE, NESTED_GRAPH = range(5)
CHANGED = 1  # the bit that says "an input changed, or it never ran"; a gate's bits are higher


class Output(NamedTuple):
    """One output of one node: its slot, who lacked it, and whom a write of it makes due."""

    slot: int
    waiting: tuple[int, ...]
    triggers: tuple[int, ...]


class Record(NamedTuple):
    """What the flow of a node looks at, in one place, as a lookup costs as much as a short call."""

    node: Any
    name: str
    function: Callable[..., Any] | None  # None: a nested graph
    read: Callable[[Values], dict[str, Any]]
    decode: Callable[[Any], Any] | None
    kind: int


class Tables:
    """The integer tables of one schedule.

    ``wanted`` and ``lacking`` are the initial state of each node: a node is due when something wants
    it (a set bit) and it lacks no input. ``before`` holds, as bits, the nodes each node waits for.
    """

    def __init__(self, schedule: Schedule) -> None:
        plan = schedule.plan
        self.schedule = schedule
        self.nodes: tuple[Any, ...] = plan.nodes  # of the kinds in `kinds`
        self.template: Values = [MISSING]
        self.slots = {name: self._slot(MISSING) for name in plan.graph.wiring.consumers}
        for name in plan.graph.wiring.producers:
            if name not in self.slots:
                self.slots[name] = self._slot(MISSING)
        for name, value in plan.graph._bound.items():
            self.template[self.slots[name]] = value
        count = len(plan.nodes)
        self.inputs: list[tuple[tuple[str, int, int], ...]] = [self._ports(n) for n in range(count)]
        self.wanted = [0] * count
        self.lacking = [1] * count  # a skipped node lacks something for ever
        self.outputs: list[tuple[Output, ...]] = [()] * count
        self.targets: list[tuple[tuple[int, int], ...]] = [()] * count
        self._fill()
        self.contested = {
            self.slots[name] for name, many in plan.graph.wiring.producers.items() if len(many) > 1
        }
        self.first_due = [n for n in schedule.active if self.wanted[n] and not self.lacking[n]]
        self.kinds = [_kind(node) for node in plan.nodes]
        self.readers = [_inputs_reader(ports) for ports in self.inputs]
        self.functions = [collected(n) if isinstance(n, CallableNode) else None for n in plan.nodes]
        self.decode = [self._decoder(node) for node in plan.nodes]
        self.calls = [self._call(n) for n in range(count)]
        self.records = [
            Record(
                node, node.name, self.functions[n], self.readers[n], self.decode[n], self.kinds[n]
            )
            for n, node in enumerate(self.nodes)
        ]
        self._before: list[int] | None = None

    def _slot(self, value: Any) -> int:
        self.template.append(value)
        return len(self.template) - 1

    def _ports(self, number: int) -> tuple[tuple[str, int, int], ...]:
        """Return for each input: its name, its slot, and the slot of its default (or 0)."""
        node = self.nodes[number]
        ports = []
        for name in node.inputs:
            fallback = 0
            if isinstance(node, CallableNode) and node.has_default(name):
                fallback = self._slot(node.default(name))
            ports.append((name, self.slots[name], fallback))
        return tuple(ports)

    def _fill(self) -> None:
        """Work out what each node lacks and wants at first, and whom each write triggers."""
        schedule, wiring = self.schedule, self.schedule.plan.graph.wiring
        entries = self._open_entries()
        waiting: dict[str, list[int]] = {}
        for number in schedule.active:
            node = self.nodes[number]
            lacks = [
                name
                for name in node.inputs
                if name not in schedule.provided and not node.has_default(name)
            ]
            self.lacking[number] = len(lacks)
            for name in lacks:
                waiting.setdefault(name, []).append(number)
            if number not in wiring.gates or number in entries:
                self.wanted[number] = CHANGED
        for number in schedule.active:
            node = self.nodes[number]
            self.outputs[number] = tuple(
                Output(
                    self.slots[name],
                    tuple(waiting.get(name, ())),
                    tuple(
                        consumer
                        for consumer in wiring.consumers.get(name, ())
                        if self._triggers(number, consumer, entries)
                    ),
                )
                for name in node.outputs
            )
            if isinstance(node, GateNode):
                self.targets[number] = tuple(
                    (target, 2 << wiring.gates[target].index(number))
                    for target in dict.fromkeys(wiring.successors[number])
                )

    def _open_entries(self) -> dict[int, Cycle]:
        """Return the gated entries of cycles in which all their gates lie: data may start them."""
        order, gates = self.schedule.order, self.schedule.plan.graph.wiring.gates
        if order is None:
            return {}
        return {
            entry: cycle
            for entry, cycle in order.cycles.items()
            if entry in gates and cycle.members.issuperset(gates[entry])
        }

    def _triggers(self, source: int, target: int, entries: dict[int, Cycle]) -> bool:
        """Say whether a write of ``source`` makes ``target`` due, or only carries its value."""
        schedule, wiring = self.schedule, self.schedule.plan.graph.wiring
        if target in schedule.skipped:
            return False
        if target in wiring.gates:
            return target in entries and source not in entries[target].members
        if schedule.order is None or (source, target) not in schedule.order.back:
            return True
        return not reaches_ungated(target, source, wiring.gates, schedule.order.rounds[target])

    def _decoder(self, node: HyperNode) -> Callable[[Any], Any] | None:
        """Return what turns a returned value into outputs: ``None`` (it is the output), a tuple of
        outputs, or the numbers of the selected targets."""
        if isinstance(node, GateNode):
            return self._decider(node)
        if isinstance(node, CallableNode) and len(node.outputs) > 1:
            return partial(unpack, node)
        return None

    def _call(self, number: int) -> Callable[[Values], Any]:
        """Return a function that reads a node's inputs, calls it, and decodes what it returns."""
        function, ports, decode = self.functions[number], self.inputs[number], self.decode[number]
        if function is None:
            return _carried_out_elsewhere
        read = self._reader(ports)
        if len(ports) == 1 and not ports[0][2]:
            slot = ports[0][1]
            if decode is not None:
                return lambda values: decode(function(values[slot]))
            return lambda values: function(values[slot])
        if decode is not None:
            return lambda values: decode(function(*read(values)))
        return lambda values: function(*read(values))

    def _reader(self, ports: tuple[tuple[str, int, int], ...]) -> Callable[[Values], Any]:
        if not any(fallback for _, _, fallback in ports):
            return reader(slot for _, slot, _ in ports)
        return lambda values: tuple(
            values[slot] if values[slot] is not MISSING else values[fallback]
            for _, slot, fallback in ports
        )

    def _decider(self, gate: GateNode) -> Callable[[Any], tuple[int, ...]]:
        """Return a function from what a gate returned to the numbers of the targets it selects."""
        index = self.schedule.plan.graph.wiring.index
        known: dict[Any, tuple[int, ...]] = {}

        def decide(value: Any) -> tuple[int, ...]:
            try:
                return known[value]
            except (KeyError, TypeError):  # first time, or not hashable
                pass  # what is raised below must not drag this error along, which holds the value
            chosen = tuple(index[t] for t in gate.decide(value) if isinstance(t, str))
            if type(value) in _FIXED or (type(value) is str and value in gate.targets):
                known[value] = chosen
            return chosen

        return decide

    @property
    def before(self) -> list[int]:
        """For each node, as bits, every node before it in forward order."""
        if self._before is None:
            self._before = self._ancestors()
        return self._before

    def _ancestors(self) -> list[int]:
        schedule = self.schedule
        order = schedule.order
        successors = order.successors if order else schedule.plan.graph.wiring.successors
        active = set(schedule.active)
        waiting = dict.fromkeys(schedule.active, 0)
        for node in schedule.active:
            for target in successors[node]:
                if target in active:
                    waiting[target] += 1
        before = [0] * len(self.nodes)
        todo = [node for node, count in waiting.items() if not count]
        for node in todo:
            mask = before[node] | 1 << node
            for target in successors[node]:
                if target in active:
                    before[target] |= mask
                    waiting[target] -= 1
                    if not waiting[target]:
                        todo.append(target)
        return before


def _kind(node: HyperNode) -> int:
    if isinstance(node, GateNode):
        return GATE
    if not isinstance(node, CallableNode):
        return NESTED_GRAPH
    return min(len(node.outputs), SEVERAL_OUTPUTS)


def _inputs_reader(ports: tuple[tuple[str, int, int], ...]) -> Callable[[Values], dict[str, Any]]:
    """Return a function that reads a node's inputs by name; those without any value are left out."""
    if len(ports) == 1 and not ports[0][2]:
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


def _carried_out_elsewhere(_: Values) -> Any:
    raise AssertionError("nested graphs and interrupts are carried out by the flows and lanes")
