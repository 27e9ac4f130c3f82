"""``Graph``: named nodes and the edges that follow from their names. Structure only.

Rule of this file: a graph never changes after it is built and knows nothing of how it is run; what is
not needed to build it (inputs, features, hash, plan) is worked out when first asked for, and kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

from hypergraph._deferred import deferred
from hypergraph.capabilities import GraphFeatures
from hypergraph.errors import GraphConfigError, did_you_mean
from hypergraph.graph import validate
from hypergraph.graph.edges import Wiring, wire
from hypergraph.graph.features import Nesting, graph_features, nesting_of
from hypergraph.graph.graph_node import GraphNode
from hypergraph.graph.inputs import InputSpec, input_spec
from hypergraph.nodes import HyperNode
from hypergraph.nodes.base import check_name, hint

_put = object.__setattr__
_check_types = deferred("hypergraph.graph.typecheck:check_types")
_content = deferred("hypergraph.content:content_or_type")


class Graph:
    """A graph of nodes, wired by name.

    ``entrypoint`` names the node where a cycle starts (or several, one per cycle).
    ``strict_types=True`` checks the annotations along every data edge. ``edges`` states the data edges
    explicitly; they must be exactly those that the names give. Raises ``GraphConfigError``.
    """

    __slots__ = (
        "name",
        "entrypoints",
        "selected",
        "strict_types",
        "wiring",
        "node_list",
        "entry_numbers",
        "_bound",
        "memo",
        "__weakref__",
    )

    name: str | None
    entrypoints: tuple[str, ...]
    selected: tuple[str, ...] | None
    strict_types: bool
    wiring: Wiring
    node_list: tuple[HyperNode, ...]
    entry_numbers: tuple[int, ...]
    _bound: dict[str, Any]
    memo: dict[str, Any]  # what was worked out once: by the graph itself, and its plan

    def __init__(
        self,
        nodes: Iterable[HyperNode],
        *,
        name: str | None = None,
        entrypoint: str | Sequence[str] | None = None,
        strict_types: bool = False,
        edges: Iterable[Sequence[str]] | None = None,
    ) -> None:
        where = f"graph {name!r}" if name else "graph"
        if name is not None:
            check_name(name, "graph name", where)
        points: tuple[Any, ...] = (entrypoint,)
        if entrypoint is None or isinstance(entrypoint, (list, tuple)):
            points = tuple(entrypoint or ())
        _put(self, "name", name)
        _put(self, "node_list", validate.check_nodes(nodes, where))
        _put(self, "entrypoints", points)
        _put(self, "selected", None)
        _put(self, "strict_types", strict_types)
        _put(self, "wiring", wire(self.node_list, where))
        _put(self, "_bound", {})
        _put(self, "memo", {})
        validate.check_wiring(self.node_list, self.wiring, where)
        _put(
            self,
            "entry_numbers",
            validate.check_entrypoints(points, self.node_list, self.wiring, where),
        )
        if edges is not None:
            validate.check_edges(edges, self.data_edges, self.wiring, where)
        if strict_types:
            _check_types(self)

    def __setattr__(self, key: str, value: Any) -> None:
        raise AttributeError(
            "A Graph is immutable; bind(), select() and as_node() return changed copies."
        )

    def __delattr__(self, key: str) -> None:
        self.__setattr__(key, None)

    # -- structure ---------------------------------------------------------------------------

    @property
    def where(self) -> str:
        """How messages call this graph."""
        return f"graph {self.name!r}" if self.name else "graph"

    @property
    def nodes(self) -> Mapping[str, HyperNode]:
        """The nodes by name, in declaration order."""
        if "nodes" not in self.memo:
            self.memo["nodes"] = MappingProxyType({node.name: node for node in self.node_list})
        return self.memo["nodes"]  # type: ignore[no-any-return]

    @property
    def bound(self) -> Mapping[str, Any]:
        """The bound values by input name."""
        return MappingProxyType(self._bound)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of all outputs in declaration order, or the selected ones."""
        return self.selected if self.selected is not None else tuple(self.wiring.producers)

    @property
    def inputs(self) -> InputSpec:
        """What the graph takes: required, optional, seeds and bound inputs."""
        if "inputs" not in self.memo:
            self.memo["inputs"] = input_spec(
                self.node_list, self.wiring, self.entry_numbers, self.bound
            )
        return self.memo["inputs"]  # type: ignore[no-any-return]

    @property
    def data_edges(self) -> tuple[tuple[str, str, str], ...]:
        """Every data edge as ``(producer, consumer, value name)``."""
        names = [node.name for node in self.node_list]
        return tuple(
            (names[producer], names[consumer], value)
            for value, producers in self.wiring.producers.items()
            for producer in producers
            for consumer in self.wiring.consumers.get(value, ())
        )

    @property
    def control_edges(self) -> tuple[tuple[str, str], ...]:
        """Every control edge as ``(gate, target)``; ``END`` is left out."""
        names = [node.name for node in self.node_list]
        return tuple(
            (names[gate], names[target])
            for target, gates in sorted(self.wiring.gates.items())
            for gate in gates
        )

    @property
    def features(self) -> GraphFeatures:
        """What a runner must support to run this graph, each with the path of a node that needs it."""
        if "features" not in self.memo:
            self.memo["features"] = graph_features(self.node_list, self.wiring)
        return self.memo["features"]  # type: ignore[no-any-return]

    @property
    def nesting(self) -> Nesting:
        """How deep graphs are nested in this one, and what their runners and nodes bring."""
        if "nesting" not in self.memo:
            self.memo["nesting"] = nesting_of(self.node_list)
        return self.memo["nesting"]  # type: ignore[no-any-return]

    @property
    def has_cycles(self) -> bool:
        """Say whether the graph, or one nested in it, has a cycle."""
        return self.features.cycles is not None

    @property
    def has_gates(self) -> bool:
        """Say whether the graph, or one nested in it, has a gate."""
        return self.features.gates is not None

    @property
    def has_interrupts(self) -> bool:
        """Say whether the graph, or one nested in it, waits for answers."""
        return self.features.interrupts is not None

    @property
    def has_async_nodes(self) -> bool:
        """Say whether the graph, or one nested in it, has ``async def`` nodes."""
        return self.features.async_nodes is not None

    @property
    def definition_hash(self) -> str:
        """Hex digest of the structure and the code of all nodes, stable across machines.

        Nested graphs are included. Bound values count by content, or by type where they have none.
        """
        for graph in _inside_out(self):
            if "hash" not in graph.memo:
                bound = tuple((name, _content(graph._bound[name])) for name in sorted(graph._bound))
                hashes = tuple(node.definition_hash for node in graph.node_list)
                parts = (graph.name, graph.entrypoints, graph.outputs, bound, hashes)
                graph.memo["hash"] = hashlib.sha256(repr(parts).encode()).hexdigest()
        return self.memo["hash"]  # type: ignore[no-any-return]

    # -- changed copies ----------------------------------------------------------------------

    def bind(self, values: Mapping[str, Any] | None = None, /, **more: Any) -> Graph:
        """Return the graph with values for some of its inputs, shared by all its runs.

        Raises ``GraphConfigError`` for names that no node takes, or that a node outside every cycle
        produces.
        """
        given = {**(values or {}), **more}
        for name in given:
            for producer in self.wiring.producers.get(name, ()):
                if self.wiring.cycle_of(producer) is None:
                    raise GraphConfigError(
                        f"bind() names {name!r}, which node {self.node_list[producer].name!r} produces.",
                        where=self.where,
                        fix="give the value as an input of the run, which replaces the node.",
                    )
            if name not in self.wiring.consumers:
                raise GraphConfigError(
                    f"bind() names an unknown input {name!r}."
                    f"{hint(self.node_list, 'input', name, self.wiring.consumers)}",
                    where=self.where,
                    fix=f"bind one of its inputs: {', '.join(self.inputs.all) or '(none)'}.",
                )
        return self._changed(_bound={**self._bound, **given})

    def unbind(self, *names: str) -> Graph:
        """Return the graph without these bindings (all of them when none is named)."""
        for name in names:
            if name not in self._bound:
                raise GraphConfigError(
                    f"unbind() names {name!r}, which is not bound.{did_you_mean(name, self._bound)}",
                    where=self.where,
                    fix=f"name one of: {', '.join(self._bound) or '(nothing is bound)'}.",
                )
        gone = names or tuple(self._bound)
        return self._changed(_bound={n: v for n, v in self._bound.items() if n not in gone})

    def select(self, *outputs: str) -> Graph:
        """Return the graph with only these outputs visible outside; the same nodes run."""
        for name in outputs:
            if not isinstance(name, str) or name not in self.wiring.producers:
                raise GraphConfigError(
                    f"select() names an unknown output {name!r}."
                    f"{hint(self.node_list, 'output', name, self.wiring.producers)}",
                    where=self.where,
                    fix=f"select among: {', '.join(self.wiring.producers) or '(no outputs)'}.",
                )
        return self._changed(selected=tuple(dict.fromkeys(outputs)))

    def as_node(
        self,
        name: str | None = None,
        *,
        namespaced: bool = False,
        runner: Any = None,
        complete_on_stop: bool = False,
    ) -> GraphNode:
        """Return the graph as a node of another graph.

        ``namespaced=True`` prefixes its ports with ``name.``; ``runner`` overrides the parent's (an
        instance, a class, or a name that is configured or registered); ``complete_on_stop=True`` runs
        it to its end, once begun, when the whole run is stopped. Raises ``GraphConfigError`` without any
        name, and ``IncompatibleRunnerError`` when that runner does not support the graph.
        """
        return GraphNode(self, name, namespaced, runner, complete_on_stop)

    def _changed(self, **changes: Any) -> Graph:
        new = object.__new__(type(self))
        for slot in self.__slots__[:-2]:
            _put(new, slot, changes.get(slot, getattr(self, slot)))
        _put(new, "memo", {})
        return new

    def __copy__(self) -> Graph:
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {slot: getattr(self, slot) for slot in self.__slots__[:-2]}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for slot, value in state.items():
            _put(self, slot, value)
        _put(self, "memo", {})

    # -- views: each lives in a room of its own ----------------------------------------------

    describe: ClassVar[Callable[[Graph], str]] = deferred("hypergraph.viz.text:describe")
    to_mermaid: ClassVar[Callable[[Graph], str]] = deferred("hypergraph.viz.mermaid:to_mermaid")
    visualize = deferred("hypergraph.viz.html:visualize")
    _repr_html_ = deferred("hypergraph.viz.html:repr_html")
    _repr_mimebundle_ = deferred("hypergraph.viz.html:repr_mimebundle")

    def __repr__(self) -> str:
        title = f"Graph {self.name!r}" if self.name else "Graph"
        return f"<{title}: {', '.join(node.name for node in self.node_list)}>"


def _inside_out(graph: Graph) -> Iterator[Graph]:
    """Yield the graphs nested in a graph that have no hash yet, each after those inside it.

    A graph that stands in several places is visited once: it has its hash when it is seen again.
    """
    todo = [graph]
    while todo:
        outer = todo[-1]
        inner = [n.graph for n in outer.node_list if isinstance(n, GraphNode)]
        lacking = [nested for nested in inner if "hash" not in nested.memo]
        if lacking and "hash" not in outer.memo:
            todo += lacking
        else:
            yield todo.pop()
