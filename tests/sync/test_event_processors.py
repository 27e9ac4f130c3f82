"""Who listens: in which order, how typed, what breaks nothing, and that nobody costs nothing."""

import pytest

from hypergraph import Graph, MemoryCache, TypedEventProcessor, node
from hypergraph.errors import HypergraphWarning
from hypergraph.events import (
    EventProcessor,
    RouteDecisionEvent,
    RunEndEvent,
    RunStartEvent,
    StreamingChunkEvent,
)
from hypergraph.events.types import EVENTS
from hypergraph.execution import cached, flow
from hypergraph_runner_sync import SyncRunner
from tests.sync.support import Listener
from tests.sync.test_events import LOOP, MAIN


class Raising:
    def on_event(self, event):
        raise RuntimeError("mine")


def test_each_broken_processor_is_reported_once_per_run():
    listener = Listener()
    runner = SyncRunner(event_processors=[Raising(), listener, Raising()])
    for _ in range(2):
        with pytest.warns(HypergraphWarning, match="Raising raised RuntimeError") as told:
            assert runner.run(MAIN, {"n": 0})["copy"] == "ab"
        assert len(told) == 2
    assert len(listener.of(RunEndEvent)) == 4


def test_processors_of_the_runner_come_first_and_those_of_the_call_are_added():
    order = []

    class Named:
        def __init__(self, name):
            self.name = name

        def on_event(self, event):
            order.append(self.name)

    runner = SyncRunner(event_processors=[Named("runner")])
    runner.run(Graph([]), event_processors=[Named("call"), Named("last")])
    assert order == ["runner", "call", "last"] * 2
    order.clear()
    runner.run(Graph([]))
    assert order == ["runner"] * 2


def test_a_typed_processor_gets_each_type_by_its_own_method():
    told = []

    class Typed(TypedEventProcessor):
        def on_run_start(self, event):
            told.append(event)

        def on_route_decision(self, event):
            told.append(event)

        def on_streaming_chunk(self, event):
            told.append(event)

    assert isinstance(Typed(), EventProcessor)
    SyncRunner(event_processors=[Typed()]).run(MAIN, {"n": 1})
    kinds = [type(e) for e in told]
    assert kinds == [RunStartEvent] * 2 + [RouteDecisionEvent] + [StreamingChunkEvent] * 2


def test_an_interruption_from_a_processor_ends_the_run():
    class Interrupting:
        def on_event(self, event):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        SyncRunner(event_processors=[Interrupting()]).run(MAIN, {"n": 1})


@pytest.mark.parametrize("cache", [None, MemoryCache()], ids=["plain", "cached"])
def test_nothing_is_built_when_nobody_listens(monkeypatch, cache):
    def explode(*args, **kwargs):
        raise AssertionError("an event was built")

    for module in (flow, cached):
        for kind in EVENTS:
            if hasattr(module, kind.__name__):
                monkeypatch.setattr(module, kind.__name__, explode)
    runner = SyncRunner(cache)
    for _ in range(2):
        assert runner.run(MAIN, {"n": 0})["copy"] == "ab"
        assert runner.map(MAIN, {"n": [0]}, map_over="n")[0]["copy"] == "ab"
    nested = Graph([LOOP.as_node(runner=SyncRunner())])
    assert runner.run(nested, {"n": 0}) == {"n": 2}
    with pytest.raises(AssertionError, match="an event was built"):
        runner.run(MAIN, {"n": 0}, event_processors=[Listener()])


@pytest.mark.parametrize("given", [[object()], object(), Listener()])
def test_what_cannot_listen_is_refused_at_once(given):
    with pytest.raises(TypeError, match=r"event_processors takes a list|has on_event"):
        SyncRunner(event_processors=given)
    with pytest.raises(TypeError, match=r"event_processors takes a list|has on_event"):
        SyncRunner().run(Graph([node(lambda x: x, name="a")]), {"x": 1}, event_processors=given)
