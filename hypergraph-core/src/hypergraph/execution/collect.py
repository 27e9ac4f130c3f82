"""Joining what a generator node yields into its value.

Rule of this file: chunks that are all ``str`` or all ``bytes`` are joined, anything else becomes a
list; with no chunk at all the return annotation decides, and a list where there is none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hypergraph.events.types import StreamingChunkEvent

if TYPE_CHECKING:  # effects are made of what calls nodes, and calls of this
    from hypergraph.execution.context import Settings, Stop
    from hypergraph.execution.effects import Stream


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


def chunk_event(effect: Stream, settings: Settings) -> Callable[[Any, int], StreamingChunkEvent]:
    """Return what makes the event of a chunk and its index."""
    run_id, span_id, parent = effect.scope.ids
    clock, name, graph_name = settings.clock, effect.node.name, effect.graph_name

    def event(chunk: Any, index: int) -> StreamingChunkEvent:
        return StreamingChunkEvent(run_id, span_id, parent, clock(), name, graph_name, chunk, index)

    return event


def stop_for(effect: Stream, settings: Settings) -> Stop | None:
    """Return what cuts a generator short, unless its graph is run to its end in any case."""
    trail = effect.scope.trail
    return None if trail is not None and trail.finishing else settings.stop


def stream_chunks(effect: Stream, settings: Settings) -> Any:
    """Call a generator node, tell of each chunk as it comes, and return the joined value.

    A run that is stopped leaves off; what was yielded by then is the value.
    """
    returned = effect.function(*effect.inputs.values())
    if not is_stream(returned):
        return returned
    emit, stop, event = settings.emit, stop_for(effect, settings), chunk_event(effect, settings)
    assert emit is not None
    chunks: list[Any] = []
    try:
        for chunk in returned:
            emit(event(chunk, len(chunks)))
            chunks.append(chunk)
            if stop is not None and stop.requested:
                stop.cut_short = True
                break
    finally:
        if hasattr(returned, "close"):
            returned.close()
    return join_chunks(chunks, effect.node.func)
