"""At most so many node calls at once, over a whole run.

Rule of this file: only leaf calls take a slot, so a graph within a graph waits for nothing of its own.
During a leaf call `current_limiter` is None, so whatever the call runs takes no second slot. Together:
a limit of 1 never deadlocks. A run in another thread or loop shares the limiter by the copied context.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from contextvars import ContextVar, Token
from enum import Enum
from itertools import repeat
from threading import Lock, RLock

current_limiter: ContextVar[Limiter | None] = ContextVar("current_limiter", default=None)
"""The limiter of the run around this code; None without one, and during a leaf call."""


class Limiter:
    """Grants ``total`` slots, to threads and to tasks of any number of event loops.

    Who comes first is served first, and nobody overtakes those who wait. Every grant is followed by one
    ``release``. Raises ``ValueError`` when ``total`` is not at least 1.
    """

    __slots__ = ("total", "_free", "_lock", "_waiters")

    def __init__(self, total: int) -> None:
        if total < 1:
            raise ValueError(f"a limiter grants at least 1 slot, not {total}")
        self.total = total
        self._free = deque(repeat(None, total))  # an entry per slot; pop and append are atomic
        self._waiters: OrderedDict[Waiter, None] = OrderedDict()
        self._lock = RLock()  # for waiters; re-entered when garbage collection closes a coroutine

    def acquire_nowait(self) -> bool:
        """Take a slot if one is free and nobody waits for it, and say whether that was so."""
        if self._waiters:
            return False
        try:
            self._free.pop()
        except IndexError:
            return False
        return True

    def acquire(self) -> None:
        """Take a slot; block this thread until there is one."""
        if self.acquire_nowait():
            return
        granted = Lock()
        granted.acquire()
        waiter = self.add_waiter(granted.release)
        try:
            granted.acquire()
        except BaseException:  # such as KeyboardInterrupt
            waiter.cancel()
            raise

    def release(self) -> None:
        """Give a slot back: to who waits longest, if anybody does."""
        if len(self._free) == self.total:
            raise ValueError("a slot was released that nobody had taken")
        self._free.append(None)  # before looking for waiters; these come before looking for slots
        if self._waiters:
            self._serve()

    def add_waiter(self, callback: Callable[[], None]) -> Waiter:
        """Ask for a slot; ``callback`` is called once, from any thread, when it is granted.

        A callback that raises says that its waiter is gone: the slot goes to the next one. Who loses
        interest calls the waiter's ``cancel``, whether or not the slot was granted in the meantime.
        """
        waiter = Waiter(self, callback)
        with self._lock:
            self._waiters[waiter] = None
        self._serve()
        return waiter

    def _serve(self) -> None:
        """Grant free slots to those who wait."""
        while True:
            with self._lock:
                try:
                    self._free.pop()
                except IndexError:
                    return
                waiter = next(iter(self._waiters), None)
                if waiter is None:
                    self._free.append(None)
                    return
                waiter.state = _State.GRANTED
                del self._waiters[waiter]
            if not self._tell(waiter):
                self._free.append(None)

    def _tell(self, waiter: Waiter) -> bool:
        """Call the callback, and say whether its slot is taken care of."""
        try:
            waiter.callback()
        except Exception:
            with self._lock:
                released = waiter.state is _State.GONE
                waiter.state = _State.GONE
            return released
        return True

    def _give_up(self, waiter: Waiter) -> None:
        with self._lock:
            state, waiter.state = waiter.state, _State.GONE
            self._waiters.pop(waiter, None)
        if state is _State.GRANTED:
            self.release()


class _State(Enum):
    WAITING = 1
    GRANTED = 2
    GONE = 3


class Waiter:
    """One request for a slot."""

    __slots__ = ("callback", "state", "_limiter")

    def __init__(self, limiter: Limiter, callback: Callable[[], None]) -> None:
        self._limiter = limiter
        self.callback = callback
        self.state = _State.WAITING

    def cancel(self) -> None:
        """Withdraw the request; a slot that was granted already is given back. Twice does no harm."""
        self._limiter._give_up(self)


class Slot:
    """``with Slot(limiter):`` around one leaf call: takes a slot, blocking, and hides the limiter."""

    __slots__ = ("_limiter", "_token")

    _token: Token[Limiter | None]

    def __init__(self, limiter: Limiter) -> None:
        self._limiter = limiter

    def __enter__(self) -> None:
        self._limiter.acquire()
        self._token = current_limiter.set(None)

    def __exit__(self, *raised: object) -> None:
        current_limiter.reset(self._token)
        self._limiter.release()
