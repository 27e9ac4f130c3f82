"""Capabilities: what a runner declares it does, and what it does not declare it refuses."""

from __future__ import annotations

import copy
import inspect
from typing import Any

from hypergraph.capabilities import FEATURES, Feature, RunnerCapabilities
from hypergraph.errors import GraphConfigError, IncompatibleRunnerError
from hypergraph.graph import Graph
from hypergraph.nodes import InterruptNode, node
from hypergraph.results import RunResult
from hypergraph.runners.base import BaseRunner, supports_runner_api
from hypergraph.testing.kit import cases, raises, skip
from hypergraph.testing.suite.base import RunnerRules
from hypergraph.testing.suite.cycles import again, remember, respond, step
from hypergraph.testing.suite.gates import is_even, left, right


@node(output_name="first")
def first(x: int) -> int:
    return x


@node(output_name="waited")
async def wait(x: int) -> int:
    return x + 1


ASK = InterruptNode("ask", "x", "answer")
CHAT: dict[str, Any] = {"messages": [], "user_input": "you"}
ONE_GRAPH_PER_FEATURE: dict[str, tuple[Graph, dict[str, Any]]] = {
    "cycles": (Graph([respond, remember]), CHAT),
    "gates": (Graph([is_even, left, right]), {"x": 2}),
    "interrupts": (Graph([ASK]), {"x": 1}),
    "async_nodes": (Graph([wait]), {"x": 1}),
}
OUTPUTS: dict[str, dict[str, Any]] = {
    "cycles": {"response": "re: you", "messages": ["re: you"]},
    "gates": {"a": "left 2"},
    "interrupts": {},
    "async_nodes": {"waited": 2},
}


def example_of(feature: Feature) -> tuple[Graph, dict[str, Any]]:
    """Return a graph that has the feature, and inputs of its own for it."""
    graph, inputs = ONE_GRAPH_PER_FEATURE[feature.name]
    return graph, copy.deepcopy(inputs)


EACH_FEATURE = cases("feature", FEATURES, ids=lambda f: f.name)


class CapabilityRules(RunnerRules):
    """The contract between a runner and the graphs it takes."""

    group = "capabilities"

    def test_a_runner_is_a_base_runner_with_capabilities(self, runner: BaseRunner) -> None:
        assert isinstance(runner, BaseRunner)
        assert isinstance(runner.capabilities, RunnerCapabilities)

    def test_a_runner_fits_this_version_of_the_contract(self, runner: BaseRunner) -> None:
        assert supports_runner_api(runner.runner_api)

    def test_returns_coroutine_says_whether_run_must_be_awaited(self, runner: BaseRunner) -> None:
        declared = runner.capabilities.returns_coroutine
        graph, inputs = Graph([first]), {"x": 1}
        result = None if declared else self.called(runner, runner.run, graph, inputs)
        assert not inspect.isawaitable(result), "declare returns_coroutine=True"
        if declared:
            assert inspect.iscoroutinefunction(type(runner).run), (
                "returns_coroutine=True is declared; make run() an async function"
            )

    @EACH_FEATURE
    def test_a_feature_is_supported_or_refused(self, runner: BaseRunner, feature: Feature) -> None:
        graph, inputs = example_of(feature)
        self.refused_unless_declared(runner, graph, inputs)
        result = self.called(runner, runner.run, graph, inputs)
        assert self.values_of(result) == OUTPUTS[feature.name], f"{feature.capability} is declared"
        if feature.name != "interrupts":
            return
        assert isinstance(result, RunResult), "a runner that can pause returns a RunResult"
        assert result.paused
        assert result.pause is not None
        assert (result.pause.response_param, result.pause.value) == ("answer", 1)

    @EACH_FEATURE
    def test_a_feature_inside_a_nested_graph_is_supported_or_refused(
        self, runner: BaseRunner, feature: Feature
    ) -> None:
        inner, inputs = example_of(feature)
        graph = Graph([inner.as_node("inner")])
        assert self.run_graph(runner, graph, inputs) == OUTPUTS[feature.name]

    @EACH_FEATURE
    def test_a_refused_graph_does_not_run_at_all(
        self, runner: BaseRunner, feature: Feature
    ) -> None:
        graph, inputs = self.refused_graph(runner, feature)
        graph = self.watched(Graph([first.with_inputs(x="begin"), *graph.nodes.values()]))
        with raises(IncompatibleRunnerError) as caught:
            self.called(runner, runner.run, graph, {**inputs, "begin": 1})
        assert self.calls == [], "a graph is refused before anything runs"
        self.names_a_node(caught.value, graph, feature)

    @EACH_FEATURE
    def test_a_map_refuses_what_a_run_refuses(self, runner: BaseRunner, feature: Feature) -> None:
        graph, inputs = self.refused_graph(runner, feature)
        graph = self.watched(graph)
        name = next(iter(inputs))
        lists = {**inputs, name: [inputs[name]]}
        # that interrupts and maps do not go together is said of the graph, whoever runs it
        config = (GraphConfigError,) if feature.name == "interrupts" else ()
        with raises(IncompatibleRunnerError, *config) as caught:
            self.called(runner, runner.map, graph, lists, map_over=name)
        assert self.calls == [], "a graph is refused before anything runs"
        if isinstance(caught.value, IncompatibleRunnerError):
            self.names_a_node(caught.value, graph, feature)

    @EACH_FEATURE
    def test_a_refusal_names_the_path_to_a_nested_node(
        self, runner: BaseRunner, feature: Feature
    ) -> None:
        inner, inputs = self.refused_graph(runner, feature)
        graph = Graph([Graph([inner.as_node("inner")]).as_node("middle")])
        for method, more in ((runner.run, {}), (runner.map, {"map_over": next(iter(inputs))})):
            if more and feature.name == "interrupts":
                continue
            with raises(IncompatibleRunnerError) as caught:
                self.called(runner, method, graph, inputs, **more)
            self.names_a_node(caught.value, graph, feature)
            assert caught.value.node.startswith("middle/inner/"), (
                "node= is the path to the node, as in graph.features: call self.validate(graph)"
            )

    @EACH_FEATURE
    def test_a_graph_that_is_given_to_the_runner_is_refused_when_that_is_said(
        self, runner: BaseRunner, feature: Feature
    ) -> None:
        graph, _ = self.refused_graph(runner, feature)
        with raises(IncompatibleRunnerError) as caught:
            graph.as_node("inner", runner=runner)
        self.names_a_node(caught.value, graph, feature)

    def refused_graph(self, runner: BaseRunner, feature: Feature) -> tuple[Graph, dict[str, Any]]:
        """Return a graph that the runner must refuse, with inputs; skip if it declares the feature."""
        graph, inputs = example_of(feature)
        missing = runner.capabilities.unsupported(graph.features)
        if missing is None:
            skip(f"{feature.capability} is declared")
        return graph, inputs

    def test_a_loop_through_a_gate_runs_or_is_refused(self, runner: BaseRunner) -> None:
        graph = Graph([step, again], entrypoint="step")
        assert self.run_graph(runner, graph, {"count": 0, "limit": 2}) == {"count": 2}
