"""Storing: what was given to a store of workflows is there, once, for one run at a time.

All values here are such as JSON has, so that a store of any format can pass.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import msgspec

from hypergraph.checkpointers import (
    Checkpointer,
    PendingAnswer,
    StepKind,
    StepRecord,
    Workflow,
    WorkflowStatus,
)
from hypergraph.errors import (
    CheckpointError,
    UnstorableValueError,
    WorkflowBusyError,
    WorkflowNotFoundError,
)
from hypergraph.testing.kit import Rules, cases, raises

DONE = WorkflowStatus.COMPLETED
INPUTS, NODE, GATE, ANSWER, GRAPH = StepKind


def header(workflow_id: str, status: WorkflowStatus = DONE, **fields: Any) -> Workflow:
    """Return a header such as a run gives."""
    given: dict[str, Any] = {"graph_name": "main", "graph_hash": "abc", "definition": {"a": "1"}}
    given |= {"run_id": "run-1", "created_at": 10.0, "updated_at": 20.0}
    return Workflow(id=workflow_id, status=status, **{**given, **fields})


def steps_of(*parts: tuple[Any, ...]) -> list[StepRecord]:
    """Return a history: of each step superstep, node, kind, values and, if there is one, scope."""
    steps = []
    for i, (superstep, name, kind, values, *scope) in enumerate(parts):
        where = "".join(scope)
        steps.append(StepRecord(i, superstep, where, superstep, name, kind, values, 100.0 + i))
    return steps


def safe(future: Future[None] | None) -> None:
    """Return when what was given is safe."""
    if future is not None:
        future.result(timeout=60)


HISTORY = steps_of(
    (0, "", INPUTS, {"question": "why", "tags": ["a", None, 2.5]}),
    (0, "ask", NODE, {"draft": {"text": "é \U0001f600", "n": 1}}),
    (0, "check", GATE, ("ask", "review")),
    (1, "plan", NODE, {"inner": -1}, "review#0/"),
    (1, "review", GRAPH, [None, {"outer": "inner"}]),
    (1, "ask", NODE, {"draft": True}),
    (2, "approve", ANSWER, {"answer": "yes"}),
    (2, "stop", GATE, ()),
)


class StoreRules(Rules):
    """Helpers; every rule has an empty ``checkpointer``."""

    def store(
        self, checkpointer: Checkpointer, workflow: Workflow, steps: list[StepRecord]
    ) -> None:
        """Store a whole run: header and steps."""
        begun = checkpointer.begin(workflow.id)
        safe(checkpointer.put(workflow))
        for step in steps[len(begun.steps) :]:
            safe(checkpointer.save(workflow.id, step))
        safe(checkpointer.end(workflow.id))


class StoringRules(StoreRules):
    """What begin, put, save and end promise."""

    group = "storing"

    # -- keeping -------------------------------------------------------------------------------

    def test_it_is_a_checkpointer(self, checkpointer: Checkpointer) -> None:
        assert isinstance(checkpointer, Checkpointer)

    def test_what_a_run_stored_is_there_for_the_next(self, checkpointer: Checkpointer) -> None:
        pauses = (PendingAnswer("review/approve", "answer", "review.answer"),)
        workflow = header(
            "w", WorkflowStatus.PAUSED, session_id="s", pauses=pauses, error="ValueError"
        )
        self.store(checkpointer, workflow, HISTORY)
        found = checkpointer.begin("w")
        assert list(found.steps) == HISTORY
        assert found.workflow is not None
        assert msgspec.structs.replace(found.workflow, held=False) == msgspec.structs.replace(
            workflow, steps=len(HISTORY), supersteps=3
        )
        safe(checkpointer.end("w"))
        assert checkpointer.get_steps("w") == HISTORY
        assert checkpointer.get_workflow("w").pauses == pauses

    def test_a_new_workflow_has_no_header_and_no_steps(self, checkpointer: Checkpointer) -> None:
        found = checkpointer.begin("w")
        assert found.workflow is None
        assert list(found.steps) == []
        safe(checkpointer.end("w"))

    def test_a_workflow_that_was_begun_and_given_nothing_is_not_there(
        self, checkpointer: Checkpointer
    ) -> None:
        checkpointer.begin("w")
        safe(checkpointer.end("w"))
        assert checkpointer.list_workflows() == []
        with raises(WorkflowNotFoundError):
            checkpointer.get_workflow("w")

    def test_the_next_run_adds_to_the_history(self, checkpointer: Checkpointer) -> None:
        self.store(
            checkpointer, header("w", WorkflowStatus.FAILED, error="ValueError"), HISTORY[:3]
        )
        self.store(checkpointer, header("w", definition={"a": "2"}), HISTORY)
        assert checkpointer.get_steps("w") == HISTORY
        found = checkpointer.get_workflow("w")
        assert (found.status, found.error, found.steps) == (DONE, None, len(HISTORY))
        assert found.definition == {"a": "2"}

    def test_a_header_and_the_steps_given_with_it_are_stored_together_or_not_at_all(
        self, checkpointer: Checkpointer
    ) -> None:
        def unstorable(index: int) -> StepRecord:
            return StepRecord(index, 9, "", 9, "open", NODE, {"door": threading.Lock()}, 1.0)

        checkpointer.begin("w")
        with raises(UnstorableValueError):
            checkpointer.put(header("w"), [HISTORY[0], unstorable(1)])
        safe(checkpointer.put(header("w"), HISTORY[:2]))
        for step in HISTORY[2:]:
            safe(checkpointer.save("w", step))
        with raises(UnstorableValueError):
            checkpointer.put(header("w", WorkflowStatus.FAILED), [unstorable(len(HISTORY))])
        safe(checkpointer.end("w"))
        assert checkpointer.get_workflow("w").status is DONE
        assert checkpointer.get_steps("w") == HISTORY

    def test_a_value_that_changes_later_is_stored_as_it_was(
        self, checkpointer: Checkpointer
    ) -> None:
        items = [1]
        checkpointer.begin("w")
        safe(checkpointer.put(header("w")))
        future = checkpointer.save("w", steps_of((0, "a", NODE, {"items": items}))[0])
        items.append(2)
        safe(future)
        safe(checkpointer.end("w"))
        (step,) = checkpointer.get_steps("w")
        assert step.values == {"items": [1]}

    def test_a_value_that_was_read_is_a_copy(self, checkpointer: Checkpointer) -> None:
        self.store(checkpointer, header("w"), HISTORY)
        checkpointer.get_steps("w")[0].values["tags"].append("changed")
        assert checkpointer.get_steps("w") == HISTORY

    @cases("workflow_id", ["a b/c'\"%\n", "é\U0001f600", "x" * 500])
    def test_an_id_is_any_text(self, checkpointer: Checkpointer, workflow_id: str) -> None:
        self.store(checkpointer, header(workflow_id), HISTORY)
        assert checkpointer.get_steps(workflow_id) == HISTORY
        assert [one.id for one in checkpointer.list_workflows()] == [workflow_id]

    # -- refusing ------------------------------------------------------------------------------

    @cases("index", [0, 2])
    def test_a_value_that_cannot_be_stored_is_told_at_once_and_nothing_is_lost(
        self, checkpointer: Checkpointer, index: int
    ) -> None:
        checkpointer.begin("w")
        safe(checkpointer.put(header("w")))
        for step in HISTORY[:index]:
            safe(checkpointer.save("w", step))
        values = {"fine": 1, "door": threading.Lock()}
        bad = StepRecord(index, 1, "review#0/", 0, "open", NODE, values, 1.0)
        with raises(UnstorableValueError) as caught:
            checkpointer.save("w", bad)
        error = caught.value
        assert (error.node, error.output, error.type_name) == (
            "review/open",
            "door",
            "_thread.lock",
        )
        assert "'review/open'" in str(error)
        assert "'door'" in str(error)
        for step in HISTORY[index:]:
            safe(checkpointer.save("w", step))
        safe(checkpointer.end("w"))
        assert checkpointer.get_steps("w") == HISTORY

    def test_what_is_not_held_is_not_written(self, checkpointer: Checkpointer) -> None:
        self.store(checkpointer, header("w"), HISTORY[:2])
        with raises(CheckpointError, match="not held"):
            checkpointer.put(header("w", WorkflowStatus.FAILED))
        with raises(CheckpointError, match="not held"):
            checkpointer.save("w", HISTORY[2])
        with raises(CheckpointError, match="not held"):
            checkpointer.end("w")
        assert checkpointer.get_workflow("w").status is DONE
        assert checkpointer.get_steps("w") == HISTORY[:2]

    def test_steps_come_in_order_and_after_the_header(self, checkpointer: Checkpointer) -> None:
        checkpointer.begin("w")
        with raises(CheckpointError, match="header first"):
            checkpointer.save("w", HISTORY[0])
        safe(checkpointer.put(header("w")))
        with raises(CheckpointError, match="Step 1 was given where step 0"):
            checkpointer.save("w", HISTORY[1])
        safe(checkpointer.save("w", HISTORY[0]))
        with raises(CheckpointError, match="Step 0 was given where step 1"):
            checkpointer.save("w", HISTORY[0])
        safe(checkpointer.end("w"))
        assert checkpointer.get_steps("w") == HISTORY[:1]

    def test_an_unknown_id_is_told(self, checkpointer: Checkpointer) -> None:
        for call in (
            checkpointer.get_workflow,
            checkpointer.get_steps,
            checkpointer.get_state,
            checkpointer.fork,
            checkpointer.delete,
        ):
            with raises(WorkflowNotFoundError, match="'nobody'") as caught:
                call("nobody")
            assert caught.value.workflow_id == "nobody"

    @cases(("wrong", "error"), [("", ValueError), (7, TypeError)])
    def test_an_id_that_is_none_is_refused(
        self, checkpointer: Checkpointer, wrong: Any, error: type[Exception]
    ) -> None:
        with raises(error, match="workflow_id"):
            checkpointer.begin(wrong)

    # -- holding -------------------------------------------------------------------------------

    def test_a_workflow_is_held_by_one_run_at_a_time(self, checkpointer: Checkpointer) -> None:
        self.store(checkpointer, header("w"), HISTORY)
        checkpointer.begin("w")
        assert checkpointer.get_workflow("w").held
        assert checkpointer.list_workflows()[0].held
        with raises(WorkflowBusyError) as caught:
            checkpointer.begin("w")
        assert caught.value.workflow_id == "w"
        with raises(WorkflowBusyError):
            checkpointer.delete("w")
        safe(checkpointer.end("w"))
        assert not checkpointer.get_workflow("w").held
        checkpointer.begin("w")
        safe(checkpointer.end("w"))

    def test_of_many_threads_that_begin_at_once_one_wins(self, checkpointer: Checkpointer) -> None:
        barrier = threading.Barrier(8)

        def begin(_: int) -> bool:
            barrier.wait()
            try:
                checkpointer.begin("w")
            except WorkflowBusyError:
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            assert sorted(pool.map(begin, range(8))) == [False] * 7 + [True]
        safe(checkpointer.end("w"))

    def test_many_workflows_are_written_at_once(self, checkpointer: Checkpointer) -> None:
        def run(number: int) -> None:
            name = f"w{number}"
            checkpointer.begin(name)
            checkpointer.put(header(name))
            for i in range(10):
                values = {"x": number * 100 + i}
                checkpointer.save(name, StepRecord(i, i, "", i, "a", NODE, values))
            safe(checkpointer.end(name))

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(run, range(50)))
        assert len(checkpointer.list_workflows()) == 50
        for number in range(50):
            found = [step.values["x"] for step in checkpointer.get_steps(f"w{number}")]
            assert found == [number * 100 + i for i in range(10)]
