"""Answers to interrupts: by which name they are given, and whether they fit.

Rule of this file: the answer to an interrupt is given by the name it has as an output, at the level of
whoever gives it; one that a nested graph keeps to itself has the name ``node.response``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from hypergraph.errors import AnswerError
from hypergraph.graph import Graph, GraphNode
from hypergraph.nodes import InterruptNode
from hypergraph.results import PauseInfo


def outward(node: GraphNode, key: str) -> str:
    """Return the name that a response key inside a nested graph has outside of it."""
    for outer, inner in node.inner_outputs.items():
        if inner == key:
            return outer
    return f"{node.name}.{key}"


def response_keys(graph: Graph) -> Mapping[str, tuple[str, InterruptNode]]:
    """Return the response keys of a graph and those nested in it, with path and node of each."""
    found: dict[str, tuple[str, InterruptNode]] | None = graph.memo.get("response_keys")
    if found is None:
        found = graph.memo["response_keys"] = {}
        for node in graph.node_list:
            if isinstance(node, InterruptNode):
                found[node.response_param] = (node.name, node)
            elif isinstance(node, GraphNode):
                for key, (path, inner) in response_keys(node.graph).items():
                    found[outward(node, key)] = (f"{node.name}/{path}", inner)
    return found


def is_seed(graph: Graph, key: str) -> bool:
    """Say whether a response key is also an input: the value with which a loop begins."""
    path, _ = response_keys(graph)[key]
    name, _, inner = path.partition("/")
    wiring = graph.wiring
    in_cycle = wiring.cycle_of(wiring.index[name]) is not None
    if inner:
        return key in graph.nodes[name].inputs or (in_cycle and key in wiring.consumers)
    return in_cycle


def nested_answers(graph: Graph, given: Iterable[str]) -> set[str]:
    """Return the given names that are answers to interrupts of nested graphs."""
    if graph.features.interrupts is None:
        return set()
    keys, names = response_keys(graph), set(given)
    found = set()
    for key in names & keys.keys():
        node, _, inner = keys[key][0].partition("/")
        whole = names.issuperset(graph.nodes[node].outputs)  # then the node does not run
        if inner and not whole and not is_seed(graph, key):
            found.add(key)
    return found


def taken_inside(node: GraphNode, answers: dict[str, Any]) -> dict[str, Any]:
    """Take out the answers that are meant for a nested graph; returns them by their names inside."""
    if not answers:
        return {}
    inside = {outward(node, key): key for key in response_keys(node.graph)}
    return {inside[name]: answers.pop(name) for name in list(answers) if name in inside}


def check_answer(node: InterruptNode, path: str, answer: Any) -> None:
    """Refuse an answer of the wrong type. Raises ``AnswerError``."""
    if not node.accepts(answer):
        raise AnswerError(
            f"The answer to {path!r} is of type {type(answer).__name__}, not {node.response_words}.",
            where=f"interrupt {path!r}, answer {node.response_param!r}",
            fix=f"give a {node.response_words}.",
        )


def check_answers(graph: Graph, given: Mapping[str, Any]) -> None:
    """Refuse given answers of the wrong type. Raises ``AnswerError``."""
    if graph.features.interrupts is None:
        return
    keys = response_keys(graph)
    for name, value in given.items():
        if name in keys:
            path, node = keys[name]
            check_answer(node, path, value)


def moved_out(node: GraphNode, pause: PauseInfo) -> PauseInfo:
    """Return a pause inside a nested graph as the graph around it tells it."""
    return replace(
        pause,
        node_name=f"{node.name}/{pause.node_name}",
        response_key=outward(node, pause.response_key),
    )
