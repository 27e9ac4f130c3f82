"""Gates and cycles: the worked examples, in whatever order the nodes are declared."""

from itertools import permutations

import pytest

from hypergraph import END, Graph, TypeRouteNode, branch, node, route
from hypergraph.errors import ConflictError, InfiniteLoopError, MissingInputError, RouteError
from tests.sync.support import UNCACHED_IS_FINE, in_every_lane, notes

pytestmark = UNCACHED_IS_FINE

calls = []


@pytest.fixture(autouse=True)
def _fresh():
    calls.clear()


def called(name, *params, result=None, output=None):
    """Make a node that takes note of its call; by default it returns its first input."""
    values = {"calls": calls, "result": result or (lambda *given: given[0])}
    source = f"lambda {', '.join(params)}: (calls.append({name!r}), result({', '.join(params)}))[1]"
    return node(eval(source, values), name=name, output_name=output or name, cache=False)


@node(output_name="count", cache=False)
def step(count):
    return count + 1


@branch(when_true="step", when_false=END)
def again(count, limit=1000):
    return count < limit


def orders(*nodes, **options):
    """Return a graph for every order of declaration."""
    return [Graph(order, **options) for order in permutations(nodes)]


def gate(name, result, *params, targets, **options):
    function = eval(f"lambda {', '.join(params)}: result({', '.join(params)})", {"result": result})
    return route(targets=targets, name=name, **options)(function)


@in_every_lane
def test_a_counter_counts_to_its_end(runner):
    for graph in orders(step, again):
        runs = runner.run(graph, {"count": 0})
        assert runs == {"count": 1000}


@in_every_lane
def test_a_node_behind_a_gate_never_runs_unselected(runner):
    think = called("think", "obs", output="thought")
    act = called("act", "thought", output="obs")
    enough = gate("enough", lambda thought: END, "thought", targets=["act", END])
    for graph in orders(think, enough, act):
        calls.clear()
        assert runner.run(graph, {"obs": 0}) == {"thought": 0}
        assert calls == ["think"]


@in_every_lane
def test_a_join_inside_a_loop_runs_once_per_round_with_values_of_that_round(runner):
    parts = [
        called("a", "n"),
        called("b", "a"),
        called("c1", "a"),
        called("c2", "c1"),
        called("d", "b", "c2", result=lambda b, c2: (b, c2)),
        called("next", "d", "n", output="n", result=lambda d, n: n + 1),
        gate("more", lambda n: "a" if n < 3 else END, "n", targets=["a", END]),
    ]
    for shift in range(len(parts)):
        for order in (parts[shift:] + parts[:shift], (parts[shift:] + parts[:shift])[::-1]):
            calls.clear()
            outputs = runner.run(Graph(order, entrypoint="a"), {"n": 0})
            assert (outputs["d"], outputs["n"]) == ((2, 2), 3)
            assert calls.count("d") == calls.count("c2") == 3


@in_every_lane
def test_data_alone_never_loops(runner):
    respond = called("respond", "messages", "text", output="response", result=lambda m, t: [*m, t])
    remember = called("remember", "messages", "response", output="messages", result=lambda m, r: r)
    for graph in orders(respond, remember):
        calls.clear()
        outputs = runner.run(graph, {"messages": ["a"], "text": "b"})
        assert outputs == {name: ["a", "b"] for name in outputs}
        assert calls == ["respond", "remember"]


@in_every_lane
def test_an_ungated_round_goes_on_while_a_gate_in_it_selects(runner):
    plan = called("plan", "done", output="todo", result=lambda done: 3 - done)
    check = called("check", "todo", output="checked")
    act = called("act", "checked", "done", output="done", result=lambda checked, done: done + 1)
    go = gate("go", lambda checked: "act" if checked else END, "checked", targets=["act", END])
    for graph in orders(plan, check, go, act, entrypoint="plan"):
        assert runner.run(graph, {"done": 0})["done"] == 3


@in_every_lane
def test_a_seeded_value_is_waited_for(runner):
    generate = called("generate", "messages", output="reply", result=len)
    gather = called("gather", "messages", "reply", output="messages", result=lambda m, r: [*m, r])
    seen = []

    @branch(when_true=END, when_false="generate")
    def is_done(messages):
        seen.append(list(messages))
        return len(messages) >= 3

    for graph in orders(generate, gather, is_done, entrypoint="generate"):
        seen.clear()
        runner.run(graph, {"messages": ["hi"]})
        assert seen == [["hi", 1], ["hi", 1, 2]]


@in_every_lane
def test_an_inner_loop_is_entered_anew_in_every_outer_round(runner):
    start = called("start", "outer", output="inner", result=lambda outer: 1)
    tick = called("tick", "inner", output="inner", result=lambda inner: inner + 1)
    more = gate("more", lambda i: "tick" if i % 3 else "close", "inner", targets=["tick", "close"])
    close = called("close", "inner", "outer", output="outer", result=lambda i, outer: outer + 1)
    over = gate("over", lambda o: END if o > 1 else "start", "outer", targets=["start", END])
    graph = Graph([start, tick, more, close, over], entrypoint="start")
    assert runner.run(graph, {"outer": 0})["outer"] == 2
    assert calls == ["start", "tick", "tick", "close"] * 2


@in_every_lane
def test_a_branch_takes_the_side_of_the_truth(runner):
    yes, no = called("yes", "x"), called("no", "x")
    by_truth = branch(when_true="yes", when_false="no", name="by_truth")(
        lambda x: (x, bool(x))[x is None]
    )
    for value in (1, 0, "", "text", True, False, 0.0, 2, None, ()):
        side = "yes" if value else "no"
        for graph in orders(by_truth, yes, no):
            assert runner.run(graph, {"x": value}) == {side: value}
    assert runner.run(Graph([by_truth, yes, no]), {"x": []}) == {"no": []}


@in_every_lane
def test_a_branch_that_returns_none_has_forgotten_something(runner):
    lost = branch(when_true="yes", when_false=END, name="lost")(lambda x: None)
    with pytest.raises(RouteError, match="returned None"):
        runner.run(Graph([lost, called("yes", "x")]), {"x": 1})


@in_every_lane
@pytest.mark.parametrize(
    ("chosen", "fallback", "ran"),
    [
        ("a", None, "a"),
        ("b", None, "b"),
        (END, None, ""),
        (None, None, ""),
        (None, "b", "b"),
        (None, END, ""),
        ("a", "b", "a"),
    ],
)
def test_a_route_runs_the_target_it_names(runner, chosen, fallback, ran):
    pick = gate("pick", lambda x: chosen, "x", targets=["a", "b", END], fallback=fallback)
    for graph in orders(pick, called("a", "x"), called("b", "x")):
        assert list(runner.run(graph, {"x": 1})) == list(ran)


@in_every_lane
@pytest.mark.parametrize("wrong", ["secret", 7, ["a"], True, b"a"])
def test_a_route_outside_its_targets_is_refused_without_showing_it(runner, wrong):
    pick = gate("pick", lambda x: wrong, "x", targets=["a", END])
    with pytest.raises(RouteError, match="none of its targets") as caught:
        runner.run(Graph([pick, called("a", "x")]), {"x": 1})
    assert caught.value.targets == ("a", "END")
    assert caught.value.__context__ is None
    assert len(notes(caught.value)) == 1
    assert "secret" not in str(caught.value)


@in_every_lane
@pytest.mark.parametrize(
    ("chosen", "ran"),
    [
        (["b", "a"], "ab"),
        (("a",), "a"),
        ({"b"}, "b"),
        ([], ""),
        ([END], ""),
        (["a", END], "a"),
        (None, "c"),
        (["a", "a"], "a"),
    ],
)
def test_several_targets_run_in_one_generation(runner, chosen, ran):
    targets = [called(name, "x") for name in "abc"]
    options = {"targets": ["a", "b", "c", END], "multi_target": True, "fallback": "c"}
    graph = Graph([*targets, gate("pick", lambda x: chosen, "x", **options)])
    assert list(runner.run(graph, {"x": 1})) == list(ran)


@in_every_lane
@pytest.mark.parametrize("wrong", ["a", ["z"], [["a"]], 1, {"a": 1}])
def test_a_gate_with_several_targets_returns_a_list_of_them(runner, wrong):
    pick = gate("pick", lambda x: wrong, "x", targets=["a", END], multi_target=True)
    with pytest.raises(RouteError):
        runner.run(Graph([called("a", "x"), pick]), {"x": 1})


@in_every_lane
def test_two_selected_producers_of_one_name_are_a_conflict(runner):
    pick = gate("pick", lambda x: ["a", "b"], "x", targets=["a", "b"], multi_target=True)
    graph = Graph([pick, called("a", "x", output="out"), called("b", "x", output="out")])
    with pytest.raises(ConflictError) as caught:
        runner.run(graph, {"x": 1})
    assert (caught.value.output, caught.value.nodes) == ("out", ("a", "b"))


@in_every_lane
def test_exclusive_producers_share_a_name_and_its_consumer(runner):
    pick = gate("pick", lambda x: x, "x", targets=["a", "b"])
    left, right = (called(n, "x", output="out", result=lambda x, n=n: n) for n in "ab")
    for graph in orders(pick, left, right, called("use", "out")):
        assert runner.run(graph, {"x": "b"}) == {"out": "b", "use": "b"}


@in_every_lane
def test_what_depends_on_an_unselected_node_does_not_run(runner):
    pick = gate("pick", lambda x: END, "x", targets=["a", END])
    for graph in orders(pick, called("a", "x"), called("after", "a"), called("free", "x")):
        assert runner.run(graph, {"x": 1}) == {"free": 1}


@in_every_lane
def test_a_gate_may_be_the_target_of_a_gate(runner):
    outer = gate("outer", lambda x: "inner" if x else END, "x", targets=["inner", END])
    inner = gate("inner", lambda x: "a", "x", targets=["a", END])
    for graph in orders(called("a", "x"), inner, outer):
        assert runner.run(graph, {"x": 1}) == {"a": 1}
        assert runner.run(graph, {"x": 0}) == {}


@in_every_lane
def test_the_nearest_class_of_a_value_decides(runner):
    class Text(str):
        __slots__ = ()

    by_type = TypeRouteNode("by_type", "x", {object: "other", str: "text", bool: "flag"})
    nodes = [by_type, *(called(name, "x") for name in ("other", "text", "flag"))]
    for value, target in [("a", "text"), (Text(), "text"), (True, "flag"), (1, "other")]:
        assert list(runner.run(Graph(nodes), {"x": value})) == [target]
    only = TypeRouteNode("only", "x", {str: "text"})
    with pytest.raises(RouteError, match="no route for a int"):
        runner.run(Graph([only, nodes[2]]), {"x": 1})
    ends = TypeRouteNode("ends", "x", {str: "text"}, fallback=END)
    assert runner.run(Graph([ends, nodes[2]]), {"x": 1}) == {}


@in_every_lane
def test_exactly_max_iterations_complete_and_one_more_does_not(runner):
    for graph in orders(step, again):
        inputs = {"count": 0, "limit": 5}
        assert runner.run(graph, inputs, max_iterations=5) == {"count": 5}
        with pytest.raises(InfiniteLoopError) as caught:
            runner.run(graph, inputs, max_iterations=4)
        assert caught.value.node == "step"
        assert set(caught.value.cycle) == {"step", "again"}


@in_every_lane
def test_a_cycle_that_nothing_starts_says_what_would(runner):
    think, act = called("think", "obs", output="thought"), called("act", "thought", output="obs")
    graph = Graph([think, act, gate("on", lambda obs: END, "obs", targets=["think", END])])
    with pytest.raises(MissingInputError, match="'think' could start with 'obs'") as caught:
        runner.run(graph, {})
    assert "'act' could start with 'thought'" in str(caught.value)
    assert calls == []


@in_every_lane
def test_a_chain_of_gates_may_be_long(runner):
    parts = []
    for i in range(2000):
        parts.append(gate(f"g{i}", lambda x, i=i: f"n{i}", f"v{i}", targets=[f"n{i}", END]))
        parts.append(called(f"n{i}", f"v{i}", output=f"v{i + 1}"))
    assert runner.run(Graph(parts), {"v0": 7})["v2000"] == 7
