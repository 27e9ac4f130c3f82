"""``hypergraph plugins``: which plugins are installed, and what each hooks."""

from __future__ import annotations

import argparse
import json
import warnings
from typing import Any

from hypergraph._deferred import deferred
from hypergraph.cli.aside import aside
from hypergraph.cli.tables import print_table

_installed = deferred("hypergraph.hooks:installed")


def add(commands: Any) -> None:
    """Add the command's arguments."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "plugins",
        help="list the plugins and what each hooks",
        description="List the plugins and what each hooks.",
    )
    parser.add_argument("--json", action="store_true", help="print a JSON array")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print a row for each plugin; returns the exit code."""
    rows = plugin_rows()
    if arguments.json:
        print(json.dumps(rows, indent=2))
        return 0
    if not rows:
        print("No plugin is installed.")
        return 0
    print_table(
        ("plugin", "state", "from", "hooks"),
        [
            (
                row["name"],
                row["state"],
                f"{row['distribution']} {row['version'] or ''}".strip(),
                row["error"] or row["reason"] or ", ".join(row["hooks"]) or "none",
            )
            for row in rows
        ],
    )
    return 0


@aside()
def plugin_rows() -> list[dict[str, Any]]:
    """Return what is known of each plugin, as JSON has it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that one is broken is said in its row
        found = _installed()
    return [
        {
            "name": info.name,
            "state": info.state.value,
            "distribution": info.distribution,
            "version": info.version,
            "target": info.target,
            "hooks": list(info.hooks),
            "reason": info.reason or None,
            "error": None if info.error is None else info.error.what,
            "fix": None if info.error is None else info.error.fix,
        }
        for info in found
    ]
