"""The definition hash: the same in every process, another for every change that matters."""

import functools
import os
import subprocess
import sys

import pytest

from hypergraph import END, Graph, InterruptNode, TypeRouteNode, branch, node, route

PROGRAM = """
from hypergraph import END, Graph, InterruptNode, TypeRouteNode, branch, node, route

LIMITS = {"high": 3, "low": 1}

@node(output_name=("text", "size"))
def load(path, kinds=frozenset({"a", "b", "c"}), *, limits={"x": 1, "y": 2}):
    return path, LIMITS

@branch(when_true="shorten", when_false=END)
def too_long(text):
    return len(text) > 3

@node
def shorten(text):
    return text[:3]

@route(targets=["shorten", END], fallback=END)
def again(shorten):
    return None

inner = Graph([load, too_long, shorten, again], name="inner").bind(path={"b", "a", "c"})
print(Graph([
    inner.as_node(namespaced=True).expose("text").map_over("inner.kinds"),
    TypeRouteNode("kind", "text", {str: "ask", bytes: END}),
    InterruptNode("ask", "text", "answer", response_type=bool),
], name="outer").definition_hash)
"""


def f(x, y=1):
    return x + y


def g(x, y=1):
    return x - y


def pick(f):
    return END


def test_the_hash_is_the_same_in_every_process_and_directory(tmp_path):
    found = set()
    for seed, folder in (("0", "one"), ("1", "two/deeper"), ("random", "three")):
        place = tmp_path / folder
        place.mkdir(parents=True)
        (place / "program.py").write_text(PROGRAM)
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            [sys.executable, "program.py"],
            cwd=place,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        found.add(done.stdout.strip())
    assert len(found) == 1
    assert len(found.pop()) == 64


def base(**options):
    return Graph([node(f), route(targets=["again", END])(pick), again_node], name="main", **options)


def again(f):
    return f


again_node = node(again)


def test_the_same_graph_built_again_has_the_same_hash():
    assert base().definition_hash == base().definition_hash
    assert base().bind(x=1).definition_hash == base().bind(x=1).definition_hash
    assert base().bind(x=1).unbind().definition_hash == base().definition_hash


def test_what_does_not_change_what_a_graph_does_does_not_change_its_hash():
    reference = base().definition_hash
    assert base(strict_types=True).definition_hash == reference
    assert base(edges=[("f", "pick"), ("f", "again")]).definition_hash == reference
    uncached = node(f, cache=False)
    assert uncached.definition_hash == node(f).definition_hash
    renamed_back = node(f).with_inputs(x="z").with_inputs(z="x")
    assert renamed_back.definition_hash == node(f).definition_hash


def changes():
    pick_node = route(targets=["again", END])(pick)
    twice = Graph([node(f)], name="inner")
    return {
        "another name": Graph(list(base().nodes.values()), name="other"),
        "no name": Graph(list(base().nodes.values())),
        "another function": Graph(
            [node(g, name="f", output_name="f"), pick_node, again_node], name="main"
        ),
        "another order": Graph([again_node, pick_node, node(f)], name="main"),
        "one node less": Graph([node(f), again_node], name="main"),
        "a renamed node": Graph([node(f).with_name("h"), pick_node, again_node], name="main"),
        "a renamed input": Graph([node(f).with_inputs(x="z"), pick_node, again_node], name="main"),
        "no output": Graph([node(f), pick_node, node(again, output_name=None)], name="main"),
        "other targets": Graph([node(f), route(targets=["again"])(pick), again_node], name="main"),
        "a node called END": Graph(
            [
                node(f),
                route(targets=["again", "END"])(pick),
                again_node,
                node(g, name="END", output_name="g"),
            ],
            name="main",
        ),
        "a fallback": Graph(
            [node(f), route(targets=["again", END], fallback=END)(pick), again_node], name="main"
        ),
        "many targets": Graph(
            [node(f), route(targets=["again", END], multi_target=True)(pick), again_node],
            name="main",
        ),
        "a branch": Graph(
            [node(f), branch(when_true="again", when_false=END)(pick), again_node], name="main"
        ),
        "the branch reversed": Graph(
            [node(f), branch(when_true=END, when_false="again")(pick), again_node], name="main"
        ),
        "a binding": base().bind(x=1),
        "another value": base().bind(x=2),
        "a value of another type": base().bind(x=1.0),
        "a selection": base().select("f"),
        "a nested graph": Graph([twice.as_node()], name="main"),
        "a nested graph with a binding": Graph([twice.bind(x=1).as_node()], name="main"),
        "a nested graph, mapped": Graph([twice.as_node().map_over("x")], name="main"),
        "a nested graph, mapped over two": Graph([twice.as_node().map_over("x", "y")], name="main"),
        "a nested graph, all combinations": Graph(
            [twice.as_node().map_over("x", "y", mode="product")], name="main"
        ),
        "a nested graph, namespaced": Graph([twice.as_node(namespaced=True)], name="main"),
        "a nested graph, exposed": Graph([twice.as_node(namespaced=True).expose("x")], name="main"),
        "a nested graph, swapped": Graph([twice.as_node().with_inputs(x="y", y="x")], name="main"),
        "a nested graph of another function": Graph(
            [Graph([node(g, name="f", output_name="f")], name="inner").as_node()], name="main"
        ),
        "an interrupt": Graph([InterruptNode("ask", "x", "y")], name="main"),
        "an interrupt of a type": Graph([InterruptNode("ask", "x", "y", bool)], name="main"),
        "a type route": Graph(
            [TypeRouteNode("kind", "x", {int: "f", str: END}), node(f)], name="main"
        ),
        "the type route reversed": Graph(
            [TypeRouteNode("kind", "x", {str: "f", int: END}), node(f)], name="main"
        ),
        "the type route with a fallback": Graph(
            [TypeRouteNode("kind", "x", {int: "f", str: END}, fallback=END), node(f)], name="main"
        ),
    }


def test_every_change_that_matters_changes_the_hash():
    hashes = {"nothing": base().definition_hash}
    for change, graph in changes().items():
        hashes[change] = graph.definition_hash
    by_hash = {}
    for change, found in hashes.items():
        by_hash.setdefault(found, []).append(change)
    assert [same for same in by_hash.values() if len(same) > 1] == []


def test_the_entrypoint_counts():
    def make(**options):
        step = node(f).with_inputs(x="f")
        return Graph([step, again_node, route(targets=["f", END])(pick)], **options).definition_hash

    assert len({make(), make(entrypoint="f"), make(entrypoint="pick")}) == 3


class Scaled:
    """A decorator with a state of its own, which names the function it wraps."""

    def __init__(self, func, factor):
        functools.update_wrapper(self, func)
        self.factor = factor

    def __call__(self, x):
        return self.factor * self.__wrapped__(x)


class Model:
    def __init__(self, size):
        self.size = size

    def predict(self, x):
        return x * self.size


@pytest.mark.parametrize(
    "func",
    [
        functools.partial(f, y=3),
        Model(3).predict,
        Model,
        Scaled(f, 2),
        functools.lru_cache(f),
        lambda x: x,
    ],
)
def test_every_callable_has_a_hash(func):
    def once():
        return node(func, name="step", output_name="y").definition_hash

    assert once() == once()
    assert once() != node(g, name="step", output_name="y").definition_hash


def test_what_a_callable_holds_counts_where_it_is_known():
    def of(**held):
        return node(functools.partial(f, **held), name="step").definition_hash

    assert of(y=1) == of(y=1)
    assert len({of(y=1), of(y=2), of()}) == 3
    definitions = {node(Scaled(func, 2), name="s").definition_hash for func in (f, g)}
    assert len(definitions) == 2
    assert node(Scaled(f, 2), name="s").define().definition.unkeyable  # so it is never cached


def test_a_graph_that_stands_in_many_places_is_hashed_once():
    graph = Graph([node(f)], name="g0")
    for level in range(60):  # 2**60 paths
        left = graph.as_node("left").with_outputs(f="a")
        right = graph.as_node("right").with_outputs(f="b")
        join = node(lambda a, b: a, name="f")
        graph = Graph([left, right, join], name=f"g{level + 1}").select("f")
    assert len(graph.definition_hash) == 64
