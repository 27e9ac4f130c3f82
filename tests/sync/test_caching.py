"""Which calls the cache answers, and which it never does."""

import pytest

from hypergraph import END, Graph, MemoryCache, branch, node, route
from hypergraph.errors import HypergraphWarning, OutputCountError, RouteError
from hypergraph.events import NodeEndEvent
from hypergraph_runner_sync import SyncRunner
from tests.sync.support import Listener

calls = []
LISTENING = [(), (Listener(),)]
observed_or_not = pytest.mark.parametrize("processors", LISTENING, ids=["plain", "observed"])


@pytest.fixture(autouse=True)
def _fresh():
    calls.clear()


def record(name):
    """Take note of a call. A function of another package counts by its name alone."""
    calls.append(name)


@node(output_name="doubled")
def double(x):
    record("double")
    return 2 * x


@node(output_name=("low", "high"))
def bounds(items):
    record("bounds")
    return (item for item in (min(items), max(items)))


@node(output_name="text")
def speak(x):
    record("speak")
    yield "a"
    yield str(x)


def cached_calls(graph, *inputs, runner=None, **options):
    """Run a graph for each of the inputs, and return what was called, run by run."""
    runner = runner or SyncRunner(MemoryCache(), **options)
    made = []
    for values in inputs:
        calls.clear()
        runner.run(graph, values)
        made.append(list(calls))
    return made


@observed_or_not
def test_equal_inputs_are_a_hit_and_others_a_miss(processors):
    graph = Graph([double, speak])
    both = ["double", "speak"]
    inputs = [{"x": 1}, {"x": 1}, {"x": 2}, {"x": 1}, {"x": 1.0}, {"x": True}]
    made = cached_calls(graph, *inputs, event_processors=processors)
    assert made == [both, [], both, [], both, both]


@observed_or_not
def test_a_hit_gives_the_same_outputs(processors):
    runner = SyncRunner(MemoryCache(), event_processors=processors)
    graph = Graph([double, bounds, speak])
    first, second = (runner.run(graph, {"x": 1, "items": [3, 1]}) for _ in range(2))
    assert first == second == {"doubled": 2, "low": 1, "high": 3, "text": "a1"}
    assert calls == ["double", "bounds", "speak"]


@observed_or_not
def test_without_a_cache_every_run_calls(processors):
    runner = SyncRunner(event_processors=processors)
    assert cached_calls(Graph([double]), {"x": 1}, {"x": 1}, runner=runner) == [["double"]] * 2


@observed_or_not
def test_a_node_may_stay_out_of_the_cache(processors):
    always = node(double.func, output_name="doubled", cache=False)
    after = node(lambda doubled: record("after"), name="after", output_name="z")
    made = cached_calls(Graph([always, after]), {"x": 1}, {"x": 1}, event_processors=processors)
    assert made == [["double", "after"], ["double"]]


@observed_or_not
@pytest.mark.parametrize(("cache", "second"), [(False, ["gate"]), (True, [])])
def test_a_gate_is_cached_only_when_asked(processors, cache, second):
    @route(targets=["double", END], cache=cache)
    def gate(x):
        record("gate")
        return "double"

    graph = Graph([gate, double])
    made = cached_calls(graph, {"x": 1}, {"x": 1}, event_processors=processors)
    assert made == [["gate", "double"], second]


@observed_or_not
def test_nodes_of_nested_and_mapped_graphs_are_cached_each(processors):
    inner = Graph([double], name="inner")
    plain, mapped = Graph([inner.as_node()]), Graph([inner.as_node().map_over("x")])
    runner = SyncRunner(MemoryCache(), event_processors=processors)
    assert cached_calls(plain, {"x": 1}, {"x": 1}, runner=runner) == [["double"], []]
    items = [{"x": [1, 2, 2]}, {"x": [2, 3]}]
    assert cached_calls(mapped, *items, runner=runner) == [["double"], ["double"]]
    calls.clear()
    results = runner.map(plain, {"x": [1, 2, 9]}, map_over="x")
    assert (results[2], calls) == ({"doubled": 18}, ["double"])


@observed_or_not
def test_rounds_of_a_loop_are_cached_each(processors):
    @node(output_name="n")
    def step(n):
        record("step")
        return n + 1

    more = branch(when_true="step", when_false=END, name="more")(lambda n: n < 3)
    made = cached_calls(Graph([step, more]), {"n": 0}, {"n": 0}, {"n": -1},
                        event_processors=processors)  # fmt: skip
    assert made == [["step"] * 3, [], ["step"]]


@observed_or_not
def test_values_in_memory_go_by_reference(processors):
    runner = SyncRunner(MemoryCache(), event_processors=processors)
    make = node(lambda x: [x], name="make", output_name="made")
    first, second = (runner.run(Graph([make]), {"x": 1})["made"] for _ in range(2))
    assert first is second


@observed_or_not
def test_none_and_no_output_are_results_too(processors):
    nothing = node(lambda x: record("nothing"), name="nothing", output_name="z")
    silent = node(lambda x: record("silent"), name="silent", output_name=None)
    graph = Graph([nothing, silent])
    made = cached_calls(graph, {"x": 1}, {"x": 1}, event_processors=processors)
    assert made == [["nothing", "silent"], []]


@observed_or_not
def test_exceptions_and_wrong_results_are_not_cached(processors):
    outcomes = [ZeroDivisionError, RouteError, OutputCountError]

    def fail(x):
        record("fail")
        return 1 / 0

    def bad_route(x):
        record("route")
        return "nowhere"

    def bad_count(x):
        record("count")
        return (1,)

    ok = node(lambda x: x, name="ok", cache=False)
    graphs = [Graph([node(fail)]), Graph([route(targets=["ok"], cache=True)(bad_route), ok]),
              Graph([node(bad_count, output_name=("a", "b"))])]  # fmt: skip
    runner = SyncRunner(MemoryCache(), event_processors=processors)
    for graph, outcome in zip(graphs, outcomes):
        for _ in range(2):
            with pytest.raises(outcome):
                runner.run(graph, {"x": 1})
    assert calls == ["fail", "fail", "route", "route", "count", "count"]
    assert len(runner.cache) == 0


@observed_or_not
def test_what_can_be_read_only_once_is_not_kept(processors):
    once = node(lambda text: map(int, text.split()), name="once", output_name="numbers")
    total = node(lambda numbers: sum(numbers, 0), name="total", output_name="total", cache=False)
    runner = SyncRunner(MemoryCache(), event_processors=processors)
    for _ in range(2):
        with pytest.warns(
            HypergraphWarning, match="'once' is not cached: What can be read only once"
        ):
            assert runner.run(Graph([once, total]), {"text": "1 2"})["total"] == 3


# --- what the key is made of ------------------------------------------------------------------


def with_default(value):
    return node(lambda x, y=value: record("it") or y, name="it", output_name="z")


def with_closure(value):
    return node(lambda x: record("it") or value, name="it", output_name="z")


@pytest.mark.parametrize("make", [with_default, with_closure])
def test_another_default_or_closure_is_another_function(make):
    runner = SyncRunner(MemoryCache())
    for value, expected in [(1, ["it"]), (2, ["it"]), (1, []), (True, ["it"])]:
        assert cached_calls(Graph([make(value)]), {"x": 1}, runner=runner) == [expected]


def test_another_source_is_another_function():
    first = node(lambda x: record("one") or x, name="it", output_name="z")
    second = node(lambda x: record("two") or x, name="it", output_name="z")
    runner = SyncRunner(MemoryCache())
    for graph, expected in [(first, ["one"]), (second, ["two"]), (first, [])]:
        assert cached_calls(Graph([graph]), {"x": 1}, runner=runner) == [expected]


def test_renaming_a_node_or_its_ports_keeps_its_cache():
    runner = SyncRunner(MemoryCache())
    assert cached_calls(Graph([double]), {"x": 1}, runner=runner) == [["double"]]
    renamed = double.with_name("other").with_inputs(x="y").with_outputs(doubled="z")
    assert cached_calls(Graph([renamed], name="g"), {"y": 1}, runner=runner) == [[]]


def test_swapped_inputs_are_other_inputs():
    minus = node(lambda a, b: record("minus") or a - b, name="minus", output_name="z")
    runner = SyncRunner(MemoryCache())
    assert runner.run(Graph([minus]), {"a": 3, "b": 1}) == {"z": 2}
    assert runner.run(Graph([minus.with_inputs(a="b", b="a")]), {"a": 3, "b": 1}) == {"z": -2}
    assert calls == ["minus", "minus"]


def test_a_default_and_the_same_value_given_are_the_same_call():
    graph = Graph([node(lambda x, y=2: record("it") or x + y, name="it", output_name="z")])
    made = cached_calls(graph, {"x": 1}, {"x": 1, "y": 2}, {"y": 2, "x": 1}, {"x": 1, "y": 3})
    assert made == [["it"], [], [], ["it"]]
    assert cached_calls(graph.bind(y=5), {"x": 1}, {"x": 1, "y": 5}) == [["it"], []]


def test_cached_and_computed_nodes_are_told_apart():
    listener = Listener()
    runner = SyncRunner(MemoryCache(), event_processors=[listener])
    runner.run(Graph([double]), {"x": 1})
    runner.run(Graph([double, speak]), {"x": 1})
    told = [(e.node_name, e.cached) for e in listener.of(NodeEndEvent)]
    assert told == [("double", False), ("double", True), ("speak", False)]
