"""A graph as text, for a terminal and for ``print``.

Rule of this file: one line per node, written like the function that it is; nothing but ASCII and the
graph's own names.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hypergraph.graph import Graph
from hypergraph.viz.model import GraphView, NodeView, view

NAMES = 12  # names in one list
_INDENT = "    "
_PLAIN = {"function", "graph", "map"}  # kinds that a line of text shows by itself
_WORDS = {
    "required": "Inputs",
    "seed": "Seeds",
    "optional": "Optional",
    "bound": "Bound",
}


def describe(graph: Graph) -> str:
    """Return a summary of the graph: what it takes and gives, its nodes, and what a runner needs.

    Nodes stand in declaration order, nested graphs indented below theirs; an input with a default is
    written ``name=...``. Large graphs are abbreviated.
    """
    shown = view(graph)
    count = f"{shown.size} node" if shown.size == 1 else f"{shown.size} nodes"
    title = f"Graph {shown.name!r}" if shown.name else "Graph"
    lines = [f"{title}, {count}"]
    for state, word in _WORDS.items():
        names = [port.name for port in shown.inputs if port.state == state]
        if names:
            lines.append(f"  {word + ':':<10}{_listed(names)}")
    if shown.outputs:
        lines.append(f"  {'Outputs:':<10}{_listed(shown.outputs)}")
    if shown.needs:
        needs = ", ".join(f"{feature} ({path})" for feature, path in shown.needs)
        lines.append(f"  {'Needs:':<10}{needs}")
    if shown.nodes:
        lines.append("  Nodes:")
        lines += _node_lines(shown, _INDENT)
    return "\n".join(lines)


def signature(node: NodeView) -> str:
    """Return a node as one line: ``name(inputs) -> outputs`` or ``name(inputs) -> target | target``."""
    inputs = [f"{name}=..." if name in node.defaults else name for name in node.inputs]
    line = f"{node.name}({_listed(inputs)})"
    if node.choices:
        ways = [
            f"{choice.label}: {choice.target or 'END'}" if choice.label else choice.target or "END"
            for choice in node.choices
        ]
        return f"{line} -> {' | '.join(ways)}"
    return f"{line} -> {_listed(node.outputs)}" if node.outputs else line


def _node_lines(graph: GraphView, indent: str) -> Iterator[str]:
    for node in graph.nodes:
        said = [*([] if node.kind in _PLAIN else [node.kind]), *node.notes]
        note = f"  [{', '.join(said)}]" if said else ""
        yield f"{indent}{signature(node)}{note}"
        if node.inner is not None:
            yield from _node_lines(node.inner, indent + _INDENT)
    if graph.hidden:
        more = "more " if graph.nodes else ""
        yield f"{indent}... {graph.hidden} {more}node{'s' if graph.hidden > 1 else ''}"


def _listed(names: Sequence[str]) -> str:
    if len(names) <= NAMES:
        return ", ".join(names)
    return f"{', '.join(names[: NAMES - 2])}, ... {len(names) - NAMES + 2} more"
