"""One SQLite file of the user's own, and one connection to it.

Rule of this file: whoever uses the connection holds its lock, so it is never carried into a forked
process in the middle of something; every failure of SQLite leaves here as a `CheckpointError`.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from sqlite3 import Connection
from typing import Concatenate, ParamSpec, TypeVar

from hypergraph.checkpointers.schema import LOCK_SECONDS, checked_version, prepare
from hypergraph.errors import CheckpointError

P = ParamSpec("P")
T = TypeVar("T")

# Too large a number for SQLite; a message of SQLite that quotes a damaged file.
_OF_SQLITE = (sqlite3.Error, OverflowError, UnicodeDecodeError)
SUFFIXES = ("", "-wal", "-shm", "-journal", "-holds")


class Database:
    """The file, opened when it is first used, and again after `close`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._connection: Connection | None = None
        self._opened: tuple[int, int] | None = None  # device and number of the file
        self._patient = True
        _DATABASES.add(self)

    def run(
        self,
        action: str,
        work: Callable[Concatenate[Connection, P], T],
        *args: P.args,
        **named: P.kwargs,
    ) -> T:
        """Return ``work(connection, ...)``; a transaction that it leaves open is rolled back.

        ``action``: what it is for, as in "could not be *read*". Raises `CheckpointError`.
        """
        with self._lock:
            try:
                if self._connection is None:
                    action = "opened"
                    self._connection, self._patient = self._open(), True
                    self._connection.text_factory = _text
                if not self._patient:
                    self._wait(self._connection, LOCK_SECONDS)
                return work(self._connection, *args, **named)
            except _OF_SQLITE as error:
                failure = self.failure(error, action)
                self.close()  # the file may be another one when it is used again
                raise failure from error
            except BaseException:
                if self._connection is not None and self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def attempt(
        self,
        work: Callable[Concatenate[Connection, P], object],
        *args: P.args,
        **named: P.kwargs,
    ) -> bool:
        """Do ``work(connection, ...)`` if that can be done without waiting for anybody; say whether it
        was done. If it fails nothing has happened, and `run` will tell why."""
        if not self._lock.acquire(blocking=False):
            return False
        try:
            connection = self._connection
            if connection is None:
                return False
            if self._patient:
                self._wait(connection, 0)
            try:
                work(connection, *args, **named)
            except BaseException as error:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                if not isinstance(error, Exception):
                    raise
                return False
            return True
        finally:
            self._lock.release()

    def check_file(self) -> None:
        """Raise `CheckpointError` if the file that is open is no longer the one at its path."""
        with self._lock:
            if self._connection is None or _identity(self.path) == self._opened:
                return
            self.close()
        raise CheckpointError(
            "The file of workflows was removed or replaced while it was open.",
            where=str(self.path),
            fix="put it back and try again; if it is gone for good, try again and a new one is made",
        )

    def _wait(self, connection: Connection, seconds: float) -> None:
        """Say how long to wait for other processes."""
        connection.execute(f"PRAGMA busy_timeout = {seconds * 1000:.0f}")
        self._patient = seconds > 0

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None:
                with contextlib.suppress(sqlite3.Error):
                    connection.close()

    def _open(self) -> Connection:
        try:
            _make(self.path)
            connection = sqlite3.connect(
                self.path, timeout=LOCK_SECONDS, isolation_level=None, check_same_thread=False
            )
            try:
                checked_version(connection, str(self.path))
                _make_private(self.path)  # now that it is known to be ours
                prepare(connection, str(self.path))
            except BaseException:
                connection.close()
                raise
            self._opened = _identity(self.path)
        except OSError as error:
            raise self.failure(error, "opened") from error
        return connection

    def failure(self, error: Exception, action: str) -> CheckpointError:
        """Return what is raised for an error of SQLite or of the operating system."""
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if isinstance(error, UnicodeDecodeError):
            code = sqlite3.SQLITE_CORRUPT
        problem, fix = _PROBLEMS.get(code, (None, "see the cause above"))
        if problem is None:
            reason = error.strerror if isinstance(error, OSError) else None
            problem = f"it failed with {type(error).__name__}" + (f" ({reason})" if reason else "")
        return CheckpointError(
            f"The file of workflows could not be {action}: {problem}.",
            where=str(self.path),
            fix=fix,
        )

    # -- a process that is forked --------------------------------------------------------------

    def before_fork(self) -> None:
        """Close the connection, which neither process could use otherwise, when it is idle."""
        self._lock.acquire()
        self.close()

    def after_fork(self) -> None:
        """Let it be opened again, in both processes."""
        self._lock.release()


def _identity(path: Path) -> tuple[int, int] | None:
    """Return device and number of a file, if there is one."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def file_path(path: str | os.PathLike[str]) -> Path:
    """Return the path of the file itself: ``~`` and ``$NAME`` expanded, links followed.

    Raises ``TypeError``, `CheckpointError` for what names no file.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"the path of a SqliteCheckpointer is a file, not {type(path).__name__}")
    name = os.fspath(path)
    if not isinstance(name, str):
        raise TypeError("the path of a SqliteCheckpointer is text, not bytes")
    if not name or name.startswith((":memory:", "file:")):
        raise CheckpointError(
            "The path of a SqliteCheckpointer is that of a file: no URI, not empty, not in memory.",
            where=f"path {name!r}",
            fix="give a plain path such as 'runs.db', or use MemoryCheckpointer()",
        )
    expanded = os.path.expandvars(os.path.expanduser(name))
    try:
        return Path(expanded).absolute().resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise CheckpointError(
            f"The path of the file of workflows cannot be followed ({type(error).__name__}).",
            where=f"path {name!r}",
            fix="give another path",
        ) from error


_AGAIN = "run the workflow again; it goes on after the last stored step"
_ALTERED = "restore a copy of the file, or name another one; it was left as it is"
_PROBLEMS = {
    sqlite3.SQLITE_FULL: (
        "the disk is full",
        f"make room and {_AGAIN}",
    ),
    sqlite3.SQLITE_IOERR: (
        "the disk refused to read or to write",
        f"see to the disk (is it full?) and {_AGAIN}",
    ),
    sqlite3.SQLITE_READONLY: ("it may not be written", "make the file and its directory writable"),
    sqlite3.SQLITE_PERM: ("it may not be written", "make the file and its directory writable"),
    sqlite3.SQLITE_CANTOPEN: ("it cannot be opened", "check the path and the rights to it"),
    sqlite3.SQLITE_BUSY: (
        f"another program has kept it locked for {LOCK_SECONDS:.0f} s",
        "end that program's transaction, or the program",
    ),
    sqlite3.SQLITE_LOCKED: ("it is locked", "end what holds the lock"),
    sqlite3.SQLITE_CORRUPT: ("it is damaged", _ALTERED),
    sqlite3.SQLITE_NOTADB: ("it is no database, or a damaged one", _ALTERED),
    sqlite3.SQLITE_CONSTRAINT: (
        "there is a row where one was to be added, so another run has written to the workflow",
        "leave the files beside the database alone while it is in use; run the workflow again",
    ),
}


def _text(data: bytes) -> str:
    """Return a text of the file; one that is damaged is none that was written, and spoils no other."""
    return data.decode(errors="surrogateescape")


def _make(path: Path) -> None:
    """Make the file with mode 0600 if it is missing, its directory with mode 0700; refuse what is not
    a plain file of this user."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    for name, status in _files(path):
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
            raise CheckpointError(
                "The file of workflows is not a plain file of this user.",
                where=name,
                fix="name a file of your own, in a directory of your own",
            )


def _make_private(path: Path) -> None:
    """Tighten the mode of the file and of those beside it."""
    for name, status in _files(path):
        if status.st_mode & 0o077:
            os.chmod(name, 0o600)


def _files(path: Path) -> Iterator[tuple[str, os.stat_result]]:
    for suffix in SUFFIXES:
        name = f"{path}{suffix}"
        with contextlib.suppress(FileNotFoundError):
            yield name, os.lstat(name)


# --- forks --------------------------------------------------------------------------------------

_DATABASES: weakref.WeakSet[Database] = weakref.WeakSet()
_forking: list[Database] = []


def _before_fork() -> None:
    for database in sorted(_DATABASES, key=id):
        database.before_fork()
        _forking.append(database)


def _after_fork() -> None:
    while _forking:
        _forking.pop().after_fork()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
