"""Handing events to processors, none of which can break a run."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence

from hypergraph.errors import HypergraphWarning
from hypergraph.events.processor import EventProcessor
from hypergraph.events.types import Event

Emit = Callable[[Event], None]


def check_processors(processors: Sequence[EventProcessor]) -> tuple[EventProcessor, ...]:
    """Return the processors as a tuple. Raises ``TypeError`` for what does not listen."""
    if isinstance(processors, EventProcessor) or not isinstance(processors, Iterable):
        raise TypeError("event_processors takes a list of processors: event_processors=[processor]")
    checked = tuple(processors)
    for processor in checked:
        if not isinstance(processor, EventProcessor):
            raise TypeError(
                f"an event processor has on_event(event); {type(processor).__name__} has not"
            )
    return checked


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
