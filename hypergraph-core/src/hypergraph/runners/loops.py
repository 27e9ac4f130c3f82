"""Event loops and threads for nested runs.

Rule of this file: whatever happens to a call in another thread happens to its caller: the
result, the same exception object and, the other way round, an interruption.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from hypergraph.results import RunResult


def run_in_own_loop(nested_run: Callable[[], Coroutine[Any, Any, RunResult]]) -> RunResult:
    """Run a coroutine to its end in a new event loop, and return its result.

    The loop runs in this thread, or in a fresh one where a loop is running here already.
    """
    if _inside_event_loop():
        return _run_in_fresh_thread(nested_run)
    return asyncio.run(nested_run())


async def run_in_worker_thread(nested_run: Callable[[], RunResult]) -> RunResult:
    """Run a blocking call in a worker thread with the context copied, and return its result."""
    outcome = _Outcome()
    await asyncio.to_thread(outcome.record, nested_run)
    return outcome.unwrap()


def _inside_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class _Outcome:
    """What a call in another thread came to.

    An exception travels in here and not in a future, because a future refuses ``StopIteration``
    (an awaiting task would then wait for ever on Python 3.11).
    """

    __slots__ = ("error", "result")

    result: RunResult
    error: BaseException | None

    def record(self, call: Callable[[], RunResult]) -> None:
        self.error = None
        try:
            self.result = call()
        except BaseException as error:
            self.error = error

    def unwrap(self) -> RunResult:
        if self.error is None:
            return self.result
        try:
            raise self.error
        finally:
            self.error = None  # the traceback holds this frame: leave no reference cycle


def _run_in_fresh_thread(nested_run: Callable[[], Coroutine[Any, Any, RunResult]]) -> RunResult:
    outcome = _Outcome()
    cancelled, finished = threading.Event(), threading.Event()
    running: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any] | None]] = []

    async def body() -> RunResult:
        running.append((asyncio.get_running_loop(), asyncio.current_task()))
        if cancelled.is_set():
            raise asyncio.CancelledError
        return await nested_run()

    def target() -> None:
        try:
            outcome.record(lambda: asyncio.run(body()))
        finally:
            finished.set()

    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(target,), name="hypergraph-nested-run")
    try:
        thread.start()
        finished.wait()  # and not join(): interrupted once, it never waits again on Python 3.11
    except BaseException:  # such as KeyboardInterrupt, which only the main thread receives
        cancelled.set()
        for loop, task in running:
            _cancel(loop, task)
        if thread in threading.enumerate():  # not if it could not be started
            finished.wait()
        raise
    thread.join()
    return outcome.unwrap()


def _cancel(loop: asyncio.AbstractEventLoop, task: asyncio.Task[Any] | None) -> None:
    if task is None:
        return
    try:
        loop.call_soon_threadsafe(task.cancel)
    except RuntimeError:  # the loop was closed a moment ago: the run is over
        return
