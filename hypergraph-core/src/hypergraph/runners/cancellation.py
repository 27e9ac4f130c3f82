"""Ending a run that blocks a thread, from outside that thread.

Rule of this file: a thread cannot be stopped, so whoever runs in it asks, between two calls; what it
waits for meanwhile is told at once. The cancellation of the run around this code travels in the
context, into every thread and event loop below it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from threading import Event, Lock

current_cancellation: ContextVar[Cancellation | None] = ContextVar(
    "current_cancellation", default=None
)
"""How the run around this code may be cancelled; None where an exception does it."""


class Cancelled(BaseException):
    """Ends a run that blocks, because the run around it was cancelled. Nodes never see it."""


class Cancellation:
    """Whether a run was cancelled. Used by any number of threads."""

    __slots__ = ("_event", "_lock", "_told")

    def __init__(self) -> None:
        self._event = Event()
        self._lock = Lock()
        self._told: dict[object, Callable[[], object]] = {}

    def request(self) -> None:
        """Cancel the run: it ends before its next call, and what it waits for is told now."""
        with self._lock:
            self._event.set()
            told = list(self._told.values())
        for tell in told:
            tell()

    def check(self) -> None:
        """Raise `Cancelled` if the run is to end."""
        if self._event.is_set():
            raise Cancelled

    def sleep(self, seconds: float) -> None:
        """Let seconds pass. Raises `Cancelled` as soon as the run is to end."""
        self._event.wait(seconds)
        self.check()

    @contextlib.contextmanager
    def telling(self, tell: Callable[[], object]) -> Iterator[None]:
        """``with`` this, ``tell`` is called once if the run is cancelled, from any thread."""
        key = object()
        with self._lock:
            requested = self._event.is_set()
            if not requested:
                self._told[key] = tell
        if requested:
            tell()
        try:
            yield
        finally:
            with self._lock:
                self._told.pop(key, None)
