"""How a runner calls another one for a nested graph.

Rule of this file: the way follows from the two ``returns_coroutine`` flags alone, by the table
`STRATEGIES`. A new runner declares its flag and is done.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Awaitable, Callable, Mapping
from enum import Enum
from typing import Any

from hypergraph.graph import Graph
from hypergraph.results import RunResult
from hypergraph.runners.base import BaseRunner


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
    if STRATEGIES[False, nested.capabilities.returns_coroutine] is Strategy.CALL:
        return _finished(nested.execute(graph, values, context))

    async def nested_run() -> RunResult:
        return await _pending(nested.execute(graph, values, context))

    if _inside_event_loop():
        return _run_in_fresh_thread(nested_run)
    return asyncio.run(nested_run())


async def call_from_async(
    nested: BaseRunner, graph: Graph, values: Mapping[str, Any], context: Any
) -> RunResult:
    """Run a nested graph for a parent that awaits, and return its result.

    A runner that blocks gets a worker thread with the context copied, so the event loop goes on.
    Exceptions arrive as the same objects. A thread cannot be stopped: when the parent is cancelled,
    a nested run in one ends by itself, and its result is dropped.
    """
    if STRATEGIES[True, nested.capabilities.returns_coroutine] is Strategy.AWAIT:
        return await _pending(nested.execute(graph, values, context))
    outcome = _Outcome()
    await asyncio.to_thread(
        outcome.record, lambda: _finished(nested.execute(graph, values, context))
    )
    return outcome.unwrap()


def _finished(result: RunResult | Awaitable[RunResult]) -> RunResult:
    if isinstance(result, RunResult):
        return result
    if asyncio.iscoroutine(result):
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
        except BaseException as error:  # noqa: BLE001 - `unwrap` raises it where it belongs
            self.error = error

    def unwrap(self) -> RunResult:
        if self.error is None:
            return self.result
        try:
            raise self.error
        finally:
            self.error = None  # the traceback holds this frame: leave no reference cycle


def _run_in_fresh_thread(nested_run: Callable[[], Awaitable[RunResult]]) -> RunResult:
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
