"""What holds for all graphs: the engine agrees with the reference interpreter, in each of its lanes."""

import pytest
from hypergraph_runner_sync import SyncRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from hypergraph.cache import MISS
from hypergraph.graph import Graph, GraphNode
from hypergraph.testing import reference
from hypergraph.testing.strategies import acyclic_cases, cases, looping_cases

ALL_GRAPHS = cases() | looping_cases()


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


def run_unobserved(graph, inputs, **options):
    return SyncRunner().run(graph, inputs, **options)


def run_observed(graph, inputs, **options):
    return SyncRunner(event_processors=[NoListener()]).run(graph, inputs, **options)


def run_cached(graph, inputs, **options):
    return SyncRunner(cache=NeverHits()).run(graph, inputs, **options)


def assert_same(case, one, other):
    expected, actual = case.observe(one), case.observe(other)
    if expected.error != actual.error and actual.exception is not None:
        raise AssertionError(f"expected {expected}, got {actual}") from actual.exception
    assert actual == expected


@settings(max_examples=900)
@given(cases())
def test_the_sync_runner_agrees_with_the_reference(case):
    assert_same(case, reference.run, run_unobserved)


@settings(max_examples=600)
@given(looping_cases())
def test_the_sync_runner_agrees_with_the_reference_on_loops(case):
    assert_same(case, reference.run, run_unobserved)


@settings(max_examples=400)
@given(ALL_GRAPHS)
def test_an_observed_run_is_the_same_run(case):
    assert_same(case, run_unobserved, run_observed)


@settings(max_examples=200)
@given(ALL_GRAPHS)
@pytest.mark.filterwarnings("ignore::hypergraph.errors.HypergraphWarning")
def test_a_run_whose_cache_never_hits_is_the_same_run(case):
    assert_same(case, run_unobserved, run_cached)


@settings(max_examples=200)
@given(acyclic_cases(), st.data())
def test_the_order_of_declaration_changes_no_output_of_a_dag(case, data):
    shuffled = data.draw(st.permutations(list(case.graph.nodes.values())))
    graph = Graph(shuffled).bind(dict(case.graph.bound))
    expected = case.observe(run_unobserved)
    again = SyncRunner()
    assert_same(
        case,
        lambda _, inputs, **options: dict(sorted(run_unobserved(graph, inputs, **options).items())),
        lambda g, inputs, **options: dict(sorted(again.run(g, inputs, **options).items())),
    ) if expected.error is None else None
