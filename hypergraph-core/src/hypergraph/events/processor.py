"""Who listens to a run.

Rule of this file: a listener is anything with ``on_event``; to derive from a class here is optional.
"""

from __future__ import annotations

import functools
import re
from typing import Protocol, runtime_checkable

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
        method = getattr(self, _method_name(type(event)), None)
        if method is not None:
            method(event)


@functools.cache
def _method_name(kind: type) -> str:
    words = re.findall("[A-Z][a-z]*", kind.__name__.removesuffix("Event"))
    return "on_" + "_".join(words).lower()
