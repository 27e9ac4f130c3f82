"""What the names given to a run decide before anything runs: what is skipped, and what is missing.

Rule of this file: outside a cycle, a node all of whose outputs are given does not run, nor do nodes
that now serve nobody; inside a cycle a given output is the seed of the first round.
"""

from __future__ import annotations

from collections.abc import Collection, Set as AbstractSet

from hypergraph.errors import InputError, MissingInputError, UnknownInputError, did_you_mean
from hypergraph.graph import Graph
from hypergraph.graph.order import Cycle, components, is_cycle

NOTHING: frozenset[int] = frozenset()
_SHOWN = 8  # names in a message; a graph may have thousands


def skipped_nodes(graph: Graph, given: AbstractSet[str]) -> frozenset[int]:
    """Return the nodes that do not run because of given outputs.

    Raises ``InputError`` when only some outputs of a node outside every cycle are given.
    """
    producers = graph.wiring.producers
    if not any(name in producers for name in given):
        return NOTHING
    nodes, successors = graph.node_list, graph.wiring.successors
    found = components(range(len(nodes)), successors)
    skipped: set[int] = set()
    for members in found:  # successors come first
        if not is_cycle(members, successors):
            own = nodes[members[0]].outputs
            replaced = [name for name in own if name in given]
            if replaced and len(replaced) < len(own):
                raise _partly_given(graph, members[0], replaced)
            if replaced:
                skipped.update(members)
                continue
        after = {t for node in members for t in successors[node]} - set(members)
        outputs = [name for node in members for name in nodes[node].outputs]
        served = all(graph.wiring.consumers.get(name) for name in outputs)
        if after and served and skipped.issuperset(after):
            skipped.update(members)
    return frozenset(skipped)


def _partly_given(graph: Graph, number: int, replaced: list[str]) -> InputError:
    node = graph.node_list[number]
    rest = [name for name in node.outputs if name not in replaced]
    return InputError(
        f"Node {node.name!r} has {len(node.outputs)} outputs, and only {', '.join(map(repr, replaced))} "
        "is given.",
        where=f"{graph.where}, node {node.name!r}",
        fix=f"give {', '.join(map(repr, rest))} too, so that the node is skipped, or give none of them.",
    )


def refuse_unknown(graph: Graph, given: Collection[str]) -> None:
    """Refuse given names that no node knows."""
    wiring = graph.wiring
    unknown = [n for n in given if n not in wiring.consumers and n not in wiring.producers]
    if not unknown:
        return
    known = [*wiring.consumers, *wiring.producers]
    named = ", ".join(f"{n!r}.{did_you_mean(str(n), known)}" for n in unknown[:_SHOWN])
    more = f", and {len(unknown) - _SHOWN} more." if len(unknown) > _SHOWN else ""
    inputs = graph.inputs.all
    listed = ", ".join(inputs[:_SHOWN]) + (", ..." if len(inputs) > _SHOWN else "")
    raise UnknownInputError(
        f"No node knows the input{'s' if len(unknown) > 1 else ''} {named}{more}",
        where=graph.where,
        fix=f"give only inputs of the graph ({listed or 'it has none'}), or pass allow_extra=True.",
        unknown=tuple(unknown),
    )


def refuse_missing(graph: Graph, given: AbstractSet[str], skipped: frozenset[int]) -> None:
    """Refuse a run that lacks inputs, naming all of them, who needs each, and near misses."""
    needed: dict[str, list[str]] = {}
    producers, bound = graph.wiring.producers, graph.bound
    for number, node in enumerate(graph.node_list):
        if number in skipped:
            continue
        for name in node.inputs:
            if name in given or name in bound or node.has_default(name):
                continue
            if name in producers and not skipped.issuperset(producers[name]):
                continue
            needed.setdefault(name, []).append(node.name)
    if needed:
        raise missing_inputs(graph, needed, given)


def missing_inputs(
    graph: Graph, needed: dict[str, list[str]], given: Collection[str]
) -> MissingInputError:
    """Return the error for inputs that were not given, by name with the nodes that need them."""
    lines = []
    extras = sorted(n for n in given if n not in graph.wiring.consumers)
    for name, users in needed.items():
        shown = ", ".join(map(repr, users[:3])) + (", ..." if len(users) > 3 else "")
        hint = f" (given was {near!r}?)" if (near := _nearest(name, extras)) else ""
        lines.append(f"{name!r}, needed by {shown}{hint}")
    return MissingInputError(
        f"Missing input{'s' if len(lines) > 1 else ''}: {'; '.join(lines)}.",
        where=graph.where,
        fix=f"give {', '.join(f'{name}=...' for name in needed)} as inputs, or bind() them.",
        missing=tuple(needed),
    )


def _nearest(name: str, candidates: list[str]) -> str:
    hint = did_you_mean(name, candidates)
    return hint[hint.index("'") + 1 : -2] if hint else ""


def refuse_unstartable(graph: Graph, cycles: Collection[Cycle]) -> None:
    """Refuse cycles that no node can start, saying for each node what would let it."""
    for cycle in cycles:
        if cycle.gap:
            ways = [
                f"{graph.node_list[node].name!r} could start with {', '.join(map(repr, names))}"
                for node, names in cycle.gap
            ]
            raise MissingInputError(
                f"Nothing starts the cycle of "
                f"{', '.join(repr(graph.node_list[n].name) for n in sorted(cycle.members))}: "
                f"{'; '.join(ways)}.",
                where=graph.where,
                fix="give the seeds of one of these nodes as inputs, or bind() them.",
                missing=cycle.gap[0][1],
            )
