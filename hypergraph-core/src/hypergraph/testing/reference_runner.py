"""The reference interpreter as a runner: the example of a runner that passes the whole kit.

Rule of this file: nothing but the translation between a runner's contract and the interpreter;
what a graph means stands in ``reference.py``.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
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
from hypergraph.results import RunResult, RunStatus, new_run_id
from hypergraph.runners.base import BaseRunner, chosen_inputs
from hypergraph.runners.nesting import leaf_call, nested_context
from hypergraph.runners.strategy import call_from_sync
from hypergraph.testing.reference import Interpreter, ReferenceResult
from hypergraph.testing.values import chunks_of, finish, items_of, names_of

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

    def __init__(self, **details: Any) -> None:
        super().__init__(**details)
        self.spans: dict[str, int] = {}  # of each node, when it last ran

    def say(self, kind: Any, span: int, parent: int | None, **details: Any) -> None:
        """Emit one event of this run."""
        if self.emit is not None:
            now = time.perf_counter()
            ids = {"run_id": self.run_id, "span_id": span, "parent_span_id": parent, "time": now}
            self.emit(kind(**ids, graph_name=self.graph.name, **details))

    async def run(
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
            result = await super().run(graph, inputs, select=select, allow_extra=allow_extra)
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

    async def execute(self, name: str, inputs: dict[str, Any]) -> Any:
        """Run a node, between a start and an end event."""
        span = self.spans[name] = next(_span_ids)
        started = time.perf_counter()
        self.say(NodeStartEvent, span, self.span, node_name=name, inputs=inputs)
        try:
            result = await super().execute(name, inputs)
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

    async def call(self, node: CallableNode, inputs: dict[str, Any]) -> Any:
        """Call the function, when the run around this one lets it."""
        async with self.leaf():
            return await super().call(node, inputs)

    @staticmethod
    @asynccontextmanager
    async def leaf() -> AsyncIterator[None]:
        """Wait until the run around this one lets a node be called."""
        with leaf_call():
            yield

    async def chunks(self, node: CallableNode, generator: Any) -> list[Any]:
        """Return what a generator yields; each chunk is an event."""
        chunks: list[Any] = []
        async for chunk in chunks_of(generator):
            details = {"node_name": node.name, "chunk": chunk, "index": len(chunks)}
            self.say(StreamingChunkEvent, self.spans[node.name], self.span, **details)
            chunks.append(chunk)
        return chunks

    async def nest(
        self, node: GraphNode, inputs: dict[str, Any], item: tuple[int, int] | None = None
    ) -> dict[str, Any]:
        """Run the inner graph here, or on the runner that it brings."""
        if node.runner is None:
            return await super().nest(node, inputs, item)
        context = nested_context(
            event_processors=self.listeners,
            run_id=self.run_id,
            span_id=self.spans[node.name],
            session_id=self.session_id,
            max_iterations=self.max_iterations,
            map_index=None if item is None else item[0],
            map_size=None if item is None else item[1],
        )
        result = await self.hand_over(node.runner, node.graph, node.inside(inputs), context)
        if result.error is not None:
            raise result.error
        return node.outside(result.values)

    async def hand_over(self, runner: BaseRunner, *nested: Any) -> RunResult:
        """Run a nested graph on another runner."""
        return call_from_sync(runner, *nested)

    def child(self, node: GraphNode, item: tuple[int, int] | None = None) -> Interpreter:
        """Make a nested run that tells the same listeners."""
        child = super().child(node, item)
        assert isinstance(child, ObservedInterpreter)
        child.emit, child.listeners, child.session_id = self.emit, self.listeners, self.session_id
        child.parent, child.item = (self.run_id, self.spans[node.name]), item
        return child


class InterpretingRunner(BaseRunner):
    """Base of the runners that interpret; they differ in who drives the interpreter."""

    interpreter: ClassVar[type[ObservedInterpreter]] = ObservedInterpreter

    def __init__(self, event_processors: Sequence[EventProcessor] = ()) -> None:
        self.event_processors = tuple(event_processors)

    def interpreter_for(
        self, where: str, limit: int, processors: Sequence[EventProcessor]
    ) -> ObservedInterpreter:
        """Return the interpreter of one run."""
        made = self.interpreter(max_iterations=limit, where=where)
        made.listeners = (*self.event_processors, *processors)
        made.emit = dispatcher(made.listeners)
        return made

    async def interpret(
        self,
        graph: Graph,
        inputs: Mapping[str, Any],
        *,
        select: str | Sequence[str] | None = None,
        session_id: str | None = None,
        max_iterations: int = 1000,
        event_processors: Sequence[EventProcessor] = (),
        allow_extra: bool = False,
    ) -> dict[str, Any]:
        """Run the graph once and return its outputs."""
        self.validate(graph)
        run = self.interpreter_for(f"graph {graph.name!r}", max_iterations, event_processors)
        run.session_id = session_id
        return (await run.run(graph, inputs, select=select, allow_extra=allow_extra)).outputs

    async def interpret_items(
        self,
        graph: Graph,
        inputs: Mapping[str, Any],
        *,
        map_over: str | Sequence[str],
        map_mode: str = "zip",
        on_error: str = "raise",
        session_id: str | None = None,
        max_iterations: int = 1000,
        event_processors: Sequence[EventProcessor] = (),
    ) -> list[dict[str, Any] | Exception]:
        """Run the graph once per item and return the outputs of each."""
        self.validate(graph)
        items = items_of(inputs, names_of(map_over), map_mode)

        async def one(index: int, item: dict[str, Any]) -> dict[str, Any] | Exception:
            where = f"graph {graph.name!r} (map item {index})"
            run = self.interpreter_for(where, max_iterations, event_processors)
            run.item, run.session_id = (index, None), session_id
            try:
                return (await run.run(graph, item)).outputs
            except Exception as error:
                if on_error == "raise":
                    raise
                return error

        return await self.interpreter.all_of([partial(one, *item) for item in enumerate(items)])


class ReferenceRunner(InterpretingRunner):
    """A slow, obviously right runner for sync graphs without interrupts."""

    name = "reference"
    capabilities = RunnerCapabilities(supports_cycles=True, supports_gates=True)

    def run(
        self,
        graph: Graph,
        inputs: Mapping[str, Any] | None = None,
        *,
        values: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> dict[str, Any]:
        """Run the graph once and return its outputs."""
        return finish(self.interpret(graph, chosen_inputs(inputs, values), **options))

    def map(
        self,
        graph: Graph,
        inputs: Mapping[str, Any] | None = None,
        *,
        values: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> list[dict[str, Any] | Exception]:
        """Run the graph once per item and return the outputs of each."""
        return finish(self.interpret_items(graph, chosen_inputs(inputs, values), **options))
