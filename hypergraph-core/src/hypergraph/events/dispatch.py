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


class Dispatcher:
    """Hands an event to every processor in order. One that raises is reported once per dispatcher,
    which lives as long as a run."""

    __slots__ = ("_listeners", "_reported")

    def __init__(self, processors: Sequence[EventProcessor]) -> None:
        self._listeners = [processor.on_event for processor in processors]
        self._reported: set[int] = set()

    def __call__(self, event: Event) -> None:
        """Hand the event to all."""
        for position, listener in enumerate(self._listeners):
            try:
                listener(event)
            except Exception as error:
                self.report(event, error, position)

    @property
    def only(self) -> Emit | None:
        """The one listener, if there is just one: a driver may call it itself, and `report` what it
        raises, which saves a call per event."""
        return self._listeners[0] if len(self._listeners) == 1 else None

    def report(self, event: Event, error: Exception, position: int = 0) -> None:
        """Warn, once, that a processor raised."""
        if position in self._reported:
            return
        self._reported.add(position)
        owner = getattr(self._listeners[position], "__self__", self._listeners[position])
        warnings.warn(
            f"{type(owner).__name__} raised {type(error).__name__} on a {type(event).__name__} of run "
            f"{event.run_id}. The run goes on, and its further errors are not reported.",
            HypergraphWarning,
            stacklevel=3,
        )


def dispatcher(processors: Sequence[EventProcessor]) -> Dispatcher | None:
    """Return what hands an event to every processor in order, or ``None`` when nobody listens."""
    return Dispatcher(processors) if processors else None
