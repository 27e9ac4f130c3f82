"""How long one attempt of a node may take."""

import anyio
import pytest

from hypergraph import Graph, RetryPolicy, node
from hypergraph.errors import GraphConfigError, NodeTimeoutError
from hypergraph.events import NodeErrorEvent, NodeRetryEvent
from hypergraph.testing import ManualClock
from hypergraph_runner_async import AsyncRunner
from tests.async_.support import LONG, Listener, NoTaskLeft, in_every_lane, notes, turns
from tests.sync.support import UNCACHED_IS_FINE

pytestmark = [pytest.mark.anyio, UNCACHED_IS_FINE]
SHORT = 0.01


def slow(log, timeout=SHORT, **options):
    async def wait(x):
        log.append("begun")
        try:
            await anyio.sleep(LONG)
        finally:
            log.append("cleaned up")

    return node(wait, timeout=timeout, **options)


def slow_stream(log, timeout=SHORT, **options):
    async def wait(x):
        log.append("begun")
        try:
            yield 1
            await anyio.sleep(LONG)
        finally:
            log.append("cleaned up")

    return node(wait, timeout=timeout, **options)


@pytest.mark.parametrize("make", [slow, slow_stream], ids=["function", "generator"])
@pytest.mark.parametrize("nested", [False, True])
@in_every_lane
async def test_a_node_that_takes_longer_is_cancelled_and_fails(runner, nested, make):
    log = []
    graph = Graph([make(log)], name="main")
    if nested:
        graph = Graph([graph.as_node()], name="outer")
    async with NoTaskLeft():
        with pytest.raises(NodeTimeoutError, match=r"timeout of 0\.01 s") as caught:
            await runner.run(graph, {"x": 1})
    assert (caught.value.node, caught.value.timeout) == ("wait", SHORT)
    assert log == ["begun", "cleaned up"]
    assert len(notes(caught.value)) == 1


@pytest.mark.parametrize("method", ["run", "iter"])
async def test_a_generator_that_is_followed_has_its_timeout_too(method):
    log = []
    stream = AsyncRunner().iter(Graph([slow_stream(log)]), {"x": 1})
    with pytest.raises(NodeTimeoutError):
        async for _ in stream:
            pass
    assert log == ["begun", "cleaned up"]


@in_every_lane
async def test_one_that_is_fast_enough_is_left_alone(runner):
    async def quick(x):
        await turns(3)
        return x + 1

    async def stream(x):
        yield x
        await turns(3)
        yield x + 1

    nodes = [node(quick, timeout=LONG), node(stream, timeout=LONG)]
    assert (await runner.run(Graph(nodes), {"x": 1})).values == {"quick": 2, "stream": [1, 2]}


@in_every_lane
async def test_a_timeout_is_an_error_like_any_other(runner):
    log = []

    async def beside(x):
        try:
            await anyio.sleep(LONG)
        finally:
            log.append("cancelled")

    with pytest.raises(NodeTimeoutError):
        await runner.run(Graph([node(beside), slow([])]), {"x": 1})
    assert log == ["cancelled"]


async def test_a_timeout_is_a_timeout_error_and_is_told():
    listener = Listener()
    with pytest.raises(TimeoutError) as caught:
        await AsyncRunner().run(Graph([slow([])]), {"x": 1}, event_processors=[listener])
    assert [event.error for event in listener.of(NodeErrorEvent)] == [caught.value]


async def test_each_attempt_has_the_whole_time():
    log, listener, clock = [], Listener(), ManualClock()
    retry = RetryPolicy(initial_interval=5, maximum_attempts=3, jitter=0)
    with pytest.raises(NodeTimeoutError):
        await AsyncRunner(clock=clock).run(
            Graph([slow(log, retry=retry)]), {"x": 1}, event_processors=[listener]
        )
    assert log == ["begun", "cleaned up"] * 3
    assert clock.slept == [5, 10]
    told = [(event.attempt, event.delay) for event in listener.of(NodeRetryEvent)]
    assert told == [(1, 5), (2, 10)]


async def test_a_retry_may_succeed_after_a_timeout():
    calls = []

    async def wait(x):
        calls.append(x)
        await anyio.sleep(LONG if len(calls) < 3 else 0)
        return "at last"

    retry = RetryPolicy(initial_interval=1)
    graph = Graph([node(wait, timeout=SHORT, retry=retry)])
    assert (await AsyncRunner(clock=ManualClock()).run(graph, {"x": 1}))["wait"] == "at last"
    assert len(calls) == 3


async def test_a_timeout_may_be_named_as_not_to_be_retried():
    log = []
    retry = RetryPolicy(non_retryable_errors=(NodeTimeoutError,))
    with pytest.raises(NodeTimeoutError):
        await AsyncRunner(clock=ManualClock()).run(Graph([slow(log, retry=retry)]), {"x": 1})
    assert log == ["begun", "cleaned up"]


async def test_waiting_for_a_slot_takes_none_of_the_time():
    async def hold(x):
        await anyio.sleep(5 * SHORT)
        return x

    async def quick(x):
        return x

    graph = Graph([node(hold), node(quick, timeout=SHORT)])
    result = await AsyncRunner().run(graph, {"x": 1}, max_concurrency=1)
    assert result.values == {"hold": 1, "quick": 1}


@in_every_lane
async def test_a_timeout_error_of_the_nodes_own_is_left_as_it_is(runner):
    error = TimeoutError("of a database")

    async def fail(x):
        raise error

    with pytest.raises(TimeoutError) as caught:
        await runner.run(Graph([node(fail, timeout=LONG)]), {"x": 1})
    assert caught.value is error


@in_every_lane
async def test_being_cancelled_is_no_timeout(runner):
    begun = anyio.Event()

    async def wait(x):
        begun.set()
        await anyio.sleep(LONG)

    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(_cancel, scope, begun)
            await runner.run(Graph([node(wait, timeout=LONG)]), {"x": 1})
    assert scope.cancelled_caught


async def _cancel(scope, begun):
    await begun.wait()
    scope.cancel()


async def test_a_timeout_of_a_sync_node_is_refused_when_the_graph_is_built():
    with pytest.raises(GraphConfigError, match="cannot be enforced"):
        node(lambda x: x, name="plain", timeout=1)


@in_every_lane
async def test_a_map_item_that_takes_too_long_fails_alone(runner):
    async def wait(x):
        await anyio.sleep(LONG if x == 1 else 0)
        return x

    graph = Graph([node(wait, timeout=0.05)], name="g")
    results = await runner.map(graph, {"x": [0, 1, 2]}, map_over="x", on_error="return")
    assert results[0] == {"wait": 0}
    assert isinstance(results[1], NodeTimeoutError)
    assert results[2] == {"wait": 2}
