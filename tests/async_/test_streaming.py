"""Following a run: events in order, at the pace of who follows, and leaving early."""

import anyio
import pytest

from hypergraph import END, Graph, RunStatus, branch, node
from hypergraph.errors import MissingInputError
from hypergraph.events import (
    NodeEndEvent,
    NodeStartEvent,
    RunStartEvent,
    StreamingChunkEvent,
)
from hypergraph_runner_async import AsyncRunner
from hypergraph_runner_async.stream import AHEAD
from hypergraph_runner_sync import SyncRunner
from tests.async_.support import LONG, Counted, Listener, follow, steps, turns

pytestmark = pytest.mark.anyio
MANY = 100_000


@node(output_name="text")
async def tokens(count):
    for i in range(count):
        yield f"{i} "


@node(output_name="numbers")
def numbers(count):
    yield from range(count)


@node(output_name="length")
def measure(text):
    return len(text)


KINDS = pytest.mark.parametrize("kind", ["async", "sync"])


async def test_events_come_in_order():
    events = await follow(AsyncRunner().iter(Graph([tokens, measure]), {"count": 2}))
    assert steps(events) == [
        "RunStart",
        "NodeStart tokens",
        "StreamingChunk tokens",
        "StreamingChunk tokens",
        "NodeEnd tokens",
        "NodeStart measure",
        "NodeEnd measure",
        "RunEnd",
    ]
    assert [(e.index, e.chunk) for e in events if type(e) is StreamingChunkEvent] == [
        (0, "0 "),
        (1, "1 "),
    ]
    times = [event.time for event in events]
    assert times == sorted(times)


async def test_the_result_is_there_when_the_run_has_ended():
    stream = AsyncRunner().iter(Graph([tokens, measure]), {"count": 2}, select="length")
    with pytest.raises(RuntimeError, match="has not ended"):
        _ = stream.result
    await follow(stream)
    assert stream.result.values == {"length": 4}
    assert stream.result.status is RunStatus.COMPLETED
    assert await follow(stream) == [], "a stream that has ended stays so"


async def test_nothing_runs_before_the_first_event_is_asked_for():
    calls = []

    def note(x):
        calls.append(x)

    stream = AsyncRunner().iter(Graph([node(note)]), {"x": 1})
    await turns()
    assert calls == []
    await follow(stream)
    assert calls == [1]


async def test_what_does_not_fit_is_refused_before_the_first_event():
    with pytest.raises(MissingInputError, match="count"):
        await follow(AsyncRunner().iter(Graph([tokens]), {}))
    with pytest.raises(TypeError):
        AsyncRunner().iter(Graph([tokens]), {"count": 1}, no_such_option=1)


async def test_a_failure_is_raised_after_the_last_event():
    error = LookupError()

    async def fail(x):
        raise error

    stream = AsyncRunner().iter(Graph([node(fail)]), {"x": 1})
    seen = [await anext(stream) for _ in range(4)]
    with pytest.raises(LookupError) as caught:
        await anext(stream)
    assert caught.value is error
    assert steps(seen) == ["RunStart", "NodeStart fail", "NodeError fail", "RunEnd"]
    with pytest.raises(LookupError):
        _ = stream.result


async def test_on_error_return_ends_the_stream_with_a_failed_result():
    async def fail(x):
        raise LookupError

    stream = AsyncRunner().iter(Graph([node(fail)]), {"x": 1}, on_error="return")
    assert steps(await follow(stream))[-1] == "RunEnd"
    assert stream.result.status is RunStatus.FAILED


async def test_loops_and_nested_runs_are_followed():
    step = node(lambda n: n + 1, name="step", output_name="n")
    below = branch(when_true="step", when_false=END)(_few)
    loop = Graph([step, below], name="loop").as_node()
    events = await follow(AsyncRunner().iter(Graph([loop], name="main"), {"n": 0}))
    assert [e.graph_name for e in events if type(e) is RunStartEvent] == ["main", "loop"]
    assert len([e for e in events if type(e) is NodeStartEvent]) == 1 + 3 + 3


def _few(n):
    return n < 3


async def test_listeners_are_told_too_and_may_be_broken():
    class Broken:
        def on_event(self, event):
            raise RuntimeError("the user's own")

    listener = Listener()
    runner = AsyncRunner(event_processors=[Broken(), listener])
    with pytest.warns(match="Broken"):
        events = await follow(runner.iter(Graph([tokens]), {"count": 3}))
    assert events == listener.events


# --- pace -------------------------------------------------------------------------------------


@pytest.mark.parametrize("listened", [False, True])
@pytest.mark.parametrize("generator", [tokens, numbers], ids=lambda g: g.name)
@pytest.mark.parametrize("threads", [False, True])
async def test_no_chunk_of_a_hasty_generator_is_lost(generator, threads, listened):
    runner = AsyncRunner(
        sync_nodes="thread" if threads else "inline", event_processors=[Listener()] * listened
    )
    stream = runner.iter(Graph([generator]), {"count": MANY})
    indices, most = [], 0
    async for event in stream:
        if type(event) is StreamingChunkEvent:
            indices.append(event.index)
            most = max(most, len(stream._channel.events))
    assert indices == list(range(MANY))
    assert most <= AHEAD + 1, "memory is bounded"
    expected = "".join(f"{i} " for i in range(MANY)) if generator is tokens else [*range(MANY)]
    assert stream.result.values == {generator.outputs[0]: expected}


@KINDS
async def test_a_generator_is_never_far_ahead_of_who_follows(kind):
    counted = Counted(kind)
    async with AsyncRunner().iter(Graph([counted.node]), {"x": 1}) as stream:
        seen = 0
        async for event in stream:
            if type(event) is StreamingChunkEvent:
                seen += 1
                if seen % 500 == 0:
                    await turns(50)
                assert counted.yielded - seen <= AHEAD + 1
            if seen == 5 * AHEAD:
                break
    assert counted.ended


async def test_nodes_wait_for_who_follows_too():
    ran = 0

    def step(n):
        nonlocal ran
        ran += 1
        return n + 1

    @branch(when_true="step", when_false=END)
    def forever(n):
        return True

    graph = Graph([node(step, output_name="n"), forever])
    async with AsyncRunner().iter(graph, {"n": 0}, max_iterations=10**6) as stream:
        await anext(stream)
        await turns(100)
        assert 0 < ran <= AHEAD
        for _ in range(3 * AHEAD):
            await anext(stream)
        assert ran <= 2 * AHEAD


async def test_parallel_generators_share_the_room():
    async def other(x):
        for i in range(3000):
            yield i

    nodes = [node(other, name=f"g{i}", output_name=f"o{i}") for i in range(4)]
    stream = AsyncRunner().iter(Graph(nodes), {"x": 1})
    most = 0
    async for _ in stream:
        most = max(most, len(stream._channel.events))
    assert most <= AHEAD + 4
    assert [len(stream.result[f"o{i}"]) for i in range(4)] == [3000] * 4


async def test_one_that_fails_while_the_others_wait_for_room_fails_the_run():
    error = LookupError()

    async def stream_on(x):
        for i in range(10**6):
            yield i

    async def fail(x):
        await turns(50)
        raise error

    nodes = [node(stream_on, name=f"g{i}", output_name=f"o{i}") for i in range(3)]
    stream = AsyncRunner().iter(Graph([*nodes, node(fail)]), {"x": 1})
    await anext(stream)
    await turns(200)
    with pytest.raises(LookupError) as caught:
        await follow(stream)
    assert caught.value is error


@pytest.mark.parametrize("nested", [SyncRunner, AsyncRunner])
async def test_a_nested_run_of_another_runner_is_followed_and_paced(nested):
    counted = Counted("sync", count=5 * AHEAD)
    inner = Graph([counted.node], name="inner").as_node(runner=nested())
    stream = AsyncRunner().iter(Graph([inner], name="main"), {"x": 1})
    seen = 0
    with anyio.fail_after(LONG):
        async for event in stream:
            if type(event) is StreamingChunkEvent:
                seen += 1
                assert counted.yielded - seen <= AHEAD + 2
    assert seen == 5 * AHEAD
    assert stream.result["out"] == list(range(5 * AHEAD))
    assert counted.ended


async def test_events_of_worker_threads_wake_who_waits_for_them():
    def wait(x):
        return x

    inner = Graph([node(wait)], name="inner").as_node(runner=SyncRunner()).map_over("x")
    for _ in range(20):
        events = await follow(AsyncRunner().iter(Graph([inner]), {"x": range(20)}))
        assert len([e for e in events if type(e) is NodeEndEvent]) == 21


# --- who follows ------------------------------------------------------------------------------


async def test_two_may_not_follow_at_once():
    async def wait(x):
        await anyio.sleep(LONG)

    async with AsyncRunner().iter(Graph([node(wait)]), {"x": 1}) as stream:
        await anext(stream)
        await anext(stream)
        async with anyio.create_task_group() as group:
            group.start_soon(_expect_nothing, stream)
            await turns(5)
            with pytest.raises(RuntimeError, match="two tasks"):
                await anext(stream)
            group.cancel_scope.cancel()


async def _expect_nothing(stream):
    await anext(stream)
    pytest.fail("an event came")


async def test_waiting_for_an_event_may_time_out_and_be_taken_up_again():
    go = anyio.Event()

    async def wait(x):
        await go.wait()
        return x

    stream = AsyncRunner().iter(Graph([node(wait)]), {"x": 1})
    seen = [await anext(stream), await anext(stream)]
    for _ in range(3):
        with anyio.move_on_after(0.001):
            await anext(stream)
            pytest.fail("an event came")
    go.set()
    assert steps(seen + await follow(stream))[-2:] == ["NodeEnd wait", "RunEnd"]


async def test_a_run_may_be_followed_from_one_task_after_another():
    stream = AsyncRunner().iter(Graph([tokens]), {"count": 3})
    seen = []

    async def take():
        seen.append(await anext(stream))

    for _ in range(7):
        async with anyio.create_task_group() as group:
            group.start_soon(take)
    assert steps(seen)[0] == "RunStart"
    assert steps(seen)[-1] == "RunEnd"
