"""The reference interpreter on an event loop: the example of a runner that is awaited.

Rule of this file: it says what begins together, and nothing else; what a graph means stands in
``reference.py``, what listeners are told in ``reference_runner.py``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from hypergraph.capabilities import RunnerCapabilities
from hypergraph.graph import Graph
from hypergraph.nodes import CallableNode
from hypergraph.results import RunResult
from hypergraph.runners.base import BaseRunner, chosen_inputs
from hypergraph.runners.nesting import leaf_call_async
from hypergraph.runners.strategy import call_from_async
from hypergraph.testing.asynchrony import step_aside
from hypergraph.testing.reference_runner import InterpretingRunner, ObservedInterpreter

T = TypeVar("T")


class AwaitedInterpreter(ObservedInterpreter):
    """The interpreter for runs that share their event loop with others."""

    leaf = staticmethod(leaf_call_async)  # blocks no thread

    async def execute_all(self, inputs: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
        """Rule: All async nodes start together, then, once they have finished, the sync nodes run
        one by one, in declaration order.
        """
        nodes = self.shape.nodes
        plain = [n for n in inputs if isinstance(nodes[n], CallableNode) and not nodes[n].is_async]
        waiting = {name: given for name, given in inputs.items() if name not in plain}
        results = await super().execute_all(waiting)
        for name in plain:
            await step_aside()  # others want to go on, too, or to cancel this run
            results[name] = await self.execute(name, inputs[name])
        return results

    @staticmethod
    async def all_of(calls: Sequence[Callable[[], Awaitable[T]]]) -> list[T]:
        """Make calls together. If some fail, the others are cancelled, and the first failure in
        declaration order is raised.
        """
        tasks = [asyncio.ensure_future(call()) for call in calls]
        try:
            if tasks:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            for task in tasks:
                task.cancel()  # unless it has ended
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in tasks:
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error
        return [task.result() for task in tasks]

    async def hand_over(self, runner: BaseRunner, *nested: Any) -> RunResult:
        """Run a nested graph on another runner."""
        return await call_from_async(runner, *nested)


class AsyncReferenceRunner(InterpretingRunner):
    """A slow, obviously right runner for graphs without interrupts, on the event loop of its caller."""

    name = "async-reference"
    capabilities = RunnerCapabilities(supports_async_nodes=True, returns_coroutine=True)
    interpreter = AwaitedInterpreter

    async def run(
        self,
        graph: Graph,
        inputs: Mapping[str, Any] | None = None,
        *,
        values: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> dict[str, Any]:
        """Run the graph once and return its outputs."""
        return await self.interpret(graph, chosen_inputs(inputs, values), **options)

    async def map(
        self,
        graph: Graph,
        inputs: Mapping[str, Any] | None = None,
        *,
        values: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> list[dict[str, Any] | Exception]:
        """Run the graph once per item and return the outputs of each."""
        return await self.interpret_items(graph, chosen_inputs(inputs, values), **options)
