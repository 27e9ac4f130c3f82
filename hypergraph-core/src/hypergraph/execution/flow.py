"""The life of a run, a node, a nested graph and a map, each one generator that yields effects.

Rule of this file: order, events, caching and places of errors are decided here, once, for every runner
that interprets effects. How an effect is carried out is the runner's affair.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from hypergraph.cache.base import MISS
from hypergraph.events.types import (
    NodeEndEvent,
    NodeErrorEvent,
    NodeStartEvent,
    RouteDecisionEvent,
    RunEndEvent,
    RunStartEvent,
    StreamingChunkEvent,
)
from hypergraph.execution.cached import look_up, reads_once, report_failure, store
from hypergraph.execution.calls import positional
from hypergraph.execution.collect import is_stream, join_chunks
from hypergraph.execution.context import Context, Scope, Settings
from hypergraph.execution.effects import DONE, All, Answer, CacheFlush, Call, Flow, Nest, Next
from hypergraph.execution.execution import Execution
from hypergraph.execution.lanes import program_of
from hypergraph.execution.mapping import map_rows
from hypergraph.execution.places import place_error, place_item
from hypergraph.execution.plan import Plan, plan_of
from hypergraph.execution.records import GATE, ONE_OUTPUT, SEVERAL_OUTPUTS
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
    """Run a plan; returns the outputs of every node that ran.

    Inputs that do not fit are refused before the first event.
    """
    schedule = plan.schedule(tuple(inputs))
    if settings.cache is not None and settings.emit is None and schedule.certain:
        program = program_of(schedule)
        values = program.start(inputs, settings.limit)
        if program.answerable and (yield Answer(program, values)):
            return program.result(values)
    execution = Execution(schedule, inputs, settings.limit)
    body = _generations(settings, scope, execution)
    if settings.emit is None:
        yield from body
        return execution.result()
    name, outputs = plan.graph.name, execution.result
    return (yield reported_run(settings, scope, name, inputs, body, outputs))


def reported_run(
    settings: Settings,
    scope: Scope,
    graph_name: str | None,
    inputs: Mapping[str, Any],
    body: Flow,
    outputs: Callable[[], Row],
) -> Flow:
    """Run ``body`` between a start and an end event, and return the outputs."""
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
    )
    try:
        yield body
    except GeneratorExit:
        raise
    except BaseException as error:
        yield _run_end(settings, scope, graph_name, started, outputs(), error)
        raise
    yield _run_end(settings, scope, graph_name, started, outputs(), None)
    return outputs()


def _run_end(
    settings: Settings,
    scope: Scope,
    graph_name: str | None,
    started: float,
    outputs: Row,
    error: BaseException | None,
) -> RunEndEvent:
    status = RunStatus.COMPLETED if error is None else RunStatus.FAILED
    ended = settings.clock()
    spent = (ended - started) * 1000
    return RunEndEvent(*scope.ids, ended, graph_name, status, outputs, spent, error)


def _generations(settings: Settings, scope: Scope, execution: Execution) -> Flow:
    """Run generation after generation until nothing is due."""
    run_node = _node if settings.emit is None else _reported_node
    commit_one = execution.commit_one
    for batch in execution.batches():
        if len(batch) == 1:
            number = batch[0]
            commit_one(number, (yield from run_node(settings, scope, execution, number)))
        else:
            flows = [run_node(settings, scope, execution, number) for number in batch]
            execution.commit(batch, (yield All(flows)))


# --- one node ---------------------------------------------------------------------------------


def _node(settings: Settings, scope: Scope, execution: Execution, number: int) -> Flow:
    """Run one node that nobody listens to; returns its decoded result."""
    node, name, _, function, read, decode, _ = execution.tables.records[number]
    inputs = read(execution.values)
    if function is None:
        return (yield from _nested(settings, scope, execution.graph_name, node, inputs))
    call = Call(function, inputs, node)
    try:
        if settings.cache is not None and node.cache:
            _, result, _ = yield _answer(settings, scope, execution, number, call)
            return result
        value = yield call
        return value if decode is None else decode(value)
    except Exception as error:
        place_error(error, execution.graph_name, name, node.inputs)
        raise


def _reported_node(settings: Settings, scope: Scope, execution: Execution, number: int) -> Flow:
    """Run one node between its events; returns its decoded result."""
    node, name, kind, function, read, decode, _ = execution.tables.records[number]
    graph_name, clock = execution.graph_name, settings.clock
    run_id, span_id, parent = scope.run_id, settings.new_span_id(), scope.span_id
    inputs = read(execution.values)
    cached = False
    started = clock()
    start = NodeStartEvent(run_id, span_id, parent, started, name, graph_name, inputs)
    try:
        if function is None:
            yield start
            inner = Scope(run_id, span_id, parent)
            outputs = result = yield _nested(settings, inner, graph_name, node, inputs)
        else:
            if node.is_generator or (settings.cache is not None and node.cache):
                yield start
                inner, call = Scope(run_id, span_id, parent), Call(function, inputs, node)
                value, result, cached = yield _answer(settings, inner, execution, number, call)
            else:
                value = yield Call(function, inputs, node, start)
                result = value if decode is None else decode(value)
            if kind == ONE_OUTPUT:
                outputs = {node.outputs[0]: result}
            elif kind == GATE:
                outputs = {}
                decision = tuple(map(str, node.decide(value)))
                now = clock()
                yield RouteDecisionEvent(run_id, span_id, parent, now, name, graph_name, decision)
            else:
                outputs = dict(zip(node.outputs, result)) if node.outputs else {}
    except Exception as error:
        if function is not None:
            place_error(error, graph_name, name, node.inputs)
        ended = clock()
        spent = (ended - started) * 1000
        yield NodeErrorEvent(run_id, span_id, parent, ended, name, graph_name, error, spent)
        raise
    ended = clock()
    spent = (ended - started) * 1000
    yield NodeEndEvent(run_id, span_id, parent, ended, name, graph_name, outputs, spent, cached)
    return result


def _answer(
    settings: Settings, scope: Scope, execution: Execution, number: int, call: Call
) -> Flow:
    """Call a node that may be in the cache, or whose chunks are reported one by one.

    Returns what its function returned, the same decoded, and whether it was found in the cache. Only
    what the node may return is stored.
    """
    tables, graph_name, node = execution.tables, execution.graph_name, call.node
    value: Any = MISS
    key = None
    if settings.cache is not None and node.cache:
        value, key = yield from look_up(settings, scope, graph_name, call)
    cached = value is not MISS
    if not cached:
        if settings.emit is not None and node.is_generator:
            value = yield from _streamed(settings, scope, graph_name, call)
        else:
            value = yield call
    decode = tables.records[number].decode
    result = value if decode is None else decode(value)
    if key is not None:
        unpacked = tables.kinds[number] == SEVERAL_OUTPUTS and reads_once(value)
        yield from store(settings, scope, graph_name, node, key, result if unpacked else value)
    return value, result, cached


def _streamed(settings: Settings, scope: Scope, graph_name: str | None, call: Call) -> Flow:
    """Call a generator and report its chunks one by one; returns its value."""
    node = call.node
    generator = yield Call(positional(node), call.inputs, node)
    if not is_stream(generator):
        return generator
    chunks: list[Any] = []
    while (chunk := (yield Next(generator))) is not DONE:
        now, index = settings.clock(), len(chunks)
        yield StreamingChunkEvent(*scope.ids, now, node.name, graph_name, chunk, index)
        chunks.append(chunk)
    return join_chunks(chunks, node.func)


# --- nested graphs and maps -------------------------------------------------------------------


def _nested(
    settings: Settings, scope: Scope, graph_name: str | None, node: GraphNode, inputs: Row
) -> Flow:
    """Run a nested graph once or per item; returns its outputs by outer name."""
    try:
        if node.map_params:
            return (yield from _mapped(settings, scope, node, inputs))
        inner = node.inside(inputs)
        outputs = yield nested_run(settings, inner_scope(settings, scope), node, inner)
    except Exception as error:
        place_error(error, graph_name, node.name, inputs, outer=True)
        raise
    return node.outside(outputs)


def _mapped(settings: Settings, scope: Scope, node: GraphNode, inputs: Row) -> Flow:
    title = f"nested graph {node.name!r}"
    size, rows = map_rows(node.map_params, inputs, node.map_mode, title)
    shared = node.inside(inputs)
    names = node.mapped_inside

    def item(index: int, row: Sequence[Any]) -> Flow:
        inner, where = (
            {**shared, **dict(zip(names, row))},
            inner_scope(settings, scope, index, size),
        )
        try:
            return (yield nested_run(settings, where, node, inner))
        except Exception as error:
            place_error(error, None, f"[{index}]", inputs, outer=True)
            raise

    results = yield All(item(index, row) for index, row in enumerate(rows))
    return node.columns(results)


def nested_run(settings: Settings, scope: Scope, node: GraphNode, inner: Row) -> Flow:
    """Run the graph of a node on the parent's runner, or on the one that the node brings."""
    if node.runner is None:
        return (yield run_flow(settings, scope, plan_of(node.graph), inner))
    result = yield Nest(node, inner, Context(settings, scope))
    if result.error is not None:
        raise result.error
    return result.values


def inner_scope(
    settings: Settings, scope: Scope, index: int | None = None, size: int | None = None
) -> Scope:
    """Return the scope of a run nested in another; its ids are made only if somebody listens."""
    if settings.emit is None:
        return scope
    return Scope(
        settings.new_run_id(), settings.new_span_id(), scope.span_id, scope.run_id, index, size
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
            return (yield run_flow(settings, inner, plan, {**inputs, **dict(zip(names, row))}))
        except Exception as error:
            place_item(error, index, plan.graph.name, inputs)
            if keep_errors:
                return error
            raise

    results: list[Any] = []

    def body() -> Flow:
        results.extend((yield All(item(index, row) for index, row in enumerate(rows))))

    if settings.emit is None:
        yield from body()
    else:
        yield from reported_run(settings, scope, plan.graph.name, inputs, body(), dict)
    return results
