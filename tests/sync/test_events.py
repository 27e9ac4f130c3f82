"""What listeners are told: every type of event, in a tree that fits."""

import contextlib
import time

import msgspec
import pytest

from hypergraph import END, Graph, MemoryCache, branch, node, route
from hypergraph.errors import HypergraphWarning, MissingInputError
from hypergraph.events import (
    CacheErrorEvent,
    CacheHitEvent,
    NodeEndEvent,
    NodeErrorEvent,
    NodeStartEvent,
    RouteDecisionEvent,
    RunEndEvent,
    RunStartEvent,
    StreamingChunkEvent,
)
from hypergraph.events.types import EVENTS
from hypergraph.results import RunStatus
from hypergraph.testing import ManualClock
from hypergraph_runner_sync import SyncRunner
from tests.sync.support import Listener


@node(output_name="n", cache=False)
def step(n):
    return n + 1


@branch(when_true="step", when_false=END)
def below(n, limit=2):
    return n < limit


@node(output_name="text")
def words(n):
    yield "a"
    yield "b"


@node(output_name="copy")
def copy(text):
    return text


LOOP = Graph([step, below], name="loop")
MAIN = Graph([LOOP.as_node(), words, copy], name="main")


def listen(graph, inputs, runner=None, **options):
    """Run a graph that may fail, and return the listener."""
    listener = Listener()
    with contextlib.suppress(ArithmeticError):
        (runner or SyncRunner()).run(graph, inputs, event_processors=[listener], **options)
    return listener


def test_the_order_of_a_whole_run():
    assert listen(MAIN, {"n": 1}).steps() == [
        "RunStart",
        "NodeStart loop",
        "RunStart",
        "NodeStart step",
        "NodeEnd step",
        "NodeStart below",
        "RouteDecision below",
        "NodeEnd below",
        "RunEnd",
        "NodeEnd loop",
        "NodeStart words",
        "StreamingChunk words",
        "StreamingChunk words",
        "NodeEnd words",
        "NodeStart copy",
        "NodeEnd copy",
        "RunEnd",
    ]


def shapes():
    fail = node(lambda text: 1 / 0, name="fail")
    inner = Graph([words, fail], name="inner")
    yield MAIN, {"n": 0}
    yield LOOP, {"n": 0}
    yield Graph([LOOP.as_node().map_over("n")]), {"n": [0, 1, 2]}
    yield Graph([Graph([LOOP.as_node().map_over("n")], name="m").as_node()]), {"n": []}
    yield Graph([inner.as_node()]), {"n": 0}
    yield Graph([inner.as_node().map_over("n")]), {"n": [0, 1]}
    yield Graph([LOOP.as_node(runner=SyncRunner())]), {"n": 0}
    yield Graph([inner.as_node(runner=SyncRunner())]), {"n": 0}


@pytest.mark.parametrize(("graph", "inputs"), list(shapes()))
@pytest.mark.parametrize("cache", [None, MemoryCache()], ids=["plain", "cached"])
def test_spans_form_a_tree_and_each_is_opened_and_closed_once(graph, inputs, cache):
    for _ in range(2):
        events = listen(graph, inputs, SyncRunner(cache)).events
        parents, opened, open_now, runs = {}, {}, [], {}
        for event in events:
            starts = isinstance(event, (RunStartEvent, NodeStartEvent))
            if starts:
                assert event.span_id not in parents
                assert event.parent_span_id == (open_now[-1] if open_now else None)
                parents[event.span_id] = event.parent_span_id
                opened[event.span_id] = event
                open_now.append(event.span_id)
            assert event.span_id == open_now[-1]
            assert event.parent_span_id == parents[event.span_id]
            assert event.run_id == opened[event.span_id].run_id
            if isinstance(event, RunStartEvent):
                assert event.run_id not in runs
                runs[event.run_id] = event
                above = opened[event.parent_span_id].run_id if event.parent_span_id else None
                assert event.parent_run_id == above
            if isinstance(event, (RunEndEvent, NodeEndEvent, NodeErrorEvent)):
                open_now.pop()
                start = opened[event.span_id]
                assert event.graph_name == start.graph_name
                assert event.duration_ms == pytest.approx((event.time - start.time) * 1000)
        assert open_now == []
        assert [e.time for e in events] == sorted(e.time for e in events)


def test_inputs_and_outputs_go_by_reference():
    value, inputs = object(), {"n": object()}
    make = node(lambda n: value, name="make", output_name=("x"), cache=False)
    two = node(lambda x: [x, inputs], name="two", output_name=("y", "z"), cache=False)
    graph = Graph([make, two], name="g")
    listener = listen(Graph([graph.as_node()]), inputs)
    (outer, inner) = listener.of(RunStartEvent)
    assert outer.inputs["n"] is inner.inputs["n"] is inputs["n"]
    starts = {e.node_name: e.inputs for e in listener.of(NodeStartEvent)}
    assert starts["make"]["n"] is inputs["n"]
    assert starts["two"]["x"] is value
    ends = {e.node_name: e.outputs for e in listener.of(NodeEndEvent)}
    for outputs in (ends["two"], ends["g"], *(e.outputs for e in listener.of(RunEndEvent))):
        assert outputs["y"] is value
        assert outputs["z"] is inputs
    assert ends["make"] == {"x": value}


def test_a_run_tells_its_session_and_when_it_began():
    before = time.time()
    start, *_ = listen(MAIN, {"n": 0}, session_id="chat-7").of(RunStartEvent)
    assert before - 1 <= start.started_at <= time.time() + 1
    assert {e.session_id for e in listen(MAIN, {"n": 0}, session_id="s").of(RunStartEvent)} == {"s"}
    assert start.session_id == "chat-7"
    assert listen(MAIN, {"n": 0}).of(RunStartEvent)[0].session_id is None


def test_durations_come_from_a_clock_that_never_goes_back():
    clock = ManualClock(monotonic=10.0, time=-1.0)

    @node(output_name="n")
    def wait(n):
        clock.advance(2)
        return n

    @node(output_name="again")
    def wait_again(n):
        clock.advance(3)
        return n

    listener = listen(Graph([wait, wait_again]), {"n": 1}, SyncRunner(clock=clock))
    assert [e.time for e in listener.events] == [10, 10, 12, 12, 15, 15]
    assert [e.duration_ms for e in listener.of(NodeEndEvent, RunEndEvent)] == [2000, 3000, 5000]
    assert listener.of(RunStartEvent)[0].started_at == -1


def test_chunks_decisions_and_the_end_tell_what_happened():
    listener = listen(MAIN, {"n": 0})
    assert [(e.index, e.chunk) for e in listener.of(StreamingChunkEvent)] == [(0, "a"), (1, "b")]
    assert [e.decision for e in listener.of(RouteDecisionEvent)] == [("step",), ("END",)]
    inner, outer = listener.of(RunEndEvent)
    assert (inner.graph_name, dict(inner.outputs)) == ("loop", {"n": 2})
    assert dict(outer.outputs) == {"n": 2, "text": "ab", "copy": "ab"}
    assert (outer.status, outer.error) == (RunStatus.COMPLETED, None)


@pytest.mark.parametrize(
    ("chosen", "decision"), [(["b", "a"], ("a", "b")), ([], ()), (None, ("b",)), ([END], ("END",))]
)
def test_a_decision_names_all_selected_targets(chosen, decision):
    options = {"targets": ["a", "b", END], "multi_target": True, "fallback": "b"}
    pick = route(name="pick", **options)(lambda n: chosen)
    targets = [step.with_name(name).with_outputs(n=f"of_{name}") for name in "ab"]
    graph = Graph([pick, *targets])
    (event,) = listen(graph, {"n": 1}).of(RouteDecisionEvent)
    assert event.decision == decision


def test_a_failed_run_tells_what_was_computed_before():
    fail = node(lambda n: 1 / 0, name="fail")
    listener = listen(Graph([step, fail]), {"n": 1})
    assert listener.steps()[-2:] == ["NodeError fail", "RunEnd"]
    (end,) = listener.of(RunEndEvent)
    assert (end.status, dict(end.outputs)) == (RunStatus.FAILED, {"n": 2})


def test_a_run_that_is_refused_tells_nothing():
    listener = Listener()
    with pytest.raises(MissingInputError):
        SyncRunner(event_processors=[listener]).run(MAIN, {})
    assert listener.events == []


def test_a_hit_is_told_between_start_and_end():
    runner, graph = SyncRunner(MemoryCache()), Graph([words, copy])
    assert "CacheHit" not in " ".join(listen(graph, {"n": 1}, runner).steps())
    again = listen(graph, {"n": 1}, runner)
    parts = [f"{kind} {name}" for name in ("words", "copy")
             for kind in ("NodeStart", "CacheHit", "NodeEnd")]  # fmt: skip
    assert again.steps() == ["RunStart", *parts, "RunEnd"]
    assert [e.cached for e in again.of(NodeEndEvent)] == [True, True]
    assert [e.outputs for e in again.of(NodeEndEvent)] == [{"text": "ab"}, {"copy": "ab"}]
    assert len({e.key for e in again.of(CacheHitEvent)}) == 2


def test_a_failing_cache_is_told_and_changes_nothing():
    class Failing:
        def get(self, key):
            raise OSError("get")

        def put(self, key, value):
            raise OSError("put")

        def flush(self):
            raise OSError("flush")

    with pytest.warns(HypergraphWarning, match="Failing failed to"):
        listener = listen(Graph([words], name="g"), {"n": 1}, SyncRunner(Failing()))
    told = listener.of(CacheErrorEvent)
    expected = [("get", "words"), ("put", "words"), ("flush", None)]
    assert [(e.operation, e.node_name) for e in told] == expected
    assert all(isinstance(e.error, OSError) for e in told)
    assert listener.of(RunEndEvent)[0].outputs == {"text": "ab"}


def test_events_cannot_be_changed():
    for event in listen(MAIN, {"n": 0}).events:
        with pytest.raises(AttributeError):
            event.run_id = "other"
        assert isinstance(event, msgspec.Struct)


def test_a_run_may_tell_every_type_but_those_of_caches_retries_and_interrupts():
    seen = {type(e) for graph, inputs in shapes() for e in listen(graph, inputs).events}
    unseen = {kind.__name__ for kind in set(EVENTS) - seen}
    assert unseen == {"CacheHitEvent", "CacheErrorEvent", "NodeRetryEvent", "InterruptEvent"}
