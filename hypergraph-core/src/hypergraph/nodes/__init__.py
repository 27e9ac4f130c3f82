"""The steps a graph is made of. They know names and functions, and nothing of how they are run."""

from hypergraph.nodes.base import HyperNode, Rename
from hypergraph.nodes.function import CallableNode, FunctionNode, node
from hypergraph.nodes.gate import (
    END,
    BranchNode,
    GateNode,
    RouteNode,
    Target,
    TypeRouteNode,
    branch,
    route,
)
from hypergraph.nodes.interrupt import InterruptNode

__all__ = [
    "END",
    "BranchNode",
    "CallableNode",
    "FunctionNode",
    "GateNode",
    "HyperNode",
    "InterruptNode",
    "Rename",
    "RouteNode",
    "Target",
    "TypeRouteNode",
    "branch",
    "node",
    "route",
]
