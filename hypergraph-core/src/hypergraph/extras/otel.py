"""Spans of OpenTelemetry.

Rule of this file: a span's parent is found by the ids of its event, never by the thread or task that
the event comes on; only an outermost run looks at what is current there. Names, counts, times and
types are recorded, and no value.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hypergraph.discovery import installed_version
from hypergraph.errors import MissingExtraError
from hypergraph.events import (
    CacheErrorEvent,
    CacheHitEvent,
    Event,
    InterruptEvent,
    NodeEndEvent,
    NodeErrorEvent,
    NodeRetryEvent,
    NodeStartEvent,
    RouteDecisionEvent,
    RunEndEvent,
    RunStartEvent,
    StreamingChunkEvent,
    TypedEventProcessor,
)
from hypergraph.execution.places import Place

try:
    from opentelemetry import context as contexts, trace
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "opentelemetry":
        raise  # it is there and broken: its own error says more
    raise MissingExtraError(
        "OpenTelemetryProcessor needs the package opentelemetry-api, which is not installed.",
        fix='pip install "hypergraph-core[otel]"',
    ) from error

if TYPE_CHECKING:
    from opentelemetry.util.types import AttributeValue

Key = tuple[str | None, int | None]  # ids of run and span: a span is unique within its run
Attributes = Mapping[str, "AttributeValue"]
Known = Mapping[str, str | int | None]

_HERE = contexts.create_key("hypergraph-span")


@dataclass(slots=True, kw_only=True, eq=False)
class _Open:
    """A span that has not ended, or has and is still current somewhere.

    ``context`` is what spans inside begin with; ``before`` what was current when a node began; ``epoch``
    nanoseconds to add to the time of an event; ``halted`` how a run inside ended before its graph did;
    ``told`` the error that a span inside has recorded, which is not recorded again on its way out.
    """

    key: Key
    span: trace.Span
    context: contexts.Context
    epoch: int
    above: _Open | None
    before: contexts.Context | None = None
    inside: dict[Key, _Open] = field(default_factory=dict)
    ended: bool = False
    chunks: int = 0
    halted: str | None = None
    asked: bool = False
    told: BaseException | None = None

    def innermost_first(self) -> Iterator[_Open]:
        """Yield what is open inside, and this last."""
        for inner in self.inside.values():
            yield from inner.innermost_first()
        yield self


class OpenTelemetryProcessor(TypedEventProcessor):
    """Makes a span of every run and every node; give it to ``event_processors=``.

    The spans nest as the graph does. The outermost run is a child of the span that is current when it
    starts, and while a node runs its span is the current one. One processor serves any number of runs
    at once.

    ``tracer_provider``: by default the global one. ``record_exceptions=True`` adds messages and
    tracebacks of exceptions, which may hold values of the user; without it an error is recorded by its
    type and its place in the graph. Inputs and outputs are never recorded.
    """

    def __init__(
        self,
        tracer_provider: trace.TracerProvider | None = None,
        *,
        record_exceptions: bool = False,
    ) -> None:
        version = installed_version("hypergraph-core")
        self._tracer = trace.get_tracer("hypergraph", version, tracer_provider)
        self._record_exceptions = record_exceptions
        self._lock = threading.Lock()  # held while the tree changes, not while spans are exported
        self._open: dict[Key, _Open] = {}

    # --- runs -------------------------------------------------------------------------------------

    def on_run_start(self, event: RunStartEvent) -> None:
        """Open the span of a run, of a map as a whole, or of one item of a map."""
        above = self._open.get((event.parent_run_id, event.parent_span_id))
        known: Known = {
            "hypergraph.run.id": event.run_id,
            "hypergraph.graph.name": event.graph_name,
            "hypergraph.map.size": event.map_size,
            "hypergraph.map.index": event.map_index,
            "hypergraph.workflow.id": event.workflow_id,
            "session.id": event.session_id,
        }
        is_map = event.map_size is not None and event.map_index is None
        name = _named("map" if is_map else "graph", event.graph_name)
        if above is None:
            epoch = int(event.started_at * 1e9) - int(event.time * 1e9)
            self._begin(event, name, known, None, contexts.get_current(), epoch)
        else:
            self._begin(event, name, known, above, above.context, above.epoch)

    def on_run_end(self, event: RunEndEvent) -> None:
        """End the span of a run, and what a run that was cut short has left open inside it."""
        self._end(event, event.status.value, event.error)

    # --- nodes ------------------------------------------------------------------------------------

    def on_node_start(self, event: NodeStartEvent) -> None:
        """Open the span of a node inside that of its run, and make it the current one."""
        above = self._open.get((event.run_id, event.parent_span_id))
        if above is None:
            return  # its run is over, and the node was left behind in a thread
        known: Known = {
            "hypergraph.run.id": event.run_id,
            "hypergraph.graph.name": event.graph_name,
            "hypergraph.node.name": event.node_name,
        }
        name = _named("node", event.node_name)
        node = self._begin(event, name, known, above, above.context, above.epoch)
        if not node.ended:
            node.before = contexts.get_current()
            contexts.attach(contexts.set_value(_HERE, node, node.context))

    def on_node_end(self, event: NodeEndEvent) -> None:
        """End the span of a node."""
        node = self._find(event)
        if node is not None:
            node.span.set_attribute("hypergraph.node.cached", event.cached)
            self._end(event, node.halted or "completed", None)

    def on_node_error(self, event: NodeErrorEvent) -> None:
        """End the span of a node as failed."""
        self._end(event, "failed", event.error)

    # --- what happens inside a node ---------------------------------------------------------------

    def on_streaming_chunk(self, event: StreamingChunkEvent) -> None:
        """Count the chunk."""
        node = self._find(event)
        if node is not None:
            node.chunks += 1

    def on_cache_hit(self, event: CacheHitEvent) -> None:
        """Note that the function is not called. The key is made of values, and is left out."""
        self._note(event, "hypergraph.cache.hit", {})

    def on_cache_error(self, event: CacheErrorEvent) -> None:
        """Note that the cache failed."""
        details = {
            "hypergraph.cache.operation": event.operation,
            "error.type": _type(event.error),
        }
        self._note(event, "hypergraph.cache.error", details)

    def on_route_decision(self, event: RouteDecisionEvent) -> None:
        """Note what a gate has selected."""
        self._note(event, "hypergraph.route", {"hypergraph.route.targets": event.decision})

    def on_node_retry(self, event: NodeRetryEvent) -> None:
        """Note which attempt failed, and how many seconds later the next one begins."""
        details: Attributes = {
            "hypergraph.retry.attempt": event.attempt,
            "hypergraph.retry.delay": event.delay,
            "error.type": _type(event.error),
        }
        self._note(event, "hypergraph.retry", details)

    def on_interrupt(self, event: InterruptEvent) -> None:
        """Note what the run waits for."""
        node = self._find(event)
        if node is not None:
            node.asked = True
        details = {"hypergraph.interrupt.response_key": event.response_key}
        self._note(event, "hypergraph.interrupt", details)

    # --- spans ------------------------------------------------------------------------------------

    def _find(self, event: Event) -> _Open | None:
        return self._open.get((event.run_id, event.span_id))

    def _note(self, event: Event, name: str, attributes: Attributes) -> None:
        found = self._find(event)
        if found is not None and found.span.is_recording():
            found.span.add_event(name, attributes, _time(found, event))

    def _begin(
        self,
        event: Event,
        name: str,
        known: Known,
        above: _Open | None,
        outer: contexts.Context,
        epoch: int,
    ) -> _Open:
        key = (event.run_id, event.span_id)
        started = epoch + int(event.time * 1e9)
        attributes = {name: value for name, value in known.items() if value is not None}
        span = self._tracer.start_span(name, outer, attributes=attributes, start_time=started)
        context = trace.set_span_in_context(span, outer)
        begun = _Open(key=key, span=span, context=context, epoch=epoch, above=above)
        with self._lock:
            begun.ended = above is not None and above.ended
            if not begun.ended:
                self._open[key] = begun
                if above is not None:
                    above.inside[key] = begun
        if begun.ended:  # what it is inside of was ended by another thread meanwhile
            span.end(started)
        return begun

    def _end(self, event: Event, status: str, error: BaseException | None) -> None:
        with self._lock:
            ended = self._open.get((event.run_id, event.span_id))
            if ended is None:
                return
            leaving = list(ended.innermost_first())
            for one in leaving:
                one.ended = True
                del self._open[one.key]
            if ended.above is not None:
                del ended.above.inside[ended.key]
        _leave_ended_spans()
        for one in leaving[:-1]:
            cut = one.halted or ("paused" if one.asked else "cancelled")
            self._close(one, event, cut, None)
        self._close(ended, event, status, error)

    def _close(self, ended: _Open, event: Event, status: str, error: BaseException | None) -> None:
        span, above = ended.span, ended.above
        cancelled = error is not None and not isinstance(error, Exception)
        if above is not None:
            above.told = above.told if error is None else error
            above.halted = status if status in {"paused", "stopped"} else above.halted
        try:
            if not span.is_recording():
                return
            span.set_attribute("hypergraph.status", "cancelled" if cancelled else status)
            if ended.chunks:
                span.set_attribute("hypergraph.node.chunks", ended.chunks)
            if error is not None:
                span.set_attribute("error.type", _type(error))
                if error is not ended.told and not cancelled:
                    self._record(span, error, _time(ended, event))
            if status == "failed" and not cancelled:
                span.set_status(trace.StatusCode.ERROR, _place(error))
        finally:
            span.end(_time(ended, event))

    def _record(self, span: trace.Span, error: BaseException, time: int) -> None:
        if self._record_exceptions:
            span.record_exception(error, timestamp=time)
        else:
            span.add_event("exception", {"exception.type": _type(error)}, time)


def _leave_ended_spans() -> None:
    """Make current again what was so before the nodes that have ended, if they are current here."""
    here = contexts.get_value(_HERE)
    while isinstance(here, _Open) and here.ended and here.before is not None:
        contexts.attach(here.before)
        here = contexts.get_value(_HERE)


def _named(kind: str, name: str | None) -> str:
    return f"{kind} {name}" if name else kind


def _time(one: _Open, event: Event) -> int:
    return one.epoch + int(event.time * 1e9)


def _type(error: BaseException) -> str:
    kind = type(error)
    known = kind.__module__ == "builtins"
    return kind.__qualname__ if known else f"{kind.__module__}.{kind.__qualname__}"


def _place(error: BaseException | None) -> str | None:
    """Return hypergraph's note on an error, which names nodes and inputs."""
    try:
        notes = getattr(error, "__notes__", ())
        return next((str(note) for note in reversed(notes) if isinstance(note, Place)), None)
    except Exception:  # a class may do anything when asked for an attribute
        return None
