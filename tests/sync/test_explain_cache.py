"""``explain_cache``: for each node whether the cache would answer it, and why, without a call."""

import pytest

from hypergraph import END, Graph, MemoryCache, branch, node
from hypergraph.errors import MissingInputError
from hypergraph_runner_sync import SyncRunner
from tests.sync.support import Listener


@node(output_name="doubled")
def double(x):
    return 2 * x


@node(output_name=("low", "high"))
def bounds(doubled):
    return (doubled - 1, doubled + 1)


@node(output_name="n")
def step(n):
    return n + 1


@branch(when_true="step", when_false=END, cache=True)
def below(n, limit=3):
    return n < limit


UNKEYABLE = object()
CHAIN = Graph([double, bounds])


def explained(runner, graph, inputs):
    return {e.node: (e.hit, e.why) for e in runner.explain_cache(graph, inputs)}


def hits(runner, graph, inputs):
    return {e.node: e.hit for e in runner.explain_cache(graph, inputs)}


@pytest.fixture
def runner():
    return SyncRunner(MemoryCache())


def test_nothing_is_a_hit_before_the_first_run(runner):
    found = explained(runner, CHAIN, {"x": 1})
    assert found["double"] == (False, "nothing is stored for this code and these inputs")
    assert found["bounds"] == (False, "waits for 'doubled', which has to be computed")


def test_everything_is_a_hit_after_a_run(runner):
    runner.run(CHAIN, {"x": 1})
    assert hits(runner, CHAIN, {"x": 1}) == {"double": True, "bounds": True}
    assert hits(runner, CHAIN, {"x": 2}) == {"double": False, "bounds": False}
    assert str(runner.explain_cache(CHAIN, values={"x": 1})[0]) == (
        "double: hit (stored for this code and these inputs)"
    )


def test_what_it_says_is_what_a_run_does(runner):
    always = node(lambda low: low, name="always", output_name="kept", cache=False)
    graph = Graph([double, bounds, always])
    runner.run(graph, {"x": 1})
    for x in (1, 2):
        expected = hits(runner, graph, {"x": x})
        listener = Listener()
        runner.run(graph, {"x": x}, event_processors=[listener])
        told = {e.node_name: e.cached for e in listener.events if hasattr(e, "cached")}
        assert told == expected


def test_nothing_is_called_stored_or_told():
    calls, listener = [], Listener()
    noting = node(lambda x: [calls.append(x)], name="noting", output_name="y")
    runner = SyncRunner(MemoryCache(), event_processors=[listener])
    runner.explain_cache(Graph([noting]), {"x": 1})
    assert (calls, listener.events, len(runner.cache)) == ([], [], 0)


@pytest.mark.parametrize(
    ("item", "why"),
    [
        (node(lambda x: x, name="it", cache=False), "cache=False"),
        (branch(when_true=END, when_false=END, name="it")(lambda x: x), "a gate without cache=True"),
        (node(lambda x, y=UNKEYABLE: x, name="it"), "A value of type builtins.object"),
    ],
)  # fmt: skip
def test_a_node_that_is_never_cached_says_why(runner, item, why):
    for _ in range(2):
        assert why in explained(runner, Graph([item]), {"x": 1})["it"][1]


def test_an_input_that_cannot_be_keyed_is_named(runner):
    hit, why = explained(runner, CHAIN, {"x": object()})["double"]
    assert not hit
    assert "'x'" in why


def test_without_a_cache_or_with_a_failing_one_everything_is_a_miss():
    class Failing(MemoryCache):
        def get(self, key):
            raise OSError("secret")

    assert explained(SyncRunner(), CHAIN, {"x": 1})["double"] == (False, "the runner has no cache")
    found = explained(SyncRunner(Failing()), CHAIN, {"x": 1})
    assert found["double"] == (False, "the cache raised OSError")


def test_the_rounds_of_a_loop_are_followed_as_far_as_results_lead(runner):
    loop = Graph([step, below])
    runner.run(loop, {"n": 1})
    found = runner.explain_cache(loop, {"n": 1})
    assert [(e.node, e.hit) for e in found] == [("step", True), ("below", True)] * 2
    first = runner.explain_cache(loop, {"n": 0})[0]
    assert (first.node, first.hit) == ("step", False)


def test_what_a_gate_does_not_select_does_not_run(runner):
    select = branch(when_true="double", when_false=END, name="select", cache=True)(lambda x: x > 0)
    graph = Graph([select, double])
    runner.run(graph, {"x": -1})
    found = explained(runner, graph, {"x": -1})
    assert found["select"][0] is True
    assert found["double"] == (False, "it does not run, or what comes before it has to run first")


def test_nested_and_mapped_nodes_go_by_their_path(runner):
    inner = Graph([double], name="inner")
    graph = Graph([inner.as_node(), inner.as_node(name="each").map_over("x")
                   .with_inputs(x="xs").with_outputs(doubled="all")])  # fmt: skip
    runner.run(graph, {"x": 1, "xs": [1, 2]})
    found = hits(runner, graph, {"x": 1, "xs": [2, 3]})
    assert found == {"inner/double": True, "each[0]/double": True, "each[1]/double": False}
    own = Graph([inner.as_node(runner=SyncRunner())])
    assert explained(runner, own, {"x": 1})["inner"] == (False, "it has a runner of its own")


def test_deep_nesting_is_followed(runner):
    graph = CHAIN
    for level in range(200):
        graph = Graph([graph.as_node(name=f"g{level}")])
    runner.run(graph, {"x": 1})
    assert set(hits(runner, graph, {"x": 1}).values()) == {True}


def test_inputs_that_do_not_fit_are_refused(runner):
    with pytest.raises(MissingInputError, match="'x'"):
        runner.explain_cache(CHAIN, {})
