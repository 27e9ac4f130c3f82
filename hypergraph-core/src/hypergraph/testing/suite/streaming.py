"""Streaming: following a run with ``iter()``, event by event, and leaving it early."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from hypergraph.events import StreamingChunkEvent
from hypergraph.graph import Graph
from hypergraph.nodes import node
from hypergraph.results import RunStatus
from hypergraph.runners.base import BaseRunner
from hypergraph.testing.kit import raises, skip
from hypergraph.testing.suite.base import RunnerRules
from hypergraph.testing.suite.mapping import invert
from hypergraph.testing.suite.observing import Listener

MANY = 10_000


@node(output_name="numbers")
def count(x: int) -> Iterator[int]:
    yield from range(x)


@node(output_name="length")
def measure(numbers: list[int]) -> int:
    return len(numbers)


class StreamRules(RunnerRules):
    """Runs that are followed, for runners that declare ``supports_streaming``."""

    group = "streaming"

    def stream_of(self, runner: BaseRunner) -> Any:
        """Return ``iter()`` of the runner, or skip."""
        if not runner.capabilities.supports_streaming:
            skip(f"{type(runner).__name__} does not declare supports_streaming")
        iterate = getattr(runner, "iter", None)
        assert iterate is not None, "a runner that declares supports_streaming has iter()"
        return iterate

    def followed(self, stream: Any) -> list[Any]:
        """Return all events of a stream."""

        async def follow() -> list[Any]:
            return [event async for event in stream]

        events: list[Any] = self.in_event_loop(follow)
        return events

    def test_events_come_in_order(self, runner: BaseRunner) -> None:
        stream_of = self.stream_of(runner)
        listener = Listener()
        listener.events = self.followed(stream_of(Graph([count, measure]), {"x": 2}))
        assert listener.steps() == [
            "RunStart",
            "NodeStart count",
            "StreamingChunk count",
            "StreamingChunk count",
            "NodeEnd count",
            "NodeStart measure",
            "NodeEnd measure",
            "RunEnd",
        ]

    def test_the_result_is_there_in_the_end(self, runner: BaseRunner) -> None:
        stream_of = self.stream_of(runner)
        stream = stream_of(Graph([count, measure]), {"x": 2})
        with raises(RuntimeError):
            _ = stream.result
        self.followed(stream)
        assert stream.result.status is RunStatus.COMPLETED
        assert stream.result.values == {"numbers": [0, 1], "length": 2}

    def test_no_chunk_is_lost(self, runner: BaseRunner) -> None:
        stream_of = self.stream_of(runner)
        events = self.followed(stream_of(Graph([count]), {"x": MANY}))
        chunks = [event.chunk for event in events if type(event) is StreamingChunkEvent]
        assert chunks == list(range(MANY))

    def test_a_failure_is_raised_after_the_last_event(self, runner: BaseRunner) -> None:
        stream_of = self.stream_of(runner)
        seen = Listener()

        async def follow() -> None:
            async for event in stream_of(Graph([invert]), {"x": 0}):
                seen.on_event(event)

        with raises(ZeroDivisionError):
            self.in_event_loop(follow)
        assert seen.steps() == ["RunStart", "NodeStart invert", "NodeError invert", "RunEnd"]

    def test_leaving_early_ends_the_run(self, runner: BaseRunner) -> None:
        stream_of = self.stream_of(runner)
        journal = self.journal

        async def endless(x: int) -> AsyncIterator[int]:
            try:
                while True:
                    yield x
                    await self.pause()
            finally:
                journal.note("ended")

        graph = Graph([node(endless)])
        self.refused_unless_declared(runner, graph, {"x": 1})

        async def leave() -> None:
            async with stream_of(graph, {"x": 1}) as stream:
                async for event in stream:
                    if type(event) is StreamingChunkEvent:
                        break
            assert journal.lines == ["ended"], "when a stream has been left, its nodes have ended"

        self.in_event_loop(leave)

    def test_a_stop_keeps_what_was_yielded(self, runner: BaseRunner) -> None:
        stream_of = self.stream_of(runner)

        async def endless(x: int) -> AsyncIterator[int]:
            while True:
                yield x
                await self.pause()

        graph = Graph([node(endless, output_name="numbers"), measure])
        self.refused_unless_declared(runner, graph, {"x": 1})
        stream = stream_of(graph, {"x": 1})

        async def stop() -> None:
            async for event in stream:
                if type(event) is StreamingChunkEvent and event.index == 3:
                    stream.stop()

        self.in_event_loop(stop)
        assert stream.result.status is RunStatus.STOPPED
        assert set(stream.result.values) == {"numbers"}
        assert len(stream.result["numbers"]) >= 4
