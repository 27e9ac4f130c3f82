"""Where the boxes of a drawing go: layers from top to bottom, nested graphs laid out inside theirs.

Rule of this file: pure arithmetic over a view, in pixels, with text measured as if every letter were
equally wide. An edge that passes a layer gets a place in it, so that it is not drawn across a box.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from hypergraph.graph.order import acyclic_order
from hypergraph.viz.model import EdgeView, GraphView, NodeView

LETTER = 7.3  # width of one letter
LINE = 17  # height of one line of text
PAD = 14
GAP_X = 26
GAP_Y = 46
LANE = 14  # width that a passing edge takes
BELOW = 10  # how far below its source an edge that goes back turns
MAX_LETTERS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A placed box. ``shape`` is the kind of its node, ``input`` or ``end``; ``inner`` its contents."""

    x: float
    y: float
    width: float
    height: float
    shape: str
    title: str
    note: str = ""
    inner: Drawing | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """An edge through its points, top to bottom unless it goes ``back``."""

    points: tuple[tuple[float, float], ...]
    label: str
    control: bool
    back: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """Boxes and lines in a rectangle whose corner is (0, 0)."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class _Item:
    """A box that has no place yet."""

    width: float
    height: float
    shape: str
    title: str
    note: str = ""
    inner: Drawing | None = None


def layout(graph: GraphView, top: bool = True) -> Drawing:
    """Return the drawing of a graph. Inputs and bound values are drawn for the outermost one only."""
    items = [_item(node) for node in graph.nodes]
    edges = list(graph.edges)
    if graph.has_end:
        edges = [e if e.target is not None else _to(e, len(items)) for e in edges]
        items.append(_Item(52, LINE + 12, "end", "END"))
    if graph.hidden:
        items.append(_text_item("more", f"... {graph.hidden} more nodes"))
    for port in graph.inputs if top else ():
        if port.consumers:
            note = "" if port.state == "required" else port.state
            edges += [
                EdgeView(source=len(items), target=consumer, labels=())
                for consumer in port.consumers
            ]
            items.append(_text_item("input", port.name, note))
    return _placed(items, edges)


def _to(edge: EdgeView, target: int) -> EdgeView:
    return EdgeView(source=edge.source, target=target, labels=edge.labels, control=True)


def _item(node: NodeView) -> _Item:
    from_text = _text_item(node.kind, node.name, ", ".join(node.notes))
    if node.inner is None or not (node.inner.nodes or node.inner.hidden):
        return from_text
    inner = layout(node.inner, top=False)
    return _Item(
        max(from_text.width, inner.width + 2 * PAD),
        inner.height + from_text.height + PAD,
        node.kind,
        from_text.title,
        from_text.note,
        inner,
    )


def _text_item(shape: str, title: str, note: str = "") -> _Item:
    title, note = _short(title), _short(note)
    letters = max(len(title), len(note) * 0.85)
    slant = 34 if shape in ("branch", "route", "type route") else 0
    lines = 2 if note else 1
    return _Item(letters * LETTER + 2 * PAD + slant, lines * LINE + 14, shape, title, note)


def _short(text: str) -> str:
    return text if len(text) <= MAX_LETTERS else text[: MAX_LETTERS - 3] + "..."


# --- layers -----------------------------------------------------------------------------------


def _placed(items: Sequence[_Item], edges: Sequence[EdgeView]) -> Drawing:
    forward = [(e.source, e.target) for e in edges if e.target is not None and not e.back]
    depth = _depths(len(items), forward)
    # Every edge is a chain of places: its source, one lane in each layer that it passes, its target.
    widths = [item.width for item in items]
    layer = list(depth)
    chains: dict[tuple[int, int], list[int]] = {}
    for source, target in dict.fromkeys(forward):
        lanes = list(range(len(layer), len(layer) + depth[target] - depth[source] - 1))
        layer += [depth[source] + 1 + step for step in range(len(lanes))]
        widths += [LANE] * len(lanes)
        chains[source, target] = [source, *lanes, target]
    rows = _rows(layer, [pair for chain in chains.values() for pair in pairwise(chain)])
    total = max((_row_width(row, widths) for row in rows), default=0.0)
    left, upper, lower = [0.0] * len(layer), [0.0] * len(layer), [0.0] * len(layer)
    y = 0.0
    for row in rows:
        height = max(items[place].height for place in row if place < len(items))
        x = (total - _row_width(row, widths)) / 2
        for place in row:
            left[place], upper[place], lower[place] = x, y, y + height
            x += widths[place] + GAP_X
        y += height + GAP_Y
    boxes = [
        _box(item, left[n], (upper[n] + lower[n] - item.height) / 2) for n, item in enumerate(items)
    ]
    backs = [edge for edge in edges if edge.back]
    lines = [_back(e, boxes, total + 18.0 * n) for n, e in enumerate(backs, 1)]
    for edge in edges:
        if edge.target is not None and not edge.back:
            points = []
            for place in chains[edge.source, edge.target]:
                middle = left[place] + widths[place] / 2
                points += [(middle, upper[place]), (middle, lower[place])]
            above, below = boxes[edge.source], boxes[edge.target]
            points[0] = (points[0][0], above.y + above.height)
            points[-1] = (points[-1][0], below.y)
            lines.append(_line(edge, points))
    width = total + (18.0 * len(backs) + 60 if backs else 0)
    height = max(y - GAP_Y, 0) + (BELOW if backs else 0)
    return Drawing(width=width, height=height, boxes=tuple(boxes), lines=tuple(lines))


def _depths(count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """Return the layer of each place: one below its deepest source, and sources just above their
    first target."""
    successors: list[list[int]] = [[] for _ in range(count)]
    for source, target in edges:
        successors[source].append(target)
    order = acyclic_order(successors) or list(range(count))
    depth = [0] * count
    for place in order:
        for target in successors[place]:
            depth[target] = max(depth[target], depth[place] + 1)
    fed = {target for _, target in edges}
    for place in range(count):
        if place not in fed and successors[place]:
            depth[place] = min(depth[target] for target in successors[place]) - 1
    return depth


def _rows(layer: Sequence[int], links: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Sort each layer by the mean position of what leads into it, downwards and then upwards."""
    rows: list[list[int]] = [[] for _ in range(max(layer, default=-1) + 1)]
    for place, number in enumerate(layer):
        rows[number].append(place)
    above: dict[int, list[int]] = {}
    below: dict[int, list[int]] = {}
    for source, target in links:
        above.setdefault(target, []).append(source)
        below.setdefault(source, []).append(target)
    where = {place: float(n) for row in rows for n, place in enumerate(row)}
    for neighbours, sweep in ((above, rows), (below, rows[::-1]), (above, rows)):
        for row in sweep:
            means = {
                place: sum(where[n] for n in near) / len(near)
                for place in row
                if (near := neighbours.get(place))
            }
            row.sort(key=lambda place, means=means: means.get(place, where[place]))  # type: ignore[misc]
            where |= {place: n - (len(row) - 1) / 2 for n, place in enumerate(row)}
    return [row for row in rows if row]


def _row_width(row: Sequence[int], widths: Sequence[float]) -> float:
    return sum(widths[place] for place in row) + GAP_X * (len(row) - 1)


def _box(item: _Item, x: float, y: float) -> Box:
    return Box(
        x=x,
        y=y,
        width=item.width,
        height=item.height,
        shape=item.shape,
        title=item.title,
        note=item.note,
        inner=item.inner,
    )


def _line(edge: EdgeView, points: Sequence[tuple[float, float]]) -> Line:
    label = _short(", ".join(edge.labels))
    return Line(points=tuple(points), label=label, control=edge.control, back=edge.back)


def _back(edge: EdgeView, boxes: Sequence[Box], lane: float) -> Line:
    """Lead an edge that goes upwards out below and round the right-hand side."""
    source, target = boxes[edge.source], boxes[edge.target or 0]
    start = (source.x + source.width * 0.75, source.y + source.height)
    end = (target.x + target.width, target.y + target.height / 2 - 6)
    below = start[1] + BELOW
    line = _line(edge, [start, (start[0], below), (lane, below), (lane, end[1]), end])
    return Line(points=line.points, label=line.label, control=line.control, back=True)
