"""Graphs within graphs on the parent's runner: once, per item, deep, renamed, gated."""

import pytest

from hypergraph import END, Graph, branch, node
from hypergraph.errors import InfiniteLoopError, InputError, MissingInputError
from tests.sync.support import UNCACHED_IS_FINE, in_every_lane, notes

pytestmark = UNCACHED_IS_FINE


@node(output_name="doubled")
def double(x):
    return 2 * x


@node(output_name="sum")
def add(doubled, offset=0):
    return doubled + offset


@node(output_name="kept")
def keep(x):
    return x


@node(output_name="total", rename_inputs={"parts": "sum"})
def total(parts):
    return parts if isinstance(parts, int) else [v for v in parts if v is not None]


@node(output_name="n", cache=False)
def step(n):
    return n + 1


@branch(when_true="keep", when_false=END)
def positive(x):
    return x > 0


@branch(when_true="step", when_false=END)
def below(n, limit=3):
    return n < limit


INNER = Graph([double, add], name="inner")
MAYBE = Graph([positive, keep], name="maybe")
LOOP = Graph([step, below], name="loop")


def nested(depth, leaf=double):
    """Return a graph with ``leaf`` below ``depth`` graphs."""
    graph = Graph([leaf], name="g0")
    for level in range(1, depth + 1):
        graph = Graph([graph.as_node()], name=f"g{level}")
    return graph


@in_every_lane
def test_a_nested_graph_takes_and_gives_values_by_name(runner):
    outputs = runner.run(Graph([total, INNER.as_node()]), {"x": 2})
    assert outputs == {"total": 4, "doubled": 4, "sum": 4}


@in_every_lane
def test_inner_defaults_and_bindings_hold_unless_something_is_given(runner):
    outer = Graph([INNER.as_node()])
    assert runner.run(outer, {"x": 1, "offset": 5})["sum"] == 7
    bound = Graph([INNER.bind(offset=10).as_node()])
    assert runner.run(bound, {"x": 1})["sum"] == 12
    assert runner.run(bound, {"x": 1, "offset": 5})["sum"] == 7
    assert runner.run(bound.bind(offset=6), {"x": 1})["sum"] == 8


@in_every_lane
def test_renamed_and_namespaced_ports(runner):
    first = INNER.as_node(name="first").with_inputs(x="a").with_outputs(sum="first_sum")
    second = INNER.select("sum").as_node(name="second", namespaced=True)
    inputs = {"a": 1, "second.x": 2, "offset": 1, "second.offset": 3}
    outputs = runner.run(Graph([first.with_outputs(doubled="d"), second]), inputs)
    assert outputs == {"d": 2, "first_sum": 3, "second.sum": 7}
    exposed = Graph([INNER.as_node(namespaced=True).expose("x", "sum"), total])
    assert runner.run(exposed, {"x": 2})["total"] == 4


@in_every_lane
def test_the_same_graph_may_be_nested_often_with_other_inputs(runner):
    parts = [node(lambda a=0, b=0, c=0, d=0, e=0, f=0, g=0: a + b + c + d + e + f + g, name="s")]
    inner, nodes, inputs = Graph(parts), [], {}
    for i in range(100):
        names = {letter: f"{letter}{i}" for letter in "abcdefg"}
        nodes.append(inner.as_node(name=f"n{i}").with_inputs(names).with_outputs(s=f"s{i}"))
        inputs.update({name: 1 for bit, name in enumerate(names.values()) if i >> bit & 1})
    assert runner.run(Graph(nodes), inputs) == {f"s{i}": i.bit_count() for i in range(100)}


@in_every_lane
def test_an_output_that_a_nested_graph_did_not_produce_does_not_exist_outside(runner):
    graph = Graph([MAYBE.as_node(), total.with_inputs(sum="kept")])
    assert runner.run(graph, {"x": 1}) == {"kept": 1, "total": 1}
    assert runner.run(graph, {"x": -1}) == {}


@in_every_lane
def test_a_nested_loop_runs_anew_each_time(runner):
    assert runner.run(Graph([LOOP.as_node()]), {"n": 0}) == {"n": 3}
    later = LOOP.as_node(name="later").with_inputs(n="m").with_outputs(n="o")
    graph = Graph([LOOP.as_node().with_outputs(n="m"), later])
    assert runner.run(graph, {"n": 0, "limit": 3}) == {"m": 3, "o": 4}


@in_every_lane
def test_a_nested_graph_may_be_what_a_gate_selects_in_a_loop(runner):
    body = Graph([step], name="body").as_node()
    go_on = branch(when_true="body", when_false=END, name="go_on")(lambda n: n < 5)
    assert runner.run(Graph([go_on, body]), {"n": 0}) == {"n": 5}


@in_every_lane
def test_max_iterations_is_inherited_and_counted_anew(runner):
    graph = Graph([LOOP.as_node(name="a").with_outputs(n="m")])
    assert runner.run(graph, {"n": 0}, max_iterations=3) == {"m": 3}
    with pytest.raises(InfiniteLoopError) as caught:
        runner.run(graph, {"n": 0}, max_iterations=2)
    assert notes(caught.value) == ["hypergraph: node 'a' failed; inputs: n"]
    mapped = Graph([LOOP.as_node(name="a").map_over("n").with_outputs(n="m")])
    assert runner.run(mapped, {"n": [0, 0, 0]}, max_iterations=3) == {"m": [3, 3, 3]}
    with pytest.raises(InfiniteLoopError):
        runner.run(mapped, {"n": [0, 0, 0]}, max_iterations=2)


@in_every_lane
def test_a_mapped_graph_gives_lists_in_item_order(runner):
    graph = Graph([INNER.as_node().map_over("x"), total])
    outputs = runner.run(graph, {"x": iter([3, 1, 2]), "offset": 1})
    assert outputs == {"doubled": [6, 2, 4], "sum": [7, 3, 5], "total": [7, 3, 5]}


@in_every_lane
def test_a_mapped_graph_may_get_its_items_from_another_node(runner):
    numbers = node(lambda size: list(range(size)), name="numbers", output_name="x")
    graph = Graph([INNER.as_node().map_over("x"), numbers])
    assert runner.run(graph, {"size": 3})["sum"] == [0, 2, 4]
    assert runner.run(graph, {"size": 0})["sum"] == []


@in_every_lane
def test_a_mapped_product(runner):
    graph = Graph([INNER.as_node().map_over("x", "offset", mode="product")])
    assert runner.run(graph, {"x": [1, 2], "offset": [0, 1]})["sum"] == [2, 3, 4, 5]


@in_every_lane
def test_an_item_that_does_not_produce_an_output_leaves_none(runner):
    graph = Graph([MAYBE.as_node().map_over("x"), total.with_inputs(sum="kept")])
    assert runner.run(graph, {"x": [1, -1, 2]}) == {"kept": [1, None, 2], "total": [1, 2]}


@in_every_lane
def test_a_map_in_a_map(runner):
    rows = Graph([INNER.select("sum").as_node().map_over("x")], name="rows")
    outputs = runner.run(Graph([rows.as_node().map_over("x")]), {"x": [[1, 2], [], [3]]})
    assert outputs == {"sum": [[2, 4], [], [6]]}


@in_every_lane
def test_a_mapped_input_must_be_a_list_of_items(runner):
    graph = Graph([INNER.as_node().map_over("x")])
    with pytest.raises(InputError, match="'x' is mapped over, but is of type str") as caught:
        runner.run(graph, {"x": "secret"})
    assert caught.value.where == "nested graph 'inner'"
    deeper = Graph([Graph([INNER.as_node().map_over("x")], name="deeper").as_node()])
    with pytest.raises(InputError) as caught:
        runner.run(deeper, {"x": "secret"})
    assert caught.value.where == "nested graph 'inner'"
    assert notes(caught.value) == ["hypergraph: node 'deeper/inner' failed; inputs: x"]
    zipped = Graph([INNER.as_node().map_over("x", "offset")])
    with pytest.raises(InputError, match="x has 1, offset has 2"):
        runner.run(zipped, {"x": [1], "offset": [1, 2]})


@in_every_lane
def test_a_mapped_input_is_needed_even_if_it_has_a_default_inside(runner):
    graph = Graph([Graph([add], name="inner").as_node().map_over("offset")])
    with pytest.raises(MissingInputError, match="'offset'"):
        runner.run(graph, {"doubled": 1})


@in_every_lane
@pytest.mark.parametrize("depth", [1, 49, 50, 51, 52, 200])
def test_nesting_may_be_deep(runner, depth):
    assert runner.run(nested(depth), {"x": 1}) == {"doubled": 2}


@in_every_lane
def test_deep_nesting_may_hold_loops_and_maps(runner):
    graph = LOOP
    for level in range(200):
        graph = Graph([graph.as_node(name=f"g{level}")])
    assert runner.run(graph, {"n": 0}) == {"n": 3}
    for level in range(20):
        graph = Graph([graph.as_node(name=f"m{level}").map_over("n")])
    items = 0
    for _ in range(20):
        items = [items]
    result = runner.run(graph, {"n": items})["n"]
    for _ in range(20):
        (result,) = result
    assert result == 3


@in_every_lane
def test_an_error_below_two_hundred_graphs_has_one_note_with_the_whole_path(runner):
    def fail(x):
        raise LookupError("no")

    with pytest.raises(LookupError) as caught:
        runner.run(nested(200, node(fail)), {"x": 1})
    (note,) = notes(caught.value)
    path = "/".join(f"g{level}" for level in reversed(range(200)))
    assert note == f"hypergraph: node '{path}/fail' of graph 'g200' failed; inputs: x"


@in_every_lane
def test_a_selection_inside_hides_an_output_but_runs_its_node(runner):
    inner = INNER.select("sum").as_node()
    assert runner.run(Graph([inner]), {"x": 1}) == {"sum": 2}
