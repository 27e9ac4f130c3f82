"""The tables of a `SqliteCheckpointer`, and how a file of an older version gets them.

Rule of this file: ``PRAGMA user_version`` counts the migrations that a file has had, each of which is
one transaction and is never changed once released. A file that is not ours is left as it is.
"""

from __future__ import annotations

import sqlite3
import time

from hypergraph.errors import CheckpointError

APPLICATION_ID = 0x48595047  # "HYPG": what `file` and we tell our databases by
LOCK_SECONDS = 60.0  # how long to wait for other processes
_RETRY_SECONDS = 0.005

# place = number of the workflow * 2**32 + index of the step: rows lie in the order in which they are
# read, without an index beside them.
MIGRATIONS: list[tuple[str, ...]] = [
    (
        """
        CREATE TABLE workflows (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE,
            status TEXT NOT NULL,
            updated REAL NOT NULL,
            header BLOB NOT NULL
        )
        """,
        "CREATE INDEX workflows_by_change ON workflows (updated)",
        "CREATE TABLE steps (place INTEGER PRIMARY KEY, info BLOB NOT NULL, payload BLOB NOT NULL)",
    ),
]


def prepare(connection: sqlite3.Connection, where: str) -> None:
    """Bring a database to the newest version; several processes may do so at once.

    Raises `CheckpointError` for a database of another program or of a newer version.
    """
    version = checked_version(connection, where)
    connection.execute("PRAGMA trusted_schema = OFF")  # nor do we call what a file tells us to
    _use_wal(connection)
    connection.execute("PRAGMA synchronous = FULL")
    while version < len(MIGRATIONS):
        connection.execute("BEGIN IMMEDIATE")
        try:
            version = checked_version(connection, where)  # another process may have been first
            if version < len(MIGRATIONS):
                for statement in MIGRATIONS[version]:
                    connection.execute(statement)
                version += 1
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {version}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def checked_version(connection: sqlite3.Connection, where: str) -> int:
    """Return how many migrations a database has had.

    Raises `CheckpointError` for one of another program or of a newer version.
    """
    (version, application, tables) = connection.execute(
        "SELECT user_version, application_id, (SELECT count(*) FROM sqlite_master) "
        "FROM pragma_user_version, pragma_application_id"
    ).fetchone()
    if application != APPLICATION_ID and (application or version or tables):
        raise CheckpointError(
            "The file is a database of something else; it was left as it is.",
            where=where,
            fix="name a file that does not exist yet; a checkpointer needs one of its own",
        )
    if version > len(MIGRATIONS):
        raise CheckpointError(
            f"The file was written by a newer version of hypergraph: its layout is number {version}, "
            f"this version knows {len(MIGRATIONS)}.",
            where=where,
            fix="install a newer hypergraph-core, or name another file",
        )
    return int(version)


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch to the write-ahead log, for which SQLite itself waits for nobody."""
    end = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(_RETRY_SECONDS)
        else:
            return
