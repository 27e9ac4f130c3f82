"""A graph as a node: ports, prefixes, maps, runners, features, and depth."""

import pytest

from hypergraph import END, Graph, GraphNode, InterruptNode, RunnerCapabilities, node, route
from hypergraph.errors import GraphConfigError, IncompatibleRunnerError, RunnerNotFoundError
from hypergraph_runner_sync import SyncRunner


@node
def embed(query, model="small"):
    return query


@node(output_name="docs")
def retrieve(embed, top_k):
    return embed


@node
async def ask_model(docs):
    return docs


@node(output_name="count")
def step(count):
    return count


@route(targets=["step", END])
def again(count):
    return END


rag = Graph([embed, retrieve], name="rag")
ask = Graph([InterruptNode("approve", "draft", "verdict")], name="review")
loop = Graph([step, again], name="loop")
counting = loop.as_node().with_outputs(count="total")


def test_a_nested_graph_takes_and_gives_what_the_graph_does():
    inner = rag.as_node()
    assert isinstance(inner, GraphNode)
    assert (inner.name, inner.graph, inner.runner) == ("rag", rag, None)
    assert inner.inputs == ("query", "top_k", "model")
    assert inner.outputs == ("embed", "docs")
    assert [inner.has_default(name) for name in inner.inputs] == [False, False, True]
    assert rag.as_node("search").name == "search"
    assert rag.select("docs").as_node().outputs == ("docs",)


def test_bound_inputs_and_seeds_of_the_inner_graph():
    assert rag.bind(top_k=3).as_node().has_default("top_k")
    assert loop.as_node().inputs == ("count",)
    assert not loop.as_node().has_default("count")
    assert Graph([rag.bind(top_k=3).as_node()]).inputs.required == ("query",)
    assert Graph([rag.bind(top_k=3).as_node()]).inputs.optional == ("model", "top_k")


def test_a_nested_graph_has_no_default_of_its_own():
    with pytest.raises(KeyError):
        rag.as_node().default("model")


@pytest.mark.parametrize("name", [None, "a.b", "a/b", "", 3])
def test_a_nested_graph_needs_a_valid_name(name):
    with pytest.raises(GraphConfigError) as caught:
        Graph([embed]).as_node(name)
    assert caught.value.where == "as_node()"
    assert caught.value.fix


# --- ports ---------------------------------------------------------------------------------------


def test_renamed_ports_lead_to_the_same_inside():
    inner = rag.as_node().with_inputs(query="question").with_outputs(docs="found").with_name("r")
    assert dict(inner.inner_inputs) == {"question": "query", "top_k": "top_k", "model": "model"}
    assert dict(inner.inner_outputs) == {"embed": "embed", "found": "docs"}
    assert not inner.has_default("question")
    with pytest.raises(GraphConfigError, match="It was renamed to 'question'"):
        inner.with_inputs(query="q")


def test_a_namespace_prefixes_every_port():
    inner = rag.as_node(namespaced=True)
    assert inner.inputs == ("rag.query", "rag.top_k", "rag.model")
    assert inner.outputs == ("rag.embed", "rag.docs")
    assert inner.has_default("rag.model")
    both = Graph([inner, inner.with_name("other")])
    assert both.inputs.required == ("rag.query", "rag.top_k", "other.query", "other.top_k")
    assert dict(both.bind({"rag.top_k": 3}).bound) == {"rag.top_k": 3}


def test_exposed_ports_get_their_flat_names_back():
    inner = rag.as_node(namespaced=True).expose("query", "docs")
    assert inner.inputs == ("query", "rag.top_k", "rag.model")
    assert inner.outputs == ("rag.embed", "docs")
    assert inner.with_name("r").inputs == ("query", "r.top_k", "r.model")
    assert dict(inner.inner_inputs)["query"] == "query"
    with pytest.raises(
        GraphConfigError, match=r"unknown port 'quary'. Did you mean 'query'\?"
    ) as e:
        inner.expose("quary")
    assert e.value.where == "nested graph 'rag'"


def test_two_ports_never_share_a_name():
    with pytest.raises(GraphConfigError, match="Two inputs of one node are both called 'top_k'"):
        rag.as_node().with_inputs(query="top_k")
    with pytest.raises(GraphConfigError, match="Two inputs of one node are both called 'query'"):
        rag.as_node().with_inputs(query="other", model="query").expose("query")


def test_the_maps_of_ports_cannot_be_changed():
    for inner in (rag.as_node(), rag.as_node().with_inputs(query="q").with_outputs(docs="d")):
        for ports in (inner.inner_inputs, inner.inner_outputs):
            with pytest.raises(TypeError, match="does not support item assignment"):
                ports["x"] = "y"


# --- map_over ------------------------------------------------------------------------------------


def test_map_over_gives_a_new_node():
    inner = rag.as_node()
    mapped = inner.map_over("query", "top_k", mode="product")
    assert (mapped.map_params, mapped.map_mode) == (("query", "top_k"), "product")
    assert inner.map_params == ()
    assert mapped.map_over("query").map_mode == "zip"
    assert mapped.with_inputs(query="questions").map_params == ("questions", "top_k")
    assert rag.as_node(namespaced=True).map_over("rag.query").expose("query").map_params == (
        "query",
    )


def test_a_mapped_input_always_needs_its_list():
    assert rag.as_node().has_default("model")
    assert not rag.as_node().map_over("model").has_default("model")


@pytest.mark.parametrize(
    ("names", "options", "says"),
    [
        ((), {}, "needs the name of an input"),
        (("qery",), {}, r"unknown input 'qery'. Did you mean 'query'\?"),
        (("docs",), {}, "unknown input 'docs'"),
        (("query", "query"), {}, "both called 'query'"),
        (("query",), {"mode": "all"}, "neither 'zip' nor 'product'"),
    ],
)
def test_what_cannot_be_mapped(names, options, says):
    with pytest.raises(GraphConfigError, match=says) as caught:
        rag.as_node().map_over(*names, **options)
    assert caught.value.where == "nested graph 'rag'"
    assert caught.value.fix


def test_a_graph_with_interrupts_cannot_be_mapped_however_deep_they_are():
    for graph, path in ((ask, "approve"), (Graph([ask.as_node()], name="outer"), "review/approve")):
        with pytest.raises(GraphConfigError, match=f"{path!r} would pause"):
            graph.as_node().map_over("draft")


# --- runners and features ------------------------------------------------------------------------


def test_a_runner_of_its_own_is_resolved_and_checked_at_once():
    runner = SyncRunner()
    assert rag.as_node(runner=runner).runner is runner
    for given in ("sync", SyncRunner):
        assert isinstance(rag.as_node().with_runner(given).runner, SyncRunner)
    assert rag.as_node(runner=runner).with_runner(None).runner is None
    with pytest.raises(RunnerNotFoundError, match=r"Did you mean 'sync'\?"):
        rag.as_node(runner="synk")
    with pytest.raises(IncompatibleRunnerError) as caught:
        Graph([ask_model], name="llm").as_node(runner="sync")
    assert (caught.value.feature, caught.value.node) == ("async_nodes", "ask_model")


def test_features_name_a_node_by_its_path():
    llm = Graph([ask_model], name="llm")
    outer = Graph([rag.as_node(), llm.as_node("answer"), ask.as_node(), counting], name="outer")
    features = Graph([outer.as_node("deep")]).features
    assert features.async_nodes == "deep/answer/ask_model"
    assert features.interrupts == "deep/review/approve"
    assert features.cycles == "deep/loop/step"
    assert features.gates == "deep/loop/again"
    assert (outer.has_cycles, outer.has_gates, outer.has_interrupts, outer.has_async_nodes) == (
        True,
    ) * 4
    assert (rag.has_cycles, rag.has_gates, rag.has_interrupts, rag.has_async_nodes) == (False,) * 4
    with pytest.raises(IncompatibleRunnerError) as caught:
        RunnerCapabilities(supports_cycles=False).validate_graph(outer, runner="Plain")
    assert (caught.value.feature, caught.value.node) == ("cycles", "loop/step")


def test_an_inner_graph_with_its_own_runner_asks_nothing_of_the_outer_one():
    outer = Graph([counting.with_runner("sync")])
    assert (outer.features.cycles, outer.features.gates) == (None, None)


# --- size ----------------------------------------------------------------------------------------


def nested(depth):
    graph = Graph([embed], name="g0")
    for level in range(1, depth + 1):
        graph = Graph([graph.as_node()], name=f"g{level}")
    return graph


def test_a_nesting_depth_of_200_needs_no_recursion():
    graph = nested(200)
    assert graph.inputs.required == ("query",)
    assert graph.inputs.optional == ("model",)
    assert graph.outputs == ("embed",)
    assert graph.nesting.depth == 200
    assert graph.features.cycles is None
    assert len(graph.definition_hash) == 64
    assert graph.bind(query=1).inputs.required == ()
    assert graph.as_node().definition_hash != nested(199).as_node().definition_hash


def test_a_chain_of_10000_nodes_is_built_without_recursion():
    step = node(lambda x: x, name="step", output_name="y")
    nodes = [
        step.with_name(f"n{i}").with_inputs(x=f"v{i}").with_outputs(y=f"v{i + 1}")
        for i in range(10000)
    ]
    graph = Graph(nodes)
    assert (graph.inputs.required, len(graph.data_edges)) == (("v0",), 9999)
    assert graph.features.cycles is None
    circle = Graph([nodes[0].with_inputs(v0="v10000"), *nodes[1:]])
    assert (circle.inputs.seeds, circle.features.cycles) == (("v10000",), "n0")
