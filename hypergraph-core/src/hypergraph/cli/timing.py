"""How long each node took, told by events."""

from __future__ import annotations

from dataclasses import dataclass

from hypergraph.events import (
    NodeEndEvent,
    NodeErrorEvent,
    NodeStartEvent,
    RunEndEvent,
    RunStartEvent,
    TypedEventProcessor,
)

Path = tuple[str, ...]
Span = tuple[str | None, int | None]  # ids of run and span: a span is unique within its run


@dataclass(slots=True)
class _Row:
    rank: int
    runs: int = 0
    cached: int = 0
    milliseconds: float = 0.0
    nested: bool = False


class Timings(TypedEventProcessor):
    """Adds up the runs of each node. The time of a nested graph includes that of its nodes."""

    def __init__(self) -> None:
        self._rows: dict[Path, _Row] = {}
        self._paths: dict[Span, Path] = {}  # of the spans that are open

    def __bool__(self) -> bool:
        return bool(self._rows)

    @property
    def runs(self) -> int:
        """How many times a node ran or was found in the cache, nested graphs themselves left out."""
        return sum(row.runs for row in self._rows.values() if not row.nested)

    @property
    def cached(self) -> int:
        """How many of these were found in the cache."""
        return sum(row.cached for row in self._rows.values())

    @property
    def seconds(self) -> float:
        """How long the outermost nodes took."""
        return sum(row.milliseconds for path, row in self._rows.items() if len(path) == 1) / 1000

    def on_run_start(self, event: RunStartEvent) -> None:
        """Note which node a nested run belongs to."""
        path = self._paths.get((event.parent_run_id, event.parent_span_id), ())
        self._paths[event.run_id, event.span_id] = path
        if path:
            self._rows[path].nested = True

    def on_run_end(self, event: RunEndEvent) -> None:
        """Forget the run."""
        self._paths.pop((event.run_id, event.span_id), None)

    def on_node_start(self, event: NodeStartEvent) -> None:
        """Note where the node lies."""
        path = (*self._paths.get((event.run_id, event.parent_span_id), ()), event.node_name)
        self._paths[event.run_id, event.span_id] = path
        self._rows.setdefault(path, _Row(len(self._rows)))

    def on_node_end(self, event: NodeEndEvent) -> None:
        """Add the run up."""
        self._add(event, event.cached)

    def on_node_error(self, event: NodeErrorEvent) -> None:
        """Add the failed run up."""
        self._add(event, False)

    def _add(self, event: NodeEndEvent | NodeErrorEvent, cached: bool) -> None:
        row = self._rows[self._paths.pop((event.run_id, event.span_id))]
        row.runs += 1
        row.cached += cached
        row.milliseconds += event.duration_ms

    def table(self) -> str:
        """Return a table with a line per node, nested ones indented below theirs."""
        lines = [("node", "runs", "cached", "time")]
        for path in sorted(self._rows, key=self._order):
            row = self._rows[path]
            name = "  " * (len(path) - 1) + path[-1]
            cached = "" if row.nested else str(row.cached or "-")
            lines.append((name, f"{row.runs:,}", cached, _duration(row.milliseconds)))
        widths = [max(len(line[column]) for line in lines) for column in range(4)]
        return "\n".join(
            f"{name:<{widths[0]}}  {runs:>{widths[1]}}  {cached:>{widths[2]}}  {time:>{widths[3]}}"
            for name, runs, cached, time in lines
        )

    def _order(self, path: Path) -> list[int]:
        return [self._rows[path[: n + 1]].rank for n in range(len(path))]


def _duration(milliseconds: float) -> str:
    if milliseconds >= 1000:
        return f"{milliseconds / 1000:.2f} s"
    return f"{milliseconds:.{1 if milliseconds >= 10 else 2}f} ms"
