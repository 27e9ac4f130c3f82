"""What there is to see of a graph, as values.

Rule of this file: the one place that reads a graph in order to show it. A view is small whatever the
graph is: it holds at most ``ROOM`` nodes and ``DEPTH`` levels, and says how many it leaves out. It
holds names, never values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hypergraph.capabilities import FEATURES
from hypergraph.graph import Graph, GraphNode
from hypergraph.graph.inputs import lacking
from hypergraph.graph.order import ForwardOrder, forward_order
from hypergraph.nodes import (
    END,
    BranchNode,
    CallableNode,
    GateNode,
    HyperNode,
    RouteNode,
    TypeRouteNode,
)

ROOM = 200  # nodes
DEPTH = 16  # levels of nested graphs

Kind = Literal["function", "branch", "route", "type route", "interrupt", "graph", "map", "node"]
State = Literal["required", "optional", "seed", "bound"]


@dataclass(frozen=True, slots=True, kw_only=True)
class InputView:
    """An input of a graph; ``consumers`` are the positions of the shown nodes that take it."""

    name: str
    state: State
    consumers: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One way out of a gate: under which ``label``, and to which node (``None``: ``END``)."""

    label: str
    target: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeView:
    """An edge between two shown nodes, by position; ``target`` is ``None`` for ``END``.

    ``labels`` are the names of the values that flow, or for a ``control`` edge the choices that take
    it. ``back`` edges close a loop. A node that feeds itself has no edge for it:
    such an edge triggers nothing.
    """

    source: int
    target: int | None
    labels: tuple[str, ...]
    control: bool = False
    back: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeView:
    """A node. ``defaults`` are the inputs that it can do without; ``entry``: a loop starts here.

    A nested graph has ``inner``, and a mapped one ``maps``, the inputs that it iterates.
    """

    name: str
    kind: Kind
    inputs: tuple[str, ...]
    defaults: frozenset[str]
    outputs: tuple[str, ...]
    choices: tuple[Choice, ...] = ()
    entry: bool = False
    traits: tuple[str, ...] = ()
    inner: GraphView | None = None
    maps: tuple[str, ...] = ()
    map_mode: str = "zip"

    @property
    def notes(self) -> tuple[str, ...]:
        """What a drawing of the node should add to its name, in a few words each."""
        together = " x " if self.map_mode == "product" else ", "
        return (
            *([f"maps over {together.join(self.maps)}"] if self.maps else []),
            *(["loop starts here"] if self.entry else []),
            *self.traits,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphView:
    """A graph. ``size`` counts its own nodes, of which the first ``len(nodes)`` are shown.

    ``needs`` are the features it asks of a runner, each with the path of a node that has it.
    """

    name: str | None
    size: int
    nodes: tuple[NodeView, ...]
    inputs: tuple[InputView, ...]
    outputs: tuple[str, ...]
    edges: tuple[EdgeView, ...]
    needs: tuple[tuple[str, str], ...]

    @property
    def hidden(self) -> int:
        """How many of its own nodes are left out."""
        return self.size - len(self.nodes)

    @property
    def title(self) -> str:
        """What to call the graph."""
        return self.name or "graph"

    @property
    def has_end(self) -> bool:
        """Whether a shown gate leads to ``END``."""
        return any(edge.target is None for edge in self.edges)


def view(graph: Graph, room: int = ROOM, depth: int = DEPTH) -> GraphView:
    """Return the view of a graph with at most ``room`` nodes, nested ones included.

    What the outer nodes leave is shared evenly by the nested graphs.
    """
    shown = graph.node_list[:room]
    nested = sum(isinstance(node, GraphNode) for node in shown)
    share = (room - len(shown)) // nested if nested and depth else 0
    order = _order(graph) if graph.wiring.cycles else None
    entries = _entries(graph, order)
    loops = {n for n in entries if len(order.cycles[n].members) > 1} if order else set()
    features = graph.features
    return GraphView(
        name=graph.name,
        size=len(graph.node_list),
        nodes=tuple(
            _node(node, number in loops, share, depth - 1) for number, node in enumerate(shown)
        ),
        inputs=_inputs(graph, len(shown), entries),
        outputs=graph.outputs,
        edges=(
            *_data_edges(graph, len(shown), order),
            *_control_edges(graph, len(shown), order),
        ),
        needs=tuple(
            (feature.words, path)
            for feature in FEATURES
            if (path := getattr(features, feature.name)) is not None
        ),
    )


def _order(graph: Graph) -> ForwardOrder:
    return forward_order(
        range(len(graph.node_list)),
        graph.wiring.successors,
        graph.wiring.gates,
        graph.entry_numbers,
        lambda node, members: lacking(node, members, graph.node_list, graph.wiring, graph.bound),
    )


def _entries(graph: Graph, order: ForwardOrder | None) -> frozenset[int]:
    """Return where the cycles of the graph start; of cycles within cycles, only the outer ones."""
    cycles = order.cycles.values() if order else ()
    return frozenset(cycle.entry for cycle in cycles if cycle.members in graph.wiring.cycles)


def _node(node: HyperNode, entry: bool, room: int, depth: int) -> NodeView:
    nested = node if isinstance(node, GraphNode) else None
    traits = []
    if node.is_async and nested is None:
        traits.append("async")
    if node.is_generator:
        traits.append("streams")
    if nested is not None and nested.runner is not None:
        traits.append(f"on {type(nested.runner).__name__}")
    return NodeView(
        name=node.name,
        kind=_kind(node),
        inputs=node.inputs,
        defaults=frozenset(name for name in node.inputs if node.has_default(name)),
        outputs=node.outputs,
        choices=_choices(node) if isinstance(node, GateNode) else (),
        entry=entry,
        traits=tuple(traits),
        inner=view(nested.graph, room, depth) if nested is not None else None,
        maps=nested.map_params if nested is not None else (),
        map_mode=nested.map_mode if nested is not None else "zip",
    )


def _kind(node: HyperNode) -> Kind:
    if isinstance(node, GraphNode):
        return "map" if node.map_params else "graph"
    if node.is_gate:
        if isinstance(node, BranchNode):
            return "branch"
        return "type route" if isinstance(node, TypeRouteNode) else "route"
    if node.is_interrupt:
        return "interrupt"
    return "function" if isinstance(node, CallableNode) else "node"


def _choices(gate: GateNode) -> tuple[Choice, ...]:
    if isinstance(gate, BranchNode):
        pairs = [("true", gate.when_true), ("false", gate.when_false)]
    elif isinstance(gate, TypeRouteNode):
        pairs = [(kind.__name__, target) for kind, target in gate.routes.items()]
        pairs += [("otherwise", gate.fallback)] if gate.fallback is not None else []
    else:
        fallback = gate.fallback if isinstance(gate, RouteNode) else None
        pairs = [("otherwise" if t == fallback else "", t) for t in gate.targets]
    return tuple(
        Choice(label=label, target=None if target is END else str(target))
        for label, target in pairs
    )


def _inputs(graph: Graph, shown: int, entries: frozenset[int]) -> tuple[InputView, ...]:
    spec, wiring = graph.inputs, graph.wiring
    states: dict[str, State] = dict.fromkeys(spec.required, "required")
    states |= dict.fromkeys(spec.seeds, "seed")
    states |= {name: "bound" if name in spec.bound else "optional" for name in spec.optional}
    return tuple(
        InputView(
            name=name,
            state=state,
            consumers=tuple(
                number
                for number in wiring.consumers.get(name, ())
                if number < shown and (name not in wiring.producers or number in entries)
            ),
        )
        for name, state in states.items()
    )


def _data_edges(graph: Graph, shown: int, order: ForwardOrder | None) -> list[EdgeView]:
    back = order.back if order else set()
    names: dict[tuple[int, int], list[str]] = {}
    for consumer, node in enumerate(graph.node_list[:shown]):
        for name in node.inputs:
            for producer in graph.wiring.producers.get(name, ()):
                if producer < shown and producer != consumer:
                    names.setdefault((producer, consumer), []).append(name)
    return [
        EdgeView(source=pair[0], target=pair[1], labels=tuple(values), back=pair in back)
        for pair, values in names.items()
    ]


def _control_edges(graph: Graph, shown: int, order: ForwardOrder | None) -> list[EdgeView]:
    back = order.back if order else set()
    edges = []
    for number, gate in enumerate(graph.node_list[:shown]):
        if not isinstance(gate, GateNode):
            continue
        labels: dict[str | None, list[str]] = {}
        for choice in _choices(gate):
            labels.setdefault(choice.target, []).append(choice.label)
        for target, words in labels.items():
            position = None if target is None else graph.wiring.index[target]
            if position is None or position < shown:
                edges.append(
                    EdgeView(
                        source=number,
                        target=position,
                        labels=tuple(filter(None, words)),
                        control=True,
                        back=(number, position) in back,
                    )
                )
    return edges
