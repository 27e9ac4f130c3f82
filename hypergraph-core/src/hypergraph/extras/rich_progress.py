"""Progress drawn by rich.

Rule of this file: what is under way is a tree of lines behind one lock, which no call into rich is made
under; rich's thread reads it ten times a second. Where nobody can watch, nothing is kept, drawn or
started. Nothing but names and counts is shown.
"""

from __future__ import annotations

import importlib.util
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice

from hypergraph.errors import MissingExtraError
from hypergraph.events import (
    InterruptEvent,
    NodeEndEvent,
    NodeErrorEvent,
    NodeRetryEvent,
    NodeStartEvent,
    RunEndEvent,
    RunStartEvent,
    StreamingChunkEvent,
    TypedEventProcessor,
)
from hypergraph.results import RunStatus

try:
    from rich.console import Console, RenderableType
    from rich.errors import LiveError
    from rich.file_proxy import FileProxy
    from rich.live import Live
    from rich.progress_bar import ProgressBar
    from rich.spinner import Spinner
    from rich.table import Table
    from rich.text import Text
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "rich":
        raise  # rich is there and broken: its own error says more
    raise MissingExtraError(
        "RichProgress needs the package rich, which is not installed.",
        fix='pip install "hypergraph-core[progress]"',
    ) from error

SHOWN = 6  # lines inside one line; the others are counted
_COLOURS = {RunStatus.COMPLETED: "green", RunStatus.FAILED: "red"}

Key = tuple[str | None, int | None]  # ids of run and span: a span is unique within its run


@dataclass(slots=True, kw_only=True, eq=False)
class _Line:
    """A run, a node with what is nested in it, or an item of a map; ``keys`` are its spans.

    ``total`` and ``done`` count the items of a map, ``nodes`` what an outermost run has done.
    """

    name: str
    key: Key
    above: _Line | None = None
    total: int | None = None
    done: int = 0
    nodes: int = 0
    note: str = ""
    began: float = field(default_factory=time.monotonic)
    keys: list[Key] = field(default_factory=list)
    inside: dict[Key, _Line] = field(default_factory=dict)


class RichProgress(TypedEventProcessor):
    """Shows runs, nodes and maps while they are under way; give it to ``event_processors=``.

    ``console``: where to draw, by default stderr. When an outermost run is over one line tells how it
    ended, or none with ``transient=True``. Any number of runs and threads may share it. Nothing is drawn
    where the console is neither a terminal nor a notebook.
    """

    def __init__(self, console: Console | None = None, *, transient: bool = False) -> None:
        self._console = console or Console(stderr=True)
        self._own = console is None
        self._transient = transient
        self._lock = threading.Lock()
        self._lines: dict[Key, _Line] = {}
        self._outermost: dict[Key, _Line] = {}
        self._switch = threading.Lock()  # held to start and stop the display
        self._live: Live | None = None
        self._spinner = Spinner("line" if self._console.options.ascii_only else "dots")

    # --- events -----------------------------------------------------------------------------------

    def on_run_start(self, event: RunStartEvent) -> None:
        """Add a line for an outermost run and for an item; a nested run shares that of its node."""
        key = (event.run_id, event.span_id)
        above = self._lines.get((event.parent_run_id, event.parent_span_id))
        if above is None:
            if self._watched():
                name = event.graph_name or "run"
                self._add(_Line(name=name, key=key, total=event.map_size))
                self._show_or_hide()
        elif event.map_index is not None:
            above.total = event.map_size
            self._add(_Line(name=f"[{event.map_index}]", key=key, above=above))
        else:
            with self._lock:
                self._lines[key] = above
                above.keys.append(key)

    def on_run_end(self, event: RunEndEvent) -> None:
        """Count an item; tell how an outermost run has ended."""
        key = (event.run_id, event.span_id)
        line = self._lines.get(key)
        if line is None or line.key != key:
            return
        self._remove(line)
        if line.above is not None:
            with self._lock:
                line.above.done += 1
            return
        self._show_or_hide()
        if not self._transient:
            self._console.print(_summary(line, event), highlight=False)

    def on_node_start(self, event: NodeStartEvent) -> None:
        """Add a line for the node inside that of its run."""
        above = self._lines.get((event.run_id, event.parent_span_id))
        if above is not None:
            self._add(_Line(name=event.node_name, key=(event.run_id, event.span_id), above=above))

    def on_node_end(self, event: NodeEndEvent | NodeErrorEvent) -> None:
        """Take the node's line away, and count it."""
        line = self._lines.get((event.run_id, event.span_id))
        if line is None:
            return
        self._remove(line)
        outermost = line
        while outermost.above is not None:
            outermost = outermost.above
        with self._lock:
            outermost.nodes += 1

    on_node_error = on_node_end

    def on_streaming_chunk(self, event: StreamingChunkEvent) -> None:
        """Count the chunk."""
        line = self._lines.get((event.run_id, event.span_id))
        if line is not None:
            line.note = f"{event.index + 1} chunks"

    def on_node_retry(self, event: NodeRetryEvent) -> None:
        """Tell which attempt comes next, and when."""
        line = self._lines.get((event.run_id, event.span_id))
        if line is not None:
            line.note = f"attempt {event.attempt + 1} in {event.delay:.1f} s"

    def on_interrupt(self, event: InterruptEvent) -> None:
        """Tell what the run waits for."""
        line = self._lines.get((event.run_id, event.span_id))
        if line is not None:
            line.note = f"waits for {event.response_key}"

    # --- the tree ---------------------------------------------------------------------------------

    def _add(self, line: _Line) -> None:
        with self._lock:
            line.keys.append(line.key)
            self._lines[line.key] = line
            siblings = self._outermost if line.above is None else line.above.inside
            siblings[line.key] = line

    def _remove(self, line: _Line) -> None:
        """Take a line away, with what a run that was cut short has left inside it."""
        with self._lock:
            siblings = self._outermost if line.above is None else line.above.inside
            siblings.pop(line.key, None)
            leaving = [line]
            while leaving:
                one = leaving.pop()
                leaving.extend(one.inside.values())
                for key in one.keys:
                    self._lines.pop(key, None)

    # --- drawing ----------------------------------------------------------------------------------

    def _watched(self) -> bool:
        """Whether somebody can see it. Colours may be forced where no terminal is."""
        console = self._console
        return console.is_jupyter or (
            console.is_terminal and (not self._own or console.file.isatty())
        )

    def _animated(self) -> bool:
        if self._console.is_jupyter:
            return importlib.util.find_spec("ipywidgets") is not None
        return self._console.is_interactive

    def _show_or_hide(self) -> None:
        """Draw while a run is under way, and no longer."""
        with self._switch:
            if not self._outermost:
                live, self._live = self._live, None
                if live is not None:
                    _flush()
                    live.stop()
            elif self._live is None and self._animated():
                live = Live(
                    get_renderable=self._drawing,
                    console=self._console,
                    refresh_per_second=10,
                    transient=True,
                    redirect_stdout=_is_terminal(sys.stdout),  # what is piped away stays so
                    redirect_stderr=_is_terminal(sys.stderr),
                )
                try:
                    live.start()
                except LiveError:  # somebody else draws on this console
                    return
                self._live = live

    def _drawing(self) -> RenderableType:
        table = Table.grid(padding=(0, 1))
        for _ in range(5):
            table.add_column(no_wrap=True)
        now = time.monotonic()
        with self._lock:
            for depth, line in _shown(self._outermost, 0):
                table.add_row(self._spinner if depth == 0 else "", *_row(depth, line, now))
        return table


def _shown(lines: Mapping[Key, _Line], depth: int) -> Iterator[tuple[int, _Line | int]]:
    """Yield lines with their depth, and in place of too many how many they are."""
    for line in islice(lines.values(), SHOWN):
        yield depth, line
        yield from _shown(line.inside, depth + 1)
    if len(lines) > SHOWN:
        yield depth, len(lines) - SHOWN


def _row(depth: int, line: _Line | int, now: float) -> Iterator[RenderableType]:
    indent = "  " * depth
    if isinstance(line, int):
        yield Text(f"{indent}and {line} more", style="dim")
        return
    yield Text(indent + line.name)
    if line.total is None:
        yield ""
    else:
        yield ProgressBar(total=line.total, completed=line.done, width=24)
    yield _counted(line)
    yield Text(str(timedelta(seconds=int(now - line.began))), style="dim")


def _counted(line: _Line) -> str:
    items = "" if line.total is None else f"{line.done}/{line.total}"
    nodes = f"{line.nodes} node{'s' if line.nodes > 1 else ''}" if line.nodes else ""
    return "  ".join(part for part in (items, nodes, line.note) if part)


def _summary(line: _Line, event: RunEndEvent) -> Text:
    text = Text(f"{line.name}: ")
    text.append(event.status.value, _COLOURS.get(event.status, "yellow"))
    return text.append(f", {_counted(line) or 'no nodes'}, {event.duration_ms / 1000:.1f} s")


def _flush() -> None:
    """Write what a node has printed without ending the line, which rich would forget."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, FileProxy):
            stream.flush()


def _is_terminal(stream: object) -> bool:
    isatty = getattr(stream, "isatty", None)
    return isatty is not None and bool(isatty())
