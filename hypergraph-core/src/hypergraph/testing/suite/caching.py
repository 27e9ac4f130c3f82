"""Cache: which calls it answers, which it never does, and that it cannot harm a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

from hypergraph.cache import MISS, Cache, MemoryCache
from hypergraph.errors import HypergraphWarning
from hypergraph.events import CacheErrorEvent, CacheHitEvent, NodeEndEvent, RunEndEvent
from hypergraph.graph import Graph
from hypergraph.nodes import END, HyperNode, branch, node, route
from hypergraph.results import RunStatus
from hypergraph.runners.base import BaseRunner
from hypergraph.testing.kit import Journal, cases, raises, warns
from hypergraph.testing.suite.surroundings import Surroundings, Told, names_it


class Refusing(MemoryCache):
    """A cache of which one method raises."""

    def __init__(self, method: str) -> None:
        super().__init__()
        self.method = method

    def _perhaps(self, method: str) -> None:
        if method == self.method:
            raise OSError("the disk is gone")

    def get(self, key: str) -> Any:
        """Look the key up."""
        self._perhaps("get")
        return super().get(key)

    def put(self, key: str, value: Any) -> None:
        """Keep the value."""
        self._perhaps("put")
        super().put(key, value)

    def flush(self) -> None:
        """Do nothing."""
        self._perhaps("flush")


class Forgetful(MemoryCache):
    """A cache that answers every other time."""

    asked = 0

    def get(self, key: str) -> Any:
        """Look the key up, or not."""
        self.asked += 1
        return MISS if self.asked % 2 else super().get(key)


class Opaque:
    """What it holds cannot be known."""

    __slots__ = ("secret",)

    def __reduce__(self) -> Any:
        return Opaque, ()


def double_node(journal: Journal, **options: Any) -> Any:
    def double(x: Any) -> Any:
        journal.note("double")
        return 2 * x

    return node(double, output_name="doubled", **options)


class CachingRules(Surroundings):
    """For runners that are made with ``cache=``."""

    group = "cache"

    def with_cache(self, runner: BaseRunner, cache: Cache | None = None) -> BaseRunner:
        return self.with_options(runner, cache=MemoryCache() if cache is None else cache)

    def called_by(self, run: Callable[[], Any]) -> list[str]:
        """Return what was called meanwhile."""
        before = len(self.journal.lines)
        run()
        return self.journal.lines[before:]

    def called_in(self, runner: BaseRunner, graph: Graph, **inputs: Any) -> list[str]:
        """Run the graph, and return what was called."""
        return self.called_by(lambda: self.run_graph(runner, graph, inputs))

    # -- what it answers -----------------------------------------------------------------------

    def test_a_call_with_equal_inputs_is_not_made_again(self, runner: BaseRunner) -> None:
        cached, graph = self.with_cache(runner), Graph([double_node(self.journal)])
        first = self.run_graph(cached, graph, {"x": [1, {"a": 2, "b": 3}]})
        second = self.run_graph(cached, graph, {"x": [1, {"b": 3, "a": 2}]})
        assert self.journal.lines == ["double"], (
            "the second run has equal inputs: look the call up in the runner's cache"
        )
        assert first == second
        assert self.called_in(cached, graph, x=[2]) == ["double"]

    def test_without_a_cache_every_call_is_made(self, runner: BaseRunner) -> None:
        graph = Graph([double_node(self.journal)])
        plain = self.with_options(runner, cache=None)
        assert [self.called_in(plain, graph, x=1) for _ in range(2)] == [["double"]] * 2

    def test_values_that_are_equal_but_of_another_type_are_other_inputs(
        self, runner: BaseRunner
    ) -> None:
        cached, graph = self.with_cache(runner), Graph([double_node(self.journal)])
        given: list[Any] = [1, 1.0, True, "1", (1,), [1]]
        results = [self.run_graph(cached, graph, {"x": x})["doubled"] for x in given]
        assert list(map(repr, results)) == [repr(2 * x) for x in given], (
            "1, 1.0 and True are equal in Python and must not share a key: "
            "take hypergraph.execution.keys.call_key"
        )

    def test_runners_that_share_a_cache_share_results(self, runner: BaseRunner) -> None:
        cache, graph = MemoryCache(), Graph([double_node(self.journal)])
        made = [self.called_in(self.with_cache(runner, cache), graph, x=1) for _ in range(2)]
        assert made == [["double"], []]

    def test_other_inputs_are_another_call(self, runner: BaseRunner) -> None:
        cached, graph = self.with_cache(runner), Graph([double_node(self.journal)])
        results = [self.run_graph(cached, graph, {"x": x}) for x in (1, 2, 1)]
        assert results == [{"doubled": 2}, {"doubled": 4}, {"doubled": 2}], (
            "the values of the inputs are a part of the key: take hypergraph.execution.keys.call_key"
        )

    def test_nodes_with_equal_inputs_have_results_of_their_own(self, runner: BaseRunner) -> None:
        def triple(x: int) -> int:
            return 3 * x

        nodes = [double_node(self.journal), node(triple, output_name="tripled")]
        cached = self.with_cache(runner)
        results = [self.run_graph(cached, Graph(nodes), {"x": 1}) for _ in range(2)]
        assert results == [{"doubled": 2, "tripled": 3}] * 2, (
            "what the node does is a part of the key: take hypergraph.execution.keys.call_key"
        )

    def test_another_function_is_another_node(self, runner: BaseRunner) -> None:
        def with_default(value: int) -> Graph:
            def add(x: int, y: int = value) -> int:
                return x + y

            return Graph([node(add, output_name="sum")])

        cached = self.with_cache(runner)
        sums = [self.run_graph(cached, with_default(y), {"x": 1})["sum"] for y in (1, 2, 1)]
        assert sums == [2, 3, 2], "the cache answered for another function of the same name"

    def test_none_several_outputs_and_no_output_are_results_too(self, runner: BaseRunner) -> None:
        journal = self.journal

        def nothing(x: int) -> None:
            journal.note("nothing")

        def pair(x: int) -> tuple[int, int]:
            journal.note("pair")
            return x, x + 1

        nodes: list[HyperNode] = [
            node(nothing, output_name="z"),
            node(pair, output_name=("a", "b")),
            node(nothing, name="silent", output_name=None),
        ]
        cached, graph = self.with_cache(runner), Graph(nodes)
        results = [self.run_graph(cached, graph, {"x": 1}) for _ in range(2)]
        assert results == [{"z": None, "a": 1, "b": 2}] * 2
        assert journal.lines.count("pair") == 1
        assert journal.lines.count("nothing") <= 2, "None is a result: compare with MISS by `is`"

    def test_what_a_generator_gave_is_kept_as_one_value(self, runner: BaseRunner) -> None:
        journal = self.journal

        def speak(x: int) -> Iterator[str]:
            journal.note("speak")
            yield "a"
            yield str(x)

        cached, graph = self.with_cache(runner), Graph([node(speak, output_name="text")])
        results = [self.run_graph(cached, graph, {"x": 1}) for _ in range(2)]
        assert (results, journal.lines) == ([{"text": "a1"}] * 2, ["speak"])

    def test_nodes_of_nested_graphs_and_of_items_are_cached_each(self, runner: BaseRunner) -> None:
        inner = Graph([double_node(self.journal)], name="inner")
        cached, graph = self.with_cache(runner), Graph([inner.as_node()])
        assert self.called_in(cached, graph, x=1) == ["double"]
        assert self.called_in(cached, graph, x=1) == []
        assert self.called_in(cached, inner, x=1) == []
        mapped = Graph([inner.as_node().map_over("x")])
        assert self.called_in(cached, mapped, x=[1, 7]) == ["double"]
        rows = self.map_graph(cached, inner, {"x": [7, 1, 8]}, map_over="x")
        assert rows == [{"doubled": 14}, {"doubled": 2}, {"doubled": 16}]
        assert self.journal.lines == ["double"] * 3

    def test_rounds_of_a_loop_are_cached_each(self, runner: BaseRunner) -> None:
        journal = self.journal

        @node(output_name="n")
        def step(n: int) -> int:
            journal.note("step")
            return n + 1

        @branch(when_true="step", when_false=END)
        def more(n: int) -> bool:
            return n < 3

        cached, graph = self.with_cache(runner), Graph([step, more], entrypoint="step")
        made = [self.called_in(cached, graph, n=n) for n in (0, 0, -1)]
        assert made == [["step"] * 3, [], ["step"]]

    # -- what it does not answer -----------------------------------------------------------------

    def test_a_node_may_stay_out_of_the_cache(self, runner: BaseRunner) -> None:
        cached, graph = self.with_cache(runner), Graph([double_node(self.journal, cache=False)])
        made = [self.called_in(cached, graph, x=1) for _ in range(2)]
        assert made == [["double"]] * 2, "@node(cache=False) is called in every run"

    @cases("cache, second", [(False, ["choose"]), (True, [])], ids=str)
    def test_a_gate_is_cached_only_when_asked(
        self, runner: BaseRunner, cache: bool, second: list[str]
    ) -> None:
        journal = self.journal

        @route(targets=["double", END], cache=cache)
        def choose(x: int) -> str:
            journal.note("choose")
            return "double"

        cached, graph = self.with_cache(runner), Graph([choose, double_node(journal)])
        assert self.called_in(cached, graph, x=1) == ["choose", "double"]
        again = self.called_by(lambda: self.run_graph(cached, graph, {"x": 1}))
        assert again == second

    def test_exceptions_are_not_kept(self, runner: BaseRunner) -> None:
        journal = self.journal

        def fail_once(x: int) -> int:
            journal.note("fail_once")
            if len(journal.lines) == 1:
                raise LookupError("only the first time")
            return x

        cached, graph = self.with_cache(runner), Graph([node(fail_once, output_name="y")])
        with raises(LookupError):
            self.run_graph(cached, graph, {"x": 1})
        assert [self.run_graph(cached, graph, {"x": 1}) for _ in range(2)] == [{"y": 1}] * 2
        assert journal.lines == ["fail_once"] * 2

    def test_an_input_that_cannot_be_keyed_is_a_miss_with_one_warning(
        self, runner: BaseRunner
    ) -> None:
        journal = self.journal

        @node(output_name="n")
        def keep(n: int, handle: Opaque) -> int:
            journal.note("keep")
            return n + 1

        @branch(when_true="keep", when_false=END)
        def more(n: int) -> bool:
            return n < 3

        graph, cached = Graph([keep, more], entrypoint="keep"), self.with_cache(runner)
        for _ in range(2):
            with warns(HypergraphWarning, match="keep") as told:
                made = self.called_in(cached, graph, n=0, handle=Opaque())
            assert made == ["keep"] * 3
            (message,) = told.messages
            for word in ("'keep'", "'handle'"):
                assert word in message, "the warning names the node and the input"

    # -- a cache that fails ------------------------------------------------------------------------

    @cases("method", ["get", "put", "flush"])
    def test_a_failing_cache_is_a_miss_and_an_event(self, runner: BaseRunner, method: str) -> None:
        graph = Graph([double_node(self.journal)], name="main")
        cached, told = self.with_cache(runner, Refusing(method)), Told()
        self.needs_option(runner, event_processors=[])
        with warns(HypergraphWarning):
            outputs = self.run_graph(cached, graph, {"x": 1}, event_processors=[told])
        assert outputs == {"doubled": 2}
        assert [event.operation for event in told.of(CacheErrorEvent)] == [method]
        (end,) = told.of(RunEndEvent)
        assert end.status is RunStatus.COMPLETED

    @cases("method", ["get", "put", "flush"])
    def test_a_failing_cache_changes_no_result(self, runner: BaseRunner, method: str) -> None:
        inner = Graph([double_node(self.journal)], name="inner").as_node()
        cached = self.with_cache(runner, Refusing(method))
        with warns(HypergraphWarning):
            assert self.run_graph(cached, Graph([inner]), {"x": 1}) == {"doubled": 2}
        with warns(HypergraphWarning):
            rows = self.map_graph(cached, Graph([inner]), {"x": [1, 2]}, map_over="x")
        assert rows == [{"doubled": 2}, {"doubled": 4}]

    def test_a_failing_cache_does_not_hide_the_error_of_a_node(self, runner: BaseRunner) -> None:
        def fail(x: int) -> None:
            raise LookupError("a problem of the user's own")

        cached = self.with_cache(runner, Refusing("flush"))
        with warns(HypergraphWarning), raises(LookupError) as caught:
            self.run_graph(cached, Graph([node(fail)], name="main"), {"x": 1})
        assert names_it(caught.value, "fail")

    def test_a_cache_that_forgets_costs_only_calls(self, runner: BaseRunner) -> None:
        double = double_node(self.journal)
        names = [f"v{i}" for i in range(5)]
        nodes = [
            double.with_name(f"n{i}").with_inputs(x=before).with_outputs(doubled=after)
            for i, (before, after) in enumerate(pairwise(names))
        ]
        cached = self.with_cache(runner, Forgetful())
        for _ in range(3):
            assert self.run_graph(cached, Graph(nodes), {"v0": 1})["v4"] == 16

    # -- events ------------------------------------------------------------------------------------

    def test_a_hit_is_told_and_its_node_ends_as_cached(self, runner: BaseRunner) -> None:
        cached, graph = self.with_cache(runner), Graph([double_node(self.journal)])
        self.needs_option(runner, event_processors=[])
        heard = []
        for _ in range(2):
            told = Told()
            self.run_graph(cached, graph, {"x": 1}, event_processors=[told])
            heard.append(told)
        assert [end.cached for told in heard for end in told.of(NodeEndEvent)] == [False, True]
        first, second = (told.of(CacheHitEvent) for told in heard)
        assert not first
        assert [hit.node_name for hit in second] == ["double"]
        kinds = [type(event).__name__ for event in heard[1].events]
        assert kinds[1:-1] == ["NodeStartEvent", "CacheHitEvent", "NodeEndEvent"]

    def test_the_cache_is_flushed_at_the_end_of_each_run(self, runner: BaseRunner) -> None:
        flushed: list[int] = []

        class Noting(MemoryCache):
            def flush(self) -> None:
                flushed.append(len(self))

        cached, graph = self.with_cache(runner, Noting()), Graph([double_node(self.journal)])
        self.run_graph(cached, graph, {"x": 1})
        assert flushed == [1], "call cache.flush() once, after everything was put"
