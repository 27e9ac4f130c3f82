"""Event loops and threads for nested runs.

Rule of this file: whatever happens to a call in another thread happens to its caller: the
result, the same exception object and, the other way round, an interruption.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from hypergraph.runners.cancellation import current_cancellation

T = TypeVar("T")

_SECONDS = 0.1  # between two looks at whether a call that waits has been cancelled


def run_in_own_loop(nested_run: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine to its end in a new event loop, and return its result.

    The loop runs in this thread, or in a fresh one where a loop is running here already. If this thread
    runs on behalf of something that is cancelled, so is the coroutine.
    """
    if _inside_event_loop():
        return _run_in_fresh_thread(nested_run)
    cancellation = current_cancellation.get()
    if cancellation is None:
        return asyncio.run(nested_run())

    async def body() -> T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        with cancellation.telling(lambda: _cancel(loop, task)):
            return await nested_run()

    try:
        return asyncio.run(body())
    except asyncio.CancelledError:
        cancellation.check()
        raise


async def run_in_worker_thread(nested_run: Callable[[], T], cancel: Callable[[], None]) -> T:
    """Run a blocking call in a worker thread with the context copied, and return its result.

    Being cancelled meanwhile calls ``cancel``, and is raised when the call has ended.
    """
    outcome: _Outcome[T] = _Outcome()
    thread = asyncio.ensure_future(asyncio.to_thread(outcome.record, nested_run))
    try:
        await asyncio.shield(thread)
    except asyncio.CancelledError:
        cancel()
        while not thread.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.shield(thread)
        raise
    return outcome.unwrap()


def _inside_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class _Outcome(Generic[T]):
    """What a call in another thread came to.

    An exception travels in here and not in a future, because a future refuses ``StopIteration``
    (an awaiting task would then wait for ever on Python 3.11).
    """

    __slots__ = ("error", "result")

    result: T
    error: BaseException | None

    def record(self, call: Callable[[], T]) -> None:
        self.error = None
        try:
            self.result = call()
        except BaseException as error:
            self.error = error

    def unwrap(self) -> T:
        if self.error is None:
            return self.result
        try:
            raise self.error
        finally:
            self.error = None  # the traceback holds this frame: leave no reference cycle


def _run_in_fresh_thread(nested_run: Callable[[], Coroutine[Any, Any, T]]) -> T:
    outcome: _Outcome[T] = _Outcome()
    cancelled, finished = threading.Event(), threading.Event()
    running: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any] | None]] = []

    async def body() -> T:
        running.append((asyncio.get_running_loop(), asyncio.current_task()))
        if cancelled.is_set():
            raise asyncio.CancelledError
        return await nested_run()

    def target() -> None:
        try:
            outcome.record(lambda: asyncio.run(body()))
        finally:
            finished.set()

    before = _cancellations()
    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(target,), name="hypergraph-nested-run")
    try:
        thread.start()
        # and not join(): interrupted once, it never waits again on Python 3.11
        while not finished.wait(_SECONDS):
            if _cancellations() > before:  # of the task that this call holds up, as by Ctrl-C
                raise asyncio.CancelledError
    except BaseException:  # such as KeyboardInterrupt, which only the main thread receives
        cancelled.set()
        for loop, task in running:
            _cancel(loop, task)
        if thread in threading.enumerate():  # not if it could not be started
            finished.wait()
        raise
    thread.join()
    return outcome.unwrap()


def _cancellations() -> int:
    """Return how often the task of this code was asked to cancel."""
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()


def _cancel(loop: asyncio.AbstractEventLoop, task: asyncio.Task[Any] | None) -> None:
    if task is None:
        return
    try:
        loop.call_soon_threadsafe(task.cancel)
    except RuntimeError:  # the loop was closed a moment ago: the run is over
        return
