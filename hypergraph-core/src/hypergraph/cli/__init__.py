"""The command ``hypergraph``.

Rule of this room: results go to stdout, everything else to stderr. Exit codes: 0 done, 1 a node failed,
2 a usage or graph error, 130 interrupted. Each subcommand is a module with ``add`` (its arguments) and
``run`` (what it does), imported here and nowhere else.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence

from hypergraph._deferred import deferred
from hypergraph.cli import check, demo, run, runners, show, workflows
from hypergraph.cli.errors import UsageError
from hypergraph.errors import HypergraphError

OK, FAILED, USAGE, INTERRUPTED, PIPE_CLOSED = 0, 1, 2, 130, 141

_version = deferred("importlib.metadata:version")


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(f"hypergraph {_version('hypergraph-core')}")
        parser.exit()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with these arguments (by default the process's) and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name may hold any letter
    try:
        parser = _parser()
        arguments = parser.parse_args(argv)
        if "run" not in arguments:
            parser.print_help(sys.stderr)
            return USAGE
        code: int = arguments.run(arguments)
        if sys.stdout is not None:  # it is None where it was closed before we started
            sys.stdout.flush()
        return code
    except SystemExit as stop:  # of argparse, which has said what there is to say, or of a node
        if isinstance(stop.code, int) or stop.code is None:
            return stop.code or OK
        print(stop.code, file=sys.stderr)
        return FAILED
    except (UsageError, HypergraphError) as error:
        print(f"hypergraph: {error}", file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        print("hypergraph: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone; nothing more can be written, not even at exit.
        if sys.stdout is not None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hypergraph",
        description="Run and inspect graphs of plain Python functions.",
        epilog="exit codes: 0 done, 1 a node failed, 2 usage or graph error, 130 interrupted",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for command in (run, check, show, runners, workflows, demo):
        command.add(commands)
    return parser
