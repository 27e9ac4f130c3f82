"""Capabilities: what a runner declares it does, and what it does not declare it refuses."""

from __future__ import annotations

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
        result = runner.run(Graph([first]), {"x": 1}) if not declared else None
        assert not inspect.isawaitable(result), "declare returns_coroutine=True"
        if declared:
            assert inspect.iscoroutinefunction(type(runner).run), (
                "returns_coroutine=True is declared; make run() an async function"
            )

    @EACH_FEATURE
    def test_a_feature_is_supported_or_refused(self, runner: BaseRunner, feature: Feature) -> None:
        graph, inputs = ONE_GRAPH_PER_FEATURE[feature.name]
        self.refused_unless_declared(runner, graph, inputs)
        result = self.called(runner, runner.run, graph, inputs)
        if feature.name != "interrupts":
            assert self.values_of(result), f"{feature.capability} is declared; nothing came out"
            return
        assert isinstance(result, RunResult), "a runner that can pause returns a RunResult"
        assert result.paused
        assert result.pause is not None
        assert (result.pause.response_param, result.pause.value) == ("answer", 1)

    @EACH_FEATURE
    def test_a_feature_inside_a_nested_graph_is_supported_or_refused(
        self, runner: BaseRunner, feature: Feature
    ) -> None:
        inner, inputs = ONE_GRAPH_PER_FEATURE[feature.name]
        graph = Graph([inner.as_node("inner")])
        self.refused_unless_declared(runner, graph, inputs)
        self.called(runner, runner.run, graph, inputs)

    @EACH_FEATURE
    def test_a_refused_graph_does_not_run_at_all(
        self, runner: BaseRunner, feature: Feature
    ) -> None:
        graph, inputs = ONE_GRAPH_PER_FEATURE[feature.name]
        if runner.capabilities.unsupported(graph.features) is None:
            skip(f"{feature.capability} is declared")
        graph = self.watched(Graph([first.with_inputs(x="begin"), *graph.nodes.values()]))
        with raises(IncompatibleRunnerError) as caught:
            self.called(runner, runner.run, graph, {**inputs, "begin": 1})
        assert self.calls == [], "a graph is refused before anything runs"
        assert caught.value.node, "the error names a node that needs the feature"

    @EACH_FEATURE
    def test_a_map_refuses_what_a_run_refuses(self, runner: BaseRunner, feature: Feature) -> None:
        graph, inputs = ONE_GRAPH_PER_FEATURE[feature.name]
        if runner.capabilities.unsupported(graph.features) is None:
            skip(f"{feature.capability} is declared")
        name = next(iter(inputs))
        lists = {**inputs, name: [inputs[name]]}
        # that interrupts and maps do not go together is said of the graph, whoever runs it
        config = (GraphConfigError,) if feature.name == "interrupts" else ()
        with raises(IncompatibleRunnerError, *config):
            self.called(runner, runner.map, graph, lists, map_over=name)

    def test_a_loop_through_a_gate_runs_or_is_refused(self, runner: BaseRunner) -> None:
        graph = Graph([step, again], entrypoint="step")
        assert self.run_graph(runner, graph, {"count": 0, "limit": 2}) == {"count": 2}
