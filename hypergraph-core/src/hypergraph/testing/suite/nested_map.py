"""Nested graphs that are mapped: a graph as a node, once per item."""

from __future__ import annotations

from hypergraph.errors import InputError
from hypergraph.graph import Graph
from hypergraph.nodes import node
from hypergraph.runners.base import BaseRunner
from hypergraph.testing.kit import raises
from hypergraph.testing.suite.base import RunnerRules
from hypergraph.testing.suite.dags import DIAMOND, show
from hypergraph.testing.suite.gates import is_even, left, right


@node(output_name="sum_of_all")
def add_up(total: list[int]) -> int:
    return sum(total)


class NestedMapRules(RunnerRules):
    """``as_node().map_over()``: zip, product, broadcast, and what an item leaves out."""

    group = "nested map"

    def test_a_mapped_graph_gives_lists_in_item_order(self, runner: BaseRunner) -> None:
        mapped = DIAMOND.select("total").as_node().map_over("x")
        outputs = self.run_graph(runner, Graph([add_up, mapped]), {"x": [3, 1, 2]})
        assert outputs == {"total": [15, 5, 10], "sum_of_all": 30}

    def test_a_mapped_graph_over_no_items_gives_empty_lists(self, runner: BaseRunner) -> None:
        mapped = DIAMOND.as_node().map_over("x")
        outputs = self.run_graph(runner, Graph([mapped]), {"x": []})
        assert outputs == {"doubled": [], "tripled": [], "total": []}

    def test_what_is_not_mapped_is_the_same_for_all_items(self, runner: BaseRunner) -> None:
        mapped = Graph([show], name="inner").as_node().map_over("x")
        outputs = self.run_graph(runner, Graph([mapped]), {"x": [1, 2], "prefix": "p"})
        assert outputs == {"shown": ["p1!", "p2!"]}

    def test_a_mapped_product_walks_the_first_name_slowest(self, runner: BaseRunner) -> None:
        mapped = Graph([show], name="inner").as_node().map_over("x", "prefix", mode="product")
        outputs = self.run_graph(runner, Graph([mapped]), {"x": [1, 2], "prefix": ["a", "b"]})
        assert outputs == {"shown": ["a1!", "b1!", "a2!", "b2!"]}

    def test_an_item_that_does_not_produce_an_output_has_none_in_its_place(
        self, runner: BaseRunner
    ) -> None:
        mapped = Graph([is_even, left, right], name="inner").as_node().map_over("x")
        outputs = self.run_graph(runner, Graph([mapped]), {"x": [2, 3]})
        assert outputs == {"a": ["left 2", None], "b": [None, "right 3"]}

    def test_mapping_over_text_is_refused(self, runner: BaseRunner) -> None:
        with raises(InputError):
            self.run_graph(runner, Graph([DIAMOND.as_node().map_over("x")]), {"x": "abc"})
