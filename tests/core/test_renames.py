"""How nodes are renamed, and how an error explains a name that is gone."""

import pytest

from hypergraph import END, Graph, node, route
from hypergraph.errors import GraphConfigError


@node
def double(x):
    return 2 * x


def plain(a, b=2, *, c, d=4):
    return a, b, c, d


def finish(double):
    return END


def test_renaming_gives_a_new_node_and_leaves_the_old_one():
    changed = double.with_name("twice").with_inputs(x="amount").with_outputs(double="result")
    assert (changed.name, changed.inputs, changed.outputs) == ("twice", ("amount",), ("result",))
    assert (double.name, double.inputs, double.outputs) == ("double", ("x",), ("double",))
    assert changed.params == ("x",)
    assert changed(3) == 6
    assert [tuple(rename) for rename in changed.rename_history] == [
        ("name", "double", "twice"),
        ("input", "x", "amount"),
        ("output", "double", "result"),
    ]


def test_defaults_follow_renamed_inputs_and_names_may_be_swapped():
    made = node(plain, rename_inputs={"b": "size"})
    assert made.has_default("size")
    assert not made.has_default("b")
    swapped = made.with_inputs(a="size", size="a")
    assert swapped.inputs == ("size", "a", "c", "d")
    assert (swapped.has_default("a"), swapped.has_default("size")) == (True, False)


def test_an_old_name_is_explained_with_its_present_one():
    changed = double.with_inputs(x="y").with_inputs(y="z").with_outputs(double="out")
    with pytest.raises(GraphConfigError, match=r"no input 'x'\. It was renamed to 'z'"):
        changed.with_inputs(x="q")
    with pytest.raises(GraphConfigError, match=r"no output 'double'\. It was renamed to 'out'"):
        changed.with_outputs(double="q")


def test_an_unknown_port_is_answered_with_the_nearest_and_all():
    made = node(plain).with_inputs(a="question", b="answer")
    with pytest.raises(GraphConfigError, match=r"Did you mean 'question'\?") as caught:
        made.with_inputs(qestion="q")
    assert caught.value.where == "node 'plain'"
    assert caught.value.fix == "rename one of its inputs: question, answer, c, d."
    with pytest.raises(GraphConfigError, match="Two inputs of one node are both called 'c'"):
        made.with_inputs(question="c")


def test_a_graph_explains_old_names_too():
    renamed = double.with_name("twice").with_inputs(x="amount").with_outputs(double="result")
    graph = Graph([renamed])
    for says, attempt in {
        "input 'x'. It was renamed to 'amount'": lambda: graph.bind(x=1),
        "output 'double'. It was renamed to 'result'": lambda: graph.select("double"),
        "target 'double'. It was renamed to 'twice'": lambda: Graph(
            [renamed, route(targets=["double", END])(finish)]
        ),
        "'double' does not exist. It was renamed to 'twice'": lambda: Graph(
            [renamed], entrypoint="double"
        ),
        "input 'amount'. It was renamed to 'items'": lambda: (
            graph.as_node("inner").with_inputs(amount="items").map_over("amount")
        ),
    }.items():
        with pytest.raises(GraphConfigError) as caught:
            attempt()
        assert says in str(caught.value)
