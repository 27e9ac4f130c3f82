"""The thread that writes: whatever waits goes into one transaction, then all who wait are told.

Rule of this file: what was given for one workflow is written in that order, and nothing of it after
something that could not be. The failure of one workflow does not touch the others.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any

from hypergraph.checkpointers.database import Database
from hypergraph.checkpointers.records import StepRow
from hypergraph.checkpointers.tables import add_step, add_steps
from hypergraph.errors import CheckpointError

QUICK_SECONDS = 0.001  # that a commit may take for callers to make it themselves

Job = Callable[[sqlite3.Connection], Any]


@dataclass(slots=True, eq=False)
class Held:
    """A workflow that a run of this checkpointer holds.

    ``number``: of its row, from when its header is stored. ``known``: the header was given.
    ``steps``: how many were given, the last of them in ``superstep``. ``error``: why nothing more is
    stored. ``waiting``: what is kept until the end. ``submitted`` and ``written`` count what the writer
    was given and what it has done; each is changed by one thread only.
    """

    workflow_id: str
    salt: bytes
    number: int | None = None
    known: bool = False
    steps: int = 0
    superstep: int = -1
    error: Exception | None = None
    waiting: list[Op] = field(default_factory=list)
    submitted: int = 0
    written: int = 0

    @property
    def safe(self) -> bool:
        """Whether the writer has nothing of this workflow in hand."""
        return self.submitted == self.written


@dataclass(slots=True, eq=False)
class Op:
    """One thing to write: a step, a job, or nothing but the news that all before it is written.

    ``held``: the workflow to which it belongs. ``after`` is called when it was written, or could not
    be, before ``future`` is told.
    """

    held: Held | None = None
    step: StepRow | None = None
    job: Job | None = None
    future: Future[Any] | None = None
    after: Callable[[], None] | None = None
    result: Any = None


class Writer:
    """Writes what is submitted; what is in no hurry waits ``delay`` seconds for others."""

    def __init__(self, database: Database, delay: float) -> None:
        self._database = database
        self._delay = delay
        self._queue: SimpleQueue[Op | None] = SimpleQueue()
        self._hurry = threading.Event()
        self._seconds = float("inf")  # that the last commit took
        self._thread: threading.Thread | None = None
        self._former: threading.Thread | None = None
        self._starting = threading.Lock()

    def submit(self, op: Op, *, hurry: bool = True) -> None:
        """Have something written; ``hurry``: as soon as possible."""
        if op.held is not None:
            op.held.submitted += 1
        self._queue.put(op)
        if hurry and self._delay:
            self._hurry.set()
        if self._thread is None:
            self._start()

    def attempt(self, op: Op) -> bool:
        """Write something in the caller's thread if that is a matter of a moment; say whether it is
        written now."""
        if self._seconds > QUICK_SECONDS:
            return False
        started = time.perf_counter()
        written = self._database.attempt(_write, (op,))
        self._seconds = time.perf_counter() - started
        return written

    def call(self, job: Job, after: Callable[[], None] | None = None) -> Any:
        """Have a job done, and return its result."""
        future = Written()
        self.submit(Op(job=job, future=future, after=after))
        return future.result()

    def flush(self) -> None:
        """Return when all that was submitted is written."""
        if self._thread is not None and self._thread is not threading.current_thread():
            future = Written()
            self.submit(Op(future=future))
            future.result()

    @property
    def backlog(self) -> int:
        """How many things wait."""
        return self._queue.qsize()

    def stop(self) -> None:
        """Write what waits, close the file and end the thread; anything submitted later starts it again.

        Waits for that, unless it is this very thread that lets go of the last reference.
        """
        with self._starting:
            thread, self._thread = self._thread, None
            if thread is not None:
                self._former = thread
                self._queue.put(None)
                self._hurry.set()
        if thread is None:
            self._database.close()
        elif thread is not threading.current_thread():
            thread.join()

    def _start(self) -> None:
        with self._starting:
            if self._thread is not None:
                return
            name = f"hypergraph-writer-{self._database.path.name}"
            former, self._former = self._former, None
            thread = threading.Thread(target=self._run, args=(former,), name=name, daemon=True)
            try:
                thread.start()
            except RuntimeError:  # none can be had, as when the program ends
                self._write(self._waiting())
            else:
                self._thread = thread

    # -- the thread ----------------------------------------------------------------------------

    def _run(self, former: threading.Thread | None) -> None:
        if former is not None:
            former.join()  # it has what was submitted earlier
        more = True
        while more:
            ops = [self._queue.get()]
            if self._delay:
                self._hurry.wait(self._delay)
                self._hurry.clear()
            ops += self._waiting()
            more = None not in ops
            self._write([op for op in ops if op is not None])
        self._database.close()

    def _waiting(self) -> list[Any]:
        """Take all that waits."""
        return [self._queue.get() for _ in range(self._queue.qsize())]

    def _write(self, ops: Sequence[Op]) -> None:
        """Write in one transaction; if that fails, in one for each workflow."""
        try:
            self._commit(ops)
        except Exception as error:
            groups = _by_workflow(ops)
            if len(groups) > 1:
                for group in groups:
                    self._write(group)
                return
            if not isinstance(error, CheckpointError):
                error = self._database.failure(error, "written")
            for op in ops:
                op.result = error
                if op.held is not None and op.held.error is None:
                    op.held.error = error
        for op in ops:
            self._tell(op)

    def _commit(self, ops: Sequence[Op]) -> None:
        todo = [
            op
            for op in ops
            if (op.step is not None or op.job is not None)
            and (op.held is None or op.held.error is None)
        ]
        if todo:
            started = time.perf_counter()
            self._database.run("written", _write, todo)
            self._seconds = time.perf_counter() - started

    def _tell(self, op: Op) -> None:
        error = op.held.error if op.held is not None else None
        if op.held is not None:
            op.held.written += 1
        if op.after is not None:
            op.after()
        if op.future is None:
            return
        if error is None and isinstance(op.result, Exception):
            error = op.result
        if error is not None:
            op.future.set_exception(error)
        else:
            op.future.set_result(op.result)


class Written(Future[Any]):
    """A future that cannot be cancelled: what was given is written."""

    def cancel(self) -> bool:
        """Return ``False``."""
        return False


def _write(connection: sqlite3.Connection, ops: Sequence[Op]) -> None:
    """Do everything in one transaction, which a single step is by itself."""
    if len(ops) == 1 and ops[0].step is not None:
        add_step(connection, *_row(ops[0]))
        return
    connection.execute("BEGIN IMMEDIATE")
    rows: list[tuple[int, StepRow]] = []
    for op in ops:
        if op.job is None:
            rows.append(_row(op))
            continue
        add_steps(connection, rows)
        rows = []
        try:
            op.result = op.job(connection)
        except CheckpointError as refusal:  # nothing was written
            op.result = refusal
    add_steps(connection, rows)
    connection.execute("COMMIT")


def _row(op: Op) -> tuple[int, StepRow]:
    assert op.held is not None
    assert op.held.number is not None
    assert op.step is not None
    return op.held.number, op.step


def _by_workflow(ops: Iterable[Op]) -> list[list[Op]]:
    groups: dict[int, list[Op]] = {}
    for op in ops:
        groups.setdefault(id(op.held or op), []).append(op)
    return list(groups.values())
