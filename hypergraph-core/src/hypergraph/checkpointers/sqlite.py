"""Workflows in one SQLite file, which processes of the same user may share.

Rule of this file: what users see. Values become bytes in the caller's thread and are written by one
thread; every read asks the file.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import sqlite3
import time
import warnings
import weakref
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import msgspec

from hypergraph.checkpointers import history, refusals
from hypergraph.checkpointers.base import StepRecord, Stored, Workflow, WorkflowStatus
from hypergraph.checkpointers.database import Database, file_path
from hypergraph.checkpointers.holds import Holds
from hypergraph.checkpointers.lookup import Lookup
from hypergraph.checkpointers.records import Records, StepRow, new_salt
from hypergraph.checkpointers.retention import Retention
from hypergraph.checkpointers.sweeping import Sweeper
from hypergraph.checkpointers.tables import (
    add_step,
    add_steps,
    add_workflow,
    read_header,
    remove_workflow,
    replace_header,
)
from hypergraph.checkpointers.writer import Held, Op, Writer, Written
from hypergraph.errors import HypergraphWarning
from hypergraph.serialization import PickleSerializer, Serializer, default_key_file, load_key

Durability = Literal["sync", "async", "exit"]

BEHIND_SECONDS = 0.01  # how long an asynchronous step waits for others, to be safe within 20 ms
BACKLOG = 1000  # steps beyond which an asynchronous `save` waits for the disk


class SqliteCheckpointer:
    """Keeps workflows in a file; see `Checkpointer` for what the methods promise.

    ``path``: the file, made with mode 0600 if missing; ``~`` and ``$NAME`` are expanded. Other files
    of that name with something after it (``runs.db-wal``, ``-shm``, ``-holds``) belong to it.

    ``durability``: when a step is safe from a crash, of the process and of the machine. ``"sync"``:
    before the nodes that use it start. ``"async"``: at most 20 ms later. ``"exit"``: when the run ends,
    however it ends; if the process dies, nothing of the run is there. The end of a run is always safe
    before it is told.

    ``serializer``: default: pickles signed with the key in ``key_file``, which is made if missing
    (default: `hypergraph.serialization.default_key_file`). Processes that share a file need the same.
    ``retention``: which ended workflows to remove, looked at when a run ends: after the first one,
    then after 100 more or a minute.

    Threads may share one; a forked process opens the file anew. Raises `CheckpointError` if the file
    cannot be used, `KeyFileError` if the key file cannot.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        durability: Durability = "sync",
        serializer: Serializer | None = None,
        key_file: str | os.PathLike[str] | None = None,
        retention: Retention | None = None,
    ) -> None:
        if durability not in ("sync", "async", "exit"):
            raise ValueError(f"durability is 'sync', 'async' or 'exit', not {durability!r}")
        if retention is not None and not isinstance(retention, Retention):
            raise TypeError(f"retention is a Retention, not a {type(retention).__name__}")
        if serializer is not None and key_file is not None:
            raise TypeError("a serializer signs with its own key: give key_file or serializer")
        self._path = file_path(path)
        self._durability: Durability = durability
        self._retention = retention
        if serializer is None:
            key = default_key_file() if key_file is None else Path(key_file)
            serializer = PickleSerializer(load_key(key.expanduser().absolute()))
        self._place = str(self._path)
        self._records = Records(serializer, self._place)
        self._database = Database(self._path)
        self._lookup = Lookup(self._database, self._records)
        self._start()
        self._database.run("opened", lambda connection: None)  # what cannot be used is told now
        _OPEN.add(self)

    def _start(self) -> None:
        """Set up all that belongs to this process alone."""
        self._held: dict[str, Held] = {}
        self._holds = Holds(self._path)
        self._sweeper = Sweeper(self._retention, self._holds)
        delay = BEHIND_SECONDS if self._durability == "async" else 0.0
        self._writer = Writer(self._database, delay)

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    @property
    def durability(self) -> Durability:
        """When a step is safe."""
        return self._durability

    # -- running -------------------------------------------------------------------------------

    def begin(self, workflow_id: str) -> Stored:
        """Take hold of a workflow and return what is stored of it.

        Raises `WorkflowBusyError` while another run holds it, here or in any other process;
        `CheckpointError` if it cannot be read.
        """
        workflow_id = refusals.checked_id(workflow_id)
        self._database.check_file()
        self._take(workflow_id)
        try:
            found = self._lookup.find(workflow_id)
            if found is None:
                self._lookup.check_key()
        except BaseException:
            self._holds.release(workflow_id)
            raise
        if found is None:
            self._held[workflow_id] = Held(workflow_id, new_salt())
            return Stored(None, ())
        number, salt, workflow, steps = found
        last = steps[-1].superstep if steps else -1
        self._held[workflow_id] = Held(workflow_id, salt, number, True, len(steps), last)
        return Stored(workflow, steps)

    def put(self, workflow: Workflow, steps: Sequence[StepRecord] = ()) -> Future[None] | None:
        """Store the header of a workflow that is held, and steps with it: all of it or nothing.

        With ``"sync"``, ``None`` means it is safe. Raises `UnstorableValueError`; `CheckpointError` if
        something given earlier could not be written: nothing after it is.
        """
        held = self._holding(workflow.id)
        if held.error is not None:
            raise held.error
        rows = [self._row(held, step, held.steps + at) for at, step in enumerate(steps)]
        workflow = msgspec.structs.replace(workflow, steps=held.steps + len(rows))
        header = self._records.dump_header(workflow, held.salt)

        def write(connection: sqlite3.Connection) -> None:
            if held.number is None or not replace_header(connection, held.number, workflow, header):
                held.number = add_workflow(connection, workflow, header)
            for row in rows:
                add_step(connection, held.number, row)

        future = self._submit(Op(held, job=write), alone=True)
        held.known, held.steps = True, held.steps + len(rows)
        if steps:
            held.superstep = steps[-1].superstep
        return future

    def save(self, workflow_id: str, step: StepRecord) -> Future[None] | None:
        """Append a step to a workflow that is held. With ``"sync"``, ``None`` means that it is safe.

        Raises `UnstorableValueError`; `CheckpointError` if something given earlier could not be
        written: nothing after it is.
        """
        held = self._holding(workflow_id)
        if held.error is not None:
            raise held.error
        row = self._row(held, step, held.steps if held.known else None)
        future = self._submit(Op(held, row), alone=step.superstep != held.superstep)
        held.steps, held.superstep = held.steps + 1, step.superstep  # not before: Ctrl-C may come
        return future

    def _row(self, held: Held, step: StepRecord, expected: int | None) -> StepRow:
        if step.index != expected:
            raise refusals.out_of_order(held.workflow_id, self._place, step.index, expected)
        return self._records.dump_step(held.salt, step)

    def end(self, workflow_id: str) -> Future[None]:
        """Make everything that was given safe, and let go of the workflow.

        The future raises `CheckpointError` if something given could not be written; the workflow is
        free even then, and as it was before that.
        """
        held = self._holding(workflow_id)
        del self._held[workflow_id]
        future = Written()
        if held.error is None and held.safe and not held.waiting:
            self._holds.release(workflow_id)
            future.set_result(None)
        else:
            for op in held.waiting:
                self._writer.submit(op, hurry=False)
            release = functools.partial(self._holds.release, workflow_id)
            self._writer.submit(Op(held, future=future, after=release))
        if self._sweeper.due():
            self._writer.submit(Op(job=self._sweeper.sweep, after=self._sweeper.release))
        return future

    def _submit(self, op: Op, alone: bool) -> Future[None] | None:
        """Have something written; ``alone``: nothing else is likely to be given together with it.

        What is alone is written here and now if the disk is quick, as long as there is one workflow:
        to have another thread do it costs half as much again. All else is written together.
        """
        assert op.held is not None
        if self._durability == "sync":
            one = alone and op.held.safe and len(self._held) == 1
            if not one or not self._writer.attempt(op):
                op.future = Written()
                self._writer.submit(op)
        elif self._durability == "exit":
            op.held.waiting.append(op)
        else:
            if self._writer.backlog > BACKLOG:
                self._writer.flush()
            self._writer.submit(op, hurry=False)
        return op.future

    def _take(self, workflow_id: str) -> None:
        try:
            free = self._holds.take(workflow_id)
        except OSError as error:
            raise self._database.failure(error, "opened") from error
        if not free:
            raise refusals.busy(workflow_id, self._place)

    def _holding(self, workflow_id: str) -> Held:
        try:
            return self._held[workflow_id]
        except KeyError:
            raise refusals.not_held(workflow_id, self._place) from None

    # -- reading -------------------------------------------------------------------------------

    def get_workflow(self, workflow_id: str) -> Workflow:
        """Return the header. Raises `WorkflowNotFoundError`, `CheckpointError`."""
        workflow_id = refusals.checked_id(workflow_id)
        self._writer.flush()
        return self._lookup.header(workflow_id)

    def list_workflows(
        self, *, status: WorkflowStatus | None = None, limit: int | None = None
    ) -> list[Workflow]:
        """Return the headers, the last changed first.

        One that is damaged is left out, with a `HypergraphWarning` that names it. Raises
        `CheckpointError` if the file, or nothing in it, can be read.
        """
        refusals.check_query(status, limit)
        self._writer.flush()
        found, damaged = self._lookup.headers(status, limit)
        for workflow_id, error in damaged.items():
            problem = f"The list leaves out workflow {workflow_id!r}. {error}"
            warnings.warn(problem, HypergraphWarning, stacklevel=2)
        return found

    def get_steps(self, workflow_id: str) -> list[StepRecord]:
        """Return the history, oldest first. Raises `WorkflowNotFoundError`, `CheckpointError`."""
        return self._existing(workflow_id)[1]

    def get_state(self, workflow_id: str, *, superstep: int | None = None) -> dict[str, Any]:
        """Return the values of the graph itself by name, the latest of each, up to the end of a
        superstep (default: all).

        Raises `WorkflowNotFoundError`, `CheckpointError`.
        """
        steps = self.get_steps(workflow_id)
        return history.state(history.cut(steps, superstep, workflow_id, self._place))

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
        original, steps = self._existing(workflow_id)
        copied = history.cut(steps, superstep, workflow_id, self._place)
        whole = len(copied) == len(steps)
        copy = history.forked(original, copied, whole=whole, new_id=new_id, now=time.time())
        salt = new_salt()
        header = self._records.dump_header(copy, salt)
        rows = [self._records.dump_step(salt, step) for step in copied]

        def write(connection: sqlite3.Connection) -> None:
            if read_header(connection, new_id) is not None:
                raise refusals.taken(new_id, self._place)
            number = add_workflow(connection, copy, header)
            add_steps(connection, [(number, row) for row in rows])

        self._take(new_id)
        try:
            self._writer.call(write)
        finally:
            self._holds.release(new_id)
        return new_id

    def delete(self, workflow_id: str) -> None:
        """Remove a workflow, even one that can no longer be read.

        Raises `WorkflowNotFoundError`, `WorkflowBusyError` while it is held.
        """
        workflow_id = refusals.checked_id(workflow_id)
        self._take(workflow_id)
        try:
            if not self._writer.call(lambda connection: remove_workflow(connection, workflow_id)):
                raise refusals.not_found(workflow_id, self._place)
        finally:
            self._holds.release(workflow_id)

    def prune(self) -> int:
        """Remove now what ``retention`` says, and return how many workflows that were."""
        return int(self._writer.call(self._sweeper.sweep, self._sweeper.release))

    def close(self) -> None:
        """Store what was given, let go of every workflow, and close the file.

        Any later use opens it again. Raises `CheckpointError` if something could not be stored.
        """
        for end in self._stop():
            end.result()

    def _stop(self) -> list[Future[None]]:
        ends = [self.end(workflow_id) for workflow_id in list(self._held)]
        self._writer.stop()
        self._database.close()  # somebody may have read meanwhile
        return ends

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if "_writer" in self.__dict__:  # not when __init__ raised
            with contextlib.suppress(Exception):
                self._stop()

    def __repr__(self) -> str:
        return f"<SqliteCheckpointer durability={self._durability!r}>"

    # -- inside --------------------------------------------------------------------------------

    def _existing(self, workflow_id: str) -> tuple[Workflow, list[StepRecord]]:
        """Return header and history of a workflow."""
        workflow_id = refusals.checked_id(workflow_id)
        self._writer.flush()
        return self._lookup.history(workflow_id)


# --- the process: its end, and its children -----------------------------------------------------

_OPEN: weakref.WeakSet[SqliteCheckpointer] = weakref.WeakSet()


def _close_all() -> None:
    for checkpointer in list(_OPEN):
        try:
            checkpointer.close()
        except Exception as error:
            warnings.warn(
                f"Steps of workflows were lost when the program ended: {error}",
                HypergraphWarning,
                stacklevel=1,
            )


def _after_fork() -> None:
    """Give the child a thread of its own; what the parent holds and waits for is the parent's."""
    for checkpointer in list(_OPEN):
        checkpointer._start()


atexit.register(_close_all)
os.register_at_fork(after_in_child=_after_fork)
