"""The life of one node that is called: its events, its cache, its retries.

Rule of this file: it begins with the inputs of a node and ends with its decoded result, or with its
exception, placed. What a nested graph is made of is not its affair.
"""

from __future__ import annotations

from typing import Any

from hypergraph.cache.base import MISS
from hypergraph.events.types import (
    NodeEndEvent,
    NodeErrorEvent,
    NodeRetryEvent,
    NodeStartEvent,
    RouteDecisionEvent,
)
from hypergraph.execution.cached import look_up, reads_once, store
from hypergraph.execution.calls import positional
from hypergraph.execution.context import Scope, Settings
from hypergraph.execution.effects import Call, Flow, Sleep, Stream
from hypergraph.execution.execution import Execution
from hypergraph.execution.places import place_error
from hypergraph.execution.records import GATE, ONE_OUTPUT, SEVERAL_OUTPUTS


def call_node(settings: Settings, scope: Scope, execution: Execution, number: int) -> Flow:
    """Run a node that nobody listens to; returns its decoded result."""
    node, name, _, function, read, decode, _ = execution.tables.records[number]
    call = Call(function, read(execution.values), node)
    try:
        if settings.cache is not None and node.cache:
            _, result, _ = yield _answer(settings, scope, execution, number, call)
            return result
        if node.retry is None:
            value = yield call
        else:
            value = yield from _retried(settings, scope, execution.graph_name, call)
        return value if decode is None else decode(value)
    except Exception as error:
        place_error(error, execution.graph_name, name, node.inputs)
        raise


def report_node(settings: Settings, scope: Scope, execution: Execution, number: int) -> Flow:
    """Run a node between its events; returns its decoded result."""
    node, name, kind, function, read, decode, _ = execution.tables.records[number]
    graph_name, clock = execution.graph_name, settings.clock
    run_id, span_id, parent = scope.run_id, settings.new_span_id(), scope.span_id
    inputs = read(execution.values)
    cached = False
    started = clock()
    start = NodeStartEvent(run_id, span_id, parent, started, name, graph_name, inputs)
    try:
        cacheable = settings.cache is not None and node.cache
        if cacheable or node.is_generator or node.retry is not None:
            yield start
            inner = Scope(run_id, span_id, parent, trail=scope.trail)
            call = Call(function, inputs, node)
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
    except GeneratorExit:  # nobody is left to carry out an effect
        raise
    except BaseException as error:
        if isinstance(error, Exception):
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
        effect: Call | Stream = call
        if settings.emit is not None and node.is_generator:
            effect = Stream(positional(node), call.inputs, node, scope, graph_name)
        value = yield from _retried(settings, scope, graph_name, effect)
    decode = tables.records[number].decode
    result = value if decode is None else decode(value)
    cut_short = settings.stop is not None and settings.stop.cut_short
    if key is not None and not (cut_short and node.is_generator):
        unpacked = tables.kinds[number] == SEVERAL_OUTPUTS and reads_once(value)
        yield from store(settings, scope, graph_name, node, key, result if unpacked else value)
    return value, result, cached


def _retried(settings: Settings, scope: Scope, graph_name: str | None, call: Call | Stream) -> Flow:
    """Call a node until it succeeds, or its policy gives up; then its last exception is raised."""
    policy, name = call.node.retry, call.node.name
    attempt = 1
    while True:
        try:
            return (yield call)
        except Exception as error:
            delay = None  # nothing is tried again once the run is stopped
            if policy is not None and not settings.stopping(scope.trail):
                delay = policy.delay(attempt, error, settings.random())
            if delay is None:
                raise
            if settings.emit is not None:
                now = settings.clock()
                yield NodeRetryEvent(*scope.ids, now, name, graph_name, attempt, delay, error)
        yield Sleep(delay)
        attempt += 1
