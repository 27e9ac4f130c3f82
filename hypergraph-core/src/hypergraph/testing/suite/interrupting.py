"""Interrupts: how a run pauses, what the pause tells, and how it is answered."""

from __future__ import annotations

from typing import Any

from hypergraph.errors import AnswerError, GraphConfigError
from hypergraph.graph import Graph
from hypergraph.nodes import InterruptNode, node
from hypergraph.results import PauseReason, RunResult, RunStatus
from hypergraph.runners.base import BaseRunner
from hypergraph.testing.kit import raises
from hypergraph.testing.suite.base import RunnerRules


@node(output_name="draft")
def write(topic: str) -> str:
    return f"on {topic}"


@node(output_name="final")
def publish(draft: str, approval: str) -> str:
    return f"{draft}: {approval}"


@node(output_name="beside")
def beside(topic: str) -> str:
    return f"beside {topic}"


APPROVE = InterruptNode("approve", "draft", "approval", response_type=str)
REVIEW = Graph([write, APPROVE, publish], name="review")
TWO = Graph([InterruptNode("second", "topic", "b"), InterruptNode("first", "topic", "a"), beside])


class InterruptRules(RunnerRules):
    """Graphs with interrupts, for runners that declare ``supports_interrupts``."""

    group = "interrupts"

    def result_of(self, runner: BaseRunner, graph: Graph, inputs: dict[str, Any]) -> RunResult:
        """Run a graph that may pause, and return its result."""
        self.refused_unless_declared(runner, graph, inputs)
        result = self.called(runner, runner.run, graph, inputs)
        assert isinstance(result, RunResult), "a runner that can pause returns a RunResult"
        return result

    def test_a_run_pauses_where_no_answer_is_given(self, runner: BaseRunner) -> None:
        result = self.result_of(runner, self.watched(REVIEW), {"topic": "cats"})
        assert (result.status, result.paused) == (RunStatus.PAUSED, True)
        assert result.values == {"draft": "on cats"}
        pause = result.pause
        assert pause is not None
        assert pause.reason is PauseReason.HUMAN_INPUT
        assert (pause.node_name, pause.value) == ("approve", "on cats")
        assert (pause.response_param, pause.response_key) == ("approval", "approval")
        assert self.calls == ["write"]

    def test_an_answer_that_is_given_is_not_asked_for(self, runner: BaseRunner) -> None:
        inputs = {"topic": "cats", "approval": "yes"}
        result = self.result_of(runner, REVIEW, inputs)
        assert result.status is RunStatus.COMPLETED
        inputs = {"draft": "mine", "approval": "yes"}
        assert self.result_of(runner, REVIEW, inputs)["final"] == "mine: yes"

    def test_the_rest_of_the_generation_finishes_and_all_pauses_are_told(
        self, runner: BaseRunner
    ) -> None:
        result = self.result_of(runner, TWO, {"topic": "cats"})
        assert result.values == {"beside": "beside cats"}
        assert [pause.node_name for pause in result.pauses] == ["second", "first"]
        assert result.pause == result.pauses[0]

    def test_a_nested_pause_tells_its_path_and_the_key_at_this_level(
        self, runner: BaseRunner
    ) -> None:
        hidden = REVIEW.select("final").as_node()
        for nested, key in (
            (REVIEW.as_node(), "approval"),
            (REVIEW.as_node().with_outputs(approval="verdict"), "verdict"),
            (hidden, "review.approval"),
        ):
            result = self.result_of(runner, Graph([nested]), {"topic": "cats"})
            assert result.pause is not None
            assert (result.pause.node_name, result.pause.response_key) == ("review/approve", key)
            assert result.children["review"].paused

    def test_a_nested_interrupt_is_answered_by_its_key(self, runner: BaseRunner) -> None:
        graph = Graph([REVIEW.select("final").as_node()])
        result = self.result_of(runner, graph, {"topic": "cats", "review.approval": "yes"})
        assert result.values == {"final": "on cats: yes"}

    def test_an_answer_of_the_wrong_type_is_refused(self, runner: BaseRunner) -> None:
        self.refused_unless_declared(runner, REVIEW, {"topic": "cats"})
        inputs = {"topic": "cats", "approval": 7}
        with raises(AnswerError):
            self.called(runner, runner.run, self.watched(REVIEW), inputs)
        assert self.calls == [], "answers are checked before anything runs"

    def test_a_map_refuses_interrupts(self, runner: BaseRunner) -> None:
        self.refused_unless_declared(runner, REVIEW, {"topic": "cats"})
        with raises(GraphConfigError):
            self.map_graph(runner, REVIEW, {"topic": ["cats"]}, map_over="topic")
