"""Leaving a stream before its end, however that happens: nothing of the run is left behind."""

import asyncio
import gc

import anyio
import pytest

from hypergraph import Graph, RunStatus, node
from hypergraph.events import RunEndEvent, StreamingChunkEvent
from hypergraph_runner_async import AsyncRunner
from hypergraph_runner_async.stream import AHEAD
from hypergraph_runner_sync import SyncRunner
from tests.async_.support import LONG, Counted, Listener, NoTaskLeft, follow, turns

pytestmark = pytest.mark.anyio
KINDS = pytest.mark.parametrize("kind", ["async", "sync"])


async def leave_by_break(stream):
    async with stream:
        async for event in stream:
            if type(event) is StreamingChunkEvent:
                break


async def leave_by_exception(stream):
    async def fail():
        async with stream:
            async for event in stream:
                if type(event) is StreamingChunkEvent:
                    raise LookupError("who follows")

    with pytest.raises(LookupError, match="who follows"):
        await fail()


async def leave_by_cancellation(stream):
    with anyio.CancelScope() as scope:
        async with stream:
            async for event in stream:
                if type(event) is StreamingChunkEvent:
                    scope.cancel()
                    await anyio.lowlevel.checkpoint()
    assert scope.cancelled_caught


async def leave_by_aclose(stream):
    await anext(stream)
    await anext(stream)
    await stream.aclose()
    await stream.aclose()


@KINDS
@pytest.mark.parametrize(
    "leave", [leave_by_break, leave_by_exception, leave_by_cancellation, leave_by_aclose]
)
async def test_leaving_early_leaves_nothing_behind(leave, kind):
    counted, listener = Counted(kind), Listener()
    runner = AsyncRunner(event_processors=[listener])
    stream = runner.iter(Graph([counted.node]), {"x": 1})
    async with NoTaskLeft():
        with anyio.fail_after(LONG):
            await leave(stream)
        assert counted.ended, "the generator is closed when the stream has been left"
        assert listener.steps()[-2:] == ["NodeError endless", "RunEnd"]
        assert listener.of(RunEndEvent)[0].status is RunStatus.FAILED
    assert await follow(stream) == []
    with pytest.raises(RuntimeError, match="cancelled"):
        _ = stream.result


@KINDS
async def test_a_forgotten_stream_cancels_its_run(kind):
    counted = Counted(kind)
    async with NoTaskLeft():
        async for event in AsyncRunner().iter(Graph([counted.node]), {"x": 1}):
            if type(event) is StreamingChunkEvent:
                break
        gc.collect()
        await turns(50)
        assert counted.ended


async def test_a_stream_that_is_left_before_it_began_never_begins():
    counted = Counted()
    async with AsyncRunner().iter(Graph([counted.node]), {"x": 1}) as stream:
        pass
    assert await follow(stream) == []
    assert counted.yielded == 0


async def test_leaving_at_the_end_keeps_the_result():
    counted = Counted(count=2)
    async with AsyncRunner().iter(Graph([counted.node]), {"x": 1}) as stream:
        async for _ in stream:
            pass
    assert stream.result["out"] == [0, 1]


async def test_leaving_waits_for_the_clean_up_of_nodes():
    log = []

    async def tidy(x):
        try:
            await anyio.sleep(LONG)
        finally:
            with anyio.CancelScope(shield=True):
                await turns(20)
            log.append("tidied")

    async with AsyncRunner().iter(Graph([node(tidy)]), {"x": 1}) as stream:
        await anext(stream)
        await anext(stream)
    assert log == ["tidied"]


@pytest.mark.parametrize("threads", [False, True])
async def test_leaving_ends_a_nested_run_in_a_thread_that_is_far_ahead(threads):
    counted = Counted("sync", count=200 * AHEAD)
    graph = Graph([counted.node], name="inner")
    if not threads:
        graph = Graph([graph.as_node(runner=SyncRunner())])
    runner = AsyncRunner(sync_nodes="thread" if threads else "inline")
    with anyio.fail_after(LONG):
        async with runner.iter(graph, {"x": 1}) as stream:
            while type(await anext(stream)) is not StreamingChunkEvent:
                pass
            while counted.yielded < AHEAD // 2:
                await anyio.sleep(0.001)
    assert counted.ended


@KINDS
def test_a_stream_that_outlives_its_event_loop_does_no_harm(kind):
    counted = Counted(kind)
    streams = [AsyncRunner().iter(Graph([counted.node]), {"x": 1})]

    async def main():
        async for event in streams[0]:
            if type(event) is StreamingChunkEvent:
                break
        await turns(50)

    asyncio.run(main())
    assert counted.ended
    streams.clear()
    gc.collect()
