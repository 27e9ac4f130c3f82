"""``Execution``: the one mutable object of a run. What is due, and what a result changes.

Rule of this file: ``take()`` gives the next generation, the caller runs it however it likes and then
``commit()``s the results, until ``take()`` gives nothing: the shape of ``graphlib.TopologicalSorter``.
Nothing here calls a node, reads a clock, or knows who runs the tasks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from hypergraph.errors import ConflictError, InfiniteLoopError
from hypergraph.execution.plan import Schedule
from hypergraph.execution.records import (
    GATE,
    MISSING,
    NESTED_GRAPH,
    ONE_OUTPUT,
    SEVERAL_OUTPUTS,
)
from hypergraph.execution.tables import CHANGED, Output, Tables
from hypergraph.nodes import GateNode


class Execution:
    """One run of a schedule: its values, and the state of every node."""

    __slots__ = (
        "schedule",
        "graph_name",
        "tables",
        "values",
        "limit",
        "runs",
        "children",
        "_due",
        "_wanted",
        "_lacking",
        "_written",
        "_ahead",
    )

    def __init__(
        self, schedule: Schedule, inputs: Mapping[str, Any], limit: int, *, resumed: bool = False
    ) -> None:
        """Begin a run. ``resumed``: some of the schedule's inputs may follow with `give`, and what is
        done already with `redo`."""
        tables = tables_of(schedule)
        self.schedule = schedule
        self.graph_name = schedule.plan.graph.name
        self.tables = tables
        self.limit = limit
        self.values = values = tables.template.copy()
        values[0] = limit
        if not resumed:
            for name in schedule.given:
                values[tables.slots[name]] = inputs[name]
        self.runs = [0] * len(tables.nodes)
        self.children: dict[str, Any] = {}  # the outcome of each nested graph, by its node
        self._written = bytearray(len(values))
        foreseen = schedule.certain and not resumed
        self._ahead = iter(schedule.generations) if foreseen else None
        if self._ahead is None:
            self._due = set(tables.first_due)
            self._wanted = tables.wanted.copy()
            self._lacking = tables.lacking.copy()
        if resumed:
            self.give(inputs)

    # -- what is next ------------------------------------------------------------------------

    def take(self) -> Sequence[int]:
        """Return the nodes of the next generation in declaration order, or nothing at the end.

        Raises ``InfiniteLoopError`` before a node runs more often than the limit allows.
        """
        if self._ahead is not None:
            return next(self._ahead, ())
        due = self._due
        if not due:
            return ()
        runs, wanted, limit = self.runs, self._wanted, self.limit
        if len(due) == 1:  # the usual case of a loop
            node = due.pop()
            if runs[node] >= limit:
                self._check_limit(node)
            runs[node] += 1
            wanted[node] = 0
            return (node,)
        batch = self._first_of(due)
        due.difference_update(batch)
        for node in batch:
            if runs[node] >= limit:
                self._check_limit(node)
        for node in batch:
            runs[node] += 1
            wanted[node] = 0
        return batch

    def batches(self) -> Iterable[Sequence[int]]:
        """Return what `take` gives until it gives nothing, for a caller that runs all of it."""
        return iter(self.take, ()) if self._ahead is None else self.schedule.generations

    def _first_of(self, due: set[int]) -> list[int]:
        """Return the due nodes that have no due node before them."""
        mask = 0
        for node in due:
            mask |= 1 << node
        before = self.tables.before
        return [node for node in sorted(due) if not before[node] & mask]

    def _check_limit(self, node: int) -> None:
        nodes = self.tables.nodes
        if isinstance(nodes[node], GateNode) and self.runs[node] == self.limit:
            return
        graph = self.schedule.plan.graph
        members = graph.wiring.cycle_of(node) or {node}
        cycle = tuple(nodes[number].name for number in sorted(members))
        raise InfiniteLoopError(
            f"Node {nodes[node].name!r} has run max_iterations={self.limit} times and is due again. The "
            f"cycle: {', '.join(cycle)}.",
            where=graph.where,
            fix="let a gate of the cycle reach END, or pass a larger max_iterations=.",
            node=nodes[node].name,
            cycle=cycle,
        )

    # -- what is known already ---------------------------------------------------------------

    @property
    def due(self) -> set[int]:
        """What waits to run, in this generation or a later one, of a resumed run."""
        return self._due

    def is_next(self, nodes: Collection[int]) -> bool:
        """Say whether these nodes all belong to the next generation of a resumed run."""
        return self._due.issuperset(nodes) and set(self._first_of(self._due)).issuperset(nodes)

    def is_whole(self, nodes: Collection[int]) -> bool:
        """Say whether these nodes are all of the next generation of a resumed run."""
        return set(self._first_of(self._due)) == set(nodes)

    def redo(self, results: Mapping[int, Any]) -> None:
        """Commit the results of a generation that need not run, by node."""
        batch = sorted(results)
        for node in batch:
            self.runs[node] += 1
            self._wanted[node] = 0
            self._due.discard(node)
        self.commit(batch, [results[node] for node in batch])

    def redo_one(self, node: int, result: Any) -> None:
        """Commit the result of a node that was alone in its generation and need not run."""
        self.runs[node] += 1
        self._wanted[node] = 0
        self._due.discard(node)
        self.commit_one(node, result)

    def give(self, inputs: Mapping[str, Any]) -> None:
        """Give a resumed run values from outside, which make due what takes them. How often nodes ran
        is counted anew."""
        self.runs = [0] * len(self.runs)
        for name, value in inputs.items():
            slot = self.tables.slots[name]
            written = self._written[slot]
            self._write(self.tables.from_outside(name), value)
            self._written[slot] = written

    # -- what a result changes ---------------------------------------------------------------

    def commit(self, batch: Sequence[int], results: Sequence[Any]) -> None:
        """Store the decoded results of a generation (or of its first nodes), in declaration order.

        A result is a value, a tuple of them for several outputs, a dict by outer name for a nested
        graph, or the numbers of the selected targets for a gate. Raises ``ConflictError``.
        """
        if len(batch) > 1 and self.tables.contested:
            self._refuse_conflict(batch, results)
        for node, result in zip(batch, results):
            self.commit_one(node, result)

    def commit_one(self, node: int, result: Any) -> None:
        """Store the decoded result of one node."""
        tables = self.tables
        kind = tables.kinds[node]
        if kind == ONE_OUTPUT:
            if self._ahead is None:
                self._write(tables.outputs[node][0], result)
            else:
                slot = tables.outputs[node][0][0]
                self.values[slot] = result
                self._written[slot] = 1
        elif kind == GATE:
            self._select(tables.targets[node], result)
        elif kind == SEVERAL_OUTPUTS:
            for output, value in zip(tables.outputs[node], result):
                self._write(output, value)
        elif kind == NESTED_GRAPH:
            for output, name in zip(tables.outputs[node], tables.nodes[node].outputs):
                if name in result:
                    self._write(output, result[name])

    def _write(self, output: Output, value: Any) -> None:
        slot, waiting, triggers = output
        values = self.values
        self._written[slot] = 1
        if self._ahead is not None:
            values[slot] = value
            return
        lacking, wanted, due = self._lacking, self._wanted, self._due
        if values[slot] is MISSING:
            for node in waiting:
                lacking[node] -= 1
                if not lacking[node] and wanted[node]:
                    due.add(node)
        values[slot] = value
        for node in triggers:
            wanted[node] |= CHANGED
            if not lacking[node]:
                due.add(node)

    def _select(self, targets: Iterable[tuple[int, int]], chosen: Sequence[int]) -> None:
        """Make a gate's decision its only one: an older, unused one is forgotten."""
        wanted = self._wanted
        for target, bit in targets:
            if target in chosen:
                wanted[target] |= bit
                if not self._lacking[target]:
                    self._due.add(target)
            elif wanted[target] & bit:
                wanted[target] ^= bit
                if not wanted[target]:
                    self._due.discard(target)

    def _refuse_conflict(self, batch: Sequence[int], results: Sequence[Any]) -> None:
        tables = self.tables
        writers: dict[int, int] = {}
        for node, result in zip(batch, results):
            names = tables.nodes[node].outputs
            for output, name in zip(tables.outputs[node], names):
                if tables.kinds[node] == NESTED_GRAPH and name not in result:
                    continue
                if output.slot in writers:
                    pair = (tables.nodes[writers[output.slot]].name, tables.nodes[node].name)
                    raise ConflictError(
                        f"Nodes {pair[0]!r} and {pair[1]!r} both produced {name!r} in one generation.",
                        where=self.schedule.plan.graph.where,
                        fix="let a gate choose only one of them, or rename one output.",
                        output=name,
                        nodes=pair,
                    )
                writers[output.slot] = node

    # -- reading -----------------------------------------------------------------------------

    def inputs(self, node: int) -> dict[str, Any]:
        """Return the inputs of a node by name; those without any value are left out."""
        return self.tables.records[node].read(self.values)

    def result(self) -> dict[str, Any]:
        """Return the outputs of every node that ran, the latest value of each."""
        slots, written = self.tables.slots, self._written
        return {
            name: self.values[slots[name]]
            for name in self.schedule.written_outputs
            if written[slots[name]]
        }


def tables_of(schedule: Schedule) -> Tables:
    """Return the tables of a schedule, made on first use and kept on it."""
    tables = schedule.__dict__.get("tables")
    if tables is None:
        tables = schedule.__dict__["tables"] = Tables(schedule)
    return tables
