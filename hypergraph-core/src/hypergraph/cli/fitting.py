"""What ``hypergraph check`` does: whether a graph fits the runners that there are.

Rule of this file: what stands against a runner names the node, and comes with what would change that.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hypergraph.capabilities import FEATURES, Feature
from hypergraph.cli.aside import aside
from hypergraph.cli.runners.known import OK, Known, known_runners, make
from hypergraph.cli.tables import print_table
from hypergraph.cli.target import load_graph
from hypergraph.config import chosen_runner
from hypergraph.errors import HypergraphError
from hypergraph.graph import Graph
from hypergraph.hooks import begin_run, in_force, installed

_SAID = {
    "cycles": "node {!r} is in a cycle",
    "gates": "node {!r} is a gate",
    "interrupts": "node {!r} waits for an answer",
    "async_nodes": "node {!r} is async def",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What stands against a runner: ``feature`` and ``node`` are empty where it is not the graph."""

    said: str
    fix: str
    feature: str = ""
    node: str = ""

    def as_json(self) -> dict[str, str | None]:
        """Return it as JSON has it."""
        return {
            "message": self.said,
            "fix": self.fix or None,
            "feature": self.feature or None,
            "node": self.node or None,
        }


def check_graph(arguments: argparse.Namespace) -> int:
    """Print a row for each runner; returns the exit code."""
    graph = load_graph(arguments.target, full_traceback=arguments.traceback)
    runners = known_runners(missing=False)
    found = {one.name: _problems(one, graph, runners) for one in runners}
    chosen = chosen_runner()
    able = [name for name, problems in found.items() if not problems]
    if arguments.json:
        features = {feature.name: getattr(graph.features, feature.name) for feature in FEATURES}
        shown: dict[str, Any] = {
            "graph": graph.name,
            "features": features,
            "default": chosen.name,
            "runners": [
                {
                    "name": name,
                    "can_run": not problems,
                    "problems": [problem.as_json() for problem in problems],
                }
                for name, problems in found.items()
            ],
        }
        print(json.dumps(shown, indent=2))
        return 0 if able else 2
    if not runners:
        print("No runner is installed: pip install hypergraph-runner-sync")
        return 2
    head = ("runner", "runs it", "because", "what would change that")
    print_table(head, list(_rows(found)))
    print(f"\n{_advice(chosen.name, chosen.origin, able)}")
    return 0 if able else 2


def _rows(found: dict[str, list[Problem]]) -> Iterator[tuple[str, ...]]:
    for name, problems in found.items():
        if not problems:
            yield name, "yes", "", ""
        for row, problem in enumerate(problems):
            first = (name, "no") if row == 0 else ("", "")
            yield *first, problem.said, problem.fix


def _advice(chosen: str, origin: str, able: Sequence[str]) -> str:
    if chosen in able:
        return f"hypergraph run takes {chosen!r} ({origin})."
    if not able:
        return "No runner here can run it."
    return f"hypergraph run takes {chosen!r} ({origin}), which cannot: add --runner {able[0]}"


@aside()
def _problems(one: Known, graph: Graph, runners: Sequence[Known]) -> list[Problem]:
    if one.state != OK:
        return [Problem(said=one.problem, fix=one.fix)]
    capabilities = one.capabilities
    if capabilities is None:
        made = make(one.name)
        if isinstance(made, Known):
            return [Problem(said=made.problem, fix=made.fix)]
        return [Problem(said="its capabilities cannot be read", fix="")]
    found = []
    for feature in FEATURES:
        node = getattr(graph.features, feature.name)
        if node is not None and not getattr(capabilities, feature.capability):
            said = f"no {feature.words}: {_SAID[feature.name].format(node)}"
            fix = _fix(feature, node, runners)
            found.append(Problem(said=said, fix=fix, feature=feature.name, node=node))
    return found or list(_objections(one, graph))


def _fix(feature: Feature, node: str, runners: Sequence[Known]) -> str:
    """Say what can be done in the graph; another runner is named below the table."""
    outer, nested, inner = node.partition("/")
    if feature.name == "interrupts":  # a pause passes through every graph around it
        return f"put a plain node in the place of {node.rpartition('/')[2]!r}"
    able = [
        one.name
        for one in runners
        if one.capabilities is not None and getattr(one.capabilities, feature.capability)
    ]
    own = f"as_node(runner={able[0]!r})" if able else ""
    ways = (
        [f"make {inner.rpartition('/')[2] or node!r} a def"]
        if feature.name == "async_nodes"
        else []
    )
    if own and nested:
        ways.append(f"give graph {outer!r} a runner of its own: {own}")
    elif own:
        ways.append(f"nest it in a graph with a runner of its own: {own}")
    return ", or ".join(ways) or "install a runner that supports it"


def _objections(one: Known, graph: Graph) -> Iterator[Problem]:
    """Yield what the plugins' validators have against the graph on this runner."""
    installed()
    if not in_force.validate_graph:
        return
    made = make(one.name)
    if isinstance(made, Known):
        yield Problem(said=made.problem, fix=made.fix)
        return
    try:
        begin_run(graph, made)
    except HypergraphError as error:
        yield Problem(said=error.what, fix=error.fix)
    except Exception as error:
        yield Problem(said=f"{type(error).__name__}: {error}", fix="")
