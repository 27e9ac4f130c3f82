"""What a schedule that cannot be foreseen (gates, cycles) is driven by: who to tell of a new value.

Rule of this file: all rules of "when a node runs" that do not depend on values are decided here, as
integers. A write *triggers* a consumer, or only carries its value; a gate holds one bit of each target.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from hypergraph.execution.plan import Schedule
from hypergraph.execution.program import Values
from hypergraph.execution.records import MISSING, Port, record
from hypergraph.graph import GraphNode
from hypergraph.graph.order import Cycle, reaches_ungated
from hypergraph.nodes import CallableNode, GateNode, HyperNode

CHANGED = 1  # the bit that says "an input changed, or it never ran"; a gate's bits are higher


class Output(NamedTuple):
    """One output of one node: its slot, who lacked it, and whom a write of it makes due."""

    slot: int
    waiting: tuple[int, ...]
    triggers: tuple[int, ...]


def awaits(node: HyperNode) -> bool:
    """Say whether running a node awaits something: an async function, or another runner."""
    if isinstance(node, GraphNode):
        return node.is_async or node.runner is not None or node.graph.nesting.has_runners
    return node.is_async


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
        for name, value in plan.graph.bound.items():
            self.template[self.slots[name]] = value
        count = len(plan.nodes)
        self.ports = [self._ports(node) for node in plan.nodes]
        self.wanted = [0] * count
        self.lacking = [1] * count  # a skipped node lacks something for ever
        self.outputs: list[tuple[Output, ...]] = [()] * count
        self.targets: list[tuple[tuple[int, int], ...]] = [()] * count
        self._waiting: dict[str, list[int]] = {}  # who lacks a value at first
        self._fill()
        self.contested = {
            self.slots[name] for name, many in plan.graph.wiring.producers.items() if len(many) > 1
        }
        self.first_due = [n for n in schedule.active if self.wanted[n] and not self.lacking[n]]
        index = plan.graph.wiring.index
        self.records = [record(node, self.ports[n], index) for n, node in enumerate(self.nodes)]
        self.kinds = [record.kind for record in self.records]
        self.calls = [record.call for record in self.records]
        self.awaits = [awaits(node) for node in self.nodes]
        self._before: list[int] | None = None

    def _slot(self, value: Any) -> int:
        self.template.append(value)
        return len(self.template) - 1

    def _ports(self, node: HyperNode) -> tuple[Port, ...]:
        ports = []
        for name in node.inputs:
            fallback = 0
            if isinstance(node, CallableNode) and node.has_default(name):
                fallback = self._slot(node.default(name))
            ports.append(Port(name, self.slots[name], fallback))
        return tuple(ports)

    def _fill(self) -> None:
        """Work out what each node lacks and wants at first, and whom each write triggers."""
        schedule, wiring = self.schedule, self.schedule.plan.graph.wiring
        entries = self._open_entries()
        waiting = self._waiting
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
        for number in schedule.skipped:  # what it wrote in an earlier turn is still there
            self.outputs[number] = tuple(
                Output(self.slots[name], (), ()) for name in self.nodes[number].outputs
            )
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

    def from_outside(self, name: str) -> Output:
        """Return what a value that is given to a run in the middle does: whom it makes due."""
        wiring, entries = self.schedule.plan.graph.wiring, self._open_entries()
        takers = tuple(
            node
            for node in wiring.consumers.get(name, ())
            if node not in self.schedule.skipped and (node not in wiring.gates or node in entries)
        )
        return Output(self.slots[name], tuple(self._waiting.get(name, ())), takers)

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
