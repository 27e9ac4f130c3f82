"""A graph as HTML: one self-contained drawing, for a file and for notebooks.

Rule of this file: nothing is fetched and nothing is executed, the page is a style sheet and an inline
SVG. Every name is escaped. Colours follow the reader's light or dark scheme.
"""

from __future__ import annotations

import os
from collections.abc import Container, Iterator
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Any

from hypergraph.graph import Graph
from hypergraph.viz.layout import LETTER, LINE, PAD, Box, Drawing, Line, layout
from hypergraph.viz.mermaid import to_mermaid
from hypergraph.viz.model import GraphView, view
from hypergraph.viz.text import describe

_MARGIN = 12

_STYLE = """
.hypergraph { --ink: #1f2933; --soft: #6b7785; --line: #8a97a6; --box: #ffffff; --group: #f3f6f9;
  --gate: #fff4dc; --gate-line: #c98a00; --input: #e6f2ff; --wait: #fde8ef; --page: transparent;
  color: var(--ink); font: 13px/1.4 ui-sans-serif, system-ui, -apple-system, "Segoe UI", sans-serif;
  overflow-x: auto; }
@media (prefers-color-scheme: dark) { .hypergraph { --ink: #e6edf3; --soft: #9aa7b4; --line: #7d8a98;
  --box: #20272f; --group: #181e25; --gate: #3a2f14; --gate-line: #d9a132; --input: #16304a;
  --wait: #43202d; } }
.hypergraph svg { display: block; max-width: none; }
.hypergraph svg text { font: 12px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace;
  fill: var(--ink); text-anchor: middle; }
.hypergraph svg .note { font-size: 10px; fill: var(--soft); }
.hypergraph svg .label { font-size: 10px; fill: var(--soft); stroke: Canvas; stroke-width: 4px;
  paint-order: stroke; stroke-linejoin: round; }
.hypergraph svg .box { fill: var(--box); stroke: var(--line); stroke-width: 1.2; }
.hypergraph svg .group { fill: var(--group); stroke: var(--line); stroke-dasharray: none; }
.hypergraph svg .gate { fill: var(--gate); stroke: var(--gate-line); }
.hypergraph svg .input { fill: var(--input); }
.hypergraph svg .interrupt { fill: var(--wait); }
.hypergraph svg .more { stroke-dasharray: 3 3; }
.hypergraph svg path.data, .hypergraph svg path.control { fill: none; stroke: var(--line);
  stroke-width: 1.3; }
.hypergraph svg path.control { stroke: var(--gate-line); stroke-dasharray: 4 4; }
.hypergraph svg .tip { fill: var(--line); }
.hypergraph svg .tip.gate { fill: var(--gate-line); }
.hypergraph summary { cursor: pointer; color: var(--soft); }
.hypergraph pre { font-size: 12px; overflow-x: auto; }
"""

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
</head>
<body>
<h1 style="font: 600 18px system-ui, sans-serif">{title}</h1>
{body}
</body>
</html>
"""


def visualize(graph: Graph, path: str | os.PathLike[str] | None = None) -> str | Path:
    """Return a page with a drawing of the graph, or write it to ``path`` and return the path.

    The page needs no network and no script. Large graphs are abbreviated. Raises ``OSError`` when the
    file cannot be written.
    """
    shown = view(graph)
    page = _PAGE.format(title=escape(shown.title), body=_fragment(graph, shown))
    if path is None:
        return page
    target = Path(path)
    target.write_text(page, encoding="utf-8")
    return target


def repr_html(graph: Graph) -> str:
    """Return the drawing as a fragment of HTML, with the summary folded below it."""
    return _fragment(graph, view(graph))


def _fragment(graph: Graph, shown: GraphView) -> str:
    drawing = layout(shown)
    width, height = drawing.width + 2 * _MARGIN, drawing.height + 2 * _MARGIN
    title = escape(shown.title)
    return "\n".join(
        [
            f'<div class="hypergraph"><style>{_STYLE}</style>',
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}"',
            f'viewBox="{-_MARGIN} {-_MARGIN} {width:.0f} {height:.0f}"',
            f'role="img" aria-label="{title}">',
            *_drawing(drawing, 0, 0),
            "</svg>",
            f"<details><summary>Summary</summary><pre>{escape(describe(graph))}</pre></details>",
            "</div>",
        ]
    )


def repr_mimebundle(
    graph: Graph,
    include: Container[str] | None = None,
    exclude: Container[str] | None = None,
) -> dict[str, Any]:
    """Return what a notebook may show of the graph, by media type."""
    makers = {"text/plain": describe, "text/html": repr_html, "text/vnd.mermaid": to_mermaid}
    return {
        kind: make(graph)
        for kind, make in makers.items()
        if (not include or kind in include) and (not exclude or kind not in exclude)
    }


def _drawing(drawing: Drawing, x: float, y: float) -> Iterator[str]:
    for box in drawing.boxes:
        yield from _box(box, x, y)
    for line in drawing.lines:
        yield _line(line, x, y)
    for line in drawing.lines:
        yield from _label(line, x, y)


def _box(box: Box, x: float, y: float) -> Iterator[str]:
    x, y, width, height = x + box.x, y + box.y, box.width, box.height
    if box.shape in ("branch", "route", "type route"):
        points = [(0, height / 2), (16, 0), (width - 16, 0), (width, height / 2)]
        points += [(width - 16, height), (16, height)]
        corners = " ".join(f"{x + dx:.1f},{y + dy:.1f}" for dx, dy in points)
        yield f'<polygon class="box gate" points="{corners}"/>'
    else:
        round_ends = box.shape in ("input", "end")
        kind = "group" if box.inner is not None else box.shape
        yield (
            f'<rect class="box {kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" '
            f'height="{height:.1f}" rx="{height / 2 if round_ends else 6:.1f}"/>'
        )
    middle = x + width / 2
    lines = 2 if box.note else 1
    first = y + (13 + 7 if box.inner is not None else (height - lines * LINE) / 2 + 12)
    yield f'<text x="{middle:.1f}" y="{first:.1f}">{escape(box.title)}</text>'
    if box.note:
        yield f'<text class="note" x="{middle:.1f}" y="{first + 14:.1f}">{escape(box.note)}</text>'
    if box.inner is not None:
        left = x + (width - box.inner.width) / 2
        yield from _drawing(box.inner, left, y + height - box.inner.height - PAD)


def _line(line: Line, x: float, y: float) -> str:
    points = [(x + px, y + py) for px, py in line.points]
    path = f"M{points[0][0]:.1f},{points[0][1]:.1f}"
    if line.back:
        path += "".join(f" L{px:.1f},{py:.1f}" for px, py in points[1:])
        tip = [(0, 0), (7, -4), (7, 4)]
    else:
        for (ax, ay), (bx, by) in pairwise(points):
            middle = (ay + by) / 2
            path += f" C{ax:.1f},{middle:.1f} {bx:.1f},{middle:.1f} {bx:.1f},{by:.1f}"
        tip = [(0, 0), (-4, -7), (4, -7)]
    end_x, end_y = points[-1]
    corners = " ".join(f"{end_x + dx:.1f},{end_y + dy:.1f}" for dx, dy in tip)
    kind = "control" if line.control else "data"
    return (
        f'<path class="{kind}" d="{path}"/>'
        f'<polygon class="tip{" gate" if line.control else ""}" points="{corners}"/>'
    )


def _label(line: Line, x: float, y: float) -> Iterator[str]:
    if not line.label:
        return
    (ax, ay), (bx, by) = line.points[2:4] if line.back else line.points[1:3]
    # Past the middle: there the edges from one box already lie apart.
    px, py = x + ax + (bx - ax) * 0.65, y + ay + (by - ay) * 0.56 + 3
    if line.back:
        px += len(line.label) * LETTER / 2 * 0.85 + 4
    yield f'<text class="label" x="{px:.1f}" y="{py:.1f}">{escape(line.label)}</text>'
