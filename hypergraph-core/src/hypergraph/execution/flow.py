"""The life of a run, a node, a nested graph and a map, each one generator that yields effects.

Rule of this file: order, events, caching and places of errors are decided here, once, for every runner
that interprets effects. How an effect is carried out is the runner's affair.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from hypergraph.events.types import (
    NodeEndEvent,
    NodeErrorEvent,
    NodeStartEvent,
    RouteDecisionEvent,
    RunEndEvent,
    RunStartEvent,
    StreamingChunkEvent,
)
from hypergraph.execution.cached import cached_call
from hypergraph.execution.calls import unpack
from hypergraph.execution.collect import join_chunks
from hypergraph.execution.context import Context, Scope, Settings
from hypergraph.execution.effects import DONE, All, Call, CacheFlush, Flow, Nest, Next
from hypergraph.execution.execution import Execution
from hypergraph.execution.mapping import map_rows
from hypergraph.execution.places import place_error, place_item
from hypergraph.execution.plan import Plan, plan_of
from hypergraph.graph import GraphNode
from hypergraph.nodes import CallableNode, GateNode
from hypergraph.results import RunStatus

Row = dict[str, Any]


def whole_run(flow: Flow, settings: Settings) -> Flow:
    """Run a flow and leave the cache in order, however it ends."""
    try:
        return (yield flow)
    finally:
        if settings.cache is not None:
            yield CacheFlush()


def run_flow(settings: Settings, scope: Scope, plan: Plan, inputs: Mapping[str, Any]) -> Flow:
    """Run a plan; returns the outputs of every node that ran.

    Inputs that do not fit are refused before the first event.
    """
    execution = Execution(plan.schedule(tuple(inputs)), inputs, settings.limit)
    body = _generations(settings, scope, execution)
    if settings.emit is None:
        yield from body
        return execution.result()
    name, outputs = plan.graph.name, execution.result
    return (yield from reported_run(settings, scope, name, inputs, body, outputs))


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
        run_id=scope.run_id,
        span_id=scope.span_id,
        parent_span_id=scope.parent_span_id,
        time=started,
        graph_name=graph_name,
        inputs=inputs,
        started_at=settings.wall(),
        session_id=settings.session_id,
        parent_run_id=scope.parent_run_id,
        map_index=scope.map_index,
        map_size=scope.map_size,
    )
    try:
        yield from body
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
    ended = settings.clock()
    return RunEndEvent(
        run_id=scope.run_id,
        span_id=scope.span_id,
        parent_span_id=scope.parent_span_id,
        time=ended,
        graph_name=graph_name,
        status=RunStatus.COMPLETED if error is None else RunStatus.FAILED,
        outputs=outputs,
        duration_ms=(ended - started) * 1000,
        error=error,
    )


def _generations(settings: Settings, scope: Scope, execution: Execution) -> Flow:
    """Run generation after generation until nothing is due."""
    while batch := execution.take():
        if len(batch) == 1:
            results = [(yield from _node(settings, scope, execution, batch[0]))]
        else:
            results = yield All([_node(settings, scope, execution, number) for number in batch])
        execution.commit(batch, results)


# --- one node ---------------------------------------------------------------------------------


def _node(settings: Settings, scope: Scope, execution: Execution, number: int) -> Flow:
    """Run one node; returns its decoded result."""
    node, decode = execution.tables.nodes[number], execution.tables.decode[number]
    inputs = execution.inputs(number)
    if settings.emit is not None:
        return (yield from _reported_node(settings, scope, execution, number, inputs))
    graph_name = execution.schedule.plan.graph.name
    if isinstance(node, GraphNode):
        return (yield from _nested(settings, scope, graph_name, node, inputs))
    assert isinstance(node, CallableNode)
    try:
        value, _ = yield from _value(settings, scope, graph_name, node, inputs)
        return value if decode is None else decode(value)
    except Exception as error:
        place_error(error, graph_name, node.name, node.inputs)
        raise


def _reported_node(
    settings: Settings, scope: Scope, execution: Execution, number: int, inputs: Row
) -> Flow:
    """Run one node between its events; returns its decoded result."""
    node, decode = execution.tables.nodes[number], execution.tables.decode[number]
    name, graph_name, clock = node.name, execution.schedule.plan.graph.name, settings.clock
    run_id, span_id, parent = scope.run_id, settings.new_span_id(), scope.span_id
    inner = Scope(run_id, span_id, parent)
    cached = False
    started = clock()
    yield NodeStartEvent(run_id, span_id, parent, started, name, graph_name, inputs)
    try:
        if isinstance(node, CallableNode):
            value, cached = yield from _value(settings, inner, graph_name, node, inputs)
            result = value if decode is None else decode(value)
            outputs = _by_name(node.outputs, result)
            if isinstance(node, GateNode):
                decision = tuple(map(str, node.decide(value)))
                now = clock()
                yield RouteDecisionEvent(run_id, span_id, parent, now, name, graph_name, decision)
        else:
            assert isinstance(node, GraphNode)
            outputs = result = yield from _nested(settings, inner, graph_name, node, inputs)
    except Exception as error:
        if isinstance(node, CallableNode):
            place_error(error, graph_name, name, node.inputs)
        ended = clock()
        spent = (ended - started) * 1000
        yield NodeErrorEvent(run_id, span_id, parent, ended, name, graph_name, error, spent)
        raise
    ended = clock()
    spent = (ended - started) * 1000
    yield NodeEndEvent(run_id, span_id, parent, ended, name, graph_name, outputs, spent, cached)
    return result


def _by_name(names: tuple[str, ...], result: Any) -> Row:
    if len(names) == 1:
        return {names[0]: result}
    return dict(zip(names, result)) if names else {}


def _value(
    settings: Settings, scope: Scope, graph_name: str | None, node: CallableNode, inputs: Row
) -> Flow:
    """Get what a node's function returns, from the cache or by calling it; returns it and which."""
    if settings.cache is not None and node.cache:
        return (yield from cached_call(settings, scope, graph_name, node, inputs, call_node))
    return (yield from call_node(settings, scope, graph_name, node, inputs)), False


def call_node(
    settings: Settings, scope: Scope, graph_name: str | None, node: CallableNode, inputs: Row
) -> Flow:
    """Call a node's function; the chunks of a generator are reported one by one if somebody listens."""
    if not node.is_generator or settings.emit is None:
        return (yield Call(node, inputs))
    generator = yield Call(node, inputs, True)
    chunks: list[Any] = []
    while (chunk := (yield Next(generator))) is not DONE:
        yield StreamingChunkEvent(
            run_id=scope.run_id,
            span_id=scope.span_id,
            parent_span_id=scope.parent_span_id,
            time=settings.clock(),
            node_name=node.name,
            graph_name=graph_name,
            chunk=chunk,
            index=len(chunks),
        )
        chunks.append(chunk)
    return join_chunks(chunks, node.func)


# --- nested graphs and maps -------------------------------------------------------------------


def _nested(
    settings: Settings, scope: Scope, graph_name: str | None, node: GraphNode, inputs: Row
) -> Flow:
    """Run a nested graph once or per item; returns its outputs by outer name."""
    try:
        if node.map_params:
            return (yield from _mapped(settings, scope, graph_name, node, inputs))
        inner = {node.inner_inputs[outer]: value for outer, value in inputs.items()}
        outputs = yield nested_run(settings, inner_scope(settings, scope), node, inner)
    except Exception as error:
        place_error(error, graph_name, node.name, inputs, outer=True)
        raise
    return {o: outputs[name] for o, name in node.inner_outputs.items() if name in outputs}


def _mapped(
    settings: Settings, scope: Scope, graph_name: str | None, node: GraphNode, inputs: Row
) -> Flow:
    where = f"nested graph {node.name!r}"
    size, rows = map_rows(node.map_params, inputs, node.map_mode, where)
    shared = {node.inner_inputs[o]: v for o, v in inputs.items() if o not in node.map_params}
    names = tuple(node.inner_inputs[outer] for outer in node.map_params)

    def item(index: int, row: Sequence[Any]) -> Flow:
        inner = {**shared, **dict(zip(names, row))}
        try:
            return (
                yield nested_run(settings, inner_scope(settings, scope, index, size), node, inner)
            )
        except Exception as error:
            place_error(error, None, f"[{index}]", inputs, outer=True)
            raise

    results = yield All(item(index, row) for index, row in enumerate(rows))
    return {o: [r.get(name) for r in results] for o, name in node.inner_outputs.items()}


def nested_run(settings: Settings, scope: Scope, node: GraphNode, inner: Row) -> Flow:
    """Run the graph of a node on the parent's runner, or on the one that the node brings."""
    if node.runner is None:
        return (yield run_flow(settings, scope, plan_of(node.graph), inner))
    result = yield Nest(node, inner, Context(settings, scope))
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
    shared: Mapping[str, Any],
    names: tuple[str, ...],
    rows: Iterator[Sequence[Any]],
    keep_errors: bool,
) -> Flow:
    """Run a plan once per row; returns the list of outputs, or of exceptions with ``keep_errors``."""
    given = (*shared, *names)
    plan.schedule(given)  # refuse what does not fit before anything runs, even with no item

    def item(index: int, row: Sequence[Any]) -> Flow:
        inner = inner_scope(settings, scope, index)
        try:
            return (yield from run_flow(settings, inner, plan, {**shared, **dict(zip(names, row))}))
        except Exception as error:
            place_item(error, index, plan.graph.name, given)
            if keep_errors:
                return error
            raise

    results: list[Any] = []

    def body() -> Flow:
        results.extend((yield All(item(index, row) for index, row in enumerate(rows))))

    if settings.emit is None:
        yield from body()
    else:
        yield from reported_run(settings, scope, plan.graph.name, shared, body(), dict)
    return results
