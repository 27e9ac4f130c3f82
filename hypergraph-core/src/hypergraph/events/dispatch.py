"""Handing events to processors, none of which can break a run."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

from hypergraph.errors import HypergraphWarning
from hypergraph.events.processor import EventProcessor
from hypergraph.events.types import Event

Emit = Callable[[Event], None]


def dispatcher(processors: Sequence[EventProcessor]) -> Emit | None:
    """Return what hands an event to every processor in order, or ``None`` when nobody listens.

    A processor that raises is reported once per dispatcher, which lives as long as a run.
    """
    if not processors:
        return None
    reported: set[int] = set()
    listeners = [
        _guarded(processor, position, reported) for position, processor in enumerate(processors)
    ]
    if len(listeners) == 1:
        return listeners[0]

    def emit(event: Event) -> None:
        for listener in listeners:
            listener(event)

    return emit


def _guarded(processor: EventProcessor, position: int, reported: set[int]) -> Emit:
    on_event = processor.on_event

    def listener(event: Event) -> None:
        try:
            on_event(event)
        except Exception as error:
            if position not in reported:
                reported.add(position)
                _report(processor, event, error)

    return listener


def _report(processor: EventProcessor, event: Event, error: Exception) -> None:
    warnings.warn(
        f"{type(processor).__name__} raised {type(error).__name__} on a {type(event).__name__} of run "
        f"{event.run_id}. The run goes on, and its further errors are not reported.",
        HypergraphWarning,
        stacklevel=2,
    )
