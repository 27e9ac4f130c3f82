"""The reference interpreter as a runner: the example of a runner that passes the whole kit.

Rule of this file: nothing but the translation between a runner's contract and the interpreter;
what a graph means stands in ``reference.py``.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from hypergraph.capabilities import RunnerCapabilities
from hypergraph.events import (
    EventProcessor,
    NodeEndEvent,
    NodeErrorEvent,
    NodeStartEvent,
    RouteDecisionEvent,
    RunEndEvent,
    RunStartEvent,
    StreamingChunkEvent,
    dispatcher,
)
from hypergraph.events.dispatch import Emit
from hypergraph.graph import Graph, GraphNode
from hypergraph.nodes import CallableNode, GateNode
from hypergraph.results import RunStatus, new_run_id
from hypergraph.runners.base import BaseRunner, chosen_inputs
from hypergraph.runners.nesting import leaf_call, nested_context
from hypergraph.runners.strategy import call_from_sync
from hypergraph.testing.reference import Interpreter, ReferenceResult
from hypergraph.testing.values import chunks_of, collect, items_of, names_of

_span_ids = itertools.count(1)  # unique in this process, as events promise


class ObservedInterpreter(Interpreter):
    """The interpreter, telling listeners what happens."""

    emit: Emit | None = None
    listeners: Sequence[EventProcessor] = ()
    session_id: str | None = None
    run_id: str
    span: int
    parent: tuple[str | None, int | None] = (None, None)  # (run id, span id)
    item: tuple[int | None, int | None] | None = None  # of a map: its index, and how many there are
    node_span: int

    def say(self, kind: Any, span: int, parent: int | None, **details: Any) -> None:
        """Emit one event of this run."""
        if self.emit is not None:
            now = time.perf_counter()
            ids = {"run_id": self.run_id, "span_id": span, "parent_span_id": parent, "time": now}
            self.emit(kind(**ids, graph_name=self.graph.name, **details))

    def run(
        self,
        graph: Graph,
        inputs: Mapping[str, Any],
        *,
        select: str | Sequence[str] | None = None,
        allow_extra: bool = False,
    ) -> ReferenceResult:
        """Run, between a start and an end event."""
        self.graph, self.run_id = graph, new_run_id()
        self.span, started = next(_span_ids), time.perf_counter()
        details = {
            "started_at": time.time(),
            "session_id": self.session_id,
            "parent_run_id": self.parent[0],
        }
        index, size = self.item or (None, None)
        place = {"map_index": index, "map_size": size}
        self.say(RunStartEvent, self.span, self.parent[1], inputs=inputs, **place, **details)
        outputs: dict[str, Any] = {}
        failure: BaseException | None = None
        try:
            result = super().run(graph, inputs, select=select, allow_extra=allow_extra)
            outputs = result.outputs
            return result
        except BaseException as error:
            failure = error
            raise
        finally:
            status = RunStatus.COMPLETED if failure is None else RunStatus.FAILED
            took = (time.perf_counter() - started) * 1000
            end = {"status": status, "outputs": outputs, "duration_ms": took, "error": failure}
            self.say(RunEndEvent, self.span, self.parent[1], **end)

    def execute(self, name: str, inputs: dict[str, Any]) -> Any:
        """Run a node, between a start and an end event."""
        span = self.node_span = next(_span_ids)
        started = time.perf_counter()
        self.say(NodeStartEvent, span, self.span, node_name=name, inputs=inputs)
        try:
            result = super().execute(name, inputs)
        except BaseException as error:
            took = (time.perf_counter() - started) * 1000
            self.say(NodeErrorEvent, span, self.span, node_name=name, error=error, duration_ms=took)
            raise
        outputs = result
        if isinstance(self.shape.nodes[name], GateNode):
            outputs, decision = {}, tuple(map(str, result))
            self.say(RouteDecisionEvent, span, self.span, node_name=name, decision=decision)
        took = (time.perf_counter() - started) * 1000
        self.say(NodeEndEvent, span, self.span, node_name=name, outputs=outputs, duration_ms=took)
        return result

    def call(self, node: CallableNode, inputs: dict[str, Any]) -> Any:
        """Call the function; each chunk of a generator is an event."""
        with leaf_call():
            return self.stream(node, inputs) if node.is_generator else super().call(node, inputs)

    def stream(self, node: CallableNode, inputs: dict[str, Any]) -> Any:
        """Call a generator, and tell of each chunk as it comes."""
        chunks = []
        named = {p: inputs[i] for p, i in zip(node.params, node.inputs, strict=True) if i in inputs}
        for index, chunk in enumerate(chunks_of(node.func(**named))):
            details = {"node_name": node.name, "chunk": chunk, "index": index}
            self.say(StreamingChunkEvent, self.node_span, self.span, **details)
            chunks.append(chunk)
        return collect(node, chunks)

    def nest(
        self, node: GraphNode, inputs: dict[str, Any], item: tuple[int, int] | None = None
    ) -> dict[str, Any]:
        """Run the inner graph here, or on the runner that it brings."""
        if node.runner is None:
            return super().nest(node, inputs, item)
        context = nested_context(
            event_processors=self.listeners,
            run_id=self.run_id,
            span_id=self.node_span,
            session_id=self.session_id,
            max_iterations=self.max_iterations,
            map_index=None if item is None else item[0],
            map_size=None if item is None else item[1],
        )
        result = call_from_sync(node.runner, node.graph, node.inside(inputs), context)
        if result.error is not None:
            raise result.error
        return node.outside(result.values)

    def child(self, path: str, where: str, item: tuple[int, int] | None = None) -> Interpreter:
        """Make a nested run that tells the same listeners."""
        child = type(self)(max_iterations=self.max_iterations, where=where, path=path)
        child.emit, child.listeners, child.session_id = self.emit, self.listeners, self.session_id
        child.parent, child.item = (self.run_id, self.node_span), item
        return child


class ReferenceRunner(BaseRunner):
    """A slow, obviously right runner for sync graphs without interrupts."""

    name = "reference"
    capabilities = RunnerCapabilities(supports_cycles=True, supports_gates=True)
    interpreter: ClassVar[type[ObservedInterpreter]] = ObservedInterpreter

    def __init__(self, event_processors: Sequence[EventProcessor] = ()) -> None:
        self.event_processors = tuple(event_processors)

    def _interpreter(
        self, where: str, limit: int, processors: Sequence[EventProcessor]
    ) -> ObservedInterpreter:
        made = self.interpreter(max_iterations=limit, where=where)
        made.listeners = (*self.event_processors, *processors)
        made.emit = dispatcher(made.listeners)
        return made

    def run(
        self,
        graph: Graph,
        inputs: Mapping[str, Any] | None = None,
        *,
        values: Mapping[str, Any] | None = None,
        select: str | Sequence[str] | None = None,
        session_id: str | None = None,
        max_iterations: int = 1000,
        event_processors: Sequence[EventProcessor] = (),
        allow_extra: bool = False,
    ) -> dict[str, Any]:
        """Run the graph once and return its outputs."""
        self.validate(graph)
        run = self._interpreter(f"graph {graph.name!r}", max_iterations, event_processors)
        run.session_id = session_id
        given = chosen_inputs(inputs, values)
        return run.run(graph, given, select=select, allow_extra=allow_extra).outputs

    def map(
        self,
        graph: Graph,
        inputs: Mapping[str, Any] | None = None,
        *,
        values: Mapping[str, Any] | None = None,
        map_over: str | Sequence[str],
        map_mode: str = "zip",
        on_error: str = "raise",
        max_iterations: int = 1000,
        event_processors: Sequence[EventProcessor] = (),
    ) -> list[dict[str, Any] | Exception]:
        """Run the graph once per item and return the outputs of each."""
        self.validate(graph)
        results: list[dict[str, Any] | Exception] = []
        given = chosen_inputs(inputs, values)
        for index, item in enumerate(items_of(given, names_of(map_over), map_mode)):
            where = f"graph {graph.name!r} (map item {index})"
            run = self._interpreter(where, max_iterations, event_processors)
            run.item = (index, None)
            try:
                results.append(run.run(graph, item).outputs)
            except Exception as error:
                if on_error == "raise":
                    raise
                results.append(error)
        return results
