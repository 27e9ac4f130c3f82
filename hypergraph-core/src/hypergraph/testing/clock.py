"""A clock that stands still until it is told otherwise.

Rule of this file: nothing waits. To sleep is to move the hands.
"""

from __future__ import annotations

from threading import Lock


class ManualClock:
    """A clock for tests of retries and durations: sleeping moves it at once, and nothing else does.

    ``slept`` lists the seconds of every sleep, in order. Sleeps add up, also those of nodes that run at
    the same time: the clock does not know that they would have waited side by side.
    """

    def __init__(self, *, monotonic: float = 0.0, time: float = 0.0) -> None:
        self.slept: list[float] = []
        self._monotonic = monotonic
        self._ahead = time - monotonic
        self._lock = Lock()

    def monotonic(self) -> float:
        """Return the seconds that have passed, counted from ``monotonic=``."""
        return self._monotonic

    def time(self) -> float:
        """Return the seconds that have passed, counted from ``time=``."""
        return self._monotonic + self._ahead

    def advance(self, seconds: float) -> None:
        """Let time pass. Raises ``ValueError`` for less than no time."""
        if seconds < 0:
            raise ValueError(f"time does not go back, and not by {-seconds} seconds")
        with self._lock:
            self._monotonic += seconds

    def sleep(self, seconds: float) -> None:
        """Let time pass, and note it in ``slept``. Raises ``ValueError`` for less than no time."""
        self.advance(seconds)
        self.slept.append(seconds)

    async def sleep_async(self, seconds: float) -> None:
        """Do what ``sleep`` does; the event loop is not waited for."""
        self.sleep(seconds)
