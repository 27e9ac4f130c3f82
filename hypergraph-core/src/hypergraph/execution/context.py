"""What a run is told from outside, as values that travel with it.

Rule of this file: frozen; `Settings` hold for a run and everything nested in it, a `Scope` for one run.
Clocks and ids come in here from the runner: the engine itself has none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from hypergraph.cache.base import Cache
from hypergraph.checkpointers import Checkpointer
from hypergraph.events.dispatch import Dispatcher
from hypergraph.events.processor import EventProcessor
from hypergraph.events.types import (
    Event,
    NodeEndEvent,
    NodeErrorEvent,
    RunEndEvent,
    RunStartEvent,
)
from hypergraph.execution.trail import Trail


class Stop:
    """Whether somebody asked a run to stop; the one thing about a run that is said while it runs.

    ``cut_short``: a generator was left before its end because of it.
    """

    __slots__ = ("requested", "cut_short")

    def __init__(self) -> None:
        self.requested = False
        self.cut_short = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What holds for a whole run.

    ``clock``: seconds, monotonic. ``wall``: seconds since the epoch. ``new_run_id`` and ``new_span_id``
    give unique ids, ``random`` a number from 0 to 1. ``emit`` is ``None`` when nobody listens; then no
    event is made. ``processors`` are those it hands events to. ``warned`` holds what has been warned of
    once. ``handlers`` answer interrupts, by path; ``follows``: somebody may answer while the run waits.
    """

    limit: int
    clock: Callable[[], float]
    wall: Callable[[], float]
    random: Callable[[], float]
    new_run_id: Callable[[], str]
    new_span_id: Callable[[], int]
    emit: Dispatcher | None = None
    processors: tuple[EventProcessor, ...] = ()
    cache: Cache | None = None
    checkpointer: Checkpointer | None = None
    session_id: str | None = None
    stop: Stop | None = None
    handlers: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)
    follows: bool = False
    warned: set[tuple[str, str]] = field(default_factory=set)

    def stop_for(self, trail: Trail | None) -> Stop | None:
        """Return what may stop a run, unless it is one that is run to its end in any case."""
        return None if trail is not None and trail.finishing else self.stop

    def stopping(self, trail: Trail | None) -> bool:
        """Say whether a run was asked to stop."""
        stop = self.stop_for(trail)
        return stop is not None and stop.requested


class Scope(msgspec.Struct, frozen=True):
    """Which run this is: its ids, where it is nested, and its place in a map.

    ``trail`` is there when the run may end before its graph does (it may pause or be stopped), or is
    kept by a checkpointer.
    """

    run_id: str
    span_id: int
    parent_span_id: int | None = None
    parent_run_id: str | None = None
    map_index: int | None = None
    map_size: int | None = None
    trail: Trail | None = None

    @property
    def ids(self) -> tuple[str, int, int | None]:
        """What every event of the run begins with: run, span and parent span."""
        return self.run_id, self.span_id, self.parent_span_id


class Context(msgspec.Struct, frozen=True):
    """What the outer run hands down to a runner's ``execute`` for a nested graph.

    The properties are for runners with a machinery of their own; those of the engine take ``settings``,
    and ``scope``, the place of the nested run.
    """

    settings: Settings
    scope: Scope

    @property
    def session_id(self) -> str | None:
        """The session of the outer run."""
        return self.settings.session_id

    @property
    def max_iterations(self) -> int:
        """How often any one node may run."""
        return self.settings.limit

    @property
    def answers(self) -> Mapping[str, Any]:
        """The answers to interrupts of the nested graph, by response key; inputs like any other."""
        return {} if self.scope.trail is None else self.scope.trail.answers

    @property
    def stop_requested(self) -> bool:
        """Whether the outer run was asked to stop; the nested one then ends before its next node."""
        return self.settings.stopping(self.scope.trail)

    @property
    def event_processors(self) -> tuple[EventProcessor, ...]:
        """What is to be told the events of the nested run, if anybody listens to the outer one.

        It takes them as those of a run of its own, and gives them their place in the outer run.
        """
        return () if self.settings.emit is None else (Adopted(self.settings, self.scope),)


_ENDS = (NodeEndEvent, NodeErrorEvent, RunEndEvent)


class Adopted:
    """Hands the events of a run to the listeners of the run around it.

    The span ids become those of the outer run, and the run itself its child.
    """

    def __init__(self, settings: Settings, scope: Scope) -> None:
        assert settings.emit is not None
        self._emit = settings.emit
        self._new_span_id = settings.new_span_id
        self._scope = scope
        self._session_id = settings.session_id
        self._spans: dict[int, int] = {}

    def on_event(self, event: Event) -> None:
        """Hand on an event."""
        parent = event.parent_span_id
        changes: dict[str, Any] = {"span_id": self._span(event.span_id)}
        changes["parent_span_id"] = (
            self._scope.parent_span_id if parent is None else self._span(parent)
        )
        if isinstance(event, RunStartEvent):
            changes["session_id"] = self._session_id
            if parent is None:
                changes["parent_run_id"] = self._scope.parent_run_id
                changes["map_index"] = self._scope.map_index
                changes["map_size"] = self._scope.map_size
        if isinstance(event, _ENDS):
            self._spans.pop(event.span_id, None)
        self._emit(msgspec.structs.replace(event, **changes))

    def _span(self, foreign: int) -> int:
        """Return the span id that stands here for one of the nested run's."""
        own = self._spans.get(foreign)
        if own is None:
            own = self._spans[foreign] = self._new_span_id()
        return own
