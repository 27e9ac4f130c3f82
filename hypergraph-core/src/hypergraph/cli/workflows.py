"""``hypergraph workflows``: the workflows that a SqliteCheckpointer keeps.

Rule of this file: ``list`` and ``show`` change nothing, not even the files beside; no action makes a
file of workflows or a key.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from hypergraph.checkpointers import SqliteCheckpointer, refusals
from hypergraph.checkpointers.reading import SqliteReader, existing
from hypergraph.cli.errors import UsageError
from hypergraph.cli.standins import Copied, Shown
from hypergraph.cli.workflow_views import (
    CUT_OFF,
    header,
    header_json,
    history,
    listed,
    state_of,
    step_json,
)
from hypergraph.errors import CheckpointError
from hypergraph.serialization import JsonSerializer, default_key_file, load_key

_LISTED = 20
_STATES = {
    "running": "running",
    "paused": "paused",
    "completed": "completed",
    "failed": "failed",
    "stopped": "stopped",
    "cut-off": CUT_OFF,
}


def add(commands: Any) -> None:
    """Add the command's actions and their arguments."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "workflows",
        help="list, show, fork or delete workflows",
        description="Look after the workflows in the file of a SqliteCheckpointer.",
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)

    action = _action(actions, "list", "list workflows, the last changed first", list_workflows)
    action.add_argument("--status", choices=_STATES, help="only those that stand there")
    action.add_argument(
        "--limit",
        type=_count,
        metavar="N",
        help=f"at most so many (default: {_LISTED}; with --json: all)",
    )
    action.add_argument("--json", action="store_true", help="print a JSON array")

    action = _action(actions, "show", "show a workflow and its history", show_workflow)
    action.add_argument("id", type=_id, metavar="ID", help="the workflow")
    action.add_argument("--steps", action="store_true", help="every step, however many")
    action.add_argument(
        "--values",
        action="store_true",
        help="show the values, not only their names and types; this imports the modules of their "
        "classes",
    )
    action.add_argument("--json", action="store_true", help="print a JSON object, with every step")

    action = _action(actions, "fork", "copy a workflow, to run it on from there", fork_workflow)
    action.add_argument("id", type=_id, metavar="ID", help="the workflow")
    action.add_argument(
        "--superstep", type=int, metavar="N", help="up to the end of this one (default: all)"
    )
    action.add_argument("--as", dest="new_id", type=_id, metavar="NEW_ID", help="what to call it")

    action = _action(actions, "delete", "remove workflows", delete_workflows, reads=False)
    action.add_argument("ids", nargs="+", type=_id, metavar="ID", help="the workflows")
    action.add_argument("--yes", action="store_true", help="do not ask")


def _action(
    actions: Any, name: str, words: str, run: Any, *, reads: bool = True
) -> argparse.ArgumentParser:
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
    parser.set_defaults(run=run)
    return parser


# --- the actions ------------------------------------------------------------------------------


def list_workflows(arguments: argparse.Namespace) -> int:
    """Print a line for each workflow; returns the exit code."""
    reader = _reader(arguments)
    limit = arguments.limit
    if limit is None and not arguments.json:
        limit = _LISTED
    if arguments.status is None:
        found = reader.workflows(None if limit is None else limit + 1)
    else:
        state = _STATES[arguments.status]
        found = [workflow for workflow in reader.workflows() if state_of(workflow) == state]
    shown = found[:limit]
    if arguments.json:
        print(json.dumps([header_json(workflow) for workflow in shown], indent=2))
    elif shown:
        print(listed(shown, time.time()))
        if len(found) > len(shown) and arguments.limit is None:
            print(f"There are more; --limit N shows more than {limit}", file=sys.stderr)
    elif not found:
        which = f" that is {state}" if arguments.status else ""
        print(f"There is no workflow{which}", file=sys.stderr)
    return 0


def show_workflow(arguments: argparse.Namespace) -> int:
    """Print one workflow; returns the exit code."""
    reader = _reader(arguments, importing=arguments.values)
    with contextlib.redirect_stdout(sys.stderr):  # what modules print when they are imported
        workflow, steps = reader.workflow(arguments.id)
    if arguments.json:
        shown = [step_json(step, values=arguments.values) for step in steps]
        print(json.dumps({**header_json(workflow), "history": shown}, indent=2))
        return 0
    print(header(workflow, time.time()))
    if steps:
        print(f"\n{history(steps, values=arguments.values, every=arguments.steps)}")
    return 0


def fork_workflow(arguments: argparse.Namespace) -> int:
    """Copy a workflow and print the id of the copy; returns the exit code."""
    path = existing(arguments.db)
    serializer = JsonSerializer() if arguments.serializer == "json" else Copied(_key(arguments))
    with SqliteCheckpointer(path, serializer=serializer) as checkpointer:
        print(
            checkpointer.fork(arguments.id, superstep=arguments.superstep, new_id=arguments.new_id)
        )
    return 0


def delete_workflows(arguments: argparse.Namespace) -> int:
    """Remove workflows, once that is confirmed; returns the exit code."""
    path = existing(arguments.db)
    ids: list[str] = list(dict.fromkeys(arguments.ids))
    if not arguments.yes and not _confirmed(ids, arguments.db):
        print("Nothing was deleted", file=sys.stderr)
        return 1
    code = 0
    # No value is read, so any serializer serves, and a lost key does not keep a workflow here.
    with SqliteCheckpointer(path, serializer=JsonSerializer()) as checkpointer:
        for workflow_id in ids:
            try:
                checkpointer.delete(workflow_id)
            except CheckpointError as error:  # the others can still go
                print(f"hypergraph: {error}", file=sys.stderr)
                code = 2
            else:
                print(f"deleted {workflow_id!r}")
    return code


# --- what they share --------------------------------------------------------------------------


def _reader(arguments: argparse.Namespace, *, importing: bool = False) -> SqliteReader:
    path = existing(arguments.db)
    if arguments.serializer == "json":
        return SqliteReader(path, JsonSerializer())
    if importing and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    return SqliteReader(path, Shown(_key(arguments), importing=importing))


def _key(arguments: argparse.Namespace) -> bytes:
    path = default_key_file() if arguments.key_file is None else Path(arguments.key_file)
    path = path.expanduser().absolute()
    if not os.path.lexists(path):
        raise UsageError(
            f"there is no key file {str(path)!r}; name the one that {arguments.db!r} was written with: "
            "--key-file PATH"
        )
    return load_key(path)


def _confirmed(ids: list[str], path: str) -> bool:
    """Ask on the terminal. Raises ``UsageError`` where there is none."""
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError("nobody can be asked here whether to delete; add --yes")
    what = f"workflow {ids[0]!r}" if len(ids) == 1 else f"{len(ids)} workflows"
    print(f"Delete {what} from {path!r} for good? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _id(text: str) -> str:
    try:
        return refusals.checked_id(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError("a whole number, please")
    return int(text)
