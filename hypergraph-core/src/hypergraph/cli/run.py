"""``hypergraph run``: run a graph once and print its outputs.

Rule of this file: what is not the outputs of a completed run never looks like them: a run that pauses
ends with a code of its own, and its JSON says so.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Mapping
from typing import Any

from hypergraph.cli.errors import UsageError
from hypergraph.cli.progress import progress
from hypergraph.cli.running import (
    TYPED,
    add_runner,
    finished,
    is_usage,
    names,
    nodes_at_work,
    opened,
    option_names,
    options_of,
    refused,
    report,
    say_how_to_fix_it_here,
)
from hypergraph.cli.target import add_target, load_graph
from hypergraph.cli.timing import Timings
from hypergraph.cli.values import INPUT_HELP, as_json, as_text, checked_json, pretty, read_inputs
from hypergraph.events import EventProcessor
from hypergraph.graph import Graph
from hypergraph.results import PauseInfo, RunResult, RunStatus
from hypergraph.runners import BaseRunner

PAUSED = 3


def add(commands: Any) -> None:
    """Add the command's arguments."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "run",
        help="run a graph and print its outputs",
        description="Run a graph once. Ends with 3 when the run pauses to wait for an answer.",
    )
    add_target(parser)
    parser.add_argument(
        "-i", "--input", action="append", default=[], metavar="NAME=VALUE", help=INPUT_HELP
    )
    add_runner(parser)
    parser.add_argument(
        "--db",
        metavar="PATH",
        help="keep the run as a workflow in this file of a SqliteCheckpointer, to be resumed",
    )
    parser.add_argument(
        "--workflow-id", metavar="ID", help="the workflow to begin, to answer or to resume"
    )
    parser.add_argument(
        "--force-resume", action="store_true", help="resume although the graph has changed"
    )
    parser.add_argument(
        "--session-id", metavar="ID", help="what groups runs that belong together, for listeners"
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="print one JSON object: the outputs; or, if the run pauses, an object with status, "
        "outputs, pauses and workflow_id",
    )
    parser.add_argument("--timings", action="store_true", help="show how long each node took")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the graph; returns the exit code."""
    graph = load_graph(arguments.target, full_traceback=arguments.traceback)
    inputs = read_inputs(arguments.input)
    with opened(arguments.runner, arguments.db) as runner:
        options = options_of(arguments, runner, "run", TYPED)
        if arguments.select is not None:
            options["select"] = names(arguments.select)
        result = _result(runner, graph, inputs, options, arguments)
    if result is None:
        return 1
    if isinstance(result, RunResult) and result.status is not RunStatus.COMPLETED:
        return _halted(result, arguments)
    outputs = _outputs(result)
    print(as_json(outputs) if arguments.json else as_text(outputs))
    return 0


def _result(
    runner: BaseRunner,
    graph: Graph,
    inputs: Mapping[str, Any],
    options: dict[str, Any],
    arguments: argparse.Namespace,
) -> Any:
    """Return what the run comes to, or ``None`` when a node failed, which is reported."""
    timings = Timings()
    listeners = [*_watching(runner), *([timings] if arguments.timings else [])]
    if listeners:
        options["event_processors"] = listeners
    try:
        with nodes_at_work(results_only=arguments.json):
            result = finished(runner.run(graph, inputs, **options))
    except Exception as error:
        if is_usage(error):
            say_how_to_fix_it_here(error, arguments.target)
            raise
        if (refusal := refused(error, runner, options)) is not None:
            raise refusal from None
        report(error, runner, full=arguments.traceback)
        return None
    finally:
        if arguments.timings and timings:
            print(timings.table(), file=sys.stderr)
    if isinstance(result, RunResult) and result.error is not None:
        report(result.error, runner, full=arguments.traceback)
        return None
    return result


def _watching(runner: BaseRunner) -> list[EventProcessor]:
    """Return what shows progress, if the runner can be listened to."""
    known = option_names(type(runner).run)
    return progress() if known is None or "event_processors" in known else []


def _outputs(result: Any) -> Mapping[str, Any]:
    if isinstance(result, RunResult):
        return result.values
    if isinstance(result, Mapping):
        return result
    raise UsageError(f"the runner returned a {type(result).__name__}, which cannot be shown")


# --- runs that pause --------------------------------------------------------------------------


def _halted(result: RunResult, arguments: argparse.Namespace) -> int:
    """Show a run that is not completed, and how it goes on; returns the exit code."""
    if arguments.json:
        checked_json(result.values)
        shown = {
            "status": result.status.value,
            "outputs": dict(result.values),
            "pauses": [_pause_json(pause) for pause in result.pauses],
            "workflow_id": result.workflow_id,
        }
        print(json.dumps(shown, indent=2))
    else:
        print(as_text(result.values))
    for pause in result.pauses:
        print(
            f"hypergraph: paused at {pause.node_name!r}; it waits for {pause.response_key!r}",
            file=sys.stderr,
        )
    if result.pauses:
        print(f"  To answer: {_answer(result, arguments)}", file=sys.stderr)
        return PAUSED
    print(f"hypergraph: the run is {result.status.value}", file=sys.stderr)
    return 1


def _pause_json(pause: PauseInfo) -> dict[str, Any]:
    found: dict[str, Any] = {"node": pause.node_name, "response_key": pause.response_key}
    try:
        json.dumps(pause.value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return {**found, "text": pretty(pause.value)}
    return {**found, "value": pause.value}


def _answer(result: RunResult, arguments: argparse.Namespace) -> str:
    """Return the command that takes the run on from here."""
    answers = " ".join(f"-i {pause.response_key}=..." for pause in result.pauses)
    if result.workflow_id is None:
        return f"run it again with {answers} (--db PATH keeps what has been done)"
    words = ["hypergraph run", shlex.quote(arguments.target)]
    words += [
        f"--{option} {shlex.quote(value)}"
        for option in ("runner", "db")
        if (value := getattr(arguments, option)) is not None
    ]
    words.append(f"--workflow-id {shlex.quote(result.workflow_id)}")
    return " ".join([*words, answers])
