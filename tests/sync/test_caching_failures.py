"""A cache cannot harm a run: what cannot be keyed, and caches that raise or forget."""

import pytest

from hypergraph import END, Graph, MemoryCache, branch, node
from hypergraph.cache import MISS
from hypergraph.errors import HypergraphWarning
from hypergraph.events import CacheErrorEvent, RunEndEvent
from hypergraph_runner_sync import SyncRunner
from tests.sync.test_caching import calls, double, observed_or_not, record, speak


@pytest.fixture(autouse=True)
def _fresh():
    calls.clear()


@observed_or_not
def test_an_input_that_cannot_be_keyed_is_a_miss_with_one_warning(processors):
    keep = node(lambda x, handle: record("keep") or x, name="keep", output_name="x", cache=None)
    more = branch(when_true="keep", when_false=END, name="more")(lambda x: len(calls) < 3)
    runner = SyncRunner(MemoryCache(), event_processors=processors)
    for _ in range(2):
        with pytest.warns(HypergraphWarning) as told:
            runner.run(Graph([keep, more]), {"x": 1, "handle": object()})
        (warning,) = told
        assert "'keep' is not cached" in str(warning.message)
        assert "'handle'" in str(warning.message)
        assert len(calls) == 3
        calls.clear()


class Failing(MemoryCache):
    """A cache some of whose methods raise."""

    def __init__(self, *methods):
        super().__init__()
        for method in methods:
            setattr(self, method, self.fail)

    def fail(self, *args):
        raise OSError("the disk is gone")


@observed_or_not
@pytest.mark.parametrize("methods", [("get",), ("put",), ("flush",), ("get", "put", "flush")])
def test_a_failing_cache_is_a_miss_and_an_event(processors, methods):
    runner = SyncRunner(Failing(*methods), event_processors=processors)
    graph = Graph([double, Graph([speak], name="inner").as_node()])
    for processor in processors:
        processor.events.clear()
    with pytest.warns(HypergraphWarning) as told:
        assert runner.run(graph, {"x": 1}) == {"doubled": 2, "text": "a1"}
    expected = [f"Failing failed to {method} (OSError)" for method in methods]
    assert [str(warning.message).partition(";")[0] for warning in told] == expected
    with pytest.warns(HypergraphWarning):
        results = runner.map(graph, {"x": [1]}, map_over="x", on_error="return")
    assert results == [{"doubled": 2, "text": "a1"}]
    for processor in processors:
        assert {e.operation for e in processor.of(CacheErrorEvent)} == set(methods)
        assert {e.status.value for e in processor.of(RunEndEvent)} == {"completed"}


@observed_or_not
def test_a_failing_flush_does_not_hide_the_error_of_a_node(processors):
    fail = node(lambda x: 1 / 0, name="fail", output_name="z")
    runner = SyncRunner(Failing("flush"), event_processors=processors)
    with pytest.raises(ZeroDivisionError), pytest.warns(HypergraphWarning, match="failed to flush"):
        runner.run(Graph([fail]), {"x": 1})


@observed_or_not
def test_the_cache_is_flushed_once_at_the_end_of_each_run(processors):
    flushed = []

    class Noting(MemoryCache):
        def flush(self):
            flushed.append(list(calls))

    inner = Graph([speak], name="inner").as_node()
    fail = node(lambda text: 1 / 0, name="fail", output_name="z")
    runner = SyncRunner(Noting(), event_processors=processors)
    runner.run(Graph([double, inner]), {"x": 1})
    assert flushed == [["double", "speak"]]
    with pytest.raises(ZeroDivisionError):
        runner.run(Graph([inner, fail]), {"x": 1})
    assert len(flushed) == 2


def test_a_cache_that_forgets_in_the_middle_of_a_run_costs_only_calls():
    class Forgetful(MemoryCache):
        asked = 0

        def get(self, key):
            self.asked += 1
            return MISS if self.asked % 3 == 0 else super().get(key)

    nodes = [double.with_name(f"n{i}").with_inputs(x=f"v{i}").with_outputs(doubled=f"v{i + 1}")
             for i in range(5)]  # fmt: skip
    runner = SyncRunner(Forgetful())
    for _ in range(7):
        assert runner.run(Graph(nodes), {"v0": 1})["v5"] == 32
