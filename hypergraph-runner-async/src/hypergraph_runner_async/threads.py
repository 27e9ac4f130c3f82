"""Blocking calls in worker threads.

Rule of this file: a thread cannot be stopped, so who is cancelled waits for it: no call outlives its
run. Leaf calls and nested runs have threads of their own: a nested run may block on a slot that a leaf
call holds, and must not keep the thread that this call waits for.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

import anyio
import anyio.lowlevel
import anyio.to_thread

from hypergraph_runner_async.waking import outlast

T = TypeVar("T")

MOST_THREADS = 512
"""How many threads of a kind there are at most in one event loop; further calls wait."""

_Limit = anyio.lowlevel.RunVar[anyio.CapacityLimiter]
_for_calls = _Limit("hypergraph_threads_for_calls")
_for_runs = _Limit("hypergraph_threads_for_runs")


async def in_worker_thread(call: Callable[[], T]) -> T:
    """Make a blocking leaf call in a worker thread, the context copied; return its result.

    Its exception arrives as the same object (``StopIteration``, as from any coroutine, as the cause of a
    ``RuntimeError``). Being cancelled meanwhile is raised when the call has ended.
    """
    return await _in_thread(call, _for_calls)


async def run_in_worker_thread(run: Callable[[], T], cancel: Callable[[], None] | None = None) -> T:
    """Do the same for a nested run that blocks; being cancelled calls ``cancel``, to end it early."""
    return await _in_thread(run, _for_runs, cancel)


async def _in_thread(
    call: Callable[[], T], limit: _Limit, cancel: Callable[[], None] | None = None
) -> T:
    limiter = limit.get(None)
    if limiter is None:
        limiter = anyio.CapacityLimiter(MOST_THREADS)
        limit.set(limiter)
    future: Future[T] = Future()
    try:
        await anyio.to_thread.run_sync(_fulfil, future, call, limiter=limiter)
    except BaseException:
        if not future.cancel():  # it has begun
            if cancel is not None:
                cancel()
            await outlast(future)
        raise
    try:
        return future.result()
    finally:
        del future  # the traceback of a failure holds this frame: leave no reference cycle


def _fulfil(future: Future[T], call: Callable[[], T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(call())
    except BaseException as error:
        future.set_exception(error)
