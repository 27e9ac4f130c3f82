"""The parts of the engine, each by itself: plans, executions, programs, maps, chunks and places."""

import pytest

from hypergraph import END, Graph, branch, node
from hypergraph.errors import ConflictError, InfiniteLoopError, InputError, MissingInputError
from hypergraph.execution.collect import join_chunks
from hypergraph.execution.execution import Execution
from hypergraph.execution.lanes import program_of
from hypergraph.execution.mapping import map_names, map_rows
from hypergraph.execution.places import place_error, place_item
from hypergraph.execution.plan import plan_of


def make(name, *params, output=None):
    """Make a node that is never called."""
    return node(eval(f"lambda {', '.join(params)}: 1 / 0"), name=name, output_name=output or name)


SOURCE, LEFT, RIGHT = make("source", "x"), make("left", "source"), make("right", "source")
JOIN, FREE = make("join", "left", "right"), make("free", "x")
DIAMOND = Graph([JOIN, RIGHT, FREE, LEFT, SOURCE], name="diamond")
STEP = make("step", "n", output="n")
MORE = branch(when_true="step", when_false=END, name="more")(lambda n: n < 3)
LOOP = Graph([STEP, MORE], name="loop")


def schedule(graph, *given):
    return plan_of(graph).schedule(given)


def names(graph, generation):
    return [plan_of(graph).nodes[number].name for number in generation]


def finish(graph, inputs, results, limit=1000):
    """Drive an execution with results by node name; returns the generations and the outputs."""
    execution = Execution(schedule(graph, *inputs), inputs, limit)
    taken = []
    while batch := execution.take():
        taken.append(names(graph, batch))
        decoded = [results[name] for name in taken[-1]]
        execution.commit(batch, [d() if callable(d) else d for d in decoded])
    return taken, execution.result()


# --- plans ------------------------------------------------------------------------------------


def test_a_plan_is_made_once_per_graph_and_a_schedule_once_per_set_of_names():
    graph = Graph([SOURCE, FREE])
    assert plan_of(graph) is plan_of(graph)
    assert schedule(graph, "x") is schedule(graph, "x")
    assert plan_of(graph.bind(x=1)) is not plan_of(graph)


def test_generations_hold_what_waits_for_the_same_in_declaration_order():
    found = [names(DIAMOND, generation) for generation in schedule(DIAMOND, "x").generations]
    assert found == [["free", "source"], ["right", "left"], ["join"]]


def test_a_plain_graph_is_certain_and_one_with_gates_or_cycles_is_not():
    assert schedule(DIAMOND, "x").certain
    assert not schedule(LOOP, "n").certain
    assert not schedule(Graph([LOOP.as_node()]), "n").certain
    assert schedule(Graph([LOOP.as_node().map_over("n").with_outputs(n="m")]), "n").certain
    assert schedule(Graph([DIAMOND.as_node()]), "x").certain


def test_a_plan_keeps_only_so_many_schedules():
    graph = Graph([make(f"n{i}", f"a{i}=0") for i in range(8)])
    for mask in range(256):
        schedule(graph, *(f"a{i}" for i in range(8) if mask >> i & 1))
    assert len(plan_of(graph).schedules) <= 64


def test_inputs_that_do_not_fit_make_no_schedule():
    graph = Graph([SOURCE])
    for _ in range(2):
        with pytest.raises(MissingInputError):
            schedule(graph)
    assert plan_of(graph).schedules == {}


def test_the_result_lists_what_active_nodes_write():
    assert schedule(DIAMOND, "x").written_outputs == ("join", "right", "free", "left", "source")
    assert schedule(DIAMOND, "x", "source").written_outputs == ("join", "right", "free", "left")


# --- executions -------------------------------------------------------------------------------


def test_an_execution_goes_generation_by_generation():
    results = {"source": 1, "left": 2, "right": 3, "join": 4, "free": 5}
    taken, outputs = finish(DIAMOND, {"x": 0}, results)
    assert taken == [["free", "source"], ["right", "left"], ["join"]]
    assert outputs == results


def test_an_execution_reads_inputs_when_asked():
    execution = Execution(schedule(DIAMOND, "x"), {"x": 7}, 10)
    batch = execution.take()
    assert [execution.inputs(number) for number in batch] == [{"x": 7}, {"x": 7}]
    execution.commit(batch, ["free", "source"])
    assert execution.result() == {"free": "free", "source": "source"}


def test_a_gate_selects_by_node_number_and_end_selects_nothing():
    step = plan_of(LOOP).nodes.index(LOOP.nodes["step"])
    count, decisions = iter(range(1, 9)), iter([(step,), (step,), ()])
    results = {"step": lambda: next(count), "more": lambda: next(decisions)}
    taken, outputs = finish(LOOP, {"n": 0}, results)
    assert taken == [["step"], ["more"]] * 3
    assert outputs == {"n": 3}


def test_the_limit_is_checked_before_a_node_runs_again():
    step = plan_of(LOOP).nodes.index(LOOP.nodes["step"])
    seen = []
    results = {"step": lambda: seen.append(1), "more": (step,)}
    with pytest.raises(InfiniteLoopError, match="max_iterations=2"):
        finish(LOOP, {"n": 0}, results, limit=2)
    assert len(seen) == 2


def test_two_writers_in_one_generation_are_a_conflict_and_write_nothing():
    again = branch(when_true="a", when_false=END, name="again")(lambda v: v)
    first, second = make("a", "v", "w", output="v"), make("b", "w", "v", output="v")
    feed = make("feed", "v", output="w")
    graph = Graph([first, second, feed, again], entrypoint="feed")
    execution = Execution(schedule(graph, "v"), {"v": 0}, 10)
    numbers = [plan_of(graph).nodes.index(graph.nodes[name]) for name in "ab"]
    with pytest.raises(ConflictError):
        execution.commit(numbers, [1, 2])
    assert execution.result() == {}


# --- programs ---------------------------------------------------------------------------------


def test_a_program_of_nested_graphs_is_flat():
    leaf = node(lambda x: x + 1, name="leaf", output_name="y")
    graph = Graph([leaf], name="g0")
    for level in range(1, 5):
        graph = Graph([graph.as_node()], name=f"g{level}")
    program = program_of(schedule(graph, "x"))
    assert len(program.steps) == 1
    values = program.start({"x": 1}, 1000)
    program.run(values)
    assert program.result(values) == {"y": 2}


def test_a_program_starts_anew_each_time():
    graph = Graph([node(lambda x, y=5: x + y, name="add", output_name="z")])
    program = program_of(schedule(graph, "x"))
    first, second = program.start({"x": 1}, 1000), program.start({"x": 2}, 1000)
    program.run(second)
    program.run(first)
    assert [program.result(values) for values in (first, second)] == [{"z": 6}, {"z": 7}]


# --- maps, chunks and places ------------------------------------------------------------------


def test_rows_of_a_zip_and_of_a_product():
    given = {"a": [1, 2], "b": "xy", "c": (3, 4)}
    size, rows = map_rows(("a", "c"), given, "zip", "here")
    assert (size, list(rows)) == (2, [(1, 3), (2, 4)])
    size, rows = map_rows(("c", "a"), given, "product", "here")
    assert (size, list(rows)) == (4, [(3, 1), (3, 2), (4, 1), (4, 2)])
    with pytest.raises(InputError, match="'b' is mapped over, but is of type str"):
        map_rows(("b",), given, "zip", "here")


def test_one_name_or_several_to_map_over():
    assert map_names("a", {"a": []}, "here") == ("a",)
    assert map_names(["b", "a"], {"a": [], "b": []}, "here") == ("b", "a")


@pytest.mark.parametrize(
    ("chunks", "annotation", "value"),
    [
        (["a", "b"], None, "ab"),
        ([b"a"], None, b"a"),
        (["a", 1], None, ["a", 1]),
        ([["a"], ["b"]], str, [["a"], ["b"]]),
        ([], None, []),
        ([], str, ""),
        ([], "Iterator[bytes]", b""),
        ([], "Generator[str, None, int]", ""),
    ],
)
def test_chunks_are_joined_by_their_type(chunks, annotation, value):
    def func():
        yield

    if annotation:
        func.__annotations__["return"] = annotation
    assert join_chunks(chunks, func) == value


def test_a_place_grows_to_the_left_on_its_way_out():
    error = LookupError()
    place_error(error, "inner", "parse", ["text"])
    assert error.__notes__ == ["hypergraph: node 'parse' of graph 'inner' failed; inputs: text"]
    place_error(error, None, "[3]", ["texts"], outer=True)
    place_error(error, "main", "all", ["texts"], outer=True)
    place_item(error, 7, "main", ["texts"])
    assert error.__notes__ == [
        "hypergraph: node 'all[3]/parse' of graph 'main' (map item 7) failed; inputs: text"
    ]


def test_an_error_that_no_node_raised_is_placed_at_the_nested_graph_or_item():
    error, other = LookupError(), LookupError()
    place_error(error, "main", "inner", ["x"], outer=True)
    assert error.__notes__ == ["hypergraph: node 'inner' of graph 'main' failed; inputs: x"]
    place_item(other, 2, None, [])
    assert other.__notes__ == ["hypergraph: map item 2 failed; inputs: none"]
