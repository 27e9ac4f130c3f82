"""``hypergraph check``: which runners can run a graph, and what stops the others.

Rule of this file: arguments only, since the command line loads it for its help.
"""

from __future__ import annotations

import argparse
from typing import Any

from hypergraph._deferred import deferred
from hypergraph.cli.target import add_target


def add(commands: Any) -> None:
    """Add the command's arguments."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "check",
        help="say which runners can run a graph",
        description="Say which configured and installed runners can run a graph, which node stops the "
        "others, and what would change that. Ends with 2 when none can.",
    )
    add_target(parser)
    parser.add_argument("--json", action="store_true", help="print a JSON object")
    parser.set_defaults(run=deferred("hypergraph.cli.fitting:check_graph"))
