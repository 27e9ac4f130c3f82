"""How a runner calls another one for a nested graph.

Rule of this file: the way follows from the two ``returns_coroutine`` flags alone, by the table
`STRATEGIES`. A new runner declares its flag and is done. Event loops and threads stand in `loops`,
which is imported when one is needed: most programs that block never need either.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from enum import Enum
from typing import Any

from hypergraph._deferred import deferred
from hypergraph.graph import Graph
from hypergraph.hooks import part_of_a_run
from hypergraph.results import RunResult
from hypergraph.runners.base import BaseRunner
from hypergraph.runners.cancellation import Cancellation, current_cancellation

InThread = Callable[[Callable[[], RunResult], Callable[[], None]], Awaitable[RunResult]]
"""Calls the first function in a worker thread, and the second one here when the caller is cancelled."""

_run_in_own_loop = deferred("hypergraph.runners.loops:run_in_own_loop")
_run_in_worker_thread = deferred("hypergraph.runners.loops:run_in_worker_thread")


class Strategy(Enum):
    """The four ways; the value says each in the words of the documentation."""

    AWAIT = "direct await"
    WORKER_THREAD = "asyncio.to_thread()"
    OWN_EVENT_LOOP = "asyncio.run()"
    CALL = "direct call"


STRATEGIES: Mapping[tuple[bool, bool], Strategy] = {
    (True, True): Strategy.AWAIT,
    (True, False): Strategy.WORKER_THREAD,
    (False, True): Strategy.OWN_EVENT_LOOP,
    (False, False): Strategy.CALL,
}
"""``(parent returns_coroutine, nested returns_coroutine)`` -> how the parent calls the nested."""


def call_from_sync(
    nested: BaseRunner, graph: Graph, values: Mapping[str, Any], context: Any
) -> RunResult:
    """Run a nested graph for a parent that blocks, and return its result.

    A coroutine gets an event loop of its own: in this thread, or, where one is running here
    already, in a fresh thread with this thread's context copied. Exceptions arrive as the same
    objects; a Ctrl-C in the meantime cancels the nested run before it is raised.
    """
    with part_of_a_run(graph):
        if STRATEGIES[False, nested.capabilities.returns_coroutine] is Strategy.CALL:
            return _finished(nested.execute(graph, values, context))

        async def nested_run() -> RunResult:
            return await _pending(nested.execute(graph, values, context))

        result: RunResult = _run_in_own_loop(nested_run)
        return result


async def call_from_async(
    nested: BaseRunner,
    graph: Graph,
    values: Mapping[str, Any],
    context: Any,
    in_thread: InThread = _run_in_worker_thread,
) -> RunResult:
    """Run a nested graph for a parent that awaits, and return its result.

    A runner that blocks gets a worker thread with the context copied, so the event loop goes on.
    Exceptions arrive as the same objects. A thread cannot be stopped: when the parent is cancelled, it
    waits for the nested run, which is told by its `Cancellation` and ends before its next call.
    ``in_thread`` is another way to call something in a worker thread: for event loops that are not
    asyncio's.
    """
    with part_of_a_run(graph):
        if STRATEGIES[True, nested.capabilities.returns_coroutine] is Strategy.AWAIT:
            return await _pending(nested.execute(graph, values, context))

        cancellation = Cancellation()

        def nested_run() -> RunResult:
            current_cancellation.set(cancellation)  # in the thread's own copy of the context
            return _finished(nested.execute(graph, values, context))

        result: RunResult = await in_thread(nested_run, cancellation.request)
        return result


def _finished(result: RunResult | Awaitable[RunResult]) -> RunResult:
    if isinstance(result, RunResult):
        return result
    if isinstance(result, Coroutine):
        result.close()  # or Python warns of a coroutine that was never awaited
    raise TypeError(
        f"execute() of a runner without returns_coroutine gave {type(result).__name__}, "
        "not a RunResult"
    )


def _pending(result: RunResult | Awaitable[RunResult]) -> Awaitable[RunResult]:
    if isinstance(result, Awaitable):
        return result
    raise TypeError(
        f"execute() of a runner with returns_coroutine gave {type(result).__name__}, "
        "not an awaitable"
    )
