"""Spans and progress of runs on an event loop: nodes at once, cancelled, paused, stopped, retried."""

import io
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anyio
import pytest
from opentelemetry import context
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from rich.console import Console

from hypergraph import Graph, InterruptNode, RetryPolicy, node
from hypergraph.extras.otel import OpenTelemetryProcessor
from hypergraph.extras.rich_progress import RichProgress
from hypergraph.testing import ManualClock
from hypergraph_runner_async import AsyncRunner

Go = Callable[[Callable[[], Awaitable[Any]]], Any]


@pytest.fixture(params=["asyncio", "trio"])
def go(request: pytest.FixtureRequest) -> Go:
    """Run a coroutine on an event loop."""
    return lambda work: anyio.run(work, backend=request.param)


class Watched:
    """A runner with both listeners, and what they leave."""

    def __init__(self, **options: Any) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = self.provider.get_tracer("client")
        self.console = Console(
            file=io.StringIO(), force_terminal=True, force_interactive=True, color_system=None
        )
        self.spanning = OpenTelemetryProcessor(self.provider)
        self.drawing = RichProgress(self.console)
        self.runner = AsyncRunner(event_processors=[self.spanning, self.drawing], **options)

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        return self.exporter.get_finished_spans()

    def paths(self) -> list[str]:
        """Each span with those that it is inside of."""
        by_id = {span.context.span_id: span for span in self.spans}

        def path(span: ReadableSpan) -> str:
            above = by_id.get(span.parent.span_id) if span.parent else None
            return span.name if above is None else f"{path(above)} > {span.name}"

        return sorted(path(span) for span in self.spans)

    def statuses(self) -> dict[str, Any]:
        return {span.name: (span.attributes or {}).get("hypergraph.status") for span in self.spans}

    def written(self) -> str:
        assert isinstance(self.console.file, io.StringIO)
        return self.console.file.getvalue()

    def assert_clean(self) -> None:
        """Nothing is left open, and no value has left."""
        assert self.spanning._open == {}
        assert (self.drawing._lines, self.drawing._live) == ({}, None)
        text = self.written()
        assert text.count("\x1b[?25l") == text.count("\x1b[?25h")
        assert "secret" not in text + "".join(span.to_json() for span in self.spans)


@pytest.fixture
def watched() -> Watched:
    return Watched()


def clients(watched: Watched, names: str) -> list[Any]:
    """Async nodes that each make a span of their own when all of them have begun."""
    begun: list[str] = []

    def client(name: str) -> Any:
        async def call(x: int) -> int:
            begun.append(name)
            while len(begun) < len(names):
                await anyio.sleep(0)
            with watched.tracer.start_as_current_span(f"client {name}"):
                await anyio.sleep(0)
            return x

        return node(call, name=name, output_name=f"out_{name}")

    return [client(name) for name in names]


def test_nodes_at_once_each_have_their_own_span(go: Go, watched: Watched) -> None:
    async def work() -> None:
        inner = Graph(clients(watched, "abc"), name="inner").as_node("step")
        before = context.get_current()
        await watched.runner.run(Graph([inner], name="g"), {"x": 1})
        assert context.get_current() == before

    go(work)
    top = "graph g > node step > graph inner"
    assert watched.paths() == [
        "graph g",
        "graph g > node step",
        top,
        f"{top} > node a",
        f"{top} > node a > client a",
        f"{top} > node b",
        f"{top} > node b > client b",
        f"{top} > node c",
        f"{top} > node c > client c",
    ]
    watched.assert_clean()


@pytest.mark.parametrize("options", [{"max_concurrency": 1}, {"max_concurrency": 3}, {}])
def test_items_of_a_map_keep_to_themselves(
    go: Go, watched: Watched, options: dict[str, Any]
) -> None:
    @node(output_name="y")
    async def ask(x: int) -> int:
        await anyio.sleep(0)
        with watched.tracer.start_as_current_span("client"):
            await anyio.sleep(0)
        return x

    @node(output_name="z")
    def after(y: int) -> int:
        with watched.tracer.start_as_current_span("sync client"):
            return y

    async def work() -> None:
        graph = Graph([ask, after], name="g")
        await watched.runner.map(graph, {"x": list(range(5))}, map_over="x", **options)

    go(work)
    item = [
        "map g > graph g > node after > sync client",
        "map g > graph g > node ask > client",
    ]
    assert [path for path in watched.paths() if "client" in path] == sorted(item * 5)
    assert "g: completed, 5/5  10 nodes" in watched.written()
    watched.assert_clean()


def test_sync_nodes_in_threads_have_their_span_as_current(go: Go) -> None:
    watched = Watched(sync_nodes="thread")

    @node(output_name="y")
    def ask(x: int) -> int:
        with watched.tracer.start_as_current_span("client"):
            return x

    @node(output_name="z")
    def other(x: int) -> int:
        return x

    async def work() -> None:
        await watched.runner.run(Graph([ask, other], name="g"), {"x": 1})

    go(work)
    assert "graph g > node ask > client" in watched.paths()
    watched.assert_clean()


def test_runs_in_tasks_have_the_span_of_their_task_above(go: Go, watched: Watched) -> None:
    @node(output_name="y")
    async def pause(x: int) -> int:
        await anyio.sleep(0)
        return x

    async def request(number: int) -> None:
        with watched.tracer.start_as_current_span(f"GET {number}"):
            await watched.runner.run(Graph([pause], name="g"), {"x": number})

    async def work() -> None:
        async with anyio.create_task_group() as group:
            for number in range(3):
                group.start_soon(request, number)

    go(work)
    assert watched.paths() == [
        path
        for n in range(3)
        for path in (f"GET {n}", f"GET {n} > graph g", f"GET {n} > graph g > node pause")
    ]
    watched.assert_clean()


def test_a_failed_node_and_its_cancelled_siblings(go: Go, watched: Watched) -> None:
    @node(output_name="y")
    async def forever(x: int) -> None:
        await anyio.sleep_forever()

    @node(output_name="z")
    async def boom(x: int) -> None:
        await anyio.sleep(0)
        raise ValueError("secret")

    async def work() -> None:
        with pytest.raises(ValueError, match="secret"):
            await watched.runner.run(Graph([forever, boom], name="g"), {"x": 1})

    go(work)
    assert watched.statuses() == {
        "node forever": "cancelled",
        "node boom": "failed",
        "graph g": "failed",
    }
    assert "g: failed" in watched.written()
    watched.assert_clean()


@pytest.mark.parametrize("how", ["run", "iter"])
def test_a_cancelled_run_ends_its_spans_and_its_display(go: Go, watched: Watched, how: str) -> None:
    @node(output_name="y")
    async def forever(x: int) -> None:
        await anyio.sleep_forever()

    inner = Graph([forever], name="inner").as_node("step")
    graph = Graph([inner], name="g")

    async def work() -> None:
        before = context.get_current()
        with anyio.move_on_after(0.01) as scope:
            if how == "run":
                await watched.runner.run(graph, {"x": 1})
            else:
                async with watched.runner.iter(graph, {"x": 1}) as stream:
                    async for _ in stream:
                        pass
        assert scope.cancelled_caught
        assert context.get_current() == before

    go(work)
    assert watched.statuses() == {
        "node forever": "cancelled",
        "graph inner": "cancelled",
        "node step": "cancelled",
        "graph g": "cancelled",
    }
    watched.assert_clean()


def test_leaving_a_stream_early_leaves_nothing(go: Go, watched: Watched) -> None:
    @node(output_name="text")
    async def talk(x: int) -> AsyncIterator[str]:
        while True:
            yield "secret"

    async def work() -> None:
        async with watched.runner.iter(Graph([talk], name="g"), {"x": 1}) as stream:
            count = 0
            async for _ in stream:
                count += 1
                if count == 10:
                    break

    go(work)
    assert set(watched.statuses()) == {"node talk", "graph g"}
    watched.assert_clean()


def test_a_stopped_run(go: Go, watched: Watched) -> None:
    @node(output_name="text")
    async def talk(x: int) -> AsyncIterator[str]:
        while True:
            yield "secret"

    @node(output_name="loud")
    def shout(text: str) -> str:
        return text.upper()

    async def work() -> None:
        inner = Graph([talk, shout], name="inner").as_node("step")
        async with watched.runner.iter(Graph([inner], name="g"), {"x": 1}) as stream:
            async for event in stream:
                if type(event).__name__ == "StreamingChunkEvent":
                    stream.stop()

    go(work)
    assert watched.statuses()["graph inner"] == "stopped"
    assert watched.statuses()["node step"] == "stopped"
    assert watched.statuses()["graph g"] == "stopped"
    assert "g: stopped" in watched.written()
    watched.assert_clean()


def test_chunks_are_counted(go: Go, watched: Watched) -> None:
    @node(output_name="text")
    async def talk(x: int) -> AsyncIterator[str]:
        for _ in range(5):
            yield "secret"

    async def work() -> None:
        await watched.runner.run(Graph([talk], name="g"), {"x": 1})

    go(work)
    (told,) = [span.attributes or {} for span in watched.spans if span.name == "node talk"]
    assert told["hypergraph.node.chunks"] == 5
    watched.assert_clean()


def approval() -> Graph:
    inner = Graph(
        [InterruptNode("ask", input_param="draft", response_param="answer")], name="inner"
    )
    return Graph([inner.as_node("review")], name="g")


def test_a_paused_run(go: Go, watched: Watched) -> None:
    async def work() -> None:
        result = await watched.runner.run(approval(), {"draft": "secret"})
        assert result.paused

    go(work)
    assert set(watched.statuses().values()) == {"paused"}
    (event,) = [event for span in watched.spans for event in span.events]
    assert event.name == "hypergraph.interrupt"
    assert dict(event.attributes or {}) == {"hypergraph.interrupt.response_key": "answer"}
    assert "g: paused" in watched.written()
    watched.assert_clean()


def test_an_interrupt_that_is_answered_at_once(go: Go, watched: Watched) -> None:
    async def work() -> None:
        async with watched.runner.iter(approval(), {"draft": "secret"}) as stream:
            async for event in stream:
                if type(event).__name__ == "InterruptEvent":
                    stream.respond(event.response_key, "yes")
        assert stream.result["answer"] == "yes"

    go(work)
    assert set(watched.statuses().values()) == {"completed"}
    watched.assert_clean()


def test_retries_are_told(go: Go) -> None:
    watched = Watched(clock=ManualClock())
    calls: list[int] = []

    @node(output_name="y", retry=RetryPolicy(initial_interval=1.5, maximum_attempts=3, jitter=0.0))
    async def flaky(x: int) -> int:
        calls.append(x)
        if len(calls) < 3:
            raise ValueError("secret")
        return x

    async def work() -> None:
        await watched.runner.run(Graph([flaky], name="g"), {"x": 1})

    go(work)
    (one,) = [span for span in watched.spans if span.name == "node flaky"]
    assert [
        (
            (event.attributes or {})["hypergraph.retry.attempt"],
            (event.attributes or {})["hypergraph.retry.delay"],
        )
        for event in one.events
    ] == [(1, 1.5), (2, 3.0)]
    assert watched.statuses() == {"node flaky": "completed", "graph g": "completed"}
    watched.assert_clean()
