"""Calling a node: where, within which time, and when there is room for it.

Rule of this file: only the call of a function takes a slot of ``max_concurrency``; while it lasts, what
is called inside takes none of its own, so a limit of 1 never deadlocks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from time import perf_counter
from typing import Any

import anyio
import anyio.lowlevel

from hypergraph.errors import NodeTimeoutError
from hypergraph.execution.drive import Later
from hypergraph.nodes import CallableNode
from hypergraph.runners.limits import Limiter
from hypergraph_runner_async.concurrency import gather
from hypergraph_runner_async.limits import AsyncSlot
from hypergraph_runner_async.threads import in_worker_thread
from hypergraph_runner_async.waking import on_asyncio

_BREATH = 0.01  # seconds after which sync nodes let the event loop attend to others


class Calling:
    """How the nodes of one run are called.

    ``limiter``: what bounds the calls in flight. ``threads``: sync nodes run in worker threads.
    ``width``: how many flows are to be under way at once. It is no more than calls can be in flight, so
    that nodes begin in order, and those still to begin when a run is stopped do not.
    ``group``: several failures are raised as one. ``breathe_at``: when a sync node is to be followed by
    `breathe`.
    """

    __slots__ = ("limiter", "threads", "width", "group", "breathe_at")

    def __init__(
        self,
        limiter: Limiter | None,
        threads: bool,
        width: int | None = None,
        group: bool = False,
    ) -> None:
        self.limiter = limiter
        self.threads = threads
        self.group = group
        if limiter is not None:
            width = min(limiter.total, width or limiter.total)
        self.width = width
        self.breathe_at = perf_counter() + _BREATH

    async def in_turn(
        self, calls: Iterable[Callable[[], Awaitable[Any]]], awaits: Sequence[bool] | bool
    ) -> list[Any]:
        """Make calls that do not depend on each other, and return their results in order: those that
        await something together, then the others one by one; see ``All``."""
        if self.threads or awaits is True:
            return await gather(calls, limit=self.width, group=self.group)
        if awaits is False:
            return [await call() for call in calls]
        calls = list(calls)
        results: list[Any] = [None] * len(calls)
        first = [position for position, together in enumerate(awaits) if together]
        if first:
            together_calls = (calls[position] for position in first)
            found = await gather(together_calls, limit=self.width, group=self.group)
            for position, result in zip(first, found):
                results[position] = result
        for position, together in enumerate(awaits):
            if not together:
                results[position] = await calls[position]()
        return results

    def call(self, node: CallableNode, function: Callable[..., Any], inputs: Iterable[Any]) -> Any:
        """Call a function of a node; returns its result, or ``Later``."""
        if self.limiter is not None or self.threads or node.timeout is not None:
            return Later(self.awaited(node, partial(function, *inputs)))
        if node.is_async:
            return Later(function(*inputs))
        result = function(*inputs)
        if perf_counter() > self.breathe_at:
            return Later(self.breathe(result))
        return result

    async def awaited(self, node: CallableNode, call: Callable[[], Any]) -> Any:
        """Call a node when there is room for it, and return its result."""
        return await self.limited(partial(self._here_or_there, node, call))

    async def limited(self, call: Callable[[], Awaitable[Any]]) -> Any:
        """Await a call when there is room for it."""
        if self.limiter is None:
            return await call()
        async with AsyncSlot(self.limiter):
            return await call()

    async def breathe(self, result: Any = None) -> Any:
        """Let the event loop attend to others, and return what was given."""
        await anyio.lowlevel.checkpoint()
        self.breathe_at = perf_counter() + _BREATH
        return result

    async def _here_or_there(self, node: CallableNode, call: Callable[[], Any]) -> Any:
        if not node.is_async:
            if self.threads:
                return await in_worker_thread(call)
            result = call()
            return await self.breathe(result) if perf_counter() > self.breathe_at else result
        return await in_time(node, call)


async def in_time(node: CallableNode, call: Callable[[], Awaitable[Any]]) -> Any:
    """Await a call within the timeout of its node, if that has one. Raises ``NodeTimeoutError``."""
    if node.timeout is None:
        return await call()
    if on_asyncio():  # its own timeout cancels once, so that the node may await in its clean-up
        within = asyncio.timeout(node.timeout)
        try:
            async with within:
                return await call()
        except TimeoutError:
            if not within.expired():
                raise
    else:
        with anyio.move_on_after(node.timeout):
            return await call()
    raise NodeTimeoutError(
        f"Node {node.name!r} took longer than its timeout of {node.timeout:g} s.",
        where=f"node {node.name!r}",
        fix="make it faster, raise @node(timeout=...), or give it a retry=.",
        node=node.name,
        timeout=node.timeout,
    ) from None
