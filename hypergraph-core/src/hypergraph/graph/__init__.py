"""Graphs: names, wiring, validation, hashing. Nothing of how they are run."""

from hypergraph.graph.graph import Graph
from hypergraph.graph.graph_node import GraphNode
from hypergraph.graph.inputs import InputSpec

__all__ = ["Graph", "GraphNode", "InputSpec"]
