"""Runners that block until the run is over.

Rule of this file: what ``run`` and ``map`` promise to whoever calls them; a runner adds how it carries
out a flow.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Unpack, overload

import msgspec

from hypergraph.execution.context import Context, Settings
from hypergraph.execution.effects import Flow
from hypergraph.execution.flow import map_flow, run_flow, whole_run
from hypergraph.execution.outcome import Outcome
from hypergraph.execution.plan import Plan
from hypergraph.graph import Graph
from hypergraph.results import RunResult
from hypergraph.runners.base import chosen_inputs
from hypergraph.runners.engine import (
    EngineRunner,
    MapItems,
    check_map,
    map_items,
    narrow_items,
    nested_scope,
    top_scope,
)
from hypergraph.runners.options import DEFAULTS, Options, RunOptions, known_inputs, read_options

Outputs = dict[str, Any]
MapMode = Literal["zip", "product"]
_Checked = tuple[Plan, Mapping[str, Any], Options]


class BlockingRunner(EngineRunner):
    """Base of the runners that return a dict of outputs.

    ``cache``: where results of nodes are kept (none by default). ``event_processors`` are told of every
    event. ``clock``: the time, and how to wait before a retry. A runner holds no state of a run: one may
    serve many threads.
    """

    @abstractmethod
    def carry_out(self, flow: Flow, settings: Settings, *, nested: bool = False) -> Any:
        """Carry out a flow to its end and return its result. Exceptions leave as they are.

        ``nested``: on behalf of another run, whose limit and cancellation stand in the context.
        """

    def run(
        self,
        graph: Graph,
        inputs: Mapping[str, Any] | None = None,
        *,
        values: Mapping[str, Any] | None = None,
        **options: Unpack[RunOptions],
    ) -> Outputs:
        """Run the graph once and return the outputs of every node that ran, by name.

        ``inputs`` may be given as ``values`` instead; for the options see ``Options``. Raises
        ``InputError`` and its kin and ``IncompatibleRunnerError`` before anything runs,
        ``InfiniteLoopError``, ``ConflictError``, and whatever a node raises, unchanged.
        """
        plan, given, chosen = self._checked(graph, inputs, values, options)
        return chosen.narrow(self._run(plan, given, chosen))

    @overload
    def map(
        self,
        graph: Graph,
        inputs: Mapping[str, Any] | None = None,
        *,
        values: Mapping[str, Any] | None = None,
        map_over: str | Sequence[str],
        map_mode: MapMode = "zip",
        on_error: Literal["raise"] = "raise",
        **options: Unpack[RunOptions],
    ) -> list[Outputs]: ...
    @overload
    def map(
        self,
        graph: Graph,
        inputs: Mapping[str, Any] | None = None,
        *,
        values: Mapping[str, Any] | None = None,
        map_over: str | Sequence[str],
        map_mode: MapMode = "zip",
        on_error: Literal["return"],
        **options: Unpack[RunOptions],
    ) -> list[Outputs | Exception]: ...
    def map(
        self,
        graph: Graph,
        inputs: Mapping[str, Any] | None = None,
        *,
        values: Mapping[str, Any] | None = None,
        map_over: str | Sequence[str],
        map_mode: MapMode = "zip",
        on_error: Literal["raise", "return"] = "raise",
        **options: Unpack[RunOptions],
    ) -> Any:
        """Run the graph once per item and return the list of outputs, in item order.

        The inputs named by ``map_over`` are iterated: side by side (``"zip"``), or in all combinations,
        the first named slowest (``"product"``); the others are broadcast. The first failing item stops
        the map, its exception noting the item; with ``on_error="return"`` the exception takes the
        item's place and the rest is finished. Raises ``GraphConfigError`` for a graph with interrupts,
        and otherwise as ``run``.
        """
        check_map(graph, map_mode)
        if on_error not in ("raise", "return"):
            raise TypeError('on_error must be "raise" or "return"')
        checked = _, given, chosen = self._checked(graph, inputs, values, options)
        items = map_items(graph, given, map_over, map_mode)
        return narrow_items(self._map(*checked, items, on_error == "return"), chosen)

    def execute(self, graph: Graph, values: Mapping[str, Any], context: Context) -> RunResult:
        """Run a nested graph for another runner; events reach the parent's listeners too."""
        plan, parent = self.accepted(graph), context.settings
        chosen = Options(session_id=parent.session_id, max_iterations=parent.limit)
        settings = self.settings(chosen, parent)
        scope = nested_scope(settings, context)
        if scope.trail is not None:  # what is kept of this graph, its node keeps
            trail = msgspec.structs.replace(scope.trail, journal=None, earlier=None)
            scope = msgspec.structs.replace(scope, trail=trail)
        flow = run_flow(settings, scope, plan, values)
        flow = whole_run(settings, scope, graph.name, flow)
        outcome: Outcome = self.carry_out(flow, settings, nested=True)
        return outcome.result()

    # -- how it is done ----------------------------------------------------------------------

    def _checked(
        self,
        graph: Graph,
        inputs: Mapping[str, Any] | None,
        values: Mapping[str, Any] | None,
        options: Mapping[str, Any],
    ) -> _Checked:
        given = chosen_inputs(inputs, values)
        plan = self.accepted(graph)
        chosen = read_options(options, graph) if options else DEFAULTS
        if chosen.allow_extra:
            given = known_inputs(graph, given)
        return plan, given, chosen

    def _run(self, plan: Plan, given: Mapping[str, Any], chosen: Options) -> Outputs:
        """Return the outputs of a run that has been checked."""
        settings = self.settings(chosen)
        scope = top_scope(settings)
        flow = run_flow(settings, scope, plan, given)
        flow = whole_run(settings, scope, plan.graph.name, flow)
        outcome: Outcome = self.carry_out(flow, settings)
        return outcome.values

    def _map(
        self,
        plan: Plan,
        given: Mapping[str, Any],
        chosen: Options,
        items: MapItems,
        keep_errors: bool,
    ) -> list[Outputs | Exception]:
        """Return the outputs of each item of a map that has been checked."""
        settings = self.settings(chosen)
        scope = top_scope(settings, items.size)
        flow = map_flow(settings, scope, plan, given, items.names, items.rows, keep_errors)
        flow = whole_run(settings, scope, plan.graph.name, flow)
        results: list[Outputs | Exception] = self.carry_out(flow, settings)
        return results
