"""``hypergraph map``: run a graph once for each row of a file.

Rule of this file: arguments only, since the command line loads it for its help.
"""

from __future__ import annotations

import argparse
from typing import Any

from hypergraph._deferred import deferred
from hypergraph.cli.running import add_runner, count
from hypergraph.cli.target import add_target
from hypergraph.cli.values import INPUT_HELP

BATCH = 1000  # rows that are held at once
FORMATS = ("jsonl", "csv", "parquet")


def add(commands: Any) -> None:
    """Add the command's arguments."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "map",
        help="run a graph once for each row of a file",
        description="Run a graph once for each row of a file, and write a line of JSON for each, in "
        "order. Ends with 1 when an item failed.",
    )
    add_target(parser)
    parser.add_argument(
        "file",
        metavar="FILE",
        help="JSON lines, CSV or Parquet, each row with the inputs of one item; - is stdin",
    )
    parser.add_argument(
        "--format", choices=FORMATS, help="of the file (default: by its name; stdin: jsonl)"
    )
    parser.add_argument(
        "--over", metavar="A,B", help="take these columns as inputs only (default: all of a row)"
    )
    parser.add_argument(
        "-i",
        "--input",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help=f"the same for every item: {INPUT_HELP}",
    )
    add_runner(parser)
    _add_output(parser)
    parser.add_argument(
        "--batch-size",
        type=count,
        default=BATCH,
        metavar="N",
        help=f"how many rows are handed to the runner at once (default: {BATCH})",
    )
    parser.set_defaults(run=deferred("hypergraph.cli.mapping.command:map_file"))


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--keep",
        metavar="A,B",
        help="copy these columns of the row to its line, before the outputs",
    )
    parser.add_argument("--output", metavar="FILE", help="where the lines go (default: stdout)")
    parser.add_argument(
        "--on-error",
        choices=("raise", "return"),
        default="raise",
        help="stop at the first item that fails (default), or finish the others: a failed one has the "
        "line null, and goes with its error to the file of --errors",
    )
    parser.add_argument(
        "--errors",
        metavar="FILE",
        help="where failed items go, to be mapped again (default: FILE.errors.jsonl)",
    )
