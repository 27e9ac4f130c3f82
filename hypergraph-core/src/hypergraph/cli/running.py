"""What ``run`` and ``map`` share: which runner, which of its options, and what its errors say here.

Rule of this file: an option that the chosen runner does not take is refused before anything runs, and
the words name what was typed, not the Python that it stands for.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import traceback
from collections.abc import Awaitable, Iterator, Mapping
from types import FrameType
from typing import Any

from hypergraph._deferred import deferred
from hypergraph.cli.aside import aside
from hypergraph.cli.errors import UsageError
from hypergraph.errors import (
    ConfigError,
    GraphConfigError,
    HypergraphError,
    IncompatibleRunnerError,
    InputError,
    MissingExtraError,
    MissingInputError,
    RunnerError,
    UnknownInputError,
    VersionMismatchError,
    WorkflowBusyError,
)
from hypergraph.execution.places import Place
from hypergraph.runners import BaseRunner

TYPED = (  # the options of runners that can be typed
    "max_concurrency",
    "max_iterations",
    "session_id",
    "workflow_id",
    "force_resume",
    "on_error",
)
_FRAMES = 6  # of the user's code
_KINDS = (
    InputError,
    GraphConfigError,
    IncompatibleRunnerError,
    RunnerError,
    MissingExtraError,
    ConfigError,
    VersionMismatchError,
    WorkflowBusyError,
)

option_names = deferred("hypergraph.config.running:option_names")
_load_runner = deferred("hypergraph.config:load_runner")
_inspect = deferred("hypergraph.runners:inspect")
_checkpointer = deferred("hypergraph.checkpointers:SqliteCheckpointer")


# --- arguments --------------------------------------------------------------------------------


def add_runner(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that choose a runner, and those that any run may have."""
    parser.add_argument(
        "--runner",
        metavar="NAME",
        help="a configured or installed runner, or package.module:Class (default: HYPERGRAPH_RUNNER, "
        "then the configuration file, then sync)",
    )
    parser.add_argument("--select", metavar="A,B", help="give these outputs only")
    parser.add_argument(
        "--max-concurrency",
        type=count,
        metavar="N",
        help="at most so many calls of nodes at once, where the runner makes several at once",
    )
    parser.add_argument(
        "--max-iterations", type=count, metavar="N", help="how often one node may run"
    )


def count(text: str) -> int:
    """Read a positive whole number."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("a whole number from 1 on, please")
    return int(text)


def names(text: str) -> list[str]:
    """Read names separated by commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def options_of(
    arguments: argparse.Namespace, runner: BaseRunner, method: str, given: tuple[str, ...]
) -> dict[str, Any]:
    """Return the options that were typed, by the names of the runner's ``method``.

    Raises ``UsageError`` for one that the method does not take.
    """
    found = {name: getattr(arguments, name, None) for name in given}
    found = {name: value for name, value in found.items() if value not in (None, False)}
    known = option_names(getattr(type(runner), method))
    for name in found:
        if known is not None and name not in known:
            option = f"--{name.replace('_', '-')}"
            able = [
                other
                for other, cls in _classes()
                if name in (option_names(getattr(cls, method)) or ())
            ]
            fix = f"use one that does: {' or '.join(f'--runner {one}' for one in able)}"
            raise UsageError(
                f"the runner {runner.name!r} takes no {option}; {fix if able else 'leave it out'}"
            )
    return found


def _classes() -> Iterator[tuple[str, type[BaseRunner]]]:
    from hypergraph.runners import get

    for name, info in _inspect().items():
        if info.error is None:
            yield name, get(name)


# --- the runner -------------------------------------------------------------------------------


@contextlib.contextmanager
def opened(name: str | None, db: str | None = None) -> Iterator[BaseRunner]:
    """Give the runner, for the time of the call; ``db``: the file that keeps its workflows.

    Raises ``UsageError`` if it keeps none, and what loading it raises.
    """
    if db is None:
        yield loaded(name)
        return
    with _checkpointer(db) as checkpointer:
        try:
            runner = loaded(name, checkpointer=checkpointer)
        except HypergraphError:
            plain = loaded(name)  # raises what is wrong besides
            raise UsageError(
                f"the runner {plain.name!r} keeps no workflows, so it takes no --db; use one that does: "
                "--runner async"
            ) from None
        yield runner


@aside()
def loaded(name: str | None, **settings: Any) -> BaseRunner:
    """Return the runner of a name, or the default. Raises ``UsageError`` if it cannot be made."""
    try:
        runner: BaseRunner = _load_runner(name, **settings)
    except HypergraphError:
        raise
    except (Exception, SystemExit) as error:  # a class may do anything when it is called
        what = "the default runner" if name is None else f"the runner {name!r}"
        raise UsageError(f"{what} cannot be made: {type(error).__name__}: {error}") from error
    return runner


def finished(result: Any) -> Any:
    """Return what a run comes to, awaiting it where it is a coroutine."""
    if not isinstance(result, Awaitable):
        return result
    import asyncio

    async def wait() -> Any:
        return await result

    return asyncio.run(wait())


@contextlib.contextmanager
def nodes_at_work(*, results_only: bool) -> Iterator[None]:
    """Surrounds a run: a node that ends the program has failed; where stdout is for results only, what
    nodes print goes to stderr."""
    try:
        with aside() if results_only else contextlib.nullcontext():
            yield
    except SystemExit as stop:
        if stop.code:
            raise
        print("hypergraph: a node ended the program by sys.exit()", file=sys.stderr)
        raise SystemExit(1) from None


# --- errors -----------------------------------------------------------------------------------


def is_usage(error: BaseException) -> bool:
    """Say whether nothing has run: the graph, the inputs or the runner do not fit."""
    return not _happened_in_a_node(error) and isinstance(error, _KINDS)


def refused(
    error: BaseException, runner: BaseRunner, options: Mapping[str, Any]
) -> UsageError | None:
    """Return what to say if the runner itself refused an option, in its own words."""
    if not isinstance(error, TypeError) or _happened_in_a_node(error) or _own(error, runner):
        return None
    said = ", ".join(f"--{name.replace('_', '-')}" for name in options if name in TYPED)
    return UsageError(f"the runner {runner.name!r} refused {said or 'to begin'}: {error}")


def _happened_in_a_node(error: BaseException) -> bool:
    return any(isinstance(note, Place) for note in getattr(error, "__notes__", ()))


def say_how_to_fix_it_here(error: BaseException, target: str) -> None:
    """Replace the fix of an error, which speaks of Python, by one that can be typed here."""
    if isinstance(error, MissingInputError):
        error.fix = f"add {' '.join(f'-i {name}=...' for name in error.missing)}"
    elif isinstance(error, UnknownInputError):
        error.fix = f"give only inputs of the graph: hypergraph show {target} lists them"
    elif isinstance(error, InputError) and "checkpointer=" in error.fix:
        error.fix = "add --db FILE, which keeps it; or configure a runner with a checkpointer"
    elif isinstance(error, VersionMismatchError):
        error.fix = (
            "go on all the same with --force-resume, or begin anew under another --workflow-id"
        )
    elif isinstance(error, IncompatibleRunnerError):
        able = " or ".join(f"--runner {name}" for name in error.alternatives)
        error.fix = f"add {able}" if able else f"hypergraph check {target} says what would help"


def report(error: BaseException, runner: BaseRunner, *, full: bool) -> None:
    """Show the error as Python would, with the frames of the user's own code only."""
    if full:
        traceback.print_exception(error)
        return
    own = _own(error, runner)
    if type(error.__cause__).__name__ == "_RemoteTraceback":  # the node ran in another process
        print(str(error.__cause__).strip('"\n'), file=sys.stderr)
    elif own:
        stack = traceback.StackSummary.extract(iter(own[-_FRAMES:]))
        print("Traceback (nodes only; --traceback shows all of it):", file=sys.stderr)
        print("".join(stack.format()), end="", file=sys.stderr)
    print("".join(traceback.format_exception_only(error)), end="", file=sys.stderr)


def _own(error: BaseException, runner: BaseRunner) -> list[tuple[FrameType, int]]:
    """Return the frames of the user's own code."""
    ours = {
        "hypergraph",
        "asyncio",
        "concurrent",
        "pluggy",
        type(runner).__module__.partition(".")[0],
    }
    walked = traceback.walk_tb(error.__traceback__)
    return [(frame, line) for frame, line in walked if not _belongs(frame, ours)]


def _belongs(frame: FrameType, packages: set[str]) -> bool:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] in packages
