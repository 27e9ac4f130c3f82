"""One runner and one graph serve many threads at once, their first use included."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from hypergraph import END, Graph, MemoryCache, branch, node
from hypergraph.events import RunEndEvent, RunStartEvent
from hypergraph_runner_sync import SyncRunner
from tests.sync.support import LANES, Listener, in_every_lane

THREADS = 8


@pytest.fixture(autouse=True)
def _switch_often():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def build():
    """Return a graph with a loop, a map and a nested graph, whose plan nobody has made yet."""
    step = node(lambda n, x: n + x, name="step", output_name="n")
    below = branch(when_true="step", when_false=END, name="below")(lambda n, limit=9: n < limit)
    loop = Graph([step, below], name="loop")
    square = Graph([node(lambda item: item**2, name="square", output_name="squares")], name="sq")
    items = node(lambda n: list(range(n)), name="items", output_name="item")
    renamed = loop.as_node().with_outputs(n="m")
    return Graph([renamed, items.with_inputs(n="m"), square.as_node().map_over("item")])


def at_once(function):
    """Call ``function(thread number)`` in all threads at the same time."""
    ready = threading.Barrier(THREADS)

    def start(number):
        ready.wait()
        return function(number)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(start, range(THREADS)))


@in_every_lane
def test_the_first_runs_of_a_graph_may_be_simultaneous(runner):
    for graph in [build() for _ in range(10)]:
        results = at_once(lambda n, graph=graph: runner.run(graph, {"n": 0, "x": n + 1}))
        for number, outputs in enumerate(results):
            reached = -(-9 // (number + 1)) * (number + 1)
            assert outputs["m"] == reached
            assert outputs["squares"] == [i**2 for i in range(reached)]


@in_every_lane
def test_threads_may_give_inputs_in_ever_new_ways(runner):
    adders = [
        node(lambda a=0: a, name=f"n{i}", output_name=f"s{i}").with_inputs(a=f"a{i}")
        for i in range(8)
    ]
    graph = Graph(adders)

    def run(number):
        found = []
        for mask in range(256):
            given = {f"a{i}": number for i in range(8) if mask >> i & 1}
            found.append(sum(runner.run(graph, given).values()))
        return found

    for number, found in enumerate(at_once(run)):
        assert found == [number * mask.bit_count() for mask in range(256)]


@pytest.mark.parametrize("lane", ["observed", "observed and cached"])
def test_each_run_tells_its_own_events(lane):
    runner, graph = LANES[lane](), build()
    listeners = [Listener() for _ in range(THREADS)]
    at_once(lambda n: runner.run(graph, {"n": 0, "x": n + 1}, event_processors=[listeners[n]]))
    ids = [{e.run_id for e in listener.of(RunStartEvent)} for listener in listeners]
    assert len(set().union(*ids)) == sum(map(len, ids))
    spans = [{e.span_id for e in listener.events} for listener in listeners]
    assert len(set().union(*spans)) == sum(map(len, spans))
    for listener in listeners:
        assert len(listener.of(RunStartEvent)) == len(listener.of(RunEndEvent))


def test_a_bounded_cache_may_be_shared():
    runner, graph = SyncRunner(MemoryCache(max_items=5)), build()
    for number, outputs in enumerate(
        at_once(lambda n: [runner.run(graph, {"n": 0, "x": n + 1})["m"] for _ in range(20)])
    ):
        assert set(outputs) == {-(-9 // (number + 1)) * (number + 1)}
    assert len(runner.cache) <= 5
