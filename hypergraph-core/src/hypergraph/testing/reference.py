"""The reference interpreter: what running a graph means, said as plainly as possible.

Rule of this file: obviously right before anything else. Each step asks every node whether it is
due, by the sentences of the semantics page, which are quoted (``Rule:``) where they are obeyed;
nothing is remembered that can be asked again. It shares no code with the engine, so that the two
can be compared.

Async nodes and interrupts are beyond it.
"""

from __future__ import annotations

import itertools
import typing
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hypergraph.errors import (
    ConflictError,
    InfiniteLoopError,
    InputError,
    OutputCountError,
    did_you_mean,
)
from hypergraph.graph import Graph, GraphNode
from hypergraph.nodes import CallableNode, GateNode, HyperNode
from hypergraph.testing.shape import Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceResult:
    """What a run gave: ``outputs`` by name, and what happened.

    ``trace`` holds one tuple of node paths per generation (nested ones after the generation that
    holds them), ``runs`` how often each path ran.
    """

    outputs: dict[str, Any]
    trace: list[tuple[str, ...]]
    runs: dict[str, int]


def run(
    graph: Graph,
    inputs: Mapping[str, Any] | None = None,
    *,
    select: str | Sequence[str] | None = None,
    max_iterations: int = 1000,
    allow_extra: bool = False,
) -> ReferenceResult:
    """Run ``graph`` and return its outputs and what happened. Raises what a runner raises."""
    interpreter = Interpreter(max_iterations=max_iterations, where=f"graph {graph.name!r}")
    return interpreter.run(graph, inputs or {}, select=select, allow_extra=allow_extra)


def map(  # noqa: A001  named as on every runner
    graph: Graph,
    inputs: Mapping[str, Any] | None = None,
    *,
    map_over: str | Sequence[str],
    map_mode: str = "zip",
    on_error: str = "raise",
    max_iterations: int = 1000,
) -> list[ReferenceResult | Exception]:
    """Run ``graph`` once per item, in order.

    ``on_error="return"`` puts an item's exception in its slot and goes on. Raises ``InputError``
    for what cannot be iterated, and for unequal lengths in zip mode.
    """
    results: list[ReferenceResult | Exception] = []
    for index, item in enumerate(items_of(inputs or {}, names_of(map_over), map_mode)):
        where = f"graph {graph.name!r} (map item {index})"
        interpreter = Interpreter(max_iterations=max_iterations, where=where)
        try:
            results.append(interpreter.run(graph, item))
        except Exception as error:
            if on_error == "raise":
                raise
            results.append(error)
    return results


class Interpreter:
    """One run, and with it all runs nested in it.

    Each rule is a method of its own, so that a test can replace one and see who notices.
    """

    def __init__(self, *, max_iterations: int, where: str, path: str = "") -> None:
        self.max_iterations = max_iterations
        self.where = where
        self.path = path
        self.trace: list[tuple[str, ...]] = []
        self.counts: Counter[str] = Counter()

    # -- the run -----------------------------------------------------------------------------

    def run(
        self,
        graph: Graph,
        inputs: Mapping[str, Any],
        *,
        select: str | Sequence[str] | None = None,
        allow_extra: bool = False,
    ) -> ReferenceResult:
        """Rule: Generations run one after the other. A run ends when nothing is due."""
        self.graph = graph
        self.given = dict(inputs)
        wanted = wanted_outputs(graph, select)
        self.shape = Shape(graph, self.given, allow_extra=allow_extra)
        self.written: dict[str, Any] = {}
        self.writes: list[tuple[str, str]] = []  # (node, value name), every write of this run
        self.read_at: dict[str, int] = {}  # len(writes) when the node last read its inputs
        self.selected: dict[str, set[Any]] = {}  # what each gate has selected and nobody used yet
        self.runs: Counter[str] = Counter()
        while generation := self.generation():
            self.run_generation(generation)
        outputs = {name: self.written[name] for name in wanted if name in self.written}
        return ReferenceResult(outputs=outputs, trace=self.trace, runs=dict(self.counts))

    def run_generation(self, generation: Sequence[str]) -> None:
        """Read all inputs, run in declaration order, then commit in declaration order."""
        for name in generation:
            self.check_iterations(name)
        self.trace.append(tuple(self.path + name for name in generation))
        inputs = {name: self.read(name) for name in generation}
        for name in generation:
            self.read_at[name] = len(self.writes)
            for targets in self.selected.values():
                targets.discard(name)
        results = []
        for name in generation:
            self.runs[name] += 1
            self.counts[self.path + name] += 1
            results.append((name, self.execute(name, inputs[name])))
        self.commit(results)

    def check_iterations(self, name: str) -> None:
        """Rule: `max_iterations` is how often a node may run in one run (a gate: once more)."""
        is_gate = isinstance(self.shape.nodes[name], GateNode)
        if self.runs[name] < self.max_iterations + is_gate:
            return
        cycle = [c.members for c in self.shape.cycles.values() if name in c.members]
        raise InfiniteLoopError(
            f"Node {name!r} was due again after {self.runs[name]} runs.",
            where=self.where,
            fix="make a gate of the cycle end it, or raise max_iterations.",
            node=name,
            cycle=tuple(sorted(set[str]().union(*cycle))),
        )

    # -- which nodes run ---------------------------------------------------------------------

    def generation(self) -> list[str]:
        """Rule: A generation is every due node that has no due node before it in forward order."""
        due = [name for name in self.shape.order if self.is_due(name)]
        return [v for v in due if not any((u, v) in self.shape.before for u in due)]

    def is_due(self, name: str) -> bool:
        """Rule: A node is due when all its inputs have values and ..."""
        if not all(self.has_value(name, value) for value in self.shape.nodes[name].inputs):
            return False
        if self.shape.gates[name]:
            return self.is_selected(name) or self.is_entered(name)
        # "it is not gated, and it never ran or an input changed since it last ran"
        return self.never_ran(name) or self.changed(
            name, lambda writer: self.shape.triggers(writer, name)
        )

    def is_selected(self, name: str) -> bool:
        """Rule: It is gated, and a gate has selected it since it last ran; any may select it."""
        return any(name in targets for targets in self.selected.values())

    def is_entered(self, name: str) -> bool:
        """Rule: Or it is the entry of a cycle in which all its gates lie, and it never ran or a
        value from outside that cycle changed since it last ran.
        """
        cycle = self.shape.cycles.get(name)
        if cycle is None or not self.shape.gates[name] <= cycle.members:
            return False
        return self.never_ran(name) or self.changed(
            name, lambda writer: writer not in cycle.members
        )

    def never_ran(self, name: str) -> bool:
        """Say whether the node has not run yet in this run."""
        return self.runs[name] == 0

    def changed(self, name: str, counts: Callable[[str], bool]) -> bool:
        """Rule: Each value has a version, raised at each write.

        Says whether an input was written since the node last ran, by a node that ``counts``.
        """
        inputs = self.shape.nodes[name].inputs
        since = self.writes[self.read_at[name] :]
        return any(value in inputs and counts(writer) for writer, value in since)

    # -- values ------------------------------------------------------------------------------

    def has_value(self, name: str, value: str) -> bool:
        """Say whether node ``name`` would find a value for this input now."""
        return value in self.written or self.shape.provided(name, value)

    def read(self, name: str) -> dict[str, Any]:
        """Rule: 1. an edge; 2. the run's inputs; 3. bind; 4. the default (left out here)."""
        found: dict[str, Any] = {}
        for value in self.shape.nodes[name].inputs:
            for source in (self.written, self.given, self.graph.bound):
                if value in source:
                    found[value] = source[value]
                    break
        return found

    def commit(self, results: list[tuple[str, Any]]) -> None:
        """Make the results visible, in declaration order.

        Rule: What cannot be known at build time raises ConflictError when both produce in one
        generation.
        """
        writer: dict[str, str] = {}
        for name, result in results:
            if isinstance(self.shape.nodes[name], GateNode):
                # "a gate's newer decision replaces its older, unused one"; "END selects nothing"
                self.selected[name] = set(result)
                continue
            for value, item in result.items():
                if value in writer:
                    raise ConflictError(
                        f"Nodes {writer[value]!r} and {name!r} both wrote {value!r} at once.",
                        where=self.where,
                        fix="make them exclusive, or give them outputs of different names.",
                        output=value,
                        nodes=(writer[value], name),
                    )
                writer[value] = name
                self.written[value] = item
                self.writes.append((name, value))

    # -- one node ----------------------------------------------------------------------------

    def execute(self, name: str, inputs: dict[str, Any]) -> Any:
        """Run one node: a gate gives the targets it selects, any other node its outputs by name."""
        node = self.shape.nodes[name]
        if isinstance(node, GraphNode):
            return self.nest_mapped(node, inputs) if node.map_params else self.nest(node, inputs)
        if not isinstance(node, CallableNode):
            raise NotImplementedError(f"the reference cannot run a {type(node).__name__}")
        try:
            result = self.call(node, inputs)
        except Exception as error:
            # "The node's exception reaches the caller unchanged in type and identity, with a note."
            given = ", ".join(node.inputs)
            error.add_note(
                f"hypergraph: node {self.path + name!r} of {self.where} failed; inputs: {given}"
            )
            raise
        if isinstance(node, GateNode):
            return node.decide(result)
        return outputs_of(node, result, self.where)

    def call(self, node: CallableNode, inputs: dict[str, Any]) -> Any:
        """Call the node's function by its own parameter names; collect what a generator yields."""
        named = {p: inputs[i] for p, i in zip(node.params, node.inputs, strict=True) if i in inputs}
        result = node.func(**named)
        return collect(node, result) if node.is_generator else result

    # -- nested graphs -----------------------------------------------------------------------

    def nest(
        self, node: GraphNode, inputs: dict[str, Any], item: int | None = None
    ) -> dict[str, Any]:
        """Run the inner graph; the result holds only the inner outputs that were produced."""
        where = self.where if item is None else f"{self.where} (map item {item})"
        child = self.child(f"{self.path}{node.name}/", where)
        child.trace, child.counts = self.trace, self.counts
        inner = {node.inner_inputs[outer]: value for outer, value in inputs.items()}
        outputs = child.run(node.graph, inner).outputs
        return {
            outer: outputs[name] for outer, name in node.inner_outputs.items() if name in outputs
        }

    def child(self, path: str, where: str) -> Interpreter:
        """Make the run of a nested graph: the same limit, counted separately."""
        return type(self)(max_iterations=self.max_iterations, where=where, path=path)

    def nest_mapped(self, node: GraphNode, inputs: dict[str, Any]) -> dict[str, Any]:
        """Rule: `map_over(...)` runs it once per item, its outputs becoming lists in item order."""
        items = items_of(inputs, node.map_params, node.map_mode)
        results = [self.nest(node, item, index) for index, item in enumerate(items)]
        return {name: [result.get(name) for result in results] for name in node.outputs}


# -- what a node's result means ------------------------------------------------------------------


def outputs_of(node: HyperNode, result: Any, where: str) -> dict[str, Any]:
    """Rule: One name: stored as it is. Several: it is unpacked; a wrong count is an error."""
    if len(node.outputs) <= 1:
        return dict.fromkeys(node.outputs, result)
    parts = None
    if isinstance(result, Iterable) and not isinstance(
        result, (str, bytes, Mapping, set, frozenset)
    ):
        parts = tuple(result)
    if parts is None or len(parts) != len(node.outputs):
        actual = None if parts is None else len(parts)
        raise OutputCountError(
            f"Node {node.name!r} has {len(node.outputs)} outputs; its function returned "
            f"{type(result).__name__ if actual is None else actual}.",
            where=where,
            fix=f"return a tuple of {len(node.outputs)} values.",
            expected=len(node.outputs),
            actual=actual,
        )
    return dict(zip(node.outputs, parts, strict=True))


def collect(node: CallableNode, chunks: Iterable[Any]) -> Any:
    """Rule: All `str` joined, all `bytes` joined, else a list; with no chunk, by the annotation."""
    collected = list(chunks)
    if not collected:
        annotation = typing.get_type_hints(node.func).get("return")
        item = (*typing.get_args(annotation), annotation)[0]
        return "" if item is str else b"" if item is bytes else []
    if all(isinstance(chunk, str) for chunk in collected):
        return "".join(collected)
    if all(isinstance(chunk, bytes) for chunk in collected):
        return b"".join(collected)
    return collected


# -- options -------------------------------------------------------------------------------------


def names_of(names: str | Sequence[str]) -> tuple[str, ...]:
    """Accept one name or several."""
    return (names,) if isinstance(names, str) else tuple(names)


def wanted_outputs(graph: Graph, select: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return the names a run returns, as far as they are produced, in the graph's order."""
    if select is None:
        return graph.outputs
    for name in names_of(select):
        if name not in graph.outputs:
            raise InputError(
                f"{name!r} is no output of the graph.{did_you_mean(name, graph.outputs)}",
                where=f"graph {graph.name!r}",
                fix="select one of its outputs.",
            )
    return tuple(name for name in graph.outputs if name in names_of(select))


def items_of(inputs: Mapping[str, Any], names: tuple[str, ...], mode: str) -> list[dict[str, Any]]:
    """Return the inputs of each item: the named ones iterated, the rest broadcast.

    "zip needs equal lengths (error names each length); product iterates the first named slowest."
    """
    lists = {}
    for name in names:
        if name not in inputs:
            raise InputError(f"{name!r} is mapped over and not given.", fix="give it a list.")
        if isinstance(inputs[name], (str, bytes, Mapping)) or not isinstance(
            inputs[name], Iterable
        ):
            raise InputError(
                f"{name!r} is mapped over, but is of type {type(inputs[name]).__name__}.",
                fix="give a list of items.",
            )
        lists[name] = list(inputs[name])
    if mode == "product":
        rows = list(itertools.product(*lists.values()))
    else:
        if len({len(items) for items in lists.values()}) > 1:
            lengths = ", ".join(f"{name!r}: {len(items)}" for name, items in lists.items())
            raise InputError(f"Unequal lengths: {lengths}.", fix='use map_mode="product".')
        rows = list(zip(*lists.values(), strict=True))
    return [{**inputs, **dict(zip(lists, row, strict=True))} for row in rows]
