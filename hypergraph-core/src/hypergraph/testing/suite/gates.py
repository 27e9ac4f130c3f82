"""Gates: what they select runs, what they do not select does not."""

from __future__ import annotations

from typing import Any

from hypergraph.errors import ConflictError, RouteError
from hypergraph.graph import Graph
from hypergraph.nodes import END, TypeRouteNode, branch, node, route
from hypergraph.runners.base import BaseRunner
from hypergraph.testing.kit import cases, raises
from hypergraph.testing.suite.base import RunnerRules


@node(output_name="a")
def left(x: Any) -> str:
    return f"left {x}"


@node(output_name="b")
def right(x: Any) -> str:
    return f"right {x}"


@node(output_name="c")
def beside(x: Any) -> str:
    return f"beside {x}"


@node(output_name="after_a")
def after_left(a: str) -> str:
    return f"after {a}"


@node(output_name="joined")
def join(a: str = "no a", b: str = "no b") -> str:
    return f"{a}, {b}"


@branch(when_true="left", when_false="right")
def is_even(x: int) -> bool:
    return x % 2 == 0


@branch(when_true="left", when_false=END)
def is_even_or_end(x: int) -> bool:
    return x % 2 == 0


@route(targets=["left", "right"])
def chosen(choice: Any) -> Any:
    return choice


@route(targets=["left"], fallback="right")
def chosen_or_right(choice: Any) -> Any:
    return choice


@route(targets=["left", "right"], multi_target=True)
def all_chosen(choice: Any) -> Any:
    return choice


@node(output_name="level")
def higher(x: int) -> int:
    return x + 1


@node(output_name="level")
def lower(x: int) -> int:
    return x - 1


@route(targets=["higher", "lower", END], multi_target=True)
def both_once(level: int) -> Any:
    return ["higher", "lower"] if level == 0 else [END]


BY_TYPE = TypeRouteNode("by_type", "x", routes={str: "left", int: "right"}, fallback="beside")


class GateRules(RunnerRules):
    """``@branch``, ``@route`` and ``TypeRouteNode`` in graphs without cycles."""

    group = "gates"

    @cases(("x", "expected"), [(2, {"a": "left 2"}), (3, {"b": "right 3"})])
    def test_only_the_selected_branch_runs(
        self, runner: BaseRunner, x: int, expected: dict[str, str]
    ) -> None:
        assert self.run_graph(runner, Graph([left, right, is_even]), {"x": x}) == expected

    def test_what_depends_on_an_unselected_node_does_not_run(self, runner: BaseRunner) -> None:
        graph = Graph([is_even, left, right, after_left])
        assert self.run_graph(runner, graph, {"x": 3}) == {"b": "right 3"}
        outputs = self.run_graph(runner, graph, {"x": 2})
        assert outputs == {"a": "left 2", "after_a": "after left 2"}

    def test_end_selects_nothing_and_the_rest_goes_on(self, runner: BaseRunner) -> None:
        graph = Graph([is_even_or_end, left, beside])
        assert self.run_graph(runner, graph, {"x": 3}) == {"c": "beside 3"}
        assert self.run_graph(runner, graph, {"x": 2}) == {"a": "left 2", "c": "beside 2"}

    def test_a_join_below_a_branch_takes_its_default_for_the_other_side(
        self, runner: BaseRunner
    ) -> None:
        graph = Graph([join, left, right, is_even])
        assert self.run_graph(runner, graph, {"x": 2})["joined"] == "left 2, no b"
        assert self.run_graph(runner, graph, {"x": 3})["joined"] == "no a, right 3"

    def test_two_branches_may_write_one_output(self, runner: BaseRunner) -> None:
        graph = Graph([is_even, left, right.with_outputs(b="a"), after_left])
        assert self.run_graph(runner, graph, {"x": 2})["after_a"] == "after left 2"
        assert self.run_graph(runner, graph, {"x": 3})["after_a"] == "after right 3"

    def test_a_route_takes_its_fallback_on_none(self, runner: BaseRunner) -> None:
        graph = Graph([chosen_or_right, left, right])
        assert self.run_graph(runner, graph, {"x": 1, "choice": None}) == {"b": "right 1"}
        assert self.run_graph(runner, graph, {"x": 1, "choice": "left"}) == {"a": "left 1"}

    def test_none_without_a_fallback_selects_nothing(self, runner: BaseRunner) -> None:
        graph = Graph([chosen, left, right])
        assert self.run_graph(runner, graph, {"x": 1, "choice": None}) == {}

    @cases("choice", ["lefft", 1, ["left"]])
    def test_a_gate_that_names_none_of_its_targets_is_an_error(
        self, runner: BaseRunner, choice: Any
    ) -> None:
        with raises(RouteError) as caught:
            self.run_graph(runner, Graph([chosen, left, right]), {"x": 1, "choice": choice})
        assert caught.value.targets == ("left", "right")

    @cases(
        ("choice", "expected"),
        [
            (["left", "right"], {"a": "left 1", "b": "right 1"}),
            (["right"], {"b": "right 1"}),
            ([], {}),
            (None, {}),
        ],
    )
    def test_a_multi_target_gate_selects_all_it_lists(
        self, runner: BaseRunner, choice: Any, expected: dict[str, str]
    ) -> None:
        graph = Graph([all_chosen, left, right])
        assert self.run_graph(runner, graph, {"x": 1, "choice": choice}) == expected

    def test_two_selected_writers_of_one_output_conflict(self, runner: BaseRunner) -> None:
        graph = Graph([both_once, higher, lower], entrypoint="both_once")
        with raises(ConflictError) as caught:
            self.run_graph(runner, graph, {"x": 1, "level": 0})
        assert caught.value.output == "level"
        assert set(caught.value.nodes) == {"higher", "lower"}

    @cases(("x", "output"), [("s", "a"), (1, "b"), (True, "b"), (1.5, "c")])
    def test_a_type_route_takes_the_nearest_class(
        self, runner: BaseRunner, x: Any, output: str
    ) -> None:
        assert list(self.run_graph(runner, Graph([BY_TYPE, left, right, beside]), {"x": x})) == [
            output
        ]

    @cases(("first", "second"), [("left", END), (END, "left"), ("left", "left"), (END, END)])
    def test_of_two_gates_any_one_may_select_a_node(
        self, runner: BaseRunner, first: Any, second: Any
    ) -> None:
        gates = [
            route(targets=["left", END], name=name)(_pass_on).with_inputs(outer=name)
            for name in ("first", "second")
        ]
        inputs = {"x": 1, "first": first, "second": second}
        expected = {"a": "left 1"} if "left" in (first, second) else {}
        assert self.run_graph(runner, Graph([*gates, left]), inputs) == expected

    def test_a_gate_behind_a_gate_decides_only_when_it_is_selected(
        self, runner: BaseRunner
    ) -> None:
        first = chosen_or_right.with_name("first")
        outer = route(targets=["first", END])(_pass_on)
        graph = Graph([outer, first, left, right])
        inputs = {"x": 1, "choice": "left"}
        assert self.run_graph(runner, graph, {**inputs, "outer": END}) == {}
        assert self.run_graph(runner, graph, {**inputs, "outer": "first"}) == {"a": "left 1"}


def _pass_on(outer: Any) -> Any:
    return outer
