"""Waking a task from anywhere.

Rule of this file: what differs between asyncio and trio when one waits is told apart here; a `Wakeup` is
made where it is awaited and woken from any thread, loop or callback.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Protocol

import anyio
import anyio.lowlevel


class Wakeup(Protocol):
    """Something to wait for that happens once."""

    def wake(self) -> None:
        """Let it happen. Raises ``RuntimeError`` when the event loop has ended."""

    def wait(self) -> Awaitable[Any]:
        """Wait until it has happened; at once if it has. May be cancelled."""
        ...


def new_wakeup() -> Wakeup:
    """Make a wakeup for the running task."""
    return _AsyncioWakeup() if on_asyncio() else _TrioWakeup()


def on_asyncio() -> bool:
    """Whether the running task is one of asyncio's (trio's may run as a guest on asyncio's loop)."""
    try:
        return asyncio.current_task() is not None
    except RuntimeError:
        return False


async def wait_until_done(future: Future[Any]) -> None:
    """Wait until a future of another thread has a result or an exception, or was cancelled.

    Cancelling the wait leaves the future as it is.
    """
    if future.done():
        return
    wakeup = new_wakeup()

    def tell(_: Future[Any]) -> None:
        with suppress(RuntimeError):  # nobody waits in a loop that has ended
            wakeup.wake()

    future.add_done_callback(tell)
    await wakeup.wait()


async def outlast(future: Future[Any]) -> None:
    """Wait as `wait_until_done` does, but only raise a cancellation when the future is done.

    A shield alone keeps off what anyio's scopes cancel, and not ``asyncio.Task.cancel``.
    """
    cancelled: BaseException | None = None
    with anyio.CancelScope(shield=True):
        while not future.done():
            try:
                await wait_until_done(future)
            except anyio.get_cancelled_exc_class() as error:
                cancelled = error
    if cancelled is not None:
        try:
            raise cancelled
        finally:
            del cancelled


class _AsyncioWakeup:
    __slots__ = ("_future", "_loop", "_thread")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._future = self._loop.create_future()
        self._thread = threading.get_ident()

    def wake(self) -> None:
        if self._thread == threading.get_ident() and not self._loop.is_closed():
            self._set()
        else:
            self._loop.call_soon_threadsafe(self._set)

    def wait(self) -> Awaitable[None]:
        return self._future

    def _set(self) -> None:
        if not self._future.done():
            self._future.set_result(None)


class _TrioWakeup:
    __slots__ = ("_event", "_token")

    def __init__(self) -> None:
        self._event = anyio.Event()
        self._token: Any = anyio.lowlevel.current_token().native_token

    def wake(self) -> None:
        self._token.run_sync_soon(self._event.set)

    def wait(self) -> Awaitable[None]:
        return self._event.wait()
