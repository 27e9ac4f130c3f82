"""The examples of AsyncRunner from which hypergraph was designed run as written."""

from __future__ import annotations

import inspect
import threading
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from hypergraph import (
    END,
    AsyncRunner,
    ConflictError,
    DiskCache,
    Graph,
    GraphConfigError,
    IncompatibleRunnerError,
    InfiniteLoopError,
    InterruptEvent,
    InterruptNode,
    MemoryCache,
    MissingInputError,
    NodeEndEvent,
    NodeStartEvent,
    RouteDecisionEvent,
    RunEndEvent,
    RunResult,
    RunStartEvent,
    RunStatus,
    StreamingChunkEvent,
    SyncRunner,
    VersionMismatchError,
    node,
    route,
)
from hypergraph.checkpointers import SqliteCheckpointer

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def private_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYPERGRAPH_HOME", str(tmp_path / "home"))


@node(output_name="page")
async def fetch(query: str) -> str:
    await anyio.lowlevel.checkpoint()
    return f"page about {query}"


@node(output_name="answer")
def process(page: str) -> str:
    return page.upper()


@node(output_name="response")
async def save(answer: str) -> str:
    return f"saved {answer}"


@node(output_name="response")
async def stream_llm(prompt: str) -> Any:
    for word in prompt.split():
        await anyio.lowlevel.checkpoint()
        yield word + " "


class InFlight:
    """Counts how many calls are under way at once, at most."""

    def __init__(self) -> None:
        self.now = 0
        self.most = 0

    async def call(self) -> None:
        self.now += 1
        self.most = max(self.most, self.now)
        for _ in range(5):
            await anyio.lowlevel.checkpoint()
        self.now -= 1


# --- basic usage ------------------------------------------------------------------------------


async def test_a_run_is_awaited_and_returns_a_result() -> None:
    graph = Graph(nodes=[fetch, process, save])

    runner = AsyncRunner(cache=DiskCache("./cache"))
    result = await runner.run(graph, values={"query": "hello"})

    assert result.values["response"] == "saved PAGE ABOUT HELLO"


async def test_what_is_awaited_is_a_coroutine() -> None:
    awaitable = AsyncRunner().run(Graph(nodes=[fetch]), inputs={"query": "x"})
    assert inspect.iscoroutine(awaitable)
    assert isinstance(await awaitable, RunResult)


async def test_a_result_says_how_the_run_ended() -> None:
    result = await AsyncRunner().run(Graph(nodes=[fetch]), inputs={"query": "x"})
    assert result.values == {"page": "page about x"}
    assert result.status is RunStatus.COMPLETED
    assert result.workflow_id is None
    assert result.run_id.startswith("run-")
    assert result.pause is None
    assert result.paused is False


# --- batches ----------------------------------------------------------------------------------


async def test_a_map_iterates_one_input_and_broadcasts_the_others() -> None:
    @node(output_name="response")
    async def answer(queries: str, config: str) -> str:
        return f"{queries} with {config}"

    results = await AsyncRunner().map(
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
async def test_several_inputs_are_iterated_in_parallel_or_combined(
    mode: Any, executed: list[tuple[int, int]]
) -> None:
    @node(output_name="pair")
    async def pair(x: int, y: int) -> tuple[int, int]:
        return x, y

    results = await AsyncRunner().map(
        Graph(nodes=[pair]),
        inputs={"x": [1, 2], "y": [3, 4]},
        map_over=["x", "y"],
        map_mode=mode,
    )
    assert [result["pair"] for result in results] == executed


async def test_a_graph_with_interrupts_cannot_be_mapped_and_is_run_in_a_loop_instead() -> None:
    runner = AsyncRunner()
    graph_with_interrupts = Graph(nodes=[InterruptNode("approve", "draft", "decision")])
    with pytest.raises(GraphConfigError):
        await runner.map(graph_with_interrupts, inputs={"draft": ["x"]}, map_over="draft")

    shown = []
    for item in ("x", "y"):
        result = await runner.run(graph_with_interrupts, inputs={"draft": item})
        if result.pause:
            shown.append(result.pause.value)
    assert shown == ["x", "y"]


# --- streaming --------------------------------------------------------------------------------


async def test_a_run_is_watched_as_it_unfolds(capsys: pytest.CaptureFixture[str]) -> None:
    graph = Graph(nodes=[stream_llm, InterruptNode("review", "response", "verdict")])
    runner = AsyncRunner()
    completed = []
    async for event in runner.iter(graph, inputs={"prompt": "Tell me a story"}):
        match event:
            case StreamingChunkEvent(chunk=chunk):
                print(chunk, end="", flush=True)  # noqa: T201
            case NodeEndEvent(node_name=name, duration_ms=ms):
                assert ms >= 0
                completed.append(name)
            case InterruptEvent():
                # Handle human-in-the-loop
                break
    else:
        pytest.fail("no interrupt was seen")
    assert capsys.readouterr().out == "Tell me a story "
    assert completed == ["stream_llm"]


async def test_every_type_of_event_is_emitted_when_it_should_be() -> None:
    @route(targets=["stream_llm", END])
    async def decide(page: str) -> Any:
        return "stream_llm"

    graph = Graph(
        nodes=[
            fetch,
            decide,
            stream_llm.with_inputs(prompt="page"),
            InterruptNode("review", "response", "verdict"),
        ]
    )
    events = [
        event async for event in AsyncRunner(cache=MemoryCache()).iter(graph, inputs={"query": "x"})
    ]
    assert [type(event) for event in events] == [
        RunStartEvent,
        *(NodeStartEvent, NodeEndEvent),
        *(NodeStartEvent, RouteDecisionEvent, NodeEndEvent),
        NodeStartEvent,
        *[StreamingChunkEvent] * 3,
        NodeEndEvent,
        *(NodeStartEvent, InterruptEvent),
        RunEndEvent,
    ]
    assert events[-1].status is RunStatus.PAUSED


async def test_chunks_are_accumulated_by_run_and_emitted_one_by_one_by_iter() -> None:
    graph, runner = Graph(nodes=[stream_llm]), AsyncRunner()
    result = await runner.run(graph, values={"prompt": "once upon a time"})
    assert result.values["response"] == "once upon a time "  # Complete text

    chunks = []
    async for event in runner.iter(graph, values={"prompt": "once upon a time"}):
        if isinstance(event, StreamingChunkEvent):
            chunks.append(event.chunk)  # noqa: PERF401  Real-time streaming
    assert chunks == ["once ", "upon ", "a ", "time "]


# --- human in the loop ------------------------------------------------------------------------


def reviewed() -> Graph:
    @node(output_name="final_result")
    async def publish(draft: str, decision: str) -> str:
        return f"{draft}: {decision}"

    return Graph(nodes=[InterruptNode("approve", "draft", "decision"), publish], name="review")


async def test_a_run_pauses_for_human_input_and_is_resumed() -> None:
    graph, content = reviewed(), "a text"

    async def get_user_approval() -> str:
        return "approved"

    runner = AsyncRunner(checkpointer=SqliteCheckpointer("./dev.db"))

    result = await runner.run(
        graph,
        inputs={"draft": content},
        workflow_id="review-123",
    )

    assert result.status is RunStatus.PAUSED
    assert result.paused
    assert result.workflow_id == "review-123"
    if result.pause:
        # Show the value to the user
        assert f"Review needed: {result.pause.value}" == "Review needed: a text"
        user_decision = await get_user_approval()

        # Resume using same workflow_id (checkpointer auto-detects paused state)
        result = await runner.run(
            graph,
            values={result.pause.response_param: user_decision},
            workflow_id="review-123",
        )

    assert result.values["final_result"] == "a text: approved"


# --- execution --------------------------------------------------------------------------------


async def test_sync_and_async_nodes_work_together() -> None:
    Path("local.txt").write_text("here", encoding="utf-8")

    @node(output_name="local")
    def fetch_local(path: str) -> str:
        return Path(path).read_text(encoding="utf-8")  # Sync node

    @node(output_name="remote")
    async def fetch_api(url: str) -> str:
        return f"there, at {url}"  # Async node

    @node(output_name="both")
    def join(local: str, remote: str) -> str:
        return f"{local} and {remote}"

    # Both work together
    graph = Graph(nodes=[fetch_local, fetch_api, join])
    result = await AsyncRunner().run(graph, inputs={"path": "local.txt", "url": "example.org"})
    assert result["both"] == "here and there, at example.org"


async def test_independent_async_nodes_run_concurrently() -> None:
    flight = InFlight()

    @node(output_name="a")
    async def fetch_a(x: int) -> int:
        await flight.call()
        return x

    @node(output_name="b")
    async def fetch_b(x: int) -> int:
        await flight.call()
        return x

    @node(output_name="c")
    def combine(a: int, b: int) -> int:
        assert flight.now == 0  # after both complete
        return a + b

    result = await AsyncRunner().run(Graph(nodes=[fetch_a, fetch_b, combine]), inputs={"x": 2})
    assert result["c"] == 4
    assert flight.most == 2


async def test_sync_nodes_of_a_generation_run_one_by_one_after_the_async_ones() -> None:
    log = []

    @node(output_name="first")
    def sync_first(x: int) -> None:
        log.append("sync first")

    @node(output_name="second")
    async def waits(x: int) -> None:
        log.append("async starts")
        await anyio.lowlevel.checkpoint()
        log.append("async ends")

    @node(output_name="third")
    def sync_third(x: int) -> None:
        log.append("sync third")

    await AsyncRunner().run(Graph(nodes=[sync_first, waits, sync_third]), inputs={"x": 1})
    assert log == ["async starts", "async ends", "sync first", "sync third"]


# --- concurrency ------------------------------------------------------------------------------


@pytest.mark.parametrize(("limit", "most"), [(None, 4), (3, 3), (1, 1)])
async def test_one_limit_holds_over_all_nodes_and_all_levels(limit: int | None, most: int) -> None:
    flight = InFlight()

    async def operate(x: int) -> int:
        await flight.call()
        return x

    a, b, c, d = (node(operate, output_name=name, name=f"node_{name}") for name in "abcd")
    nested = Graph(nodes=[c, d], name="nested")
    graph = Graph(nodes=[a, b, nested.as_node()])
    await AsyncRunner().run(graph, inputs={"x": 1}, max_concurrency=limit)
    assert flight.most == most


async def test_the_limit_holds_over_all_items_of_a_map() -> None:
    flight = InFlight()

    @node(output_name="y")
    async def operate(x: int) -> int:
        await flight.call()
        return x

    graph = Graph(nodes=[operate])
    results = await AsyncRunner().map(
        graph, inputs={"x": list(range(50))}, map_over="x", max_concurrency=20
    )
    assert [result["y"] for result in results] == list(range(50))
    assert flight.most == 20


# --- nested graphs ----------------------------------------------------------------------------


async def test_a_nested_graph_inherits_the_runner() -> None:
    inner = Graph(nodes=[fetch, process])
    outer = Graph(nodes=[inner.as_node(name="inner"), save])

    result = await AsyncRunner().run(outer, inputs={"query": "x"})
    assert result["response"] == "saved PAGE ABOUT X"


async def test_an_explicit_runner_overrides_it_and_a_blocking_one_runs_in_a_thread() -> None:
    threads = []

    @node(output_name="answer")
    def batch_node(page: str) -> str:
        threads.append(threading.current_thread())
        return page.upper()

    inner = Graph(nodes=[batch_node])
    outer = Graph(
        nodes=[
            fetch,
            inner.as_node(name="batch", runner=SyncRunner()),  # Override
            save,
        ]
    )
    result = await AsyncRunner().run(outer, inputs={"query": "x"})
    assert result["response"] == "saved PAGE ABOUT X"
    assert threads[0] is not threading.current_thread()


async def test_a_blocking_runner_may_hold_an_async_one() -> None:
    inner = Graph(nodes=[fetch]).as_node(name="inner", runner=AsyncRunner())
    outer = Graph(nodes=[inner, process])
    result = await anyio.to_thread.run_sync(SyncRunner().run, outer, {"query": "x"})
    assert result["answer"] == "PAGE ABOUT X"


async def test_an_explicit_runner_is_checked_when_it_is_given() -> None:
    inner = Graph(nodes=[InterruptNode("approve", "draft", "decision")])
    with pytest.raises(IncompatibleRunnerError, match="doesn't support interrupts"):
        inner.as_node(name="inner", runner=SyncRunner())
    assert inner.as_node(name="inner", runner=AsyncRunner()).inputs == ("draft",)


async def test_the_capabilities_of_the_async_runner() -> None:
    capabilities = AsyncRunner().capabilities
    assert capabilities.supports_cycles is True
    assert capabilities.supports_gates is True
    assert capabilities.supports_interrupts is True
    assert capabilities.supports_async_nodes is True
    assert capabilities.supports_streaming is True
    assert capabilities.supports_distributed is False
    assert capabilities.supports_durable_execution is False
    assert capabilities.returns_coroutine is True


# --- sessions ---------------------------------------------------------------------------------


async def test_a_session_id_groups_runs_that_have_ids_of_their_own() -> None:
    starts = []
    for query in ("first", "second"):
        stream = AsyncRunner().iter(
            Graph(nodes=[fetch]),
            inputs={"query": query},
            session_id="conversation-123",
        )
        starts += [event async for event in stream if isinstance(event, RunStartEvent)]
        assert stream.result.run_id == starts[-1].run_id
    assert [event.session_id for event in starts] == ["conversation-123"] * 2
    assert len({event.run_id for event in starts}) == 2


# --- errors -----------------------------------------------------------------------------------


@node(output_name="count")
async def step(count: int) -> int:
    return count + 1


@route(targets=["step", END])
def again(count: int) -> Any:
    return "step"


async def test_a_required_input_that_is_not_given_is_missing() -> None:
    with pytest.raises(MissingInputError):
        await AsyncRunner().run(Graph(nodes=[fetch]), inputs={})


async def test_parallel_nodes_with_values_for_one_output_conflict() -> None:
    @node(output_name="value")
    async def plus(start: int) -> int:
        return start + 1

    @node(output_name="value")
    async def times(start: int) -> int:
        return start * 2

    @route(targets=["plus", "times"], multi_target=True)
    def both(start: int) -> list[Any]:
        return ["plus", "times"]

    with pytest.raises(ConflictError):
        await AsyncRunner().run(Graph(nodes=[plus, times, both]), inputs={"start": 2})


async def test_the_default_limit_of_iterations_is_1000() -> None:
    with pytest.raises(InfiniteLoopError, match="1000"):
        await AsyncRunner().run(Graph(nodes=[step, again]), inputs={"count": 0})


async def test_a_graph_that_changed_is_not_resumed_unless_that_is_forced() -> None:
    @node(output_name="final_result")
    async def publish(draft: str, decision: str) -> str:
        return f"{decision}: {draft}"

    changed = Graph(nodes=[InterruptNode("approve", "draft", "decision"), publish], name="review")
    runner = AsyncRunner(checkpointer=SqliteCheckpointer("./dev.db"))
    await runner.run(reviewed(), inputs={"draft": "a text"}, workflow_id="w")
    with pytest.raises(VersionMismatchError, match="publish"):
        await runner.run(changed, values={"decision": "yes"}, workflow_id="w")
    result = await runner.run(
        changed, values={"decision": "yes"}, workflow_id="w", force_resume=True
    )
    assert result["final_result"] == "yes: a text"


# --- caching ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make", [MemoryCache, lambda: DiskCache("./cache")], ids=["memory", "disk"]
)
async def test_cached_nodes_skip_execution_on_runs_with_identical_inputs(make: Any) -> None:
    graph, runner = Graph(nodes=[fetch, process, save]), AsyncRunner(cache=make())
    cached = []
    for query in ("x", "x", "y"):
        ends = [
            event
            async for event in runner.iter(graph, inputs={"query": query})
            if isinstance(event, NodeEndEvent)
        ]
        cached.append([event.cached for event in ends])
    assert cached == [[False] * 3, [True] * 3, [False] * 3]
