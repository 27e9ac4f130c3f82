"""Carrying out effects by calling.

Rule of this file: the driver knows how each effect is done and nothing of why. Flows within flows are
kept on a list, not on Python's stack, so nesting costs no recursion.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from hypergraph.events.dispatch import Dispatcher
from hypergraph.events.types import EVENTS, Event
from hypergraph.execution.context import Settings
from hypergraph.execution.effects import (
    DONE,
    All,
    Answer,
    CacheFlush,
    CacheGet,
    CachePut,
    Call,
    Flow,
    Nest,
    Next,
)
from hypergraph.runners.strategy import call_from_sync

Handlers = dict[type, Callable[[Any], Any]]


def drive(flow: Flow, settings: Settings) -> Any:
    """Carry out a flow to its end and return its result. Exceptions leave as they are.

    Python disguises a ``StopIteration`` that leaves a generator as a ``RuntimeError`` (PEP 479); one
    that a node raised is stripped of that here.
    """
    handler_of = _handlers(settings).get
    outer: list[Flow] = []
    send = step = flow.send
    argument: Any = None
    stopped: StopIteration | None = None
    while True:
        try:
            effect = step(argument)
        except StopIteration as stop:
            if not outer:
                return stop.value
            flow, argument = outer.pop(), stop.value
            send = step = flow.send
            continue
        except BaseException as raised:
            hidden = stopped is not None and raised.__cause__ is stopped
            argument = stopped if hidden else raised
            if not outer:
                break
            flow = outer.pop()
            send, step = flow.send, flow.throw
            continue
        step = send
        handle = handler_of(type(effect))
        if handle is None:
            outer.append(flow)
            flow, argument = _one_by_one(effect) if type(effect) is All else effect, None
            send = step = flow.send
            continue
        try:
            argument = handle(effect)
        except BaseException as raised:
            if isinstance(effect, Event) and isinstance(raised, Exception):
                settings.emit.report(effect, raised)  # type: ignore[union-attr]
                argument = None
                continue
            step, argument = flow.throw, raised
            if isinstance(raised, StopIteration):
                stopped = raised
    try:
        raise argument
    finally:  # an exception in a frame of its own traceback would be freed late
        argument = effect = stopped = None


def _handlers(settings: Settings) -> Handlers:
    """Say how each effect is carried out. What has no handler is a flow, or all of several."""
    handlers: Handlers = {Call: _call, Next: _next, Nest: _nest}
    emit, cache = settings.emit, settings.cache
    if emit is not None:
        handlers.update(dict.fromkeys(EVENTS, emit.only or emit))
        handlers[Call] = _telling(emit)
    if cache is not None:
        get, put = cache.get, cache.put
        handlers[CacheGet] = lambda effect: get(effect.key)
        handlers[CachePut] = lambda effect: put(effect.key, effect.value)
        handlers[Answer] = lambda effect: effect.program.answer(effect.values, cache)
        handlers[CacheFlush] = lambda effect: cache.flush()
    return handlers


def _telling(emit: Dispatcher) -> Callable[[Call], Any]:
    """Return what emits the start of a node and calls it."""
    tell = emit.only or emit

    def call(effect: Call) -> Any:
        start = effect.start
        if start is not None:
            try:
                tell(start)
            except Exception as error:
                emit.report(start, error)
        return effect.function(*effect.inputs.values())

    return call


def _call(effect: Call) -> Any:
    return effect.function(*effect.inputs.values())


def _next(effect: Next) -> Any:
    return next(effect.generator, DONE)


def _nest(effect: Nest) -> Any:
    node = effect.node
    return call_from_sync(node.runner, node.graph, effect.inputs, effect.context)


def _one_by_one(effect: All) -> Generator[Any, Any, list[Any]]:
    results = []
    for flow in effect.flows:
        results.append((yield from flow))  # noqa: PERF401  a comprehension cannot yield
    return results
