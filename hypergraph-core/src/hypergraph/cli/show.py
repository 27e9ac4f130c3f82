"""``hypergraph show``: a graph as text, mermaid, HTML or JSON."""

from __future__ import annotations

import argparse
import json
from typing import Any

from hypergraph.cli.errors import UsageError
from hypergraph.cli.target import add_target, load_graph
from hypergraph.viz.html import visualize
from hypergraph.viz.mermaid import to_mermaid
from hypergraph.viz.model import GraphView, NodeView, view
from hypergraph.viz.text import describe

_ALL = 1_000_000  # nodes and levels: JSON leaves none out


def add(commands: Any) -> None:
    """Add the command's arguments."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "show",
        help="show a graph",
        description="Show a graph: what it takes, gives and is made of.",
    )
    add_target(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--mermaid", action="store_true", help="print a mermaid flowchart")
    form.add_argument("--html", metavar="FILE", help="write a drawing as an HTML page")
    form.add_argument("--json", action="store_true", help="print a JSON object, with every node")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print or write the view; returns the exit code."""
    graph = load_graph(arguments.target, full_traceback=arguments.traceback)
    if arguments.html:
        try:
            print(f"wrote {visualize(graph, arguments.html)}")
        except OSError as error:
            raise UsageError(f"--html {arguments.html}: {error.strerror or error}") from None
    elif arguments.mermaid:
        print(to_mermaid(graph), end="")
    elif arguments.json:
        shown = _graph_json(view(graph, _ALL, _ALL))
        print(json.dumps({**shown, "definition_hash": graph.definition_hash}, indent=2))
    else:
        print(describe(graph))
    return 0


def _graph_json(graph: GraphView) -> dict[str, Any]:
    names = [node.name for node in graph.nodes]
    edges = [
        {
            "source": names[edge.source],
            "target": None if edge.target is None else names[edge.target],
            "kind": "control" if edge.control else "data",
            "labels": list(edge.labels),
            "back": edge.back,
        }
        for edge in graph.edges
    ]
    return {
        "name": graph.name,
        "inputs": [{"name": port.name, "state": port.state} for port in graph.inputs],
        "outputs": list(graph.outputs),
        "needs": dict(graph.needs),
        "nodes": [_node_json(node) for node in graph.nodes],
        "edges": edges,
    }


def _node_json(node: NodeView) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": node.name,
        "kind": node.kind,
        "inputs": list(node.inputs),
        "defaults": sorted(node.defaults),
        "outputs": list(node.outputs),
        "traits": list(node.traits),
    }
    if node.choices:
        found["choices"] = [
            {"label": choice.label, "target": choice.target} for choice in node.choices
        ]
    if node.maps:
        found |= {"maps": list(node.maps), "map_mode": node.map_mode}
    if node.inner is not None:
        found["graph"] = _graph_json(node.inner)
    return found
