"""``hypergraph run``: run a graph once and print its outputs."""

from __future__ import annotations

import argparse
import inspect
import sys
import traceback
from collections.abc import Awaitable, Mapping
from types import FrameType
from typing import Any

from hypergraph.cli.errors import UsageError
from hypergraph.cli.progress import progress
from hypergraph.cli.target import add_target, load_graph
from hypergraph.cli.timing import Timings
from hypergraph.cli.values import INPUT_HELP, as_json, as_text, read_inputs
from hypergraph.errors import (
    GraphConfigError,
    IncompatibleRunnerError,
    InputError,
    MissingExtraError,
    MissingInputError,
    RunnerError,
    UnknownInputError,
)
from hypergraph.events import EventProcessor
from hypergraph.execution.places import Place
from hypergraph.results import RunResult
from hypergraph.runners import BaseRunner, resolve

_FRAMES = 6  # of the user's code


def add(commands: Any) -> None:
    """Add the command's arguments."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "run", help="run a graph and print its outputs", description="Run a graph once."
    )
    add_target(parser)
    parser.add_argument(
        "-i", "--input", action="append", default=[], metavar="NAME=VALUE", help=INPUT_HELP
    )
    parser.add_argument(
        "--runner", default="sync", metavar="NAME", help="a runner by name or package.module:Class"
    )
    parser.add_argument("--select", metavar="A,B", help="print these outputs only")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--timings", action="store_true", help="show how long each node took")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the graph; returns the exit code."""
    graph = load_graph(arguments.target, full_traceback=arguments.traceback)
    inputs = read_inputs(arguments.input)
    runner = resolve(arguments.runner)
    timings = Timings()
    listeners = [*_watching(runner), *([timings] if arguments.timings else [])]
    options: dict[str, Any] = {"event_processors": listeners} if listeners else {}
    if arguments.select is not None:
        options["select"] = [name.strip() for name in arguments.select.split(",") if name.strip()]
    try:
        result = _finished(runner.run(graph, inputs, **options))
    except Exception as error:
        if _is_usage(error):
            _say_how_to_fix_it_here(error, arguments.target)
            raise
        _report(error, runner, full=arguments.traceback)
        return 1
    finally:
        if arguments.timings and timings:
            print(timings.table(), file=sys.stderr)
    if isinstance(result, RunResult) and result.error is not None:
        _report(result.error, runner, full=arguments.traceback)
        return 1
    outputs = _outputs(result)
    print(as_json(outputs) if arguments.json else as_text(outputs))
    for pause in result.pauses if isinstance(result, RunResult) else ():
        print(
            f"hypergraph: paused at {pause.node_name!r}; it waits for {pause.response_key!r}",
            file=sys.stderr,
        )
    return 0


def _watching(runner: BaseRunner) -> list[EventProcessor]:
    """Return what shows progress, if the runner can be listened to."""
    parameters = inspect.signature(runner.run).parameters.values()
    listens = any(p.name == "event_processors" or p.kind is p.VAR_KEYWORD for p in parameters)
    return progress() if listens else []


def _finished(result: Any) -> Any:
    """Return what a run comes to, awaiting it where it is a coroutine."""
    if not isinstance(result, Awaitable):
        return result
    import asyncio

    async def wait() -> Any:
        return await result

    return asyncio.run(wait())


def _outputs(result: Any) -> Mapping[str, Any]:
    if isinstance(result, RunResult):
        return result.values
    if isinstance(result, Mapping):
        return result
    raise UsageError(f"the runner returned a {type(result).__name__}, which cannot be shown")


def _is_usage(error: Exception) -> bool:
    """Say whether nothing has run: the graph, the inputs or the runner do not fit."""
    if any(isinstance(note, Place) for note in getattr(error, "__notes__", ())):
        return False
    kinds = (InputError, GraphConfigError, IncompatibleRunnerError, RunnerError, MissingExtraError)
    return isinstance(error, kinds)


def _say_how_to_fix_it_here(error: Exception, target: str) -> None:
    """Replace the fix of an error, which speaks of Python, by one that can be typed here."""
    if isinstance(error, MissingInputError):
        error.fix = f"add {' '.join(f'-i {name}=...' for name in error.missing)}"
    elif isinstance(error, UnknownInputError):
        error.fix = f"give only inputs of the graph: hypergraph show {target} lists them"


def _report(error: BaseException, runner: BaseRunner, *, full: bool) -> None:
    """Show the error as Python would, with the frames of the user's own code only."""
    if full:
        traceback.print_exception(error)
        return
    ours = {"hypergraph", "asyncio", type(runner).__module__.partition(".")[0]}
    walked = list(traceback.walk_tb(error.__traceback__))
    own = [(frame, line) for frame, line in walked if not _belongs(frame, ours)]
    if own:
        stack = traceback.StackSummary.extract(iter(own[-_FRAMES:]))
        print("Traceback (nodes only; --traceback shows all of it):", file=sys.stderr)
        print("".join(stack.format()), end="", file=sys.stderr)
    print("".join(traceback.format_exception_only(error)), end="", file=sys.stderr)


def _belongs(frame: FrameType, packages: set[str]) -> bool:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] in packages
