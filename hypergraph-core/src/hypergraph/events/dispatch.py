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
    listeners = [processor.on_event for processor in processors]
    reported: set[int] = set()

    def emit(event: Event) -> None:
        for position, listener in enumerate(listeners):
            try:
                listener(event)
            except Exception as error:
                if position not in reported:
                    reported.add(position)
                    _report(processors[position], event, error)

    return emit


def _report(processor: EventProcessor, event: Event, error: Exception) -> None:
    warnings.warn(
        f"{type(processor).__name__} raised {type(error).__name__} on a {type(event).__name__} of run "
        f"{event.run_id}. The run goes on, and its further errors are not reported.",
        HypergraphWarning,
        stacklevel=2,
    )
