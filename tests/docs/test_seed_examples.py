"""The examples from which hypergraph was designed, as far as this release goes, run as written."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import pytest

from hypergraph import (
    END,
    BaseRunner,
    ConflictError,
    DiskCache,
    Graph,
    GraphConfigError,
    IncompatibleRunnerError,
    InfiniteLoopError,
    InterruptNode,
    MemoryCache,
    MissingInputError,
    RunnerCapabilities,
    SyncRunner,
    TypedEventProcessor,
    node,
    route,
)


@node(output_name="page")
def fetch(query: str) -> str:
    return f"page about {query}"


@node(output_name="answer")
def process(page: str) -> str:
    return page.upper()


@node(output_name="response")
def save(answer: str) -> str:
    return f"saved {answer}"


@pytest.fixture
def private_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYPERGRAPH_HOME", str(tmp_path / "home"))


class Calls(TypedEventProcessor):
    """Notes which nodes were called, and which came from the cache."""

    def __init__(self) -> None:
        self.called: list[str] = []
        self.cached: list[str] = []

    def on_node_end(self, event: Any) -> None:
        (self.cached if event.cached else self.called).append(event.node_name)


# --- basic usage ------------------------------------------------------------------------------


@pytest.mark.usefixtures("private_home")
def test_a_run_returns_a_plain_dict() -> None:
    graph = Graph(nodes=[fetch, process, save])

    runner = SyncRunner(cache=DiskCache("./cache"))
    result = runner.run(graph, inputs={"query": "hello"})

    assert type(result) is dict
    assert result["response"] == "saved PAGE ABOUT HELLO"


def test_inputs_may_be_called_values() -> None:
    graph = Graph(nodes=[fetch, process, save])
    runner = SyncRunner()
    assert runner.run(graph, values={"query": "x"}) == runner.run(graph, inputs={"query": "x"})
    with pytest.raises(TypeError, match="not both"):
        runner.run(graph, inputs={"query": "x"}, values={"query": "x"})


# --- batches ----------------------------------------------------------------------------------


def test_a_map_iterates_one_input_and_broadcasts_the_others() -> None:
    @node(output_name="response")
    def answer(queries: str, config: str) -> str:
        return f"{queries} with {config}"

    results = SyncRunner().map(
        Graph(nodes=[answer]),
        inputs={"queries": ["q1", "q2", "q3"], "config": "c"},
        map_over="queries",  # This parameter gets iterated
    )
    assert results == [{"response": f"{query} with c"} for query in ("q1", "q2", "q3")]


@pytest.mark.parametrize(
    ("mode", "executed"),
    [
        ("zip", [(1, 3), (2, 4)]),
        ("product", [(1, 3), (1, 4), (2, 3), (2, 4)]),
    ],
)
def test_several_inputs_are_iterated_in_parallel_or_combined(
    mode: Any, executed: list[tuple[int, int]]
) -> None:
    seen = []

    @node(output_name=None)
    def note(x: int, y: int) -> None:
        seen.append((x, y))

    SyncRunner().map(
        Graph(nodes=[note]),
        inputs={"x": [1, 2], "y": [3, 4]},
        map_over=["x", "y"],
        map_mode=mode,
    )
    assert seen == executed


def test_zip_is_the_default_and_needs_equal_lengths() -> None:
    @node(output_name="pair")
    def pair(x: int, y: int) -> tuple[int, int]:
        return x, y

    graph = Graph(nodes=[pair])
    results = SyncRunner().map(graph, inputs={"x": [1, 2], "y": [3, 4]}, map_over=["x", "y"])
    assert results == [{"pair": (1, 3)}, {"pair": (2, 4)}]
    with pytest.raises(Exception, match="x has 2, y has 1"):
        SyncRunner().map(graph, inputs={"x": [1, 2], "y": [3]}, map_over=["x", "y"])


def test_a_graph_with_interrupts_cannot_be_mapped() -> None:
    graph_with_interrupts = Graph(nodes=[InterruptNode("approve", "draft", "decision")])
    with pytest.raises(GraphConfigError):
        SyncRunner().map(graph_with_interrupts, inputs={"draft": ["x"]}, map_over="draft")


# --- nested graphs ----------------------------------------------------------------------------


def test_a_nested_graph_inherits_the_runner_or_names_its_own() -> None:
    inner = Graph(nodes=[fetch, process])
    inherited = Graph(nodes=[inner.as_node(name="inner"), save])
    overridden = Graph(nodes=[inner.as_node(name="inner", runner=SyncRunner()), save])
    expected = "saved PAGE ABOUT X"
    assert SyncRunner().run(inherited, inputs={"query": "x"})["response"] == expected
    assert SyncRunner().run(overridden, inputs={"query": "x"})["response"] == expected


def test_an_explicit_runner_is_checked_when_it_is_given() -> None:
    inner = Graph(nodes=[InterruptNode("approve", "draft", "decision")])
    with pytest.raises(IncompatibleRunnerError, match="doesn't support interrupts"):
        inner.as_node(name="inner", runner=SyncRunner())


# --- generators -------------------------------------------------------------------------------


def test_the_chunks_of_a_generator_are_collected_into_the_final_value() -> None:
    @node(output_name="response")
    def stream_llm(prompt: str) -> Any:
        yield from (word + " " for word in prompt.split())

    result = SyncRunner().run(Graph(nodes=[stream_llm]), inputs={"prompt": "tell a story"})
    assert result["response"] == "tell a story "


# --- the hierarchy of runners -----------------------------------------------------------------


def test_a_runner_is_a_subclass_with_capabilities_run_and_map() -> None:
    class MyRunner(BaseRunner):
        @property
        def capabilities(self) -> RunnerCapabilities:  # type: ignore[override]
            return RunnerCapabilities(supports_cycles=False)

        def run(self, graph: Graph, inputs: Any = None, **kwargs: Any) -> Any:
            self.capabilities.validate_graph(graph)
            return SyncRunner().run(graph, inputs, **kwargs)

        def map(self, graph: Graph, inputs: Any = None, *, map_over: Any, **kwargs: Any) -> Any:
            return SyncRunner().map(graph, inputs, map_over=map_over, **kwargs)

    assert issubclass(BaseRunner, ABC)
    graph = Graph(nodes=[fetch, process, save])
    assert MyRunner().run(graph, {"query": "x"}) == SyncRunner().run(graph, {"query": "x"})
    with pytest.raises(IncompatibleRunnerError, match="cycles"):
        MyRunner().run(counting(), {"count": 0})


@pytest.mark.parametrize("missing", ["capabilities", "run", "map"])
def test_a_runner_without_one_of_the_three_cannot_be_made(missing: str) -> None:
    members: dict[str, Any] = {
        "capabilities": RunnerCapabilities(),
        "run": lambda self, graph, *args, **kwargs: None,
        "map": lambda self, graph, *args, **kwargs: None,
    }
    del members[missing]
    incomplete = type("Incomplete", (BaseRunner,), members)
    with pytest.raises(TypeError, match=missing):
        incomplete()


def test_a_subclass_may_add_abstract_methods_of_its_own() -> None:
    class StreamingRunner(SyncRunner, ABC):
        @abstractmethod
        def iter(self, graph: Graph) -> Any: ...

    with pytest.raises(TypeError, match="iter"):
        StreamingRunner()  # type: ignore[abstract]


def test_the_capabilities_of_the_sync_runner() -> None:
    capabilities = SyncRunner().capabilities
    assert capabilities.supports_cycles is True
    assert capabilities.supports_gates is True
    assert capabilities.supports_interrupts is False
    assert capabilities.supports_async_nodes is False
    assert capabilities.supports_streaming is False
    assert capabilities.supports_distributed is False
    assert capabilities.supports_durable_execution is False
    assert capabilities.returns_coroutine is False


def test_the_defaults_of_capabilities_are_those_of_a_sync_runner() -> None:
    assert RunnerCapabilities() == SyncRunner().capabilities


# --- sessions ---------------------------------------------------------------------------------


def test_a_session_id_groups_runs_that_have_ids_of_their_own() -> None:
    class Starts(TypedEventProcessor):
        def __init__(self) -> None:
            self.ids: list[tuple[str, str]] = []

        def on_run_start(self, event: Any) -> None:
            self.ids.append((event.session_id, event.run_id))

    starts = Starts()
    for query in ("first", "second"):
        SyncRunner().run(
            Graph(nodes=[fetch]),
            inputs={"query": query},
            session_id="conversation-123",
            event_processors=[starts],
        )
    (one, first), (two, second) = starts.ids
    assert one == two == "conversation-123"
    assert first != second
    assert first.startswith("run-")


# --- errors -----------------------------------------------------------------------------------


@node(output_name="count")
def step(count: int) -> int:
    return count + 1


@route(targets=["step", END])
def again(count: int) -> Any:
    return "step"


def counting() -> Graph:
    return Graph(nodes=[step, again])


def test_a_required_input_that_is_not_given_is_missing() -> None:
    with pytest.raises(MissingInputError):
        SyncRunner().run(Graph(nodes=[fetch]), inputs={})


def test_an_invalid_structure_is_a_configuration_error() -> None:
    with pytest.raises(GraphConfigError):
        Graph(nodes=[fetch, fetch])


def test_parallel_nodes_with_values_for_one_output_conflict() -> None:
    @node(output_name="value")
    def plus(start: int) -> int:
        return start + 1

    @node(output_name="value")
    def times(start: int) -> int:
        return start * 2

    @route(targets=["plus", "times"], multi_target=True)
    def both(start: int) -> list[Any]:
        return ["plus", "times"]

    with pytest.raises(ConflictError):
        SyncRunner().run(Graph(nodes=[plus, times, both]), inputs={"start": 2})


def test_the_default_limit_of_iterations_is_1000() -> None:
    calls = Calls()
    with pytest.raises(InfiniteLoopError, match="1000"):
        SyncRunner().run(counting(), inputs={"count": 0}, event_processors=[calls])
    assert calls.called.count("step") == 1000


def test_a_runner_refuses_what_it_does_not_support() -> None:
    @node(output_name="data")
    async def fetch_api(url: str) -> str:
        return url

    with pytest.raises(IncompatibleRunnerError, match="doesn't support async nodes"):
        SyncRunner().run(Graph(nodes=[fetch_api]), inputs={"url": "x"})


# --- caching ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("private_home")
@pytest.mark.parametrize(
    "make", [MemoryCache, lambda: DiskCache("./cache")], ids=["memory", "disk"]
)
def test_cached_nodes_skip_execution_on_runs_with_identical_inputs(make: Any) -> None:
    graph = Graph(nodes=[fetch, process, save])
    first, again_, other = Calls(), Calls(), Calls()
    runner = SyncRunner(cache=make())
    results = [
        runner.run(graph, inputs={"query": query}, event_processors=[calls])
        for query, calls in (("x", first), ("x", again_), ("y", other))
    ]
    names = ["fetch", "process", "save"]
    assert (first.called, first.cached) == (names, [])
    assert (again_.called, again_.cached) == ([], names)
    assert (other.called, other.cached) == (names, [])
    assert results[0] == results[1] != results[2]
