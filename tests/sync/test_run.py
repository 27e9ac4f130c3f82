"""``SyncRunner.run``: what it takes, what it refuses, and what it returns."""

import functools
from collections import UserDict
from types import MappingProxyType

import pytest

from hypergraph import Graph, InterruptNode, node
from hypergraph.errors import (
    IncompatibleRunnerError,
    InputError,
    MissingInputError,
    OutputCountError,
    UnknownInputError,
)
from hypergraph.events import TypedEventProcessor
from hypergraph_runner_sync import SyncRunner
from tests.sync.support import LANES, UNCACHED_IS_FINE, in_every_lane

pytestmark = UNCACHED_IS_FINE


@node(output_name="doubled")
def double(x):
    return 2 * x


@node(output_name="total")
def add(doubled, more=10):
    return doubled + more


@node(output_name=("low", "high"))
def bounds(items):
    return min(items), max(items)


@node(output_name=None)
def remember(x, seen):
    seen.append(x)
    return 249


SUM = Graph([double, add], name="sum")


def once(function, **inputs):
    """Run a graph of one function and return its outputs."""
    return SyncRunner().run(Graph([node(function, output_name="out")]), inputs)["out"]


@in_every_lane
def test_all_outputs_come_back_in_the_order_of_the_graph(runner):
    outputs = runner.run(Graph([add, double]), {"x": 1})
    assert list(outputs.items()) == [("total", 12), ("doubled", 2)]


@in_every_lane
@pytest.mark.parametrize("inputs", [{"x": 1}, UserDict(x=1), MappingProxyType({"x": 1})])
def test_inputs_may_be_any_mapping(runner, inputs):
    assert runner.run(SUM, inputs)["total"] == 12


def test_inputs_go_by_position_or_by_either_word(runner):
    assert runner.run(SUM, {"x": 1}) == runner.run(SUM, inputs={"x": 1})
    assert runner.run(SUM, {"x": 1}) == runner.run(SUM, values={"x": 1})
    with pytest.raises(TypeError, match="not both"):
        runner.run(SUM, {"x": 1}, values={"x": 1})


@in_every_lane
def test_a_graph_without_nodes_gives_nothing(runner):
    assert runner.run(Graph([])) == {}


@in_every_lane
def test_values_go_by_reference(runner):
    items = [1, 2]
    same = node(lambda items: items, name="same", output_name="out")
    assert runner.run(Graph([same]), {"items": items})["out"] is items


@in_every_lane
def test_given_beats_bound_beats_default(runner):
    graph = Graph([double, add])
    assert runner.run(graph, {"x": 1})["total"] == 12
    assert runner.run(graph.bind(more=20), {"x": 1})["total"] == 22
    assert runner.run(graph.bind(more=20), {"x": 1, "more": 30})["total"] == 32
    assert runner.run(graph.bind(x=1).unbind("x"), {"x": 2})["total"] == 14


@in_every_lane
def test_none_is_a_value_like_any_other(runner):
    is_none = node(lambda x=1: x is None, name="is_none", output_name="out")
    assert runner.run(Graph([is_none]), {"x": None})["out"] is True
    assert runner.run(Graph([is_none]).bind(x=None))["out"] is True


@in_every_lane
def test_keyword_only_parameters_get_their_values(runner):
    def function(a, *, b, c=3):
        return a, b, c

    graph = Graph([node(function, output_name="out")])
    assert runner.run(graph, {"a": 1, "b": 2})["out"] == (1, 2, 3)
    assert runner.run(graph, {"c": 1, "b": 2, "a": 3})["out"] == (3, 2, 1)


@in_every_lane
def test_several_outputs_are_unpacked_and_one_is_not(runner):
    pair = node(lambda items: (min(items), max(items)), name="pair", output_name="pair")
    outputs = runner.run(Graph([bounds, pair]), {"items": [2, 1, 3]})
    assert outputs == {"low": 1, "high": 3, "pair": (1, 3)}


@in_every_lane
@pytest.mark.parametrize(
    ("returned", "actual"),
    [
        ((1,), 1),
        ([1, 2, 3], 3),
        ("ab", None),
        (b"ab", None),
        ({1: 2, 3: 4}, None),
        ({1, 2}, None),
        (None, None),
        (7, None),
    ],
)
def test_a_wrong_number_of_outputs_is_an_error(runner, returned, actual):
    wrong = node(lambda x: returned, name="wrong", output_name=("a", "b"))
    with pytest.raises(OutputCountError, match="'wrong' has 2 outputs") as caught:
        runner.run(Graph([wrong]), {"x": 1})
    assert (caught.value.expected, caught.value.actual) == (2, actual)


@in_every_lane
def test_several_outputs_may_come_from_any_iterable(runner):
    for make in (list, tuple, iter, lambda pair: map(str, pair)):
        several = node(lambda x, make=make: make((1, 2)), name="several", output_name=("a", "b"))
        outputs = runner.run(Graph([several]), {"x": 1})
        assert [int(v) for v in outputs.values()] == [1, 2]


@in_every_lane
def test_a_node_without_outputs_runs_and_returns_nothing(runner):
    seen = []
    assert runner.run(Graph([remember, double]), {"x": 1, "seen": seen}) == {"doubled": 2}
    assert seen == [1]


@pytest.mark.parametrize(
    ("chunks", "joined"),
    [
        (["a", "b"], "ab"),
        ([b"a", b"b"], b"ab"),
        (["a", b"b"], ["a", b"b"]),
        ([1, 2], [1, 2]),
        ([None], [None]),
        ([type("Text", (str,), {})("a"), "b"], "ab"),
    ],
)
@pytest.mark.parametrize("lane", LANES)
def test_what_a_generator_yields_is_collected(lane, chunks, joined):
    def produce(x):
        yield from chunks

    assert LANES[lane]().run(Graph([node(produce, output_name="out")]), {"x": 1}) == {"out": joined}


def test_an_empty_generator_gives_what_its_annotation_says():
    def unannotated(x):
        yield from ()

    for text, empty in {
        "Iterator[str]": "",
        "Generator[bytes, None, None]": b"",
        "Iterator[int]": [],
        "typing.Iterable[str]": "",
    }.items():
        unannotated.__annotations__ = {"return": text}
        assert once(unannotated, x=1) == empty
    unannotated.__annotations__ = {}
    assert once(unannotated, x=1) == []


@in_every_lane
def test_select_narrows_what_comes_back_in_the_order_of_the_graph(runner):
    assert runner.run(SUM, {"x": 1}, select="total") == {"total": 12}
    assert list(runner.run(SUM, {"x": 1}, select=["total", "doubled"])) == ["doubled", "total"]
    assert runner.run(SUM, {"x": 1}, select=iter(["total"])) == {"total": 12}
    assert runner.run(SUM, {"x": 1}, select=[]) == {}
    assert runner.run(SUM.select("total"), {"x": 1}) == {"total": 12}


def test_select_refuses_what_is_no_output(runner):
    with pytest.raises(InputError, match=r"'totl', which is no output\. Did you mean 'total'"):
        runner.run(SUM, {"x": 1}, select=["totl"])
    with pytest.raises(InputError, match="'x'"):
        runner.run(SUM, {"x": 1}, select="x")
    with pytest.raises(InputError, match="'doubled'"):
        runner.run(SUM.select("total"), {"x": 1}, select="doubled")


@in_every_lane
def test_all_missing_inputs_are_named_before_anything_runs(runner):
    seen = []
    graph = Graph([remember, double, bounds], name="main")
    with pytest.raises(MissingInputError) as caught:
        runner.run(graph, {"seen": seen, "item": [1]}, allow_extra=True)
    assert caught.value.missing == ("x", "items")
    for words in ("'x', needed by 'remember', 'double'", "'items', needed by 'bounds'", "'main'"):
        assert words in str(caught.value)
    assert seen == []


@in_every_lane
def test_an_unknown_input_is_refused_with_the_nearest_name(runner):
    with pytest.raises(UnknownInputError, match=r"'mor'\. Did you mean 'more'") as caught:
        runner.run(SUM, {"x": 1, "mor": 2})
    assert caught.value.unknown == ("mor",)


@in_every_lane
def test_extra_inputs_pass_only_when_allowed(runner):
    assert runner.run(SUM, {"x": 1, "else": 2, 3: 4}, allow_extra=True)["total"] == 12
    with pytest.raises(UnknownInputError):
        runner.run(SUM, {"x": 1, 3: 4})


@pytest.mark.parametrize("limit", [0, -1, True, 1.5, "10", None])
def test_max_iterations_must_be_a_positive_integer(runner, limit):
    with pytest.raises(InputError, match="max_iterations is not a positive integer"):
        runner.run(SUM, {"x": 1}, max_iterations=limit)


def test_an_unknown_option_is_a_type_error(runner):
    with pytest.raises(TypeError, match=r"'max_iteration'\. Did you mean 'max_iterations'"):
        runner.run(SUM, {"x": 1}, max_iteration=3)


@in_every_lane
def test_a_graph_that_the_runner_cannot_run_is_refused(runner):
    async def fetch(x):
        return x

    with pytest.raises(IncompatibleRunnerError, match="async") as caught:
        runner.run(Graph([node(fetch)]), {"x": 1})
    assert (caught.value.node, caught.value.runner) == ("fetch", "SyncRunner")
    ask = InterruptNode("ask", "doubled", "answer")
    nested = Graph([Graph([double, ask], name="inner").as_node()])
    with pytest.raises(IncompatibleRunnerError) as caught:
        runner.run(nested, {"x": 1})
    assert caught.value.node == "inner/ask"


@in_every_lane
def test_a_chain_of_ten_thousand_nodes_runs(runner):
    chain = [
        double.with_name(f"n{i}").with_inputs(x=f"v{i}").with_outputs(doubled=f"v{i + 1}")
        for i in range(10_000)
    ]
    outputs = runner.run(Graph(chain), {"v0": 0})
    assert len(outputs) == 10_000
    assert outputs["v10000"] == 0


@in_every_lane
def test_a_node_may_itself_run_a_graph_on_the_same_runner(runner):
    outer = node(lambda x: runner.run(SUM, {"x": x})["total"], name="outer", output_name="out")
    assert runner.run(Graph([outer]), {"x": 1}) == {"out": 12}


@pytest.mark.parametrize("wrong", [None, "sum", double, [double]])
def test_what_is_no_graph_is_a_type_error(runner, wrong):
    with pytest.raises(TypeError, match=f"expected a Graph, got {type(wrong).__name__}"):
        runner.run(wrong, {"x": 1})


@pytest.mark.parametrize("wrong", [{}, "disk", object()])
def test_what_is_no_cache_is_a_type_error(wrong):
    with pytest.raises(TypeError, match=f"{type(wrong).__name__} lacks one"):
        SyncRunner(cache=wrong)


def test_a_wrapper_that_runs_a_generator_itself_gives_its_own_value():
    def listed(func):
        @functools.wraps(func)
        def run(*args):
            return list(func(*args))

        return run

    @node(output_name="words")
    @listed
    def words(text):
        yield from text.split()

    for runner in (SyncRunner(), SyncRunner(event_processors=[TypedEventProcessor()])):
        assert runner.run(Graph([words]), {"text": "a b"}) == {"words": ["a", "b"]}


def test_select_takes_names_only():
    with pytest.raises(InputError, match="select is not a list of names"):
        SyncRunner().run(Graph([double]), {"x": 1}, select=5)


def test_an_extra_input_that_is_nearly_a_missing_one_is_told():
    with pytest.raises(MissingInputError, match="given was 'numbr'"):
        SyncRunner().run(
            Graph([node(lambda number: number, name="same")]), {"numbr": 1}, allow_extra=True
        )
