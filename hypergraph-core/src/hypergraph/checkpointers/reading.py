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
from sqlite3 import Connection
from typing import Concatenate, ParamSpec, TypeVar

from hypergraph.checkpointers.database import Database, file_path
from hypergraph.checkpointers.lookup import Lookup
from hypergraph.checkpointers.records import Records
from hypergraph.checkpointers.schema import LOCK_SECONDS, MIGRATIONS, checked_version
from hypergraph.errors import CheckpointError, did_you_mean
from hypergraph.serialization import Serializer

P = ParamSpec("P")
T = TypeVar("T")


def existing(path: str | os.PathLike[str]) -> Path:
    """Return the path of the file itself.

    Raises `CheckpointError` if there is none, or if it is something else.
    """
    found = file_path(path)
    try:
        status = found.stat()
    except FileNotFoundError:
        near = [os.path.relpath(one) for one in sorted(found.parent.glob("*.db"))]
        problem = f"There is no such file of workflows.{did_you_mean(str(path), near)}"
    except OSError as error:
        problem = f"The file of workflows could not be opened: {error.strerror}."
    else:
        if not stat.S_ISREG(status.st_mode):
            problem = "That is no plain file, so no file of workflows."
        elif not status.st_size:
            problem = "The file is empty, so it holds no workflows."
        else:
            _Unchanged(found).run("opened", lambda _: None)
            return found
    raise CheckpointError(
        problem, where=str(path), fix="name the file that was given to SqliteCheckpointer"
    )


class SqliteReader(Lookup):
    """Reads the workflows in the file of a `SqliteCheckpointer`, which may be in use meanwhile.

    ``path`` is what `existing` returned.
    """

    def __init__(self, path: Path, serializer: Serializer) -> None:
        super().__init__(_Unchanged(path), Records(serializer, str(path)))


class _Unchanged(Database):
    """A database that is opened for reading only, anew each time."""

    def run(
        self,
        action: str,
        work: Callable[Concatenate[Connection, P], T],
        *args: P.args,
        **named: P.kwargs,
    ) -> T:
        """Return ``work(connection, ...)``. Raises `CheckpointError`."""
        try:
            return super().run(action, work, *args, **named)
        finally:
            self.close()

    def _open(self) -> Connection:
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

    def _check(self, connection: Connection) -> None:
        version = checked_version(connection, str(self.path))
        if version < len(MIGRATIONS):
            raise CheckpointError(
                f"The file was written by an older version of hypergraph: its layout is number "
                f"{version}, this version reads {len(MIGRATIONS)}.",
                where=str(self.path),
                fix="open it once with SqliteCheckpointer(path), which brings it up to date",
            )
