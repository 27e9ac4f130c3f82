"""``GraphNode``: a graph as a node of another graph, once or once per item.

Rule of this file: the inner graph is never changed; the node keeps two maps from the names outside to
the names inside, and every rename, prefix and exposure is an edit of those maps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from hypergraph._deferred import deferred
from hypergraph.errors import GraphConfigError, did_you_mean
from hypergraph.nodes import HyperNode, Rename
from hypergraph.nodes.base import check_name, refuse_twice

if TYPE_CHECKING:  # the graph makes its own node; the two know each other by nature
    from hypergraph.graph.graph import Graph

_put = object.__setattr__
_resolve_runner = deferred("hypergraph.config:resolve_runner")

MapMode = Literal["zip", "product"]
T = TypeVar("T")


class GraphNode(HyperNode):
    """A graph as a node; made by ``graph.as_node(...)``.

    ``inner_inputs`` and ``inner_outputs`` map the names outside to those inside. ``map_params`` are the
    inputs iterated by ``map_over`` (names outside). ``runner`` is ``None`` to inherit the parent's.
    ``complete_on_stop``: once begun, it is run to its end when the whole run is stopped.
    """

    __slots__ = (
        "graph",
        "runner",
        "namespaced",
        "inner_inputs",
        "inner_outputs",
        "map_params",
        "map_mode",
        "complete_on_stop",
    )

    graph: Graph
    runner: Any
    namespaced: bool
    inner_inputs: Mapping[str, str]
    inner_outputs: Mapping[str, str]
    map_params: tuple[str, ...]
    map_mode: MapMode
    complete_on_stop: bool

    def __init__(
        self,
        graph: Graph,
        name: str | None = None,
        namespaced: bool = False,
        runner: Any = None,
        complete_on_stop: bool = False,
    ) -> None:
        name = name if name is not None else graph.name
        if name is None:
            raise GraphConfigError(
                "A nested graph needs a name.",
                where="as_node()",
                fix='write graph.as_node(name="..."), or name the graph itself.',
            )
        check_name(name, "node name", "as_node()")
        prefix = f"{name}." if namespaced else ""
        _put(self, "name", name)
        _put(self, "graph", graph)
        _put(self, "namespaced", namespaced)
        _put(self, "inner_inputs", MappingProxyType({prefix + p: p for p in graph.inputs.all}))
        _put(self, "inner_outputs", MappingProxyType({prefix + p: p for p in graph.outputs}))
        _put(self, "inputs", tuple(self.inner_inputs))
        _put(self, "outputs", tuple(self.inner_outputs))
        _put(self, "rename_history", ())
        _put(self, "map_params", ())
        _put(self, "map_mode", "zip")
        _put(self, "complete_on_stop", complete_on_stop)
        _put(self, "runner", self._resolved(runner))
        _ = graph.features, graph.nesting  # worked out level by level, so never recursively

    def _resolved(self, runner: Any) -> Any:
        """Return the runner instance that ``runner`` names, once it supports the graph."""
        if runner is None:
            return None
        instance = _resolve_runner(runner)
        instance.capabilities.validate_graph(self.graph, runner=type(instance).__name__)
        return instance

    @property
    def is_async(self) -> bool:  # type: ignore[override]
        """Say whether the parent's runner has to run async nodes for this one."""
        return self.runner is None and self.graph.has_async_nodes

    def has_default(self, name: str) -> bool:
        """Say whether the inner graph can do without this input (it has a default, or is bound).

        A mapped input is always needed: without its list there are no items.
        """
        return name not in self.map_params and self.inner_inputs[name] in self.graph.inputs.optional

    def inside(self, values: Mapping[str, T]) -> dict[str, T]:
        """Return values by input name outside, by the names they have inside."""
        return {self.inner_inputs[outer]: value for outer, value in values.items()}

    def outside(self, outputs: Mapping[str, T]) -> dict[str, T]:
        """Return outputs by name inside, by the names they have outside; some may be missing."""
        return {o: outputs[name] for o, name in self.inner_outputs.items() if name in outputs}

    def columns(self, items: Sequence[Mapping[str, T]]) -> dict[str, list[T | None]]:
        """Return the outputs of all items of a map as lists by name outside, ``None`` in the gaps."""
        return {o: [item.get(name) for item in items] for o, name in self.inner_outputs.items()}

    @property
    def mapped_inside(self) -> tuple[str, ...]:
        """The inputs iterated by ``map_over``, by the names they have inside."""
        return tuple(self.inner_inputs[outer] for outer in self.map_params)

    def with_runner(self, runner: Any) -> GraphNode:
        """Return the node run by ``runner``: an instance, a class, a name, or ``None``.

        Raises ``IncompatibleRunnerError`` when that runner does not support the graph.
        """
        return self._copy(runner=self._resolved(runner))

    def map_over(self, *names: str, mode: MapMode = "zip") -> GraphNode:
        """Return the node run once per item of the named inputs; its outputs become lists.

        ``mode="zip"`` walks several inputs side by side, ``"product"`` combines them, the first named
        slowest. Where an item does not produce an output, its place holds ``None``. Raises
        ``GraphConfigError`` for unknown names and for a graph with interrupts.
        """
        where = f"nested graph {self.name!r}"
        if not names:
            raise GraphConfigError(
                "map_over() needs the name of an input.",
                where=where,
                fix='write .map_over("items").',
            )
        for name in names:
            if name not in self.inputs:
                raise GraphConfigError(
                    f"map_over() names an unknown input {name!r}."
                    f"{self._hint('input', name, self.inputs)}",
                    where=where,
                    fix=f"name one of its inputs: {', '.join(self.inputs) or '(none)'}.",
                )
        refuse_twice(names, "map_over name", where)
        check_map_mode(mode, where)
        refuse_mapped_interrupts(self.graph, where)
        return self._copy(map_params=names, map_mode=mode)

    def expose(self, *names: str) -> GraphNode:
        """Return the node with chosen ports of a namespaced graph under their flat names.

        ``names`` are names inside the graph. Raises ``GraphConfigError`` for names it does not have.
        """
        ports = {**_inverse(self.inner_inputs), **_inverse(self.inner_outputs)}
        for name in names:
            if name not in ports:
                raise GraphConfigError(
                    f"expose() names an unknown port {name!r}.{did_you_mean(name, ports)}",
                    where=f"nested graph {self.name!r}",
                    fix=f"name one of: {', '.join(ports)}.",
                )
        inputs = {outer: inner for outer, inner in self.inner_inputs.items() if inner in names}
        outputs = {outer: inner for outer, inner in self.inner_outputs.items() if inner in names}
        changed = self._with_maps("input", inputs) if inputs else self
        return changed._with_maps("output", outputs) if outputs else changed

    def with_name(self, name: str) -> GraphNode:
        """Return the node under another name; a namespaced node's ports follow it."""
        changed = super().with_name(name)
        if not self.namespaced:
            return changed
        old, new = f"{self.name}.", f"{name}."

        def moved(ports: Mapping[str, str]) -> dict[str, str]:
            return {o: new + o[len(old) :] for o in ports if o.startswith(old)}

        return changed._with_maps("input", moved(self.inner_inputs))._with_maps(
            "output", moved(self.inner_outputs)
        )

    def _with_maps(self, kind: str, renames: dict[str, str]) -> GraphNode:
        """Apply renames that may hold a namespace's dot, which ``with_inputs`` would refuse."""
        names = self.inputs if kind == "input" else self.outputs
        changed = tuple(renames.get(name, name) for name in names)
        refuse_twice(changed, kind, f"nested graph {self.name!r}")
        return self._with_ports(kind, renames, changed, self.rename_history)

    def _with_ports(
        self,
        kind: str,
        renames: dict[str, str],
        changed: tuple[str, ...],
        history: tuple[Rename, ...],
    ) -> GraphNode:
        ports = self.inner_inputs if kind == "input" else self.inner_outputs
        maps = MappingProxyType(
            {renames.get(outer, outer): inner for outer, inner in ports.items()}
        )
        if kind == "output":
            return self._copy(outputs=changed, inner_outputs=maps, rename_history=history)
        return self._copy(
            inputs=changed,
            inner_inputs=maps,
            map_params=tuple(renames.get(name, name) for name in self.map_params),
            rename_history=history,
        )

    def _identity(self) -> tuple[Any, ...]:
        return (
            self.graph.definition_hash,
            tuple(self.inner_inputs.items()),
            tuple(self.inner_outputs.items()),
            self.map_params,
            self.map_mode,
        )


def _inverse(ports: Mapping[str, str]) -> dict[str, str]:
    return {inner: outer for outer, inner in ports.items()}


def check_map_mode(mode: str, where: str) -> None:
    """Refuse a map mode other than ``"zip"`` and ``"product"``."""
    if mode not in ("zip", "product"):
        raise GraphConfigError(
            "The map mode is neither 'zip' nor 'product'.",
            where=where,
            fix='use "zip" (side by side) or "product" (all combinations).',
        )


def refuse_mapped_interrupts(graph: Graph, where: str) -> None:
    """Refuse to map over a graph that waits for answers."""
    if graph.features.interrupts is not None:
        raise GraphConfigError(
            f"A graph with interrupts cannot be mapped: {graph.features.interrupts!r} would pause in "
            "the middle of a batch.",
            where=where,
            fix="call run() for each item in a loop, and answer each pause.",
        )
