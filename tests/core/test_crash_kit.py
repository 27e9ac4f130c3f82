"""Twins of graphs, counted executions, and checkpointers that die."""

import inspect
import signal
import subprocess
import sys

import pytest

from hypergraph import END, Graph, RetryPolicy, branch, node
from hypergraph.checkpointers import (
    Checkpointer,
    MemoryCheckpointer,
    StepKind,
    StepRecord,
    Workflow,
    WorkflowStatus,
)
from hypergraph.testing import (
    Crash,
    CrashingCheckpointer,
    Executions,
    as_async,
    recorded,
    reference,
)

POLICY = RetryPolicy(maximum_attempts=3)


@node(output_name="b", retry=POLICY, cache=False)
def double(a: int, *, by: int = 2) -> int:
    return a * by


@node(output_name="text")
def spell(b: int) -> str:
    yield from str(b)


@branch(when_true="spell", when_false=END)
def long_enough(b: int) -> bool:
    return b > 2


INNER = Graph([double, long_enough, spell], name="inner").bind(by=3)
OUTER = Graph([INNER.as_node().map_over("a").with_inputs(a="items")], name="outer").select("text")
HEADER = Workflow("w", WorkflowStatus.RUNNING, None, "hash", {}, "run")


def step(index):
    kind = StepKind.NODE if index else StepKind.INPUTS
    return StepRecord(index, 0, "part#0[1]/", 0, "work", kind, {})


def test_an_async_twin_has_everything_of_its_graph_but_the_functions():
    graph = as_async(INNER, share=1.0)
    assert graph.has_async_nodes
    assert dict(graph.bound) == {"by": 3}
    made, streamed = graph.nodes["double"], graph.nodes["spell"]
    assert (made.retry, made.cache, made.inputs) == (POLICY, False, ("a", "by"))
    assert inspect.iscoroutinefunction(made.func)
    assert streamed.is_generator
    assert inspect.isasyncgenfunction(streamed.func)
    assert graph.nodes["long_enough"].targets == ("spell", END)


def test_a_share_of_nothing_leaves_a_graph_as_it_is():
    graph = as_async(OUTER, share=0.0)
    assert not graph.has_async_nodes
    assert graph.definition_hash == OUTER.definition_hash


@pytest.mark.parametrize("seed", range(4))
def test_a_twin_computes_what_its_graph_computes(seed):
    twin = as_async(OUTER, seed)
    assert reference.run(twin, {"items": [1, 0]}).outputs == {"text": ["3", None]}


def test_twins_of_one_seed_have_one_definition():
    assert as_async(OUTER, 1).definition_hash == as_async(OUTER, 1).definition_hash
    assert as_async(OUTER, 1).definition_hash != as_async(OUTER, 2).definition_hash


def test_executions_are_counted_by_path():
    executions = Executions()
    reference.run(executions.watch(OUTER), {"items": [1, 0]})
    assert executions.counts == {"inner/double": 2, "inner/long_enough": 2, "inner/spell": 1}


def test_counting_does_not_change_what_a_graph_is():
    executions = Executions()
    graph = executions.watch(OUTER)
    reference.run(graph, {"items": [1]})
    assert Executions().watch(OUTER).definition_hash == graph.definition_hash


def test_processes_count_together_in_a_file_even_if_they_are_killed(tmp_path):
    executions = Executions(tmp_path / "calls")
    assert executions.counts == {}
    executions.note("here")
    program = (
        "from hypergraph.testing import Executions, kill_process\n"
        f"Executions({str(executions.file)!r}, before=lambda path: kill_process()).note('there')"
    )
    killed = subprocess.run([sys.executable, "-I", "-c", program], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert executions.counts == {"here": 1, "there": 1}


def test_a_crash_keeps_what_was_stored_frees_the_workflow_and_loses_the_rest():
    store = MemoryCheckpointer()
    dying = CrashingCheckpointer(store, 1)
    assert isinstance(dying, Checkpointer)
    dying.begin("w")
    dying.put(HEADER)
    dying.save("w", step(0))
    with pytest.raises(Crash):
        dying.save("w", step(1))
    assert dying.save("w", step(2)) is dying.put(HEADER) is dying.end("w") is None
    assert [kept.index for kept in dying.get_steps("w")] == [0, 1]
    assert not dying.get_workflow("w").held
    assert recorded(store.get_steps("w")) == {"part/work": 1}
    assert len(store.begin("w").steps) == 2


def test_nothing_that_handles_exceptions_handles_a_crash():
    assert not issubclass(Crash, Exception)
