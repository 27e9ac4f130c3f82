"""What a graph asks of a runner.

Rule of this file: what a nested graph asks, the graph around it asks too, unless the nested one brings
a runner of its own; but a pause always passes through every graph around it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hypergraph.capabilities import FEATURES, GraphFeatures
from hypergraph.graph.edges import Wiring
from hypergraph.graph.graph_node import GraphNode
from hypergraph.nodes import CallableNode, HyperNode


def graph_features(nodes: Sequence[HyperNode], wiring: Wiring) -> GraphFeatures:
    """Return for each feature the path of the first node that needs it.

    Nested graphs count unless they bring a runner of their own, which was checked when it was given; of
    these only the interrupts do.
    """
    found: dict[str, str] = {}
    cycles = [min(members) for members in wiring.cycles if not _is_seed(members, nodes, wiring)]
    if cycles:
        found["cycles"] = nodes[min(cycles)].name
    for node in nodes:
        if isinstance(node, GraphNode):
            for feature in FEATURES:
                path = getattr(node.graph.features, feature.name)
                if path is not None and (node.runner is None or feature.name == "interrupts"):
                    found.setdefault(feature.name, f"{node.name}/{path}")
        elif node.is_gate:
            found.setdefault("gates", node.name)
        elif node.is_interrupt:
            found.setdefault("interrupts", node.name)
        if node.is_async and not isinstance(node, GraphNode):
            found.setdefault("async_nodes", node.name)
    return GraphFeatures(**found)


def _is_seed(members: frozenset[int], nodes: Sequence[HyperNode], wiring: Wiring) -> bool:
    """Say whether a cycle is only a nested graph that takes a seed under the name of its output."""
    (first, *more) = members
    return not more and isinstance(nodes[first], GraphNode) and first not in wiring.gates


class Nesting(NamedTuple):
    """How graphs are nested: the depth below, whether a nested graph brings its own runner, and whether
    a node, here or below, is to be retried or timed."""

    depth: int
    has_runners: bool
    has_policies: bool


def nesting_of(nodes: Sequence[HyperNode]) -> Nesting:
    """Return the nesting of a graph of these nodes."""
    inner = [node for node in nodes if isinstance(node, GraphNode)]
    return Nesting(
        max((node.graph.nesting.depth + 1 for node in inner), default=0),
        any(node.runner is not None or node.graph.nesting.has_runners for node in inner),
        any(node.graph.nesting.has_policies for node in inner) or any(map(_has_policy, nodes)),
    )


def _has_policy(node: HyperNode) -> bool:
    return isinstance(node, CallableNode) and not (node.retry is None and node.timeout is None)
