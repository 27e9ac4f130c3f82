"""Checkpointers: finding, forking and deleting what was stored."""

from __future__ import annotations

from hypergraph.checkpointers import Checkpointer, PendingAnswer, WorkflowStatus
from hypergraph.errors import CheckpointError, WorkflowNotFoundError
from hypergraph.testing.kit import cases, raises
from hypergraph.testing.suite.storing import (
    DONE,
    GRAPH,
    HISTORY,
    INPUTS,
    NODE,
    StoreRules,
    header,
    safe,
    steps_of,
)


class CheckpointerRules(StoreRules):
    """What is read, and that a fork and its original leave each other alone."""

    group = "finding and forking"

    # -- finding -------------------------------------------------------------------------------

    def test_workflows_are_listed_the_last_changed_first(self, checkpointer: Checkpointer) -> None:
        for name, status, time in (
            ("old", DONE, 1.0),
            ("new", WorkflowStatus.PAUSED, 3.0),
            ("between", DONE, 2.0),
        ):
            self.store(checkpointer, header(name, status, updated_at=time), HISTORY[:1])
        names = [one.id for one in checkpointer.list_workflows()]
        assert names == ["new", "between", "old"]
        assert [one.id for one in checkpointer.list_workflows(limit=2)] == ["new", "between"]
        assert checkpointer.list_workflows(limit=0) == []
        done = checkpointer.list_workflows(status=DONE)
        assert [one.id for one in done] == ["between", "old"]
        assert [one.id for one in checkpointer.list_workflows(status=DONE, limit=1)] == ["between"]
        assert [one.steps for one in done] == [1, 1]

    def test_the_state_is_the_latest_value_of_each_name(self, checkpointer: Checkpointer) -> None:
        self.store(checkpointer, header("w"), HISTORY)
        inputs = {"question": "why", "tags": ["a", None, 2.5]}
        first = {**inputs, "draft": {"text": "é \U0001f600", "n": 1}}
        assert checkpointer.get_state("w", superstep=0) == first
        second = {**inputs, "draft": True, "outer": -1}
        assert checkpointer.get_state("w", superstep=1) == second
        assert checkpointer.get_state("w") == {**second, "answer": "yes"}
        for wrong in (3, -1):
            with raises(CheckpointError, match="from 0 to 2"):
                checkpointer.get_state("w", superstep=wrong)

    def test_the_state_holds_the_outputs_of_nested_graphs_by_their_names_outside(
        self, checkpointer: Checkpointer
    ) -> None:
        sub = [None, {"out": "y", "deepest": "w", "never": "v"}]
        history = steps_of(
            (0, "", INPUTS, {"x": 1}),
            (1, "a", NODE, {"y": 1}, "sub#0/"),
            (1, "a", NODE, {"z": 5}, "sub#0/deep#0/"),
            (1, "deep", GRAPH, [None, {"w": "z"}], "sub#0/"),
            (1, "sub", GRAPH, sub),
            (2, "a", NODE, {"y": 2}, "each#0[1]/"),
            (2, "a", NODE, {"y": 3, "q": 4}, "each#0[0]/"),
            (2, "each", GRAPH, [2, {"ys": "y", "qs": "q"}]),
            (3, "a", NODE, {"y": 10}, "sub#1/"),
            (3, "sub", GRAPH, sub),
            (4, "a", NODE, {"y": 11}, "sub#2/"),
            (4, "other", GRAPH, {"w": 9}),
        )
        self.store(checkpointer, header("w"), history)
        first = {"x": 1, "out": 1, "deepest": 5}
        assert checkpointer.get_state("w", superstep=1) == first
        whole = {**first, "out": 10, "ys": [3, 2], "qs": [4, None], "w": 9}
        assert checkpointer.get_state("w") == whole

    # -- forking and deleting ------------------------------------------------------------------

    def test_a_fork_goes_on_by_itself(self, checkpointer: Checkpointer) -> None:
        pauses = (PendingAnswer("approve", "answer", "answer"),)
        self.store(
            checkpointer, header("w", WorkflowStatus.FAILED, error="E", pauses=pauses), HISTORY
        )
        copy = checkpointer.fork("w", superstep=1, new_id="copy")
        assert copy == "copy"
        assert checkpointer.get_steps("copy") == HISTORY[:6]
        found = checkpointer.get_workflow("copy")
        assert (found.status, found.forked_from) == (WorkflowStatus.STOPPED, "w")
        assert (found.pauses, found.error, found.held) == ((), None, False)
        assert (found.steps, found.supersteps) == (6, 2)
        self.store(
            checkpointer,
            header("copy"),
            [*HISTORY[:6], *steps_of(*[(2, "b", NODE, {"x": 1})] * 7)[6:]],
        )
        assert checkpointer.get_state("copy")["x"] == 1
        assert checkpointer.get_steps("w") == HISTORY
        checkpointer.delete("w")
        assert len(checkpointer.get_steps("copy")) == 7

    def test_inputs_given_after_the_point_of_a_fork_are_left_out(
        self, checkpointer: Checkpointer
    ) -> None:
        turn = (INPUTS, {"message": "hi"})
        history = steps_of((0, "", *turn), (0, "a", NODE, {"x": 1}), (1, "", *turn))
        self.store(checkpointer, header("w"), history)
        assert checkpointer.get_steps(checkpointer.fork("w", superstep=0)) == history[:2]
        assert checkpointer.get_steps(checkpointer.fork("w", superstep=1)) == history

    @cases("status", [DONE, WorkflowStatus.PAUSED])
    def test_a_copy_of_everything_stands_where_the_original_stands(
        self, checkpointer: Checkpointer, status: WorkflowStatus
    ) -> None:
        pauses = (PendingAnswer("approve", "answer", "answer"),) * (status is not DONE)
        self.store(checkpointer, header("w", status, pauses=pauses), HISTORY)
        whole = checkpointer.get_workflow(checkpointer.fork("w"))
        part = checkpointer.get_workflow(checkpointer.fork("w", superstep=0))
        assert (whole.status, whole.pauses) == (status, pauses)
        assert (part.status, part.pauses) == (WorkflowStatus.STOPPED, ())
        assert len({whole.id, part.id, "w"}) == 3
        assert whole.id.startswith("w")

    def test_a_fork_takes_nobodys_place(self, checkpointer: Checkpointer) -> None:
        self.store(checkpointer, header("w"), HISTORY)
        self.store(checkpointer, header("other"), HISTORY[:1])
        with raises(CheckpointError):
            checkpointer.fork("w", new_id="other")
        with raises(CheckpointError):
            checkpointer.fork("w", new_id="w")
        checkpointer.begin("begun")
        with raises(CheckpointError):
            checkpointer.fork("w", new_id="begun")
        safe(checkpointer.end("begun"))
        with raises(CheckpointError, match="from 0 to 2"):
            checkpointer.fork("w", superstep=3)
        assert len(checkpointer.get_steps("other")) == 1
        assert len(checkpointer.list_workflows()) == 2

    def test_a_deleted_workflow_is_gone_and_its_id_is_free(
        self, checkpointer: Checkpointer
    ) -> None:
        self.store(checkpointer, header("w"), HISTORY)
        self.store(checkpointer, header("other"), HISTORY)
        checkpointer.delete("w")
        with raises(WorkflowNotFoundError):
            checkpointer.get_steps("w")
        self.store(checkpointer, header("w"), HISTORY[:1])
        assert checkpointer.get_steps("w") == HISTORY[:1]
        assert checkpointer.get_steps("other") == HISTORY
