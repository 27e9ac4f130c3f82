"""Nested graphs: a graph as a node."""

from __future__ import annotations

from hypergraph.errors import InfiniteLoopError
from hypergraph.graph import Graph
from hypergraph.nodes import node
from hypergraph.runners.base import BaseRunner
from hypergraph.testing.kit import raises
from hypergraph.testing.suite.base import RunnerRules
from hypergraph.testing.suite.cycles import again, step
from hypergraph.testing.suite.dags import DIAMOND, double, show
from hypergraph.testing.suite.gates import is_even, left, right


@node(output_name="result")
def pass_result(total: int) -> int:
    return total


class NestingRules(RunnerRules):
    """``as_node()``, and what goes in and comes out of it."""

    group = "nesting"

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
        with raises(InfiniteLoopError):
            self.run_graph(runner, Graph([inner.as_node()]), {"count": 0}, max_iterations=5)
