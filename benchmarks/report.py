"""The tables of results, for reading and as JSON."""

from __future__ import annotations

import json
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measure import Result, Results

SCALE = {"µs": 1e6, "ms": 1e3, "B": 1.0, "x": 1.0}
TITLES = {"hand": "by hand", "pydantic_graph": "pydantic-graph"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table. ``target`` is in ``unit``, ``against_hand`` in times what hand-written
    Python needs, results are in seconds or bytes."""

    title: str
    unit: str
    target: float | None
    against_hand: float | None = None
    results: Results

    @property
    def measured(self) -> float | None:
        """What hypergraph needed, in ``unit``."""
        median = self.results["hypergraph"].median if "hypergraph" in self.results else None
        return None if median is None else median * SCALE[self.unit]

    @property
    def over(self) -> bool | None:
        """Say whether the target was missed, if there is one and it was measured."""
        if self.measured is None:
            return None
        if self.target is not None:
            return self.measured > self.target
        hand = self.results.get("hand")
        times = self.results["hypergraph"].times(hand) if hand else None
        if self.against_hand is None or times is None:
            return None
        return times > self.against_hand


def as_text(rows: Sequence[Row], contenders: Sequence[str]) -> str:
    """Return the table: targets, medians, and for each other contender its median and ratio."""
    others = [n for n in contenders if n != "hypergraph" and any(_takes_part(r, n) for r in rows)]
    heads = ["case", "", "at most", "median", "", "best", "cpu"]
    lines = [[*heads, *(TITLES.get(name, name) for name in others)]]
    for row in rows:
        verdict = {None: "", True: "OVER", False: "ok"}[row.over]
        ours = row.results.get("hypergraph")
        shown = [_shown(ours, row.unit), verdict, _best(row), _cpu(row)]
        lines.append(
            [row.title, row.unit, _at_most(row), *shown, *(_against(row, name) for name in others)]
        )
    widths = [max(map(len, column)) for column in zip(*lines)]
    return "\n".join(_line(line, widths) for line in lines)


def _takes_part(row: Row, name: str) -> bool:
    return name in row.results and row.results[name].cannot != "-"


def _at_most(row: Row) -> str:
    if row.against_hand is not None:
        return f"{row.against_hand:g} by hand"
    return "" if row.target is None else _number(row.target)


def _best(row: Row) -> str:
    result = row.results.get("hypergraph")
    return _number(min(result.rounds) * SCALE[row.unit]) if result and result.rounds else ""


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, unit, *rest = zip(cells, widths)
    aligned = [first[0].ljust(first[1]), unit[0].ljust(unit[1])]
    return "  ".join([*aligned, *(cell.rjust(width) for cell, width in rest)]).rstrip()


def _cpu(row: Row) -> str:
    """Show what hypergraph used of a processor; the rest of the median it waited."""
    result = row.results.get("hypergraph")
    return _number(statistics.median(result.cpu) * SCALE[row.unit]) if result and result.cpu else ""


def _against(row: Row, name: str) -> str:
    """Show a contender's median and how many times hypergraph's it is."""
    result, ours = row.results.get(name), row.results.get("hypergraph")
    times = result.times(ours) if result and ours else None
    shown = _shown(result, row.unit)
    return shown if times is None else f"{shown} ({_ratio(times)})"


def _shown(result: Result | None, unit: str) -> str:
    if result is None:
        return ""
    return result.cannot or "" if result.median is None else _number(result.median * SCALE[unit])


def _number(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _ratio(value: float) -> str:
    return f"x{value:.0f}" if value >= 10 else f"x{value:.1f}" if value >= 1 else f"x{value:.2f}"


def machine() -> str:
    """Say on what kind of machine this was measured."""
    return f"{platform.python_implementation()} {platform.python_version()}, {platform.machine()}"


def write_json(path: Path, rows: Sequence[Row], modules: Sequence[str]) -> None:
    """Write every round of every contender, in seconds (or bytes) per unit."""
    content: dict[str, Any] = {
        "machine": machine(),
        "imported_by_import_hypergraph": list(modules),
        "rows": [
            {
                "case": row.title,
                "unit": row.unit,
                "target": row.target,
                "against_hand": row.against_hand,
                "measured": row.measured,
                "over": row.over,
                "contenders": {
                    name: {
                        "rounds": r.rounds,
                        "cpu": r.cpu,
                        "median": r.median,
                        "cannot": r.cannot,
                        "why": r.why,
                    }
                    for name, r in row.results.items()
                },
            }
            for row in rows
        ],
    }
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
