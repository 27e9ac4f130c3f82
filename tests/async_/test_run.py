"""Running a graph on an event loop: results, errors, options, and what nodes find around them."""

import asyncio
import contextvars
import time

import anyio
import pytest
import trio

from hypergraph import END, Graph, RunStatus, branch, node
from hypergraph.errors import (
    IncompatibleRunnerError,
    InputError,
    MissingInputError,
    UnknownInputError,
)
from hypergraph.events import NodeErrorEvent, RunEndEvent
from hypergraph.results import RunResult
from hypergraph_runner_async import AsyncRunner
from hypergraph_runner_sync import SyncRunner
from tests.async_.support import LONG, Listener, in_every_lane, notes, turns
from tests.sync.support import UNCACHED_IS_FINE

pytestmark = [pytest.mark.anyio, UNCACHED_IS_FINE]
TENANT = contextvars.ContextVar("tenant", default="nobody")


@node(output_name="fetched")
async def fetch(x):
    await anyio.lowlevel.checkpoint()
    return x + 1


@node(output_name="doubled")
def double(fetched):
    return 2 * fetched


@node(output_name=("low", "high"))
async def bounds(doubled):
    await anyio.lowlevel.checkpoint()
    return doubled - 1, doubled + 1


@node(output_name="n")
async def step(n):
    await anyio.lowlevel.checkpoint()
    return n + 1


@branch(when_true="step", when_false=END)
async def below(n, limit=5):
    await anyio.lowlevel.checkpoint()
    return n < limit


GRAPH = Graph([bounds, double, fetch], name="main")
LOOP = Graph([step, below], name="loop")


@in_every_lane
async def test_a_run_gives_a_result_with_the_outputs_of_every_node(runner):
    result = await runner.run(GRAPH, {"x": 1})
    assert isinstance(result, RunResult)
    assert result.values == {"fetched": 2, "doubled": 4, "low": 3, "high": 5}
    assert list(result) == list(GRAPH.outputs)
    assert (result.status, result.paused, result.error) == (RunStatus.COMPLETED, False, None)
    assert result["low"] == 3


@in_every_lane
async def test_async_gates_and_loops(runner):
    result = await runner.run(LOOP, {"n": 0})
    assert result.values == {"n": 5}


@in_every_lane
async def test_nested_results_are_children(runner):
    graph = Graph([LOOP.as_node().with_outputs(n="m"), step.with_inputs(n="m")])
    result = await runner.run(graph, {"n": 0})
    assert result.values == {"m": 5, "n": 6}
    assert result.children["loop"].values == {"n": 5}
    assert result.children["loop"].status is RunStatus.COMPLETED


@in_every_lane
async def test_generators_of_both_kinds_are_collected(runner):
    async def words(x):
        for i in range(x):
            await anyio.lowlevel.checkpoint()
            yield str(i)

    def numbers(words):
        yield from map(int, words)

    graph = Graph([node(words), node(numbers)])
    assert (await runner.run(graph, {"x": 3})).values == {"words": "012", "numbers": [0, 1, 2]}


async def test_every_run_has_an_id_of_its_own():
    runner = AsyncRunner()
    ids = {(await runner.run(GRAPH, {"x": 1})).run_id for _ in range(3)}
    assert len(ids) == 3


async def test_the_result_has_the_id_that_the_events_have():
    listener = Listener()
    result = await AsyncRunner().run(GRAPH, {"x": 1}, event_processors=[listener])
    assert {event.run_id for event in listener.events} == {result.run_id}


@in_every_lane
async def test_select_narrows_the_result(runner):
    result = await runner.run(GRAPH, {"x": 1}, select=["low"])
    assert result.values == {"low": 3}


@pytest.mark.parametrize(
    ("inputs", "error"),
    [({}, MissingInputError), ({"x": 1, "xx": 2}, UnknownInputError), ([("x", 1)], TypeError)],
)
@in_every_lane
async def test_inputs_that_do_not_fit_are_refused_before_anything_runs(runner, inputs, error):
    calls = []

    def note(y):
        calls.append(y)

    graph = Graph([node(note), fetch])
    given = {**inputs, "y": 1} if isinstance(inputs, dict) else inputs
    with pytest.raises(error):
        await runner.run(graph, given)
    assert calls == []


async def test_extra_inputs_pass_on_demand():
    result = await AsyncRunner().run(GRAPH, {"x": 1, "more": 2}, allow_extra=True)
    assert result["doubled"] == 4


@pytest.mark.parametrize("limit", [0, -1, 1.5, True, "2"])
async def test_max_concurrency_is_a_positive_integer(limit):
    with pytest.raises(InputError, match="max_concurrency"):
        await AsyncRunner().run(GRAPH, {"x": 1}, max_concurrency=limit)


async def test_unknown_options_are_type_errors():
    with pytest.raises(TypeError):
        await AsyncRunner().run(GRAPH, {"x": 1}, max_concurency=2)
    with pytest.raises(TypeError, match="on_error"):
        await AsyncRunner().run(GRAPH, {"x": 1}, on_error="ignore")
    with pytest.raises(TypeError, match="sync_nodes"):
        AsyncRunner(sync_nodes="process")
    with pytest.raises(TypeError, match="checkpointer"):
        AsyncRunner(checkpointer=object())


async def test_a_workflow_needs_a_checkpointer():
    with pytest.raises(InputError, match="checkpointer"):
        await AsyncRunner().run(GRAPH, {"x": 1}, workflow_id="w")


# --- errors -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["async", "sync", "async generator", "sync generator"])
@in_every_lane
async def test_an_exception_arrives_as_itself_with_one_note(runner, kind):
    error = LookupError("the user's own")

    async def fail(x):
        await anyio.lowlevel.checkpoint()
        raise error

    def fail_at_once(x):
        raise error

    async def stream(x):
        yield 1
        raise error

    def stream_at_once(x):
        yield 1
        raise error

    kinds = {
        "async": fail,
        "sync": fail_at_once,
        "async generator": stream,
        "sync generator": stream_at_once,
    }
    inner = Graph([node(kinds[kind], name="fail")], name="inner")
    with pytest.raises(LookupError) as caught:
        await runner.run(Graph([inner.as_node()], name="main"), {"x": 1})
    assert caught.value is error
    assert notes(error) == ["hypergraph: node 'inner/fail' of graph 'main' failed; inputs: x"]


@in_every_lane
async def test_stop_iteration_is_the_cause_of_a_runtime_error_as_from_any_coroutine(runner):
    error = StopIteration(7)

    def fail(x):
        raise error

    for graph in (Graph([node(fail)], name="g"), Graph([node(fail), fetch], name="g")):
        error.__notes__ = []
        with pytest.raises(RuntimeError) as caught:
            await runner.run(graph, {"x": 1})
        assert caught.value.__cause__ is error
        told = notes(error) + notes(caught.value)
        assert told == ["hypergraph: node 'fail' of graph 'g' failed; inputs: x"]


@in_every_lane
async def test_on_error_return_gives_a_failed_result_with_what_was_computed(runner):
    error = LookupError()

    async def fail(fetched):
        raise error

    graph = Graph([fetch, node(fail)])
    result = await runner.run(graph, {"x": 1}, on_error="return")
    assert (result.status, result.error, result.values) == (
        RunStatus.FAILED,
        error,
        {"fetched": 2},
    )


async def test_what_is_refused_before_the_run_is_raised_even_so():
    with pytest.raises(MissingInputError):
        await AsyncRunner().run(GRAPH, {}, on_error="return")


async def test_a_cancellation_is_never_returned_as_a_result():
    async def cancel(x):
        scope.cancel()
        await anyio.sleep(LONG)

    with anyio.CancelScope() as scope:
        await AsyncRunner().run(Graph([node(cancel)]), {"x": 1}, on_error="return")
        pytest.fail("the run went on")


async def test_a_failing_run_tells_its_end():
    def fail(x):
        raise LookupError

    listener = Listener()
    with pytest.raises(LookupError) as caught:
        await AsyncRunner().run(Graph([node(fail)]), {"x": 1}, event_processors=[listener])
    assert listener.steps() == ["RunStart", "NodeStart fail", "NodeError fail", "RunEnd"]
    assert listener.of(NodeErrorEvent)[0].error is caught.value
    assert listener.of(RunEndEvent)[0].status is RunStatus.FAILED


async def test_a_listener_that_raises_changes_nothing():
    class Broken:
        def on_event(self, event):
            raise RuntimeError("the user's own")

    listener = Listener()
    with pytest.warns(match="Broken"):
        result = await AsyncRunner().run(GRAPH, {"x": 1}, event_processors=[Broken(), listener])
    assert result["low"] == 3
    assert listener.steps()[-1] == "RunEnd"


# --- what is around a node --------------------------------------------------------------------


@in_every_lane
async def test_context_variables_of_the_caller_are_seen_in_nodes(runner):
    async def see(x):
        await anyio.lowlevel.checkpoint()
        return TENANT.get()

    def see_too(x):
        return TENANT.get()

    inner = Graph([node(see), node(see_too)], name="inner")
    own = inner.as_node("own")
    mapped = inner.as_node("mapped").map_over("x").with_inputs(x="xs")
    mapped = mapped.with_outputs(see="seen", see_too="seen_too")
    token = TENANT.set("acme")
    try:
        result = await runner.run(Graph([own, mapped]), {"x": 1, "xs": [1, 2]})
    finally:
        TENANT.reset(token)
    assert result.values == {
        "see": "acme",
        "see_too": "acme",
        "seen": ["acme"] * 2,
        "seen_too": ["acme"] * 2,
    }


async def test_one_runner_and_one_graph_serve_many_runs_at_once():
    runner, found = AsyncRunner(), {}

    async def run(n):
        found[n] = (await runner.run(LOOP, {"n": n, "limit": n + 3}))["n"]

    async with anyio.create_task_group() as group:
        for n in range(30):
            group.start_soon(run, n)
    assert found == {n: n + 3 for n in range(30)}


@pytest.mark.parametrize("observed", [False, True])
@pytest.mark.parametrize("kind", ["loop", "generation", "map"])
async def test_a_graph_of_sync_nodes_lets_other_tasks_go_on(kind, observed):
    def work(n):
        time.sleep(0.004)
        return n + 1

    graphs = {
        "loop": Graph(
            [node(work, output_name="n"), branch(when_true="work", when_false=END)(_few)]
        ),
        "generation": Graph([node(work, name=f"work{i}", output_name=f"n{i}") for i in range(20)]),
        "map": Graph([Graph([node(work)], name="inner").as_node().map_over("n")]),
    }
    inputs = {"n": range(20)} if kind == "map" else {"n": 0}
    ticks, ended = 0, False

    async def tick():
        nonlocal ticks
        while not ended:
            ticks += 1
            await anyio.sleep(0)

    runner = AsyncRunner(event_processors=[Listener()] * observed)
    async with anyio.create_task_group() as group:
        group.start_soon(tick)
        await turns(3)
        before = ticks
        await runner.run(graphs[kind], inputs)
        during = ticks - before
        ended = True
    assert during >= 4, "80 ms went by, and sync nodes let others go on every 10 ms"


def _few(n):
    return n < 20


async def test_other_runners_refuse_what_only_this_one_can_run():
    with pytest.raises(IncompatibleRunnerError, match="async"):
        SyncRunner().run(GRAPH, {"x": 1})


def test_a_plain_asyncio_program():
    assert asyncio.run(AsyncRunner().run(GRAPH, {"x": 1}))["low"] == 3


def test_a_plain_trio_program():
    async def main():
        return await AsyncRunner().run(GRAPH, {"x": 1})

    assert trio.run(main)["low"] == 3
