"""The table of results, for reading and as JSON."""

from __future__ import annotations

import json
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measure import Result, Results

SCALE = {"µs": 1e6, "ms": 1e3, "B": 1.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table. ``target`` is in ``unit``, results in seconds or bytes."""

    title: str
    unit: str
    target: float | None
    results: Results

    @property
    def measured(self) -> float | None:
        """What hypergraph needed, in ``unit``."""
        median = self.results["hypergraph"].median if "hypergraph" in self.results else None
        return None if median is None else median * SCALE[self.unit]

    @property
    def over(self) -> bool:
        """Say whether the target was missed."""
        return self.target is not None and self.measured is not None and self.measured > self.target


def as_text(rows: Sequence[Row], contenders: Sequence[str]) -> str:
    """Return the table: targets, medians, and for each other contender its median and ratio."""
    others = [name for name in contenders if name != "hypergraph"]
    titles = {"hand": "by hand"}
    lines = [["case", "", "at most", "median", "", "cpu", *(titles.get(n, n) for n in others)]]
    for row in rows:
        target = "" if row.target is None else _number(row.target)
        verdict = "" if row.target is None or row.measured is None else "OVER" if row.over else "ok"
        shown = _shown(row.results.get("hypergraph"), row.unit)
        cells = [_against(row, name) for name in others]
        lines.append([row.title, row.unit, target, shown, verdict, _cpu(row), *cells])
    widths = [max(map(len, column)) for column in zip(*lines)]
    return "\n".join(_line(line, widths) for line in lines)


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
    result = row.results.get(name)
    if result is None or result.median is None or not row.measured:
        return _shown(result, row.unit)
    return f"{_shown(result, row.unit)} ({_ratio(result.median * SCALE[row.unit] / row.measured)})"


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
