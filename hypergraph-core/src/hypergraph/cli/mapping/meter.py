"""How far a map is, on stderr.

Rule of this file: one line that is written over, where somebody watches; nothing where nobody does, nor
where the results themselves go to the same terminal.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from datetime import timedelta

_SECONDS = 0.1  # between two drawings


class Meter:
    """Shows the count of items, how fast they go, and when they will be through if that is known."""

    def __init__(self, fraction: Callable[[], float | None], *, hidden: bool = False) -> None:
        self.began = time.monotonic()
        self.read = 0  # items that have been read, of the fraction
        self._fraction = fraction
        watched = sys.stderr is not None and sys.stderr.isatty() and not hidden
        self._stream = sys.stderr if watched else None
        self._shown = 0.0

    @property
    def watched(self) -> bool:
        """Whether somebody watches."""
        return self._stream is not None

    def show(self, done: int, failed: int) -> None:
        """Write the line, a few times a second."""
        now = time.monotonic()
        if self._stream is not None and now - self._shown >= _SECONDS:
            self._shown = now
            self._write(self.line(done, failed, now - self.began))

    def line(self, done: int, failed: int, seconds: float) -> str:
        """Return the line."""
        rate = done / seconds if seconds > 0 else 0.0
        fraction = self._fraction()
        total = self.read / fraction if fraction else None
        parts = [f"{done:,} item{'' if done == 1 else 's'}"]
        if total:
            parts[0] += f" ({min(done / total, 1):.0%})"
        if failed:
            parts.append(f"{failed:,} failed")
        parts.append(f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.2f}/s")
        if total and rate:
            parts.append(f"{timedelta(seconds=int(max(0.0, total - done) / rate))} left")
        return "  ".join(parts)

    def wipe(self) -> None:
        """Take the line away."""
        if self._stream is not None and self._shown:
            self._write("")

    def _write(self, text: str) -> None:
        assert self._stream is not None
        width = shutil.get_terminal_size().columns - 1
        self._stream.write(f"\r\x1b[K{text[:width]}")
        self._stream.flush()
