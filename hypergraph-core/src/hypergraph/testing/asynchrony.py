"""Graphs that do the same asynchronously: their *async twins*.

Rule of this file: whatever the seed, a twin computes what the graph computes. What the seed decides is
which functions are async, and in which order they finish.
"""

from __future__ import annotations

import functools
import types
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from typing import Any

from hypergraph.graph import Graph
from hypergraph.nodes import CallableNode
from hypergraph.testing.twins import twin

Pause = Callable[[], Awaitable[object]]
LONGEST = 5


@types.coroutine
def step_aside() -> Generator[None, None, None]:
    """Let others run for one turn of an event loop: ``await step_aside()``.

    Works wherever a bare ``yield`` means that: in asyncio, and in the reference interpreter.
    """
    yield


def as_async(
    graph: Graph, seed: int = 0, *, pause: Pause = step_aside, share: float = 0.7
) -> Graph:
    """Return the async twin of a graph: it gives the same result, and finishes in another order.

    A ``share`` of its functions, nested graphs included, become ``async def``, and generators among
    them async generators. Each call awaits ``pause()`` up to five times before it does what it did, a
    generator before each chunk. Which functions, and how often, follows from ``seed`` and the
    arguments. Under trio, ``pause`` must be ``trio.lowlevel.checkpoint`` or anyio's.
    """

    def wrap(node: CallableNode, path: str) -> Callable[..., Any]:
        if node.is_async or _number(seed, path) % 100 >= share * 100:
            return node.func
        make = _streaming if node.is_generator else _waiting
        return make(node.func, f"{seed} {path}", pause)

    return twin(graph, wrap)


def _waiting(func: Callable[..., Any], seed: str, pause: Pause) -> Callable[..., Any]:
    @functools.wraps(func)
    async def wait(*values: Any, **named: Any) -> Any:
        for _ in range(_number(seed, values, named) % (LONGEST + 1)):
            await pause()
        return func(*values, **named)

    return wait


def _streaming(func: Callable[..., Any], seed: str, pause: Pause) -> Callable[..., Any]:
    @functools.wraps(func)
    async def stream(*values: Any, **named: Any) -> AsyncIterator[Any]:
        for index, chunk in enumerate(func(*values, **named)):
            for _ in range(_number(seed, values, named, index) % (LONGEST + 1)):
                await pause()
            yield chunk

    return stream


def _number(*parts: object) -> int:
    return zlib.crc32(repr(parts).encode())
