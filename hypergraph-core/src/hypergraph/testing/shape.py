"""What a graph's structure means once the given names are known: the reference before a run.

Rule of this file: plain sets, naive closures, no cleverness. It reads only the public structure of
graphs and nodes, and shares nothing with the engine whose results it is compared with. Sentences
marked ``Rule:`` are those of the semantics page.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from hypergraph.errors import InputError, MissingInputError, UnknownInputError, did_you_mean
from hypergraph.graph import Graph
from hypergraph.nodes import END, GateNode

Edge = tuple[str, str]


def closure(edges: Collection[Edge]) -> set[Edge]:
    """Return every pair ``(u, v)`` such that a path of at least one edge leads from u to v."""
    reach = set(edges)
    while True:
        longer = {(u, w) for u, v in reach for x, w in edges if v == x} - reach
        if not longer:
            return reach
        reach |= longer


def components(names: Iterable[str], edges: Collection[Edge]) -> list[frozenset[str]]:
    """Return the strongly connected components, in the order of their first members."""
    names = list(names)
    reach = closure(edges)
    found: list[frozenset[str]] = []
    for u in names:
        together = frozenset({u} | {v for v in names if (u, v) in reach and (v, u) in reach})
        if together not in found:
            found.append(together)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycle:
    """A cycle, where it is entered, and the edges inside it (those of its own nesting level)."""

    entry: str
    members: frozenset[str]
    edges: frozenset[Edge]


class Shape:
    """The structure of ``graph`` for one set of given names.

    ``order``: the active nodes as declared. ``before``: all pairs ``(u, v)`` where v waits for u.
    ``gates``: the gates that control each node. ``cycles``: every cycle, by its entry.
    Raises ``InputError`` (and its subclasses) where the names do not fit the graph.
    """

    def __init__(self, graph: Graph, given: Collection[str], *, allow_extra: bool = False) -> None:
        self.graph = graph
        self.nodes = graph.nodes
        self.given = given
        if not allow_extra:
            self._check_unknown()
        everything = list(graph.nodes)
        all_edges = self._data_edges(everything) | self._control_edges(everything)
        skipped = self._skipped(all_edges)
        self.order = [name for name in everything if name not in skipped]
        self.edges = {(u, v) for u, v in all_edges if u in self.order and v in self.order}
        self.gates = {
            v: {u for u, w in self._control_edges(self.order) if w == v} for v in self.order
        }
        self._check_missing()
        self.cycles: dict[str, Cycle] = {}
        self._removed: set[Edge] = set()
        self._open_cycles(self.edges, inner=False)
        self.before = closure(self.edges - self._removed)

    # -- wiring ------------------------------------------------------------------------------

    def _data_edges(self, names: Collection[str]) -> set[Edge]:
        """Rule: A parameter whose name is another node's output is a data edge."""
        return {
            (u, v)
            for u in names
            for v in names
            if set(self.nodes[u].outputs) & set(self.nodes[v].inputs)
        }

    def _control_edges(self, names: Collection[str]) -> set[Edge]:
        """Rule: A gate's target is a control edge. (END is no node.)"""
        return {
            (name, target)
            for name in names
            if isinstance(gate := self.nodes[name], GateNode)
            for target in gate.targets
            if target is not END and target in names and isinstance(target, str)
        }

    def producers(self, value: str) -> set[str]:
        """Return the active nodes that write ``value``."""
        return {name for name in self.order if value in self.nodes[name].outputs}

    # -- given outputs -----------------------------------------------------------------------

    def _skipped(self, edges: set[Edge]) -> set[str]:
        """Name the nodes that do not run.

        Rule: A node all of whose outputs are given does not run, nor do nodes that now serve
        nobody.
        """
        parts = components(self.nodes, edges)
        consumed = {name for node in self.nodes.values() for name in node.inputs}
        self._check_partly_given(parts, edges)
        skipped: set[frozenset[str]] = set()
        while True:
            more = set()
            for part in parts:
                outputs = {out for name in part for out in self.nodes[name].outputs}
                after = {
                    p for p in parts if p != part and any((u, v) in edges for u in part for v in p)
                }
                is_given = bool(outputs) and not _cyclic(part, edges) and outputs <= set(self.given)
                serves_nobody = bool(after) and after <= skipped and outputs <= consumed
                if is_given or serves_nobody:
                    more.add(part)
            if more <= skipped:
                return {name for part in skipped for name in part}
            skipped |= more

    def _check_partly_given(self, parts: list[frozenset[str]], edges: set[Edge]) -> None:
        """Rule: Giving only some of a node's outputs is an error. (In a cycle, it is a seed.)"""
        for part in parts:
            (name, *_) = part
            outputs = self.nodes[name].outputs
            given = [out for out in outputs if out in self.given]
            if not _cyclic(part, edges) and given and len(given) < len(outputs):
                raise InputError(
                    f"Some outputs of node {name!r} are given, others are not: {', '.join(given)}.",
                    where=f"graph {self.graph.name!r}, node {name!r}",
                    fix="give all of its outputs, or none.",
                )

    # -- inputs ------------------------------------------------------------------------------

    def provided(self, name: str, value: str) -> bool:
        """Say whether node ``name`` finds ``value`` among what is given, bound or defaulted."""
        return (
            value in self.given or value in self.graph.bound or self.nodes[name].has_default(value)
        )

    def _check_missing(self) -> None:
        """Rule: Otherwise MissingInputError, before anything runs, naming every missing input."""
        missing = [
            (value, name)
            for name in self.order
            for value in self.nodes[name].inputs
            if not self.producers(value) and not self.provided(name, value)
        ]
        if missing:
            needs = ", ".join(f"{value!r} (node {name!r})" for value, name in missing)
            raise MissingInputError(
                f"Missing inputs: {needs}.",
                where=f"graph {self.graph.name!r}",
                fix="give them, bind them, or give the parameters a default.",
                missing=tuple(dict.fromkeys(value for value, _ in missing)),
            )

    def _check_unknown(self) -> None:
        """Rule: An input no node knows is an error too, unless allow_extra=True."""
        known = {n for node in self.nodes.values() for n in (*node.inputs, *node.outputs)}
        unknown = [name for name in self.given if name not in known]
        if unknown:
            hints = "".join(did_you_mean(name, sorted(known)) for name in unknown)
            raise UnknownInputError(
                f"No node knows {', '.join(map(repr, unknown))}.{hints}",
                where=f"graph {self.graph.name!r}",
                fix="correct the name, or pass allow_extra=True.",
                unknown=tuple(unknown),
            )

    # -- the forward order -------------------------------------------------------------------

    def _open_cycles(self, edges: set[Edge], *, inner: bool) -> None:
        """Rule: Start at the entry, leave out the edges into it, repeat on what is still cyclic."""
        for part in components(self.order, edges):
            if not _cyclic(part, edges):
                continue
            inside = {(u, v) for u, v in edges if u in part and v in part}
            entry = self._entry(part, inner=inner)
            into_entry = {(u, v) for u, v in inside if v == entry}
            self.cycles[entry] = Cycle(entry=entry, members=part, edges=frozenset(inside))
            self._removed |= into_entry
            self._open_cycles(inside - into_entry, inner=True)

    def _entry(self, members: frozenset[str], *, inner: bool) -> str:
        """Return where a cycle is entered.

        Rule: The `entrypoint=` that lies in it, else the first of its nodes in declaration order
        whose values from inside the cycle are all provided another way; in a cycle inside a cycle,
        nodes that no gate controls come first.
        """
        candidates = [name for name in self.order if name in members]
        if inner:
            candidates.sort(key=lambda name: bool(self.gates[name]))
        listed = [name for name in self.graph.entrypoints if name in members]
        if listed:
            candidates = listed[:1]
        for name in candidates:
            if not self._seeds_missing(name, members):
                return name
        seeds = {name: self._seeds_missing(name, members) for name in candidates}
        ways = "; ".join(f"node {name!r} needs {', '.join(s)}" for name, s in seeds.items())
        raise MissingInputError(
            f"The cycle of {', '.join(map(repr, sorted(members)))} has nowhere to start.",
            where=f"graph {self.graph.name!r}",
            fix=f"give the values of one way in: {ways}.",
            missing=tuple(seeds[candidates[0]]),
        )

    def _seeds_missing(self, name: str, members: frozenset[str]) -> list[str]:
        """Name the inputs from inside the cycle that nothing else provides."""
        return [
            value
            for value in self.nodes[name].inputs
            if self.producers(value) & members
            and not self.producers(value) - members
            and not self.provided(name, value)
        ]

    def triggers(self, writer: str, reader: str) -> bool:
        """Say whether a value that ``writer`` wrote makes the ungated ``reader`` due again.

        Rule: An edge against the forward order always carries its value, but makes its target due
        only if every way round the loop that it closes passes a gated node. A node's own outputs do
        not make it due again.
        """
        if writer == reader:
            return False
        if (writer, reader) not in self._removed:
            return True
        ungated = {name for name in self.order if not self.gates[name]}
        path_edges = {(u, v) for u, v in self.cycles[reader].edges if u in ungated and v in ungated}
        return (reader, writer) not in closure(path_edges)


def _cyclic(part: frozenset[str], edges: Collection[Edge]) -> bool:
    return len(part) > 1 or any(u == v for u, v in edges if u in part)
