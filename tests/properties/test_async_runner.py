"""The async runner agrees with the reference interpreter and the sync runner on all graphs, in each
lane, whatever the order in which async nodes finish."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import anyio
import anyio.lowlevel
import pytest
from hypothesis import assume, given, strategies as st

from hypergraph import MemoryCache
from hypergraph.cache import MISS
from hypergraph.checkpointers import MemoryCheckpointer
from hypergraph.errors import InputError
from hypergraph.events import InterruptEvent
from hypergraph.execution.answers import response_keys
from hypergraph.testing import as_async, reference
from hypergraph.testing.strategies import (
    asking_cases,
    cases,
    describe_value,
    looping_cases,
    value_of,
)
from hypergraph_runner_async import AsyncRunner
from hypergraph_runner_sync import SyncRunner
from tests.properties.support import (
    Listener,
    Possible,
    answer,
    assert_paired,
    assert_same_but_for_order,
    calls_of,
    examples,
    generations_of,
    gives_no_nested_answer,
    told,
    trace,
    tree,
)

ANY_GRAPH = cases() | looping_cases()
SEEDS = st.integers(0, 999)
BACKENDS = ("asyncio", "trio")
LIMITS = st.sampled_from([None, 1, 2])
UNCACHED_IS_FINE = pytest.mark.filterwarnings("ignore::hypergraph.errors.HypergraphWarning")


class NeverHits:
    """A cache in which nothing is ever found."""

    def get(self, key):
        return MISS

    def put(self, key, value):
        pass

    def flush(self):
        pass


async def run_plainly(graph, inputs, **options):
    return await AsyncRunner().run(graph, inputs, **options)


async def run_observed(graph, inputs, **options):
    return await AsyncRunner(event_processors=[Listener()]).run(graph, inputs, **options)


async def run_cached(graph, inputs, **options):
    return await AsyncRunner(cache=NeverHits()).run(graph, inputs, **options)


async def run_limited(graph, inputs, **options):
    return await AsyncRunner().run(graph, inputs, max_concurrency=1, **options)


async def run_two_at_once(graph, inputs, **options):
    runner = AsyncRunner(event_processors=[Listener()])
    return await runner.run(graph, inputs, max_concurrency=2, **options)


async def run_checkpointed(graph, inputs, **options):
    runner = AsyncRunner(checkpointer=MemoryCheckpointer())
    return await runner.run(graph, inputs, workflow_id="w", **options)


async def run_streaming(graph, inputs, **options):
    async with AsyncRunner().iter(graph, inputs, **options) as stream:
        async for _ in stream:
            pass
    return stream.result


async def run_in_threads(graph, inputs, **options):
    return await AsyncRunner(sync_nodes="thread").run(graph, inputs, **options)


INLINE = {
    "plain": run_plainly,
    "observed": run_observed,
    "cached": run_cached,
    "one at once": run_limited,
    "two at once": run_two_at_once,
    "checkpointed": run_checkpointed,
    "streaming": run_streaming,
}
LANES = {**INLINE, "threads": run_in_threads}
TELLING = ("plain", "one at once", "checkpointed", "streaming")


def blocking(lane, backend="asyncio"):
    """Return a lane as a function that blocks and returns the outputs."""

    def run(graph, inputs, **options):
        async def main():
            return await lane(graph, inputs, **options)

        return anyio.run(main, backend=backend).values

    return run


def twin_of(case, seed):
    return replace(case, graph=as_async(case.graph, seed, pause=anyio.lowlevel.checkpoint))


@examples(100)
@given(ANY_GRAPH, SEEDS)
def test_an_async_twin_means_what_its_graph_means(case, seed):
    other = replace(case, graph=as_async(case.graph, seed))
    assert other.observe(reference.run) == case.observe(reference.run)


@pytest.mark.parametrize("lane", INLINE)
@examples(50)
@given(ANY_GRAPH)
@UNCACHED_IS_FINE
def test_on_graphs_without_async_nodes_it_is_the_sync_runner(lane, case):
    expected = case.observe(SyncRunner().run)
    actual = case.observe(blocking(INLINE[lane]))
    if actual != expected:
        raise AssertionError(f"\nexpected {expected}\ngot      {actual}") from actual.exception


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("lane", LANES)
@examples(50)
@given(ANY_GRAPH, SEEDS)
@UNCACHED_IS_FINE
def test_it_agrees_with_the_reference_in_whatever_order_nodes_finish(lane, backend, case, seed):
    possible = Possible.of(case)
    outcome = twin_of(case, seed).observe(blocking(LANES[lane], backend))
    if outcome.error is None:
        assert outcome.result == possible.result
        assert calls_of(case) == possible.calls
        return
    assert outcome.exception is not None
    if told(outcome.exception) not in possible.errors:
        raise AssertionError(f"instead of {possible.errors or 'no error'}") from outcome.exception
    assert calls_of(case) <= possible.calls
    if outcome.error == "Refused":
        assert any(outcome.exception is raised for raised in case.record.raised)


@examples(60)
@given(ANY_GRAPH, SEEDS, LIMITS)
@UNCACHED_IS_FINE
def test_a_run_answered_by_the_cache_gives_the_same_by_fewer_calls(case, seed, limit):
    runner = AsyncRunner(cache=MemoryCache())

    async def run(graph, inputs, **options):
        return await runner.run(graph, inputs, max_concurrency=limit, **options)

    possible = Possible.of(case)
    twin = twin_of(case, seed)
    first, again = twin.observe(blocking(run)), twin.observe(blocking(run))
    for outcome in (first, again):
        assert outcome.error is not None or outcome.result == possible.result
        assert (outcome.error is None) == (not possible.errors)
    assert calls_of(case) <= possible.calls
    if first.error is None and not case.graph.has_gates:
        assert again.calls == ()


# -- events --------------------------------------------------------------------------------------


def events_of(run, case, **options):
    """Return all events of a run, and the error it ended with."""
    listener = Listener()
    outcome = case.observe(run, event_processors=[listener], **options)
    return listener.events, outcome


@pytest.mark.parametrize("lane", TELLING)
@examples(50)
@given(ANY_GRAPH)
def test_without_async_nodes_the_events_are_those_of_the_sync_runner(lane, case):
    expected, _ = events_of(SyncRunner().run, case)
    actual, _ = events_of(blocking(INLINE[lane]), case)
    assert trace(actual) == trace(expected)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("lane", TELLING)
@examples(40)
@given(ANY_GRAPH, SEEDS)
def test_events_are_those_of_the_sync_runner_but_for_their_order(lane, backend, case, seed):
    expected, outcome = events_of(SyncRunner().run, case)
    twin = twin_of(case, seed)
    actual, ended = events_of(blocking(INLINE[lane], backend), twin)
    if outcome.error is None:
        generations = iter(generations_of(case))
        assert_same_but_for_order(tree(expected), tree(actual), twin.graph, generations)
        assert next(generations, None) is None
    assert (ended.error is None) == (outcome.error is None)
    assert bool(actual) == bool(expected), (
        "inputs that do not fit are refused before the first event"
    )
    if actual:
        assert_paired(actual)


@pytest.mark.parametrize("backend", BACKENDS)
@examples(40)
@given(ANY_GRAPH, SEEDS)
def test_events_of_threads_are_paired(backend, case, seed):
    events, _ = events_of(blocking(run_in_threads, backend), twin_of(case, seed))
    if events:
        assert_paired(events)


@pytest.mark.parametrize("backend", BACKENDS)
@examples(40)
@given(ANY_GRAPH, SEEDS)
def test_a_stream_holds_the_events_that_a_listener_is_told(backend, case, seed):
    streamed = []

    async def run(graph, inputs, **options):
        async with AsyncRunner().iter(graph, inputs, **options) as stream:
            async for event in stream:
                streamed.append(event)  # noqa: PERF401  what came before an error counts
        return stream.result

    events, _ = events_of(blocking(run, backend), twin_of(case, seed))
    assert streamed == events


# -- answers -------------------------------------------------------------------------------------


def interrupts_of(graph, path=""):
    """Return the paths of all interrupts of a graph."""
    found = []
    for node in graph.nodes.values():
        if node.is_interrupt:
            found.append(path + node.name)
        elif hasattr(node, "graph"):
            found += interrupts_of(node.graph, f"{path}{node.name}/")
    return found


async def run_with_handlers(graph, inputs, **options):
    handlers = {path: lambda value, path=path: answer(path, value) for path in interrupts_of(graph)}
    return await AsyncRunner().run(graph, inputs, interrupt_handlers=handlers, **options)


async def run_responding(graph, inputs, **options):
    async with AsyncRunner().iter(graph, inputs, **options) as stream:
        async for event in stream:
            if isinstance(event, InterruptEvent):
                path, _ = response_keys(graph)[event.response_key]
                stream.respond(event.response_key, answer(path, event.value))
    return stream.result


async def run_resuming(graph, inputs, **options):
    runner = AsyncRunner(checkpointer=MemoryCheckpointer())
    result = await runner.run(graph, inputs, workflow_id="w", **options)
    while result.paused:
        answers = {p.response_key: answer(p.node_name, p.value) for p in result.pauses}
        result = await runner.run(graph, answers, workflow_id="w", **options)
    return result


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("lane", [run_with_handlers, run_responding, run_resuming])
@examples(40)
@given(asking_cases().filter(gives_no_nested_answer), SEEDS)
def test_answers_lead_where_those_of_the_reference_lead(lane, backend, case, seed):
    keys = response_keys(case.graph)  # the key of an event has to tell who asks
    assume(lane is not run_responding or len(keys) == len(interrupts_of(case.graph)))

    def expected(graph, inputs, **options):
        return reference.run(graph, inputs, answer=answer, **options)

    one = case.observe(expected)
    other = twin_of(case, seed).observe(blocking(lane, backend))
    assert (other.result, other.error) == (one.result, one.error)


# -- maps ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
@examples(60)
@given(ANY_GRAPH, SEEDS, LIMITS, st.data())
def test_a_map_is_one_run_per_item_in_order(backend, case, seed, limit, data):
    known = sorted(name for name in case.inputs if name != "unheard")
    assume(known)
    name = data.draw(st.sampled_from(known))
    items = data.draw(st.lists(value_of(name), min_size=1, max_size=4))
    runs = [Possible.of(replace(case, inputs={**case.inputs, name: item})) for item in items]
    mapped = replace(twin_of(case, seed), inputs={**case.inputs, name: items})

    def run(graph, inputs, **options):
        async def main():
            return await AsyncRunner().map(
                graph, inputs, map_over=name, on_error="return", max_concurrency=limit, **options
            )

        return [
            told(row) if isinstance(row, Exception) else describe_value(row)
            for row in anyio.run(main, backend=backend)
        ]

    case.record.clear()
    try:
        rows, refusal = run(mapped.graph, mapped.inputs, **mapped.options), None
    except InputError as error:
        rows, refusal = [], error
    if refusal is not None:  # what no item could run with is said once, for the whole map
        assert {frozenset(run.errors) for run in runs} == {frozenset([told(refusal)])}
        assert not case.record.calls
        return
    assert calls_of(case) <= sum((run.calls for run in runs), Counter())
    for row, possible in zip(rows, runs, strict=True):
        assert row in possible.errors if possible.errors else row == possible.result
