"""Spans of OpenTelemetry: they nest as the graph does, end with what they tell of, and hold no value."""

import contextlib
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry import context, trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased
from opentelemetry.trace import StatusCode

import hypergraph
from hypergraph import END, Graph, MemoryCache, branch, node
from hypergraph.events import (
    Event,
    InterruptEvent,
    NodeEndEvent,
    NodeErrorEvent,
    NodeRetryEvent,
    NodeStartEvent,
    RunEndEvent,
    RunStartEvent,
    StreamingChunkEvent,
)
from hypergraph.extras.otel import OpenTelemetryProcessor
from hypergraph.results import RunStatus
from hypergraph_runner_sync import SyncRunner

SECRET = "the-secret-value-of-the-user"


class Recorded:
    """A provider, a processor on it, and the spans that it has exported."""

    def __init__(self, sampler: Any = None, **options: Any) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.processor = OpenTelemetryProcessor(self.provider, **options)

    def runner(self, **options: Any) -> SyncRunner:
        return SyncRunner(event_processors=[self.processor], **options)

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        return self.exporter.get_finished_spans()

    def named(self, name: str) -> ReadableSpan:
        (found,) = [span for span in self.spans if span.name == name]
        return found

    def tree(self) -> list[str]:
        """The names in order of their start, indented by depth."""
        by_id = {span.context.span_id: span for span in self.spans}

        def depth(span: ReadableSpan) -> int:
            above = by_id.get(span.parent.span_id) if span.parent else None
            return 0 if above is None else 1 + depth(above)

        ordered = sorted(self.spans, key=lambda span: (span.start_time, -(span.end_time or 0)))
        return ["  " * depth(span) + span.name for span in ordered]

    def send(self, *events: Event) -> None:
        for event in events:
            self.processor.on_event(event)


@pytest.fixture
def recorded() -> Iterator[Recorded]:
    made = Recorded()
    before = context.get_current()
    yield made
    assert made.processor._open == {}
    assert context.get_current() == before


@node(output_name="y")
def double(x: int) -> int:
    return 2 * x


@node(output_name="z")
def add(y: int) -> int:
    return y + 1


def fail(x: Any) -> Any:
    raise LookupError(f"no {x}")


def nested() -> Graph:
    inner = Graph([double], name="inner")
    return Graph([inner.as_node("step"), add], name="outer")


# --- nesting ----------------------------------------------------------------------------------


def test_spans_nest_as_the_graph_does(recorded: Recorded) -> None:
    recorded.runner().run(nested(), {"x": 1})
    assert recorded.tree() == [
        "graph outer",
        "  node step",
        "    graph inner",
        "      node double",
        "  node add",
    ]


def test_a_nested_map_has_a_span_per_item(recorded: Recorded) -> None:
    inner = Graph([double], name="inner").as_node("every").map_over("x")
    recorded.runner().run(Graph([inner], name="outer"), {"x": [1, 2]})
    item = ["    graph inner", "      node double"]
    assert recorded.tree() == ["graph outer", "  node every", *item, *item]
    items = [span.attributes for span in recorded.spans if span.name == "graph inner"]
    assert [one["hypergraph.map.index"] for one in items if one] == [0, 1]
    assert [one["hypergraph.map.size"] for one in items if one] == [2, 2]


def test_a_map_as_a_whole_holds_its_items(recorded: Recorded) -> None:
    recorded.runner().map(Graph([double], name="g"), {"x": [1, 2]}, map_over="x")
    item = ["  graph g", "    node double"]
    assert recorded.tree() == ["map g", *item, *item]
    assert recorded.named("map g").attributes["hypergraph.map.size"] == 2  # type: ignore[index]


def test_every_turn_of_a_loop_is_a_span(recorded: Recorded) -> None:
    @node(output_name="n")
    def count(n: int) -> int:
        return n + 1

    @branch(when_true=END, when_false="count")
    def enough(n: int) -> bool:
        return n >= 2

    recorded.runner().run(Graph([count, enough], name="loop"), {"n": 0})
    turn = ["  node count", "  node enough"]
    assert recorded.tree() == ["graph loop", *turn, *turn]
    decisions = [span.events for span in recorded.spans if span.name == "node enough"]
    assert [
        (event.name, dict(event.attributes or {})) for events in decisions for event in events
    ] == [
        ("hypergraph.route", {"hypergraph.route.targets": ("count",)}),
        ("hypergraph.route", {"hypergraph.route.targets": ("END",)}),
    ]


def test_the_current_span_is_the_parent_of_the_run(recorded: Recorded) -> None:
    tracer = recorded.provider.get_tracer("web")
    with tracer.start_as_current_span("GET /"):
        recorded.runner().run(Graph([double], name="g"), {"x": 1})
    assert recorded.tree() == ["GET /", "  graph g", "    node double"]


def test_the_span_of_a_node_is_current_while_it_runs(recorded: Recorded) -> None:
    tracer = recorded.provider.get_tracer("client")

    @node(output_name="y")
    def ask(x: int) -> int:
        with tracer.start_as_current_span("POST /"):
            return x

    @node(output_name="w")
    def own_run(z: int) -> int:
        return int(recorded.runner().run(Graph([double], name="own"), {"x": z})["y"])

    inner = Graph([ask, add], name="inner").as_node("step")
    recorded.runner().run(Graph([inner, own_run], name="outer"), {"x": 1})
    assert recorded.tree() == [
        "graph outer",
        "  node step",
        "    graph inner",
        "      node ask",
        "        POST /",
        "      node add",
        "  node own_run",
        "    graph own",
        "      node double",
    ]


def test_runs_in_threads_keep_to_themselves(recorded: Recorded) -> None:
    meet = threading.Barrier(4)

    @node(output_name="y")
    def wait(x: int) -> int:
        meet.wait(30)
        return x

    graph = Graph([Graph([wait], name="inner").as_node("step"), add], name="outer")
    runner = recorded.runner()
    threads = [threading.Thread(target=runner.run, args=(graph, {"x": n})) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    traces: dict[int, list[str]] = {}
    for span in recorded.spans:
        traces.setdefault(span.context.trace_id, []).append(span.name)
    expected = ["node wait", "graph inner", "node step", "node add", "graph outer"]
    assert list(traces.values()) == [expected] * 4
    assert recorded.tree().count("      node wait") == 4


# --- what a span tells ------------------------------------------------------------------------


def test_attributes_of_a_run_and_a_node(recorded: Recorded) -> None:
    recorded.runner().run(Graph([double], name="g"), {"x": 1}, session_id="s1")
    run, one = recorded.named("graph g"), recorded.named("node double")
    run_id = run.attributes["hypergraph.run.id"]  # type: ignore[index]
    assert dict(run.attributes or {}) == {
        "hypergraph.run.id": run_id,
        "hypergraph.graph.name": "g",
        "hypergraph.status": "completed",
        "session.id": "s1",
    }
    assert dict(one.attributes or {}) == {
        "hypergraph.run.id": run_id,
        "hypergraph.graph.name": "g",
        "hypergraph.node.name": "double",
        "hypergraph.node.cached": False,
        "hypergraph.status": "completed",
    }
    assert run.status.status_code is one.status.status_code is StatusCode.UNSET
    scope = run.instrumentation_scope
    assert scope is not None
    assert (scope.name, scope.version) == ("hypergraph", hypergraph.__version__)


def test_a_graph_without_a_name(recorded: Recorded) -> None:
    recorded.runner().run(Graph([double]), {"x": 1})
    assert recorded.tree() == ["graph", "  node double"]
    for span in recorded.spans:
        assert "hypergraph.graph.name" not in (span.attributes or {})


def test_times_are_those_of_the_events(recorded: Recorded) -> None:
    seen: list[Any] = []

    class Listener:
        def on_event(self, event: Event) -> None:
            seen.append(event)

    recorded.runner().run(nested(), {"x": 1}, event_processors=[Listener()])
    start = next(event for event in seen if isinstance(event, RunStartEvent))
    top = recorded.named("graph outer")
    assert abs((top.start_time or 0) - start.started_at * 1e9) < 1000
    by_id = {span.context.span_id: span for span in recorded.spans}
    for span in recorded.spans:
        if span.parent is not None:
            above = by_id[span.parent.span_id]
            assert above.start_time <= span.start_time <= span.end_time <= above.end_time  # type: ignore[operator]
    ends = {e.node_name: e for e in seen if isinstance(e, NodeEndEvent)}
    spent = (recorded.named("node double").end_time or 0) - (
        recorded.named("node double").start_time or 0
    )
    assert abs(spent / 1e6 - ends["double"].duration_ms) < 0.001


def test_a_cache_hit_is_told(recorded: Recorded) -> None:
    slow = node(lambda x: x, name="slow", output_name="y", cache=True)
    runner = recorded.runner(cache=MemoryCache())
    for _ in range(2):
        runner.run(Graph([slow], name="g"), {"x": SECRET})
    first, second = (span for span in recorded.spans if span.name == "node slow")
    assert [event.name for event in first.events] == []
    assert [event.name for event in second.events] == ["hypergraph.cache.hit"]
    assert (first.attributes or {})["hypergraph.node.cached"] is False
    assert (second.attributes or {})["hypergraph.node.cached"] is True


def test_chunks_are_counted(recorded: Recorded) -> None:
    @node(output_name="text")
    def talk(x: int) -> Iterator[str]:
        yield from ("a", "b", "c")

    recorded.runner().run(Graph([talk], name="g"), {"x": 1})
    told = recorded.named("node talk")
    assert (told.attributes or {})["hypergraph.node.chunks"] == 3
    assert told.events == ()


# --- errors -----------------------------------------------------------------------------------


def failing(recorded: Recorded) -> None:
    inner = Graph([node(fail, name="boom")], name="inner")
    graph = Graph([inner.as_node("step")], name="outer")
    with pytest.raises(LookupError):
        recorded.runner().run(graph, {"x": SECRET})


def test_an_error_is_told_by_type_and_place(recorded: Recorded) -> None:
    failing(recorded)
    places = {
        "node boom": "hypergraph: node 'boom' of graph 'inner' failed; inputs: x",
        "graph inner": "hypergraph: node 'boom' of graph 'inner' failed; inputs: x",
        "node step": "hypergraph: node 'step/boom' of graph 'outer' failed; inputs: x",
        "graph outer": "hypergraph: node 'step/boom' of graph 'outer' failed; inputs: x",
    }
    assert {span.name: span.status.description for span in recorded.spans} == places
    for span in recorded.spans:
        assert span.status.status_code is StatusCode.ERROR
        assert (span.attributes or {})["error.type"] == "LookupError"
        assert (span.attributes or {})["hypergraph.status"] == "failed"
    (event,) = recorded.named("node boom").events
    assert (event.name, dict(event.attributes or {})) == (
        "exception",
        {"exception.type": "LookupError"},
    )
    assert [span.name for span in recorded.spans if span.events] == ["node boom"]


def test_messages_are_recorded_when_asked_for() -> None:
    recorded = Recorded(record_exceptions=True)
    failing(recorded)
    (event,) = recorded.named("node boom").events
    told = event.attributes or {}
    assert told["exception.message"] == f"no {SECRET}"
    assert "LookupError" in str(told["exception.stacktrace"])


def test_a_kept_error_of_a_map_marks_its_item(recorded: Recorded) -> None:
    graph = Graph([node(fail, name="boom")], name="g")
    recorded.runner().map(graph, {"x": [1, 2]}, map_over="x", on_error="return")
    states = [(span.name, span.status.status_code) for span in recorded.spans]
    item = [("node boom", StatusCode.ERROR), ("graph g", StatusCode.ERROR)]
    assert states == [*item, *item, ("map g", StatusCode.UNSET)]
    assert [len(span.events) for span in recorded.spans] == [1, 0, 1, 0, 0]


def test_an_error_of_an_own_class_is_named_with_its_module(recorded: Recorded) -> None:
    class OddError(Exception):
        @property
        def __notes__(self) -> Any:
            raise RuntimeError(SECRET)

    def odd(x: int) -> None:
        raise OddError

    with pytest.raises(OddError):
        recorded.runner().run(Graph([node(odd, name="odd")], name="g"), {"x": 1})
    told = (recorded.named("node odd").attributes or {})["error.type"]
    assert told == f"{__name__}.{OddError.__qualname__}"


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupted_run_is_cancelled(recorded: Recorded, error: type[BaseException]) -> None:
    def stop(x: int) -> None:
        raise error

    inner = Graph([node(stop, name="stop")], name="inner").as_node("step")
    with pytest.raises(error):
        recorded.runner().run(Graph([inner], name="outer"), {"x": 1})
    assert recorded.tree() == ["graph outer", "  node step", "    graph inner", "      node stop"]
    for span in recorded.spans:
        assert (span.attributes or {})["hypergraph.status"] == "cancelled"
        assert span.status.status_code is StatusCode.UNSET
        assert span.events == ()


# --- events that SyncRunner does not send -----------------------------------------------------


def start(run_id: str, span: int, name: str, **more: Any) -> RunStartEvent:
    parent = more.pop("parent_span_id", None)
    return RunStartEvent(run_id, span, parent, 10.0, name, {"x": SECRET}, 1000.0, **more)


def end(run_id: str, span: int, name: str, status: RunStatus, **more: Any) -> RunEndEvent:
    return RunEndEvent(run_id, span, None, 12.0, name, status, {"y": SECRET}, 2000.0, **more)


def begin(run_id: str, span: int, parent: int, name: str) -> NodeStartEvent:
    return NodeStartEvent(run_id, span, parent, 10.5, name, "g", {"x": SECRET})


def test_a_retry_is_told(recorded: Recorded) -> None:
    error = ValueError(SECRET)
    recorded.send(
        start("r", 1, "g"),
        begin("r", 2, 1, "ask"),
        NodeRetryEvent("r", 2, 1, 11.0, "ask", "g", 1, 0.5, error),
        NodeEndEvent("r", 2, 1, 11.5, "ask", "g", {}, 1000.0),
        end("r", 1, "g", RunStatus.COMPLETED),
    )
    (event,) = recorded.named("node ask").events
    assert event.name == "hypergraph.retry"
    assert event.timestamp == 1001 * 10**9
    assert dict(event.attributes or {}) == {
        "hypergraph.retry.attempt": 1,
        "hypergraph.retry.delay": 0.5,
        "error.type": "ValueError",
    }
    assert recorded.named("node ask").status.status_code is StatusCode.UNSET


def test_a_paused_run_ends_its_spans(recorded: Recorded) -> None:
    recorded.send(
        start("r", 1, "g"),
        begin("r", 2, 1, "review"),
        start("i", 3, "inner", parent_run_id="r", parent_span_id=2),
        begin("i", 4, 3, "approval"),
        begin("i", 5, 3, "other"),
        InterruptEvent("i", 4, 3, 11.0, "approval", "inner", SECRET, "ok", "review.ok"),
        end("i", 3, "inner", RunStatus.PAUSED),
        NodeEndEvent("r", 2, 1, 11.5, "review", "g", {}, 1000.0),
        end("r", 1, "g", RunStatus.PAUSED),
    )
    status = {span.name: (span.attributes or {})["hypergraph.status"] for span in recorded.spans}
    assert status == {
        "node approval": "paused",
        "node other": "cancelled",
        "graph inner": "paused",
        "node review": "paused",
        "graph g": "paused",
    }
    (event,) = recorded.named("node approval").events
    assert event.name == "hypergraph.interrupt"
    assert dict(event.attributes or {}) == {"hypergraph.interrupt.response_key": "review.ok"}
    assert {span.status.status_code for span in recorded.spans} == {StatusCode.UNSET}


def test_nodes_cut_short_end_with_the_outermost_run(recorded: Recorded) -> None:
    recorded.send(
        start("r", 1, "g"),
        begin("r", 2, 1, "step"),
        start("i", 3, "inner", parent_run_id="r", parent_span_id=2),
        begin("i", 4, 3, "slow"),
        begin("r", 5, 1, "boom"),
        NodeErrorEvent("r", 5, 1, 11.0, "boom", "g", ValueError(SECRET), 500.0),
        end("r", 1, "g", RunStatus.FAILED, error=KeyError(SECRET)),
        NodeEndEvent("i", 4, 3, 11.5, "slow", "g", {}, 1.0),  # left behind in a thread
        begin("i", 6, 3, "later"),
        end("i", 3, "inner", RunStatus.COMPLETED),
    )
    assert [span.name for span in recorded.spans] == [
        "node boom",
        "node slow",
        "graph inner",
        "node step",
        "graph g",
    ]
    assert {span.end_time for span in recorded.spans} == {1001 * 10**9, 1002 * 10**9}


def test_nodes_that_overlap_on_one_thread_leave_nothing_current(recorded: Recorded) -> None:
    recorded.send(
        start("r", 1, "g"),
        begin("r", 2, 1, "a"),
        begin("r", 3, 1, "b"),
        NodeEndEvent("r", 2, 1, 11.0, "a", "g", {}, 1.0),
        NodeEndEvent("r", 3, 1, 11.0, "b", "g", {}, 1.0),
        end("r", 1, "g", RunStatus.COMPLETED),
    )
    assert recorded.tree() == ["graph g", "  node a", "  node b"]


# --- no value leaves --------------------------------------------------------------------------


def shapes() -> Iterator[tuple[Graph, Callable[[SyncRunner, Graph], Any]]]:
    """Graphs that hold the secret in every place, and how to run them."""
    give = node(lambda x: [SECRET, SECRET], name="give", output_name="y", cache=True)
    boom = node(fail, name="boom")
    talk = node(lambda x: iter([SECRET]), name="talk", output_name="w")
    gate = branch(when_true="give", when_false=END, name="gate")(lambda x: x)

    def run(runner: SyncRunner, graph: Graph) -> Any:
        return runner.run(graph, {"x": SECRET})

    def over(runner: SyncRunner, graph: Graph) -> Any:
        return runner.map(graph, {"x": [SECRET] * 2}, map_over="x", on_error="return")

    for graph in (
        Graph([give, talk, gate]),
        Graph([give, boom]),
        Graph([Graph([boom], name="inner").as_node()]),
        Graph([node(lambda x: x, name="wrong", output_name=("a", "b"))]),
    ):
        yield graph, run
        yield graph, over


@pytest.mark.filterwarnings("ignore:Node .* is not cached")
@pytest.mark.parametrize(("graph", "run"), list(shapes()))
def test_no_value_is_exported(
    recorded: Recorded, graph: Graph, run: Callable[[SyncRunner, Graph], Any]
) -> None:
    runner = recorded.runner(cache=MemoryCache())
    for _ in range(2):
        with contextlib.suppress(Exception):  # what it says is the caller's
            run(runner, graph)
    assert recorded.spans
    for span in recorded.spans:
        assert SECRET not in span.to_json()


# --- without an SDK, without sampling, without the package ------------------------------------


def test_a_run_that_is_not_sampled_records_nothing() -> None:
    recorded = Recorded(sampler=ParentBased(ALWAYS_OFF))
    failing(recorded)
    assert recorded.spans == ()
    assert recorded.processor._open == {}


def test_without_a_provider_runs_are_as_they_were() -> None:
    runner = SyncRunner(event_processors=[OpenTelemetryProcessor(trace.NoOpTracerProvider())])
    assert runner.run(nested(), {"x": 1}) == {"y": 2, "z": 3}


def test_chunks_outside_a_known_run_are_passed_over(recorded: Recorded) -> None:
    recorded.send(StreamingChunkEvent("r", 1, None, 1.0, "talk", "g", SECRET, 0))
    assert recorded.spans == ()


@pytest.mark.parametrize("missing", ["opentelemetry", "opentelemetry.trace"])
def test_without_the_package_the_extra_is_named(missing: str) -> None:
    program = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "try:\n    import hypergraph.extras.otel\n"
        "except ImportError as error:\n    print(type(error).__name__, error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert done.stdout.startswith("MissingExtraError")
    assert 'pip install "hypergraph-core[otel]"' in done.stdout
