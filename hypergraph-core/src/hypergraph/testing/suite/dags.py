"""Plain graphs: wiring, where a value comes from, and what is returned."""

from __future__ import annotations

from typing import Any

from hypergraph.errors import InputError, MissingInputError, OutputCountError, UnknownInputError
from hypergraph.graph import Graph
from hypergraph.nodes import node
from hypergraph.runners.base import BaseRunner
from hypergraph.testing.kit import cases, raises
from hypergraph.testing.suite.base import RunnerRules


@node(output_name="doubled")
def double(x: int) -> int:
    return 2 * x


@node(output_name="tripled")
def triple(x: int) -> int:
    return 3 * x


@node(output_name="total")
def add(doubled: int, tripled: int) -> int:
    return doubled + tripled


@node(output_name=("low", "high"))
def bounds(x: int) -> tuple[int, int]:
    return x - 1, x + 1


@node(output_name=("low", "high"))
def three_values(x: int) -> tuple[int, int, int]:
    return x, x, x


@node(output_name="shown")
def show(x: int, prefix: str = "n=", *, suffix: str = "!") -> str:
    return f"{prefix}{x}{suffix}"


@node(output_name="pair")
def pair(x: int) -> tuple[int, int]:
    return x, x


@node(output_name=None)
def discard(x: int) -> int:
    return x


@node(output_name="nothing")
def nothing(x: int) -> None:
    return None


@node(output_name="late")
def join_with_defaults(doubled: int = 0, tripled: int = 0) -> int:
    return doubled + tripled


DIAMOND = Graph([add, triple, double], name="diamond")


class DagRules(RunnerRules):
    """Graphs without gates and cycles."""

    group = "DAG"

    def test_a_node_runs_after_the_nodes_whose_outputs_it_takes(self, runner: BaseRunner) -> None:
        outputs = self.run_graph(runner, DIAMOND, {"x": 2})
        assert outputs == {"doubled": 4, "tripled": 6, "total": 10}

    def test_a_node_waits_even_where_defaults_would_let_it_start(self, runner: BaseRunner) -> None:
        graph = self.watched(Graph([join_with_defaults, double, triple]))
        assert self.run_graph(runner, graph, {"x": 2})["late"] == 10
        assert self.calls.count("join_with_defaults") == 1, (
            "a generation is every due node with no due node before it in forward order"
        )

    def test_each_node_is_called_once(self, runner: BaseRunner) -> None:
        self.run_graph(runner, self.watched(DIAMOND), {"x": 2})
        assert sorted(self.calls) == ["add", "double", "triple"], (
            "a function may write, send, or cost money: call it once, and keep what it gave"
        )

    def test_outputs_come_in_the_order_of_the_graph(self, runner: BaseRunner) -> None:
        outputs = self.run_graph(runner, DIAMOND, {"x": 2})
        assert list(outputs) == list(DIAMOND.outputs)

    def test_inputs_may_be_called_values(self, runner: BaseRunner) -> None:
        outputs = self.run_graph(runner, DIAMOND, None, values={"x": 1})
        assert outputs["total"] == 5

    def test_an_empty_graph_gives_nothing(self, runner: BaseRunner) -> None:
        assert self.run_graph(runner, Graph([]), {}) == {}

    def test_one_output_is_stored_as_it_is_even_a_tuple(self, runner: BaseRunner) -> None:
        assert self.run_graph(runner, Graph([pair]), {"x": 1}) == {"pair": (1, 1)}

    def test_none_is_a_value(self, runner: BaseRunner) -> None:
        assert self.run_graph(runner, Graph([nothing]), {"x": 1}) == {"nothing": None}

    def test_several_outputs_are_unpacked(self, runner: BaseRunner) -> None:
        assert self.run_graph(runner, Graph([bounds]), {"x": 5}) == {"low": 4, "high": 6}

    def test_a_wrong_number_of_outputs_is_an_error_with_both_counts(
        self, runner: BaseRunner
    ) -> None:
        with raises(OutputCountError) as caught:
            self.run_graph(runner, Graph([three_values]), {"x": 5})
        assert (caught.value.expected, caught.value.actual) == (2, 3)

    @cases("value", ["ab", b"ab", {"a": 1, "b": 2}, {1, 2}, 7], ids=lambda v: type(v).__name__)
    def test_text_mappings_and_sets_are_not_unpacked(self, runner: BaseRunner, value: Any) -> None:
        graph = Graph([node(_same, output_name=("low", "high"))])
        with raises(OutputCountError) as caught:
            self.run_graph(runner, graph, {"value": value})
        assert (caught.value.expected, caught.value.actual) == (2, None)

    def test_a_node_may_have_no_output(self, runner: BaseRunner) -> None:
        assert self.run_graph(runner, Graph([discard, double]), {"x": 1}) == {"doubled": 2}

    def test_renamed_nodes_are_wired_by_their_new_names(self, runner: BaseRunner) -> None:
        again = double.with_name("again").with_inputs(x="doubled").with_outputs(doubled="x4")
        outputs = self.run_graph(runner, Graph([again, double]), {"x": 3})
        assert outputs == {"doubled": 6, "x4": 12}

    # -- where a value comes from ------------------------------------------------------------

    def test_a_default_serves_where_nothing_else_does(self, runner: BaseRunner) -> None:
        assert self.run_graph(runner, Graph([show]), {"x": 1}) == {"shown": "n=1!"}

    def test_a_bound_value_wins_over_a_default(self, runner: BaseRunner) -> None:
        graph = Graph([show]).bind(suffix="?")
        assert self.run_graph(runner, graph, {"x": 1}) == {"shown": "n=1?"}

    def test_a_given_value_wins_over_a_bound_one(self, runner: BaseRunner) -> None:
        graph = Graph([show]).bind(prefix="bound")
        outputs = self.run_graph(runner, graph, {"x": 1, "prefix": "given"})
        assert outputs == {"shown": "given1!"}

    def test_a_nodes_output_wins_over_a_default(self, runner: BaseRunner) -> None:
        graph = Graph([show, nothing.with_outputs(nothing="prefix")])
        assert self.run_graph(runner, graph, {"x": 1})["shown"] == "None1!"

    def test_given_none_is_given(self, runner: BaseRunner) -> None:
        outputs = self.run_graph(runner, Graph([show]), {"x": 1, "prefix": None})
        assert outputs == {"shown": "None1!"}

    def test_what_the_caller_gives_is_left_as_it_is(self, runner: BaseRunner) -> None:
        given = {"x": 1, "suffix": "?"}
        graph = Graph([show, double]).bind(prefix="bound")
        for _ in range(2):
            outputs = self.run_graph(runner, graph, given)
            assert given == {"x": 1, "suffix": "?"}, "the dict of inputs is the caller's: copy it"
            assert outputs == {"shown": "bound1?", "doubled": 2}
        assert dict(graph.bound) == {"prefix": "bound"}

    def test_values_are_passed_by_reference(self, runner: BaseRunner) -> None:
        self.stays_here(runner)
        value = object()
        graph = Graph([node(output_name="same")(_same)])
        assert self.run_graph(runner, graph, {"value": value})["same"] is value

    # -- given outputs -----------------------------------------------------------------------

    def test_a_node_whose_output_is_given_does_not_run(self, runner: BaseRunner) -> None:
        outputs = self.run_graph(runner, DIAMOND, {"x": 2, "doubled": 100})
        assert outputs == {"tripled": 6, "total": 106}

    def test_nodes_that_serve_nobody_need_no_inputs(self, runner: BaseRunner) -> None:
        outputs = self.run_graph(runner, DIAMOND, {"doubled": 1, "tripled": 2})
        assert outputs == {"total": 3}

    def test_what_served_only_a_given_output_does_not_run(self, runner: BaseRunner) -> None:
        second = double.with_name("second").with_inputs(x="doubled").with_outputs(doubled="x4")
        third = double.with_name("third").with_inputs(x="x4").with_outputs(doubled="x8")
        outputs = self.run_graph(runner, Graph([double, second, third]), {"x4": 1})
        assert outputs == {"x8": 2}

    def test_a_node_with_an_output_that_nobody_takes_runs(self, runner: BaseRunner) -> None:
        taking = double.with_inputs(x="low").with_outputs(doubled="twice")
        outputs = self.run_graph(runner, Graph([bounds, taking]), {"x": 5, "twice": 0})
        assert outputs == {"low": 4, "high": 6}, "the other output is the caller's"

    def test_giving_some_of_a_nodes_outputs_is_an_error(self, runner: BaseRunner) -> None:
        with raises(InputError):
            self.run_graph(runner, Graph([bounds]), {"x": 1, "low": 0})

    # -- inputs that do not fit --------------------------------------------------------------

    def test_all_missing_inputs_are_named_at_once(self, runner: BaseRunner) -> None:
        graph = Graph([double, show.with_inputs(x="y")])
        with raises(MissingInputError) as caught:
            self.run_graph(runner, graph, {})
        assert set(caught.value.missing) == {"x", "y"}

    def test_an_unknown_input_is_refused(self, runner: BaseRunner) -> None:
        with raises(UnknownInputError) as caught:
            self.run_graph(runner, DIAMOND, {"x": 1, "no_such_input": 1})
        assert caught.value.unknown == ("no_such_input",)

    def test_an_unknown_input_is_let_pass_on_demand(self, runner: BaseRunner) -> None:
        outputs = self.run_graph(runner, DIAMOND, {"x": 1, "more": 1}, allow_extra=True)
        assert outputs["total"] == 5

    # -- select ------------------------------------------------------------------------------

    def test_select_narrows_what_is_returned(self, runner: BaseRunner) -> None:
        assert self.run_graph(runner, DIAMOND, {"x": 1}, select="total") == {"total": 5}
        outputs = self.run_graph(runner, DIAMOND, {"x": 1}, select=["doubled", "total"])
        assert outputs == {"doubled": 2, "total": 5}

    def test_selecting_an_unknown_output_is_an_error(self, runner: BaseRunner) -> None:
        with raises(InputError):
            self.run_graph(runner, DIAMOND, {"x": 1}, select=["totall"])

    def test_a_graphs_own_selection_is_obeyed(self, runner: BaseRunner) -> None:
        assert self.run_graph(runner, DIAMOND.select("total"), {"x": 1}) == {"total": 5}


def _same(value: Any) -> Any:
    return value
