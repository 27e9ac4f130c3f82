"""Nested graphs: a graph as a node."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from hypergraph.errors import InfiniteLoopError
from hypergraph.events import NodeStartEvent, RunStartEvent
from hypergraph.execution.context import Context
from hypergraph.graph import Graph
from hypergraph.nodes import node
from hypergraph.results import RunResult, RunStatus
from hypergraph.runners.base import BaseRunner
from hypergraph.testing.async_reference_runner import AsyncReferenceRunner
from hypergraph.testing.kit import cases, raises
from hypergraph.testing.reference_runner import ReferenceRunner
from hypergraph.testing.suite.base import notes_of
from hypergraph.testing.suite.cycles import again, step
from hypergraph.testing.suite.dags import DIAMOND, double, show
from hypergraph.testing.suite.gates import is_even, left, right
from hypergraph.testing.suite.surroundings import Surroundings, Told


@node(output_name="result")
def pass_result(total: int) -> int:
    return total


@node(output_name="refused")
def refuse(x: int) -> int:
    raise LookupError("a problem of the user's own")


class ReturningFailures(ReferenceRunner):
    """Says in its result that the nested run failed, and raises nothing."""

    def execute(self, graph: Graph, values: Mapping[str, Any], context: Context) -> RunResult:
        """Fail."""
        error = LookupError("a problem of the user's own")
        return RunResult(values={}, status=RunStatus.FAILED, error=error)


GIVE_UP = 5.0  # seconds after which nobody will come
OTHERS = cases("other", [ReferenceRunner, AsyncReferenceRunner])


class NestingRules(Surroundings):
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

    def test_what_is_bound_outside_stays_outside_a_namespaced_graph(
        self, runner: BaseRunner
    ) -> None:
        inner = Graph([show], name="inner").as_node(namespaced=True)
        graph = Graph([show, inner]).bind(prefix="outer ", suffix="")
        outputs = self.run_graph(runner, graph, {"x": 1, "inner.x": 2})
        assert outputs == {"shown": "outer 1", "inner.shown": "n=2!"}

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

    def another(self, kind: type[BaseRunner]) -> BaseRunner:
        """Return another runner, if it can run on the event loop of this one; else skip."""
        made = kind()
        self.fits_this_loop(made)
        return made

    # -- across runners --------------------------------------------------------------------------

    @OTHERS
    def test_a_graph_on_another_runner_may_hold_one_on_this(
        self, runner: BaseRunner, other: type[BaseRunner]
    ) -> None:
        self.refused_unless_declared(runner, DIAMOND, {"x": 3})
        graph = Graph([pass_result, DIAMOND.as_node("inner", runner=runner)])
        outer = self.another(other)
        outputs = self.values_of(self.called(outer, outer.run, graph, {"x": 3}))
        assert outputs == {"result": 15, "total": 15, "tripled": 9, "doubled": 6}

    @OTHERS
    def test_a_graph_on_this_runner_may_hold_one_on_another(
        self, runner: BaseRunner, other: type[BaseRunner]
    ) -> None:
        inner = Graph([step, again], name="inner", entrypoint="step")
        graph = Graph([inner.as_node(runner=self.another(other)), double.with_inputs(x="count")])
        assert self.run_graph(runner, graph, {"count": 3}) == {"count": 10, "doubled": 20}

    @OTHERS
    def test_a_mapped_graph_on_this_runner_may_hold_one_on_another(
        self, runner: BaseRunner, other: type[BaseRunner]
    ) -> None:
        mapped = DIAMOND.select("total").as_node(runner=self.another(other)).map_over("x")
        outputs = self.run_graph(runner, Graph([mapped]), {"x": [3, 1, 2]})
        assert outputs == {"total": [15, 5, 10]}

    @OTHERS
    def test_listeners_hear_of_a_nested_run_on_another_runner(
        self, runner: BaseRunner, other: type[BaseRunner]
    ) -> None:
        self.needs_option(runner, event_processors=[])
        self.needs_option(runner, session_id="probe")
        told = Told()
        graph = Graph([DIAMOND.as_node("inner", runner=self.another(other))], name="main")
        self.run_graph(runner, graph, {"x": 1}, event_processors=[told], session_id="s1")
        runs = told.of(RunStartEvent)
        assert [run.graph_name for run in runs] == ["main", "diamond"], (
            "hand the listeners down: hypergraph.runners.nested_context(event_processors=, ...)"
        )
        holder = next(e for e in told.of(NodeStartEvent) if e.node_name == "inner")
        assert runs[1].parent_run_id == runs[0].run_id
        assert runs[1].parent_span_id == holder.span_id
        assert runs[1].session_id == "s1"

    @OTHERS
    def test_a_nested_run_on_another_runner_has_the_limit_of_the_run(
        self, runner: BaseRunner, other: type[BaseRunner]
    ) -> None:
        inner = Graph([step, again], name="inner", entrypoint="step")
        graph = Graph([inner.as_node(runner=self.another(other))], name="main")
        with raises(InfiniteLoopError):
            self.run_graph(runner, graph, {"count": 0}, max_iterations=5)

    def test_the_event_loop_goes_on_while_a_nested_runner_blocks(self, runner: BaseRunner) -> None:
        came = threading.Event()

        def wait(x: int) -> bool:
            return came.wait(GIVE_UP)

        async def come(x: int) -> None:
            came.set()

        blocking = Graph([node(wait, output_name="came")], name="blocking")
        graph = Graph([blocking.as_node(runner=ReferenceRunner()), node(come, output_name=None)])
        self.refused_unless_declared(runner, graph, {"x": 1})
        self.shares_the_loop(runner)
        assert self.run_graph(runner, graph, {"x": 1}) == {"came": True}, (
            "give a nested runner that blocks a thread: await hypergraph.runners.call_from_async(...)"
        )

    def test_a_failure_that_another_runner_returns_is_raised(self, runner: BaseRunner) -> None:
        graph = Graph([DIAMOND.as_node("inner", runner=ReturningFailures()), pass_result])
        with raises(LookupError, advice="Raise the error of a RunResult that has one."):
            self.run_graph(runner, graph, {"x": 1})

    @OTHERS
    def test_a_failure_on_this_runner_reaches_the_caller_of_another(
        self, runner: BaseRunner, other: type[BaseRunner]
    ) -> None:
        graph = Graph([Graph([refuse], name="inner").as_node(runner=runner)], name="main")
        outer = self.another(other)
        with raises(LookupError, advice="A node raised it: let it reach the caller.") as caught:
            self.called(outer, outer.run, graph, {"x": 1})
        notes = notes_of(caught.value)
        assert len(notes) == 1, f"expected one note, not one per runner: {notes}"
        assert "refuse" in notes[0], "execute() must let the exception of a node leave as it is"
