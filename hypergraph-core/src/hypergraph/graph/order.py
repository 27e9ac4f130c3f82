"""Who waits for whom: cycles, their entries, and the forward order.

Rule of this file: the forward order is topological over the strongly connected components of data and
control edges. A cycle starts at its entry; the edges into the entry are left out, and the same is done
with what is still cyclic, until nothing is. No recursion: a graph may be as long as it likes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

Adjacency = Sequence[Collection[int]]
Edges = Adjacency | Mapping[int, Collection[int]]


def acyclic_order(successors: Adjacency) -> list[int] | None:
    """Return a topological order of all nodes (Kahn), or ``None`` when there is a cycle."""
    waiting = [0] * len(successors)
    for targets in successors:
        for target in targets:
            waiting[target] += 1
    order = [node for node, count in enumerate(waiting) if not count]
    for node in order:
        for target in successors[node]:
            waiting[target] -= 1
            if not waiting[target]:
                order.append(target)
    return order if len(order) == len(waiting) else None


def components(nodes: Iterable[int], successors: Edges) -> list[list[int]]:
    """Return the strongly connected components among ``nodes``, successors first (Tarjan, iterative).

    Members of a component are sorted, which is declaration order.
    """
    inside = set(nodes)
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    stack: list[int] = []
    on_stack: set[int] = set()
    found: list[list[int]] = []
    for root in sorted(inside):
        if root in index:
            continue
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        work = [(root, iter(successors[root]))]
        while work:
            node, targets = work[-1]
            for target in targets:
                if target not in inside:
                    continue
                if target not in index:
                    index[target] = low[target] = len(index)
                    stack.append(target)
                    on_stack.add(target)
                    work.append((target, iter(successors[target])))
                    break
                if target in on_stack and index[target] < low[node]:
                    low[node] = index[target]
            else:
                work.pop()
                if work and low[node] < low[work[-1][0]]:
                    low[work[-1][0]] = low[node]
                if low[node] == index[node]:
                    members = [stack.pop()]
                    while members[-1] != node:
                        members.append(stack.pop())
                    on_stack.difference_update(members)
                    found.append(sorted(members))
    return found


def is_cycle(members: Sequence[int], successors: Edges) -> bool:
    """Say whether a component is a cycle: several nodes, or one with an edge to itself."""
    return len(members) > 1 or members[0] in successors[members[0]]


@dataclass(frozen=True, slots=True)
class Cycle:
    """A cycle of the graph at its nesting level. ``gap`` is empty, or says what no candidate has:
    for each candidate entry, in the order they are tried, the values that would let it start."""

    entry: int
    members: frozenset[int]
    gap: tuple[tuple[int, tuple[str, ...]], ...] = ()


@dataclass(slots=True)
class ForwardOrder:
    """The partial order of a graph for one set of provided names.

    ``successors`` holds the edges that are left; ``back`` the edges into entries, as
    ``(source, entry)``; ``cycles`` the cycle of each entry, and ``rounds`` the edges inside it.
    """

    successors: list[set[int]]
    back: set[tuple[int, int]] = field(default_factory=set)
    cycles: dict[int, Cycle] = field(default_factory=dict)
    rounds: dict[int, dict[int, set[int]]] = field(default_factory=dict)


def forward_order(
    nodes: Collection[int],
    successors: Adjacency,
    gated: Collection[int],
    entrypoints: Sequence[int],
    lacking: Callable[[int, frozenset[int]], tuple[str, ...]],
) -> ForwardOrder:
    """Return the forward order of ``nodes``.

    ``lacking(node, members)`` names the values from inside a cycle that ``node`` would need to start it
    and that nothing else provides. The entry of a cycle is the entrypoint in it, else the first node
    that lacks nothing; in an inner cycle nodes that no gate controls come first.
    """
    order = ForwardOrder([set() for _ in successors])
    inside = set(nodes)
    for node in nodes:
        order.successors[node] = {target for target in successors[node] if target in inside}
    levels = [(members, False) for members in components(nodes, order.successors)]
    while levels:
        members, inner = levels.pop()
        if not is_cycle(members, order.successors):
            continue
        cycle = _enter(members, inner, gated, entrypoints, lacking)
        order.cycles[cycle.entry] = cycle
        order.rounds[cycle.entry] = {n: order.successors[n] & cycle.members for n in members}
        for source in members:
            if cycle.entry in order.successors[source]:
                order.successors[source].discard(cycle.entry)
                order.back.add((source, cycle.entry))
        if len(members) > 1:
            levels += [
                (inner_members, True) for inner_members in components(members, order.successors)
            ]
    return order


def _enter(
    members: Sequence[int],
    inner: bool,
    gated: Collection[int],
    entrypoints: Sequence[int],
    lacking: Callable[[int, frozenset[int]], tuple[str, ...]],
) -> Cycle:
    inside = frozenset(members)
    stated = [node for node in entrypoints if node in inside][:1]
    candidates = stated or (
        sorted(members, key=lambda node: (node in gated, node)) if inner else members
    )
    gap = []
    for node in candidates:
        missing = lacking(node, inside)
        if not missing:
            return Cycle(node, inside)
        gap.append((node, missing))
    return Cycle(candidates[0], inside, tuple(gap))


def reaches_ungated(
    start: int, goal: int, gated: Collection[int], edges: dict[int, set[int]]
) -> bool:
    """Say whether ``start`` leads to ``goal`` along ``edges`` without passing a gated node."""
    if start in gated or goal in gated:
        return False
    seen = {start}
    todo = [start]
    while todo:
        node = todo.pop()
        if node == goal:
            return True
        for target in edges[node]:
            if target not in gated and target not in seen:
                seen.add(target)
                todo.append(target)
    return False
