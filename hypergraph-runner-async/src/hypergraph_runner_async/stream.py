"""Following a run: its events one by one, answers to it, and an end to it.

Rule of this file: the run goes on by itself until it is `AHEAD` events ahead of who follows it; then it
waits, so memory is bounded and no event is lost. Whoever leaves early cancels it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Final, Self

import anyio
import anyio.lowlevel
from anyio import from_thread

from hypergraph.errors import AnswerError, did_you_mean
from hypergraph.events.types import Event, InterruptEvent
from hypergraph.execution.answers import check_answer, response_keys
from hypergraph.execution.context import Stop
from hypergraph.graph import Graph
from hypergraph.nodes import InterruptNode
from hypergraph.results import RunResult
from hypergraph_runner_async.background import Background, spawn
from hypergraph_runner_async.waking import Wakeup, new_wakeup

AHEAD: Final = 1024
"""How many events a run may be ahead of who follows it."""


class EventStream:
    """The events of a run in order: ``async for event in stream``, in ``async with`` or without.

    The run begins with the first event that is asked for, and is cancelled when the stream is left
    before its end: by ``async with``, by `aclose`, or by being forgotten. What the run raises is raised
    after its last event.
    """

    def __init__(self, graph: Graph, start: Callable[[Channel], Awaitable[RunResult]]) -> None:
        self._channel = channel = Channel()
        self._events = channel.events
        self._graph = graph
        self._start = start
        self._run: Background | None = None

    # -- following ---------------------------------------------------------------------------

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        if not self._events:
            if self._run is None and not self._channel.left:
                self._begin()
            await self._channel.more()
        event = self._events.popleft()
        if self._channel.waiting:
            self._channel.let_go_on()
        return event

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Cancel the run if it has not ended, and wait until nothing of it is left; no event follows."""
        self._leave()
        if self._run is not None:
            with anyio.CancelScope(shield=True):  # who is cancelled leaves nothing behind either
                await self._run.wait()

    def __del__(self) -> None:
        if getattr(self, "_run", None) is not None:
            self._leave()

    def _leave(self) -> None:
        if self._run is not None:
            self._run.cancel()  # before anything of it goes on
        self._channel.leave()

    def _begin(self) -> None:
        self._run = spawn(self._channel.run(self._start))

    # -- taking part -------------------------------------------------------------------------

    @property
    def result(self) -> RunResult:
        """The result of the run, once it has ended. Raises what the run raised, and ``RuntimeError``
        while it is running and when it was cancelled by leaving the stream."""
        return self._channel.outcome()

    def stop(self) -> None:
        """Ask the run to stop: started nodes finish, a streaming one keeps what it has yielded, and no
        further one starts; the status is ``STOPPED``."""
        self._channel.stop.requested = True

    def respond(self, response_key: str, value: Any) -> None:
        """Answer an interrupt whose event was seen, before the next event is asked for; the run goes on
        without a pause. Raises ``AnswerError`` when none waits for it or it is of the wrong type."""
        self._channel.respond(self._graph, response_key, value)


class Channel:
    """What the run and who follows it share; it does not keep the stream alive."""

    def __init__(self) -> None:
        self.events: deque[Event] = deque()
        self.stop = Stop()
        self.waiting: list[Wakeup] = []  # tasks of the run, for room or for answers
        self.left = False  # nobody follows any more: events are dropped, and nobody waits
        self._asking: Wakeup | None = None  # who follows, for events
        self._open: set[str] = set()  # response keys that may be answered now
        self._answers: dict[str, Any] = {}
        self._settling = 0  # how many tasks of the run wait until everything was seen
        self._ended = False
        self._result: RunResult | None = None
        self._error: BaseException | None = None
        self._thread = threading.get_ident()

    # -- the side of the run -----------------------------------------------------------------

    async def run(self, start: Callable[[Channel], Awaitable[RunResult]]) -> None:
        """Run to the end, and keep the result or what was raised."""
        self._thread = threading.get_ident()
        _followed.set(self)
        try:
            self._result = await start(self)
        except BaseException as error:  # raised where the run is followed
            self._error = error
            if not isinstance(error, Exception):
                raise
        finally:
            self._ended = True
            self._tell()

    @property
    def is_full(self) -> bool:
        """Whether the run is to wait for who follows it."""
        return len(self.events) >= AHEAD

    @property
    def is_here(self) -> bool:
        """Whether the run is carried out in this thread, where it can be waited for."""
        return threading.get_ident() == self._thread

    def on_event(self, event: Event) -> None:
        """Hand an event over. A nested run in another thread waits here when it is ahead."""
        if self.left:
            return
        self.events.append(event)
        if type(event) is InterruptEvent:
            self._open.add(event.response_key)
        if self._asking is not None:
            self._tell()
        if len(self.events) >= AHEAD and not self.is_here:
            with suppress(
                RuntimeError
            ):  # a thread that no event loop waits for cannot wait for one
                from_thread.run(self.room)

    async def room(self) -> None:
        """Wait while the run is ahead."""
        while len(self.events) >= AHEAD and not self.left:
            await self._pause()

    async def answers_to(self, asked: Mapping[str, InterruptNode]) -> dict[str, Any]:
        """Return the answers that are there once everything was seen and more is asked for."""
        self._settling += 1
        try:
            while (self.events or self._asking is None) and not self.left:
                await self._pause()
        finally:
            self._settling -= 1
        self._open.difference_update(asked)
        return {key: self._answers.pop(key) for key in asked if key in self._answers}

    async def _pause(self) -> None:
        wakeup = (
            new_wakeup()
        )  # one for each who waits: one that is cancelled is of no use to another
        self.waiting.append(wakeup)
        try:
            await wakeup.wait()
        finally:
            if wakeup in self.waiting:
                self.waiting.remove(wakeup)
        if self.left:
            await anyio.lowlevel.checkpoint()  # to be cancelled

    def _tell(self) -> None:
        asking, self._asking = self._asking, None
        if asking is not None:
            with suppress(RuntimeError):  # nobody asks in a loop that has ended
                asking.wake()

    # -- the side of who follows -------------------------------------------------------------

    async def more(self) -> None:
        """Wait for an event. Raises ``StopAsyncIteration`` after the last, or what the run raised."""
        while not self.events:
            if self.left:
                raise StopAsyncIteration
            if self._asking is not None:
                raise RuntimeError("two tasks ask for the events of one run")
            if self._ended:
                self.outcome()
                raise StopAsyncIteration
            self._asking = asking = new_wakeup()
            try:
                if self.events:  # another thread told one before it could see who asks
                    return
                if self._settling:
                    self.let_go_on()
                await asking.wait()
            finally:
                if self._asking is asking:
                    self._asking = None

    def let_go_on(self) -> None:
        """Let the run go on, once there is room enough that it is worth it."""
        if len(self.events) > AHEAD // 2:
            return
        waiting, self.waiting = self.waiting, []
        for wakeup in waiting:
            with suppress(RuntimeError):  # nobody waits in a loop that has ended
                wakeup.wake()

    def leave(self) -> None:
        """Nobody follows any more: forget the events, let nobody wait, and start no further node."""
        self.left = self.stop.requested = True
        self.events.clear()
        self.let_go_on()
        self._tell()

    def outcome(self) -> RunResult:
        """Return the result of the run that has ended, or raise what it raised."""
        if self.left and self._result is None and not isinstance(self._error, Exception):
            raise RuntimeError("the run was cancelled: its events were not followed to the end")
        if self._error is not None:
            raise self._error
        if self._result is None:
            raise RuntimeError(
                "the run has not ended: follow its events to the end, then read .result"
            )
        return self._result

    def respond(self, graph: Graph, response_key: str, value: Any) -> None:
        """Take an answer to an interrupt that waits for one."""
        if response_key not in self._open:
            waiting = sorted(self._open)
            raise AnswerError(
                f"No interrupt waits for {response_key!r}.{did_you_mean(response_key, waiting)}",
                where=graph.where,
                fix="answer the response_key of an InterruptEvent before asking for the next event; "
                f"now waiting: {', '.join(map(repr, waiting)) or 'none'}.",
            )
        path, node = response_keys(graph)[response_key]
        check_answer(node, path, value)
        self._answers[response_key] = value


_followed: ContextVar[Channel | None] = ContextVar("hypergraph_followed", default=None)


def followed_here() -> Channel | None:
    """Return the channel of the run around this code, if it is carried out in this thread."""
    channel = _followed.get()
    return channel if channel is not None and channel.is_here else None
