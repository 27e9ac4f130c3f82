"""A graph again, with other functions in its nodes.

Rule of this file: a twin has the names, wiring, bindings and policies of the graph it was made from,
and so has every graph nested in it; only what its functions do is exchanged.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from hypergraph.graph import Graph, GraphNode
from hypergraph.nodes import CallableNode, HyperNode

Wrap = Callable[[CallableNode, str], Callable[..., Any]]
"""From a node and its path (``"inner/parse"``) to the function that its twin calls."""


def twin(graph: Graph, wrap: Wrap, *, path: str = "") -> Graph:
    """Return a copy of ``graph`` in which each node calls ``wrap(node, path)`` in place of its
    function, nested graphs included.

    The new function takes the same arguments and gives what the old one gave: chunks if that was a
    generator, something to await if it was async. It may be async where the old one was not. ``path``
    is put before the paths of the nodes.
    """
    nodes = [_other(node, wrap, path) for node in graph.nodes.values()]
    made = Graph(
        nodes, name=graph.name, entrypoint=graph.entrypoints, strict_types=graph.strict_types
    ).bind(graph.bound)
    return made if graph.selected is None else made.select(*graph.selected)


def _other(node: HyperNode, wrap: Wrap, path: str) -> HyperNode:
    if isinstance(node, GraphNode):
        return node._copy(graph=twin(node.graph, wrap, path=f"{path}{node.name}/"))
    if not isinstance(node, CallableNode):
        return node
    func = wrap(node, path + node.name)
    streams = inspect.isasyncgenfunction(func)
    return node._copy(
        func=func,
        is_async=node.is_async or streams or inspect.iscoroutinefunction(func),
        known_definition=None,
    )
