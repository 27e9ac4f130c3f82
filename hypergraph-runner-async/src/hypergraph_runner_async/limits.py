"""Waiting for a slot without blocking the event loop.

Rule of this file: a free slot costs no trip to the loop, and a slot granted to a task that was cancelled
in the same moment is given back.
"""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine
from contextvars import Token
from typing import Any

from hypergraph.runners.limits import Limiter, current_limiter
from hypergraph_runner_async.waking import new_wakeup


async def acquire(limiter: Limiter) -> None:
    """Take a slot; wait until there is one. The caller releases it."""
    if limiter.acquire_nowait():
        return
    wakeup = new_wakeup()
    waiter = limiter.add_waiter(wakeup.wake)
    try:
        await wakeup.wait()
    except BaseException:
        waiter.cancel()
        raise


class AsyncSlot:
    """``async with AsyncSlot(limiter):`` around one leaf call: takes a slot and hides the limiter."""

    __slots__ = ("_limiter", "_token")

    _token: Token[Limiter | None]

    def __init__(self, limiter: Limiter) -> None:
        self._limiter = limiter

    async def __aenter__(self) -> None:
        if not self._limiter.acquire_nowait():
            await acquire(self._limiter)
        self._token = current_limiter.set(None)

    async def __aexit__(self, *raised: object) -> None:
        self._limiter.release()  # first: nothing can be reset when the event loop is gone
        current_limiter.reset(self._token)


async def in_slot(limiter: Limiter, call: Awaitable[Any]) -> Any:
    """Await a leaf call that has not begun as soon as there is a slot for it; see `AsyncSlot`."""
    if not limiter.acquire_nowait():
        try:
            await acquire(limiter)
        except BaseException:
            if isinstance(call, Coroutine):  # a wrapper around a function may return anything
                call.close()  # or Python warns that it never began
            raise
    token = current_limiter.set(None)
    try:
        return await call
    finally:
        limiter.release()
        current_limiter.reset(token)
