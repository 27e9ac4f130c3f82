"""The life of a run, of the graphs nested in it and of a map, each one generator that yields effects.

Rule of this file: order, events and places of errors are decided here, once, for every runner that
interprets effects. How an effect is carried out is the runner's affair.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from hypergraph.events.types import (
    NodeEndEvent,
    NodeErrorEvent,
    NodeStartEvent,
    RunEndEvent,
    RunStartEvent,
)
from hypergraph.execution.cached import report_failure
from hypergraph.execution.context import Context, Scope, Settings
from hypergraph.execution.effects import All, Answer, CacheFlush, Flow, Nest
from hypergraph.execution.execution import Execution
from hypergraph.execution.halting import Halted, halting_generations
from hypergraph.execution.lanes import program_of
from hypergraph.execution.mapping import map_rows
from hypergraph.execution.node_flow import call_node, report_node
from hypergraph.execution.outcome import Outcome
from hypergraph.execution.places import place_error, place_item
from hypergraph.execution.plan import Plan, plan_of
from hypergraph.execution.records import NESTED_GRAPH
from hypergraph.execution.restore import restored
from hypergraph.execution.tables import awaits
from hypergraph.execution.trail import Trail
from hypergraph.graph import GraphNode
from hypergraph.results import RunStatus

Row = dict[str, Any]


def whole_run(settings: Settings, scope: Scope, graph_name: str | None, flow: Flow) -> Flow:
    """Run a flow and leave the cache in order, however it ends."""
    try:
        result = yield flow
    except GeneratorExit:  # nobody is left to carry out an effect
        raise
    except BaseException:
        yield from _flushed(settings, scope, graph_name)
        raise
    yield from _flushed(settings, scope, graph_name)
    return result


def _flushed(settings: Settings, scope: Scope, graph_name: str | None) -> Flow:
    if settings.cache is None:
        return
    try:
        yield CacheFlush()
    except Exception as error:
        yield from report_failure(settings, scope, graph_name, None, "flush", error)


def run_flow(settings: Settings, scope: Scope, plan: Plan, inputs: Mapping[str, Any]) -> Flow:
    """Run a plan; returns an ``Outcome`` with the outputs of every node that ran.

    Inputs that do not fit are refused before the first event.
    """
    schedule = plan.schedule(tuple(inputs))
    trail = scope.trail
    if trail is not None:
        run = restored(trail, schedule, inputs, settings.limit)
        execution, body = run.execution, halting_generations(settings, scope, run, _node)
    else:
        if settings.cache is not None and settings.emit is None and schedule.certain:
            program = program_of(schedule)
            values = program.start(inputs, settings.limit)
            if program.answerable and (yield Answer(program, values)):
                return Outcome(program.result(values))
        execution = Execution(schedule, inputs, settings.limit)
        body = _generations(settings, scope, execution)
    children = execution.children
    try:
        if settings.emit is None:
            halted = yield from body
        else:
            halted = yield reported_run(
                settings, scope, plan.graph.name, inputs, body, execution.result
            )
    except Exception as error:
        if trail is None or not trail.keeps_error:
            raise
        return Outcome(execution.result(), RunStatus.FAILED, scope.run_id, (), children, error)
    if halted is None:
        return Outcome(execution.result(), RunStatus.COMPLETED, scope.run_id, (), children)
    return Outcome(execution.result(), halted.status, scope.run_id, halted.pauses, children)


def reported_run(
    settings: Settings,
    scope: Scope,
    graph_name: str | None,
    inputs: Mapping[str, Any],
    body: Flow,
    outputs: Callable[[], Row],
) -> Flow:
    """Run ``body`` between a start and an end event, and return what it returns: ``None``, or why the
    run ends before its graph does."""
    started = settings.clock()
    yield RunStartEvent(
        *scope.ids,
        started,
        graph_name,
        inputs,
        settings.wall(),
        settings.session_id,
        scope.parent_run_id,
        scope.map_index,
        scope.map_size,
        scope.trail.workflow_id if scope.trail is not None else None,
    )

    def end(status: RunStatus, error: BaseException | None = None) -> RunEndEvent:
        ended = settings.clock()
        spent = (ended - started) * 1000
        return RunEndEvent(*scope.ids, ended, graph_name, status, outputs(), spent, error)

    try:
        halted = yield body
    except GeneratorExit:
        raise
    except BaseException as error:
        yield end(RunStatus.FAILED, error)
        raise
    yield end(RunStatus.COMPLETED if halted is None else halted.status)
    return halted


def _generations(settings: Settings, scope: Scope, execution: Execution) -> Flow:
    """Run generation after generation until nothing is due."""
    run_node = report_node if settings.emit is not None else call_node
    commit_one, tables = execution.commit_one, execution.tables
    for batch in execution.batches():
        if len(batch) == 1:
            number = batch[0]
            run = _nested_node if tables.kinds[number] == NESTED_GRAPH else run_node
            commit_one(number, (yield from run(settings, scope, execution, number)))
        else:
            flows = [_node(settings, scope, execution, number) for number in batch]
            execution.commit(batch, (yield All(flows, [tables.awaits[number] for number in batch])))


def _node(
    settings: Settings, scope: Scope, execution: Execution, number: int, **place: Any
) -> Flow:
    """Return the flow of a node of any kind but an interrupt."""
    if execution.tables.kinds[number] == NESTED_GRAPH:
        return _nested_node(settings, scope, execution, number, **place)
    if settings.emit is None:
        return call_node(settings, scope, execution, number)
    return report_node(settings, scope, execution, number)


# --- nested graphs and maps -------------------------------------------------------------------


def _nested_node(
    settings: Settings,
    scope: Scope,
    execution: Execution,
    number: int,
    generation: int = 0,
    earlier: Mapping[str, Any] | None = None,
) -> Flow:
    """Run a nested graph once or per item, between its events if somebody listens; returns its outputs
    by outer name, or why it ends before they are there."""
    node = execution.tables.nodes[number]
    inputs = execution.inputs(number)
    trail = scope.trail
    if trail is not None:
        trail = trail.inside(
            node, generation, node.inside(earlier) if earlier is not None else None
        )
    if settings.emit is None:
        inner = scope if trail is scope.trail else msgspec.structs.replace(scope, trail=trail)
        return (yield from _nested(settings, inner, execution, node, inputs))
    name, graph_name, clock = node.name, execution.graph_name, settings.clock
    ids = scope.run_id, settings.new_span_id(), scope.span_id
    started = clock()
    yield NodeStartEvent(*ids, started, name, graph_name, inputs)
    try:
        outputs = yield _nested(settings, Scope(*ids, trail=trail), execution, node, inputs)
    except GeneratorExit:
        raise
    except BaseException as error:
        ended = clock()
        spent = (ended - started) * 1000
        yield NodeErrorEvent(*ids, ended, name, graph_name, error, spent)
        raise
    ended = clock()
    spent = (ended - started) * 1000
    told = {} if type(outputs) is Halted else outputs
    yield NodeEndEvent(*ids, ended, name, graph_name, told, spent)
    return outputs


def _nested(
    settings: Settings, scope: Scope, execution: Execution, node: GraphNode, inputs: Row
) -> Flow:
    try:
        if node.map_params:
            return (yield from _mapped(settings, scope, node, inputs))
        inner = inner_scope(settings, scope)
        outcome = yield nested_run(settings, inner, node, node.inside(inputs))
    except Exception as error:
        place_error(error, execution.graph_name, node.name, inputs, outer=True)
        raise
    execution.children[node.name] = outcome
    if outcome.status is RunStatus.COMPLETED:
        return node.outside(outcome.values)
    return Halted.inside(node, outcome)


def _mapped(settings: Settings, scope: Scope, node: GraphNode, inputs: Row) -> Flow:
    title = f"nested graph {node.name!r}"
    size, rows = map_rows(node.map_params, inputs, node.map_mode, title)
    shared = node.inside(inputs)
    names = node.mapped_inside
    earlier = _earlier_items(node, scope.trail)

    def item(index: int, row: Sequence[Any]) -> Flow:
        inner = {**shared, **dict(zip(names, row))}
        where = inner_scope(settings, scope, index, size)
        if where.trail is not None:
            trail = msgspec.structs.replace(where.trail.item(index), earlier=earlier(index))
            where = msgspec.structs.replace(where, trail=trail)
        try:
            return (yield nested_run(settings, where, node, inner))
        except Exception as error:
            place_error(error, None, f"[{index}]", inputs, outer=True)
            raise

    outcomes = yield All((item(index, row) for index, row in enumerate(rows)), awaits(node))
    for outcome in outcomes:
        if outcome.status is not RunStatus.COMPLETED:
            return Halted.inside(node, outcome)
    return node.columns([outcome.values for outcome in outcomes])


def _earlier_items(node: GraphNode, trail: Trail | None) -> Callable[[int], Row | None]:
    """Return a function that gives the inputs with which an item was begun, where they have changed."""
    if trail is None or trail.earlier is None:
        return lambda index: None
    shared = dict(trail.earlier)
    outside = {o: shared[inner] for o, inner in node.inner_inputs.items() if inner in shared}
    names = node.mapped_inside
    _, rows = map_rows(node.map_params, outside, node.map_mode, f"nested graph {node.name!r}")
    begun = [{**shared, **dict(zip(names, row))} for row in rows]
    return lambda index: begun[index] if index < len(begun) else None


def nested_run(settings: Settings, scope: Scope, node: GraphNode, inner: Row) -> Flow:
    """Run the graph of a node on the parent's runner, or on the one that the node brings; returns its
    ``Outcome``."""
    if node.runner is None:
        return (yield run_flow(settings, scope, plan_of(node.graph), inner))
    result = yield Nest(node, inner, Context(settings, scope))
    if result.error is not None:
        raise result.error
    return Outcome.of(result)


def inner_scope(
    settings: Settings, scope: Scope, index: int | None = None, size: int | None = None
) -> Scope:
    """Return the scope of a run nested in another; its ids are made only if they can be told."""
    if settings.emit is None and scope.trail is None:
        return scope
    return Scope(
        settings.new_run_id(),
        settings.new_span_id(),
        scope.span_id,
        scope.run_id,
        index,
        size,
        scope.trail,
    )


def map_flow(
    settings: Settings,
    scope: Scope,
    plan: Plan,
    inputs: Mapping[str, Any],
    names: tuple[str, ...],
    rows: Iterator[Sequence[Any]],
    keep_errors: bool,
) -> Flow:
    """Run a plan once per row, which holds the values of ``names``; the other inputs are broadcast.

    Returns the list of outputs, with exceptions in their places with ``keep_errors``.
    """
    plan.schedule(tuple(inputs))  # refuse what does not fit before anything runs, even with no item

    def item(index: int, row: Sequence[Any]) -> Flow:
        inner = inner_scope(settings, scope, index, scope.map_size)
        try:
            row_inputs = {**inputs, **dict(zip(names, row))}
            return (yield run_flow(settings, inner, plan, row_inputs)).values
        except Exception as error:
            place_item(error, index, plan.graph.name, inputs)
            if keep_errors:
                return error
            raise

    results: list[Any] = []
    together = plan.graph.has_async_nodes or plan.graph.nesting.has_runners

    def body() -> Flow:
        items = (item(index, row) for index, row in enumerate(rows))
        results.extend((yield All(items, together)))

    if settings.emit is None:
        yield from body()
    else:
        yield from reported_run(settings, scope, plan.graph.name, inputs, body(), dict)
    return results
