"""``hypergraph runners``: which runners there are, what they can do, and whether they keep it.

Rule of this file: arguments only, since the command line loads it for its help.
"""

from __future__ import annotations

import argparse
from typing import Any

from hypergraph._deferred import deferred

_HERE = "hypergraph.cli.runners"
_SCAFFOLD = "hypergraph.cli.scaffold:run"


def add(commands: Any) -> None:
    """Add the command's actions and their arguments."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "runners",
        help="list, show, check and make runners",
        description="What runners there are; without an action: list.",
    )
    parser.add_argument("--json", action="store_true", help="print the list as a JSON array")
    parser.set_defaults(run=deferred(f"{_HERE}.lists:list_runners"))
    actions = parser.add_subparsers(title="actions", metavar="ACTION")

    action = _action(
        actions, "list", "list the runners and what they can do", f"{_HERE}.lists:list_runners"
    )
    action.add_argument(
        "--json", action="store_true", default=argparse.SUPPRESS, help="print a JSON array"
    )

    action = _action(
        actions, "show", "show a runner and its settings", f"{_HERE}.lists:show_runner"
    )
    action.add_argument("name", metavar="NAME", help="a runner, or package.module:Class")
    action.add_argument("--json", action="store_true", help="print a JSON object")

    action = _action(
        actions,
        "doctor",
        "say what is installed and configured, and what is wrong with it",
        f"{_HERE}.doctor:examine",
        "Makes each configured runner once. Ends with 1 when something is broken.",
    )
    action.add_argument("--json", action="store_true", help="print a JSON object")

    _add_check(actions)

    action = _action(actions, "new", "make a package for a runner of your own", _SCAFFOLD)
    action.add_argument("name", metavar="NAME", help="what to call it, such as my-runner")
    action.add_argument("--directory", metavar="D", help="where to make it (default: NAME)")
    action.add_argument("--json", action="store_true", help="print a JSON object")


def _add_check(actions: Any) -> None:
    action = _action(
        actions,
        "check",
        "ask a runner for what every runner promises",
        f"{_HERE}.checking:check_runner",
        "Runs the conformance kit. Ends with 1 when the runner fails a rule.",
    )
    action.add_argument("name", metavar="NAME", help="a runner, or package.module:Class")
    action.add_argument(
        "--group",
        action="append",
        metavar="G",
        help="ask for this group of rules only, such as gates; may be repeated",
    )
    action.add_argument("--json", action="store_true", help="print the report as a JSON object")


def _action(
    actions: Any, name: str, words: str, does: str, more: str = ""
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(
        name, help=words, description=f"{words[0].upper()}{words[1:]}. {more}".strip()
    )
    parser.set_defaults(run=deferred(does))
    return parser
