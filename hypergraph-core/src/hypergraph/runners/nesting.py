"""For runners with a machinery of their own: their part in a run across several runners.

Rule of this file: what such a runner hands down to the runner of a nested graph, and what it heeds when
it is the nested one. The engine's runners do both by themselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial

from hypergraph.events.dispatch import check_processors, dispatcher
from hypergraph.events.processor import EventProcessor
from hypergraph.execution.context import Context, Scope, Settings
from hypergraph.results import new_run_id
from hypergraph.runners.cancellation import current_cancellation
from hypergraph.runners.clock import SystemClock
from hypergraph.runners.engine import new_random, new_span_id
from hypergraph.runners.limits import Slot, current_limiter


def nested_context(
    *,
    event_processors: Sequence[EventProcessor] = (),
    run_id: str | None = None,
    span_id: int | None = None,
    session_id: str | None = None,
    max_iterations: int = 1000,
    map_index: int | None = None,
    map_size: int | None = None,
) -> Context:
    """Return what ``execute`` of a nested graph's runner is to be given.

    ``event_processors`` are told the events of the nested run. ``run_id`` and ``span_id``: of the outer
    run, and of the node in it that holds the nested graph. ``map_index`` and ``map_size``: which item it
    is, of how many, if the node is mapped. Call the nested runner with it through `call_from_sync` or
    `call_from_async`.
    """
    processors = check_processors(event_processors)
    settings = Settings(
        limit=max_iterations,
        clock=SystemClock.monotonic,
        wall=SystemClock.time,
        random=new_random,
        new_run_id=new_run_id,
        new_span_id=new_span_id,
        emit=dispatcher(processors),
        processors=processors,
        session_id=session_id,
    )
    scope = Scope(new_run_id(), new_span_id(), span_id, run_id, map_index, map_size)
    return Context(settings, scope)


@contextmanager
def leaf_call() -> Iterator[None]:
    """``with leaf_call():`` around the call of one node heeds the run around this one, if there is any.

    It waits for a slot of that run's ``max_concurrency``, blocking the thread, and raises `Cancelled`
    instead if that run was cancelled.
    """
    cancellation, limiter = current_cancellation.get(), current_limiter.get()
    if cancellation is not None:
        cancellation.check()
    if limiter is None:
        yield
        return
    with Slot(limiter):
        yield


@asynccontextmanager
async def leaf_call_async() -> AsyncIterator[None]:
    """``async with leaf_call_async():`` is `leaf_call` for asyncio: the event loop goes on meanwhile.

    A run that is awaited is cancelled by an exception, so there is nothing else to heed.
    """
    limiter = current_limiter.get()
    if limiter is None:
        yield
        return
    if not limiter.acquire_nowait():
        loop, granted = asyncio.get_running_loop(), asyncio.Event()
        waiter = limiter.add_waiter(partial(_call_soon, loop, granted.set))
        try:
            await granted.wait()
        except BaseException:
            waiter.cancel()
            raise
    token = current_limiter.set(None)
    try:
        yield
    finally:
        current_limiter.reset(token)
        limiter.release()


def _call_soon(loop: asyncio.AbstractEventLoop, callback: Callable[[], object]) -> None:
    """Call something in an event loop, from any thread."""
    loop.call_soon_threadsafe(callback)
