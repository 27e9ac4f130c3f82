"""``SyncRunner.map``: one run per item."""

from collections import deque

import pytest

from hypergraph import END, Graph, branch, node
from hypergraph.errors import GraphConfigError, InputError, MissingInputError
from hypergraph.events import RunEndEvent, RunStartEvent
from tests.sync.support import UNCACHED_IS_FINE, Listener, in_every_lane, notes

pytestmark = UNCACHED_IS_FINE


@node(output_name="pair")
def pair(a, b):
    return a, b


@node(output_name="inverse")
def invert(a):
    return 1 / a


PAIR = Graph([pair], name="pair")
INVERT = Graph([invert], name="invert")


def pairs(results):
    return [result["pair"] for result in results]


@in_every_lane
def test_zip_walks_the_inputs_side_by_side(runner):
    results = runner.map(PAIR, {"a": [1, 2], "b": ["xy", "z"]}, map_over=["a", "b"])
    assert pairs(results) == [(1, "xy"), (2, "z")]


@in_every_lane
def test_product_takes_the_first_named_slowest(runner):
    inputs = {"a": [1, 2], "b": ["x", "y"]}
    slow_a = runner.map(PAIR, inputs, map_over=["a", "b"], map_mode="product")
    assert pairs(slow_a) == [(1, "x"), (1, "y"), (2, "x"), (2, "y")]
    slow_b = runner.map(PAIR, inputs, map_over=["b", "a"], map_mode="product")
    assert pairs(slow_b) == [(1, "x"), (2, "x"), (1, "y"), (2, "y")]


@in_every_lane
def test_other_inputs_are_broadcast_as_they_are(runner):
    shared = [7]
    results = runner.map(PAIR, {"a": [1, 2], "b": shared}, map_over="a")
    assert pairs(results) == [(1, [7]), (2, [7])]
    assert all(b is shared for _, b in pairs(results))


@in_every_lane
@pytest.mark.parametrize(
    "make", [list, tuple, iter, deque, dict.fromkeys, lambda items: (i for i in items)]
)
def test_any_iterable_serves(runner, make):
    items = make([1, 2])
    if isinstance(items, dict):
        items = items.keys()
    assert pairs(runner.map(PAIR, {"a": items, "b": 0}, map_over="a")) == [(1, 0), (2, 0)]


@in_every_lane
@pytest.mark.parametrize(
    "value", ["secret", b"secret", bytearray(b"secret"), {"secret": 1}, 7, None]
)
def test_strings_mappings_and_single_values_are_refused_with_advice(runner, value):
    with pytest.raises(InputError, match=type(value).__name__) as caught:
        runner.map(PAIR, {"a": value, "b": 0}, map_over="a")
    assert "[a]" in caught.value.fix
    assert "secret" not in str(caught.value)


@in_every_lane
def test_unequal_lengths_are_refused_with_each_length(runner):
    with pytest.raises(InputError, match="a has 3, b has 1") as caught:
        runner.map(PAIR, {"a": [1, 2, 3], "b": iter([1])}, map_over=["a", "b"])
    assert "product" in caught.value.fix


@in_every_lane
@pytest.mark.parametrize("mode", ["zip", "product"])
def test_zero_items_give_zero_results(runner, mode):
    inputs = {"a": [], "b": []}
    assert runner.map(PAIR, inputs, map_over=["a", "b"], map_mode=mode) == []
    assert runner.map(PAIR, {"a": [1], "b": []}, map_over=["a", "b"], map_mode="product") == []


@in_every_lane
@pytest.mark.parametrize("items", [[], [1]])
def test_inputs_are_checked_even_without_an_item(runner, items):
    with pytest.raises(MissingInputError, match="'b'"):
        runner.map(PAIR, {"a": items}, map_over="a")


@in_every_lane
def test_map_over_must_name_given_inputs_once(runner):
    for names, problem in {
        "aa": "'aa', which is not among the given inputs. Did you mean 'a",
        ("a", "a"): "twice",
        (): "names no input",
    }.items():
        with pytest.raises(InputError, match=problem):
            runner.map(PAIR, {"a": [1], "b": 0}, map_over=names)
    with pytest.raises(GraphConfigError, match="'zip' nor 'product'"):
        runner.map(PAIR, {"a": [1], "b": 0}, map_over="a", map_mode="zipp")
    with pytest.raises(TypeError, match="on_error"):
        runner.map(PAIR, {"a": [1], "b": 0}, map_over="a", on_error="ignore")


@in_every_lane
def test_the_first_failing_item_stops_the_map(runner):
    seen = []

    @node(output_name="out")
    def watch(a):
        seen.append(a)
        return 1 / a

    with pytest.raises(ZeroDivisionError) as caught:
        runner.map(Graph([watch], name="main"), {"a": [1, 0, 2]}, map_over="a")
    assert seen == [1, 0]
    (note,) = notes(caught.value)
    assert note == "hypergraph: node 'watch' of graph 'main' (map item 1) failed; inputs: a"


@in_every_lane
def test_exceptions_take_the_place_of_their_items_when_asked(runner):
    first, failed, third = runner.map(INVERT, {"a": [1, 0, 2]}, map_over="a", on_error="return")
    assert (first, third) == ({"inverse": 1}, {"inverse": 0.5})
    assert isinstance(failed, ZeroDivisionError)
    assert "(map item 1)" in notes(failed)[0]


@in_every_lane
def test_an_item_with_an_endless_loop_is_a_failed_item(runner):
    @node(output_name="n")
    def step(n):
        return n + 1

    @branch(when_true="step", when_false=END)
    def again(n, stop):
        return n != stop

    graph = Graph([step, again], name="loop")
    inputs = {"n": 0, "stop": [3, -1]}
    options = {"map_over": "stop", "max_iterations": 5, "on_error": "return"}
    first, second = runner.map(graph, inputs, **options)
    assert first == {"n": 3}
    assert type(second).__name__ == "InfiniteLoopError"
    (note,) = notes(second)
    assert note == "hypergraph: map item 1 of graph 'loop' failed; inputs: n, stop"


@in_every_lane
def test_an_interruption_stops_the_map_whatever_the_mode(runner):
    @node(output_name="out")
    def interrupt(a):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        runner.map(Graph([interrupt]), {"a": [1]}, map_over="a", on_error="return")


@in_every_lane
def test_select_and_allow_extra_work_as_in_a_run(runner):
    inverse = Graph([pair, invert.with_inputs(a="b").with_outputs(inverse="i")])
    inputs = {"a": [1, 2], "b": 4, "else": 0}
    results = runner.map(inverse, inputs, map_over="a", select="i", allow_extra=True)
    assert results == [{"i": 0.25}, {"i": 0.25}]
    kept = runner.map(INVERT, {"a": [0]}, map_over="a", select="inverse", on_error="return")
    assert isinstance(kept[0], ZeroDivisionError)


@in_every_lane
def test_bound_inputs_and_given_outputs_work_as_in_a_run(runner):
    graph = Graph([pair]).bind(b=9)
    assert pairs(runner.map(graph, {"a": [1]}, map_over="a")) == [(1, 9)]
    use = node(lambda pair: pair, name="use", output_name="used")
    results = runner.map(Graph([pair, use]), {"pair": [1, 2]}, map_over="pair")
    assert results == [{"used": 1}, {"used": 2}]


def test_events_tell_the_map_and_each_item(runner):
    listener = Listener()
    inputs = {"a": [1, 0], "b": 5}
    options = {"event_processors": [listener], "session_id": "s", "on_error": "return"}
    runner.map(Graph([invert, pair], name="g"), inputs, map_over="a", **options)
    whole, first, second = listener.of(RunStartEvent)
    assert (whole.map_size, whole.map_index, dict(whole.inputs)) == (2, None, inputs)
    assert [(e.map_size, e.map_index) for e in (first, second)] == [(2, 0), (2, 1)]
    assert dict(second.inputs) == {"a": 0, "b": 5}
    assert {e.parent_run_id for e in (first, second)} == {whole.run_id}
    assert {e.parent_span_id for e in (first, second)} == {whole.span_id}
    assert len({e.run_id for e in (whole, first, second)}) == 3
    assert {e.session_id for e in (whole, first, second)} == {"s"}
    ends = {e.run_id: e.status.value for e in listener.of(RunEndEvent)}
    assert ends == {first.run_id: "completed", second.run_id: "failed", whole.run_id: "completed"}


@pytest.mark.parametrize("map_over", [5, None])
def test_map_over_takes_names_only(runner, map_over):
    with pytest.raises(InputError, match="map_over is not a name"):
        runner.map(Graph([pair]), {"a": [1]}, map_over=map_over)


def test_what_is_no_graph_and_what_has_no_dimension_are_refused(runner):
    with pytest.raises(TypeError, match="expected a Graph, got str"):
        runner.map("g", {"a": [1]}, map_over="a")

    class NoDimension:
        def __iter__(self):
            raise TypeError("iteration over a 0-d array")

    with pytest.raises(InputError, match="'a' is mapped over, but is of type NoDimension"):
        runner.map(Graph([pair]), {"a": NoDimension(), "b": 1}, map_over="a")
