"""A coroutine beside the code that started it.

Rule of this file: a background run ends by itself or by `Background.cancel`, never by the scopes around
its start, and never disturbs the event loop: what it raises is kept for who waits.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel

from hypergraph_runner_async.waking import on_asyncio

_tasks: set[asyncio.Task[None]] = set()  # asyncio itself holds tasks weakly


class Background:
    """The handle of a coroutine that was started with `spawn`."""

    __slots__ = ("_cancel", "_error", "_finished", "_loop", "_scope")

    def __init__(self) -> None:
        self._loop: Any = anyio.lowlevel.current_token().native_token
        self._scope = anyio.CancelScope()
        self._cancel: Callable[[], object] = self._scope.cancel
        self._finished = anyio.Event()
        self._error: BaseException | None = None

    def cancel(self) -> None:
        """Cancel the coroutine, soon, as the event loop cancels: asyncio once, so that it may await in
        its clean-up, trio for good. Safe from other threads, finalizers and after its end."""
        with suppress(RuntimeError):  # the loop has ended, and the coroutine with it
            if isinstance(self._loop, asyncio.AbstractEventLoop):
                self._loop.call_soon_threadsafe(self._cancel)
            else:
                self._loop.run_sync_soon(self._cancel)

    async def wait(self) -> None:
        """Wait until it has ended, in this event loop. Raises what the coroutine did not handle."""
        await self._finished.wait()
        error, self._error = self._error, None
        if error is not None:
            raise error

    async def _run(self, coroutine: Coroutine[Any, Any, object]) -> None:
        try:
            with self._scope:
                await coroutine
        except anyio.get_cancelled_exc_class():  # by the handle, or the event loop is ending
            raise
        except BaseException as error:
            self._error = error
        finally:
            self._finished.set()

    def _ended(self, coroutine: Coroutine[Any, Any, object], _: object) -> None:
        coroutine.close()  # asyncio never begins a task that is cancelled at once
        self._finished.set()


def spawn(coroutine: Coroutine[Any, Any, object]) -> Background:
    """Start a coroutine in the background, in a copy of this context; return its handle.

    When the event loop ends, it is cancelled.
    """
    background = Background()
    if on_asyncio():
        task = asyncio.get_running_loop().create_task(background._run(coroutine))
        background._cancel = task.cancel
        _tasks.add(task)
        task.add_done_callback(_tasks.discard)
        task.add_done_callback(partial(background._ended, coroutine))
    else:
        sys.modules["trio"].lowlevel.spawn_system_task(
            background._run, coroutine, context=copy_context()
        )
    return background
