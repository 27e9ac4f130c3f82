"""A file of workflows for somebody who only looks.

Rule of this file: nothing is made, changed or held: no file that was not there, no newer layout, no
rights. What is read is what was committed when it was asked for.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from hypergraph.checkpointers import refusals
from hypergraph.checkpointers.base import StepRecord, Workflow
from hypergraph.checkpointers.database import Database
from hypergraph.checkpointers.holds import Holds
from hypergraph.checkpointers.records import Records
from hypergraph.checkpointers.schema import LOCK_SECONDS, MIGRATIONS, checked_version
from hypergraph.checkpointers.tables import HeaderRow, read_headers, read_workflow
from hypergraph.errors import CheckpointError, did_you_mean
from hypergraph.serialization import Serializer

P = ParamSpec("P")
T = TypeVar("T")


def existing(path: str | os.PathLike[str]) -> Path:
    """Return the path of a file, links followed. Raises `CheckpointError` if there is none."""
    try:
        found = Path(path).expanduser().resolve()
        status = found.stat()
    except FileNotFoundError:
        near = sorted(str(one) for one in Path(path).expanduser().absolute().parent.glob("*.db"))
        raise CheckpointError(
            f"There is no such file of workflows.{did_you_mean(str(path), map(os.path.relpath, near))}",
            where=str(path),
            fix="name the file that was given to SqliteCheckpointer",
        ) from None
    except (OSError, RuntimeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise CheckpointError(
            f"The file of workflows could not be opened: {reason}.",
            where=str(path),
            fix="check the path and the rights to it",
        ) from error
    if not stat.S_ISREG(status.st_mode) or not status.st_size:
        problem = "is empty" if stat.S_ISREG(status.st_mode) else "is not a plain file"
        raise CheckpointError(
            f"What stands there {problem}, so it holds no workflows.",
            where=str(path),
            fix="name the file that was given to SqliteCheckpointer",
        )
    return found


class SqliteReader:
    """Reads the workflows in the file of a `SqliteCheckpointer`, which may be in use meanwhile."""

    def __init__(self, path: str | os.PathLike[str], serializer: Serializer) -> None:
        found = existing(path)
        self._place = str(found)
        self._database = _Unchanged(found)
        self._records = Records(serializer, self._place)
        self._holds = Holds(found)

    def workflows(self, limit: int | None = None) -> list[Workflow]:
        """Return the headers, the last changed first. Raises `CheckpointError`."""
        return [self._header(row)[0] for row in self._read(read_headers, None, limit)]

    def workflow(self, workflow_id: str) -> tuple[Workflow, list[StepRecord]]:
        """Return header and history. Raises `WorkflowNotFoundError`, `CheckpointError`."""
        found = self._read(read_workflow, workflow_id)
        if found is None:
            raise refusals.not_found(workflow_id, self._place)
        workflow, salt = self._header(found[0])
        return workflow, self._records.load_steps(workflow_id, salt, found[1])

    def _read(
        self,
        work: Callable[Concatenate[sqlite3.Connection, P], T],
        *args: P.args,
        **named: P.kwargs,
    ) -> T:
        try:
            return self._database.run("read", work, *args, **named)
        finally:
            self._database.close()

    def _header(self, row: HeaderRow) -> tuple[Workflow, bytes]:
        workflow, salt = row.read(self._records, self._place)
        try:
            return row.counted(workflow, self._place, self._holds), salt
        except OSError as error:
            raise self._database.failure(error, "read") from error


class _Unchanged(Database):
    """A database that is opened for reading only."""

    def _open(self) -> sqlite3.Connection:
        beside = [f"{self.path}{suffix}" for suffix in ("-wal", "-journal")]
        # Without these nobody has the file open. SQLite would make the log to read, and leave it there.
        mode = "mode=ro" if any(map(os.path.exists, beside)) else "immutable=1"
        connection = sqlite3.connect(
            f"{self.path.as_uri()}?{mode}", uri=True, timeout=LOCK_SECONDS, isolation_level=None
        )
        try:
            connection.execute("PRAGMA trusted_schema = OFF")
            self._check(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _check(self, connection: sqlite3.Connection) -> None:
        version = checked_version(connection, str(self.path))
        if version < len(MIGRATIONS):
            raise CheckpointError(
                f"The file was written by an older version of hypergraph: its layout is number "
                f"{version}, this version reads {len(MIGRATIONS)}.",
                where=str(self.path),
                fix="open it once with SqliteCheckpointer(path), which brings it up to date",
            )
