"""What happens during a run, and who is told."""

from hypergraph.events.dispatch import check_processors, dispatcher
from hypergraph.events.processor import EventProcessor, TypedEventProcessor
from hypergraph.events.types import (
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
)

__all__ = [
    "CacheErrorEvent",
    "CacheHitEvent",
    "Event",
    "EventProcessor",
    "InterruptEvent",
    "NodeEndEvent",
    "NodeErrorEvent",
    "NodeRetryEvent",
    "NodeStartEvent",
    "RouteDecisionEvent",
    "RunEndEvent",
    "RunStartEvent",
    "StreamingChunkEvent",
    "TypedEventProcessor",
    "check_processors",
    "dispatcher",
]
