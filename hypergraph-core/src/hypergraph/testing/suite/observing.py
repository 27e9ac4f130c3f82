"""Events: what a listener is told, in which order."""

from __future__ import annotations

import time

from hypergraph.errors import HypergraphWarning
from hypergraph.events import (
    Event,
    NodeEndEvent,
    NodeErrorEvent,
    NodeStartEvent,
    RouteDecisionEvent,
    RunEndEvent,
    RunStartEvent,
    StreamingChunkEvent,
)
from hypergraph.graph import Graph
from hypergraph.nodes import node
from hypergraph.results import RunStatus
from hypergraph.runners.base import BaseRunner
from hypergraph.testing.kit import raises, skip, warns
from hypergraph.testing.suite.cycles import again, step
from hypergraph.testing.suite.dags import DIAMOND
from hypergraph.testing.suite.gates import is_even, left, right
from hypergraph.testing.suite.generators import chunks
from hypergraph.testing.suite.mapping import invert
from hypergraph.testing.suite.surroundings import Surroundings, Told


class Listener(Told):
    """Keeps all events, and tells them in short."""

    def steps(self) -> list[str]:
        """Return events as short texts such as ``"NodeStart double"``."""
        return [
            f"{type(e).__name__.removesuffix('Event')} {getattr(e, 'node_name', '')}".strip()
            for e in self.events
        ]


class Broken:
    """Raises on every event."""

    def on_event(self, event: Event) -> None:
        """Raise."""
        raise RuntimeError("a listener of the user's own")


def _nap(seconds: float) -> bool:
    time.sleep(seconds)
    return True


class EventRules(Surroundings):
    """What listeners are told. Skipped for a runner whose ``run()`` takes no ``event_processors``."""

    group = "events"

    def listener(self, runner: BaseRunner) -> Listener:
        """Return a listener, or skip."""
        self.needs_option(runner, event_processors=[])
        return Listener()

    def test_each_node_starts_and_ends_between_start_and_end_of_the_run(
        self, runner: BaseRunner
    ) -> None:
        listener = self.listener(runner)
        graph = Graph([chunks.with_name("one"), chunks.with_name("two").with_outputs(out="b")])
        self.run_graph(runner, graph, {"items": []}, event_processors=[listener])
        steps = listener.steps()
        assert (steps[0], steps[-1]) == ("RunStart", "RunEnd")
        for name in ("one", "two"):
            assert steps.index(f"NodeStart {name}") < steps.index(f"NodeEnd {name}")
        assert len(steps) == 6

    def test_a_run_tells_its_graph_inputs_and_outputs(self, runner: BaseRunner) -> None:
        listener = self.listener(runner)
        self.run_graph(runner, DIAMOND, {"x": 1}, event_processors=[listener])
        (start,) = listener.of(RunStartEvent)
        (end,) = listener.of(RunEndEvent)
        assert (start.graph_name, dict(start.inputs)) == ("diamond", {"x": 1})
        assert (end.status, dict(end.outputs)) == (
            RunStatus.COMPLETED,
            {"doubled": 2, "tripled": 3, "total": 5},
        )

    def test_a_node_tells_its_inputs_and_outputs(self, runner: BaseRunner) -> None:
        listener = self.listener(runner)
        self.run_graph(runner, DIAMOND, {"x": 1}, event_processors=[listener])
        starts = {e.node_name: dict(e.inputs) for e in listener.of(NodeStartEvent)}
        ends = {e.node_name: dict(e.outputs) for e in listener.of(NodeEndEvent)}
        assert starts["add"] == {"doubled": 2, "tripled": 3}
        assert ends == {"double": {"doubled": 2}, "triple": {"tripled": 3}, "add": {"total": 5}}

    def test_all_events_of_a_run_have_its_id_and_hang_below_it(self, runner: BaseRunner) -> None:
        listener = self.listener(runner)
        self.run_graph(runner, DIAMOND, {"x": 1}, event_processors=[listener])
        (start,) = listener.of(RunStartEvent)
        assert {e.run_id for e in listener.events} == {start.run_id}
        assert {e.parent_span_id for e in listener.of(NodeStartEvent)} == {start.span_id}
        spans = {e.span_id for e in listener.events}
        assert len(spans) == 1 + len(DIAMOND.nodes)

    def test_times_never_go_back_and_durations_are_not_negative(self, runner: BaseRunner) -> None:
        listener = self.listener(runner)
        self.run_graph(runner, DIAMOND, {"x": 1}, event_processors=[listener])
        times = [e.time for e in listener.events]
        assert times == sorted(times)
        assert all(e.duration_ms >= 0 for e in listener.of(NodeEndEvent, RunEndEvent))

    def test_durations_are_in_milliseconds(self, runner: BaseRunner) -> None:
        listener = self.listener(runner)
        graph = Graph([node(_nap, output_name="rested")])
        self.run_graph(runner, graph, {"seconds": 0.02}, event_processors=[listener])
        (end,) = listener.of(NodeEndEvent)
        (run_end,) = listener.of(RunEndEvent)
        assert 10 <= end.duration_ms <= run_end.duration_ms < 20_000, (
            "the node took 20 ms, the run a little more"
        )

    def test_every_run_tells_its_session(self, runner: BaseRunner) -> None:
        listener = self.listener(runner)
        self.needs_option(runner, session_id="probe")
        graph = Graph([DIAMOND.as_node("inner")], name="main")
        options = {"session_id": "s1", "event_processors": [listener]}
        self.run_graph(runner, graph, {"x": 1}, **options)
        assert [e.session_id for e in listener.of(RunStartEvent)] == ["s1", "s1"]

    def test_every_item_of_a_map_tells_its_session(self, runner: BaseRunner) -> None:
        listener = self.listener(runner)
        self.needs_option(runner, session_id="probe")
        graph = Graph([DIAMOND.as_node("inner")], name="main")
        options = {"session_id": "s1", "event_processors": [listener]}
        try:
            self.map_graph(runner, graph, {"x": [1, 2]}, map_over="x", **options)
        except TypeError as error:
            if "'session_id'" not in str(error):
                raise
            skip(f"{type(runner).__name__}.map() takes no session_id=")
        starts = listener.of(RunStartEvent)
        assert [e.graph_name for e in starts].count("diamond") == 2
        assert {e.session_id for e in starts} == {"s1"}, (
            "map() takes session_id: hand it to the runs"
        )

    def test_listeners_that_the_runner_was_made_with_hear_every_run(
        self, runner: BaseRunner
    ) -> None:
        own, other = Listener(), self.listener(runner)
        made = self.with_options(runner, event_processors=[own])
        self.run_graph(made, DIAMOND, {"x": 1}, event_processors=[other])
        assert own.events == other.events, "those of the run are told as well, not instead"
        own.events.clear()
        self.map_graph(made, DIAMOND, {"x": [1]}, map_over="x")
        assert len(own.of(NodeEndEvent)) == len(DIAMOND.nodes)

    def test_a_failing_node_is_told_before_the_run_ends_as_failed(self, runner: BaseRunner) -> None:
        listener = self.listener(runner)
        with raises(ZeroDivisionError) as caught:
            self.run_graph(runner, Graph([invert]), {"x": 0}, event_processors=[listener])
        assert listener.steps() == ["RunStart", "NodeStart invert", "NodeError invert", "RunEnd"]
        (failed,) = listener.of(NodeErrorEvent)
        (end,) = listener.of(RunEndEvent)
        assert (failed.error, end.error) == (caught.value, caught.value)
        assert end.status is RunStatus.FAILED

    def test_a_gates_decision_is_told(self, runner: BaseRunner) -> None:
        listener = self.listener(runner)
        graph = Graph([is_even, left, right])
        self.run_graph(runner, graph, {"x": 2}, event_processors=[listener])
        (decision,) = listener.of(RouteDecisionEvent)
        assert (decision.node_name, decision.decision) == ("is_even", ("left",))
        (end,) = [e for e in listener.of(NodeEndEvent) if e.node_name == "is_even"]
        assert dict(end.outputs) == {}, "a gate has no outputs; its decision is an event of its own"

    def test_every_round_of_a_loop_is_told(self, runner: BaseRunner) -> None:
        listener = self.listener(runner)
        graph = Graph([step, again], entrypoint="step")
        self.run_graph(runner, graph, {"count": 0, "limit": 3}, event_processors=[listener])
        decisions = [e.decision for e in listener.of(RouteDecisionEvent)]
        assert decisions == [("step",), ("step",), ("END",)]
        names = [e.node_name for e in listener.of(NodeEndEvent)]
        assert names == ["step", "again"] * 3

    def test_chunks_are_told_before_their_node_ends(self, runner: BaseRunner) -> None:
        listener = self.listener(runner)
        self.run_graph(runner, Graph([chunks]), {"items": ["a", "b"]}, event_processors=[listener])
        told = [(e.index, e.chunk) for e in listener.of(StreamingChunkEvent)]
        assert told == [(0, "a"), (1, "b")]
        assert listener.steps()[-2:] == ["NodeEnd chunks", "RunEnd"]

    def test_a_nested_run_hangs_below_its_node(self, runner: BaseRunner) -> None:
        listener = self.listener(runner)
        graph = Graph([DIAMOND.as_node("inner")], name="main")
        self.run_graph(runner, graph, {"x": 1}, event_processors=[listener])
        outer, inner = listener.of(RunStartEvent)
        holder = next(e for e in listener.of(NodeStartEvent) if e.node_name == "inner")
        assert (outer.graph_name, inner.graph_name) == ("main", "diamond")
        assert inner.parent_span_id == holder.span_id
        assert inner.parent_run_id == outer.run_id

    def test_each_item_of_a_map_has_its_index(self, runner: BaseRunner) -> None:
        listener = self.listener(runner)
        inputs = {"x": [1, 2, 3]}
        self.map_graph(runner, DIAMOND, inputs, map_over="x", event_processors=[listener])
        indices = [e.map_index for e in listener.of(RunStartEvent) if e.map_index is not None]
        assert sorted(indices) == [0, 1, 2]

    def test_several_listeners_are_all_told(self, runner: BaseRunner) -> None:
        listener = self.listener(runner)
        other = Listener()
        self.run_graph(runner, DIAMOND, {"x": 1}, event_processors=[listener, other])
        assert listener.events == other.events

    def test_a_broken_listener_breaks_nothing(self, runner: BaseRunner) -> None:
        listener = self.listener(runner)
        processors = [Broken(), listener]
        with warns(HypergraphWarning, match="Broken"):
            outputs = self.run_graph(runner, DIAMOND, {"x": 1}, event_processors=processors)
        assert outputs["total"] == 5
        assert listener.steps()[-1] == "RunEnd"

    def test_listening_changes_nothing(self, runner: BaseRunner) -> None:
        listener = self.listener(runner)
        graph = Graph([step, again], entrypoint="step")
        heard = self.run_graph(runner, graph, {"count": 0}, event_processors=[listener])
        assert heard == self.run_graph(runner, graph, {"count": 0})
