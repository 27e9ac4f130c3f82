"""A node with a policy is called again, after the delays that the policy says, and nothing else is."""

import pytest

from hypergraph import (
    END,
    Graph,
    HypergraphWarning,
    MemoryCache,
    NodeEndEvent,
    NodeErrorEvent,
    NodeRetryEvent,
    NodeStartEvent,
    OutputCountError,
    RetryPolicy,
    RouteError,
    RunStartEvent,
    StreamingChunkEvent,
    SyncRunner,
    branch,
    node,
    route,
)
from hypergraph.runners.clock import SystemClock
from hypergraph.testing import ManualClock
from tests.sync.support import UNCACHED_IS_FINE, Listener, notes

pytestmark = UNCACHED_IS_FINE

POLICY = RetryPolicy(jitter=0, maximum_attempts=4)

LANES = {
    "unobserved": dict,
    "observed": lambda: {"event_processors": [Listener()]},
    "cached": lambda: {"cache": MemoryCache()},
    "observed and cached": lambda: {"event_processors": [Listener()], "cache": MemoryCache()},
}


@pytest.fixture
def clock():
    return ManualClock(monotonic=5.0, time=1000.0)


@pytest.fixture(params=LANES)
def runner(request, clock):
    return SyncRunner(clock=clock, **LANES[request.param]())


class Flaky:
    """Fails its first calls, or those for certain inputs, and counts them all."""

    def __init__(self, times=0, error=OSError):
        self.times = times
        self.error = error
        self.seen = []
        self.raised = []

    def __call__(self, x):
        self.seen.append(x)
        if self.seen.count(x) <= self.times:
            self.raised.append(self.error(f"attempt {self.seen.count(x)}"))
            raise self.raised[-1]
        return x * 10


def flaky(function, retry=POLICY, **options):
    return node(function, name="fetch", output_name="y", retry=retry, **options)


def test_a_node_that_failed_is_called_again_after_the_delays_of_its_policy(runner, clock):
    fetch = Flaky(3)
    assert runner.run(Graph([flaky(fetch)]), {"x": 2}) == {"y": 20}
    assert fetch.seen == [2, 2, 2, 2]
    assert clock.slept == [1, 2, 4]


def test_when_all_attempts_have_failed_the_last_error_is_raised_as_it_is(runner, clock):
    fetch = Flaky(9)
    with pytest.raises(OSError, match="attempt 4") as caught:
        runner.run(Graph([flaky(fetch)], name="main"), {"x": 2})
    assert caught.value is fetch.raised[-1]
    assert caught.value.__context__ is None
    assert notes(caught.value) == ["hypergraph: node 'fetch' of graph 'main' failed; inputs: x"]
    assert not any(map(notes, fetch.raised[:-1]))
    assert clock.slept == [1, 2, 4]


def test_an_error_that_keeps_coming_back_carries_one_note(runner):
    error = OSError("the same")
    with pytest.raises(OSError, match="the same"):
        runner.run(Graph([flaky(Flaky(9, lambda text: error))]), {"x": 1})
    assert len(notes(error)) == 1


def test_without_a_limit_a_node_is_called_until_it_succeeds(runner, clock):
    fetch = Flaky(200)
    policy = RetryPolicy(initial_interval=0.5, backoff_coefficient=1, jitter=0)
    assert runner.run(Graph([flaky(fetch, policy)]), {"x": 1}) == {"y": 10}
    assert clock.slept == [0.5] * 200


@pytest.mark.parametrize("retry", [None, RetryPolicy(maximum_attempts=1)])
def test_one_attempt_is_no_retry(runner, clock, retry):
    fetch = Flaky(1)
    with pytest.raises(OSError, match="attempt 1"):
        runner.run(Graph([flaky(fetch, retry)]), {"x": 1})
    assert (fetch.seen, clock.slept) == ([1], [])


@pytest.mark.parametrize("listed", [LookupError, "LookupError"])
def test_an_error_that_the_policy_rules_out_fails_at_once(runner, clock, listed):
    fetch = Flaky(1, KeyError)
    policy = RetryPolicy(non_retryable_errors=(listed,))
    with pytest.raises(KeyError):
        runner.run(Graph([flaky(fetch, policy)]), {"x": 1})
    assert (fetch.seen, clock.slept) == ([1], [])


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_ends_the_program_is_not_retried(runner, clock, error):
    fetch = Flaky(1, error)
    with pytest.raises(error):
        runner.run(Graph([flaky(fetch)]), {"x": 1})
    assert (fetch.seen, clock.slept) == ([1], [])


def test_a_stop_iteration_is_an_error_as_any_other(runner, clock):
    fetch = Flaky(2, StopIteration)
    assert runner.run(Graph([flaky(fetch)]), {"x": 1}) == {"y": 10}
    assert clock.slept == [1, 2]


def test_the_other_nodes_run_once(runner):
    before, after, beside = Flaky(), Flaky(), Flaky()
    graph = Graph(
        [
            node(before, name="before", output_name="x", rename_inputs={"x": "w"}),
            flaky(Flaky(2)),
            node(after, name="after", output_name="z", rename_inputs={"x": "y"}),
            node(beside, name="beside", output_name="b", rename_inputs={"x": "w"}),
        ]
    )
    assert runner.run(graph, {"w": 1}) == {"x": 10, "y": 100, "z": 1000, "b": 10}
    assert (before.seen, after.seen, beside.seen) == ([1], [100], [1])


def test_each_node_counts_its_own_attempts(runner, clock):
    graph = Graph([flaky(Flaky(2)), flaky(Flaky(3)).with_name("second").with_outputs(y="z")])
    assert runner.run(graph, {"x": 1}) == {"y": 10, "z": 10}
    assert clock.slept == [1, 2, 1, 2, 4]


# --- every kind of node -----------------------------------------------------------------------


def test_a_generator_starts_over(runner, clock):
    fail = Flaky(1)

    @node(output_name="text", retry=POLICY)
    def words(x):
        yield "a"
        fail(x)
        yield "b"

    assert runner.run(Graph([words]), {"x": 1}) == {"text": "ab"}
    assert clock.slept == [1]


def test_a_gate_is_retried(runner, clock):
    first, second = Flaky(1), Flaky(1)

    @branch(when_true="fetch", when_false=END, retry=POLICY)
    def wanted(x):
        return first(x) > 0

    @route(targets=["fetch", END], retry=POLICY)
    def chosen(x):
        return "fetch" if second(x) else END

    graph = Graph([wanted, chosen, flaky(Flaky())])
    assert runner.run(graph, {"x": 1}) == {"y": 10}
    assert clock.slept == [1, 1]


def test_a_result_that_does_not_fit_is_not_retried(runner, clock):
    seen = []

    @node(output_name=("a", "b"), retry=POLICY)
    def pair(x):
        seen.append(x)
        return 1, 2, 3

    @route(targets=[END], retry=POLICY)
    def lost(x):
        seen.append(x)
        return "nowhere"

    for wrong, error in ((pair, OutputCountError), (lost, RouteError)):
        with pytest.raises(error):
            runner.run(Graph([wrong]), {"x": 1})
    assert (seen, clock.slept) == ([1, 1], [])


# --- loops, nested graphs and maps ------------------------------------------------------------


def test_each_round_of_a_loop_has_all_its_attempts(runner, clock):
    fail = Flaky(2)

    @node(output_name="x", retry=POLICY)
    def step(x):
        fail(x)
        return x + 1

    @branch(when_true="step", when_false=END)
    def below(x):
        return x < 3

    assert runner.run(Graph([step, below]), {"x": 0}) == {"x": 3}
    assert fail.seen == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert clock.slept == [1, 2] * 3


def test_attempts_are_no_rounds_of_a_loop(runner):
    fetch = Flaky(3)
    assert runner.run(Graph([flaky(fetch)]), {"x": 1}, max_iterations=1) == {"y": 10}


def test_a_node_in_a_nested_graph_is_retried(runner, clock):
    inner = Graph([flaky(Flaky(2))], name="inner")
    graph = Graph([Graph([inner.as_node()], name="middle").as_node()], name="outer")
    assert runner.run(graph, {"x": 1}) == {"y": 10}
    assert clock.slept == [1, 2]


def test_the_note_of_a_node_in_a_nested_graph_has_its_path(runner):
    inner = Graph([flaky(Flaky(9))], name="inner")
    with pytest.raises(OSError, match="attempt 4") as caught:
        runner.run(Graph([inner.as_node()], name="outer"), {"x": 1})
    (note,) = notes(caught.value)
    assert "node 'inner/fetch' of graph 'outer' failed" in note


def test_a_runner_of_its_own_waits_by_its_own_clock(runner, clock):
    own = ManualClock()
    inner = Graph([flaky(Flaky(2))], name="inner").as_node(runner=SyncRunner(clock=own))
    assert runner.run(Graph([inner]), {"x": 1}) == {"y": 10}
    assert (own.slept, clock.slept) == ([1, 2], [])


@pytest.mark.parametrize("kind", ["nested", "whole"])
def test_each_item_of_a_map_has_all_its_attempts(runner, clock, kind):
    fetch = Flaky(2)
    graph = Graph([flaky(fetch)], name="inner")
    if kind == "nested":
        results = runner.run(Graph([graph.as_node().map_over("x")]), {"x": [1, 2]})["y"]
    else:
        results = [item["y"] for item in runner.map(graph, {"x": [1, 2]}, map_over="x")]
    assert results == [10, 20]
    assert fetch.seen == [1, 1, 1, 2, 2, 2]
    assert clock.slept == [1, 2, 1, 2]


def test_an_item_that_has_failed_for_good_leaves_the_others_alone(runner, clock):
    def fetch(x):
        return 10 // x

    kept = runner.map(Graph([flaky(fetch)]), {"x": [1, 0, 5]}, map_over="x", on_error="return")
    assert (kept[0], kept[2]) == ({"y": 10}, {"y": 2})
    assert isinstance(kept[1], ZeroDivisionError)
    assert "(map item 1)" in notes(kept[1])[0]
    assert clock.slept == [1, 2, 4]


# --- the cache --------------------------------------------------------------------------------

CALLS: list[int] = []


@node(output_name="y", retry=POLICY)
def third_time_lucky(x):
    CALLS.append(x)
    if len(CALLS) < 3:
        raise OSError
    return x


class Counting(MemoryCache):
    def __init__(self):
        super().__init__()
        self.puts = 0

    def put(self, key, value):
        self.puts += 1
        super().put(key, value)


@pytest.mark.parametrize("observed", [False, True])
def test_what_a_retried_node_returns_is_stored_once_and_found_again(clock, observed):
    CALLS.clear()
    cache = Counting()
    runner = SyncRunner(cache, [Listener()] if observed else [], clock)
    graph = Graph([third_time_lucky])
    assert runner.run(graph, {"x": 1}) == {"y": 1}
    assert (len(CALLS), cache.puts, clock.slept) == (3, 1, [1, 2])
    assert runner.run(graph, {"x": 1}) == {"y": 1}
    assert (len(CALLS), cache.puts, clock.slept) == (3, 1, [1, 2])


def test_another_policy_keeps_what_is_cached(clock):
    CALLS.clear()
    runner = SyncRunner(MemoryCache(), clock=clock)
    runner.run(Graph([third_time_lucky]), {"x": 1})
    other = node(third_time_lucky.func, output_name="y", retry=RetryPolicy(initial_interval=9))
    assert runner.run(Graph([other]), {"x": 1}) == {"y": 1}
    assert len(CALLS) == 3


# --- events -----------------------------------------------------------------------------------


def listen(graph, clock, cache=None):
    listener = Listener()
    SyncRunner(cache, [listener], clock).run(graph, {"x": 1})
    return listener


def test_each_failed_attempt_that_is_followed_by_another_is_told(clock):
    fetch = Flaky(2)
    listener = listen(Graph([flaky(fetch)], name="main"), clock)
    assert listener.steps() == [
        "RunStart",
        "NodeStart fetch",
        "NodeRetry fetch",
        "NodeRetry fetch",
        "NodeEnd fetch",
        "RunEnd",
    ]
    told = listener.of(NodeRetryEvent)
    assert [(one.attempt, one.delay) for one in told] == [(1, 1.0), (2, 2.0)]
    assert [one.error for one in told] == fetch.raised
    assert {one.graph_name for one in told} == {"main"}


def test_a_retry_is_told_before_the_wait_and_the_wait_counts_as_time_of_the_node(clock):
    listener = listen(Graph([flaky(Flaky(2))]), clock)
    (run,), (start,) = listener.of(RunStartEvent), listener.of(NodeStartEvent)
    (end,) = listener.of(NodeEndEvent)
    assert (run.started_at, run.time, start.time) == (1000.0, 5.0, 5.0)
    assert [one.time for one in listener.of(NodeRetryEvent)] == [5.0, 6.0]
    assert (end.time, end.duration_ms) == (8.0, 3000.0)


def test_a_retry_belongs_to_the_span_of_its_node(clock):
    listener = listen(Graph([flaky(Flaky(2))]), clock)
    (start,) = listener.of(NodeStartEvent)
    for told in listener.of(NodeRetryEvent, NodeEndEvent):
        assert (told.run_id, told.span_id) == (start.run_id, start.span_id)
        assert told.parent_span_id == start.parent_span_id


def test_the_last_failure_is_an_error_and_no_retry(clock):
    listener, fetch = Listener(), Flaky(9)
    with pytest.raises(OSError, match="attempt 4"):
        SyncRunner(event_processors=[listener], clock=clock).run(Graph([flaky(fetch)]), {"x": 1})
    assert listener.steps()[1:] == [
        "NodeStart fetch",
        *["NodeRetry fetch"] * 3,
        "NodeError fetch",
        "RunEnd",
    ]
    (failed,) = listener.of(NodeErrorEvent)
    assert failed.error is fetch.raised[-1]


def test_the_chunks_of_every_attempt_are_told_counted_anew(clock):
    fail = Flaky(1)

    @node(output_name="text", retry=POLICY)
    def words(x):
        yield "a"
        fail(x)
        yield "b"

    listener = listen(Graph([words]), clock)
    told = listener.of(StreamingChunkEvent, NodeRetryEvent)
    assert [getattr(one, "index", "retry") for one in told] == [0, "retry", 0, 1]
    (end,) = listener.of(NodeEndEvent)
    assert end.outputs == {"text": "ab"}


def test_a_listener_that_fails_on_a_retry_changes_nothing(clock):
    class Broken:
        def on_event(self, event):
            if isinstance(event, NodeRetryEvent):
                raise RuntimeError

    runner = SyncRunner(event_processors=[Broken()], clock=clock)
    with pytest.warns(HypergraphWarning, match="Broken"):
        assert runner.run(Graph([flaky(Flaky(2))]), {"x": 1}) == {"y": 10}
    assert clock.slept == [1, 2]


# --- chance, and the clock --------------------------------------------------------------------


def test_the_delay_that_is_told_is_the_one_that_is_waited(clock):
    policy = RetryPolicy(jitter=1, backoff_coefficient=1)
    told = listen(Graph([flaky(Flaky(100), policy)]), clock).of(NodeRetryEvent)
    assert [one.delay for one in told] == clock.slept
    assert len(set(clock.slept)) > 1
    assert all(0 <= delay <= 1 for delay in clock.slept)


def test_without_a_clock_a_runner_goes_by_that_of_the_system():
    assert isinstance(SyncRunner().clock, SystemClock)
    policy = RetryPolicy(initial_interval=0)
    assert SyncRunner().run(Graph([flaky(Flaky(3), policy)]), {"x": 1}) == {"y": 10}


@pytest.mark.parametrize("wrong", [5, object(), Listener()])
def test_what_is_no_clock_is_refused(wrong):
    with pytest.raises(TypeError, match=f"{type(wrong).__name__} lacks one"):
        SyncRunner(clock=wrong)
