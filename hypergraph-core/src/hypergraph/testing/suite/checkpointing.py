"""Checkpoints: what a run leaves behind when it ends early, and what the next one makes of it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

from hypergraph.checkpointers import Checkpointer, MemoryCheckpointer, StepRecord, WorkflowStatus
from hypergraph.errors import (
    CheckpointError,
    InputError,
    UnstorableValueError,
    VersionMismatchError,
    WorkflowBusyError,
)
from hypergraph.graph import Graph
from hypergraph.nodes import END, InterruptNode, branch, node
from hypergraph.runners.base import BaseRunner
from hypergraph.testing.crash import Crash, CrashingCheckpointer, Executions, recorded
from hypergraph.testing.kit import Journal, cases, raises
from hypergraph.testing.suite.surroundings import Surroundings


@node(output_name="draft")
def write(topic: str) -> str:
    return f"on {topic}"


@node(output_name="size")
def measure(draft: str) -> int:
    return len(draft)


@node(output_name="final")
def publish(draft: str, size: int, by: str = "me") -> str:
    return f"{draft} ({size}) by {by}"


@node(output_name="n")
def step(n: int) -> int:
    return n + 1


@branch(when_true="step", when_false=END)
def more(n: int) -> bool:
    return n < 3


@node(output_name="square")
def square(x: int) -> int:
    return x * x


@node(output_name="total")
def add_up(squares: list[int]) -> int:
    return sum(squares)


@node(output_name="reply")
def respond(messages: list[str], said: str) -> str:
    return f"{len(messages)}: {said}"


@node(output_name="messages")
def remember(messages: list[str], said: str, reply: str) -> list[str]:
    return [*messages, said, reply]


PAPER = Graph([write, measure, publish], name="paper")
EACH = Graph([square], name="each").as_node().map_over("x").with_outputs(square="squares")
CHAT = Graph([respond, remember], name="chat")
ASK = InterruptNode("approve", "draft", "by", response_type=str)
GRAPHS: dict[str, tuple[Graph, dict[str, Any]]] = {
    "a chain": (PAPER, {"topic": "cats"}),
    "a loop": (Graph([step, more], name="loop", entrypoint="step"), {"n": 0}),
    "a nested graph": (Graph([PAPER.as_node()], name="main"), {"topic": "cats"}),
    "a mapped graph": (Graph([EACH, add_up], name="main"), {"x": [1, 2, 3]}),
}


class Full(MemoryCheckpointer):
    """A store that fails to keep the steps of one node."""

    refused: str = ""

    def save(self, workflow_id: str, step: StepRecord) -> None:
        """Keep the step, or fail."""
        if step.node_name == self.refused:
            raise CheckpointError("The disk is full.", fix="make room")
        super().save(workflow_id, step)


class CheckpointRules(Surroundings):
    """For runners that are made with ``checkpointer=`` and whose ``run()`` takes ``workflow_id``."""

    group = "checkpoints"
    store_type: ClassVar[type[Any]] = MemoryCheckpointer
    """Makes an empty store when it is called."""

    def keeping(self, runner: BaseRunner, store: Checkpointer) -> BaseRunner:
        """Return a runner such as this one, that keeps its runs in a store."""
        scratch = self.with_options(runner, checkpointer=MemoryCheckpointer())
        self.needs_option(scratch, workflow_id="probe")
        return self.with_options(runner, checkpointer=store)

    def counted(self, graph: Graph, file: str = "calls") -> tuple[Graph, Executions]:
        executions = Executions(Path(self.tmp) / file)
        return executions.watch(graph), executions

    def workflow(self, runner: BaseRunner, graph: Graph, inputs: Any = None, **options: Any) -> Any:
        """Run the workflow ``w`` and return the result as it is."""
        return self.called(runner, runner.run, graph, inputs, **{"workflow_id": "w", **options})

    # -- going on ------------------------------------------------------------------------------------

    @cases("kind", GRAPHS)
    def test_after_a_crash_only_what_was_not_recorded_runs(
        self, runner: BaseRunner, kind: str
    ) -> None:
        plain, inputs = GRAPHS[kind]
        graph, executions = self.counted(plain)
        store = self.store_type()
        self.refused_unless_declared(self.keeping(runner, store), graph, inputs)
        expected = self.values_of(self.workflow(self.keeping(runner, store), graph, inputs))
        calls, steps = executions.counts, len(store.get_steps("w"))
        assert recorded(store.get_steps("w")) == calls, "one step is kept for each call"
        for k in range(steps):
            store = self.store_type()
            graph, executions = self.counted(plain, f"calls {k}")
            with raises(Crash):
                self.workflow(
                    self.keeping(runner, CrashingCheckpointer(store, after=k)), graph, inputs
                )
            done, before = recorded(store.get_steps("w")), executions.counts
            result = self.workflow(self.keeping(runner, store), graph, inputs if k % 2 else None)
            assert self.values_of(result) == expected, f"the result after a crash at step {k}"
            assert executions.counts - before == calls - done, (
                f"after a crash at step {k} what is recorded must not run again, and the rest must"
            )
            assert store.get_workflow("w").status is WorkflowStatus.COMPLETED

    def test_after_a_failure_only_what_was_not_recorded_runs(self, runner: BaseRunner) -> None:
        journal, store = self.journal, self.store_type()

        @node(output_name="checked")
        def check(size: int) -> int:
            if "repaired" not in journal.lines:
                raise LookupError("a problem of the user's own")
            return size

        graph, executions = self.counted(Graph([write, measure, check], name="main"))
        kept = self.keeping(runner, store)
        with raises(LookupError):
            self.workflow(kept, graph, {"topic": "cats"})
        assert store.get_workflow("w").status is WorkflowStatus.FAILED
        assert not store.get_workflow("w").held, "a run that failed lets go of its workflow"
        journal.note("repaired")
        assert self.values_of(self.workflow(kept, graph)) == {
            "draft": "on cats",
            "size": 7,
            "checked": 7,
        }
        assert executions.counts == {"write": 1, "measure": 1, "check": 2}

    def test_after_a_pause_only_what_waited_for_the_answer_runs(self, runner: BaseRunner) -> None:
        plain = Graph([write, measure, ASK, publish], name="main")
        graph, executions = self.counted(plain)
        store = self.store_type()
        kept = self.keeping(runner, store)
        self.refused_unless_declared(kept, graph, {"topic": "cats"})
        first = self.workflow(kept, graph, {"topic": "cats"})
        assert first.paused
        assert first.workflow_id == "w"
        assert store.get_workflow("w").status is WorkflowStatus.PAUSED
        key = first.pause.response_key
        second = self.workflow(kept, graph, {key: "you"})
        assert self.values_of(second)["final"] == "on cats (7) by you"
        assert executions.counts == {"write": 1, "measure": 1, "publish": 1}
        assert store.get_workflow("w").status is WorkflowStatus.COMPLETED

    def test_after_a_cancellation_what_had_finished_does_not_run_again(
        self, runner: BaseRunner
    ) -> None:
        journal, store, pause = self.journal, self.store_type(), self.pause

        @node(output_name="waited")
        async def wait(draft: str) -> str:
            journal.note("waits")
            while "go on" not in journal.lines:
                await pause()
            return draft

        graph = Graph([Executions(self.tmp / "calls").watch(Graph([write])).nodes["write"], wait])
        kept = self.keeping(runner, store)
        self.refused_unless_declared(kept, graph, {"topic": "cats"})
        self.shares_the_loop(runner)
        inputs = {"topic": "cats"}

        async def main() -> None:
            await self.cancelled_when(
                lambda: "waits" in journal.lines,
                lambda: kept.run(graph, inputs, workflow_id="w"),
            )

        self.in_time(lambda: self.in_event_loop(main))
        assert not store.get_workflow("w").held, "a run that was cancelled lets go of its workflow"
        journal.note("go on")
        result = self.in_time(lambda: self.workflow(kept, graph))
        assert self.values_of(result) == {"draft": "on cats", "waited": "on cats"}
        assert Executions(self.tmp / "calls").counts == {"write": 1}

    # -- inputs ----------------------------------------------------------------------------------------

    def test_at_a_resume_only_what_depends_on_a_changed_input_runs_again(
        self, runner: BaseRunner
    ) -> None:
        store = self.store_type()
        graph, executions = self.counted(PAPER)
        with raises(Crash):
            self.workflow(
                self.keeping(runner, CrashingCheckpointer(store, after=3)), graph, {"topic": "cats"}
            )
        kept = self.keeping(runner, store)
        result = self.workflow(kept, graph, {"topic": "cats", "by": "you"})
        assert self.values_of(result)["final"] == "on cats (7) by you"
        assert executions.counts == {"write": 1, "measure": 1, "publish": 2}

    def test_a_finished_workflow_runs_nothing_when_nothing_is_given(
        self, runner: BaseRunner
    ) -> None:
        graph, executions = self.counted(PAPER)
        kept = self.keeping(runner, self.store_type())
        first = self.values_of(self.workflow(kept, graph, {"topic": "cats"}))
        before = executions.counts
        assert self.values_of(self.workflow(kept, graph)) == first
        assert executions.counts == before

    def test_each_call_after_a_finished_run_is_the_next_turn(self, runner: BaseRunner) -> None:
        kept = self.keeping(runner, self.store_type())
        self.refused_unless_declared(kept, CHAT, {"messages": [], "said": "hello"})
        turns = [self.values_of(self.workflow(kept, CHAT, {"messages": [], "said": "hello"}))]
        for said in ("hello", "hello", "bye"):
            given = {"said": said}
            turns += [self.values_of(self.workflow(kept, CHAT, given))]
        replies = [turn["reply"] for turn in turns]
        assert replies == ["0: hello", "2: hello", "4: hello", "6: bye"], (
            "every input that is given to a finished workflow counts as new, even an equal one"
        )
        assert len(turns[-1]["messages"]) == 8

    def test_workflows_do_not_mix(self, runner: BaseRunner) -> None:
        kept = self.keeping(runner, self.store_type())
        for name in ("one", "two"):
            self.workflow(kept, PAPER, {"topic": name}, workflow_id=name)
        for name in ("two", "one"):
            values = self.values_of(self.workflow(kept, PAPER, workflow_id=name))
            assert values["draft"] == f"on {name}"

    # -- refusals --------------------------------------------------------------------------------------

    def test_another_graph_is_refused_with_what_changed(self, runner: BaseRunner) -> None:
        store = self.store_type()
        kept = self.keeping(runner, store)
        self.workflow(kept, Graph([write, measure], name="paper"), {"topic": "cats"})
        steps = store.get_steps("w")

        def write_more(topic: str) -> str:
            return f"more on {topic}"

        changed = node(write_more, name="write", output_name="draft")
        graph, executions = self.counted(Graph([changed, publish.with_inputs(size="topic")]))
        with raises(VersionMismatchError) as caught:
            self.workflow(kept, graph)
        error = caught.value
        assert (error.added, error.removed, error.changed) == (
            ("publish",),
            ("measure",),
            ("write",),
        )
        assert error.stored != error.current
        assert not executions.counts, "a workflow is checked before anything runs"
        assert store.get_steps("w") == steps
        assert not store.get_workflow("w").held, "a run that was refused lets go of the workflow"

    def test_force_resume_goes_on_with_another_graph(self, runner: BaseRunner) -> None:
        kept = self.keeping(runner, self.store_type())
        with raises(LookupError):
            self.workflow(kept, Graph([write, node(_fail)], name="paper"), {"topic": "cats"})
        graph, executions = self.counted(Graph([write, measure], name="paper"))
        result = self.workflow(kept, graph, force_resume=True)
        assert self.values_of(result)["size"] == 7
        assert executions.counts["measure"] == 1

    def test_a_workflow_that_is_held_is_refused_and_left_alone(self, runner: BaseRunner) -> None:
        store = self.store_type()
        graph, executions = self.counted(PAPER)
        kept = self.keeping(runner, store)
        store.begin("w")
        with raises(WorkflowBusyError):
            self.workflow(kept, graph, {"topic": "cats"})
        assert not executions.counts, "begin() the workflow before anything runs"
        store.end("w")
        assert self.values_of(self.workflow(kept, graph, {"topic": "cats"}))["size"] == 7

    def test_a_value_that_cannot_be_stored_is_told_with_node_and_output(
        self, runner: BaseRunner
    ) -> None:
        self.stays_here(runner)

        @node(output_name="handle")
        def open_door(draft: str) -> Any:
            return (_ for _ in draft)

        store = self.store_type()
        kept = self.keeping(runner, store)
        with raises(UnstorableValueError) as caught:
            self.workflow(kept, Graph([write, open_door]), {"topic": "cats"})
        assert (caught.value.node, caught.value.output) == ("open_door", "handle")
        assert recorded(store.get_steps("w")) == {"write": 1}, "what could be stored is"
        assert not store.get_workflow("w").held

    def test_a_run_does_not_go_on_when_a_step_cannot_be_kept(self, runner: BaseRunner) -> None:
        store = Full()
        graph, executions = self.counted(PAPER)
        kept = self.keeping(runner, store)
        store.refused = "measure"
        with raises(CheckpointError):
            self.workflow(kept, graph, {"topic": "cats"})
        assert executions.counts["publish"] == 0, "its result would be lost with the process"
        store.refused = ""
        assert self.values_of(self.workflow(kept, graph))["size"] == 7
        assert executions.counts["write"] == 1

    def test_a_workflow_id_without_a_checkpointer_is_refused(self, runner: BaseRunner) -> None:
        scratch = self.with_options(runner, checkpointer=MemoryCheckpointer())
        self.needs_option(scratch, workflow_id="probe")
        plain = self.with_options(runner, checkpointer=None)
        graph, executions = self.counted(PAPER)
        with raises(InputError, CheckpointError, ValueError, TypeError):
            self.workflow(plain, graph, {"topic": "cats"})
        assert not executions.counts

    # -- the history -----------------------------------------------------------------------------------

    def test_a_step_is_kept_before_what_waits_for_it_begins(self, runner: BaseRunner) -> None:
        self.stays_here(runner)
        journal, store = self.journal, self.store_type()

        def note_what_is_kept(path: str) -> None:
            _note_steps(journal, path, store)

        executions = Executions(before=note_what_is_kept)
        self.workflow(self.keeping(runner, store), executions.watch(PAPER), {"topic": "cats"})
        assert journal.lines == [
            "write: ",
            "measure: write",
            "publish: measure write",
        ], "wait until a step is safe before its consumers start"

    def test_history_is_only_added_to(self, runner: BaseRunner) -> None:
        store = self.store_type()
        kept = self.keeping(runner, store)
        self.refused_unless_declared(kept, CHAT, {"messages": [], "said": "hello"})
        self.workflow(kept, CHAT, {"messages": [], "said": "hello"})
        before = store.get_steps("w")
        self.workflow(kept, CHAT, {"said": "bye"})
        after = store.get_steps("w")
        assert after[: len(before)] == before
        assert len(after) > len(before)
        assert [one.index for one in after] == list(range(len(after)))

    def test_a_fork_goes_on_by_itself(self, runner: BaseRunner) -> None:
        store = self.store_type()
        graph, executions = self.counted(PAPER)
        kept = self.keeping(runner, store)
        self.workflow(kept, graph, {"topic": "cats"})
        before = store.get_steps("w")
        fork = store.fork("w", superstep=1)
        done = recorded(store.get_steps(fork))
        result = self.workflow(kept, graph, workflow_id=fork)
        assert self.values_of(result)["final"] == "on cats (7) by me"
        assert executions.counts == Counter(write=2, measure=2, publish=2) - done
        assert store.get_steps("w") == before, "what was forked stays as it is"


def _note_steps(journal: Journal, path: str, store: Checkpointer) -> None:
    journal.note(f"{path}: {' '.join(sorted(recorded(store.get_steps('w'))))}")


def _fail(draft: str) -> None:
    raise LookupError("a problem of the user's own")
