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
    """What a runner's ``execute`` is handed for a nested graph."""

    settings: Settings
    scope: Scope
