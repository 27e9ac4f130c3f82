"""``hypergraph runners``: which runners are installed, and what they can do."""

from __future__ import annotations

import argparse
from typing import Any

from hypergraph.capabilities import FEATURES, RunnerCapabilities
from hypergraph.runners import inspect
from hypergraph.discovery import installed_version
from hypergraph.runners.registry import KNOWN


def add(commands: Any) -> None:
    """Add the command's arguments."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "runners",
        help="list the installed runners",
        description="List the installed runners and what they can do.",
    )
    parser.add_argument("action", nargs="?", choices=["list"], default="list")
    parser.set_defaults(run=run)


def run(_: argparse.Namespace) -> int:
    """Print a line per runner; returns the exit code."""
    rows = []
    for name, info in inspect().items():
        source = f"{info.distribution} {info.version or ''}".strip()
        if info.error is not None:
            rows.append((name, info.state.value, source, info.error.what))
        else:
            rows.append((name, info.state.value, source, _abilities(info.capabilities)))
    installed = {row[0] for row in rows}
    for name, distribution in KNOWN.items():
        if name not in installed:
            version = installed_version(distribution)
            source = f"{distribution} {version or ''}".strip()
            advice = (
                "this version registers no runner" if version else f"pip install {distribution}"
            )
            rows.append((name, "missing", source, advice))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for *cells, last in rows:
        print("  ".join([*(f"{cell:<{width}}" for cell, width in zip(cells, widths)), last]))
    return 0


def _abilities(capabilities: RunnerCapabilities | None) -> str:
    if capabilities is None:
        return "capabilities depend on its options"
    words = [feature.words for feature in FEATURES if getattr(capabilities, feature.capability)]
    words += [
        word
        for word in ("streaming", "distributed", "durable_execution")
        if getattr(capabilities, f"supports_{word}")
    ]
    return ", ".join(word.replace("_", " ") for word in words) or "plain graphs"
