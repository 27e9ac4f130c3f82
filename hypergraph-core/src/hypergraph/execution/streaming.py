"""Telling of what a generator node yields, chunk by chunk.

Rule of this file: each chunk is told before the next one is asked for; a run that is stopped leaves off
after a chunk, and what was yielded by then is the value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypergraph.events.types import StreamingChunkEvent
from hypergraph.execution.collect import is_stream, join_chunks
from hypergraph.execution.context import Settings
from hypergraph.execution.effects import Stream


def chunk_event(effect: Stream, settings: Settings) -> Callable[[Any, int], StreamingChunkEvent]:
    """Return what makes the event of a chunk and its index."""
    run_id, span_id, parent = effect.scope.ids
    clock, name, graph_name = settings.clock, effect.node.name, effect.graph_name

    def event(chunk: Any, index: int) -> StreamingChunkEvent:
        return StreamingChunkEvent(run_id, span_id, parent, clock(), name, graph_name, chunk, index)

    return event


def stream_chunks(effect: Stream, settings: Settings) -> Any:
    """Call a generator node, tell of each chunk as it comes, and return the joined value."""
    returned = effect.function(*effect.inputs.values())
    if not is_stream(returned):
        return returned
    emit, event = settings.emit, chunk_event(effect, settings)
    stop = settings.stop_for(effect.scope.trail)
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
