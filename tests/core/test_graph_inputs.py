"""What a graph takes and gives: inputs, bindings, selection, and views that cannot be changed."""

import copy

import pytest

from hypergraph import END, Graph, InterruptNode, node, route
from hypergraph.errors import GraphConfigError


@node
def load(path, limit=10):
    return path


@node(output_name="report")
def summarize(load, style="short", *, title):
    return load


@node(output_name="count")
def step(count, by=1):
    return count + by


@route(targets=["step", END])
def again(count, limit):
    return END


@node(output_name="messages")
def remember(messages, response):
    return messages


@node(output_name="response")
def respond(messages, user_input):
    return user_input


def test_required_inputs_come_first_and_every_name_once():
    inputs = Graph([load, summarize]).inputs
    assert inputs.required == ("path", "title")
    assert inputs.optional == ("limit", "style")
    assert inputs.seeds == ()
    assert inputs.all == ("path", "title", "limit", "style")
    assert dict(inputs.bound) == {}


def test_an_input_with_a_default_here_and_none_there_is_required():
    graph = Graph([load, node(lambda limit: limit, name="use")])
    assert graph.inputs.required == ("path", "limit")


def test_an_empty_graph_takes_and_gives_nothing():
    graph = Graph([])
    assert (graph.inputs.all, graph.outputs, dict(graph.nodes)) == ((), (), {})


def test_what_starts_a_cycle_is_its_seed():
    inputs = Graph([step, again]).inputs
    assert (inputs.required, inputs.seeds, inputs.optional) == (("limit",), ("count",), ("by",))
    inputs = Graph([again, step]).inputs
    assert inputs.seeds == ("count",)


def test_the_seeds_are_those_of_the_first_candidate_or_of_the_entrypoint():
    assert Graph([respond, remember]).inputs.seeds == ("messages",)
    assert Graph([remember, respond]).inputs.seeds == ("messages", "response")
    assert Graph([remember, respond], entrypoint="respond").inputs.seeds == ("messages",)


def test_a_value_that_is_made_before_the_cycle_is_no_seed():
    start = node(lambda path: 0, name="start", output_name="count")
    inputs = Graph([start, step, again]).inputs
    assert (inputs.required, inputs.seeds) == (("path", "limit"), ())


def test_a_defaulted_or_bound_seed_is_optional():
    assert Graph([step, again]).bind(count=0).inputs.seeds == ()
    assert "count" in Graph([step, again]).bind(count=0).inputs.optional
    begun = node(lambda count=0: count + 1, name="step", output_name="count")
    inputs = Graph([begun, again]).inputs
    assert (inputs.seeds, inputs.optional) == ((), ("count",))


def test_the_answer_of_an_interrupt_is_no_input():
    inputs = Graph([InterruptNode("ask", "draft", "answer")]).inputs
    assert inputs.all == ("draft",)


def test_the_order_of_declaration_decides_only_about_cycles():
    assert set(Graph([load, summarize]).inputs.all) == set(Graph([summarize, load]).inputs.all)


# --- bind and unbind -----------------------------------------------------------------------------


def test_bound_inputs_become_optional_in_a_new_graph():
    graph = Graph([load, summarize], name="main")
    bound = graph.bind(path="a", limit=3).bind({"title": "T"}).bind(path="b")
    assert dict(bound.bound) == {"path": "b", "limit": 3, "title": "T"}
    assert dict(bound.inputs.bound) == dict(bound.bound)
    assert bound.inputs.required == ()
    assert set(bound.inputs.optional) == {"path", "limit", "title", "style"}
    assert dict(graph.bound) == {}
    assert graph.inputs.required == ("path", "title")


def test_unbind_takes_back_some_or_all():
    bound = Graph([load, summarize]).bind(path="a", title="T")
    assert dict(bound.unbind("path").bound) == {"title": "T"}
    assert dict(bound.unbind().bound) == {}
    assert dict(bound.bound) == {"path": "a", "title": "T"}


def test_bound_values_are_kept_by_reference():
    value = []
    assert Graph([load]).bind(path=value).bound["path"] is value


@pytest.mark.parametrize(
    ("names", "what", "fix"),
    [
        (
            {"pth": 1},
            "unknown input 'pth'. Did you mean 'path'?",
            "inputs: path, title, limit, style.",
        ),
        (
            {"load": 1},
            "'load', which node 'load' produces.",
            "give the value as an input of the run",
        ),
        ({"report": 1}, "'report', which node 'summarize' produces.", "an input of the run"),
        ({3: 1}, "unknown input 3.", "inputs: path"),
    ],
)
def test_only_inputs_can_be_bound(names, what, fix):
    with pytest.raises(GraphConfigError) as caught:
        Graph([load, summarize], name="main").bind(names)
    assert what in caught.value.what
    assert fix in caught.value.fix
    assert caught.value.where == "graph 'main'"


def test_a_bound_value_never_stands_in_the_message():
    with pytest.raises(GraphConfigError) as caught:
        Graph([load]).bind(password="hunter2")
    assert "hunter2" not in str(caught.value)


def test_only_what_is_bound_can_be_unbound():
    graph = Graph([load]).bind(path="a")
    with pytest.raises(GraphConfigError, match=r"'pth', which is not bound. Did you mean 'path'"):
        graph.unbind("pth")
    with pytest.raises(GraphConfigError) as caught:
        Graph([load]).unbind("path")
    assert caught.value.fix == "name one of: (nothing is bound)."


# --- select --------------------------------------------------------------------------------------


def test_select_narrows_the_outputs_and_nothing_else():
    graph = Graph([load, summarize])
    chosen = graph.select("report")
    assert (graph.outputs, chosen.outputs) == (("load", "report"), ("report",))
    assert (graph.selected, chosen.selected) == (None, ("report",))
    assert chosen.select("load", "report", "load").outputs == ("load", "report")
    assert list(chosen.nodes) == ["load", "summarize"]
    assert chosen.inputs == graph.inputs
    assert chosen.bind(path=1).outputs == ("report",)


@pytest.mark.parametrize("name", ["reprt", "path", "summarize", ["report"]])
def test_only_outputs_can_be_selected(name):
    with pytest.raises(GraphConfigError, match="unknown output") as caught:
        Graph([load, summarize], name="main").select(name)
    assert caught.value.fix == "select among: load, report."
    if name == "reprt":
        assert "Did you mean 'report'?" in caught.value.what


# --- immutability --------------------------------------------------------------------------------


def test_a_graph_cannot_be_changed():
    graph = Graph([load]).bind(path=1)
    for name in ("name", "nodes", "entrypoints", "anything"):
        with pytest.raises(AttributeError, match="A Graph is immutable"):
            setattr(graph, name, 1)
        with pytest.raises(AttributeError, match="A Graph is immutable"):
            delattr(graph, name)
    for view in (graph.nodes, graph.bound, graph.inputs.bound):
        with pytest.raises(TypeError, match="does not support item assignment"):
            view["x"] = 1
    with pytest.raises(AttributeError, match="cannot assign"):
        graph.inputs.required = ()
    assert copy.copy(graph) is graph


def test_what_is_passed_in_can_change_without_changing_the_graph():
    nodes, points, values = [step, again], ["step"], {"limit": 3}
    graph = Graph(nodes, entrypoint=points).bind(values)
    nodes.append(load)
    points.append("again")
    values["count"] = 1
    assert list(graph.nodes) == ["step", "again"]
    assert graph.entrypoints == ("step",)
    assert dict(graph.bound) == {"limit": 3}
