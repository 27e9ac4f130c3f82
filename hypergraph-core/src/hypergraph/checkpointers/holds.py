"""Which workflows of a store are being run, by whichever process.

Rule of this file: a hold is a lock that the operating system keeps on one byte of a file beside the
store, so it ends with its process, however that ends. The system locks between processes; between the
threads and checkpointers of one process the table here does.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

_TRIES = 5  # another process that only looks whether a workflow is held locks it for a moment
_PAUSE = 0.002  # seconds

_mutex = threading.Lock()
_tables: dict[str, _Table] = {}


class _Table:
    """The holds of this process in one file, which is open while there are any.

    Closing any descriptor of a file gives up all locks that the process has on it, so there is one
    descriptor at a time.
    """

    def __init__(self) -> None:
        self.descriptor = -1
        self.held: set[int] = set()

    @contextlib.contextmanager
    def opened(self, path: str) -> Iterator[int]:
        """Open the file, and close it again if nothing is held afterwards."""
        if self.descriptor < 0:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            self.descriptor = os.open(path, flags, 0o600)
        try:
            yield self.descriptor
        finally:
            if not self.held:
                os.close(self.descriptor)
                self.descriptor = -1


class Holds:
    """The holds on the workflows of one store. Methods raise ``OSError`` if the file cannot be used."""

    def __init__(self, store: Path) -> None:
        self.path = f"{store}-holds"

    def take(self, workflow_id: str, tries: int = _TRIES) -> bool:
        """Take hold of a workflow; say whether it was free."""
        for attempt in range(tries):
            if attempt:
                time.sleep(_PAUSE)
            with _mutex:
                table = _tables.setdefault(self.path, _Table())
                place = _place(workflow_id)
                if place in table.held:
                    return False
                with table.opened(self.path) as descriptor:
                    if _lock(descriptor, place):
                        table.held.add(place)
                        return True
        return False

    def release(self, workflow_id: str) -> None:
        """Let go of a workflow that was taken hold of."""
        place = _place(workflow_id)
        with _mutex:
            table = _tables.get(self.path)
            if table is None or place not in table.held:
                return  # taken before the process was forked: the parent's
            with table.opened(self.path) as descriptor:
                table.held.discard(place)
                with contextlib.suppress(OSError):
                    fcntl.lockf(descriptor, fcntl.LOCK_UN, 1, place)

    def held(self, workflow_id: str) -> bool:
        """Say whether anybody holds a workflow."""
        place = _place(workflow_id)
        with _mutex:
            table = _tables.setdefault(self.path, _Table())
            if place in table.held:
                return True
            if table.descriptor < 0 and not os.path.exists(self.path):
                return False
            with table.opened(self.path) as descriptor:
                if not _lock(descriptor, place):
                    return True
                fcntl.lockf(descriptor, fcntl.LOCK_UN, 1, place)
                return False


def _place(workflow_id: str) -> int:
    """Return the byte that stands for a workflow; two never share one but by an accident of 2**-56."""
    return int.from_bytes(sha256(workflow_id.encode()).digest()[:7], "big")


def _lock(descriptor: int, place: int) -> bool:
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _after_fork() -> None:
    """A child has none of its parent's locks, only a copy of the descriptor, and closing it is safe."""
    global _mutex  # noqa: PLW0603 - a thread that is not here may have held it
    _mutex = threading.Lock()
    for table in _tables.values():
        if table.descriptor >= 0:
            os.close(table.descriptor)
    _tables.clear()


os.register_at_fork(after_in_child=_after_fork)
