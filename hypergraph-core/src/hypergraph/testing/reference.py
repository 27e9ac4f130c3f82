"""The reference interpreter: what running a graph means, said as plainly as possible.

Rule of this file: obviously right before anything else. Each step asks every node whether it is
due, by the sentences of the semantics page, which are quoted (``Rule:``) where they are obeyed;
nothing is remembered that can be asked again. It shares no code with the engine, so that the two
can be compared.

Its methods are ``async`` because nodes may be: who drives them decides what waiting means. Here an
async function is run to its end before anything else runs. An interrupt is answered at once, by the
``answer`` that is passed in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from hypergraph.errors import ConflictError, InfiniteLoopError
from hypergraph.graph import Graph, GraphNode
from hypergraph.nodes import CallableNode, GateNode, InterruptNode
from hypergraph.testing.shape import Shape
from hypergraph.testing.values import (
    as_raised,
    chunks_of,
    collect,
    finish,
    items_of,
    names_of,
    outputs_of,
    wanted_outputs,
)

T = TypeVar("T")
Answer = Callable[[str, Any], Any]
"""From the path of an interrupt and the value it shows to the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceResult:
    """What a run gave: ``outputs`` by name, and what happened.

    ``trace`` holds one tuple of node paths per generation (nested ones after the generation that
    holds them), ``runs`` how often each path ran, ``asked`` each interrupt's path and what it showed.
    """

    outputs: dict[str, Any]
    trace: list[tuple[str, ...]]
    runs: dict[str, int]
    asked: list[tuple[str, Any]] = field(default_factory=list)


def run(
    graph: Graph,
    inputs: Mapping[str, Any] | None = None,
    *,
    select: str | Sequence[str] | None = None,
    max_iterations: int = 1000,
    allow_extra: bool = False,
    answer: Answer | None = None,
) -> ReferenceResult:
    """Run ``graph`` and return its outputs and what happened. Raises what a runner raises."""
    interpreter = Interpreter(max_iterations=max_iterations, where=f"graph {graph.name!r}")
    interpreter.answer = answer
    return finish(interpreter.run(graph, inputs or {}, select=select, allow_extra=allow_extra))


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
            results.append(finish(interpreter.run(graph, item)))
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
        self.answer: Answer | None = None
        self.asked: list[tuple[str, Any]] = []

    # -- the run -----------------------------------------------------------------------------

    async def run(
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
            await self.run_generation(generation)
        outputs = {name: self.written[name] for name in wanted if name in self.written}
        return ReferenceResult(
            outputs=outputs, trace=self.trace, runs=dict(self.counts), asked=self.asked
        )

    async def run_generation(self, generation: Sequence[str]) -> None:
        """Read all inputs, run in declaration order, then commit in declaration order."""
        for name in generation:
            self.check_iterations(name)
        self.trace.append(tuple(self.path + name for name in generation))
        inputs = {name: self.read(name) for name in generation}
        for name in generation:
            self.read_at[name] = len(self.writes)
            for targets in self.selected.values():
                targets.discard(name)
        results = await self.execute_all(inputs)
        self.commit([(name, results[name]) for name in generation])

    async def execute_all(self, inputs: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
        """Run the nodes of a generation, and return what each gave."""
        calls = [partial(self.execute, name, given) for name, given in inputs.items()]
        return dict(zip(inputs, await self.all_of(calls), strict=True))

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

    @staticmethod
    async def all_of(calls: Sequence[Callable[[], Awaitable[T]]]) -> list[T]:
        """Make calls that do not depend on each other: nodes of a generation, items of a map."""
        return [await call() for call in calls]

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

    async def execute(self, name: str, inputs: dict[str, Any]) -> Any:
        """Run one node: a gate gives the targets it selects, any other node its outputs by name."""
        self.runs[name] += 1
        self.counts[self.path + name] += 1
        node = self.shape.nodes[name]
        if isinstance(node, GraphNode):
            return await (self.nest_mapped if node.map_params else self.nest)(node, inputs)
        if isinstance(node, InterruptNode):
            return self.ask(node, inputs)
        assert isinstance(node, CallableNode)
        try:
            result = await self.call(node, inputs)
        except Exception as error:
            # "The node's exception reaches the caller unchanged in type and identity, with a note."
            given = ", ".join(node.inputs)
            as_raised(error).add_note(
                f"hypergraph: node {self.path + name!r} of {self.where} failed; inputs: {given}"
            )
            raise
        if isinstance(node, GateNode):
            return node.decide(result)
        return outputs_of(node, result, self.where)

    async def call(self, node: CallableNode, inputs: dict[str, Any]) -> Any:
        """Call the node's function by its own parameter names; collect what a generator yields."""
        named = {p: inputs[i] for p, i in zip(node.params, node.inputs, strict=True) if i in inputs}
        result = node.func(**named)
        if node.is_generator:
            return self.join(node, await self.chunks(node, result))
        return await result if node.is_async and isinstance(result, Awaitable) else result

    async def chunks(self, node: CallableNode, generator: Any) -> list[Any]:
        """Return what a generator yields."""
        return [chunk async for chunk in chunks_of(generator)]

    def join(self, node: CallableNode, chunks: list[Any]) -> Any:
        """Rule: A node that yields has its chunks collected."""
        return collect(node, chunks)

    def ask(self, node: InterruptNode, inputs: dict[str, Any]) -> dict[str, Any]:
        """Rule: `interrupt_handlers` answers inline."""
        if self.answer is None:
            raise NotImplementedError("the reference cannot wait for an answer; pass answer=")
        question = (self.path + node.name, inputs[node.input_param])
        self.asked.append(question)
        return {node.response_param: self.answer(*question)}

    # -- nested graphs -----------------------------------------------------------------------

    async def nest(
        self, node: GraphNode, inputs: dict[str, Any], item: tuple[int, int] | None = None
    ) -> dict[str, Any]:
        """Run the inner graph; the result holds only the inner outputs that were produced.

        ``item``: which item of a mapped graph it is, from 0, and of how many.
        """
        child = self.child(node, item)
        inner = {node.inner_inputs[outer]: value for outer, value in inputs.items()}
        outputs = (await child.run(node.graph, inner)).outputs
        return {
            outer: outputs[name] for outer, name in node.inner_outputs.items() if name in outputs
        }

    def child(self, node: GraphNode, item: tuple[int, int] | None = None) -> Interpreter:
        """Make the run of a nested graph: the same limit, counted separately."""
        where = self.where if item is None else f"{self.where} (map item {item[0]})"
        path = f"{self.path}{node.name}/"
        child = type(self)(max_iterations=self.max_iterations, where=where, path=path)
        child.trace, child.counts = self.trace, self.counts
        child.answer, child.asked = self.answer, self.asked
        return child

    async def nest_mapped(self, node: GraphNode, inputs: dict[str, Any]) -> dict[str, Any]:
        """Rule: `map_over(...)` runs it once per item, its outputs becoming lists in item order."""
        items = list(items_of(inputs, node.map_params, node.map_mode))
        calls = [partial(self.nest, node, item, (i, len(items))) for i, item in enumerate(items)]
        results = await self.all_of(calls)
        return {name: [result.get(name) for result in results] for name in node.outputs}
