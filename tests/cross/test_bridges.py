"""Every runner within every other: the same outputs and events, and what must cross the bridge does."""

import asyncio
import contextvars
import subprocess
import sys
import threading
import time

import pytest

from hypergraph import (
    END,
    AsyncRunner,
    Graph,
    RunnerCapabilities,
    RunResult,
    RunStatus,
    branch,
    node,
)
from hypergraph.events import NodeEndEvent, RunStartEvent
from hypergraph.nodes import InterruptNode
from hypergraph.results import PauseInfo, PauseReason
from hypergraph.runners import BaseRunner, RunnerState, inspect
from hypergraph.testing import ReferenceRunner
from tests.cross.bridges import (
    INSTALLED,
    PAIRS,
    RUNNERS,
    Listener,
    ThreadPoolRunner,
    made,
    run,
)

TENANT = contextvars.ContextVar("tenant", default="nobody")
each_pair = pytest.mark.parametrize(("parent", "nested"), PAIRS)
each_nested = pytest.mark.parametrize("nested", RUNNERS)


@node(output_name="doubled")
def double(x):
    return 2 * x


@node(output_name="text")
def spell(doubled):
    yield "n="
    yield str(doubled)


@node(output_name="n")
def step(n):
    return n + 1


@branch(when_true="step", when_false=END)
def below(n):
    return n < 3


@node(output_name="tenant")
def who(x):
    return TENANT.get()


@node(output_name="after")
def after(x):
    return x


PLAIN = Graph([double, spell], name="plain")
LOOP = Graph([step, below], name="loop")


def nested_in(graph, runner, *mapped):
    """Return a graph with the nested one on a runner of its own, and a node after it."""
    inside = graph.as_node("inside", runner=runner)
    inside = inside.map_over(*mapped) if mapped else inside
    return Graph([inside, after.with_inputs(x=graph.outputs[-1])], name="outer")


CASES = {
    "once": (lambda runner: nested_in(PLAIN, runner), {"x": 2}),
    "per item": (lambda runner: nested_in(PLAIN, runner, "x"), {"x": [1, 2, 3]}),
    "a loop": (lambda runner: nested_in(LOOP, runner), {"n": 0}),
    "two deep": (
        lambda runner: nested_in(Graph([PLAIN.as_node(runner=runner)], name="middle"), runner),
        {"x": 5},
    ),
}


@each_pair
@pytest.mark.parametrize("case", CASES)
def test_outputs_and_events_are_those_of_one_runner(parent, nested, case):
    build, inputs = CASES[case]
    alone, across = Listener(), Listener()
    expected = run(ReferenceRunner(), build(None), inputs, event_processors=[alone])
    graph = build(made(nested))
    assert run(made(parent), graph, inputs, event_processors=[across]) == expected
    assert across.trace() == alone.trace()
    sessions = {e.session_id for e in across.events if isinstance(e, RunStartEvent)}
    assert sessions == {None}


@each_pair
def test_nobody_listens_and_the_caller_is_inside_an_event_loop(parent, nested):
    build, inputs = CASES["per item"]
    outputs = run(made(parent), build(made(nested)), inputs, in_loop=True)
    assert outputs == run(ReferenceRunner(), build(None), inputs)


@each_pair
def test_span_ids_are_unique_and_runs_have_parents(parent, nested):
    listener = Listener()
    build, inputs = CASES["per item"]
    options = {"event_processors": [listener], "session_id": "s"}
    run(made(parent), build(made(nested)), inputs, **options)
    starts = [e for e in listener.events if isinstance(e, RunStartEvent)]
    assert len({e.span_id for e in starts}) == len({e.run_id for e in starts}) == 4
    assert {e.session_id for e in starts} == {"s"}
    assert [e.parent_run_id for e in starts] == [None, *[starts[0].run_id] * 3]


@each_pair
def test_context_variables_cross_the_bridge(parent, nested):
    graph = nested_in(Graph([who], name="who"), made(nested))
    token = TENANT.set("acme")
    try:
        if "futures" in (parent + nested):  # a pool of threads has contexts of its own
            assert "tenant" in run(made(parent), graph, {"x": 1})
        else:
            assert run(made(parent), graph, {"x": 1})["tenant"] == "acme"
    finally:
        TENANT.reset(token)


@each_pair
def test_an_error_is_the_very_object_that_a_node_raised(parent, nested):
    error = LookupError("mine")

    def fail(x):
        raise error

    graph = nested_in(Graph([node(fail)], name="failing"), made(nested))
    with pytest.raises(LookupError) as caught:
        run(made(parent), graph, {"x": 1})
    assert caught.value is error
    assert any("fail" in note for note in error.__notes__)


@each_pair
def test_the_limit_of_iterations_crosses_the_bridge(parent, nested):
    graph = nested_in(LOOP, made(nested))
    with pytest.raises(Exception, match="step") as caught:
        run(made(parent), graph, {"n": 0}, max_iterations=2)
    assert type(caught.value).__name__ == "InfiniteLoopError"


# -- limits ------------------------------------------------------------------------------------


class Gauge:
    """How many calls are under way, and how many there were at most."""

    def __init__(self):
        self.lock, self.now, self.most, self.calls = threading.Lock(), 0, 0, 0

    def __enter__(self):
        with self.lock:
            self.now += 1
            self.calls += 1
            self.most = max(self.most, self.now)

    def __exit__(self, *raised):
        with self.lock:
            self.now -= 1


def slow_graph(gauge, length=1, seconds=0.005):
    """Return a chain of nodes that take their time and count themselves."""

    def link(index):
        def work(x):
            with gauge:
                time.sleep(seconds)
            return x + 1

        names = {"x": f"x{index}" if index else "x"}
        return node(work, output_name=f"x{index + 1}", name=f"work{index}", rename_inputs=names)

    return Graph([link(index) for index in range(length)], name="slow")


@each_nested
@pytest.mark.parametrize("limit", [1, 2])
def test_a_limit_holds_across_the_bridge_and_never_deadlocks(nested, limit):
    gauge = Gauge()
    middle = Graph([slow_graph(gauge).as_node(runner=made(nested))], name="middle")
    graph = Graph([middle.as_node(runner=made(nested)).map_over("x")], name="outer")
    outputs = run(AsyncRunner(), graph, {"x": list(range(6))}, max_concurrency=limit)
    assert outputs == {"x1": [1, 2, 3, 4, 5, 6]}
    assert gauge.calls == 6
    assert gauge.most <= limit


# -- cancellation ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "parent", [n for n, r in RUNNERS.items() if r.capabilities.returns_coroutine]
)
@each_nested
@pytest.mark.parametrize("deep", [False, True])
def test_cancelling_the_outer_run_ends_the_nested_one(parent, nested, deep):
    gauge = Gauge()
    graph = slow_graph(gauge, length=100, seconds=0.01)
    if deep:  # an event loop of its own in a thread, and a thread below that
        graph = Graph([graph.as_node(runner=made(nested))], name="deeper")
        graph = Graph([graph.as_node(runner=AsyncRunner())], name="deep")
        graph = Graph([graph.as_node(runner="sync")], name="upper")
    graph = Graph([graph.as_node(runner=made(nested))], name="outer")

    async def main():
        task = asyncio.create_task(made(parent).run(graph, {"x": 0}))
        while not gauge.calls:
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        made_by_then = gauge.calls
        assert gauge.now == 0, "what had begun has ended"
        await asyncio.sleep(0.05)
        assert gauge.calls == made_by_then < 100, "nothing more begins"

    asyncio.run(main())


# -- stops and pauses --------------------------------------------------------------------------


@each_nested
def test_stopping_the_outer_run_stops_the_nested_one(nested):
    gauge = Gauge()
    inner = slow_graph(gauge, length=30)
    graph = Graph([inner.as_node(runner=made(nested)), after.with_inputs(x="x30")], name="outer")

    async def main():
        async with AsyncRunner().iter(graph, {"x": 0}) as stream:
            async for event in stream:
                if isinstance(event, NodeEndEvent):
                    stream.stop()
            return stream.result

    result = asyncio.run(main())
    assert result.status is RunStatus.STOPPED
    assert "after" not in result.values
    if isinstance(made(nested), tuple(INSTALLED.values())):
        assert gauge.calls < 30, "the nested run ends before its next node"


class Asking(BaseRunner):
    """A third party's runner that can pause: it asks whoever runs it for ``answer``."""

    name = "asking"

    capabilities = RunnerCapabilities(supports_interrupts=True)

    def run(self, graph, inputs=None, *, values=None, **options):
        if "answer" in inputs:
            return RunResult(values={"answer": inputs["answer"]})
        pause = PauseInfo(
            reason=PauseReason.HUMAN_INPUT,
            response_key="answer",
            node_name="ask",
            response_param="answer",
            value=inputs["question"],
        )
        return RunResult(values={}, status=RunStatus.PAUSED, pauses=(pause,))

    def map(self, graph, *args, **options):
        raise NotImplementedError


class AskingAwaited(Asking):
    capabilities = RunnerCapabilities(supports_interrupts=True, returns_coroutine=True)

    async def run(self, graph, inputs=None, *, values=None, **options):
        return super().run(graph, inputs)


@pytest.mark.parametrize("asking", [Asking, AskingAwaited])
def test_a_pause_of_a_third_partys_runner_crosses_the_bridge(asking):
    inner = Graph([InterruptNode("ask", "question", "answer")], name="inner")
    use = node(lambda answer: f"got {answer}", output_name="used", name="use")
    graph = Graph([inner.as_node(runner=asking()), use], name="outer")

    async def main():
        paused = await AsyncRunner().run(graph, {"question": "why?"})
        assert paused.status is RunStatus.PAUSED
        pause = paused.pause
        assert (pause.node_name, pause.response_key, pause.value) == ("inner/ask", "answer", "why?")
        done = await AsyncRunner().run(graph, {"question": "why?", pause.response_key: "so"})
        assert done["used"] == "got so"

    asyncio.run(main())


def test_every_installed_runner_takes_part_here():
    assert set(INSTALLED) == {n for n, info in inspect().items() if info.state is RunnerState.OK}


@pytest.mark.parametrize("kind", [StopIteration, KeyboardInterrupt, asyncio.CancelledError])
@pytest.mark.parametrize("beside", [0, 2])
def test_a_runner_of_futures_raises_what_a_node_raises(kind, beside):
    error, listener = kind(), Listener()

    def fail(x):
        raise error

    others = [node(lambda x: time.sleep(0.01), name=f"other{i}") for i in range(beside)]
    with pytest.raises(kind) as caught:
        ThreadPoolRunner().run(Graph([*others, node(fail)]), {"x": 1}, event_processors=[listener])
    assert caught.value is error
    assert listener.events[-1].error is error


@pytest.mark.parametrize("at_once", [1, 2])
def test_a_runner_of_futures_begins_nothing_after_a_failure(at_once, monkeypatch):
    monkeypatch.setattr(ThreadPoolRunner, "at_once", at_once)
    called = []

    def invert(x):
        called.append(x)
        time.sleep(0.02 * x)
        return 1 / x

    with pytest.raises(ZeroDivisionError):
        ThreadPoolRunner().map(Graph([node(invert)]), {"x": [1, 0, 2, 3, 4]}, map_over="x")
    assert set(called) <= {1, 0, 2}
    assert called.index(0) >= len(called) - (2 if at_once > 1 else 1)


HELD_UP = """
import asyncio, os, signal, sys, threading, time
from hypergraph import Graph, SyncRunner, node

@node(output_name="y")
async def hang(x):
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
    await asyncio.sleep(60)

graph = Graph([Graph([hang], name="inner").as_node(runner="async")])

async def main():
    SyncRunner().run(graph, {"x": 1})

began = time.monotonic()
try:
    asyncio.run(main())
except KeyboardInterrupt:
    sys.exit(0 if time.monotonic() - began < 30 else "it waited for the node")
sys.exit("nothing was raised")
"""


def test_ctrl_c_reaches_a_nested_run_below_a_call_that_holds_up_an_event_loop():
    done = subprocess.run(
        [sys.executable, "-c", HELD_UP], capture_output=True, text=True, timeout=90, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
