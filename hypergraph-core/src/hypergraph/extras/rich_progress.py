"""Progress bars drawn by rich.

Rule of this file: one line for the run and its current node, one bar for each map that is under way;
what is over disappears. Nothing but names and counts is shown.
"""

from __future__ import annotations

import threading

from hypergraph.errors import MissingExtraError
from hypergraph.events import (
    NodeStartEvent,
    RunEndEvent,
    RunStartEvent,
    TypedEventProcessor,
)

try:
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TaskID,
        TextColumn,
        TimeElapsedColumn,
    )
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "rich":
        raise  # rich is there and broken: its own error says more
    raise MissingExtraError(
        "RichProgress needs the package rich, which is not installed.",
        fix='pip install "hypergraph-core[rich]"',
    ) from error


class RichProgress(TypedEventProcessor):
    """Shows runs, nested graphs and maps as they advance; give it to ``event_processors=``.

    ``console``: where to draw, by default stderr. ``transient=True`` removes the display when the run
    is over. It draws while at least one run is under way; several threads may share it. Nothing is
    drawn where the console is neither a terminal nor a notebook.
    """

    def __init__(self, console: Console | None = None, *, transient: bool = False) -> None:
        self._console = console or Console(stderr=True)
        self._transient = transient
        self._lock = threading.Lock()
        self._progress: Progress | None = None
        self._open: dict[str, TaskID] = {}  # outermost runs, by span
        self._above: dict[str, str] = {}  # spans that are open, each with the outermost run
        self._names: dict[str, str] = {}  # nodes that are open
        self._maps: dict[str, tuple[TaskID, int]] = {}  # bars, with the items that are left
        self._items: dict[str, str] = {}  # runs of an item, with the span of their map

    def on_run_start(self, event: RunStartEvent) -> None:
        """Add a line for a run, or a bar for a map."""
        parent = event.parent_span_id
        with self._lock:
            if parent is None or parent not in self._above:
                self._above[event.span_id] = event.span_id
                self._open[event.span_id] = self._add(event.graph_name or "run", event.map_size)
                if event.map_size is not None:
                    self._maps[event.span_id] = (self._open[event.span_id], event.map_size)
                return
            self._above[event.span_id] = self._above[parent]
            if event.map_index is None:
                return
            self._items[event.span_id] = parent
            if parent not in self._maps:
                name = self._names.get(parent, event.graph_name or "map")
                size = event.map_size or 0
                self._maps[parent] = (self._add(f"  {name}", size), size)

    def on_run_end(self, event: RunEndEvent) -> None:
        """Advance the bar of the run's map, or take the run's own line away."""
        with self._lock:
            self._above.pop(event.span_id, None)
            task = self._open.pop(event.span_id, None)
            owner = self._items.pop(event.span_id, None)
            if owner in self._maps and self._progress is not None:
                bar, left = self._maps[owner]
                self._progress.advance(bar)
                self._maps[owner] = (bar, left - 1)
                if left <= 1 and bar not in self._open.values():
                    self._end_map(owner)
            if task is not None:
                self._maps.pop(event.span_id, None)
                self._finish(task)

    def on_node_start(self, event: NodeStartEvent) -> None:
        """Show the node on the line of its run."""
        with self._lock:
            top = self._above.get(event.parent_span_id or "")
            if top is None or self._progress is None:
                return
            self._above[event.span_id] = top
            self._names[event.span_id] = event.node_name
            self._progress.update(self._open[top], node=escape(event.node_name))

    def on_node_end(self, event: object) -> None:
        """Forget the node, and its map if it has one."""
        span = event.span_id  # type: ignore[attr-defined]
        with self._lock:
            self._above.pop(span, None)
            self._names.pop(span, None)
            if span in self._maps:
                self._end_map(span)

    on_node_error = on_node_end

    def _add(self, name: str, total: int | None) -> TaskID:
        if self._progress is None:
            self._progress = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(bar_width=30),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("[dim]{task.fields[node]}"),
                console=self._console,
                transient=self._transient,
                disable=not (self._console.is_terminal or self._console.is_jupyter),
            )
            self._progress.start()
        return self._progress.add_task(escape(name), total=total, node="")

    def _end_map(self, span: str) -> None:
        bar, _ = self._maps.pop(span)
        if self._progress is not None:
            self._progress.remove_task(bar)

    def _finish(self, task: TaskID) -> None:
        progress = self._progress
        assert progress is not None
        done = progress.tasks[[t.id for t in progress.tasks].index(task)]
        progress.update(task, total=done.total or 1, completed=done.total or 1, node="")
        if not self._open:
            progress.stop()
            self._progress = None
