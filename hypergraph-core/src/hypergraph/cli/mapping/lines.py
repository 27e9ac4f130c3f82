"""A file of lines.

Rule of this file: nothing but whole lines gets into the file, however the process ends.
"""

from __future__ import annotations

import os
import stat
import sys
import time
from pathlib import Path
from typing import TextIO

from hypergraph.cli.errors import UsageError

_BYTES, _SECONDS = 1 << 16, 0.2  # how much is held back, and how long while more comes


class Lines:
    """Lines for a file, or for stdout. A file keeps what it held until the first line is written."""

    def __init__(self, path: str | None) -> None:
        self.path = path
        self._held: list[bytes] = []
        self._size = 0
        self._flushed = 0.0
        self._file: int | None = None
        self._whole = 0  # where the last whole line ends
        self._begun = self._new = False
        self._stdout = sys.stdout  # while nodes are at work it may stand for another stream
        if path is None:
            if sys.stdout is None:
                raise UsageError("there is no stdout to write to; add --output FILE")
            return
        self._new = not os.path.lexists(path)
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror or error}") from None
        self._regular = stat.S_ISREG(os.fstat(self._file).st_mode)

    def write(self, line: str) -> None:
        """Add a line, which is ASCII. Raises ``UsageError`` and, on stdout, ``OSError``."""
        data = f"{line}\n".encode("ascii")
        self._held.append(data)
        self._size += len(data)
        if self._size >= _BYTES or time.monotonic() - self._flushed >= _SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what is held back."""
        data = b"".join(self._held)
        self._held, self._size, self._flushed = [], 0, time.monotonic()
        if self._file is None:
            if data and self._stdout is not None:
                _print(data, self._stdout)
            return
        self._begin()
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._file, rest) :]
            self._whole += len(data)
        except OSError as error:
            raise UsageError(f"{self.path}: {error.strerror or error}") from None
        finally:
            self._cut()

    def _begin(self) -> None:
        if not self._begun and self._file is not None:
            self._begun = True
            self._cut()

    def _cut(self) -> None:
        """Take away what is behind the last whole line, where the file is one of a disk."""
        if self._regular and self._file is not None:
            size = os.fstat(self._file).st_size
            if size != self._whole:
                os.ftruncate(self._file, self._whole)
                os.lseek(self._file, self._whole, os.SEEK_SET)

    def close(self, *, done: bool, keep_empty: bool = True) -> None:
        """Write what is held back and close the file.

        A file without lines is made if the work is ``done``, unless it is not wanted; one that was
        there before and has not been begun stays as it is if it is not.
        """
        try:
            if self._held or (done and self._file is not None):
                self.flush()
        finally:
            if self._file is not None:
                os.close(self._file)
                self._file = None
                unwanted = not keep_empty if done else self._new
                if self._whole == 0 and unwanted and self._regular and self.path is not None:
                    Path(self.path).unlink(missing_ok=True)


def _print(data: bytes, stdout: TextIO) -> None:
    """Write whole lines to stdout, at once where it is a file or a pipe: no buffer cuts them in two."""
    try:
        file = stdout.fileno()
    except OSError:  # a stream in memory
        stdout.write(data.decode("ascii"))
        return
    before = os.fstat(file).st_size if stat.S_ISREG(os.fstat(file).st_mode) else None
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(file, rest) :]
    except BrokenPipeError:
        raise
    except OSError as error:
        if before is not None:
            os.ftruncate(file, before)
        raise UsageError(f"stdout: {error.strerror or error}") from None
