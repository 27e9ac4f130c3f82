"""What happens during a run, as values.

Rule of this file: events are immutable, hold inputs and outputs by reference (never copied), and are
made only when somebody listens. They are msgspec structs because one is made in a sixth of a
microsecond, an eighth of what a frozen dataclass takes.

Every event has ``run_id``; ``span_id`` and ``parent_span_id``, which nest runs and nodes in a tree and
are unique in this process; and ``time`` in seconds of a monotonic clock, which
``RunStartEvent.started_at`` ties to the wall clock. Durations are milliseconds of the same
clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from hypergraph.results import RunStatus


class Event(msgspec.Struct, frozen=True):
    """What all events have."""

    run_id: str
    span_id: int
    parent_span_id: int | None
    time: float


class RunStartEvent(Event, frozen=True):
    """A run begins: of a graph, of a nested graph, of one item of a map, or of a map as a whole.

    ``map_size`` is the number of items of a map as a whole; ``map_index`` the position of an item.
    ``started_at``: seconds since the epoch. ``workflow_id``: what a checkpointer keeps the run as.
    """

    graph_name: str | None
    inputs: Mapping[str, Any]
    started_at: float
    session_id: str | None = None
    parent_run_id: str | None = None
    map_index: int | None = None
    map_size: int | None = None
    workflow_id: str | None = None


class RunEndEvent(Event, frozen=True):
    """A run ends, however it ends; ``error`` is the exception of a failed one."""

    graph_name: str | None
    status: RunStatus
    outputs: Mapping[str, Any]
    duration_ms: float
    error: BaseException | None = None


class NodeStartEvent(Event, frozen=True):
    """A node begins. ``inputs`` by the node's input names."""

    node_name: str
    graph_name: str | None
    inputs: Mapping[str, Any]


class NodeEndEvent(Event, frozen=True):
    """A node is done. ``cached`` says that its function was not called."""

    node_name: str
    graph_name: str | None
    outputs: Mapping[str, Any]
    duration_ms: float
    cached: bool = False


class NodeErrorEvent(Event, frozen=True):
    """A node raised ``error``."""

    node_name: str
    graph_name: str | None
    error: BaseException
    duration_ms: float


class NodeRetryEvent(Event, frozen=True):
    """A node's ``attempt``, counted from 1, raised ``error``; the next one begins after ``delay``
    seconds."""

    node_name: str
    graph_name: str | None
    attempt: int
    delay: float
    error: BaseException


class StreamingChunkEvent(Event, frozen=True):
    """A generator node yielded ``chunk``, its ``index``-th from 0."""

    node_name: str
    graph_name: str | None
    chunk: Any
    index: int


class CacheHitEvent(Event, frozen=True):
    """A node's result was found in the cache under ``key``."""

    node_name: str
    graph_name: str | None
    key: str


class CacheErrorEvent(Event, frozen=True):
    """The cache failed to ``"get"``, ``"put"`` or ``"flush"``, or an input could not be keyed
    (``"key"``). The node ran as if there were no cache. A flush belongs to no node, and is told after
    the run has ended."""

    node_name: str | None
    graph_name: str | None
    operation: str
    error: BaseException


class RouteDecisionEvent(Event, frozen=True):
    """A gate selected the targets in ``decision`` (node names; ``"END"``; none at all)."""

    node_name: str
    graph_name: str | None
    decision: tuple[str, ...]


class InterruptEvent(Event, frozen=True):
    """A run waits for ``response_param``; ``value`` is what to show. ``response_key`` is the name to
    give the answer by, to the run as a whole."""

    node_name: str
    graph_name: str | None
    value: Any
    response_param: str
    response_key: str = ""


EVENTS = tuple(Event.__subclasses__())
"""Every type of event."""
