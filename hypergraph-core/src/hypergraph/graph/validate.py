"""What a graph must satisfy to be built.

Rule of this file: each check is one function over the nodes and their wiring, and raises
``GraphConfigError`` that says what, where and how to fix it. Nothing is looked at that is not unusual
(several producers, cycles, gates), so that a plain graph pays nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from typing import Any, cast

from hypergraph.errors import GraphConfigError, did_you_mean
from hypergraph.graph.edges import Wiring
from hypergraph.graph.order import components, is_cycle
from hypergraph.nodes import END, GateNode, HyperNode
from hypergraph.nodes.base import check_name, hint

Nodes = Sequence[HyperNode]
Sides = dict[int, dict[int, set[int]]]  # of a node: the gates, and their targets, it lies behind


def check_nodes(nodes: Iterable[Any], where: str) -> tuple[HyperNode, ...]:
    """Return the nodes as a tuple, refusing whatever is not a node."""
    if isinstance(nodes, (HyperNode, str)) or not isinstance(nodes, Iterable):
        raise GraphConfigError(
            "A graph takes a list of nodes.", where=where, fix="write Graph([first, second])."
        )
    checked = tuple(nodes)
    for position, item in enumerate(checked):
        if not isinstance(item, HyperNode):
            raise GraphConfigError(
                f"Item {position} is not a node but a {type(item).__name__}.",
                where=where,
                fix=_how_it_becomes_a_node(item),
            )
    return checked


def _how_it_becomes_a_node(item: object) -> str:
    if hasattr(item, "as_node"):
        return "use graph.as_node() to nest a graph."
    if callable(item):
        return "decorate the function with @node."
    return "list the nodes themselves: Graph([first, second])."


def check_wiring(nodes: Nodes, wiring: Wiring, where: str) -> None:
    """Refuse several producers that could both be meant, and cycles that cannot end."""
    sides: Sides | None = None
    for name, producers in wiring.producers.items():
        if len(producers) > 1:
            sides = _sides(nodes, wiring) if sides is None else sides
            for first, second in combinations(producers, 2):
                if not _may_share(name, first, second, nodes, wiring, sides):
                    raise GraphConfigError(
                        f"Nodes {nodes[first].name!r} and {nodes[second].name!r} both produce {name!r}.",
                        where=where,
                        fix=f'rename one output: node.with_outputs({name}="other_name"), or let a '
                        "gate choose between the two nodes.",
                    )
    for members in wiring.cycles:
        for cycle in _driving_cycles(members, wiring):
            _check_way_out(cycle, nodes, wiring, where)


def _may_share(
    name: str, first: int, second: int, nodes: Nodes, wiring: Wiring, sides: Sides
) -> bool:
    one, other = wiring.cycle_of(first), wiring.cycle_of(second)
    if one is not None and one is other:
        return True
    if other is not None and name in nodes[second].inputs:
        return True  # `first` lies before the cycle, since its value leads into it
    if one is not None and name in nodes[first].inputs:
        return True
    return _exclusive(sides.get(first, {}), sides.get(second, {}))


def _exclusive(one: dict[int, set[int]], other: dict[int, set[int]]) -> bool:
    """Say whether two nodes lie behind different targets of a gate.

    A one-target gate lets at most one of them run. Which ones a ``multi_target`` gate selects is only
    known in a run, where both producing in one generation is a ``ConflictError``.
    """
    return any(gate in other and len(one[gate] | other[gate]) > 1 for gate in one)


def _sides(nodes: Nodes, wiring: Wiring) -> Sides:
    """Return the targets that each node lies behind, by gate; a gate with one target parts nothing."""
    found: Sides = {}
    for number, gate in enumerate(nodes):
        if isinstance(gate, GateNode):
            targets = [wiring.index[str(t)] for t in gate.targets if t is not END]
            for target in targets if len(targets) > 1 else ():
                for node in _only_through(target, number, nodes, wiring):
                    found.setdefault(node, {}).setdefault(number, set()).add(target)
    return found


def _only_through(target: int, gate: int, nodes: Nodes, wiring: Wiring) -> set[int]:
    """Return the nodes that run only after ``gate`` has selected ``target``: those that need a value
    which only they produce, or whose every gate is among them."""
    if wiring.gates[target] != (gate,):
        return set()
    side = {target}
    todo = [target]
    while todo:
        for node in wiring.successors[todo.pop()]:
            if node not in side and node != gate and _needs(node, side, nodes, wiring):
                side.add(node)
                todo.append(node)
    return side


def _needs(node: int, side: set[int], nodes: Nodes, wiring: Wiring) -> bool:
    gates = wiring.gates.get(node)
    if gates and side.issuperset(gates):
        return True
    return any(
        name in wiring.producers
        and side.issuperset(wiring.producers[name])
        and not nodes[node].has_default(name)
        for name in nodes[node].inputs
    )


def _driving_cycles(members: frozenset[int], wiring: Wiring) -> Iterator[frozenset[int]]:
    """Return the cycles within a cycle that go round by themselves: data alone starts no gated node."""
    driving = {
        source: [
            target
            for target in wiring.successors[source]
            if target in members and source in wiring.gates.get(target, (source,))
        ]
        for source in members
    }
    for cycle in components(members, driving):
        if is_cycle(cycle, driving):
            yield frozenset(cycle)


def _check_way_out(members: frozenset[int], nodes: Nodes, wiring: Wiring, where: str) -> None:
    closing = False
    for number in members:
        gate = nodes[number]
        if isinstance(gate, GateNode):
            targets = [None if t is END else wiring.index[str(t)] for t in gate.targets]
            if any(target not in members for target in targets):
                return
            closing = True
    if closing:
        names = ", ".join(repr(nodes[number].name) for number in sorted(members))
        raise GraphConfigError(
            f"The cycle of {names} has no way out: no gate in it leads to END or to a node outside.",
            where=where,
            fix="add END to the targets of one of its gates.",
        )


def check_entrypoints(
    entrypoints: tuple[str, ...], nodes: Nodes, wiring: Wiring, where: str
) -> tuple[int, ...]:
    """Return the entrypoints as node numbers, refusing unknown ones and those outside every cycle."""
    for name in entrypoints:
        check_name(name, "entrypoint", where)
        if name not in wiring.index:
            raise GraphConfigError(
                f"The entrypoint {name!r} does not exist.{hint(nodes, 'name', name, wiring.index)}",
                where=where,
                fix="name a node of this graph.",
            )
        if wiring.cycle_of(wiring.index[name]) is None:
            raise GraphConfigError(
                f"The entrypoint {name!r} does not lie in a cycle, so it decides nothing.",
                where=where,
                fix="leave entrypoint= out, or name the node where the loop starts.",
            )
    return tuple(wiring.index[name] for name in entrypoints)


def _is_edge(edge: object) -> bool:
    several = isinstance(edge, (tuple, list)) and 2 <= len(edge) <= 3
    return several and all(isinstance(name, str) for name in cast("Sequence[object]", edge))


def check_edges(
    stated: Iterable[Sequence[str]],
    found: Sequence[tuple[str, str, str]],
    wiring: Wiring,
    where: str,
) -> None:
    """Refuse explicit ``edges=`` that are not exactly the edges which the names give."""
    listed: dict[tuple[str, ...], list[tuple[str, str, str]]] = {}
    for known in found:
        for key in (known, known[:2]):
            listed.setdefault(key, []).append(known)
    wanted = set()
    for edge in stated:
        if not _is_edge(edge):
            raise GraphConfigError(
                "An edge is (producer, consumer) or (producer, consumer, name).",
                where=where,
                fix='write edges=[("fetch", "parse"), ...].',
            )
        for name in edge[:2]:
            if name not in wiring.index:
                raise GraphConfigError(
                    f"edges= names an unknown node {name!r}.{did_you_mean(name, wiring.index)}",
                    where=where,
                    fix="name nodes of this graph.",
                )
        if tuple(edge) not in listed:
            through = f" named {edge[2]!r}" if len(edge) == 3 else ""
            raise GraphConfigError(
                f"edges= leads from {edge[0]!r} to {edge[1]!r}, and no output{through} of the one is "
                "an input of the other.",
                where=where,
                fix="rename a port with with_outputs() or with_inputs() so that the names meet; "
                "leave out the targets of gates.",
            )
        wanted.update(listed[tuple(edge)])
    for producer, consumer, name in found:
        if (producer, consumer, name) not in wanted:
            raise GraphConfigError(
                f"{producer!r} feeds {consumer!r} through {name!r}, which edges= does not list.",
                where=where,
                fix=f'add ("{producer}", "{consumer}") to edges=, or rename one of the two ports.',
            )
