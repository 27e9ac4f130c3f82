"""``hypergraph check``: which installed runners can run a graph, and what stops the others."""

from __future__ import annotations

import argparse
from typing import Any

from hypergraph.capabilities import FEATURES, GraphFeatures, RunnerCapabilities
from hypergraph.cli.target import add_target, load_graph
from hypergraph.errors import HypergraphError
from hypergraph.runners import RunnerInfo, create, inspect


def add(commands: Any) -> None:
    """Add the command's arguments."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "check",
        help="say which runners can run a graph",
        description="Say which installed runners can run a graph, and which node stops the others. "
        "Fails with 2 when none can.",
    )
    add_target(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print a line per runner; returns the exit code."""
    graph = load_graph(arguments.target, full_traceback=arguments.traceback)
    runners = inspect()
    if not runners:
        print("No runner is installed: pip install hypergraph-runner-sync")
        return 2
    width = max(map(len, runners))
    able = 0
    for name, info in runners.items():
        problems = _problems(info, graph.features)
        able += not problems
        print(f"{name:<{width}}  {'no   ' + '; '.join(problems) if problems else 'yes'}")
    return 0 if able else 2


def _problems(info: RunnerInfo, features: GraphFeatures) -> list[str]:
    if info.error is not None:
        return [info.error.what]
    capabilities = info.capabilities or _made(info.name)
    if isinstance(capabilities, str):
        return [capabilities]
    return [
        f"no {feature.words}, which node {needed!r} needs"
        for feature in FEATURES
        if (needed := getattr(features, feature.name)) is not None
        and not getattr(capabilities, feature.capability)
    ]


def _made(name: str) -> RunnerCapabilities | str:
    """Ask an instance, for a runner whose capabilities depend on how it is made."""
    try:
        return create(name).capabilities
    except HypergraphError as error:
        return error.what
    except Exception as error:  # a runner may need arguments that we do not know
        return f"cannot be made without arguments ({type(error).__name__})"
