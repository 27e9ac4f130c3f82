"""Carrying out a flow: the one loop between a flow and the runner that carries out its effects.

Rule of this file: how an effect is done is told by a table of handlers, one per type; why, by the flow.
What has no handler is a flow itself, or all of several, which are done one by one.
The loop is a coroutine that suspends only where a handler has to wait, so a runner whose handlers never
do runs it with `run_now`, without any event loop. Flows within flows are kept on a list, not on
Python's stack, so nesting costs no recursion.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping
from typing import Any

from hypergraph.events.dispatch import Dispatcher
from hypergraph.events.types import Event
from hypergraph.execution.effects import All, Flow

Handlers = Mapping[type, Callable[[Any], Any]]


class Later:
    """What a handler returns when the result of its effect has to be awaited."""

    __slots__ = ("awaitable",)

    def __init__(self, awaitable: Awaitable[Any]) -> None:
        self.awaitable = awaitable


class Escaped:
    """A ``StopIteration`` that left a flow or a call, which no coroutine can raise.

    Python disguises one that leaves a generator as a ``RuntimeError`` (PEP 479); one that a node raised
    is stripped of that by `drive`.
    """

    __slots__ = ("error",)

    def __init__(self, error: StopIteration) -> None:
        self.error = error


async def drive(flow: Flow, handlers: Handlers, emit: Dispatcher | None) -> Any:
    """Carry out a flow to its end and return its result. Exceptions leave as they are, and a listener's
    are reported to ``emit``."""
    handler_of = handlers.get
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
            argument = stopped if raised.__cause__ is stopped is not None else raised
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
            if type(argument) is Later:
                argument = await argument.awaitable
                if type(argument) is Escaped:
                    raise argument.error
        except BaseException as raised:
            step, argument = flow.throw, raised
            if isinstance(effect, Event) and isinstance(raised, Exception) and emit is not None:
                emit.report(effect, raised)
                step, argument = send, None
            elif isinstance(raised, StopIteration):
                stopped = raised
    if isinstance(argument, StopIteration):
        return Escaped(argument)
    try:
        raise argument
    finally:  # an exception in a frame of its own traceback would be freed late
        argument = effect = stopped = None


def run_now(driving: Coroutine[Any, Any, Any]) -> Any:
    """Return the result of a `drive` whose handlers never wait."""
    try:
        driving.send(None)
    except StopIteration as done:
        result = done.value
    else:
        driving.close()
        raise AssertionError("a handler of a runner that blocks has to wait")
    if type(result) is Escaped:
        raise result.error
    return result


def _one_by_one(effect: All) -> Generator[Any, Any, list[Any]]:
    results = []
    for flow in effect.flows:
        results.append((yield from flow))  # noqa: PERF401  a comprehension cannot yield
    return results
