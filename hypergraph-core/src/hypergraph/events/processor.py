"""Who listens to a run."""

from __future__ import annotations

import re
from typing import Any, Protocol, runtime_checkable

from hypergraph.events.types import Event


@runtime_checkable
class EventProcessor(Protocol):
    """Something that is told of every event, in order, on the thread of the run.

    What it raises is reported once per run as a warning, and never breaks the run.
    """

    def on_event(self, event: Event) -> None:
        """Take note of an event; should return quickly."""


class TypedEventProcessor:
    """An event processor with a method per type: override ``on_run_start``, ``on_node_end``, ...

    A type without a method is passed over: ``NodeEndEvent`` goes to ``on_node_end``.
    """

    def on_event(self, event: Event) -> None:
        """Hand the event to the method of its type."""
        method = self._methods.get(type(event))
        if method is None:
            method = self._methods[type(event)] = getattr(self, _method_name(type(event)), _pass)
        method(event)

    @property
    def _methods(self) -> dict[type, Any]:
        methods: dict[type, Any] = self.__dict__.setdefault("_methods_by_type", {})
        return methods


def _method_name(kind: type) -> str:
    words = re.findall("[A-Z][a-z]*", kind.__name__.removesuffix("Event"))
    return "on_" + "_".join(words).lower()


def _pass(event: Event) -> None:
    """Pass over an event."""
