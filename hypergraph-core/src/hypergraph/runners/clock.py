"""The time of a run, as something that can be given to a runner.

Rule of this file: a runner asks no other clock, so that a test may hold the time in its hand.
"""

from __future__ import annotations

import time as system
from typing import Protocol, runtime_checkable


@runtime_checkable
class Clock(Protocol):
    """What a runner asks for the time, and how it waits. Used by many threads at once.

    A runner with an event loop needs ``async def sleep_async(seconds)`` besides, which waits without
    holding up the loop.
    """

    def monotonic(self) -> float:
        """Return seconds that never go back: events and durations are measured by them."""
        ...

    def time(self) -> float:
        """Return the seconds since the epoch."""
        ...

    def sleep(self, seconds: float, /) -> None:
        """Return after ``seconds`` (0 or more); the calling thread waits."""
        ...


class SystemClock:
    """The clock of the computer."""

    monotonic = staticmethod(system.perf_counter)
    time = staticmethod(system.time)
    sleep = staticmethod(system.sleep)
