"""Joining what a generator node yields into its value.

Rule of this file: chunks that are all ``str`` or all ``bytes`` are joined, anything else becomes a
list; with no chunk at all the return annotation decides, and a list where there is none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def join_chunks(chunks: list[Any], func: Callable[..., Any]) -> Any:
    """Return the value of a generator node that yielded ``chunks``."""
    if not chunks:
        return _empty(func)
    kinds = set(map(type, chunks))
    if all(issubclass(kind, str) for kind in kinds):
        return "".join(chunks)
    if all(issubclass(kind, bytes) for kind in kinds):
        return b"".join(chunks)
    return chunks


def collect(returned: Any, func: Callable[..., Any]) -> Any:
    """Run a generator to its end and return its joined value.

    What is no generator is returned as it is: a wrapper around the function may have run it.
    """
    return join_chunks(list(returned), func) if is_stream(returned) else returned


async def collect_async(returned: Any, func: Callable[..., Any]) -> Any:
    """Run an async generator to its end and return its joined value; see `collect`."""
    if hasattr(type(returned), "__anext__"):
        return join_chunks([chunk async for chunk in returned], func)
    return collect(await returned if hasattr(type(returned), "__await__") else returned, func)


def is_stream(returned: Any) -> bool:
    """Say whether a generator node really returned a generator."""
    kind = type(returned)
    return hasattr(kind, "__next__") or hasattr(kind, "__anext__")


def _empty(func: Callable[..., Any]) -> Any:
    annotation = getattr(func, "__annotations__", {}).get("return")
    name = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    if "[" in name:  # Iterator[str], AsyncIterator[bytes], Generator[str, None, None]
        name = name.partition("[")[2]
    for kind in (str, bytes):
        if name.split(",")[0].strip(" ]'\"") == kind.__name__:
            return kind()
    return []
