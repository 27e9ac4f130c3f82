"""What a graph takes: which inputs it needs, may have, or is seeded with.

Rule of this file: an input is *required* when a node needs it and nothing provides it; a *seed* when
only a cycle produces it and the cycle's first candidate entry needs it to start.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hypergraph.graph.edges import Wiring
from hypergraph.graph.order import forward_order
from hypergraph.nodes import HyperNode


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSpec:
    """The inputs of a graph, each name in one of ``required``, ``seeds`` or ``optional``.

    ``optional`` have a default or are bound; ``bound`` maps bound names to their values; ``all`` holds
    every name, required first.
    """

    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    seeds: tuple[str, ...] = ()
    bound: Mapping[str, Any] = field(repr=False)  # user values are never shown

    @property
    def all(self) -> tuple[str, ...]:
        """Every input name: required, seeds, optional."""
        return (*self.required, *self.seeds, *self.optional)


def input_spec(
    nodes: Sequence[HyperNode], wiring: Wiring, entrypoints: Sequence[int], bound: Mapping[str, Any]
) -> InputSpec:
    """Work out the inputs of a graph when nothing is given yet."""
    required: list[str] = []
    optional: list[str] = []
    for name, consumers in wiring.consumers.items():
        if name in wiring.producers:
            continue
        needed = name not in bound and any(not nodes[c].has_default(name) for c in consumers)
        (required if needed else optional).append(name)
    seeds: list[str] = []
    if wiring.cycles:
        order = forward_order(
            range(len(nodes)),
            wiring.successors,
            wiring.gates,
            entrypoints,
            lambda node, members: lacking(node, members, nodes, wiring, bound),
        )
        for cycle in order.cycles.values():
            missing = cycle.gap[0][1] if cycle.gap else ()
            seeds += [name for name in missing if name not in seeds]
            optional += [
                name
                for name in nodes[cycle.entry].inputs
                if name not in missing
                and name not in optional
                and not cycle.members.isdisjoint(wiring.producers.get(name, ()))
                and cycle.members.issuperset(wiring.producers[name])
            ]
    return InputSpec(
        required=tuple(required), optional=tuple(optional), seeds=tuple(seeds), bound=bound
    )


def lacking(
    node: int,
    members: frozenset[int],
    nodes: Sequence[HyperNode],
    wiring: Wiring,
    provided: Mapping[str, Any] | frozenset[str],
    skipped: frozenset[int] = frozenset(),
) -> tuple[str, ...]:
    """Name the values from inside a cycle that ``node`` would need to start it.

    A value that is ``provided`` (given or bound), has a default, or is also produced outside the cycle
    by a node that is not ``skipped``, is not lacking.
    """
    return tuple(
        name
        for name in nodes[node].inputs
        if name in wiring.producers
        and name not in provided
        and not nodes[node].has_default(name)
        and members.issuperset(p for p in wiring.producers[name] if p not in skipped)
        and not members.isdisjoint(wiring.producers[name])
    )
