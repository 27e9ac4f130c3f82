"""Running several calls at once.

Rule of this file: however it ends, every task that was started has ended too. What happens to a call is
kept aside and raised by `gather` itself, so one failure or interruption never tears down the event loop
around the others. asyncio's own tasks are used where asyncio runs, for speed; elsewhere a task group.
"""

from __future__ import annotations

import asyncio
import sys
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextvars import copy_context
from itertools import chain
from typing import Any, Final, Generic, TypeVar

import anyio
from anyio.abc import TaskGroup

from hypergraph_runner_async.waking import on_asyncio

T = TypeVar("T")
Call = Callable[[], Awaitable[T]]

_CALLS_PER_TASK: Final = 100  # then the event loop gets a turn, should none of them have awaited it


async def gather(
    calls: Iterable[Call[T]], *, limit: int | None = None, group: bool = False
) -> list[T]:
    """Run the calls at once, each in its own task and context, and return their results in order.

    With ``limit`` at most that many are under way; the next one is taken from ``calls`` when there is
    room for it, and may run in the task of one that has ended and left its context as it was. A single
    call is awaited in this task.

    When a call fails, no further one is started, the others are cancelled and awaited, and the first
    failure in order is raised, the same object; with ``group``, several come as an ``ExceptionGroup``.
    Being cancelled comes before them, and ``KeyboardInterrupt`` and its like before that. A call that is
    cancelled by anybody else counts as failed if none failed otherwise. As from any coroutine,
    ``StopIteration`` comes out as the cause of a ``RuntimeError`` (PEP 479).
    """
    if limit is not None and limit < 1:
        raise ValueError(f"limit must be at least 1, not {limit}")
    iterator = iter(calls)
    few: list[Call[T]] = []
    for call in iterator:
        few.append(call)
        if len(few) == 2:
            gathering = _Asyncio if on_asyncio() else _TaskGroup
            return await gathering(chain(few, iterator), limit or sys.maxsize, group).run()
    return [await call() for call in few]


class _Gathering(ABC, Generic[T]):
    """What is common: which call is next, what has come of the calls, what is raised in the end."""

    def __init__(self, calls: Iterator[Call[T]], limit: int, group: bool) -> None:
        self.calls: Iterator[Call[T]] | None = calls  # None when no further one is to be started
        self.limit = limit
        self.group = group
        self.context = copy_context()
        self.results: list[Any] = []
        self.failures: dict[int, BaseException] = {}
        self.running = 0
        self.starting = False

    @abstractmethod
    def spawn(self, index: int, call: Call[T]) -> None:
        """Start a task for a call, in a copy of the current context."""

    @abstractmethod
    def stop(self) -> None:
        """All have ended or one has failed: let `run` go on, in the next turn of the event loop."""

    def start(self) -> None:
        """Start calls as long as there is room."""
        if not self.starting:  # or a task that is run at once on being spawned comes back here
            self.starting = True
            self.context.run(self._start)
            self.starting = False

    def _start(self) -> None:
        while self.running < self.limit:
            taken = self.take()
            if taken is None:
                return
            self.running += 1
            self.spawn(*taken)

    def take(self) -> tuple[int, Call[T]] | None:
        """Return the next call and its number, if there is to be one. Runs in our own context."""
        if self.calls is None:
            return None
        try:
            call = next(self.calls)
        except StopIteration:
            self.calls = None
            return None
        except BaseException as error:
            self.failed(len(self.results), error)
            return None
        self.results.append(None)
        return len(self.results) - 1, call

    def failed(self, index: int, error: BaseException) -> None:
        self.calls = None
        self.failures[index] = error
        self.stop()

    def outcome(self, cancelled: BaseException | None) -> list[T]:
        """Return the results, or raise what comes first."""
        if cancelled is None and not self.failures:
            return self.results
        failures = [self.failures[index] for index in sorted(self.failures)]
        self.failures.clear()  # an exception in a frame of its own traceback would be freed late
        real = [error for error in failures if isinstance(error, Exception)]
        cancellation = anyio.get_cancelled_exc_class()
        fatal = [error for error in failures if not isinstance(error, (Exception, cancellation))]
        try:
            if fatal:
                raise fatal[0]
            if cancelled is not None:
                raise cancelled
            if self.group and len(real) > 1:
                raise ExceptionGroup("several calls failed", real)
            raise (real or failures)[0]
        finally:
            del failures, real, fatal, cancelled


class _Asyncio(_Gathering[T]):
    """Native tasks, without a callback each: a task reports by itself, as its last act."""

    def __init__(self, calls: Iterator[Call[T]], limit: int, group: bool) -> None:
        super().__init__(calls, limit, group)
        self.loop = asyncio.get_running_loop()
        self.waiter = self.loop.create_future()
        self.tasks: dict[int, asyncio.Task[None]] = {}
        self.cancelling = False

    def start(self) -> None:
        super().start()
        self.loop.call_soon(self.sweep)  # it comes when each new task has had its first turn

    def sweep(self) -> None:
        """Find tasks that somebody cancelled before they began: these cannot report."""
        for index, task in tuple(self.tasks.items()):
            if task.done() and not self.cancelling:
                del self.tasks[index]
                self.running -= 1
                self.failed(index, asyncio.CancelledError("cancelled before it began"))

    def spawn(self, index: int, call: Call[T]) -> None:
        task = self.loop.create_task(self.one(index, call))
        if not task.done():
            self.tasks[index] = task

    async def one(self, index: int, call: Call[T]) -> None:
        first, left = index, _CALLS_PER_TASK
        while True:
            try:
                self.results[index] = await call()
            except BaseException as error:
                if not (self.cancelling and isinstance(error, asyncio.CancelledError)):
                    self.failed(index, error)
            left -= 1
            if self.calls is None or self.starting or not left or self.is_used():
                break
            taken = self.context.run(self.take)
            if taken is None:
                break
            index, call = taken
        self.running -= 1
        self.tasks.pop(first, None)
        if self.calls is not None:
            self.start()
        if not (self.running or self.starting):
            self.stop()

    def is_used(self) -> bool:
        """Say whether a call has left something in this task that a next one would find."""
        task = asyncio.current_task()
        try:
            return copy_context() != self.context or task is None or task.cancelling() > 0
        except Exception:  # of a value that refuses to be compared
            return True

    def stop(self) -> None:
        if not (self.waiter.done() or self.loop.is_closed()):
            self.waiter.set_result(None)

    async def run(self) -> list[T]:
        self.start()
        cancelled = None
        if self.running:
            try:
                await self.waiter
            except asyncio.CancelledError as error:
                cancelled = error
            except BaseException:  # GeneratorExit: the loop is gone, nobody can be awaited
                for task in self.tasks.values():
                    task.cancel()
                raise
        if self.tasks:
            self.calls, self.cancelling = None, True
            again = await _end_tasks(self.tasks.values())
            cancelled = cancelled or again
        return self.outcome(cancelled)


async def _end_tasks(tasks: Iterable[asyncio.Task[Any]]) -> asyncio.CancelledError | None:
    """Cancel asyncio's tasks and wait until all have ended, however often the caller is cancelled.

    Each time it is, they are cancelled again; the last such cancellation is returned.
    """
    pending = list(tasks)
    cancelled = None
    with anyio.CancelScope(shield=True):
        for task in pending:
            task.cancel()
        while pending := [task for task in pending if not task.done()]:
            try:
                await asyncio.wait(pending)
            except asyncio.CancelledError as error:
                cancelled = error
                for task in pending:
                    task.cancel()
    return cancelled


class _TaskGroup(_Gathering[T]):
    """A task group, which cancels and awaits by itself; no call's failure gets as far as it."""

    tasks: TaskGroup

    def __init__(self, calls: Iterator[Call[T]], limit: int, group: bool) -> None:
        super().__init__(calls, limit, group)
        self.waiter = anyio.Event()

    def spawn(self, index: int, call: Call[T]) -> None:
        self.tasks.start_soon(self.one, index, call)

    async def one(self, index: int, call: Call[T]) -> None:
        try:
            self.results[index] = await call()
        except anyio.get_cancelled_exc_class():
            self.calls = None
            raise
        except BaseException as error:
            self.failed(index, error)
        self.running -= 1
        if self.calls is not None:
            self.start()
        if not self.running:
            self.stop()

    def stop(self) -> None:
        self.waiter.set()

    async def run(self) -> list[T]:
        interrupted: BaseException | None = None
        try:
            async with anyio.create_task_group() as self.tasks:
                self.start()
                if self.running:
                    await self.waiter.wait()
                self.tasks.cancel_scope.cancel()  # what is left after a failure
        except BaseExceptionGroup as errors:  # a task group wraps what is thrown here, as by Ctrl-C
            interrupted = _first(errors)
        except BaseException as error:
            interrupted = error
        return self.outcome(interrupted)


def _first(group: BaseExceptionGroup) -> BaseException:
    """Return the first exception of a group that is no cancellation."""
    rest = group.split(anyio.get_cancelled_exc_class())[1]
    error: BaseException = rest or group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
