"""``hypergraph show``: a graph as text, mermaid or HTML."""

from __future__ import annotations

import argparse
from typing import Any

from hypergraph.cli.errors import UsageError
from hypergraph.cli.target import add_target, load_graph
from hypergraph.viz.html import visualize
from hypergraph.viz.mermaid import to_mermaid
from hypergraph.viz.text import describe


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
    else:
        print(describe(graph))
    return 0
