"""No value of the user ever enters a message, a note, a warning or a log, or is kept for long."""

import sys

import pytest

from hypergraph import END, Graph, branch, node, route
from hypergraph_runner_sync import SyncRunner
from tests.sync.support import LANES, Listener

SECRET = "the-secret-value-of-the-user"


def fail(x):
    raise LookupError("no")


class Secret(str):
    """A value whose every text is secret; it cannot be keyed."""

    __slots__ = ("more",)

    def __repr__(self):
        return SECRET


class TalkingCache:
    """A cache all of whose methods fail."""

    def get(self, key):
        raise OSError("get")

    def put(self, key, value):
        raise OSError("put")

    def flush(self):
        raise OSError("flush")


def shapes():
    """Yield graphs that fail, or are refused, while they hold the secret in every place."""
    ok = node(lambda x: SECRET, name="ok", output_name="y")
    boom = node(fail, name="boom")
    for gate in (
        route(targets=["ok"], name="gate")(lambda x: x),
        route(targets=["ok"], name="gate")(lambda x: [x]),
        route(targets=["ok"], name="gate", multi_target=True)(lambda x: [x]),
        route(targets=["ok"], name="gate", multi_target=True)(lambda x: x),
        route(targets=["ok"], name="gate", multi_target=True)(lambda x: {x: x}),
        branch(when_true="ok", when_false=END, name="gate")(lambda x: None),
    ):
        yield Graph([gate, ok])
    yield Graph([boom])
    yield Graph([Graph([boom], name="inner").as_node()])
    yield Graph([Graph([boom], name="inner").as_node().map_over("x")])
    yield Graph([Graph([boom], name="inner").as_node().map_over("x")]).bind(x=[SECRET])
    yield Graph([ok, node(lambda y: (y, y, y), name="wrong", output_name=("a", "b"))])
    yield Graph([node(lambda x: x, name="wrong", output_name=("a", "b"))])
    yield Graph([node(lambda x, y=SECRET: iter(x), name="once"), boom])
    yield Graph([boom, node(lambda z: z, name="needs")])
    loop = node(lambda x: x, name="loop", output_name="x", cache=False)
    yield Graph([loop, branch(when_true="loop", when_false=END, name="on")(lambda x: True)])
    pick = route(targets=["a", "b"], multi_target=True, name="pick")(lambda x: ["a", "b"])
    two = [node(lambda x: x, name=name, output_name="out") for name in "ab"]
    yield Graph([pick, *two])


class Complaining(Listener):
    def on_event(self, event):
        raise ValueError(SECRET)


@pytest.mark.filterwarnings("always")
@pytest.mark.parametrize("value", [SECRET, Secret(SECRET), [SECRET], {SECRET: SECRET}])
@pytest.mark.parametrize("how", ["run", "map"])
def test_no_value_of_the_user_is_ever_written(value, how, recwarn, caplog, capfd):
    lanes = [*LANES.values(), lambda: SyncRunner(TalkingCache(), [Complaining()])]
    texts, failed = [], 0
    for graph in shapes():
        for make in lanes:
            for inputs in ({"x": value}, {"x": value, "w": value}):
                try:
                    if how == "run":
                        make().run(graph, inputs)
                    else:
                        make().map(graph, {**inputs, "x": [value]}, map_over="x")
                except Exception as error:
                    failed += 1
                    chain = [error]
                    while chain[-1].__context__ is not None:
                        chain.append(chain[-1].__context__)
                    texts += [str(e) for e in chain]
                    texts += [n for e in chain for n in getattr(e, "__notes__", ())]
    texts += [str(warning.message) for warning in recwarn]
    texts += [caplog.text, *capfd.readouterr()]
    assert failed > 50
    assert len(recwarn) > 10
    assert [text for text in texts if SECRET in text] == []


def test_what_a_gate_returned_is_not_kept():
    text = repr(("a text", "made now"))
    graph = Graph(
        [
            branch(when_true="a", when_false=END, name="pick")(lambda x: x),
            node(lambda x: x, name="a"),
        ]
    )
    before = sys.getrefcount(text)
    assert SyncRunner().run(graph, {"x": text}) == {"a": text}
    assert sys.getrefcount(text) == before
