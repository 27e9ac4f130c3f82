"""Progress bars drawn by rich.

Rule of this file: one line for each outermost run with the node that it is at, one bar for each map
that is under way; what is over disappears. Nothing but names and counts is shown.
"""

from __future__ import annotations

import threading

from hypergraph.errors import MissingExtraError
from hypergraph.events import (
    NodeEndEvent,
    NodeErrorEvent,
    NodeStartEvent,
    RunEndEvent,
    RunStartEvent,
    TypedEventProcessor,
)

try:
    from rich.console import Console, RenderableType
    from rich.markup import escape
    from rich.progress import (
        BarColumn,
        Progress,
        ProgressColumn,
        SpinnerColumn,
        Task,
        TaskID,
        TextColumn,
        TimeElapsedColumn,
    )
    from rich.text import Text
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "rich":
        raise  # rich is there and broken: its own error says more
    raise MissingExtraError(
        "RichProgress needs the package rich, which is not installed.",
        fix='pip install "hypergraph-core[rich]"',
    ) from error

Span = tuple[str | None, int | None]  # ids of run and span: a span is unique within its run


class _Bar(BarColumn):
    """A bar for a map, and nothing for a run, whose length nobody knows."""

    def render(self, task: Task) -> RenderableType:  # type: ignore[override]
        return "" if task.total is None else super().render(task)


class _Items(ProgressColumn):
    """How many items of a map are done; nothing for a run that is no map."""

    def render(self, task: Task) -> Text:
        return Text("" if task.total is None else f"{int(task.completed)}/{int(task.total)}")


class RichProgress(TypedEventProcessor):
    """Shows runs, nested graphs and maps as they advance; give it to ``event_processors=``.

    ``console``: where to draw, by default stderr. ``transient=True`` removes the display when the run
    is over. It draws while a run is under way, and several threads may share it. Nothing is drawn where
    the console is neither a terminal nor a notebook.
    """

    def __init__(self, console: Console | None = None, *, transient: bool = False) -> None:
        self._console = console or Console(stderr=True)
        self._transient = transient
        self._lock = threading.Lock()
        self._progress: Progress | None = None
        self._lines: dict[Span, TaskID] = {}  # of the outermost runs
        self._bars: dict[Span, TaskID] = {}  # of the maps, by the span that holds their items
        self._items: dict[Span, Span] = {}  # runs of an item, each with the span of its map
        self._paths: dict[Span, tuple[Span, str]] = {}  # open spans: outermost run, nodes above

    def on_run_start(self, event: RunStartEvent) -> None:
        """Add a line for an outermost run, and a bar for a map when its first item starts."""
        span = (event.run_id, event.span_id)
        above = (event.parent_run_id, event.parent_span_id)
        with self._lock:
            if above not in self._paths:
                self._paths[span] = (span, "")
                self._lines[span] = self._add(event.graph_name or "run", event.map_size)
                if event.map_size is not None:
                    self._bars[span] = self._lines[span]
                return
            self._paths[span] = self._paths[above]
            if event.map_index is not None:
                self._items[span] = above
                if above not in self._bars:
                    self._bars[above] = self._add(f"  {self._paths[above][1]}", event.map_size)

    def on_run_end(self, event: RunEndEvent) -> None:
        """Advance the bar of the run's map; take the line of an outermost run away."""
        span = (event.run_id, event.span_id)
        with self._lock:
            self._paths.pop(span, None)
            bar = self._bars.get(self._items.pop(span, (None, None)))
            if bar is not None and self._progress is not None:
                self._progress.advance(bar)
            self._bars.pop(span, None)
            line = self._lines.pop(span, None)
            if line is not None:
                self._finish(line)

    def on_node_start(self, event: NodeStartEvent) -> None:
        """Show the node on the line of its run."""
        above = (event.run_id, event.parent_span_id)
        with self._lock:
            if above not in self._paths or self._progress is None:
                return
            top, path = self._paths[above]
            path = f"{path}/{event.node_name}" if path else event.node_name
            self._paths[event.run_id, event.span_id] = (top, path)
            self._progress.update(self._lines[top], node=escape(path))

    def on_node_end(self, event: NodeEndEvent | NodeErrorEvent) -> None:
        """Forget the node, and the bar of its map if it has one."""
        span = (event.run_id, event.span_id)
        with self._lock:
            self._paths.pop(span, None)
            bar = self._bars.pop(span, None)
            if bar is not None and self._progress is not None:
                self._progress.remove_task(bar)

    on_node_error = on_node_end

    def _add(self, name: str, total: int | None) -> TaskID:
        if self._progress is None:
            self._progress = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                _Bar(bar_width=30),
                _Items(),
                TimeElapsedColumn(),
                TextColumn("{task.fields[node]}", style="dim"),
                console=self._console,
                transient=self._transient,
                disable=not (self._console.is_terminal or self._console.is_jupyter),
            )
            self._progress.start()
        return self._progress.add_task(escape(name), total=total, node="")

    def _finish(self, line: TaskID) -> None:
        progress = self._progress
        assert progress is not None
        progress.update(line, node="")
        progress.stop_task(line)
        if not self._lines:
            progress.stop()
            self._progress = None
