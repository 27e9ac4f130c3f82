"""Nodes and graphs travel: deepcopy, pickle, and picklers that take functions by value."""

import copy
import functools
import pickle
import subprocess
import sys

import pytest

from hypergraph import END, Graph, InterruptNode, TypeRouteNode, branch, node, route


@node
def load(path, limit=10):
    return path


@node(output_name=("a", "b"))
def split(load):
    return load, load


@route(targets=["split", END])
def more(a):
    return END


@branch(when_true="split", when_false=END)
def enough(b):
    return False


def plain(x, *, y=2):
    return x + y


@node
def total(a):
    return a


class Steps:
    @node
    @staticmethod
    def inside(x):
        return x

    def method(self, x):
        return x


wrapped = node(plain)
partial = node(functools.partial(plain, y=3), name="partial")
method = node(Steps().method)
ask = InterruptNode("ask", "a", "answer", response_type=bool)
kind = TypeRouteNode("kind", "a", {int: "split", str: END})
inner = Graph([load, split, more, enough], name="inner").bind(limit=3)
nested = inner.as_node(namespaced=True).expose("path").map_over("path")
NODES = [load, split, more, enough, wrapped, partial, method, Steps.inside, ask, kind, nested]


def described(item):
    return (
        item.name,
        item.inputs,
        item.outputs,
        item.rename_history,
        [item.has_default(name) for name in item.inputs],
        getattr(item, "targets", None),
        getattr(item, "params", None),
        item.definition_hash,
    )


WAYS = [
    copy.deepcopy,
    *(
        lambda item, protocol=protocol: pickle.loads(pickle.dumps(item, protocol))
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    ),
]


@pytest.mark.parametrize("travel", WAYS)
@pytest.mark.parametrize("item", NODES, ids=repr)
def test_a_node_is_the_same_after_a_journey(item, travel):
    arrived = travel(item)
    assert described(arrived) == described(item)
    renamed = item.with_name("other").with_inputs({item.inputs[0]: "z"})
    assert described(travel(renamed)) == described(renamed)


@pytest.mark.parametrize("travel", WAYS)
def test_a_node_finds_its_own_function_again(travel):
    for item in (load, split.with_name("other"), more, Steps.inside, wrapped):
        assert travel(item).func is item.func
    assert travel(partial)(1) == 4


@pytest.mark.parametrize("travel", WAYS)
def test_a_graph_is_the_same_after_a_journey(travel):
    graph = Graph([nested.expose("a"), total], name="main", edges=[("inner", "total")])
    graph = graph.select("total")
    arrived = travel(graph)
    assert arrived.definition_hash == graph.definition_hash
    assert arrived.inputs == graph.inputs
    assert (arrived.outputs, arrived.data_edges) == (graph.outputs, graph.data_edges)
    assert arrived.features == graph.features
    assert dict(arrived.nodes["inner"].graph.bound) == {"limit": 3}
    assert arrived.nodes["inner"].graph.nodes["more"].targets[-1] is END


@pytest.mark.parametrize("travel", WAYS)
def test_what_arrives_cannot_be_changed_either(travel):
    arrived = travel(nested)
    for view in (
        arrived.inner_inputs,
        arrived.graph.bound,
        travel(load).defaults,
        travel(kind).routes,
    ):
        with pytest.raises(TypeError, match="does not support item assignment"):
            view["x"] = 1
    with pytest.raises(AttributeError, match="immutable"):
        arrived.name = "x"


def test_a_graph_leaves_its_process(tmp_path):
    (tmp_path / "steps.py").write_text(
        "from hypergraph import Graph, END, node, route\n"
        "@node\ndef step(count): return count + 1\n"
        "step = step.with_outputs(step='count')\n"
        "@route(targets=['step', END])\ndef again(count): return END if count > 4 else 'step'\n"
        "graph = Graph([step, again])\n"
    )
    send = "import steps, pickle, sys; sys.stdout.buffer.write(pickle.dumps(steps.graph))"
    receive = (
        "import pickle, sys; from hypergraph import SyncRunner\n"
        "print(SyncRunner().run(pickle.load(sys.stdin.buffer), {'count': 0}))"
    )

    def python(program, data=b""):
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=tmp_path,
            input=data,
            capture_output=True,
            check=True,
        )
        return done.stdout

    assert python(receive, python(send)).strip() == b"{'count': 5}"
