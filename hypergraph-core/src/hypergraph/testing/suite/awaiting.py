"""Async nodes: what runs together, and that they give what plain functions give."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from typing import Any

from hypergraph.graph import Graph
from hypergraph.nodes import node
from hypergraph.runners.base import BaseRunner
from hypergraph.testing.asynchrony import as_async
from hypergraph.testing.kit import cases, raises, skip
from hypergraph.testing.suite.cycles import again, step
from hypergraph.testing.suite.dags import DIAMOND
from hypergraph.testing.suite.gates import is_even, left, right
from hypergraph.testing.suite.surroundings import Surroundings

PATIENCE = 10_000  # turns of the event loop after which nobody else will come
SEEDS = cases("seed", range(4))


class AsyncRules(Surroundings):
    """Graphs with async nodes, for runners that declare ``supports_async_nodes``."""

    group = "async nodes"

    def twin(self, graph: Graph, seed: int = 0) -> Graph:
        """Return the same graph with all its functions async, finishing in an order by the seed."""
        return as_async(graph, seed, pause=self.pause, share=1)

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
        self.shares_the_loop(runner)
        assert len(self.run_graph(runner, Graph(nodes), {"x": 1})) == 3

    def test_of_several_failures_the_first_declared_is_raised(self, runner: BaseRunner) -> None:
        arrived: list[int] = []

        def failing(number: int) -> Any:
            async def fail_together(x: int) -> None:
                arrived.append(number)
                try:
                    for _ in range(PATIENCE):
                        if len(arrived) == 3:
                            break
                        await self.pause()
                finally:  # cancelled or not
                    raise LookupError(number)

            return node(fail_together, name=f"n{number}", output_name=f"out{number}")

        graph = Graph([failing(number) for number in (2, 1, 3)])
        self.refused_unless_declared(runner, graph, {"x": 1})
        self.shares_the_loop(runner)
        with raises(LookupError) as caught:
            self.run_graph(runner, graph, {"x": 1})
        assert caught.value.args == (2,), "all three failed, and number 2 was declared first"

    def test_sync_nodes_run_after_the_async_ones_of_their_generation(
        self, runner: BaseRunner
    ) -> None:
        log: list[str] = []
        threads: set[int] = set()

        async def slow(x: int) -> None:
            threads.add(threading.get_ident())
            for _ in range(5):
                await self.pause()
            log.append("slow")

        def one(x: int) -> None:
            threads.add(threading.get_ident())
            log.append("one")

        def two(x: int) -> None:
            log.append("two")

        graph = Graph([node(one), node(slow), node(two)])
        self.refused_unless_declared(runner, graph, {"x": 1})
        self.shares_the_loop(runner)
        self.run_graph(runner, graph, {"x": 1})
        if len(threads) > 1:
            skip("sync nodes run in threads, beside the event loop")
        assert log == ["slow", "one", "two"], (
            "a node that blocks the event loop holds up the async nodes of its generation: run it last"
        )
