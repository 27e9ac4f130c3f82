"""Progress on stderr, when somebody watches it.

Rule of this file: rich draws it where it is installed, one plain line says it where it is not; either
is gone when the run is over.
"""

from __future__ import annotations

import shutil
import sys
import time
from typing import TextIO

from hypergraph.events import (
    EventProcessor,
    NodeStartEvent,
    RunEndEvent,
    RunStartEvent,
    TypedEventProcessor,
)

_SECONDS = 0.1  # between two drawings


def progress() -> list[EventProcessor]:
    """Return the listeners that show progress on stderr: one for a terminal, none otherwise."""
    stream: TextIO | None = sys.stderr
    if stream is None or not stream.isatty():
        return []
    try:
        from hypergraph.extras.rich_progress import RichProgress

        return [RichProgress(transient=True)]
    except ImportError:  # rich is missing, or does not work here
        return [PlainProgress(stream)]


class PlainProgress(TypedEventProcessor):
    """One line that is written over: the node that runs, and how far its map is."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._written = 0.0
        self._item = ""
        self._top: str | None = None  # the outermost run

    def on_run_start(self, event: RunStartEvent) -> None:
        """Note which item of a map begins."""
        if self._top is None:
            self._top = event.run_id
        if event.map_index is not None:
            of = f"/{event.map_size}" if event.map_size is not None else ""
            self._item = f" [{event.map_index + 1}{of}]"

    def on_node_start(self, event: NodeStartEvent) -> None:
        """Write which node runs, a few times a second."""
        now = time.monotonic()
        if now - self._written >= _SECONDS:
            self._written = now
            self._write(f"{event.node_name}{self._item}")

    def on_run_end(self, event: RunEndEvent) -> None:
        """Wipe the line when the outermost run ends."""
        if event.run_id == self._top:
            self._top = None
            self._write("")

    def _write(self, text: str) -> None:
        width = shutil.get_terminal_size().columns - 1
        self._stream.write(f"\r\x1b[K{text[:width]}")
        self._stream.flush()
