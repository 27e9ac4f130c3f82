"""What a user's type checker knows about code that uses hypergraph rightly."""

# pyright: strict

import asyncio
from collections.abc import Coroutine, Iterator
from datetime import timedelta
from typing import Any, assert_type

from hypergraph import (
    END,
    AsyncRunner,
    BaseRunner,
    BranchNode,
    Event,
    FunctionNode,
    GateNode,
    Graph,
    GraphNode,
    HyperNode,
    InterruptEvent,
    InterruptNode,
    MemoryCache,
    NodeEndEvent,
    PauseInfo,
    RetryPolicy,
    RouteNode,
    RunResult,
    RunStatus,
    StreamingChunkEvent,
    SyncRunner,
    TypedEventProcessor,
    TypeRouteNode,
    branch,
    load_runner,
    node,
    route,
    run,
)
from hypergraph.checkpointers import (
    Checkpointer,
    MemoryCheckpointer,
    Retention,
    SqliteCheckpointer,
    StepRecord,
    Workflow,
)
from hypergraph.errors import GraphConfigError, HypergraphError, MissingInputError
from hypergraph.runners.clock import Clock, SystemClock
from hypergraph.serialization import JsonSerializer
from hypergraph.testing import ManualClock
from hypergraph_runner_async import EventStream


@node
def plain(x: int) -> int:
    return x + 1


@node(output_name="text", cache=False)
def to_text(plain: int, *, prefix: str = "") -> str:
    return f"{prefix}{plain}"


@node(output_name=("low", "high"), name="bounds", rename_inputs={"n": "plain"})
def limits(n: int) -> tuple[int, int]:
    return n - 1, n + 1


@node(output_name="word")
def words(text: str) -> Iterator[str]:
    yield from text.split()


def undecorated(text: str) -> bytes:
    return text.encode()


encode = node(undecorated, output_name="raw")


@branch(when_true="to_text", when_false=END)
def is_even(plain: int) -> bool:
    return plain % 2 == 0


@route(targets=["to_text", END], fallback=END)
def choose(plain: int) -> str | None:
    return "to_text" if plain else None


POLICY = RetryPolicy(
    initial_interval=timedelta(seconds=0.5),
    maximum_interval=60,
    non_retryable_errors=[ValueError, "httpx.InvalidURL"],
)


@node(output_name="page", retry=POLICY, timeout=timedelta(seconds=30))
async def fetch(url: str) -> str:
    return url


@route(targets=["to_text", END], retry=POLICY, timeout=2.5)
async def judge(plain: int) -> str:
    return "to_text"


@branch(when_true="to_text", when_false=END, retry=POLICY)
def is_large(plain: int) -> bool:
    return plain > 9


def a_node_is_called_as_its_function() -> None:
    assert_type(plain(1), int)
    assert_type(to_text(1, prefix="n"), str)
    assert_type(limits(n=3), tuple[int, int])
    assert_type(words("a b"), Iterator[str])
    assert_type(encode("a"), bytes)
    assert_type(is_even(2), bool)
    assert_type(choose(2), str | None)


def a_policy_and_where_it_is_kept() -> None:
    awaited: Coroutine[Any, Any, str] = fetch("a")
    awaited.close()
    assert_type(POLICY.initial_interval, float)
    assert_type(POLICY.delay(1, OSError(), 0.0), float | None)
    assert_type(fetch.retry, RetryPolicy | None)
    assert_type(judge.timeout, float | None)
    assert is_large.retry is POLICY
    clocks: list[Clock] = [SystemClock(), ManualClock(time=10.0)]
    assert [SyncRunner(clock=clock).clock for clock in clocks] == clocks


def a_rename_keeps_the_kind_of_node() -> None:
    assert_type(plain.with_name("other")(1), int)
    assert_type(to_text.with_inputs(plain="n").with_outputs(text="t")(1), str)
    gate: GateNode = is_even.with_name("even")
    nodes: list[HyperNode] = [plain, gate, choose, InterruptNode("ask", "text", "answer")]
    assert [isinstance(one, FunctionNode) for one in nodes] == [True, False, False, False]
    assert isinstance(is_even, BranchNode)
    assert isinstance(choose, RouteNode)


def a_graph_and_its_views() -> None:
    graph = Graph([plain, to_text, limits], name="g", strict_types=True)
    assert_type(graph.bind(x=1).unbind("x").select("text"), Graph)
    assert_type(graph.inputs.required, tuple[str, ...])
    assert_type(graph.outputs, tuple[str, ...])
    assert_type(graph.nodes["plain"], HyperNode)
    assert_type(graph.has_cycles, bool)
    assert_type(graph.definition_hash, str)
    assert_type(graph.describe(), str)
    assert_type(graph.to_mermaid(), str)
    nested = graph.as_node(name="inner", namespaced=True)
    assert_type(nested, GraphNode)
    assert_type(graph.as_node().map_over("x", mode="product").with_inputs(x="xs"), GraphNode)


def a_gate_by_type() -> None:
    by_type = TypeRouteNode("kind", "value", routes={str: "to_text", int: END}, fallback=END)
    assert isinstance(by_type, GateNode)


class Durations(TypedEventProcessor):
    """A listener overrides what it wants to hear."""

    def __init__(self) -> None:
        self.seen: dict[str, float] = {}

    def on_node_end(self, event: NodeEndEvent) -> None:
        assert_type(event.cached, bool)
        self.seen[event.node_name] = assert_type(event.duration_ms, float)


def running() -> None:
    graph = Graph([plain, to_text])
    heard = Durations()
    runner = SyncRunner(cache=MemoryCache(max_items=10), event_processors=[heard])
    assert_type(runner, SyncRunner)
    result = runner.run(graph, {"x": 1})
    assert_type(result, dict[str, Any])
    assert result == {"plain": 2, "text": "2"}
    assert heard.seen.keys() == {"plain", "to_text"}
    assert runner.run(graph, values={"x": 1}, select=["text"]) == {"text": "2"}
    batch = runner.map(graph, {"x": [1, 2]}, map_over="x")
    assert_type(batch, list[dict[str, Any]])
    assert [one["text"] for one in batch] == ["2", "3"]
    kept = runner.map(graph, inputs={"x": [1, "a"]}, map_over=["x"], on_error="return")
    assert_type(kept, list[dict[str, Any] | Exception])
    assert isinstance(kept[1], TypeError)


async def awaiting() -> None:
    graph = Graph([plain, to_text, fetch.with_inputs(url="text")])
    runner = AsyncRunner(cache=MemoryCache(), sync_nodes="thread", clock=SystemClock())
    assert_type(runner, AsyncRunner)
    result = await runner.run(graph, {"x": 1}, max_concurrency=2, on_error="return")
    assert_type(result, RunResult)
    assert_type(result.values, dict[str, Any])
    assert_type(result.pause, PauseInfo | None)
    assert result["page"] == "2"
    batch = await runner.map(graph, {"x": [1, 2]}, map_over="x", max_concurrency=2)
    assert_type(batch, list[dict[str, Any]])
    kept = await runner.map(graph, values={"x": [1, "a"]}, map_over=["x"], on_error="return")
    assert_type(kept, list[dict[str, Any] | Exception])
    assert isinstance(kept[1], TypeError)


async def following() -> None:
    graph = Graph([plain, to_text, words, InterruptNode("ask", "word", "answer", str)])
    stream = AsyncRunner().iter(graph, {"x": 1}, session_id="s")
    assert_type(stream, EventStream)
    async with stream as same:
        assert_type(same, EventStream)
        async for event in same:
            assert_type(event, Event)
            match event:
                case StreamingChunkEvent(chunk=chunk, index=index):
                    assert_type(index, int)
                    assert chunk == "2"
                case InterruptEvent(response_key=key):
                    same.respond(key, "fine")
                case _:
                    pass
    assert_type(stream.result, RunResult)
    assert stream.result["answer"] == "fine"


async def keeping() -> None:
    store: Checkpointer = MemoryCheckpointer()
    graph = Graph([plain, InterruptNode("ask", "plain", "answer", int)])
    runner = AsyncRunner(checkpointer=store)
    paused = await runner.run(graph, {"x": 1}, workflow_id="w")
    assert paused.status is RunStatus.PAUSED
    await runner.run(graph, workflow_id="w", interrupt_handlers={"ask": lambda shown: shown + 1})
    assert_type(store.get_workflow("w"), Workflow)
    assert_type(store.get_steps("w"), list[StepRecord])
    assert store.get_state("w")["answer"] == 3
    assert_type(store.fork("w", superstep=0, new_id="v"), str)


def keeping_in_a_file(path: str) -> SqliteCheckpointer:
    kept = Retention(max_age=timedelta(days=1), max_workflows=10)
    return SqliteCheckpointer(path, durability="async", serializer=JsonSerializer(), retention=kept)


def choosing_by_name() -> None:
    graph = Graph([plain, to_text])
    result = run(graph, {"x": 1}, runner="sync", max_iterations=3)
    assert_type(result, RunResult)
    assert result["text"] == "2"
    assert_type(load_runner("sync", cache=MemoryCache()), BaseRunner)
    run(graph, values={"x": 1}, runner=SyncRunner)


def results_and_errors() -> None:
    result = RunResult(values={"a": 1})
    assert_type(result.status, RunStatus)
    assert_type(result["a"], Any)
    try:
        SyncRunner().run(Graph([plain]))
    except MissingInputError as error:
        as_base: HypergraphError = error
        assert "x" in str(as_base)
    try:
        plain.with_inputs(y="z")
    except GraphConfigError as error:
        assert_type(error.fix, str)


if __name__ == "__main__":
    a_node_is_called_as_its_function()
    a_policy_and_where_it_is_kept()
    a_rename_keeps_the_kind_of_node()
    a_graph_and_its_views()
    a_gate_by_type()
    running()
    asyncio.run(awaiting())
    asyncio.run(following())
    asyncio.run(keeping())
    choosing_by_name()
    results_and_errors()
