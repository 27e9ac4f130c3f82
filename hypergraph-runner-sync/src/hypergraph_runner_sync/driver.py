"""Carrying out effects by calling.

Rule of this file: how each effect is done, and nothing of why. Nothing here waits for anything but the
calls themselves, so the loop that drives a flow never suspends.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypergraph.events.dispatch import Dispatcher
from hypergraph.events.types import EVENTS
from hypergraph.execution.context import Settings
from hypergraph.execution.drive import drive, run_now
from hypergraph.execution.effects import (
    Answer,
    CacheFlush,
    CacheGet,
    CachePut,
    Call,
    Flow,
    Nest,
    Sleep,
    Stream,
)
from hypergraph.execution.streaming import stream_chunks
from hypergraph.runners.limits import Limiter, Slot
from hypergraph.runners.strategy import call_from_sync

Handlers = dict[type, Callable[[Any], Any]]


def carry_out(
    flow: Flow,
    settings: Settings,
    sleep: Callable[[float], None],
    limiter: Limiter | None = None,
) -> Any:
    """Carry out a flow to its end and return its result. Exceptions leave as they are.

    ``limiter``: what bounds the calls of the run around this one.
    """
    handlers: Handlers = {Call: _call, Nest: _nest, Sleep: lambda effect: sleep(effect.seconds)}
    emit, cache = settings.emit, settings.cache
    if emit is not None:
        handlers.update(dict.fromkeys(EVENTS, emit.only or emit))
        handlers[Call] = _telling(emit)
        handlers[Stream] = lambda effect: stream_chunks(effect, settings)
    if cache is not None:
        get, put = cache.get, cache.put
        handlers[CacheGet] = lambda effect: get(effect.key)
        handlers[CachePut] = lambda effect: put(effect.key, effect.value)
        handlers[Answer] = lambda effect: effect.program.answer(effect.values, cache)
        handlers[CacheFlush] = lambda effect: cache.flush()
    if limiter is not None:
        for kind in (Call, Stream):
            if kind in handlers:
                handlers[kind] = _limited(handlers[kind], limiter)
    return run_now(drive(flow, handlers, emit))


def _limited(call: Callable[[Any], Any], limiter: Limiter) -> Callable[[Any], Any]:
    """Return what makes a call when there is room for it."""

    def limited(effect: Any) -> Any:
        with Slot(limiter):
            return call(effect)

    return limited


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


def _nest(effect: Nest) -> Any:
    node = effect.node
    return call_from_sync(node.runner, node.graph, effect.inputs, effect.context)
