"""What all tests of the kit stand on: running a graph on any kind of runner, and refusals.

Rule of this file: a declared capability is tested, an undeclared one must be refused; every failure
says what the runner did and what it should have done.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any

from hypergraph.capabilities import Feature
from hypergraph.errors import IncompatibleRunnerError
from hypergraph.graph import Graph, GraphNode
from hypergraph.runners.base import BaseRunner
from hypergraph.testing.asynchrony import step_aside
from hypergraph.testing.crash import Executions
from hypergraph.testing.kit import Rules, fail, skip


class RunnerRules(Rules):
    """Helpers. Override `values_of` or `rows_of` for a runner with results of its own kind.

    ``make`` makes another runner like the one under test, where that is known; ``registered`` is the
    name of its entry point, if it has one; ``gave`` is what the last run or map of the rule gave.
    """

    make: Callable[[], BaseRunner] | None = None
    registered: str | None = None
    gave: Any = None

    # -- running -----------------------------------------------------------------------------

    def run_graph(
        self, runner: BaseRunner, graph: Graph, inputs: Any = None, **options: Any
    ) -> dict[str, Any]:
        """Run the graph and return its outputs, whatever kind of runner it is.

        A runner that does not declare what the graph needs must refuse it; the test ends there.
        """
        self.refused_unless_declared(runner, graph, inputs)
        self.gave = self.called(runner, runner.run, graph, inputs, **options)
        return self.values_of(self.gave)

    def map_graph(
        self, runner: BaseRunner, graph: Graph, inputs: Any = None, **options: Any
    ) -> list[Any]:
        """Map the graph and return one dict of outputs (or one exception) per item."""
        self.refused_unless_declared(runner, graph, inputs)
        self.gave = self.called(runner, runner.map, graph, inputs, **options)
        return self.rows_of(self.gave)

    def refused_unless_declared(self, runner: BaseRunner, graph: Graph, inputs: Any = None) -> None:
        """Return if the runner declares all the graph needs; else see that it refuses, and skip."""
        missing = runner.capabilities.unsupported(graph.features)
        if missing is None:
            return
        capability = f"{type(runner).__name__} does not declare {missing.capability}"
        try:
            result = self.called(runner, runner.run, graph, inputs)
        except IncompatibleRunnerError as error:
            self.names_a_node(error, graph, missing)
            skip(f"{capability}; it refuses such a graph, as it should")
        except Exception as error:
            fail(
                f"{capability}, so it must refuse a graph with {missing.words} by "
                f"IncompatibleRunnerError, before anything runs. It raised {type(error).__name__}: "
                f"{error}\nCall self.validate(graph) first in run() and map()."
            )
        fail(
            f"{capability}, so it must refuse a graph with {missing.words} by "
            f"IncompatibleRunnerError. It ran it and returned a {type(result).__name__}.\n"
            f"Call self.validate(graph) first in run() and map(), or declare the capability."
        )

    def names_a_node(self, error: IncompatibleRunnerError, graph: Graph, missing: Feature) -> None:
        """Return if a refusal is about the missing feature, and names a node of the graph."""
        if error.feature != missing.name:
            fail(
                f"A graph with {missing.words} was refused for its {error.feature!r}: let feature= of "
                f"the IncompatibleRunnerError be {missing.name!r}, or call self.validate(graph)."
            )
        if not _is_node(graph, error.node) or repr(error.node) not in str(error):
            needs = getattr(graph.features, missing.name)
            fail(
                f"A graph with {missing.words} was refused without naming a node that needs them, such "
                f"as {needs!r}, in node= and in the text: {error}\nCall self.validate(graph)."
            )

    def called(
        self,
        runner: BaseRunner,
        method: Callable[..., Any],
        graph: Graph,
        inputs: Any = None,
        **options: Any,
    ) -> Any:
        """Return what ``runner.run`` or ``runner.map`` gives, awaited if it has to be."""
        if not runner.capabilities.returns_coroutine:
            result = method(graph, inputs, **options)
            if inspect.iscoroutine(result):
                result.close()
                fail(
                    f"{type(runner).__name__}.{method.__name__}() returned a coroutine. "
                    "Declare returns_coroutine=True."
                )
            return result

        async def awaited() -> Any:
            return await method(graph, inputs, **options)

        return self.in_event_loop(awaited)

    def in_event_loop(self, main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """Run a coroutine function in an event loop, and return its result.

        Override it, and `pause`, for a runner that needs another loop than asyncio's.
        """

        async def alone() -> Any:
            try:
                return await main()
            finally:
                await _no_task_is_left()

        return asyncio.run(alone())

    async def pause(self) -> None:
        """Let others run for one turn of the event loop."""
        await step_aside()

    def fits_this_loop(self, runner: BaseRunner) -> None:
        """Return if a runner that needs asyncio can run here; else skip."""
        if (
            runner.capabilities.returns_coroutine
            and type(self).in_event_loop is not RunnerRules.in_event_loop
        ):
            skip("the runner is tested on another event loop than asyncio's")

    # -- what can be asked of a runner ---------------------------------------------------------

    def stays_here(self, runner: BaseRunner) -> None:
        """Return if nodes run in the process of the caller; else skip."""
        if runner.capabilities.supports_distributed:
            skip(f"{type(runner).__name__} may run nodes in other processes: supports_distributed")

    # -- what nodes did ------------------------------------------------------------------------

    def watched(self, graph: Graph) -> Graph:
        """Return the same graph; from now on `calls` knows every call, wherever it is made."""
        return Executions(self.tmp / "calls").watch(graph)

    @property
    def calls(self) -> list[str]:
        """The paths of the nodes that were called in watched graphs, in order."""
        return Executions(self.tmp / "calls").calls

    # -- results -----------------------------------------------------------------------------

    def values_of(self, result: Any) -> dict[str, Any]:
        """Return the outputs in what ``run()`` gave: a mapping, or something with ``values``."""
        values = result if isinstance(result, Mapping) else getattr(result, "values", None)
        if not isinstance(values, Mapping):
            kind = type(result).__name__
            fail(f"run() must give a mapping of outputs or a RunResult; it gave an object: {kind}")
        return dict(values)

    def rows_of(self, results: Iterable[Any]) -> list[Any]:
        """Return the outputs of each item in what ``map()`` gave, exceptions left as they are."""
        return [r if isinstance(r, BaseException) else self.values_of(r) for r in results]


def _is_node(graph: Graph, path: str) -> bool:
    first, _, rest = path.partition("/")
    node = graph.nodes.get(first)
    if not rest:
        return node is not None
    return isinstance(node, GraphNode) and _is_node(node.graph, rest)


async def _no_task_is_left() -> None:
    """Return if this task is the only one; those that are about to end are given a moment."""
    left = asyncio.all_tasks()
    for _ in range(10):
        left = asyncio.all_tasks() - {asyncio.current_task()}
        if not left:
            return
        await asyncio.sleep(0)
    names = ", ".join(sorted(getattr(task.get_coro(), "__qualname__", "?") for task in left))
    fail(
        f"{len(left)} asyncio tasks were left behind by what has returned: {names}.\n"
        "Await every task that the runner starts, or cancel it and await that."
    )


def notes_of(error: BaseException) -> list[str]:
    """Return the notes that hypergraph added to an exception."""
    notes = getattr(error, "__notes__", [])
    return [note for note in notes if note.startswith("hypergraph:")]
