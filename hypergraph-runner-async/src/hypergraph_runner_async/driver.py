"""Carrying out effects on an event loop.

Rule of this file: how each effect is done, and nothing of why. What need not wait is done at once; for
the rest the handler returns ``Later``, and the loop that drives the flow awaits it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from inspect import isawaitable
from time import perf_counter
from typing import Any

import anyio
import anyio.lowlevel

from hypergraph.events.types import EVENTS, Event, NodeErrorEvent, RunEndEvent
from hypergraph.execution.collect import is_stream, join_chunks
from hypergraph.execution.context import Settings
from hypergraph.execution.drive import Escaped, Later, drive
from hypergraph.execution.effects import (
    All,
    Ask,
    Begin,
    Call,
    End,
    Flow,
    Nest,
    Put,
    Save,
    Sleep,
    Stream,
    Wait,
)
from hypergraph.execution.streaming import chunk_event, stream_chunks
from hypergraph.runners.handlers import Handlers, plain_handlers, tell_start
from hypergraph.runners.strategy import call_from_async
from hypergraph_runner_async.calling import Calling, in_time
from hypergraph_runner_async.stream import AHEAD, Channel, followed_here
from hypergraph_runner_async.threads import in_worker_thread, run_in_worker_thread
from hypergraph_runner_async.waking import outlast


class Driver:
    """Carries out the flows of one run."""

    def __init__(
        self,
        settings: Settings,
        calling: Calling,
        *,
        sleep: Callable[[float], Awaitable[None]],
        stream: Channel | None = None,
    ) -> None:
        if stream is None and settings.follows:
            stream = followed_here()  # nested, with a runner of its own
        self._settings = settings
        self._calling = calling
        self._stream = stream
        self._store: Any = settings.checkpointer  # there whenever an effect speaks of it
        self._held: str | None = None
        emit = settings.emit
        self._tell: Any = None if emit is None else (emit.only or emit)
        self._handlers: Handlers = {
            **plain_handlers(settings),
            Call: self._call,
            Stream: lambda effect: Later(calling.limited(partial(self._streamed_in_time, effect))),
            Sleep: lambda effect: Later(sleep(effect.seconds)),
            Nest: lambda effect: Later(self._nest(effect)),
            All: lambda effect: Later(self._all(effect)),
            Ask: lambda effect: Later(self._ask(effect)),
            Wait: lambda effect: Later(self._wait(effect)),
            Begin: lambda effect: Later(self._begin(effect)),
            Put: lambda effect: self._stored(self._store.put(effect.workflow, effect.steps)),
            Save: lambda effect: self._stored(self._store.save(effect.workflow_id, effect.step)),
            End: self._end,
        }
        if emit is not None and stream is not None:
            self._handlers.update(dict.fromkeys(EVENTS, self._tell_followed))

    async def carry_out(self, flow: Flow) -> Any:
        """Carry out a flow to its end and return its result. Exceptions leave as they are."""
        result = await drive(flow, self._handlers, self._settings.emit)
        if type(result) is Escaped:
            raise result.error
        return result

    # -- events ------------------------------------------------------------------------------

    def _tell_followed(self, event: Event) -> Any:
        """Tell an event, and wait while whoever follows the run is behind.

        Not after an end: what was cancelled ends even if nobody looks.
        """
        self._tell(event)
        stream = self._stream
        assert stream is not None
        if not stream.is_full or type(event) in (NodeErrorEvent, RunEndEvent):
            return None
        return Later(stream.room())

    # -- nodes -------------------------------------------------------------------------------

    def _call(self, effect: Call) -> Any:
        if effect.start is not None and self._settings.emit is not None:
            tell_start(self._settings.emit, effect.start)
        node, stream = effect.node, self._stream
        if stream is not None and stream.events and not (node.is_async or self._calling.threads):
            return Later(self._called_when_seen(effect))
        return self._calling.call(node, effect.function, effect.inputs.values())

    async def _called_when_seen(self, effect: Call) -> Any:
        """Let who follows the run see how far it is before a sync node holds up the loop."""
        await anyio.lowlevel.checkpoint()
        result = self._calling.call(effect.node, effect.function, effect.inputs.values())
        return await result.awaitable if type(result) is Later else result

    async def _streamed_in_time(self, effect: Stream) -> Any:
        if self._calling.threads and not effect.node.is_async:
            return await in_worker_thread(partial(stream_chunks, effect, self._settings))
        return await in_time(effect.node, partial(self._streamed, effect))

    async def _streamed(self, effect: Stream) -> Any:
        """Read a generator chunk by chunk, at the pace of whoever follows the run."""
        settings = self._settings
        stream, stop = self._stream, settings.stop_for(effect.scope.trail)
        emit: Any = settings.emit
        if stream is not None and emit.only is not None:
            emit = emit.only  # the stream itself, which never raises
        ahead = () if stream is None else stream.events
        event = chunk_event(effect, settings)
        returned = effect.function(*effect.inputs.values())
        if isawaitable(returned):
            returned = await returned
        if not is_stream(returned):
            return returned
        chunks: list[Any] = []
        keep, calling = chunks.append, self._calling
        try:
            if hasattr(type(returned), "__anext__"):
                async for chunk in returned:
                    emit(event(chunk, len(chunks)))
                    keep(chunk)
                    if len(ahead) >= AHEAD:
                        await stream.room()  # type: ignore[union-attr]
                    elif perf_counter() > calling.breathe_at:  # others want to go on, too
                        await calling.breathe()
                    if stop is not None and stop.requested:
                        stop.cut_short = True
                        break
            else:
                for chunk in returned:
                    emit(event(chunk, len(chunks)))
                    keep(chunk)
                    if len(ahead) >= AHEAD:
                        await stream.room()  # type: ignore[union-attr]
                    elif perf_counter() > calling.breathe_at:  # others want to go on, too
                        await calling.breathe()
                    if stop is not None and stop.requested:
                        stop.cut_short = True
                        break
        finally:
            await _close(returned)
        if stream is not None and stream.left:
            await anyio.lowlevel.checkpoint()  # to be cancelled
        return join_chunks(chunks, effect.node.func)

    async def _nest(self, effect: Nest) -> Any:
        node = effect.node
        return await call_from_async(
            node.runner, node.graph, effect.inputs, effect.context, in_thread=run_in_worker_thread
        )

    async def _all(self, effect: All) -> list[Any]:
        calls = (partial(self.carry_out, flow) for flow in effect.flows)
        return await self._calling.in_turn(calls, effect.awaits)

    # -- interrupts --------------------------------------------------------------------------

    async def _ask(self, effect: Ask) -> Any:
        answer = effect.handler(effect.value)
        return await answer if isawaitable(answer) else answer

    async def _wait(self, effect: Wait) -> dict[str, Any]:
        stream = self._stream
        return {} if stream is None else await stream.answers_to(effect.asked)

    # -- workflows ---------------------------------------------------------------------------

    async def _begin(self, effect: Begin) -> Any:
        """Take hold of a workflow; a run that is cancelled meanwhile lets go of it again."""
        store, workflow_id = self._store, effect.workflow_id
        stored = None

        def begin() -> None:
            nonlocal stored
            stored = store.begin(workflow_id)

        try:
            await in_worker_thread(begin)
        except BaseException:
            if stored is not None:
                store.end(workflow_id)
            raise
        self._held = workflow_id
        return stored

    def _end(self, effect: End) -> Any:
        self._held = None
        return self._stored(self._store.end(effect.workflow_id))

    def let_go(self) -> None:
        """Let go of the workflow of a run that cannot go on: its event loop is gone."""
        if self._held is not None:
            workflow_id, self._held = self._held, None
            self._store.end(workflow_id)

    def _stored(self, safe: Any) -> Any:
        return None if safe is None else Later(_safe(safe))


async def _close(generator: Any) -> None:
    """Let a generator that was left early clean up."""
    if hasattr(generator, "aclose"):
        with anyio.CancelScope(shield=True):
            await generator.aclose()
    elif hasattr(generator, "close"):
        generator.close()


async def _safe(future: Any) -> None:
    """Wait until something is stored, however often the run is cancelled meanwhile."""
    await outlast(future)
    future.result()
