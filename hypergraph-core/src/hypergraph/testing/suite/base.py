"""What all tests of the kit stand on: running a graph on any kind of runner, and refusals.

Rule of this file: a declared capability is tested, an undeclared one must be refused; every failure
says what the runner did and what it should have done.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any

import pytest

from hypergraph.errors import IncompatibleRunnerError
from hypergraph.graph import Graph
from hypergraph.runners.base import BaseRunner
from hypergraph.testing.asynchrony import step_aside


class SuiteBase:
    """Helpers. Override `values_of` or `rows_of` for a runner with results of its own kind."""

    @pytest.fixture
    def runner(self) -> BaseRunner:
        """Return the runner under test."""
        pytest.fail(
            f"{type(self).__name__} has no runner to test. Give it a fixture:\n"
            "    @pytest.fixture\n    def runner(self): return MyRunner()"
        )

    # -- running -----------------------------------------------------------------------------

    def run_graph(
        self, runner: BaseRunner, graph: Graph, inputs: Any = None, **options: Any
    ) -> dict[str, Any]:
        """Run the graph and return its outputs, whatever kind of runner it is.

        A runner that does not declare what the graph needs must refuse it; the test ends there.
        """
        self.refused_unless_declared(runner, graph, inputs)
        return self.values_of(self._called(runner, runner.run, graph, inputs, options))

    def map_graph(
        self, runner: BaseRunner, graph: Graph, inputs: Any = None, **options: Any
    ) -> list[Any]:
        """Map the graph and return one dict of outputs (or one exception) per item."""
        self.refused_unless_declared(runner, graph, inputs)
        return self.rows_of(self._called(runner, runner.map, graph, inputs, options))

    def refused_unless_declared(self, runner: BaseRunner, graph: Graph, inputs: Any = None) -> None:
        """Return if the runner declares all the graph needs; else see that it refuses, and skip."""
        missing = runner.capabilities.unsupported(graph.features)
        if missing is None:
            return
        capability = f"{type(runner).__name__} does not declare {missing.capability}"
        try:
            result = self._called(runner, runner.run, graph, inputs, {})
        except IncompatibleRunnerError as error:
            if error.feature != missing.name:
                pytest.fail(f"{capability}, and refused the graph for its {error.feature!r}.")
            pytest.skip(f"{capability}; it refuses such a graph, as it should")
        except Exception as error:
            pytest.fail(
                f"{capability}, so it must refuse a graph with {missing.words} by "
                f"IncompatibleRunnerError, before anything runs. It raised {type(error).__name__}: "
                f"{error}\nCall self.validate(graph) first in run() and map()."
            )
        pytest.fail(
            f"{capability}, so it must refuse a graph with {missing.words} by "
            f"IncompatibleRunnerError. It ran it and returned a {type(result).__name__}.\n"
            f"Call self.validate(graph) first in run() and map(), or declare the capability."
        )

    def _called(
        self,
        runner: BaseRunner,
        method: Callable[..., Any],
        graph: Graph,
        inputs: Any,
        options: dict[str, Any],
    ) -> Any:
        if not runner.capabilities.returns_coroutine:
            result = method(graph, inputs, **options)
            if inspect.iscoroutine(result):
                result.close()
                pytest.fail(
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
        return asyncio.run(main())

    async def pause(self) -> None:
        """Let others run for one turn of the event loop."""
        await step_aside()

    # -- results -----------------------------------------------------------------------------

    def values_of(self, result: Any) -> dict[str, Any]:
        """Return the outputs in what ``run()`` gave: a mapping, or something with ``values``."""
        values = result if isinstance(result, Mapping) else result.values
        assert isinstance(values, Mapping), (
            f"run() must give a mapping of outputs or a RunResult, not a {type(result).__name__}"
        )
        return dict(values)

    def rows_of(self, results: Iterable[Any]) -> list[Any]:
        """Return the outputs of each item in what ``map()`` gave, exceptions left as they are."""
        return [r if isinstance(r, BaseException) else self.values_of(r) for r in results]


def notes_of(error: BaseException) -> list[str]:
    """Return the notes that hypergraph added to an exception."""
    notes = getattr(error, "__notes__", [])
    return [note for note in notes if note.startswith("hypergraph:")]
