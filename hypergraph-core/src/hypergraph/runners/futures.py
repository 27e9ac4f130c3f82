"""Runners that hand the calls of nodes to something that gives futures: a pool, a cluster.

Rule of this file: a subclass says how one call is submitted; what may be under way at once, and what
becomes of failures, is said here. It runs on an event loop of its own, which the caller never sees.
"""

from __future__ import annotations

import asyncio
import contextlib
from abc import abstractmethod
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any, ClassVar

from hypergraph.execution.collect import is_stream, join_chunks
from hypergraph.execution.context import Settings
from hypergraph.execution.drive import Escaped, Later, drive
from hypergraph.execution.effects import All, Call, Flow, Nest, Sleep, Stream
from hypergraph.execution.streaming import chunk_event
from hypergraph.runners.blocking import BlockingRunner
from hypergraph.runners.clock import Clock, SystemClock
from hypergraph.runners.handlers import Handlers, plain_handlers, tell_start
from hypergraph.runners.loops import run_in_own_loop
from hypergraph.runners.nesting import leaf_call_async
from hypergraph.runners.strategy import call_from_async


class FuturesRunner(BlockingRunner):
    """Base of the runners that submit the calls of nodes to an executor.

    Nodes of a generation, and items of a map, are under way together: ``at_once`` of them. A failure
    cancels what has not begun, and waits for what has. Everything else is as for every runner that
    blocks: ``run`` returns a dict of outputs.
    """

    at_once: ClassVar[int] = 64

    @abstractmethod
    def submit(self, call: Call) -> Future[Any]:
        """Begin a call; the future's result is that of ``call.function(*call.inputs.values())``.

        Called in the thread of the run. What it raises is taken for the node's own failure.
        """

    def carry_out(self, flow: Flow, settings: Settings, *, nested: bool = False) -> Any:
        """Carry out a flow on an event loop of its own."""
        result = run_in_own_loop(partial(_Driver(self, settings).carry_out, flow))
        if type(result) is Escaped:
            raise result.error
        return result


class _Driver:
    """Carries out the flows of one run."""

    def __init__(self, runner: FuturesRunner, settings: Settings) -> None:
        self._runner = runner
        self._settings = settings
        self._handlers: Handlers = {
            **plain_handlers(settings),
            Call: self._call,
            Stream: lambda effect: Later(self._streamed(effect)),
            Sleep: lambda effect: Later(_sleep(runner.clock, effect.seconds)),
            Nest: lambda effect: Later(self._nest(effect)),
            All: lambda effect: Later(self._together(effect)),
        }

    async def carry_out(self, flow: Flow) -> Any:
        """Carry out a flow to its end and return its result, or what `Escaped` from it."""
        return await drive(flow, self._handlers, self._settings.emit)

    def _call(self, effect: Call) -> Later:
        if effect.start is not None and self._settings.emit is not None:
            tell_start(self._settings.emit, effect.start)
        return Later(self._called(effect))

    async def _called(self, call: Call) -> Any:
        async with leaf_call_async():
            return await _result(self._runner.submit(call))

    async def _streamed(self, effect: Stream) -> Any:
        """Run a generator where every node runs, and tell of its chunks when they are here."""
        function = partial(_chunks, effect.function)
        result = await self._called(Call(function, effect.inputs, effect.node))
        if type(result) is Escaped:
            return result
        chunks, value = result
        if chunks is None:
            return value
        emit: Any = self._settings.emit
        event = chunk_event(effect, self._settings)
        for index, chunk in enumerate(chunks):
            emit(event(chunk, index))
        return join_chunks(chunks, effect.node.func)

    async def _nest(self, effect: Nest) -> Any:
        node = effect.node
        return await call_from_async(node.runner, node.graph, effect.inputs, effect.context)

    async def _together(self, effect: All) -> Any:
        """Carry out flows together, each begun in order; the first failure in order is raised."""
        results: list[Any] = []
        failures: dict[int, BaseException] = {}
        flows: Iterator[tuple[int, Flow]] = iter(enumerate(effect.flows))
        width = self._runner.at_once
        if isinstance(effect.flows, Sequence):
            width = min(width, len(effect.flows))

        async def work() -> None:
            for index, flow in flows:
                results.append(None)
                error: BaseException | None
                try:
                    results[index] = result = await self.carry_out(flow)
                    error = result.error if type(result) is Escaped else None
                except BaseException as raised:
                    if isinstance(raised, asyncio.CancelledError) and _is_cancelled():
                        raise
                    error = raised
                if error is not None:
                    failures[index] = error
                    for task in tasks:
                        task.cancel()
                    return  # and begin nothing more

        tasks = [asyncio.create_task(work()) for _ in range(width)]
        await asyncio.gather(*tasks, return_exceptions=True)
        if not failures:
            return results
        error = failures[min(failures)]
        if isinstance(error, StopIteration):
            return Escaped(error)
        raise error


def _is_cancelled() -> bool:
    """Say whether it is this task that is being cancelled, and not a node that raised so."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _chunks(function: Callable[..., Any], *values: Any) -> Any:
    """Call a generator's function; returns its chunks, or ``None`` and the value if it was none.

    Those of an async generator are to be awaited, where the call is made.
    """
    returned = function(*values)
    if hasattr(type(returned), "__anext__"):
        return _async_chunks(returned)
    return (list(returned), None) if is_stream(returned) else (None, returned)


async def _async_chunks(generator: AsyncIterator[Any]) -> tuple[list[Any], Any]:
    return [chunk async for chunk in generator], None


async def _result(future: Future[Any]) -> Any:
    """Return the result of a future, or what `Escaped` from it.

    Cancelled, it is cancelled too, or waited for if it has begun.
    """
    loop = asyncio.get_running_loop()
    done = asyncio.Event()

    def wake(_: Future[Any]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(done.set)

    future.add_done_callback(wake)
    try:
        await done.wait()
    except asyncio.CancelledError:
        future.cancel()
        while not done.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await done.wait()
        raise
    error = future.exception()
    return Escaped(error) if isinstance(error, StopIteration) else future.result()


def _sleep(clock: Clock, seconds: float) -> Coroutine[Any, Any, None]:
    if isinstance(clock, SystemClock):
        return asyncio.sleep(seconds)
    return asyncio.to_thread(clock.sleep, seconds)
