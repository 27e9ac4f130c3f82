"""What ``hypergraph workflows`` does.

Rule of this file: ``list`` and ``show`` change nothing, not even the files beside; no action makes a
file of workflows or a key.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from hypergraph.checkpointers import SqliteCheckpointer
from hypergraph.checkpointers.reading import SqliteReader, existing
from hypergraph.cli.errors import UsageError
from hypergraph.cli.tables import printable
from hypergraph.cli.target import find_modules_in
from hypergraph.cli.workflows import LISTED, STATES
from hypergraph.cli.workflows.standins import Copied, Shown
from hypergraph.cli.workflows.views import (
    header,
    header_json,
    history,
    listed,
    state_of,
    step_json,
)
from hypergraph.errors import CheckpointError, WorkflowNotFoundError, did_you_mean
from hypergraph.serialization import JsonSerializer, default_key_file, load_key

NEAR, LETTERS = 1000, 100  # how many ids are compared with a mistyped one, and how long ones


def list_workflows(arguments: argparse.Namespace) -> int:
    """Print a line for each workflow; returns the exit code."""
    reader = _reader(arguments)
    limit = arguments.limit
    if limit is None and not arguments.json:
        limit = LISTED
    state = STATES.get(arguments.status)
    if state is None:
        found, damaged = reader.headers(limit=None if limit is None else limit + 1)
    else:
        found, damaged = reader.headers()
        found = [workflow for workflow in found if state_of(workflow) == state]
    for workflow_id, error in damaged.items():
        delete = f"hypergraph workflows delete {shlex.quote(workflow_id)} {_db(arguments)}"
        print(
            printable(f"Left out: workflow {workflow_id!r}. {error.what} To remove it: {delete}"),
            file=sys.stderr,
        )
    shown = found[:limit]
    if arguments.json:
        print(json.dumps([header_json(workflow) for workflow in shown], indent=2))
    elif shown:
        print(listed(shown, time.time()))
        if len(found) > len(shown) and arguments.limit is None:
            print(f"There are more; --limit N shows more than {limit}", file=sys.stderr)
    elif not found:
        which = "" if state is None else f" that is {state}"
        print(f"There is no workflow{which}", file=sys.stderr)
    return 0


def show_workflows(arguments: argparse.Namespace) -> int:
    """Print one workflow and its history; returns the exit code."""
    reader = _reader(arguments, importing=arguments.values)
    # What modules print when they are imported is no result.
    with contextlib.redirect_stdout(sys.stderr), _looking_up(arguments):
        workflow, steps = reader.history(arguments.id)
    if arguments.json:
        shown = [step_json(step, values=arguments.values) for step in steps]
        print(json.dumps({**header_json(workflow), "history": shown}, indent=2))
        return 0
    print(header(workflow, time.time()))
    if steps:
        print(f"\n{history(steps, values=arguments.values, every=arguments.steps)}")
    return 0


def fork_workflows(arguments: argparse.Namespace) -> int:
    """Copy a workflow and print the id of the copy; returns the exit code."""
    path = existing(arguments.db)
    serializer = JsonSerializer() if arguments.serializer == "json" else Copied(_key(arguments))
    superstep, new_id = arguments.superstep, arguments.new_id
    with SqliteCheckpointer(path, serializer=serializer) as checkpointer, _looking_up(arguments):
        copy = checkpointer.fork(arguments.id, superstep=superstep, new_id=new_id)
        print(json.dumps({"id": copy}) if arguments.json else copy)
    return 0


def delete_workflows(arguments: argparse.Namespace) -> int:
    """Remove workflows, once that is confirmed; returns the exit code."""
    path = existing(arguments.db)
    ids: list[str] = list(dict.fromkeys(arguments.ids))
    if not arguments.yes and not _confirmed(ids, arguments.db):
        print("Nothing was deleted", file=sys.stderr)
        return 1
    code, gone = 0, []
    # No value is read, so any serializer serves, and a lost key does not keep a workflow here.
    with SqliteCheckpointer(path, serializer=JsonSerializer()) as checkpointer:
        for workflow_id in ids:
            try:
                with _looking_up(arguments):
                    checkpointer.delete(workflow_id)
            except CheckpointError as error:  # the others can still go
                print(f"hypergraph: {error}", file=sys.stderr)
                code = 2
            else:
                gone.append(workflow_id)
                if not arguments.json:
                    print(f"deleted {workflow_id!r}")
    if arguments.json:
        print(json.dumps(gone))
    return code


# --- what they share --------------------------------------------------------------------------


def _reader(arguments: argparse.Namespace, *, importing: bool = False) -> SqliteReader:
    path = existing(arguments.db)
    if arguments.serializer == "json":
        return SqliteReader(path, JsonSerializer())
    if importing:
        find_modules_in(os.getcwd())
    return SqliteReader(path, Shown(_key(arguments), importing=importing))


@contextlib.contextmanager
def _looking_up(arguments: argparse.Namespace) -> Iterator[None]:
    """Say which id may have been meant, and what to type to see all of them."""
    try:
        yield
    except WorkflowNotFoundError as error:
        ids = SqliteReader(existing(arguments.db), JsonSerializer()).ids(NEAR)
        near = [one for one in ids if max(len(one), len(error.workflow_id)) <= LETTERS]
        error.what += did_you_mean(error.workflow_id, near)
        error.fix = f"`hypergraph workflows list {_db(arguments)}` lists those that there are"
        raise


def _db(arguments: argparse.Namespace) -> str:
    return f"--db {shlex.quote(arguments.db)}"


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
