"""Stopping a run: what was started finishes, nothing else starts, and what came of it is kept."""

import anyio
import pytest

from hypergraph import END, Graph, InterruptNode, RunStatus, branch, node
from hypergraph.checkpointers import MemoryCheckpointer
from hypergraph.events import (
    InterruptEvent,
    NodeEndEvent,
    NodeStartEvent,
    RunEndEvent,
    StreamingChunkEvent,
)
from hypergraph_runner_async import AsyncRunner
from hypergraph_runner_sync import SyncRunner
from tests.async_.support import LONG, NoTaskLeft, steps, turns

pytestmark = pytest.mark.anyio


async def stop_at(stream, when):
    """Follow a run, and stop it at the first event of which ``when(event)`` is true."""
    seen = []
    with anyio.fail_after(LONG):
        async for event in stream:
            seen.append(event)
            if when(event):
                stream.stop()
    return seen


def starts_of(name):
    return lambda event: type(event) is NodeStartEvent and event.node_name == name


def chunk(number):
    return lambda event: type(event) is StreamingChunkEvent and event.index == number


@node(output_name="a")
async def first(x):
    await turns(30)
    return x + 1


@node(output_name="b")
async def second(a):
    return a + 1


CHAIN = Graph([first, second], name="chain")


@pytest.mark.parametrize("kept", [False, True])
async def test_what_was_started_finishes_and_nothing_else_starts(kept):
    runner = AsyncRunner(checkpointer=MemoryCheckpointer() if kept else None)
    async with NoTaskLeft():
        stream = runner.iter(CHAIN, {"x": 1})
        seen = await stop_at(stream, starts_of("first"))
    assert steps(seen) == ["RunStart", "NodeStart first", "NodeEnd first", "RunEnd"]
    assert seen[-1].status is RunStatus.STOPPED
    assert stream.result.status is RunStatus.STOPPED
    assert stream.result.values == {"a": 2}
    assert not stream.result.paused


@pytest.mark.parametrize("kind", ["async", "sync"])
@pytest.mark.parametrize("threads", [False, True])
@pytest.mark.parametrize("own", [None, SyncRunner, AsyncRunner])
async def test_a_streaming_node_keeps_what_it_has_yielded(kind, threads, own):
    ended = []

    async def endless(x):
        try:
            while True:
                yield "."
        finally:
            ended.append(True)

    def endless_too(x):
        try:
            while True:
                yield "."
        finally:
            ended.append(True)

    if own is SyncRunner and kind == "async":
        pytest.skip("a sync runner refuses async nodes")
    talk = node(endless if kind == "async" else endless_too, name="talk", output_name="text")
    shout = node(lambda text: text.upper(), name="shout")
    inner = Graph([talk], name="inner").as_node(runner=own() if own else None)
    graph = Graph([inner, shout] if own else [talk, shout])
    runner = AsyncRunner(sync_nodes="thread" if threads else "inline")
    stream = runner.iter(graph, {"x": 1})
    seen = await stop_at(stream, chunk(5))
    text = stream.result["text"]
    chunks = [event for event in seen if type(event) is StreamingChunkEvent]
    assert text == "." * len(chunks)
    assert len(text) > 5
    assert ended == [True]
    assert stream.result.status is RunStatus.STOPPED
    assert "NodeStart shout" not in steps(seen)


async def test_nodes_of_the_generation_that_have_not_started_do_not_start():
    async def wait(x):
        await turns(30)
        return x

    def plain(x):
        return x

    graph = Graph([node(wait), node(plain)])
    stream = AsyncRunner().iter(graph, {"x": 1})
    seen = await stop_at(stream, starts_of("wait"))
    assert "NodeStart plain" not in steps(seen)
    assert stream.result.values == {"wait": 1}
    assert stream.result.status is RunStatus.STOPPED


async def test_nodes_that_queue_for_a_slot_do_not_start():
    async def wait(x):
        await turns(30)
        return x

    nodes = [node(wait, name=f"n{i}", output_name=f"o{i}") for i in range(5)]
    stream = AsyncRunner().iter(Graph(nodes), {"x": 1}, max_concurrency=1)
    await stop_at(stream, starts_of("n0"))
    assert stream.result.values == {"o0": 1}


async def test_several_that_were_started_all_finish():
    async def wait(x):
        await turns(30)
        return x

    nodes = [node(wait, name=f"n{i}", output_name=f"o{i}") for i in range(5)]
    seen = await stop_at(stream := AsyncRunner().iter(Graph(nodes), {"x": 1}), starts_of("n4"))
    assert len([event for event in seen if type(event) is NodeEndEvent]) == 5
    assert len(stream.result.values) == 5


@pytest.mark.parametrize("complete", [False, True])
async def test_a_nested_graph_stops_too_unless_it_is_to_be_completed(complete):
    inner = CHAIN.as_node(name="inner", complete_on_stop=complete)
    after = node(lambda a: a, name="after")
    stream = AsyncRunner().iter(Graph([inner, after]), {"x": 1})
    seen = await stop_at(stream, starts_of("first"))
    assert ("NodeStart second" in steps(seen)) is complete
    assert "NodeStart after" not in steps(seen)
    result = stream.result
    assert result.status is RunStatus.STOPPED
    child = RunStatus.COMPLETED if complete else RunStatus.STOPPED
    assert result.children["inner"].status is child
    assert result.children["inner"].values == ({"a": 2, "b": 3} if complete else {"a": 2})
    ends = [event.status for event in seen if type(event) is RunEndEvent]
    assert ends == [child, RunStatus.STOPPED]


@pytest.mark.parametrize("own", [None, AsyncRunner, SyncRunner])
async def test_a_graph_within_a_graph_to_be_completed_is_completed_as_well(own):
    deep = CHAIN if own is not SyncRunner else _plain_chain()
    deep = deep.as_node(name="deep", runner=own() if own else None)
    inner = Graph([deep], name="middle").as_node(name="inner", complete_on_stop=True)
    stream = AsyncRunner().iter(Graph([inner]), {"x": 1})
    await stop_at(stream, starts_of("first"))
    assert stream.result.values == {"a": 2, "b": 3}


def _plain_chain():
    return Graph(
        [
            node(lambda x: x + 1, name="first", output_name="a"),
            node(lambda a: a + 1, name="second", output_name="b"),
        ],
        name="chain",
    )


async def test_a_streaming_node_in_a_graph_to_be_completed_is_read_to_its_end():
    async def count(x):
        for i in range(x):
            yield i

    inner = Graph([node(count)], name="inner").as_node(complete_on_stop=True)
    stream = AsyncRunner().iter(Graph([inner]), {"x": 50})
    await stop_at(stream, chunk(3))
    assert stream.result["count"] == list(range(50))


async def test_a_loop_is_stopped_between_rounds():
    step = node(lambda n: n + 1, name="step", output_name="n")
    graph = Graph([step, branch(when_true="step", when_false=END)(_forever)])
    stream = AsyncRunner().iter(graph, {"n": 0}, max_iterations=10**6)
    seen = await stop_at(stream, lambda e: type(e) is NodeEndEvent and e.outputs == {"n": 7})
    assert stream.result["n"] >= 7
    assert stream.result.status is RunStatus.STOPPED
    started = [event for event in seen if type(event) is NodeStartEvent]
    ended = [event for event in seen if type(event) is NodeEndEvent]
    assert len(started) == len(ended)


def _forever(n):
    return True


async def test_items_of_a_map_that_have_not_started_do_not_start():
    async def wait(item):
        await turns(10)
        return item

    inner = Graph([node(wait)], name="inner").as_node().map_over("item")
    stream = AsyncRunner().iter(Graph([inner]), {"item": range(50)}, max_concurrency=2)
    seen = await stop_at(stream, starts_of("wait"))
    started = [e for e in seen if type(e) is NodeStartEvent and e.node_name == "wait"]
    assert 1 <= len(started) <= 4
    assert stream.result.status is RunStatus.STOPPED
    assert stream.result.values == {}


async def test_no_interrupt_is_asked_after_a_stop():
    async def wait(x):
        await turns(30)
        return x

    graph = Graph([node(wait), InterruptNode("ask", "x", "answer")])
    stream = AsyncRunner().iter(graph, {"x": 1})
    seen = await stop_at(stream, starts_of("wait"))
    assert not [event for event in seen if type(event) is InterruptEvent]
    assert stream.result.status is RunStatus.STOPPED
    assert stream.result.values == {"wait": 1}


async def test_a_stop_before_the_start_runs_nothing():
    stream = AsyncRunner().iter(CHAIN, {"x": 1})
    stream.stop()
    seen = await stop_at(stream, lambda event: False)
    assert steps(seen) == ["RunStart", "RunEnd"]
    assert (stream.result.status, stream.result.values) == (RunStatus.STOPPED, {})


async def test_a_stop_after_the_last_node_was_started_may_still_complete():
    stream = AsyncRunner().iter(CHAIN, {"x": 1})
    await stop_at(stream, starts_of("second"))
    assert stream.result.values == {"a": 2, "b": 3}
    assert stream.result.status is RunStatus.COMPLETED


async def test_a_stopped_workflow_is_resumed_where_it_was():
    calls = []

    async def one(x):
        calls.append("one")
        await turns(10)
        return x

    async def two(one):
        calls.append("two")
        return one + 1

    runner, graph = AsyncRunner(checkpointer=MemoryCheckpointer()), Graph([node(one), node(two)])
    stream = runner.iter(graph, {"x": 1}, workflow_id="w")
    await stop_at(stream, starts_of("one"))
    assert stream.result.status is RunStatus.STOPPED
    result = await runner.run(graph, workflow_id="w")
    assert result.status is RunStatus.COMPLETED
    assert (result["two"], calls) == (2, ["one", "two"])
