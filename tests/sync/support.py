"""What the tests of the sync runner share: its lanes, a listener, the notes of an error, and a place for
commands."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hypergraph import MemoryCache
from hypergraph.events import Event
from hypergraph_runner_sync import SyncRunner


class Listener:
    """Keeps all events."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def on_event(self, event: Event) -> None:
        self.events.append(event)

    def of(self, *kinds: type[Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kinds)]

    def steps(self) -> list[str]:
        """Return the events as texts such as ``"NodeStart double"``."""
        return [
            f"{type(e).__name__.removesuffix('Event')} {getattr(e, 'node_name', None) or ''}".strip()
            for e in self.events
        ]


LANES = {
    "unobserved": SyncRunner,
    "observed": lambda: SyncRunner(event_processors=[Listener()]),
    "cached": lambda: SyncRunner(cache=MemoryCache()),
    "observed and cached": lambda: SyncRunner(cache=MemoryCache(), event_processors=[Listener()]),
}

in_every_lane = pytest.mark.parametrize(
    "runner", [pytest.param(make, id=name) for name, make in LANES.items()], indirect=True
)

UNCACHED_IS_FINE = pytest.mark.filterwarnings("ignore:Node .* is not cached")


def notes(error: BaseException) -> list[str]:
    """Return the notes that hypergraph put on an error."""
    return [n for n in getattr(error, "__notes__", ()) if n.startswith("hypergraph:")]


@contextlib.contextmanager
def at_work_in(place: Path, monkeypatch: pytest.MonkeyPatch, steps: str) -> Iterator[Path]:
    """A working directory with a module ``steps`` that is forgotten afterwards."""
    (place / "steps.py").write_text(steps)
    monkeypatch.chdir(place)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield place
    sys.modules.pop("steps", None)
