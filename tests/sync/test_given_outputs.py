"""Giving a node's output as an input: what then does not run, and what is refused."""

import pytest

from hypergraph import END, Graph, branch, node, route
from hypergraph.errors import InputError, MissingInputError
from tests.sync.support import UNCACHED_IS_FINE, in_every_lane

pytestmark = UNCACHED_IS_FINE

calls = []


@pytest.fixture(autouse=True)
def _fresh():
    calls.clear()


@node(output_name="text", cache=False)
def load(path):
    calls.append("load")
    return f"text of {path}"


@node(output_name=("words", "lines"), cache=False)
def split(text):
    calls.append("split")
    return text.split(), text.splitlines()


@node(output_name="size", cache=False)
def count(words):
    calls.append("count")
    return len(words)


@node(output_name="height", cache=False)
def measure(lines):
    calls.append("measure")
    return len(lines)


@node(output_name=None, cache=False)
def log(text):
    calls.append("log")


CHAIN = Graph([load, split, count])


@in_every_lane
def test_a_node_whose_output_is_given_does_not_run(runner):
    assert runner.run(CHAIN, {"text": "a b"}) == {"words": ["a", "b"], "lines": ["a b"], "size": 2}
    assert calls == ["split", "count"]


@in_every_lane
def test_what_serves_only_skipped_nodes_does_not_run_either(runner):
    assert runner.run(CHAIN, {"words": ["a"], "lines": []}) == {"size": 1}
    assert calls == ["count"]


@in_every_lane
def test_what_still_serves_somebody_runs(runner):
    graph = Graph([load, split, count, log])
    assert runner.run(graph, {"words": [], "lines": [], "path": "p"})["size"] == 0
    assert calls == ["load", "count", "log"]


@in_every_lane
def test_a_final_node_serves_the_caller(runner):
    graph = Graph([load, split, count, measure])
    runner.run(graph, {"words": [], "lines": []})
    assert calls == ["count", "measure"]


@in_every_lane
def test_everything_given_runs_nothing_and_returns_nothing(runner):
    assert runner.run(Graph([load]), {"text": "given"}) == {}
    assert calls == []


@in_every_lane
def test_skipped_nodes_need_no_inputs_but_the_others_do(runner):
    runner.run(CHAIN, {"words": [], "lines": []})
    with pytest.raises(MissingInputError, match="'path'"):
        runner.run(Graph([load, split, count, log]), {"words": [], "lines": []})


@in_every_lane
@pytest.mark.parametrize(("given", "rest"), [("words", "lines"), ("lines", "words")])
def test_giving_only_some_outputs_of_a_node_is_refused(runner, given, rest):
    with pytest.raises(InputError, match=f"only '{given}' is given") as caught:
        runner.run(CHAIN, {"path": "p", given: []})
    assert f"give '{rest}' too" in caught.value.fix
    assert calls == []


@in_every_lane
def test_an_input_of_a_skipped_node_may_still_be_given(runner):
    assert runner.run(CHAIN, {"path": "p", "words": [1], "lines": []}) == {"size": 1}


@in_every_lane
def test_a_gate_all_of_whose_targets_are_given_does_not_run(runner):
    @route(targets=["count", END])
    def decide(words):
        calls.append("decide")
        return "count"

    use = node(lambda size: size, name="use", output_name="used")
    graph = Graph([load, split, decide, count, use])
    assert runner.run(graph, {"words": [1], "lines": [], "size": 7}) == {"used": 7}
    assert calls == []


@in_every_lane
def test_a_gate_with_one_target_left_runs(runner):
    pick = branch(when_true="count", when_false="measure", name="pick")(lambda flag: flag)
    graph = Graph([split, pick, count, measure])
    inputs = {"text": "a b", "flag": False, "size": 7}
    assert runner.run(graph, inputs)["height"] == 1
    assert calls == ["split", "measure"]


@in_every_lane
def test_in_a_cycle_a_given_output_is_the_seed_of_the_first_round(runner):
    step = node(lambda n: n + 1, name="step", output_name="n", cache=False)
    more = branch(when_true="step", when_false=END, name="more")(lambda n: n < 3)
    assert runner.run(Graph([step, more]), {"n": 0}) == {"n": 3}
    assert runner.run(Graph([step, more]), {"n": 2}) == {"n": 3}


@in_every_lane
def test_in_a_cycle_some_outputs_of_a_node_may_be_given(runner):
    step = node(lambda n: (n + 1, -n), name="step", output_name=("n", "m"), cache=False)
    more = branch(when_true="step", when_false=END, name="more")(lambda n: n < 3)
    assert runner.run(Graph([step, more]), {"n": 0}) == {"n": 3, "m": -2}


@in_every_lane
def test_a_cycle_that_serves_only_skipped_nodes_does_not_run(runner):
    def ask(draft, question="?"):
        calls.append("ask")
        return draft

    improve = node(ask, name="improve", output_name="draft", cache=False)
    enough = branch(when_true="publish", when_false="improve", name="enough")(lambda draft: True)
    publish = node(lambda draft: draft, name="publish", output_name="page")
    read = node(lambda page: page, name="read", output_name="opinion")
    graph = Graph([improve, enough, publish, read], entrypoint="improve")
    assert runner.run(graph, {"page": "given"}) == {"opinion": "given"}
    assert calls == []


@in_every_lane
def test_a_nested_graph_is_skipped_as_a_whole(runner):
    graph = Graph([Graph([load, split], name="inner").as_node(), count])
    given = {"text": "", "words": [1], "lines": []}
    assert runner.run(graph, given) == {"size": 1}
    with pytest.raises(InputError, match="'inner' has 3 outputs"):
        runner.run(graph, {"path": "p", "words": []})
    assert calls == ["count"]
