"""Carrying out effects by calling.

Rule of this file: how each effect is done, and nothing of why. Nothing here waits for anything but the
calls themselves, so the loop that drives a flow never suspends.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypergraph.events.dispatch import Dispatcher
from hypergraph.execution.context import Settings
from hypergraph.execution.drive import drive, run_now
from hypergraph.execution.effects import Call, Flow, Nest, Sleep, Stream
from hypergraph.execution.streaming import stream_chunks
from hypergraph.runners.cancellation import Cancellation
from hypergraph.runners.clock import Clock, SystemClock
from hypergraph.runners.handlers import Handlers, plain_handlers
from hypergraph.runners.limits import Limiter, Slot
from hypergraph.runners.strategy import call_from_sync


def carry_out(
    flow: Flow,
    settings: Settings,
    clock: Clock,
    limiter: Limiter | None = None,
    cancellation: Cancellation | None = None,
) -> Any:
    """Carry out a flow to its end and return its result. Exceptions leave as they are.

    ``limiter``: what bounds the calls of the run around this one. ``cancellation``: how that run is
    cancelled.
    """
    sleep = clock.sleep
    if cancellation is not None and isinstance(clock, SystemClock):
        sleep = cancellation.sleep
    handlers: Handlers = {
        **plain_handlers(settings),
        Call: _call,
        Nest: _nest,
        Sleep: lambda effect: sleep(effect.seconds),
    }
    emit = settings.emit
    if emit is not None:
        handlers[Call] = _telling(emit)
        handlers[Stream] = lambda effect: stream_chunks(effect, settings)
    calls = handlers.keys() & {Call, Stream}
    if limiter is not None:
        handlers.update({kind: _limited(handlers[kind], limiter) for kind in calls})
    if cancellation is not None:
        handlers.update({kind: _unless(cancellation, handlers[kind]) for kind in {*calls, Nest}})
    return run_now(drive(flow, handlers, emit))


def _unless(cancellation: Cancellation, call: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return what makes a call if the run has not been cancelled."""

    def checked(effect: Any) -> Any:
        cancellation.check()
        return call(effect)

    return checked


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
