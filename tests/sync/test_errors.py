"""What a node raises reaches the caller unchanged, with one note that says where."""

import gc
import pickle
import traceback
import weakref
from dataclasses import dataclass

import pytest

from hypergraph import END, Graph, branch, node, route
from hypergraph.errors import OutputCountError
from hypergraph.events import NodeErrorEvent, RunEndEvent
from hypergraph.results import RunStatus
from tests.sync.support import UNCACHED_IS_FINE, Listener, in_every_lane, notes

pytestmark = UNCACHED_IS_FINE


class OwnError(Exception):
    pass


@dataclass(frozen=True)
class FrozenError(Exception):
    code: int = 7


class StubbornError(Exception):
    def __setattr__(self, name, value):
        raise TypeError("no attributes here")

    def __getattr__(self, name):
        return self.response[name]  # as careless as it looks: recurses without end

    def add_note(self, note):
        raise TypeError("no notes here")


class OddNotesError(Exception):
    __notes__ = None


def failing(error, *params, name="parse"):
    """Make a node that raises this very error."""

    def raise_it(*values):
        raise error

    source = f"lambda {', '.join(params)}: raise_it({', '.join(params)})"
    return node(eval(source, {"raise_it": raise_it}), name=name, output_name="parsed")


def caught(function, *args, **options):
    """Return what a call raises."""
    try:
        function(*args, **options)
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


@in_every_lane
@pytest.mark.parametrize(
    "kind",
    [
        OwnError,
        FrozenError,
        StubbornError,
        OddNotesError,
        KeyError,
        RuntimeError,
        StopIteration,
        StopAsyncIteration,
        GeneratorExit,
        KeyboardInterrupt,
        SystemExit,
    ],
)
@pytest.mark.parametrize("wrap", ["plain", "nested", "mapped", "twice"])
def test_the_very_object_reaches_the_caller(runner, kind, wrap):
    error = kind(3)
    graph = Graph([failing(error, "text")], name="main")
    inputs = {"text": "t"}
    for _ in range({"plain": 0, "twice": 2}.get(wrap, 1)):
        graph = Graph([graph.as_node(name="inner")], name="main")
    if wrap == "mapped":
        graph = Graph([Graph([failing(error, "text")], name="inner").as_node().map_over("text")])
        inputs = {"text": ["t"]}
    for _ in range(2):  # raised again, it is still the same
        assert caught(runner.run, graph, inputs) is error
        assert error.args == (3,)
        assert error.__cause__ is error.__context__ is None
    if kind is not StubbornError:
        placed = isinstance(error, Exception) and kind is not FrozenError
        assert len(notes(error)) == placed


@in_every_lane
def test_one_note_names_graph_path_and_inputs(runner):
    def parse(text, strict):
        raise OwnError

    def note(graph, **inputs):
        (text,) = notes(caught(runner.run, graph, inputs))
        return text.removeprefix("hypergraph: ")

    inner = Graph([node(parse)], name="inner")
    inner_inputs = {"text": 1, "strict": 2}
    assert note(Graph([*inner.nodes.values()]), **inner_inputs) == (
        "node 'parse' failed; inputs: text, strict"
    )
    middle = Graph([inner.as_node()], name="middle")
    assert note(Graph([middle.as_node()], name="main"), **inner_inputs) == (
        "node 'middle/inner/parse' of graph 'main' failed; inputs: text, strict"
    )
    mapped = Graph([inner.as_node().map_over("text")], name="middle")
    assert note(Graph([mapped.as_node()], name="main"), text=[1], strict=2) == (
        "node 'middle/inner[0]/parse' of graph 'main' failed; inputs: text, strict"
    )
    assert note(Graph([failing(OwnError())])) == "node 'parse' failed; inputs: none"


@in_every_lane
def test_the_note_names_the_failing_items_of_maps_in_maps(runner):
    picky = node(lambda x: 1 // x, name="picky", output_name="out")
    rows = Graph([Graph([picky], name="row").as_node().map_over("x")], name="rows")
    graph = Graph([rows.as_node().map_over("x")], name="main")
    error = caught(runner.run, graph, {"x": [[1], [1, 2, 0]]})
    assert notes(error) == [
        "hypergraph: node 'rows[1]/row[2]/picky' of graph 'main' failed; inputs: x"
    ]
    whole = caught(runner.map, rows, {"x": [[1], [0]]}, map_over="x")
    assert notes(whole) == [
        "hypergraph: node 'row[0]/picky' of graph 'rows' (map item 1) failed; inputs: x"
    ]


@in_every_lane
def test_notes_of_the_user_stay(runner):
    error = OwnError()
    error.add_note("mine")
    assert caught(runner.run, Graph([failing(error, "a")]), {"a": 1}) is error
    assert [n for n in error.__notes__ if n not in notes(error)] == ["mine"]


@in_every_lane
def test_an_exception_raised_again_elsewhere_says_both_places(runner):
    error = OwnError()
    runner_error = caught(runner.run, Graph([failing(error, "a", name="first")]), {"a": 1})
    assert caught(runner.run, Graph([failing(error, "a", name="second")]), {"a": 1}) is error
    assert [text.split("'")[1] for text in notes(runner_error)] == ["first", "second"]


@in_every_lane
def test_errors_of_gates_and_generators_are_placed_too(runner):
    def chunks(a):
        yield "a"
        raise OwnError

    decide = route(targets=[END], name="decide")(lambda a: [a][a])
    truth = branch(when_true=END, when_false=END, name="truth")(lambda a: Untrue())
    parts = node(lambda a: (1,), name="parts", output_name=("a1", "a2"))
    for item, kind in [(node(chunks), OwnError), (decide, IndexError), (truth, ArithmeticError),
                       (parts, OutputCountError)]:  # fmt: skip
        error = caught(runner.run, Graph([item]), {"a": 1})
        assert type(error) is kind
        assert notes(error) == [f"hypergraph: node {item.name!r} failed; inputs: a"]


class Untrue:
    def __bool__(self):
        raise ArithmeticError


@in_every_lane
def test_the_traceback_ends_in_the_users_function(runner):
    def deep_inside(text):
        raise OwnError

    def parse(text):
        return deep_inside(text)

    for graph in (Graph([node(parse)]), Graph([Graph([node(parse)], name="inner").as_node()])):
        error = caught(runner.run, graph, {"text": "t"})
        names = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
        assert names[-2:] == ["parse", "deep_inside"]


@in_every_lane
def test_later_nodes_of_the_generation_do_not_run(runner):
    ran = []
    first = node(lambda a: ran.append("first"), name="first", cache=False)
    last = node(lambda a: ran.append("last"), name="last", cache=False)
    caught(runner.run, Graph([first, failing(OwnError(), "a"), last]), {"a": 1})
    assert ran == ["first"]


@in_every_lane
def test_a_failed_run_is_freed_without_the_garbage_collector(runner):
    def fail(a):
        raise OwnError

    listening = list(runner.event_processors)
    gc.collect()
    gc.disable()
    try:
        for graph in (Graph([node(fail)]), Graph([Graph([node(fail)], name="inner").as_node()])):
            error = caught(runner.run, graph, {"a": 1})
            kept = weakref.ref(error)
            del error
            for listener in listening:
                listener.events.clear()
            assert kept() is None
    finally:
        gc.enable()


@in_every_lane
def test_an_error_with_its_note_can_be_pickled(runner):
    error = caught(runner.run, Graph([failing(OwnError("x"), "a")]), {"a": 1})
    assert pickle.loads(pickle.dumps(error)).__notes__ == notes(error)


@pytest.mark.parametrize("error", [OwnError(), StopIteration()], ids=["any", "StopIteration"])
def test_events_tell_the_error_itself(runner, error):
    listener = Listener()
    graph = Graph([Graph([failing(error, "a")], name="inner").as_node()], name="main")
    caught(runner.run, graph, {"a": 1}, event_processors=[listener])
    told = listener.of(NodeErrorEvent)
    assert [event.node_name for event in told] == ["parse", "inner"]
    ends = listener.of(RunEndEvent)
    assert [event.graph_name for event in ends] == ["inner", "main"]
    assert {event.status for event in ends} == {RunStatus.FAILED}
    assert all(event.error is error for event in (*told, *ends))


def test_an_interruption_ends_the_run_for_listeners_too(runner):
    listener = Listener()
    graph = Graph([failing(KeyboardInterrupt(), "a")])
    caught(runner.run, graph, {"a": 1}, event_processors=[listener])
    assert listener.steps()[-1] == "RunEnd"
    assert listener.of(RunEndEvent)[0].status is RunStatus.FAILED
