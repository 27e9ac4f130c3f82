"""A graph as a mermaid flowchart.

Rule of this file: ids are made up here (``n0``, ``n0_1``), so no name can collide with a keyword; every
label is quoted and escaped. Data flows along solid arrows, decisions along dotted ones.
"""

from __future__ import annotations

from collections.abc import Iterator

from hypergraph.graph import Graph
from hypergraph.viz.model import GraphView, NodeView, view

NAMES = 4  # names on one edge
_SHAPES = {
    "branch": ("{", "}"),
    "route": ("{", "}"),
    "type route": ("{", "}"),
    "interrupt": ("[/", "/]"),
    "graph": ("[[", "]]"),
    "map": ("[[", "]]"),
}
_ESCAPES = str.maketrans({"#": "#35;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "`": "#96;"})


def to_mermaid(graph: Graph) -> str:
    """Return the source of a mermaid flowchart of the graph.

    Inputs are rounded, gates are rhombs, nested graphs are boxes around their nodes, and the arrows of
    a gate's decision are dotted. Large graphs are abbreviated.
    """
    return "\n".join(["flowchart TD", *_graph(view(graph), "n", "  ")]) + "\n"


def _graph(graph: GraphView, prefix: str, indent: str, outer: bool = True) -> Iterator[str]:
    ids = [f"{prefix}{number}" for number in range(len(graph.nodes))]
    for number, port in enumerate(graph.inputs if outer else ()):
        if port.consumers:
            yield f"{indent}i{number}([{_quoted(port.name, _state(port.state))}])"
    for node, name in zip(graph.nodes, ids):
        yield from _node(node, name, indent)
    if graph.has_end:
        yield f'{indent}{prefix}end_(("END"))'
    if graph.hidden:
        yield f"{indent}{prefix}more[{_quoted(f'... {graph.hidden} more nodes')}]"
    for number, port in enumerate(graph.inputs if outer else ()):
        for consumer in port.consumers:
            yield f"{indent}i{number} --> {ids[consumer]}"
    for edge in graph.edges:
        target = f"{prefix}end_" if edge.target is None else ids[edge.target]
        arrow = "-.->" if edge.control else "-->"
        label = f"|{_quoted(_names(edge.labels))}|" if edge.labels else ""
        yield f"{indent}{ids[edge.source]} {arrow}{label} {target}"


def _node(node: NodeView, name: str, indent: str) -> Iterator[str]:
    label = _quoted(node.name, ", ".join(node.notes))
    if node.inner is None or not node.inner.nodes:
        left, right = _SHAPES.get(node.kind, ("[", "]"))
        yield f"{indent}{name}{left}{label}{right}"
        return
    yield f"{indent}subgraph {name}[{label}]"
    yield from _graph(node.inner, f"{name}_", indent + "  ", outer=False)
    yield f"{indent}end"


def _state(state: str) -> str:
    return "" if state == "required" else state


def _names(labels: tuple[str, ...]) -> str:
    more = f", ... {len(labels) - NAMES} more" if len(labels) > NAMES else ""
    return ", ".join(labels[:NAMES]) + more


def _quoted(title: str, note: str = "") -> str:
    small = f"<br/><small>{note.translate(_ESCAPES)}</small>" if note else ""
    return f'"{title.translate(_ESCAPES)}{small}"'
