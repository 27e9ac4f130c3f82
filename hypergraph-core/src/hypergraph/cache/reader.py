"""Reads stored bytes from the database of a `DiskCache`, as fast as SQLite gives them.

Rule of this file: it only reads, and trusts nothing that it finds: not the type of a value, not the
name of a file. It relies on three columns of diskcache's table (``key``, ``value``, ``filename``)
and spares the steps around them.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import time
from pathlib import Path
from typing import Any

DATABASE = "cache.db"
DATABASE_FILES = (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", f"{DATABASE}-journal")
LOCK_SECONDS = 60.0  # how long to wait for other processes
SNAPSHOT_SECONDS = 0.02  # how long consecutive hits may share one view of the database
REUSED_BYTES = 32 * 2**20  # memory that a reader keeps for reading files into

_SELECT = "SELECT value, filename FROM Cache WHERE key = ? AND raw = 1"
_VALUE_FILE = re.compile(r"[0-9a-f]{2}[/\\][0-9a-f]{2}[/\\][0-9a-f]{28}\.val")


class Reader:
    """One connection that only reads. Used by one thread at a time.

    Consecutive hits within 20 ms share one snapshot of the database, which spares taking its lock
    for each. A miss is looked up anew and ends it, so that none is held while a node runs.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._memory = bytearray()
        self._connection = sqlite3.connect(
            path / DATABASE, timeout=LOCK_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            (mode,) = self._connection.execute("PRAGMA journal_mode").fetchone()
        except sqlite3.Error:
            self._connection.close()
            raise
        self._snapshots = mode == "wal"  # in any other mode, a reader would block writers
        self._until = 0.0

    def read(self, key: str) -> bytes | memoryview | None:
        """Return the stored bytes, unverified; a view is valid until the next call."""
        begun = False
        if self._snapshots and time.monotonic() > self._until:
            begun = self._begin()
        row = self._connection.execute(_SELECT, (key,)).fetchone()
        if row is None and self._until and not begun:  # it may have come since the snapshot
            self._begin()
            row = self._connection.execute(_SELECT, (key,)).fetchone()
        if row is None:
            self.release()
            return None
        value, filename = row
        if filename is not None:
            return self._read_file(value_file(filename))
        return value if type(value) is bytes else b""  # no signature is empty

    def _read_file(self, name: str) -> memoryview | None:
        """Read a file into memory that is used again: new memory costs more than the reading."""
        try:
            with open(self._path / name, "rb", buffering=0) as file:
                size = os.fstat(file.fileno()).st_size
                memory = self._memory if size <= len(self._memory) else bytearray(size)
                if size <= REUSED_BYTES:
                    self._memory = memory
                view = memoryview(memory)
                end = 0
                while end < size and (count := file.readinto(view[end:size])):
                    end += count
                return view[:end]
        except FileNotFoundError:
            return None  # another process has just removed the entry

    def _begin(self) -> bool:
        self.release()
        self._connection.execute("BEGIN")
        self._until = time.monotonic() + SNAPSHOT_SECONDS
        return True

    def release(self) -> None:
        """End the snapshot, if there is one."""
        if self._until:
            self._until = 0.0
            self._connection.execute("COMMIT")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def drain(readers: list[Reader]) -> list[Reader]:
    """Take all idle readers out of the list; other threads may do so at the same time."""
    taken = []
    with contextlib.suppress(IndexError):
        while True:
            taken.append(readers.pop())
    return taken


def value_file(name: Any) -> str:
    """Return the name of a stored file, or raise `ValueError` if it could be any other file."""
    if type(name) is not str or not _VALUE_FILE.fullmatch(name):
        raise ValueError("a stored file name is not one that the store gives")
    return name
