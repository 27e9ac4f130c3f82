"""Nested graphs: a graph as a node, once or once per item."""

from __future__ import annotations

import pytest

from hypergraph.errors import InfiniteLoopError, InputError
from hypergraph.graph import Graph
from hypergraph.nodes import node
from hypergraph.runners.base import BaseRunner
from hypergraph.testing.suite.base import SuiteBase
from hypergraph.testing.suite.cycles import again, step
from hypergraph.testing.suite.dags import DIAMOND, double, show
from hypergraph.testing.suite.gates import is_even, left, right


@node(output_name="sum_of_all")
def add_up(total: list[int]) -> int:
    return sum(total)


@node(output_name="result")
def pass_result(total: int) -> int:
    return total


class NestingRules(SuiteBase):
    """``as_node()`` and ``map_over()``."""

    def test_a_nested_graph_gives_the_same_as_its_nodes(self, runner: BaseRunner) -> None:
        nested = Graph([pass_result, DIAMOND.as_node()])
        flat = Graph([pass_result, *DIAMOND.nodes.values()])
        expected = self.run_graph(runner, flat, {"x": 3})
        assert self.run_graph(runner, nested, {"x": 3}) == expected

    def test_ports_of_a_nested_graph_can_be_renamed(self, runner: BaseRunner) -> None:
        inner = (
            DIAMOND.as_node()
            .with_inputs(x="doubled")
            .with_outputs(doubled="d", tripled="t", total="sum")
        )
        outputs = self.run_graph(runner, Graph([inner, double]), {"x": 1})
        assert outputs == {"doubled": 2, "d": 4, "t": 6, "sum": 10}

    def test_a_namespaced_graph_keeps_its_names_apart(self, runner: BaseRunner) -> None:
        graph = Graph([DIAMOND.as_node("sub", namespaced=True), double])
        outputs = self.run_graph(runner, graph, {"x": 1, "sub.x": 10})
        assert outputs["doubled"] == 2
        assert outputs["sub.doubled"] == 20

    def test_exposed_ports_have_their_flat_names(self, runner: BaseRunner) -> None:
        inner = DIAMOND.select("total").as_node("sub", namespaced=True).expose("x", "total")
        assert self.run_graph(runner, Graph([inner]), {"x": 1}) == {"total": 5}

    def test_inner_defaults_and_bindings_hold(self, runner: BaseRunner) -> None:
        inner = Graph([show], name="inner").bind(prefix="bound ")
        outputs = self.run_graph(runner, Graph([inner.as_node()]), {"x": 1})
        assert outputs == {"shown": "bound 1!"}

    def test_a_given_value_wins_over_an_inner_binding(self, runner: BaseRunner) -> None:
        inner = Graph([show], name="inner").bind(prefix="bound ")
        outputs = self.run_graph(runner, Graph([inner.as_node()]), {"x": 1, "prefix": "given "})
        assert outputs == {"shown": "given 1!"}

    def test_only_selected_inner_outputs_come_out(self, runner: BaseRunner) -> None:
        graph = Graph([DIAMOND.select("total").as_node("inner")])
        assert self.run_graph(runner, graph, {"x": 1}) == {"total": 5}

    def test_graphs_nest_many_levels_deep(self, runner: BaseRunner) -> None:
        graph = Graph([double], name="level")
        for _ in range(20):
            graph = Graph([graph.as_node()], name="level")
        assert self.run_graph(runner, graph, {"x": 1}) == {"doubled": 2}

    def test_a_gate_inside_a_nested_graph_leaves_out_what_it_does_not_select(
        self, runner: BaseRunner
    ) -> None:
        inner = Graph([is_even, left, right], name="inner")
        assert self.run_graph(runner, Graph([inner.as_node()]), {"x": 2}) == {"a": "left 2"}

    def test_a_nested_loop_is_seeded_from_outside(self, runner: BaseRunner) -> None:
        inner = Graph([step, again], name="inner", entrypoint="step")
        assert self.run_graph(runner, Graph([inner.as_node()]), {"count": 3}) == {"count": 10}

    def test_a_nested_loop_has_the_limit_of_the_run(self, runner: BaseRunner) -> None:
        inner = Graph([step, again], name="inner", entrypoint="step")
        with pytest.raises(InfiniteLoopError):
            self.run_graph(runner, Graph([inner.as_node()]), {"count": 0}, max_iterations=5)

    # -- map_over ----------------------------------------------------------------------------

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
        with pytest.raises(InputError):
            self.run_graph(runner, Graph([DIAMOND.as_node().map_over("x")]), {"x": "abc"})
