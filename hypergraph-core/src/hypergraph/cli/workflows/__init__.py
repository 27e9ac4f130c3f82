"""``hypergraph workflows``: look after the workflows that a SqliteCheckpointer keeps.

Rule of this file: arguments only, since the command line loads it for its help.
"""

from __future__ import annotations

import argparse
from typing import Any

from hypergraph._deferred import deferred
from hypergraph.checkpointers import refusals

LISTED = 20  # workflows, unless more are asked for
STATES = {
    "running": "running",
    "paused": "paused",
    "completed": "completed",
    "failed": "failed",
    "stopped": "stopped",
    "cut-off": "cut off",
}


def add(commands: Any) -> None:
    """Add the command's actions and their arguments."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "workflows",
        help="list, show, fork or delete workflows",
        description="Look after the workflows in the file of a SqliteCheckpointer.",
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)

    action = _action(actions, "list", "list workflows, the last changed first")
    action.add_argument("--status", choices=STATES, help="only those that stand there")
    action.add_argument(
        "--limit",
        type=_count,
        metavar="N",
        help=f"at most so many (default: {LISTED}; with --json: all)",
    )
    action.add_argument("--json", action="store_true", help="print a JSON array")

    action = _action(actions, "show", "show a workflow and its history")
    action.add_argument("id", type=_id, metavar="ID", help="the workflow")
    action.add_argument("--steps", action="store_true", help="every step, however many")
    action.add_argument(
        "--values",
        action="store_true",
        help="show the values, not only their names and types; this imports the modules of their "
        "classes",
    )
    action.add_argument("--json", action="store_true", help="print a JSON object, with every step")

    action = _action(actions, "fork", "copy a workflow, to run it on from there")
    action.add_argument("id", type=_id, metavar="ID", help="the workflow")
    action.add_argument(
        "--superstep", type=int, metavar="N", help="up to the end of this one (default: all)"
    )
    action.add_argument("--as", dest="new_id", type=_id, metavar="NEW_ID", help="what to call it")
    action.add_argument("--json", action="store_true", help="print a JSON object with its id")

    action = _action(actions, "delete", "remove workflows", reads=False)
    action.add_argument("ids", nargs="+", type=_id, metavar="ID", help="the workflows")
    action.add_argument("--yes", action="store_true", help="do not ask")
    action.add_argument("--json", action="store_true", help="print a JSON array of ids")


def _action(actions: Any, name: str, words: str, *, reads: bool = True) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(
        name, help=words, description=f"{words[0].upper()}{words[1:]}."
    )
    parser.add_argument("--db", required=True, metavar="PATH", help="the file of workflows")
    if reads:
        parser.add_argument(
            "--key-file", metavar="PATH", help="the key that it is signed with (default: yours)"
        )
        parser.add_argument(
            "--serializer",
            choices=("pickle", "json"),
            default="pickle",
            help="what it was written with: signed pickles (default), or JsonSerializer",
        )
    parser.set_defaults(run=deferred(f"hypergraph.cli.workflows.actions:{name}_workflows"))
    return parser


def _id(text: str) -> str:
    try:
        return refusals.checked_id(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError("a whole number, please")
    return int(text)
