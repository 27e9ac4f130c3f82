"""``AsyncRunner(max_concurrency=...)``: the limit of the runs that have no other."""

import anyio
import pytest

from hypergraph import Graph, node
from hypergraph_runner_async import AsyncRunner
from hypergraph_runner_sync import SyncRunner
from tests.async_.support import LONG, Listener, Peak, follow, turns

pytestmark = pytest.mark.anyio


def work(count=10):
    """Return a graph of independent nodes, and what counts how many are at work at once."""
    peak = Peak()

    async def call(x):
        with peak:
            await turns(5)
        return x

    nodes = [node(call, name=f"n{i}", output_name=f"o{i}") for i in range(count)]
    return Graph(nodes, name="work"), peak


@pytest.mark.parametrize("observed", [False, True])
@pytest.mark.parametrize("way", ["run", "iter", "map"])
async def test_it_holds_for_every_run(way, observed):
    graph, peak = work()
    processors = [Listener()] if observed else []
    runner = AsyncRunner(max_concurrency=3, event_processors=processors)
    with anyio.fail_after(LONG):
        if way == "run":
            await runner.run(graph, {"x": 1}, select="o1")
        elif way == "iter":
            async with runner.iter(graph, {"x": 1}) as stream:
                await follow(stream)
        else:
            await runner.map(graph, {"x": range(4)}, map_over="x")
    assert peak.most == 3


async def test_it_holds_for_a_map_of_single_calls():
    graph, peak = work(1)
    results = await AsyncRunner(max_concurrency=3).map(graph, {"x": range(9)}, map_over="x")
    assert [item["o0"] for item in results] == list(range(9))
    assert (peak.most, peak.entered) == (3, 9)


@pytest.mark.parametrize("limit", [1, 5])
async def test_the_limit_of_a_call_goes_before_it(limit):
    graph, peak = work()
    await AsyncRunner(max_concurrency=3).run(graph, {"x": 1}, max_concurrency=limit)
    assert peak.most == limit


@pytest.mark.parametrize("outer", [2, 5])
async def test_the_limit_of_a_run_around_it_stays_in_force(outer):
    graph, peak = work()
    nested = graph.as_node(runner=AsyncRunner(max_concurrency=3))
    await AsyncRunner().run(Graph([nested]), {"x": 1}, max_concurrency=outer)
    assert peak.most == outer
    graph, peak = work()
    nested = graph.as_node(runner=AsyncRunner(max_concurrency=3))
    await AsyncRunner(max_concurrency=outer).run(Graph([nested]), {"x": 1})
    assert peak.most == outer


async def test_it_holds_for_a_nested_run_whose_parent_has_none():
    graph, peak = work()
    nested = graph.as_node(runner=AsyncRunner(max_concurrency=3))
    await AsyncRunner().run(Graph([nested]), {"x": 1})
    assert peak.most == 3


def test_it_holds_under_a_parent_that_blocks():
    graph, peak = work()
    nested = graph.as_node(runner=AsyncRunner(max_concurrency=3))
    SyncRunner().run(Graph([nested]), {"x": 1})
    assert peak.most == 3


async def test_it_is_shared_with_what_is_nested_inside():
    graph, peak = work(6)
    inner = graph.as_node(runner=AsyncRunner(max_concurrency=5))
    outer = Graph([inner.with_name("a"), inner.with_name("b").with_outputs(**renamed(6))])
    await AsyncRunner(max_concurrency=2).run(outer, {"x": 1})
    assert (peak.most, peak.entered) == (2, 12)


def renamed(count):
    return {f"o{i}": f"p{i}" for i in range(count)}


@pytest.mark.parametrize(
    ("wrong", "error"), [(0, ValueError), (-1, ValueError), (True, ValueError)]
)
def test_a_limit_is_a_positive_number(wrong, error):
    with pytest.raises(error, match="max_concurrency is not a positive integer"):
        AsyncRunner(max_concurrency=wrong)
