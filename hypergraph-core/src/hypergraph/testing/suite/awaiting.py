"""Async nodes: what runs together, what is cancelled, and that they give what plain functions give."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from hypergraph.graph import Graph
from hypergraph.nodes import node
from hypergraph.runners.base import BaseRunner
from hypergraph.testing.asynchrony import as_async
from hypergraph.testing.kit import cases, raises, skip
from hypergraph.testing.suite.base import RunnerRules, notes_of
from hypergraph.testing.suite.cycles import again, step
from hypergraph.testing.suite.dags import DIAMOND
from hypergraph.testing.suite.gates import is_even, left, right

PATIENCE = 10_000  # turns of the event loop after which nobody else will come
PROBLEM = LookupError("a problem of the user's own")
SEEDS = cases("seed", range(4))


class AsyncRules(RunnerRules):
    """Graphs with async nodes, for runners that declare ``supports_async_nodes``."""

    group = "async nodes"

    def twin(self, graph: Graph, seed: int = 0) -> Graph:
        """Return the same graph with all its functions async, finishing in an order by the seed."""
        return as_async(graph, seed, pause=self.pause, share=1)

    def waiting(self, name: str, log: list[str]) -> Any:
        """Return a node that waits until it is cancelled, and logs its begin and its end."""

        async def wait(x: int) -> None:
            log.append(f"{name} begins")
            try:
                for _ in range(PATIENCE):
                    await self.pause()
            finally:
                log.append(f"{name} ends")

        return node(wait, name=name, output_name=f"of_{name}")

    def in_one_loop(self, runner: BaseRunner) -> None:
        """Skip what only makes sense where all nodes share the event loop of the caller."""
        capabilities = runner.capabilities
        if not capabilities.returns_coroutine or capabilities.supports_distributed:
            skip("the runner does not run nodes on the event loop of its caller")

    @SEEDS
    def test_async_nodes_give_what_plain_functions_give(
        self, runner: BaseRunner, seed: int
    ) -> None:
        outputs = self.run_graph(runner, self.twin(DIAMOND, seed), {"x": 2})
        assert outputs == {"doubled": 4, "tripled": 6, "total": 10}
        assert list(outputs) == list(DIAMOND.outputs), "in the order of the graph"

    @SEEDS
    def test_gates_and_loops_may_be_async(self, runner: BaseRunner, seed: int) -> None:
        loop = self.twin(Graph([step, again], entrypoint="step"), seed)
        assert self.run_graph(runner, loop, {"count": 0, "limit": 5}) == {"count": 5}
        gated = Graph([is_even, left, right])
        outputs = self.run_graph(runner, self.twin(gated, seed), {"x": 2})
        assert set(outputs) == set(left.outputs)

    @SEEDS
    def test_a_map_of_async_nodes_is_in_item_order(self, runner: BaseRunner, seed: int) -> None:
        rows = self.map_graph(runner, self.twin(DIAMOND, seed), {"x": range(6)}, map_over="x")
        assert [row["total"] for row in rows] == [5 * x for x in range(6)]

    def test_async_generators_are_collected(self, runner: BaseRunner) -> None:
        async def words(count: int) -> AsyncIterator[str]:
            for number in range(count):
                await self.pause()
                yield str(number)

        assert self.run_graph(runner, Graph([node(words)]), {"count": 3}) == {"words": "012"}
        assert self.run_graph(runner, Graph([node(words)]), {"count": 0}) == {"words": ""}

    def test_async_nodes_of_a_generation_run_together(self, runner: BaseRunner) -> None:
        arrived: list[str] = []

        async def meet(x: int) -> int:
            arrived.append("one")
            for _ in range(PATIENCE):
                if len(arrived) == 3:
                    return x
                await self.pause()
            raise TimeoutError("the nodes of a generation must be started together")

        nodes = [node(meet, name=f"n{i}", output_name=f"out{i}") for i in range(3)]
        self.refused_unless_declared(runner, Graph(nodes), {"x": 1})
        self.in_one_loop(runner)
        assert len(self.run_graph(runner, Graph(nodes), {"x": 1})) == 3

    def test_sync_nodes_run_after_the_async_ones_of_their_generation(
        self, runner: BaseRunner
    ) -> None:
        log: list[str] = []

        async def slow(x: int) -> None:
            for _ in range(5):
                await self.pause()
            log.append("slow")

        graph = Graph([_noting("one", log), node(slow), _noting("two", log)])
        self.refused_unless_declared(runner, graph, {"x": 1})
        self.in_one_loop(runner)
        self.run_graph(runner, graph, {"x": 1})
        assert log == ["slow", "one", "two"]

    def test_a_failure_cancels_its_siblings_and_is_raised_as_itself(
        self, runner: BaseRunner
    ) -> None:
        log: list[str] = []
        PROBLEM.__notes__ = []

        async def fail(x: int) -> None:
            while len(log) < 2:
                await self.pause()
            raise PROBLEM

        nodes = [self.waiting("a", log), node(fail), self.waiting("b", log)]
        self.refused_unless_declared(runner, Graph(nodes), {"x": 1})
        self.in_one_loop(runner)
        with raises(LookupError) as caught:
            self.run_graph(runner, Graph(nodes), {"x": 1})
        assert caught.value is PROBLEM
        assert len(notes_of(PROBLEM)) == 1
        assert sorted(log) == ["a begins", "a ends", "b begins", "b ends"]

    def test_cancelling_the_caller_leaves_no_task_behind(self, runner: BaseRunner) -> None:
        log: list[str] = []
        inner = Graph([self.waiting("inner", log)], name="inner").as_node()
        graph = Graph([self.waiting("a", log), inner, self.waiting("b", log)])
        self.refused_unless_declared(runner, graph, {"x": 1})
        self.in_one_loop(runner)

        async def main() -> None:
            before = asyncio.all_tasks()
            task = asyncio.create_task(runner.run(graph, {"x": 1}))
            while len(log) < 3:
                await asyncio.sleep(0)
            task.cancel()
            with raises(asyncio.CancelledError):
                await task
            assert asyncio.all_tasks() == before, "the run left tasks behind"

        asyncio.run(main())
        assert len(log) == 6, "a cancelled run is over when its caller is told so"


def _noting(name: str, log: list[str]) -> Any:
    def note(x: int) -> None:
        log.append(name)

    return node(note, name=name, output_name=f"of_{name}")
