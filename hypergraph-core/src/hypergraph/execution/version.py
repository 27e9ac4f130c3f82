"""Whether a workflow still belongs to a graph, and if not, what has changed."""

from __future__ import annotations

import hashlib
from typing import Any

from hypergraph.checkpointers import Workflow
from hypergraph.errors import VersionMismatchError
from hypergraph.graph import Graph, GraphNode

_DIGEST = 16  # hex digits of a node's hash that are kept


def definition_of(graph: Graph) -> dict[str, str]:
    """Return a digest of what each node does, by path; nested graphs are included. Worked out once, as
    the graph's hash is."""
    found: dict[str, str] | None = graph.memo.get("definition")
    if found is not None:
        return found
    found = graph.memo["definition"] = {}
    todo = [("", graph)]
    for prefix, inner in todo:
        for node in inner.node_list:
            if isinstance(node, GraphNode):
                todo.append((f"{prefix}{node.name}/", node.graph))
            found[prefix + node.name] = _digest(node)
    return found


def _digest(node: Any) -> str:
    if not isinstance(node, GraphNode):
        return str(node.definition_hash[:_DIGEST])
    ports = (node.inner_inputs, node.inner_outputs, node.map_params, node.map_mode)
    return hashlib.sha256(repr([*map(str, ports)]).encode()).hexdigest()[:_DIGEST]


def mismatch(workflow: Workflow, graph: Graph) -> VersionMismatchError:
    """Return the error for a graph that is not the one a workflow was started with."""
    old, new = workflow.definition, definition_of(graph)
    added = tuple(path for path in new if path not in old)
    removed = tuple(path for path in old if path not in new)
    differ = tuple(path for path in new if path in old and new[path] != old[path])
    parts = [
        f"{words} {', '.join(map(repr, paths))}"
        for words, paths in (("added", added), ("removed", removed), ("changed", differ))
        if paths
    ]
    if workflow.graph_name != graph.name:
        parts.append(f"its name was {workflow.graph_name!r}")
    told = (
        "; ".join(parts)
        or "the nodes are the same; their wiring, or what is bound or selected, changed"
    )
    return VersionMismatchError(
        f"The graph changed since workflow {workflow.id!r} was started: {told}.",
        where=f"{graph.where}, hash {graph.definition_hash[:12]}; started with "
        f"{workflow.graph_hash[:12]}",
        fix="pass force_resume=True to go on with the new graph, start another workflow_id, or fork() "
        "this one.",
        stored=workflow.graph_hash,
        current=graph.definition_hash,
        added=added,
        removed=removed,
        changed=differ,
    )
