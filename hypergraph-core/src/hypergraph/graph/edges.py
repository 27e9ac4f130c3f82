"""Who feeds whom: the edges of a graph, found by name.

Rule of this file: one pass over the nodes, proportional to their number and ports, whatever the size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hypergraph.errors import GraphConfigError
from hypergraph.graph.order import acyclic_order, components, is_cycle
from hypergraph.nodes import END, GateNode, HyperNode
from hypergraph.nodes.base import hint


@dataclass(frozen=True, slots=True)
class Wiring:
    """The edges of a graph over node numbers (positions in declaration order).

    ``producers`` and ``consumers`` by value name; ``gates`` the gates over each gated node;
    ``successors`` data and control edges together; ``cycles`` the components that are cycles, and
    ``cycle_members`` the one that each of their nodes lies in.
    """

    index: dict[str, int]
    producers: dict[str, tuple[int, ...]]
    consumers: dict[str, Sequence[int]]
    gates: dict[int, tuple[int, ...]]
    successors: list[Sequence[int]]
    cycles: tuple[frozenset[int], ...]
    cycle_members: dict[int, frozenset[int]]

    def cycle_of(self, node: int) -> frozenset[int] | None:
        """Return the members of the cycle a node lies in, or ``None``."""
        return self.cycle_members.get(node)


def wire(nodes: Sequence[HyperNode], where: str) -> Wiring:
    """Find the edges among ``nodes``. Raises ``GraphConfigError`` for two nodes of one name and for
    gates with unknown targets."""
    index: dict[str, int] = {}
    producers: dict[str, tuple[int, ...]] = {}
    for number, node in enumerate(nodes):
        if node.name in index:
            raise GraphConfigError(
                f"Two nodes are both called {node.name!r}.",
                where=where,
                fix=f'rename one of them: node.with_name("{node.name}_2").',
            )
        index[node.name] = number
        for output in node.outputs:
            producers[output] = (*producers[output], number) if output in producers else (number,)
    consumers: dict[str, Sequence[int]] = {}
    successors: list[Sequence[int]] = [()] * len(nodes)
    gates: dict[int, tuple[int, ...]] = {}
    for number, node in enumerate(nodes):
        for name in node.inputs:
            _append(consumers, name, number, consumers.get(name))
            if name in producers:
                for producer in producers[name]:
                    _append(successors, producer, number, successors[producer])
        if node.is_gate:
            for target in _targets(node, nodes, index, where):
                _append(successors, number, target, successors[number])
                gates[target] = (*gates.get(target, ()), number)
    cycles = _cycles(successors)
    members_of = {node: members for members in cycles for node in members}
    return Wiring(index, producers, consumers, gates, successors, cycles, members_of)


def _append(where: Any, key: Any, number: int, present: Sequence[int] | None) -> None:
    """Add a number to ``where[key]``: a tuple while it is alone, which is the usual case and which the
    garbage collector never has to visit; a list from the second on."""
    if not present:
        where[key] = (number,)
    elif type(present) is tuple:
        where[key] = [*present, number]
    else:
        present.append(number)  # type: ignore[attr-defined]


def _targets(
    node: HyperNode, nodes: Sequence[HyperNode], index: dict[str, int], where: str
) -> list[int]:
    assert isinstance(node, GateNode)
    numbers = []
    for target in node.targets:
        if target is END:
            continue
        if target not in index:
            nearest = hint(nodes, "name", str(target), index)
            if target == str(END):
                nearest = " END is written without quotes."
            raise GraphConfigError(
                f"Gate {node.name!r} has an unknown target {target!r}.{nearest}",
                where=where,
                fix="name a node of this graph, or END.",
            )
        numbers.append(index[str(target)])
    return numbers


def _cycles(successors: Sequence[Sequence[int]]) -> tuple[frozenset[int], ...]:
    if acyclic_order(successors) is not None:
        return ()
    found = components(range(len(successors)), successors)
    return tuple(frozenset(members) for members in found if is_cycle(members, successors))
