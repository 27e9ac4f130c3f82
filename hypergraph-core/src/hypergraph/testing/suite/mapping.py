"""``map()``: one run per item."""

from __future__ import annotations

from typing import Any

from hypergraph.errors import GraphConfigError, IncompatibleRunnerError, InputError
from hypergraph.graph import Graph
from hypergraph.nodes import InterruptNode, node
from hypergraph.runners.base import BaseRunner
from hypergraph.testing.kit import cases, raises
from hypergraph.testing.suite.base import RunnerRules
from hypergraph.testing.suite.cycles import again, step
from hypergraph.testing.suite.dags import DIAMOND, show
from hypergraph.testing.suite.gates import is_even, left, right

SHOW = Graph([show], name="show")


@node(output_name="inverse")
def invert(x: int) -> float:
    return 1 / x


class MapRules(RunnerRules):
    """zip, product, broadcast, and items that fail."""

    group = "map"

    def test_a_map_gives_one_result_per_item_in_order(self, runner: BaseRunner) -> None:
        results = self.map_graph(runner, DIAMOND, {"x": [3, 1, 2]}, map_over="x")
        assert [r["total"] for r in results] == [15, 5, 10]

    def test_each_result_is_that_of_a_run_of_its_own(self, runner: BaseRunner) -> None:
        expected = [self.run_graph(runner, DIAMOND, {"x": x}) for x in range(5)]
        assert self.map_graph(runner, DIAMOND, {"x": range(5)}, map_over="x") == expected

    def test_what_is_mapped_over_is_left_as_it_is(self, runner: BaseRunner) -> None:
        given = {"x": [1, 2], "prefix": "p"}
        self.map_graph(runner, SHOW, given, map_over="x")
        assert given == {"x": [1, 2], "prefix": "p"}, "the inputs are the caller's: copy them"

    def test_other_inputs_are_the_same_for_all_items(self, runner: BaseRunner) -> None:
        inputs = {"x": [1, 2], "prefix": "p"}
        results = self.map_graph(runner, SHOW, inputs, map_over=["x"])
        assert results == [{"shown": "p1!"}, {"shown": "p2!"}]

    def test_zip_walks_side_by_side(self, runner: BaseRunner) -> None:
        inputs = {"x": [1, 2], "prefix": ["a", "b"]}
        results = self.map_graph(runner, SHOW, inputs, map_over=["x", "prefix"])
        assert results == [{"shown": "a1!"}, {"shown": "b2!"}]

    def test_zip_of_unequal_lengths_names_each_length(self, runner: BaseRunner) -> None:
        inputs = {"x": [1, 2, 3, 4], "prefix": ["a", "b"]}
        with raises(InputError, match=r"(?s)(4.*2|2.*4)"):
            self.map_graph(runner, SHOW, inputs, map_over=["x", "prefix"])

    def test_product_walks_the_first_name_slowest(self, runner: BaseRunner) -> None:
        inputs = {"x": [1, 2], "prefix": ["a", "b"]}
        results = self.map_graph(runner, SHOW, inputs, map_over=["prefix", "x"], map_mode="product")
        assert [r["shown"] for r in results] == ["a1!", "a2!", "b1!", "b2!"]

    @cases("mode", ["zip", "product"])
    def test_no_items_give_an_empty_result(self, runner: BaseRunner, mode: str) -> None:
        assert self.map_graph(runner, DIAMOND, {"x": []}, map_over="x", map_mode=mode) == []

    @cases("make", [tuple, iter, set], ids=lambda f: f.__name__)
    def test_any_iterable_serves(self, runner: BaseRunner, make: Any) -> None:
        results = self.map_graph(runner, DIAMOND, {"x": make([7])}, map_over="x")
        assert results[0]["total"] == 35

    @cases("items", ["abc", b"abc", {"a": 1}, 3])
    def test_text_mappings_and_what_cannot_be_iterated_are_refused(
        self, runner: BaseRunner, items: Any
    ) -> None:
        with raises(InputError):
            self.map_graph(runner, DIAMOND, {"x": items}, map_over="x")

    def test_mapping_over_a_name_that_is_not_given_is_an_error(self, runner: BaseRunner) -> None:
        with raises(InputError):
            self.map_graph(runner, SHOW, {"x": [1]}, map_over=["x", "prefix"])

    def test_a_failing_item_stops_the_map(self, runner: BaseRunner) -> None:
        with raises(ZeroDivisionError):
            self.map_graph(runner, Graph([invert]), {"x": [1, 0, 2]}, map_over="x")

    def test_a_failing_item_can_be_returned_in_its_place(self, runner: BaseRunner) -> None:
        results = self.map_graph(
            runner, Graph([invert]), {"x": [1, 0, 2]}, map_over="x", on_error="return"
        )
        assert isinstance(results[1], ZeroDivisionError)
        assert [results[0], results[2]] == [{"inverse": 1.0}, {"inverse": 0.5}]

    def test_gates_decide_for_each_item(self, runner: BaseRunner) -> None:
        graph = Graph([is_even, left, right])
        results = self.map_graph(runner, graph, {"x": [2, 3]}, map_over="x")
        assert results == [{"a": "left 2"}, {"b": "right 3"}]

    def test_loops_go_round_for_each_item(self, runner: BaseRunner) -> None:
        graph = Graph([step, again], entrypoint="step")
        results = self.map_graph(runner, graph, {"count": [0, 8]}, map_over="count")
        assert results == [{"count": 10}, {"count": 10}]

    def test_a_graph_with_interrupts_cannot_be_mapped(self, runner: BaseRunner) -> None:
        graph = Graph([InterruptNode("ask", "question", "answer")])
        with raises(GraphConfigError, IncompatibleRunnerError):
            self.called(runner, runner.map, graph, {"question": [1]}, map_over="question")
