"""``sync_nodes="thread"``: plain functions run in worker threads, beside the async ones."""

import contextvars
import threading

import anyio
import pytest

from hypergraph import END, Graph, MemoryCache, branch, node
from hypergraph.events import StreamingChunkEvent
from hypergraph_runner_async import AsyncRunner
from hypergraph_runner_sync import SyncRunner
from tests.async_.support import LONG, Listener, follow, notes, turns

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore:Node .* is not cached")]
TENANT = contextvars.ContextVar("tenant", default="nobody")

LANES = {
    "unobserved": lambda: AsyncRunner(sync_nodes="thread"),
    "observed": lambda: AsyncRunner(sync_nodes="thread", event_processors=[Listener()]),
    "cached": lambda: AsyncRunner(sync_nodes="thread", cache=MemoryCache()),
}
in_every_lane = pytest.mark.parametrize(
    "runner", [pytest.param(make, id=name) for name, make in LANES.items()], indirect=True
)


def here(x):
    return threading.get_ident()


def here_streaming(x):
    yield threading.get_ident()


@in_every_lane
@pytest.mark.parametrize("function", [here, here_streaming], ids=["function", "generator"])
async def test_sync_nodes_run_in_other_threads(runner, function):
    result = await runner.run(Graph([node(function, output_name="thread")]), {"x": 1})
    thread = result["thread"] if function is here else result["thread"][0]
    assert thread != threading.get_ident()


@in_every_lane
async def test_gates_and_loops_run_there_too(runner):
    seen = set()

    def step(n):
        seen.add(threading.get_ident())
        return n + 1

    @branch(when_true="step", when_false=END)
    def few(n):
        seen.add(threading.get_ident())
        return n < 3

    result = await runner.run(Graph([node(step, output_name="n"), few]), {"n": 0})
    assert result["n"] == 3
    assert threading.get_ident() not in seen


@in_every_lane
async def test_async_nodes_stay_on_the_event_loop(runner):
    async def here_too(x):
        return threading.get_ident()

    result = await runner.run(Graph([node(here_too), node(here)]), {"x": 1})
    assert result["here_too"] == threading.get_ident()


@in_every_lane
async def test_sync_and_async_nodes_of_a_generation_run_together(runner):
    met = threading.Barrier(3)

    async def wait(x):
        await anyio.to_thread.run_sync(met.wait, LONG)

    def block(x):
        met.wait(LONG)

    nodes = [
        node(block, name="b1", output_name="o1"),
        node(wait),
        node(block, name="b2", output_name="o2"),
    ]
    assert len(await _keys(runner, Graph(nodes))) == 3


async def _keys(runner, graph):
    return (await runner.run(graph, {"x": 1})).keys()


@in_every_lane
async def test_the_items_of_a_map_run_together(runner):
    met = threading.Barrier(4)

    def block(x):
        met.wait(LONG)
        return x

    graph = Graph([node(block)], name="g")
    results = await runner.map(graph, {"x": range(4)}, map_over="x")
    assert [item["block"] for item in results] == [0, 1, 2, 3]
    outer = Graph([graph.as_node().map_over("x")])
    assert (await runner.run(outer, {"x": range(4, 8)}))["block"] == [4, 5, 6, 7]


@in_every_lane
async def test_the_event_loop_goes_on_meanwhile(runner):
    release = threading.Event()

    def block(x):
        assert release.wait(LONG)
        return x

    async def go():
        await turns(50)
        release.set()

    async with anyio.create_task_group() as group:
        group.start_soon(go)
        assert (await runner.run(Graph([node(block)]), {"x": 7}))["block"] == 7


@in_every_lane
async def test_results_are_committed_in_declaration_order(runner):
    later = threading.Event()

    def first(x):
        assert later.wait(LONG)
        return 1

    def second(x):
        later.set()
        return 2

    result = await runner.run(Graph([node(first), node(second)]), {"x": 1})
    assert list(result.items()) == [("first", 1), ("second", 2)]


@in_every_lane
async def test_context_variables_are_copied(runner):
    token = TENANT.set("acme")
    try:
        result = await runner.run(Graph([node(lambda x: TENANT.get(), name="see")]), {"x": 1})
    finally:
        TENANT.reset(token)
    assert result["see"] == "acme"


@in_every_lane
@pytest.mark.parametrize("kind", [LookupError, KeyboardInterrupt])
async def test_an_exception_arrives_as_the_same_object(runner, kind):
    error = kind()

    def fail(x):
        raise error

    with pytest.raises(kind) as caught:
        await runner.run(Graph([node(fail)], name="g"), {"x": 1})
    assert caught.value is error
    if kind is LookupError:
        assert notes(error) == ["hypergraph: node 'fail' of graph 'g' failed; inputs: x"]


@in_every_lane
async def test_a_failure_waits_for_the_threads_that_have_begun(runner):
    begun, release, log = threading.Event(), threading.Event(), []

    def block(x):
        begun.set()
        assert release.wait(LONG)
        log.append("ended")

    def fail(x):
        assert begun.wait(LONG)
        release.set()
        raise LookupError

    with pytest.raises(LookupError):
        await runner.run(Graph([node(block), node(fail)]), {"x": 1})
    assert log == ["ended"]


@in_every_lane
async def test_who_is_cancelled_waits_for_the_threads_that_have_begun(runner):
    begun, release, log = anyio.Event(), threading.Event(), []

    def block(x):
        anyio.from_thread.run_sync(begun.set)
        assert release.wait(LONG)
        log.append("ended")

    async with anyio.create_task_group() as group:
        group.start_soon(lambda: runner.run(Graph([node(block)]), {"x": 1}))
        await begun.wait()
        group.cancel_scope.cancel()
        release.set()
    assert log == ["ended"]


async def test_events_of_threads_come_in_the_order_of_their_node():
    def stream(x):
        yield from range(20)

    nodes = [node(stream, name=f"s{i}", output_name=f"o{i}") for i in range(4)]
    events = await follow(AsyncRunner(sync_nodes="thread").iter(Graph(nodes), {"x": 1}))
    for name in ("s0", "s1", "s2", "s3"):
        own = [event for event in events if getattr(event, "node_name", None) == name]
        chunks = [event.index for event in own if type(event) is StreamingChunkEvent]
        assert chunks == list(range(20))
        kinds = [type(event).__name__ for event in own]
        assert (kinds[0], kinds[-1]) == ("NodeStartEvent", "NodeEndEvent")


async def test_a_nested_sync_runner_has_a_thread_of_its_own_either_way():
    inner = Graph([node(here)], name="inner").as_node(runner=SyncRunner())
    for sync_nodes in ("inline", "thread"):
        result = await AsyncRunner(sync_nodes=sync_nodes).run(Graph([inner]), {"x": 1})
        assert result["here"] != threading.get_ident()
