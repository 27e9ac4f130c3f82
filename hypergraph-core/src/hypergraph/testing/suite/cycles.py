"""Cycles: only a gate starts another round, and a join runs once per round."""

from __future__ import annotations

import itertools
from typing import Any

from hypergraph.errors import InfiniteLoopError, MissingInputError
from hypergraph.graph import Graph
from hypergraph.nodes import END, HyperNode, branch, node, route
from hypergraph.runners.base import BaseRunner
from hypergraph.testing.kit import cases, raises
from hypergraph.testing.suite.base import RunnerRules


@node(output_name="count")
def step(count: int) -> int:
    return count + 1


@branch(when_true="step", when_false=END)
def again(count: int, limit: int = 10) -> bool:
    return count < limit


@node(output_name="thought")
def think(observations: str) -> str:
    return observations + "t"


@branch(when_true=END, when_false="act")
def enough(thought: str) -> bool:
    return len(thought) > 5


@node(output_name="observations")
def act(thought: str) -> str:
    return thought + "a"


@node(output_name="a")
def start(n: int) -> int:
    return n


@node(output_name="b")
def short_way(a: int) -> int:
    return a


@node(output_name="c1")
def long_way_1(a: int) -> int:
    return a


@node(output_name="c2")
def long_way_2(c1: int) -> int:
    return c1


@node(output_name="joined")
def join(b: int, c2: int, joined: tuple[Any, ...] = ()) -> tuple[Any, ...]:
    return (*joined, (b, c2))


@node(output_name="n")
def advance(joined: tuple[Any, ...], n: int) -> int:
    return n + 1


@branch(when_true="start", when_false=END)
def more(n: int) -> bool:
    return n < 4


@node(output_name="response")
def respond(messages: list[str], user_input: str) -> str:
    return f"re: {user_input}"


@node(output_name="messages")
def remember(messages: list[str], response: str) -> list[str]:
    return [*messages, response]


@node(output_name="outer_count")
def outer_step(outer_count: int) -> int:
    return outer_count + 1


@node(output_name="inner_count")
def inner_start(outer_count: int) -> int:
    return 0


@node(output_name="inner_count")
def inner_step(inner_count: int) -> int:
    return inner_count + 1


@branch(when_true="inner_step", when_false=END)
def inner_again(inner_count: int) -> bool:
    return inner_count < 2


@branch(when_true="outer_step", when_false=END)
def outer_again(rounds: str) -> bool:
    return len(rounds) < 6


@node(output_name="rounds")
def note_round(outer_count: int, inner_count: int, rounds: str = "") -> str:
    return f"{rounds}{inner_count}"


@node(output_name="result")
def attempt(outer_count: int) -> str:
    return str(outer_count)


@branch(when_true=END, when_false="attempt")
def succeeded(result: str) -> bool:
    return True


@node(output_name="results")
def note_result(result: str, results: str = "") -> str:
    return results + result


@branch(when_true="outer_step", when_false=END)
def enough_results(results: str) -> bool:
    return len(results) < 3


@branch(when_true="prepare", when_false=END)
def is_third(count: int) -> bool:
    return count == 3


@node(output_name="ready")
def prepare(count: int) -> bool:
    return True


@node(output_name="draft")
def write(topic: str) -> str:
    return topic


@node(output_name="draft")
def revise(draft: str) -> str:
    return draft + "+"


@branch(when_true=END, when_false="revise")
def good_enough(draft: str) -> bool:
    return draft.endswith("+++")


@node(output_name="summary")
def summarize(draft: str) -> str:
    return f"<{draft}>"


@node(output_name="outer")
def outer_entry(late: int) -> int:
    return late


@node(output_name="late")
def outer_end(tried: int) -> int:
    return tried


@node(output_name="tried")
def inner_entry(outer: int, result: int) -> int:
    return result + 1


@branch(when_true="inner_work", when_false=END)
def try_again(tried: int) -> bool:
    return tried < 3


@node(output_name="worked")
def inner_work(tried: int) -> int:
    return tried


@node(output_name="result")
def inner_end(worked: int, outer: int) -> int:
    return worked


ALL_ORDERS = cases("order", [0, 1, 2, 3, 4, 5], ids="declared in order {}".format)


def in_order(number: int, *nodes: HyperNode) -> list[HyperNode]:
    """Return the nodes in the ``number``-th of six orders, spread over all there are."""
    orders = list(itertools.permutations(nodes))
    return list(orders[number * len(orders) // 6])


class CycleRules(RunnerRules):
    """Loops of all kinds; whatever the order in which their nodes are declared."""

    group = "cycles"

    @ALL_ORDERS
    def test_a_loop_runs_until_its_gate_says_end(self, runner: BaseRunner, order: int) -> None:
        graph = Graph(in_order(order, step, again))
        assert self.run_graph(runner, graph, {"count": 0, "limit": 1000}) == {"count": 1000}

    def test_a_loop_runs_once_before_a_gate_behind_it_decides(self, runner: BaseRunner) -> None:
        graph = Graph([step, again], entrypoint="step")
        assert self.run_graph(runner, graph, {"count": 50}) == {"count": 51}

    def test_a_loop_entered_at_its_gate_may_run_not_at_all(self, runner: BaseRunner) -> None:
        graph = Graph([step, again], entrypoint="again")
        assert self.run_graph(runner, graph, {"count": 50}) == {}

    @ALL_ORDERS
    def test_a_gated_node_inside_a_loop_never_runs_unselected(
        self, runner: BaseRunner, order: int
    ) -> None:
        graph = Graph(in_order(order, think, enough, act))
        outputs = self.run_graph(runner, graph, {"observations": ""})
        assert outputs == {"thought": "tatatat", "observations": "tatata"}

    @ALL_ORDERS
    def test_a_join_inside_a_loop_runs_once_per_round(self, runner: BaseRunner, order: int) -> None:
        nodes = in_order(order, start, short_way, long_way_1, long_way_2, join, advance, more)
        outputs = self.run_graph(runner, Graph(nodes, entrypoint="start"), {"n": 0})
        assert outputs["joined"] == ((0, 0), (1, 1), (2, 2), (3, 3)), (
            "the join must wait for its slower side in every round: a generation is every due node "
            "that has no due node before it in forward order"
        )

    @ALL_ORDERS
    def test_data_alone_never_loops(self, runner: BaseRunner, order: int) -> None:
        graph = Graph(in_order(order, respond, remember))
        outputs = self.run_graph(runner, graph, {"messages": ["hi"], "user_input": "you"})
        assert outputs == {"response": "re: you", "messages": ["hi", "re: you"]}

    @ALL_ORDERS
    def test_a_draft_from_before_the_loop_is_revised_inside_it(
        self, runner: BaseRunner, order: int
    ) -> None:
        graph = Graph(in_order(order, write, revise, good_enough, summarize))
        outputs = self.run_graph(runner, graph, {"topic": "x"})
        assert outputs["draft"] == "x+++"
        assert outputs["summary"] == "<x+++>", "a consumer sees the latest value"

    def test_a_loop_inside_a_loop_is_entered_anew_each_round(self, runner: BaseRunner) -> None:
        nodes: list[HyperNode] = [
            outer_step,
            inner_start,
            inner_step,
            inner_again,
            note_round,
            outer_again,
        ]
        graph = Graph(nodes, entrypoint="outer_step")
        outputs = self.run_graph(runner, graph, {"outer_count": 0})
        assert outputs["inner_count"] == 2
        assert outputs["rounds"].endswith("2")

    def test_a_loop_through_a_gate_goes_round_inside_one_that_data_alone_closes(
        self, runner: BaseRunner
    ) -> None:
        nodes: list[HyperNode] = [
            outer_entry,
            inner_entry,
            try_again,
            inner_work,
            inner_end,
            outer_end,
        ]
        graph = Graph(nodes, entrypoint="outer_entry")
        inputs = {"late": 0, "result": 0}
        outputs = self.run_graph(runner, graph, inputs, max_iterations=20)
        assert (outputs["tried"], outputs["result"], outputs["late"]) == (3, 2, 3), (
            "an edge back to the entry of the inner loop makes it due, as every way round inside "
            "that loop passes the gated node; the way round outside it does not count"
        )

    # -- where a loop starts -----------------------------------------------------------------

    def test_a_loop_is_entered_anew_when_what_it_takes_from_outside_changes(
        self, runner: BaseRunner
    ) -> None:
        graph = Graph(
            [outer_step, attempt, succeeded, note_result, enough_results], entrypoint="outer_step"
        )
        outputs = self.run_graph(runner, graph, {"outer_count": 0})
        assert outputs["results"] == "123"

    def test_a_seed_starts_the_loop_where_it_fits(self, runner: BaseRunner) -> None:
        graph = Graph([think, enough, act])
        outputs = self.run_graph(runner, graph, {"thought": "seed"})
        assert outputs["observations"].startswith("seeda")

    def test_a_loop_without_a_seed_names_what_would_start_it(self, runner: BaseRunner) -> None:
        with raises(MissingInputError) as caught:
            self.run_graph(runner, Graph([think, enough, act]), {})
        assert "observations" in str(caught.value)

    def test_an_entrypoint_insists_on_its_own_seed(self, runner: BaseRunner) -> None:
        graph = Graph([think, enough, act], entrypoint="think")
        with raises(MissingInputError):
            self.run_graph(runner, graph, {"thought": "seed"})

    # -- limits ------------------------------------------------------------------------------

    @ALL_ORDERS
    def test_a_loop_may_run_exactly_max_iterations_times(
        self, runner: BaseRunner, order: int
    ) -> None:
        graph = Graph(in_order(order, step, again))
        outputs = self.run_graph(runner, graph, {"count": 0, "limit": 7}, max_iterations=7)
        assert outputs == {"count": 7}

    @ALL_ORDERS
    def test_one_round_more_is_an_infinite_loop(self, runner: BaseRunner, order: int) -> None:
        graph = Graph(in_order(order, step, again))
        with raises(InfiniteLoopError) as caught:
            self.run_graph(runner, graph, {"count": 0, "limit": 8}, max_iterations=7)
        assert set(caught.value.cycle) == {"step", "again"}

    def test_the_last_decision_of_a_gate_counts(self, runner: BaseRunner) -> None:
        nodes: list[HyperNode] = [
            step,
            route(targets=["step", "stop"])(_until_three),
            node(_stop, name="stop"),
        ]
        outputs = self.run_graph(runner, Graph(nodes), {"count": 0})
        assert outputs == {"count": 3, "_stop": "stopped at 3"}

    def test_a_newer_decision_replaces_one_that_was_not_used(self, runner: BaseRunner) -> None:
        graph = Graph([step, again, is_third, prepare], entrypoint="step")
        outputs = self.run_graph(runner, graph, {"count": 0, "limit": 4})
        assert outputs == {"count": 4}, (
            "the third round selects what the next round of step comes before; by then the gate has "
            "decided again, and what it had selected is forgotten"
        )


def _until_three(count: int) -> str:
    return "step" if count < 3 else "stop"


def _stop(count: int) -> str:
    return f"stopped at {count}"
