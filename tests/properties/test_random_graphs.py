"""What holds for all graphs: the engine agrees with the reference interpreter, in each lane."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, assume, given, settings, strategies as st

from hypergraph.cache import MISS, MemoryCache
from hypergraph.errors import InputError, MissingInputError, UnknownInputError
from hypergraph.graph import Graph
from hypergraph.testing import reference
from hypergraph.testing.strategies import acyclic_cases, cases, looping_cases, value_of
from hypergraph_runner_sync import SyncRunner

ANY_GRAPH = cases() | looping_cases()


def examples(count):
    return settings(max_examples=count, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class NoListener:
    """Takes note of nothing; that it is there takes a run through the general lane."""

    def on_event(self, event):
        pass


class NeverHits:
    """A cache in which nothing is ever found."""

    def get(self, key):
        return MISS

    def put(self, key, value):
        pass

    def flush(self):
        pass


UNOBSERVED = SyncRunner()
OBSERVED = SyncRunner(event_processors=[NoListener()])
CACHED = SyncRunner(cache=NeverHits())


def assert_same(case, expected, actual):
    """See that two ways of running a case give the same result or error, by the same calls."""
    first, second = case.observe(expected), case.observe(actual)
    if first != second:
        raise AssertionError(f"\nexpected {first}\ngot      {second}") from second.exception


@examples(1300)
@given(cases())
def test_the_sync_runner_agrees_with_the_reference(case):
    assert_same(case, reference.run, UNOBSERVED.run)


@examples(900)
@given(looping_cases())
def test_the_sync_runner_agrees_with_the_reference_on_loops(case):
    assert_same(case, reference.run, UNOBSERVED.run)


@examples(300)
@given(ANY_GRAPH)
def test_an_observed_run_is_the_same_run(case):
    assert_same(case, UNOBSERVED.run, OBSERVED.run)


@examples(200)
@given(ANY_GRAPH)
@pytest.mark.filterwarnings("ignore::hypergraph.errors.HypergraphWarning")
def test_a_run_whose_cache_never_hits_is_the_same_run(case):
    assert_same(case, UNOBSERVED.run, CACHED.run)


@examples(300)
@given(ANY_GRAPH)
@pytest.mark.filterwarnings("ignore::hypergraph.errors.HypergraphWarning")
def test_a_run_answered_by_the_cache_gives_the_same_by_fewer_calls(case):
    for processors in ((), (NoListener(),)):
        runner = SyncRunner(MemoryCache(), processors)
        first, again = case.observe(runner.run), case.observe(runner.run)
        assert (again.result, again.error) == (first.result, first.error)
        assert len(again.calls) <= len(first.calls)
        if first.error is None and not case.graph.has_gates:
            assert again.calls == ()


@examples(200)
@given(acyclic_cases(), st.data())
def test_the_order_of_declaration_changes_no_output_of_a_dag(case, data):
    nodes = data.draw(st.permutations(list(case.graph.nodes.values())))
    shuffled = Graph(nodes, name="g").bind(case.graph.bound)
    one, other = case.observe(UNOBSERVED.run), replace(case, graph=shuffled).observe(UNOBSERVED.run)
    assert (one.error is None) == (other.error is None)
    assert sorted(one.result or ()) == sorted(other.result or ())


@examples(250)
@given(ANY_GRAPH, st.data())
def test_a_map_is_one_run_per_item(case, data):
    known = sorted(name for name in case.inputs if name != "unheard")
    assume(known)
    name = data.draw(st.sampled_from(known))
    items = data.draw(st.lists(value_of(name), min_size=1, max_size=3))
    runs = [
        replace(case, inputs={**case.inputs, name: item}).observe(UNOBSERVED.run) for item in items
    ]
    mapped = replace(case, inputs={**case.inputs, name: items})
    for runner in (UNOBSERVED, OBSERVED):
        outcome = mapped.observe(runner.map, map_over=name, on_error="return")
        assert outcome.calls == sum((run.calls for run in runs), ())
        if outcome.error is not None:  # what no item could run with is said once, for the whole map
            assert {(run.error, run.calls) for run in runs} == {(outcome.error, ())}
            assert isinstance(outcome.exception, InputError)
            continue
        slots = [
            slot if run.error is None else type(slot[1]).__name__
            for run, slot in zip(runs, outcome.result[1], strict=True)
        ]
        assert slots == [run.result if run.error is None else run.error for run in runs]


@examples(250)
@given(ANY_GRAPH)
def test_a_graph_gives_the_same_when_it_is_nested(case):
    flat = replace(
        case, inputs={k: v for k, v in case.inputs.items() if k in case.graph.inputs.all}
    )
    # A nested loop takes the seeds of its first candidate; started elsewhere, it would name others.
    assume(set(case.graph.inputs.seeds) <= set(flat.inputs))
    nested = replace(flat, graph=Graph([case.graph.as_node("inner")]))
    for runner in (UNOBSERVED, OBSERVED):
        one, other = flat.observe(runner.run), nested.observe(runner.run)
        assert replace(other, details={}) == replace(one, details={})


@examples(200)
@given(acyclic_cases(), st.data())
def test_part_of_a_dag_gives_the_same_when_it_is_nested(case, data):
    nodes = sorted(case.graph.nodes.values(), key=lambda node: node.name)
    inner = Graph(nodes[: data.draw(st.integers(1, len(nodes)))], name="inner")
    outer = Graph([inner.as_node(), *nodes[len(inner.nodes) :]])
    inputs = {**case.graph.bound, **case.inputs}
    inputs = {name: inputs[name] for name in case.graph.inputs.all if name in inputs}
    flat = replace(case, graph=Graph(nodes), inputs=inputs, options={})
    one, other = flat.observe(UNOBSERVED.run), replace(flat, graph=outer).observe(UNOBSERVED.run)
    assert one.error == other.error
    assert sorted(one.result or ()) == sorted(other.result or ())


@examples(200)
@given(ANY_GRAPH, st.data())
def test_inputs_that_do_not_fit_are_refused_before_anything_runs(case, data):
    required = case.graph.inputs.required
    assume(required)
    dropped = data.draw(st.sampled_from(required))
    inputs = {name: 1 for name in required if name != dropped}
    for runner in (reference, UNOBSERVED, OBSERVED):
        missing = replace(case, inputs=inputs, options={}).observe(runner.run)
        assert isinstance(missing.exception, MissingInputError)
        assert missing.exception.missing == (dropped,)
        unknown = replace(case, inputs={**inputs, dropped: 1, "?": 1}, options={})
        refused = unknown.observe(runner.run)
        assert isinstance(refused.exception, UnknownInputError)
        assert refused.exception.unknown == ("?",)
        assert missing.calls == refused.calls == ()
