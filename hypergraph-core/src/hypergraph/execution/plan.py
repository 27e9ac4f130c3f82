"""Everything that follows from the graph alone, and from the names that are given to it.

Rule of this file: a plan is made once per graph and kept on it; a schedule once per set of given names
and kept on the plan. Bad inputs are refused while a schedule is made, so a later run with the same
names pays nothing for it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from functools import cached_property
from typing import Any

from hypergraph.execution.given import (
    refuse_missing,
    refuse_unknown,
    refuse_unstartable,
    skipped_nodes,
)
from hypergraph.graph import Graph, GraphNode
from hypergraph.graph.inputs import lacking
from hypergraph.graph.order import ForwardOrder, forward_order
from hypergraph.nodes import HyperNode

_KEPT = 64  # schedules of one graph; a program gives its inputs in one or two ways


class Plan:
    """A graph prepared for running: its nodes, and its schedules by given names."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.nodes: tuple[HyperNode, ...] = graph.node_list
        self.schedules: dict[tuple[str, ...], Schedule] = {}
        self.accepted_by: Any = None  # the capabilities of the runner that was last found fit

    def schedule(self, given: tuple[str, ...]) -> Schedule:
        """Return the schedule for these given names. Raises ``InputError`` when they do not fit."""
        return self.schedules.get(given) or _prepare(self, given)


def plan_of(graph: Graph) -> Plan:
    """Return the plan of a graph, made on first use. Raises ``TypeError`` for what is no graph."""
    try:
        plan = graph.memo.get("plan")
    except AttributeError:
        raise TypeError(f"expected a Graph, got {type(graph).__name__}") from None
    if plan is None:
        plan = graph.memo["plan"] = Plan(graph)
    return plan


class Schedule:
    """What runs in which order, for one set of given names.

    ``skipped`` nodes never run. ``certain`` says that every other node runs exactly once whatever the
    values are, in the ``generations`` known beforehand: a plain DAG.
    """

    def __init__(self, plan: Plan, given: tuple[str, ...]) -> None:
        graph = plan.graph
        refuse_unknown(graph, given)
        self.plan = plan
        self.given = given
        names = frozenset(given)
        self.provided = names.union(graph.bound)
        self.skipped = skipped_nodes(graph, names)
        refuse_missing(graph, names, self.skipped)
        self.active = [n for n in range(len(plan.nodes)) if n not in self.skipped]
        self.order: ForwardOrder | None = None
        if graph.wiring.cycles:
            self.order = self._forward_order()
            refuse_unstartable(graph, self.order.cycles.values())
        self.nested = list(_inheriting(plan.nodes[number] for number in self.active))
        self.certain = False  # until `_prepare` has seen the nested graphs

    def _forward_order(self) -> ForwardOrder:
        graph, nodes = self.plan.graph, self.plan.nodes

        def lacks(node: int, members: frozenset[int]) -> tuple[str, ...]:
            return lacking(node, members, nodes, graph.wiring, self.provided, self.skipped)

        return forward_order(
            self.active, graph.wiring.successors, graph.wiring.gates, graph.entry_numbers, lacks
        )

    @property
    def is_plain(self) -> bool:
        """Say whether nothing in the graph itself depends on values.

        What a nested graph produces on a runner of its own is known only when it has run.
        """
        if self.order is not None and self.order.cycles:
            return False
        return not any(
            node.is_gate or node.is_interrupt or _brings_runner(node)
            for node in map(self.plan.nodes.__getitem__, self.active)
        )

    def inner_given(self, node: GraphNode) -> tuple[str, ...]:
        """Return the inner names that a nested graph is given when all its producers have run."""
        producers = self.plan.graph.wiring.producers
        return tuple(
            inner
            for outer, inner in node.inner_inputs.items()
            if outer in self.provided or outer in producers
        )

    @cached_property
    def generations(self) -> tuple[tuple[int, ...], ...]:
        """The generations of a certain schedule: each node after all it waits for."""
        return generations(self.active, self.plan.graph.wiring.successors)

    @cached_property
    def written_outputs(self) -> tuple[str, ...]:
        """The graph's outputs that some active node may write, in the graph's order."""
        producers = self.plan.graph.wiring.producers
        return tuple(
            name for name in self.plan.graph.outputs if not self.skipped.issuperset(producers[name])
        )


def _inheriting(nodes: Iterable[HyperNode]) -> Iterator[GraphNode]:
    """Return the nested graphs that run once, on the runner of the graph around them."""
    for node in nodes:
        if isinstance(node, GraphNode) and node.runner is None and not node.map_params:
            yield node


def _brings_runner(node: HyperNode) -> bool:
    """Say whether a node is a nested graph that runs once, on a runner of its own."""
    return isinstance(node, GraphNode) and node.runner is not None and not node.map_params


def _prepare(plan: Plan, given: tuple[str, ...]) -> Schedule:
    """Make a schedule, and before it those of the graphs nested in it, innermost first.

    Whether a schedule is certain follows from theirs. Nesting may be deep, so this does not recurse.
    """
    todo = [Schedule(plan, given)]
    made: dict[tuple[Plan, tuple[str, ...]], Schedule] = {}  # a plan does not keep any number
    while True:
        schedule = todo[-1]
        missing = None
        certain = schedule.is_plain
        for node in schedule.nested:
            inner_plan, inner_given = plan_of(node.graph), schedule.inner_given(node)
            inner = made.get((inner_plan, inner_given)) or inner_plan.schedules.get(inner_given)
            if inner is None:
                missing = Schedule(inner_plan, inner_given)
                break
            certain = certain and inner.certain
        if missing is not None:
            todo.append(missing)
            continue
        schedule.certain = certain
        kept = schedule.plan.schedules
        if len(kept) >= _KEPT:
            kept.clear()
        kept[schedule.given] = made[schedule.plan, schedule.given] = schedule
        todo.pop()
        if not todo:
            return schedule


def generations(
    active: Collection[int], successors: Collection[Collection[int]]
) -> tuple[tuple[int, ...], ...]:
    """Return the generations of an acyclic graph: nodes by their longest way from a source."""
    edges = list(successors)
    inside = set(active)
    waiting = dict.fromkeys(active, 0)
    for node in active:
        for target in edges[node]:
            if target in inside:
                waiting[target] += 1
    found = []
    current = [node for node in active if not waiting[node]]
    while current:
        found.append(tuple(sorted(current)))
        following = []
        for node in current:
            for target in edges[node]:
                if target in inside:
                    waiting[target] -= 1
                    if not waiting[target]:
                        following.append(target)
        current = following
    return tuple(found)
