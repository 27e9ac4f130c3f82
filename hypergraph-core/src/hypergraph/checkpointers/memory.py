"""Workflows in the memory of this process, for tests and for what need not outlive it.

Rule of this file: values are pickled when they are given, so that the history stays as it was.
"""

from __future__ import annotations

import pickle
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import msgspec

from hypergraph.checkpointers import history, refusals
from hypergraph.checkpointers.base import StepRecord, Stored, Workflow, WorkflowStatus
from hypergraph.checkpointers.records import Records, StepRow


class _Pickles:
    """Pickles that nobody else can reach need no signature."""

    def dumps(self, value: Any, context: bytes) -> bytes:
        return pickle.dumps(value, 5)

    def loads(self, data: bytes | memoryview, context: bytes) -> Any:
        return pickle.loads(data)  # noqa: S301 - it never left this process


@dataclass(slots=True, eq=False)
class _Kept:
    workflow: Workflow
    rows: list[StepRow] = field(default_factory=list)
    supersteps: int = 0

    def add(self, step: StepRecord, row: StepRow) -> None:
        self.rows.append(row)
        self.supersteps = step.superstep + 1


class MemoryCheckpointer:
    """Keeps workflows while the process lives; see `Checkpointer` for what the methods promise.

    A step is safe as soon as it is saved, so there are no futures to wait for. Threads may share one.
    """

    def __init__(self) -> None:
        self._records = Records(_Pickles(), "")
        self._kept: dict[str, _Kept] = {}
        self._held: set[str] = set()
        self._lock = threading.RLock()

    # -- running -------------------------------------------------------------------------------

    def begin(self, workflow_id: str) -> Stored:
        """Take hold of a workflow and return what is stored of it. Raises `WorkflowBusyError`."""
        workflow_id = refusals.checked_id(workflow_id)
        with self._lock:
            if workflow_id in self._held:
                raise refusals.busy(workflow_id, "")
            self._held.add(workflow_id)
            if workflow_id not in self._kept:
                return Stored(None, ())
            try:
                return Stored(self.get_workflow(workflow_id), self.get_steps(workflow_id))
            except BaseException:
                self._held.discard(workflow_id)
                raise

    def put(self, workflow: Workflow, steps: Sequence[StepRecord] = ()) -> None:
        """Store the header of a workflow that is held, and steps with it: all of it or nothing.

        Raises `UnstorableValueError`.
        """
        with self._lock:
            self._check_held(workflow.id)
            kept = self._kept.get(workflow.id) or _Kept(workflow)
            rows = [self._row(workflow.id, kept, step, at) for at, step in enumerate(steps)]
            self._kept[workflow.id] = kept
            kept.workflow = workflow
            for step, row in zip(steps, rows):
                kept.add(step, row)

    def save(self, workflow_id: str, step: StepRecord) -> None:
        """Append a step to a workflow that is held. Raises `UnstorableValueError`."""
        with self._lock:
            self._check_held(workflow_id)
            kept = self._kept.get(workflow_id)
            if kept is None:
                raise refusals.out_of_order(workflow_id, "", step.index, None)
            kept.add(step, self._row(workflow_id, kept, step))

    def _row(self, workflow_id: str, kept: _Kept, step: StepRecord, after: int = 0) -> StepRow:
        expected = len(kept.rows) + after
        if step.index != expected:
            raise refusals.out_of_order(workflow_id, "", step.index, expected)
        return self._records.dump_step(b"", step)

    def end(self, workflow_id: str) -> Future[None] | None:
        """Let go of the workflow."""
        with self._lock:
            self._check_held(workflow_id)
            self._held.discard(workflow_id)
        return None

    def _check_held(self, workflow_id: str) -> None:
        if workflow_id not in self._held:
            raise refusals.not_held(workflow_id, "")

    # -- reading -------------------------------------------------------------------------------

    def get_workflow(self, workflow_id: str) -> Workflow:
        """Return the header. Raises `WorkflowNotFoundError`."""
        with self._lock:
            return self._header(self._found(workflow_id))

    def list_workflows(
        self, *, status: WorkflowStatus | None = None, limit: int | None = None
    ) -> list[Workflow]:
        """Return the headers, the last changed first."""
        refusals.check_query(status, limit)
        with self._lock:
            found = [
                self._header(kept)
                for kept in reversed(self._kept.values())
                if status in (None, kept.workflow.status)
            ]
        found.sort(key=lambda workflow: workflow.updated_at, reverse=True)
        return found[:limit]

    def get_steps(self, workflow_id: str) -> list[StepRecord]:
        """Return the history, oldest first. Raises `WorkflowNotFoundError`."""
        with self._lock:
            rows = list(self._found(workflow_id).rows)
        return self._records.load_steps(workflow_id, b"", rows)

    def get_state(self, workflow_id: str, *, superstep: int | None = None) -> dict[str, Any]:
        """Return the values of the graph itself by name, the latest of each, up to the end of a
        superstep (default: all).

        Raises `WorkflowNotFoundError`, `CheckpointError`.
        """
        steps = self.get_steps(workflow_id)
        return history.state(history.cut(steps, superstep, workflow_id, ""))

    def _header(self, kept: _Kept) -> Workflow:
        return msgspec.structs.replace(
            kept.workflow,
            steps=len(kept.rows),
            supersteps=kept.supersteps,
            held=kept.workflow.id in self._held,
        )

    def _found(self, workflow_id: str) -> _Kept:
        kept = self._kept.get(refusals.checked_id(workflow_id))
        if kept is None:
            raise refusals.not_found(workflow_id, "")
        return kept

    # -- changing ------------------------------------------------------------------------------

    def fork(
        self, workflow_id: str, *, superstep: int | None = None, new_id: str | None = None
    ) -> str:
        """Start a new workflow from the history up to the end of a superstep (default: all of it), and
        return its id.

        It is ``STOPPED``, to be run on from there; a copy of everything stands where the original
        stands if that is completed or paused. Raises `WorkflowNotFoundError`, `CheckpointError` if
        ``new_id`` is taken, `CheckpointError`.
        """
        new_id = history.fork_id(workflow_id) if new_id is None else refusals.checked_id(new_id)
        with self._lock:
            kept = self._found(workflow_id)
            if new_id in self._kept:
                raise refusals.taken(new_id, "")
            if new_id in self._held:
                raise refusals.busy(new_id, "")
            steps = self.get_steps(workflow_id)
            copied = history.cut(steps, superstep, workflow_id, "")
            whole = len(copied) == len(steps)
            header = self._header(kept)
            copy = history.forked(header, copied, whole=whole, new_id=new_id, now=time.time())
            count = copied[-1].superstep + 1 if copied else 0
            self._kept[new_id] = _Kept(copy, kept.rows[: len(copied)], count)
        return new_id

    def delete(self, workflow_id: str) -> None:
        """Remove a workflow. Raises `WorkflowNotFoundError`, `WorkflowBusyError` while it is held."""
        with self._lock:
            if workflow_id in self._held:
                raise refusals.busy(workflow_id, "")
            self._found(workflow_id)
            del self._kept[workflow_id]

    def __repr__(self) -> str:
        return f"<MemoryCheckpointer of {len(self._kept)} workflows>"
