"""``SyncRunner``.

Rule of this file: a run that nobody observes takes the fast lane, every other one the flows. Both give
the same outputs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, Unpack, overload

import msgspec

from hypergraph.capabilities import RunnerCapabilities
from hypergraph.execution.context import Context
from hypergraph.execution.flow import map_flow, run_flow, whole_run
from hypergraph.execution.lanes import item_runner, lane_fits, run_plan
from hypergraph.execution.outcome import Outcome
from hypergraph.execution.places import place_item
from hypergraph.execution.plan import Plan
from hypergraph.graph import Graph
from hypergraph.results import RunResult
from hypergraph.runners.base import chosen_inputs
from hypergraph.runners.engine import (
    EngineRunner,
    check_map,
    map_items,
    narrow_items,
    nested_scope,
    top_scope,
)
from hypergraph.runners.limits import current_limiter
from hypergraph.runners.options import DEFAULTS, Options, RunOptions, known_inputs, read_options
from hypergraph_runner_sync.driver import carry_out

Outputs = dict[str, Any]
MapMode = Literal["zip", "product"]


class SyncRunner(EngineRunner):
    """Runs a graph in the calling thread, node by node, and returns its outputs as a dict.

    ``cache``: where results of nodes are kept (none by default). ``event_processors`` are told of every
    event. ``clock``: the time, and how to wait before a retry. A runner holds no state of a run: one may
    serve many threads.
    """

    name: ClassVar[str] = "sync"
    capabilities = RunnerCapabilities()

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
        given = chosen_inputs(inputs, values)
        plan = self.accepted(graph)
        chosen = read_options(options, graph) if options else DEFAULTS
        if chosen.allow_extra:
            given = known_inputs(graph, given)
        if self.cache is None and self.unheard(chosen) and lane_fits(plan, tuple(given)):
            return chosen.narrow(run_plan(plan, given, chosen.max_iterations))
        settings = self.settings(chosen)
        scope = top_scope(settings)
        flow = run_flow(settings, scope, plan, given)
        flow = whole_run(settings, scope, graph.name, flow)
        return chosen.narrow(carry_out(flow, settings, self.clock.sleep).values)

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
        given = chosen_inputs(inputs, values)
        check_map(graph, map_mode)
        if on_error not in ("raise", "return"):
            raise TypeError('on_error must be "raise" or "return"')
        plan = self.accepted(graph)
        chosen = read_options(options, graph) if options else DEFAULTS
        if chosen.allow_extra:
            given = known_inputs(graph, given)
        names, size, rows = map_items(graph, given, map_over, map_mode)
        keep = on_error == "return"
        if self.cache is None and self.unheard(chosen) and lane_fits(plan, tuple(given)):
            results = _map_unobserved(plan, given, names, rows, chosen.max_iterations, keep)
        else:
            settings = self.settings(chosen)
            scope = top_scope(settings, size)
            flow = map_flow(settings, scope, plan, given, names, rows, keep)
            flow = whole_run(settings, scope, graph.name, flow)
            results = carry_out(flow, settings, self.clock.sleep)
        return narrow_items(results, chosen)

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
        limiter = current_limiter.get()
        outcome: Outcome = carry_out(flow, settings, self.clock.sleep, limiter)
        return outcome.result()


def _map_unobserved(
    plan: Plan,
    inputs: Mapping[str, Any],
    names: tuple[str, ...],
    rows: Iterator[tuple[Any, ...]],
    limit: int,
    keep_errors: bool,
) -> list[Outputs | Exception]:
    run = item_runner(plan, inputs, names, limit)
    results: list[Outputs | Exception] = []
    for index, row in enumerate(rows):
        try:
            results.append(run(row))
        except Exception as error:
            place_item(error, index, plan.graph.name, inputs)
            if not keep_errors:
                raise
            results.append(error)
    return results
