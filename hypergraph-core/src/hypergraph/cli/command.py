"""What ``hypergraph`` does with its arguments.

Rule of this room: results go to stdout, everything else to stderr. Exit codes: 0 done, 1 a node failed,
2 a usage or graph error, 3 the run waits for an answer, 130 interrupted. Each subcommand is a module
with ``add`` (its arguments), imported here and nowhere else. Plugins are loaded for their commands only
when help is asked for, or a command that is none of ours.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
import warnings
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from hypergraph._deferred import deferred
from hypergraph.cli import check, demo, mapping, plugins, run, runners, show, workflows
from hypergraph.cli.aside import aside
from hypergraph.cli.errors import UsageError
from hypergraph.errors import ConfigError, HypergraphError, HypergraphWarning

OK, FAILED, USAGE, PIPE_CLOSED = 0, 1, 2, 141

_COMMANDS = (run, mapping, check, show, runners, plugins, workflows, demo)
_version = deferred("importlib.metadata:version")
_plugin_commands = deferred("hypergraph.hooks:cli_commands")


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(f"hypergraph {_version('hypergraph-core')}")
        parser.exit()


class _Parser(argparse.ArgumentParser):
    """Takes options by their whole names, so that a new one takes none away; so do its commands."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"allow_abbrev": False, **kwargs})


def carry_out(given: Sequence[str]) -> int:
    """Run the command with these arguments and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name may hold any letter
    with _short_warnings():
        return _main(given)


def _main(given: Sequence[str]) -> int:
    try:
        parser = parser_of(given)
        arguments = parser.parse_args(given)
        if "run" not in arguments:
            parser.print_help(sys.stderr)
            return USAGE
        code = int(arguments.run(arguments) or OK)
        if sys.stdout is not None:  # it is None where it was closed before we started
            sys.stdout.flush()
        return code
    except SystemExit as stop:  # of argparse, which has said what there is to say, or of a node
        if isinstance(stop.code, int) or stop.code is None:
            return stop.code or OK
        print(stop.code, file=sys.stderr)
        return FAILED
    except (UsageError, HypergraphError) as error:
        if (
            isinstance(error, ConfigError) and error.__cause__ is not None
        ):  # of which its fix speaks
            cause = error.__cause__
            print(f"hypergraph: {type(cause).__name__}: {cause}", file=sys.stderr)
        print(f"hypergraph: {error}", file=sys.stderr)
        return USAGE
    except BrokenPipeError:  # whoever read our output has gone
        _write_no_more()
        return PIPE_CLOSED
    except OSError as error:  # such as a disk that is full
        _write_no_more()
        print(f"hypergraph: {error.strerror or error}", file=sys.stderr)
        return USAGE


def _write_no_more() -> None:
    """Let nothing be written to stdout any more, not even at exit."""
    with contextlib.suppress(OSError):  # a stream in memory has no file
        if sys.stdout is not None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextlib.contextmanager
def _short_warnings() -> Iterator[None]:
    """Show our own warnings as we show errors, without the line of our code that gives them."""
    before = warnings.formatwarning

    def formatted(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        line: str | None = None,
    ) -> str:
        if issubclass(category, HypergraphWarning):
            return f"hypergraph: {message}\n"
        return before(message, category, filename, lineno, line)

    warnings.formatwarning = formatted
    try:
        yield
    finally:
        warnings.formatwarning = before


def parser_of(given: Sequence[str] = ("run",)) -> argparse.ArgumentParser:
    """Return the parser of all commands; those of plugins too, if the arguments ask for them."""
    parser = _Parser(
        prog="hypergraph",
        description="Run and inspect graphs of plain Python functions.",
        epilog="exit codes: 0 done, 1 a node failed, 2 usage or graph error, 3 the run pauses to wait "
        "for an answer, 130 interrupted",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for command in _COMMANDS:
        command.add(commands)
    taken = commands.choices.keys()
    if "--version" not in given[:1] and not taken & set(given[:1]):
        _add_plugins(commands, taken)
    return parser


def _add_plugins(commands: Any, taken: Collection[str]) -> None:
    """Add the commands of plugins; nothing that is wrong with them keeps ours from working."""
    try:
        with aside():
            found = _plugin_commands(taken=tuple(taken))
    except HypergraphError as error:  # of the configuration, which says what plugins to load
        print(f"hypergraph: {error}", file=sys.stderr)
        return
    for command in found:
        words = command.help.replace("%", "%%")  # argparse would fill in what follows a %
        parser = commands.add_parser(command.name, help=words, description=command.help)
        command.add(parser)
        parser.set_defaults(run=command.run)
