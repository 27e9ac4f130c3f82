"""The fast lane: runs that nobody observes and that end with their graph, without effects.

Rule of this file: it gives exactly what the flows give; property tests hold it to that. An async node
that is alone in its generation is awaited here, without a task.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from time import perf_counter
from typing import Any

from hypergraph.execution.execution import Execution
from hypergraph.execution.mapping import map_rows
from hypergraph.execution.outcome import Outcome
from hypergraph.execution.places import place_error, place_item
from hypergraph.execution.plan import Plan, plan_of
from hypergraph.execution.records import NESTED_GRAPH
from hypergraph.graph import GraphNode
from hypergraph_runner_async.calling import Calling
from hypergraph_runner_async.limits import in_slot

_DEEPEST = 50  # the lane calls itself for each nested graph


def lane_fits(plan: Plan) -> bool:
    """Say whether the lane may take a run: no node has a policy, no run may pause, and all nested
    graphs inherit the runner and are not nested too deeply for Python's stack."""
    graph = plan.graph
    nesting = graph.nesting
    if nesting.has_runners or nesting.has_policies or nesting.depth > _DEEPEST:
        return False
    return not graph.has_interrupts


def is_chain(plan: Plan, given: tuple[str, ...]) -> bool:
    """Say whether a run never has more than one call in flight: one node after the other, in no graph
    within the graph."""
    schedule = plan.schedule(given)
    if not schedule.certain or plan.graph.nesting.depth:
        return False
    return all(len(generation) == 1 for generation in schedule.generations)


class Lane:
    """Runs plans for one run and everything nested in it. ``limit``: how often a node may run."""

    __slots__ = ("_calling", "_limit", "_free")

    def __init__(self, calling: Calling, limit: int) -> None:
        self._calling = calling
        self._limit = limit
        self._free = calling.limiter is None and not calling.threads

    async def run(self, plan: Plan, inputs: Mapping[str, Any]) -> Outcome:
        """Run a plan once."""
        schedule = plan.schedules.get(tuple(inputs)) or plan.schedule(tuple(inputs))
        execution = Execution(schedule, inputs, self._limit)
        tables, values = execution.tables, execution.values
        kinds, calls, awaits, records = tables.kinds, tables.calls, tables.awaits, tables.records
        commit_one, limiter, free = execution.commit_one, self._calling.limiter, self._free
        number = 0
        for batch in execution.batches():
            number = batch[0]
            if len(batch) > 1 or not (free or awaits[number]):
                execution.commit(batch, await self._batch(execution, batch))
                continue
            if kinds[number] == NESTED_GRAPH:
                commit_one(number, await self._nested(execution, number))
                continue
            try:
                result = calls[number](values)
                if awaits[number]:
                    result = await (result if limiter is None else in_slot(limiter, result))
                    decode = records[number].decode
                    if decode is not None:
                        result = decode(result)
                elif perf_counter() > self._calling.breathe_at:
                    await self._calling.breathe()
            except Exception as error:
                node = tables.nodes[number]
                place_error(error, execution.graph_name, node.name, node.inputs)
                raise
            commit_one(number, result)
        return Outcome(execution.result(), children=execution.children)

    async def map(
        self,
        plan: Plan,
        inputs: Mapping[str, Any],
        names: Sequence[str],
        rows: Any,
        keep_errors: bool,
    ) -> list[Any]:
        """Run a plan once per row, which holds the values of ``names``; the others are broadcast."""
        plan.schedule(tuple(inputs))  # refuse what does not fit before anything runs

        async def item(index: int, row: Sequence[Any]) -> Any:
            try:
                outcome = await self.run(plan, {**inputs, **dict(zip(names, row))})
            except Exception as error:
                place_item(error, index, plan.graph.name, inputs)
                if not keep_errors:
                    raise
                return error
            return outcome.values

        calls = (partial(item, index, row) for index, row in enumerate(rows))
        return await self._calling.in_turn(calls, plan.graph.has_async_nodes)

    async def _batch(self, execution: Execution, batch: Sequence[int]) -> list[Any]:
        """Run a generation; returns the decoded results."""
        calls = (self._prepared(execution, number) for number in batch)
        awaits = execution.tables.awaits
        return await self._calling.in_turn(calls, [awaits[number] for number in batch])

    def _prepared(self, execution: Execution, number: int) -> Callable[[], Awaitable[Any]]:
        if execution.tables.kinds[number] == NESTED_GRAPH:
            return partial(self._nested, execution, number)
        return partial(self._call, execution, number)

    async def _call(self, execution: Execution, number: int) -> Any:
        """Call a node; returns its decoded result."""
        tables = execution.tables
        node = tables.nodes[number]
        try:
            if node.is_async:
                call, limiter = tables.calls[number](execution.values), self._calling.limiter
                result = await (call if limiter is None else in_slot(limiter, call))
            else:
                result = await self._calling.awaited(
                    node, partial(tables.calls[number], execution.values)
                )
            decode = tables.records[number].decode if node.is_async else None
            return result if decode is None else decode(result)
        except Exception as error:
            place_error(error, execution.graph_name, node.name, node.inputs)
            raise

    async def _nested(self, execution: Execution, number: int) -> Any:
        """Run a nested graph once or per item; returns its outputs by outer name."""
        node, inputs = execution.tables.nodes[number], execution.inputs(number)
        try:
            if node.map_params:
                return await self._mapped(node, inputs)
            outcome = await self.run(plan_of(node.graph), node.inside(inputs))
        except Exception as error:
            place_error(error, execution.graph_name, node.name, inputs, outer=True)
            raise
        execution.children[node.name] = outcome
        return node.outside(outcome.values)

    async def _mapped(self, node: GraphNode, inputs: dict[str, Any]) -> Any:
        title = f"nested graph {node.name!r}"
        _, rows = map_rows(node.map_params, inputs, node.map_mode, title)
        plan, shared, names = plan_of(node.graph), node.inside(inputs), node.mapped_inside

        async def item(index: int, row: Sequence[Any]) -> Any:
            try:
                outcome = await self.run(plan, {**shared, **dict(zip(names, row))})
            except Exception as error:
                place_error(error, None, f"[{index}]", inputs, outer=True)
                raise
            return outcome.values

        calls = (partial(item, index, row) for index, row in enumerate(rows))
        return node.columns(await self._calling.in_turn(calls, node.is_async))
