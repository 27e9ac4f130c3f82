"""One limit for the whole run: what counts is how many node calls are in flight, wherever they are."""

import threading
import time
from contextlib import suppress

import anyio
import pytest

from hypergraph import END, Graph, InterruptNode, RetryPolicy, branch, node
from hypergraph.runners.limits import current_limiter
from hypergraph.testing import ManualClock
from hypergraph_runner_async import AsyncRunner
from hypergraph_runner_sync import SyncRunner
from tests.async_.support import LONG, Listener, Peak, follow, turns
from tests.sync.support import UNCACHED_IS_FINE

pytestmark = [pytest.mark.anyio, UNCACHED_IS_FINE]
LIMITS = pytest.mark.parametrize("limit", [1, 2, 5])
STYLES = pytest.mark.parametrize(
    "style", ["unobserved", "observed", "threads", "observed threads", "followed"]
)


async def run(style, graph, inputs, **options):
    """Run a graph in one of the ways there are, and return its outputs."""
    runner = AsyncRunner(
        sync_nodes="thread" if "threads" in style else "inline",
        event_processors=[Listener()] if "observed" in style.split() else [],
    )
    with anyio.fail_after(LONG):
        if style == "followed":
            async with runner.iter(graph, inputs, **options) as stream:
                await follow(stream)
            return stream.result.values
        return (await runner.run(graph, inputs, **options)).values


class Work:
    """Nodes that count how many of them are at work at once."""

    def __init__(self):
        self.peak = Peak()

    def awaits(self, name, turns_=5):
        async def work(x):
            with self.peak:
                await turns(turns_)
            return x

        return node(work, name=name, output_name=f"o_{name}")

    def blocks(self, name):
        def work(x):
            with self.peak:
                time.sleep(0.001)
            return x

        return node(work, name=name, output_name=f"o_{name}")

    def streams(self, name):
        async def work(x):
            with self.peak:
                for i in range(3):
                    yield i
                    await turns(2)

        return node(work, name=name, output_name=f"o_{name}")

    def nested(self, name, runner=None, sync=False):
        kinds = [self.blocks] if sync else [self.awaits, self.streams, self.blocks]
        nodes = [make(f"{name}{i}{make.__name__}") for i in range(3) for make in kinds]
        return Graph(nodes, name=name).as_node(runner=runner)


@STYLES
@LIMITS
async def test_independent_nodes(style, limit):
    work = Work()
    graph = Graph([work.awaits(f"n{i}") for i in range(10)])
    assert len(await run(style, graph, {"x": 1}, max_concurrency=limit)) == 10
    assert (work.peak.most, work.peak.entered) == (limit, 10)


@LIMITS
async def test_nodes_in_worker_threads(limit):
    work = Work()
    graph = Graph([work.blocks(f"n{i}") for i in range(10)])
    await run("threads", graph, {"x": 1}, max_concurrency=limit)
    assert work.peak.most <= limit
    assert work.peak.entered == 10


@STYLES
@LIMITS
async def test_everything_at_once(style, limit):
    work = Work()
    deep = Graph([work.nested("deep"), work.awaits("beside")], name="middle").as_node()
    mapped = work.nested("mapped").map_over("x").with_inputs(x="xs")
    graph = Graph([deep, mapped, work.nested("flat"), work.awaits("alone"), work.blocks("plain")])
    outputs = await run(style, graph, {"x": 1, "xs": range(4)}, max_concurrency=limit)
    assert outputs["o_mapped0awaits"] == [0, 1, 2, 3]
    assert work.peak.most == limit
    assert work.peak.entered == 9 + 1 + 4 * 9 + 9 + 1 + 1


@STYLES
@LIMITS
@pytest.mark.parametrize("nested", [SyncRunner, AsyncRunner])
async def test_nested_runs_of_other_runners_share_it(style, limit, nested):
    work, sync = Work(), nested is SyncRunner
    own = [work.nested(name, runner=nested(), sync=sync) for name in ("one", "two", "three")]
    mapped = work.nested("mapped", runner=nested(), sync=sync).map_over("x").with_inputs(x="xs")
    through = Graph([work.nested("below", runner=AsyncRunner())], name="sync")
    other = through.as_node(runner=SyncRunner())
    graph = Graph([*own, mapped, other, work.awaits("alone")])
    outputs = await run(style, graph, {"x": 1, "xs": range(4)}, max_concurrency=limit)
    assert outputs["o_mapped0blocks"] == [0, 1, 2, 3]
    assert work.peak.most <= limit
    each = 3 if sync else 9
    assert work.peak.entered == 3 * each + 4 * each + 9 + 1


@LIMITS
async def test_the_items_of_a_map(limit):
    work = Work()
    graph = Graph([work.awaits("a"), work.awaits("b"), work.nested("inner")])
    with anyio.fail_after(LONG):
        results = await AsyncRunner().map(
            graph, {"x": range(12)}, map_over="x", max_concurrency=limit
        )
    assert [item["o_a"] for item in results] == list(range(12))
    assert work.peak.most == limit


async def test_without_a_limit_everything_is_under_way():
    work = Work()
    graph = Graph([work.awaits(f"n{i}", turns_=50) for i in range(20)])
    await AsyncRunner().run(graph, {"x": 1})
    assert work.peak.most == 20


@STYLES
async def test_a_limit_of_one_never_deadlocks(style):
    work = Work()
    step = node(lambda n: n + 1, name="step", output_name="n")
    loop = Graph([step, branch(when_true="step", when_false=END)(_few)], name="loop")
    mapped = Graph([loop.as_node(runner=SyncRunner()).map_over("n")], name="middle")
    inner = work.nested("inner").map_over("x").with_inputs(x="n")
    graph = Graph([mapped.as_node(runner=AsyncRunner()), inner.with_inputs(n="xs")])
    outputs = await run(style, graph, {"n": [0, 1], "xs": [1, 2]}, max_concurrency=1)
    assert outputs["n"] == [3, 3]
    assert work.peak.most == 1


def _few(n):
    return n < 3


@STYLES
async def test_interrupt_handlers_take_no_slot(style):
    work, peak = Work(), Peak()

    async def handle(value):
        with peak:
            await turns(5)
        return value

    graphs = [
        Graph([InterruptNode("ask", "x", f"answer{i}"), work.awaits(f"w{i}")], name=f"g{i}")
        for i in range(3)
    ]
    graph = Graph([inner.as_node() for inner in graphs])
    handlers = {f"g{i}/ask": handle for i in range(3)}
    outputs = await run(style, graph, {"x": 1}, max_concurrency=2, interrupt_handlers=handlers)
    assert outputs["answer2"] == 1
    assert peak.entered == 3
    assert work.peak.most <= 2


async def test_a_node_that_waits_to_be_retried_holds_no_slot():
    calls, free = [], []

    class Clock(ManualClock):
        async def sleep_async(self, seconds):
            limiter = current_limiter.get()
            free.append(limiter.acquire_nowait())
            limiter.release()

    async def fail_once(x):
        calls.append(x)
        if len(calls) == 1:
            raise LookupError
        return x

    retry = RetryPolicy(initial_interval=1, maximum_attempts=2)
    graph = Graph([node(fail_once, retry=retry)])
    await AsyncRunner(clock=Clock()).run(graph, {"x": 1}, max_concurrency=1)
    assert (free, len(calls)) == ([True], 2)


async def test_what_a_node_runs_by_itself_takes_no_slot_of_its_own():
    inner = Graph([node(lambda x: x, name="plain")])

    async def runs_a_graph(x):
        assert current_limiter.get() is None
        result = await AsyncRunner().run(inner, {"x": x})
        return result["plain"] + SyncRunner().run(inner, {"x": x})["plain"]

    nodes = [node(runs_a_graph, name=f"n{i}", output_name=f"o{i}") for i in range(3)]
    with anyio.fail_after(LONG):
        result = await AsyncRunner().run(Graph(nodes), {"x": 1}, max_concurrency=1)
    assert result.values == {"o0": 2, "o1": 2, "o2": 2}


async def test_a_node_may_start_a_run_with_a_limit_of_its_own():
    work = Work()
    inner = Graph([work.awaits(f"n{i}") for i in range(6)])

    async def runs_a_graph(x):
        await AsyncRunner().run(inner, {"x": x}, max_concurrency=2)

    with anyio.fail_after(LONG):
        await AsyncRunner().run(Graph([node(runs_a_graph)]), {"x": 1}, max_concurrency=1)
    assert work.peak.most == 2


@STYLES
@pytest.mark.parametrize("kind", ["failure", "cancellation"])
async def test_a_failed_run_gives_all_slots_back(style, kind):
    peak = Peak()

    async def fail(x):
        await turns(3)
        if kind == "failure":
            raise LookupError
        scope.cancel()
        await anyio.sleep(LONG)

    async def work(x):
        with peak:
            await anyio.sleep(LONG)

    nodes = [node(fail), *(node(work, name=f"n{i}", output_name=f"o{i}") for i in range(5))]
    with anyio.CancelScope() as scope, suppress(LookupError):
        await run(style, Graph(nodes), {"x": 1}, max_concurrency=3)
    assert peak.now == 0
    assert current_limiter.get() is None


async def test_two_runs_have_two_limits():
    work = Work()
    graph = Graph([work.awaits(f"n{i}", turns_=20) for i in range(6)])
    async with anyio.create_task_group() as group:
        for _ in range(2):
            group.start_soon(lambda: AsyncRunner().run(graph, {"x": 1}, max_concurrency=2))
    assert work.peak.most == 4


def test_threads_of_sync_parents_share_the_limit_of_the_run_around_them():
    work = Work()
    inner = work.nested("inner", runner=AsyncRunner())
    graph = Graph([inner])
    done = []

    def program():
        done.append(SyncRunner().run(graph, {"x": 1}))

    threads = [threading.Thread(target=program) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    assert len(done) == 3
