"""Concurrency: how many run at once, the order of results, and runs that do not know of each other."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from hypergraph.errors import InputError
from hypergraph.events import NodeStartEvent, RunStartEvent
from hypergraph.graph import Graph
from hypergraph.nodes import node
from hypergraph.runners.base import BaseRunner
from hypergraph.runners.limits import Limiter, current_limiter
from hypergraph.runners.nesting import nested_context
from hypergraph.runners.strategy import call_from_sync
from hypergraph.testing.kit import cases, raises
from hypergraph.testing.suite.surroundings import (
    Surroundings,
    Told,
    most_inside,
    never,
)

SIZE = 5
SHAPES = (
    "independent nodes",
    "items of a map",
    "a mapped graph",
    "nested graphs",
    "its own runner",
)


def next_is_out(lines: list[str], x: int) -> bool:
    """Say whether the one after x has ended; after the last nobody comes."""
    return x == SIZE - 1 or any(
        line.startswith("out") and line.endswith(f" {x + 1}") for line in lines
    )


def at_once(lines: list[str], x: int) -> bool:
    """Wait for nobody."""
    return True


def all_are_in(lines: list[str], x: int) -> bool:
    """Say whether both of two runs have begun."""
    return len({line for line in lines if line.startswith("in")}) >= 2


class ConcurrencyRules(Surroundings):
    """For every runner; the limits for those whose ``run()`` takes ``max_concurrency``."""

    group = "concurrency"

    def busy_node(self, runner: BaseRunner, name: str, ready: Any = never) -> Any:
        return self.node_at_work(name, ready, awaits=runner.capabilities.supports_async_nodes)

    # -- limits ----------------------------------------------------------------------------------

    def crowd(self, runner: BaseRunner, shape: str) -> tuple[Callable[..., Any], int]:
        """Return what runs a graph with as much to do at once as there can be, and how many calls."""
        nodes = [self.busy_node(runner, f"n{i}") for i in range(SIZE)]
        two = Graph(nodes[:2], name="two")
        items: dict[str, Any] = {"x": range(SIZE)}
        if shape == "items of a map":
            run, calls = self.map_graph, 2 * SIZE
            return lambda **o: run(runner, two, items, map_over="x", **o), calls
        if shape == "a mapped graph":
            graph, inputs, calls = Graph([two.as_node().map_over("x")]), items, 2 * SIZE
        elif shape == "independent nodes":
            graph, inputs, calls = Graph(nodes), {"x": 1}, SIZE
        else:
            own = runner if shape == "its own runner" else None
            deep = Graph([two.as_node(runner=own)], name="deep").as_node(runner=own)
            graph, inputs, calls = Graph([deep, *nodes[2:]]), {"x": 1}, SIZE
        return lambda **o: self.run_graph(runner, graph, inputs, **o), calls

    @cases("limit", [1, 3])
    @cases("shape", SHAPES)
    def test_no_more_calls_at_once_than_max_concurrency(
        self, runner: BaseRunner, shape: str, limit: int
    ) -> None:
        self.needs_option(runner, max_concurrency=limit)
        run, calls = self.crowd(runner, shape)
        self.in_time(lambda: run(max_concurrency=limit))
        lines = self.journal.lines
        assert len(lines) == 2 * calls, f"{calls} calls were to be made; {len(lines) / 2} were"
        assert most_inside(lines) <= limit, (
            f"{most_inside(lines)} calls ran at once with max_concurrency={limit}. It bounds the whole "
            "run: items, independent nodes, and nested graphs with a runner of their own "
            "(hypergraph.runners.limits.current_limiter tells them of it)"
        )

    def test_as_many_run_at_once_as_max_concurrency_says(self, runner: BaseRunner) -> None:
        self.shares_the_loop(runner)
        self.needs_option(runner, max_concurrency=3)
        run, _ = self.crowd(runner, "independent nodes")
        self.in_time(lambda: run(max_concurrency=3))
        assert most_inside(self.journal.lines) == 3

    @cases("limit", [1, 3])
    def test_a_nested_run_keeps_the_limit_of_the_run_around_it(
        self, runner: BaseRunner, limit: int
    ) -> None:
        graph = Graph([self.busy_node(runner, f"n{i}") for i in range(SIZE)], name="inner")
        self.refused_unless_declared(runner, graph, {"x": 1})
        self.fits_this_loop(runner)

        def nest() -> Any:
            current_limiter.set(Limiter(limit))  # as a run does that was given max_concurrency
            return call_from_sync(runner, graph, {"x": 1}, nested_context())

        assert len(self.values_of(self.in_time(nest))) == SIZE
        assert most_inside(self.journal.lines) <= limit, (
            f"{most_inside(self.journal.lines)} calls ran at once, nested in a run with "
            f"max_concurrency={limit}. Call each node in `async with leaf_call_async():`, or "
            "`with leaf_call():` if you block (hypergraph.runners)"
        )

    def test_a_limit_of_one_never_deadlocks(self, runner: BaseRunner) -> None:
        self.needs_option(runner, max_concurrency=1)
        nodes = [self.busy_node(runner, name, ready=at_once) for name in ("a", "b")]
        mapped = Graph([Graph(nodes, name="inner").as_node().map_over("x")], name="mapped")
        graph = Graph([mapped.as_node("own", runner=runner)], name="main")
        items = {"x": [[1, 2], [3, 4]]}
        rows = self.in_time(
            lambda: self.map_graph(runner, graph, items, map_over="x", max_concurrency=1)
        )
        assert rows == [{"of_a": item, "of_b": item} for item in items["x"]]

    @cases("limit", [0, -1, "many"])
    def test_a_limit_that_is_none_is_refused_before_anything_runs(
        self, runner: BaseRunner, limit: Any
    ) -> None:
        self.needs_option(runner, max_concurrency=1)
        graph = Graph([self.busy_node(runner, "n", ready=at_once)])
        with raises(InputError, TypeError, ValueError):
            self.in_time(lambda: self.run_graph(runner, graph, {"x": 1}, max_concurrency=limit))
        assert self.journal.lines == []

    # -- order -----------------------------------------------------------------------------------

    def test_the_results_of_a_map_are_in_item_order_whichever_ends_first(
        self, runner: BaseRunner
    ) -> None:
        graph, items = Graph([self.busy_node(runner, "n", next_is_out)]), range(SIZE)
        rows = self.in_time(lambda: self.map_graph(runner, graph, {"x": items}, map_over="x"))
        assert rows == [{"of_n": x} for x in items], "put each result in the place of its item"

    def test_the_lists_of_a_mapped_graph_are_in_item_order_whichever_ends_first(
        self, runner: BaseRunner
    ) -> None:
        inner = Graph([self.busy_node(runner, "n", next_is_out)], name="inner")
        graph = Graph([inner.as_node().map_over("x")])
        outputs = self.in_time(lambda: self.run_graph(runner, graph, {"x": range(SIZE)}))
        assert outputs == {"of_n": list(range(SIZE))}

    def test_outputs_are_in_the_order_of_the_graph_whichever_ends_first(
        self, runner: BaseRunner
    ) -> None:
        nodes = [
            self.busy_node(runner, f"n{i}", next_is_out).with_inputs(x=f"x{i}") for i in range(SIZE)
        ]
        graph = Graph(nodes)
        inputs = {f"x{i}": i for i in range(SIZE)}
        outputs = self.in_time(lambda: self.run_graph(runner, graph, inputs))
        assert list(outputs.items()) == [(f"of_n{i}", i) for i in range(SIZE)]

    # -- runs beside each other --------------------------------------------------------------------

    def side_by_side(
        self, runner: BaseRunner, graph: Graph, *given: tuple[dict[str, Any], dict[str, Any]]
    ) -> list[Any]:
        """Run the graph once with each of these inputs and options, all at once: in threads or tasks."""

        def all_of_them() -> Any:
            if runner.capabilities.returns_coroutine:
                calls = [partial(runner.run, graph, inputs, **options) for inputs, options in given]
                return self.in_event_loop(lambda: self.together(*calls))
            with ThreadPoolExecutor(len(given)) as pool:
                return list(pool.map(lambda one: runner.run(graph, one[0], **one[1]), given))

        return [self.values_of(result) for result in self.in_time(all_of_them)]

    def test_runs_of_one_runner_at_once_do_not_mix(self, runner: BaseRunner) -> None:
        meet = self.busy_node(runner, "meet", all_are_in)

        @node(output_name="text")
        def tell(of_meet: int, said: str) -> str:
            return f"{said} {of_meet}"

        graph = Graph([meet, tell], name="main")
        given = [{"x": x, "said": f"run {x}"} for x in range(2)]
        self.refused_unless_declared(runner, graph, given[0])
        results = self.side_by_side(runner, graph, *((inputs, {}) for inputs in given))
        assert results == [{"of_meet": x, "text": f"run {x} {x}"} for x in range(2)], (
            "keep nothing of a run on the runner: one runner serves many runs at once"
        )

    def test_a_listener_of_one_run_hears_nothing_of_another(self, runner: BaseRunner) -> None:
        self.needs_option(runner, event_processors=[])
        graph = Graph([self.busy_node(runner, "meet", all_are_in)], name="main")
        self.refused_unless_declared(runner, graph, {"x": 0})
        listeners = [Told(), Told()]
        options = [{"event_processors": [listener]} for listener in listeners]
        given = [({"x": x}, one) for x, one in enumerate(options)]
        self.side_by_side(runner, graph, *given)
        for x, told in enumerate(listeners):
            begun = [*told.of(RunStartEvent), *told.of(NodeStartEvent)]
            assert [dict(event.inputs) for event in begun] == [{"x": x}] * 2
            assert len({event.run_id for event in told.events}) == 1

    def test_a_node_may_run_a_graph_itself(self, runner: BaseRunner) -> None:
        self.stays_here(runner)
        inner = Graph([node(lambda x: x + 1, name="add", output_name="more")], name="inner")

        async def ask(x: int) -> int:
            result: int = (await runner.run(inner, {"x": x}))["more"]
            return result

        def call(x: int) -> int:
            result: int = runner.run(inner, {"x": x})["more"]
            return result

        chosen = ask if runner.capabilities.returns_coroutine else call
        graph = Graph([node(chosen, name="outer", output_name="y")], name="main")
        assert self.in_time(lambda: self.run_graph(runner, graph, {"x": 1})) == {"y": 2}
