"""What a graph refuses when it is built, with what, where and how to fix it; and what it allows."""

import sys

import pytest

from hypergraph import END, Graph, SyncRunner, branch, node, route
from hypergraph.errors import GraphConfigError


def make(text, output=None, **options):
    """Make a node from ``"name(input, ...)"``, or ``"name(input, ...) -> output"``."""
    head, _, output = text.partition(" -> ")
    space = {}
    exec(f"def {head}: return 0", space)
    func = space[head.partition("(")[0]]
    return node(func, output_name=output or func.__name__, **options)


def gate(text, *targets, **options):
    space = {}
    exec(f"def {text}: return None", space)
    return route(targets=list(targets), **options)(space[text.partition("(")[0]])


def refused(nodes, **options):
    with pytest.raises(GraphConfigError) as caught:
        Graph(nodes, name="main", **options)
    assert caught.value.where == "graph 'main'"
    assert caught.value.fix
    return caught.value


a, b, c = make("a(x)"), make("b(a)"), make("c(b)")


def test_nodes_are_wired_by_name_in_declaration_order():
    graph = Graph([c, a, b], name="main")
    assert list(graph.nodes) == ["c", "a", "b"]
    assert graph.data_edges == (("a", "b", "a"), ("b", "c", "b"))
    assert graph.control_edges == ()
    assert graph.outputs == ("c", "a", "b")
    assert repr(graph) == "<Graph 'main': c, a, b>"


def test_a_gates_targets_are_control_edges_without_end():
    graph = Graph([a, b, gate("pick(a)", "b", END)])
    assert graph.control_edges == (("pick", "b"),)
    assert graph.data_edges == (("a", "b", "a"), ("a", "pick", "a"))


@pytest.mark.parametrize("nodes", [a, None, 5])
def test_a_graph_takes_a_list_of_nodes(nodes):
    assert refused(nodes).what == "A graph takes a list of nodes."


def test_whatever_is_not_a_node_is_named_by_position_and_type():
    error = refused([a, len])
    assert error.what == "Item 1 is not a node but a builtin_function_or_method."
    assert error.fix == "decorate the function with @node."
    assert refused([Graph([a])]).fix == "use graph.as_node() to nest a graph."
    assert refused([a, "b"]).fix == "list the nodes themselves: Graph([first, second])."


def test_two_nodes_of_one_name():
    error = refused([a, b, make("a(y) -> z")])
    assert error.what == "Two nodes are both called 'a'."
    assert error.fix == 'rename one of them: node.with_name("a_2").'


@pytest.mark.parametrize("name", ["a.b", "a/b", "", 3])
def test_the_name_of_a_graph_is_checked(name):
    with pytest.raises(GraphConfigError, match="The graph name"):
        Graph([a], name=name)


def test_an_unknown_target_is_answered_with_the_nearest_node():
    nodes = [make("write(x)"), make("review(write)")]
    error = refused([*nodes, gate("pick(write)", "wrte", END)])
    assert error.what == "Gate 'pick' has an unknown target 'wrte'. Did you mean 'write'?"
    error = refused([*nodes, gate("pick(write)", "review", "END")])
    assert error.what.endswith("unknown target 'END'. END is written without quotes.")
    error = refused([*nodes, branch(when_true="review", when_false="stop")(lambda_named("pick"))])
    assert error.what == "Gate 'pick' has an unknown target 'stop'."


def lambda_named(name):
    def func(write):
        return True

    func.__name__ = name
    return func


# --- two producers of one output ----------------------------------------------------------------


def test_two_producers_that_could_both_run_are_refused():
    error = refused([make("one(x) -> y"), make("two(x) -> y")])
    assert error.what == "Nodes 'one' and 'two' both produce 'y'."
    assert 'with_outputs(y="other_name")' in error.fix


@pytest.mark.parametrize("options", [{}, {"multi_target": True}])
def test_the_targets_of_a_gate_may_produce_the_same(options):
    pick = gate("pick(x)", "one", "two", END, **options)
    Graph([pick, make("one(x) -> y"), make("two(x) -> y"), make("show(y)")])


def test_a_producer_beside_the_gate_is_not_exclusive():
    pick = gate("pick(x)", "one", END)
    assert "'one' and 'two'" in refused([pick, make("one(x) -> y"), make("two(x) -> y")]).what


def test_what_only_a_target_leads_to_is_exclusive_as_well():
    pick = gate("pick(x)", "one", "two")
    left = [make("one(x)"), make("left(one)"), make("leftmost(left, x) -> y")]
    right = [make("two(x)"), make("right(two, one2=0) -> y")]
    Graph([pick, *left, *right])
    inner = gate("again(two)", "deep", "deeper")
    Graph([pick, *left, right[0], inner, make("deep(x) -> y"), make("deeper(x) -> y")])


def test_a_default_or_another_producer_breaks_the_exclusion():
    pick = gate("pick(x)", "one", "two")
    nodes = [pick, make("one(x)"), make("two(x) -> y")]
    assert "'two' and 'after'" in refused([*nodes, make("after(one=0) -> y")]).what
    two_ways = gate("other(x)", "one", END)
    assert "'two' and 'after'" in refused([*nodes, two_ways, make("after(one) -> y")]).what


def test_nodes_of_one_cycle_may_produce_the_same():
    nodes = [make("draft(text)"), make("polish(draft) -> text"), make("fix(draft) -> text")]
    Graph([*nodes, gate("more(text)", "draft", END)])


def test_a_loop_may_revise_what_was_made_before_it():
    start, revise = make("start(topic) -> text"), make("revise(text, review) -> text")
    review, more = make("review(text)"), gate("more(review)", "revise", END)
    Graph([start, review, more, revise])
    Graph([revise, more, review, start])
    other = make("rewrite(topic) -> text")
    assert "'start' and 'rewrite'" in refused([start, review, more, revise, other]).what


def test_two_that_start_one_loop_must_be_exclusive():
    loop = [make("revise(text) -> text"), gate("more(text)", "revise", END)]
    starts = [make("write(topic) -> text"), make("load(topic) -> text")]
    assert "'write' and 'load'" in refused([*starts, *loop]).what
    Graph([gate("pick(topic)", "write", "load"), *starts, *loop])


def test_a_producer_behind_the_loop_is_not_part_of_it():
    loop = [make("step(n) -> n"), gate("more(n)", "step", END)]
    assert refused([*loop, make("total(n) -> sum"), make("other(n) -> sum")])


def calls_to_build(targets):
    """Count the Python calls that building takes when so many targets of a gate produce the same."""
    names = [f"t{i}" for i in range(targets)]
    nodes = [gate("pick(x)", *names), *(make(f"{name}(x) -> y") for name in names)]
    count = 0

    def count_calls(frame, event, arg):
        nonlocal count
        count += event == "call"

    sys.setprofile(count_calls)
    try:
        Graph(nodes)
    finally:
        sys.setprofile(None)
    return count


def test_many_targets_that_produce_the_same_cost_no_more_than_their_pairs():
    assert calls_to_build(80) < 5 * calls_to_build(40)


# --- cycles -------------------------------------------------------------------------------------


def test_a_cycle_whose_gates_offer_no_way_out_is_refused():
    nodes = [make("think(obs)"), make("act(think) -> obs")]
    error = refused([*nodes, gate("enough(think)", "act")])
    assert "The cycle of 'think', 'act', 'enough' has no way out" in error.what
    assert error.fix == "add END to the targets of one of its gates."
    Graph([*nodes, gate("enough(think)", "act", END)])
    Graph([*nodes, make("report(x)"), gate("enough(think)", "act", "report")])
    Graph([*nodes, gate("enough(think)", "act", fallback=END)])


def test_the_way_out_must_belong_to_the_cycle_itself():
    nodes = [make("step(n) -> n"), gate("more(n)", "step")]
    assert (
        "'step', 'more'" in refused([*nodes, gate("other(n)", "show", END), make("show(n)")]).what
    )


def test_a_cycle_without_gates_needs_no_way_out():
    graph = Graph(
        [make("respond(messages, user)"), make("remember(messages, respond) -> messages")]
    )
    assert graph.has_cycles


def test_an_entrypoint_exists_and_lies_in_a_cycle():
    nodes = [make("load(path)"), make("step(n, load) -> n"), gate("more(n)", "step", END)]
    assert Graph(nodes, entrypoint="step").entrypoints == ("step",)
    assert Graph(nodes, entrypoint=["more", "step"]).entrypoints == ("more", "step")
    assert Graph(nodes, entrypoint=[]).entrypoints == ()
    error = refused(nodes, entrypoint="stp")
    assert error.what == "The entrypoint 'stp' does not exist. Did you mean 'step'?"
    error = refused(nodes, entrypoint="load")
    assert error.what == "The entrypoint 'load' does not lie in a cycle, so it decides nothing."
    for wrong in (nodes[1], [nodes[1]], 3, {"step"}):
        assert "must be a string, not" in refused(nodes, entrypoint=wrong).what


# --- explicit edges -----------------------------------------------------------------------------


def test_stated_edges_that_the_names_give():
    graph = Graph([a, b, c], edges=[("a", "b"), ["b", "c", "b"]])
    assert graph.data_edges == Graph([a, b, c]).data_edges
    inner = Graph([a], name="rag").as_node(namespaced=True)
    Graph([inner, make("use(y)").with_inputs(y="q"), a], edges=[])
    use = make("use(y)", rename_inputs={"y": "a"})
    Graph([inner.expose("a"), use], edges=[("rag", "use", "a")])


@pytest.mark.parametrize(
    ("edges", "what", "fix"),
    [
        ([("a", "b")], "'b' feeds 'c' through 'b', which edges= does not list.", '("b", "c")'),
        ([("a", "b"), ("b", "c"), ("a", "c")], "edges= leads from 'a' to 'c'", "with_outputs()"),
        ([("a", "b", "x"), ("b", "c")], "no output named 'x'", "with_outputs()"),
        ([("a", "bb"), ("b", "c")], "unknown node 'bb'. Did you mean 'b'?", "nodes of this graph"),
        (["ab"], "An edge is (producer, consumer)", "edges=[("),
        ([("a",)], "An edge is (producer, consumer)", "edges=[("),
        ([3], "An edge is (producer, consumer)", "edges=[("),
        ([(a, b)], "An edge is (producer, consumer)", "edges=[("),
    ],
)
def test_stated_edges_that_differ_from_the_names(edges, what, fix):
    error = refused([a, b, c], edges=edges)
    assert what in error.what
    assert fix in error.fix


def test_a_gate_leads_out_of_a_loop_though_a_value_comes_round_to_a_gated_node():
    """An agent with memory: what is remembered is read by the next turn, and starts none by itself."""

    @node(output_name="thought")
    def think(messages, obs=""):
        return f"{messages[-1]} {obs}"

    @route(targets=["act", "answer"])
    def pick(thought):
        return "answer" if "seen" in thought else "act"

    @node(output_name="obs")
    def act(thought):
        return "seen"

    @route(targets=["think"])
    def back(obs):
        return "think"

    @node(output_name="reply")
    def answer(thought):
        return f"re {thought}"

    @node(output_name="messages")
    def remember(messages, reply):
        return [*messages, reply]

    agent = Graph([think, pick, act, back, answer, remember], entrypoint="think")
    outputs = SyncRunner().run(agent, {"messages": ["hi"]})
    assert outputs["messages"] == ["hi", "re hi seen"]

    @route(targets=["act"])
    def never_enough(thought):
        return "act"

    with pytest.raises(GraphConfigError, match="has no way out"):
        Graph([think, never_enough, act, back, remember.with_inputs(reply="obs")])
