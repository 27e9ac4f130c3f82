"""``SyncRunner``.

Rule of this file: a run that nobody observes takes the fast lane, every other one the flows. Both give
the same outputs.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any, ClassVar, Literal, Unpack, overload

from hypergraph.cache import Cache
from hypergraph.capabilities import RunnerCapabilities
from hypergraph.events.dispatch import check_processors, dispatcher
from hypergraph.events.processor import EventProcessor
from hypergraph.execution.context import Context, Scope, Settings
from hypergraph.execution.explain import CacheExplanation, explain_plan
from hypergraph.execution.flow import map_flow, run_flow, whole_run
from hypergraph.execution.lanes import item_runner, lane_fits, run_plan
from hypergraph.execution.mapping import map_names, map_rows
from hypergraph.execution.places import place_item
from hypergraph.execution.plan import Plan, plan_of
from hypergraph.graph import Graph
from hypergraph.graph.graph_node import check_map_mode, refuse_mapped_interrupts
from hypergraph.results import RunResult, new_run_id
from hypergraph.runners.base import BaseRunner, chosen_inputs
from hypergraph.runners.options import DEFAULTS, Options, RunOptions, known_inputs, read_options
from hypergraph_runner_sync.driver import drive

Outputs = dict[str, Any]
_span_ids = count(1)
MapMode = Literal["zip", "product"]


class SyncRunner(BaseRunner):
    """Runs a graph in the calling thread, node by node, and returns its outputs as a dict.

    ``cache``: where results of nodes are kept (none by default). ``event_processors`` are told of every
    event. A runner holds no state of a run: one may serve many threads.
    """

    name: ClassVar[str] = "sync"
    capabilities = RunnerCapabilities()

    def __init__(
        self, cache: Cache | None = None, event_processors: Sequence[EventProcessor] = ()
    ) -> None:
        if cache is not None and not isinstance(cache, Cache):
            raise TypeError(f"a cache has get, put and flush; {type(cache).__name__} lacks one")
        self.cache = cache
        self.event_processors = check_processors(event_processors)

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
        plan = self._accepted(graph)
        chosen = read_options(options, graph) if options else DEFAULTS
        if chosen.allow_extra:
            given = known_inputs(graph, given)
        if self.cache is None and self._unheard(chosen) and lane_fits(plan, tuple(given)):
            return chosen.narrow(run_plan(plan, given, chosen.max_iterations))
        settings = self._settings(chosen)
        scope = _top_scope(settings)
        flow = run_flow(settings, scope, plan, given)
        return chosen.narrow(drive(whole_run(settings, scope, graph.name, flow), settings))

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
        plan_of(graph)  # what is no graph is refused first
        refuse_mapped_interrupts(graph, graph.where)
        check_map_mode(map_mode, graph.where)
        if on_error not in ("raise", "return"):
            raise TypeError('on_error must be "raise" or "return"')
        plan = self._accepted(graph)
        chosen = read_options(options, graph) if options else DEFAULTS
        if chosen.allow_extra:
            given = known_inputs(graph, given)
        names = map_names(map_over, given, graph.where)
        size, rows = map_rows(names, given, map_mode, graph.where)
        keep = on_error == "return"
        if self.cache is None and self._unheard(chosen) and lane_fits(plan, tuple(given)):
            results = _map_unobserved(plan, given, names, rows, chosen.max_iterations, keep)
        else:
            settings = self._settings(chosen)
            scope = _top_scope(settings, size)
            flow = map_flow(settings, scope, plan, given, names, rows, keep)
            results = drive(whole_run(settings, scope, graph.name, flow), settings)
        if chosen.select is None:
            return results
        return [chosen.narrow(item) if isinstance(item, dict) else item for item in results]

    def explain_cache(
        self,
        graph: Graph,
        inputs: Mapping[str, Any] | None = None,
        *,
        values: Mapping[str, Any] | None = None,
    ) -> list[CacheExplanation]:
        """Say for each node of a run whether the cache would answer it, and why.

        Nothing is called. What depends on a result that is not stored is a miss that waits for it.
        Raises ``InputError`` and ``InfiniteLoopError`` as the run would.
        """
        plan = self._accepted(graph)
        return explain_plan(
            plan, chosen_inputs(inputs, values), self.cache, DEFAULTS.max_iterations
        )

    def execute(self, graph: Graph, values: Mapping[str, Any], context: Context) -> RunResult:
        """Run a nested graph for another runner; events reach the parent's listeners too."""
        plan, parent = self._accepted(graph), context.settings
        chosen = Options(session_id=parent.session_id, max_iterations=parent.limit)
        settings = self._settings(chosen, parent)
        above = context.scope
        run_id = settings.new_run_id()
        scope = Scope(run_id, settings.new_span_id(), above.parent_span_id, above.parent_run_id,
                      above.map_index, above.map_size)  # fmt: skip
        flow = run_flow(settings, scope, plan, values)
        outputs = drive(whole_run(settings, scope, graph.name, flow), settings)
        return RunResult(values=outputs, run_id=run_id)

    # -- what a run needs --------------------------------------------------------------------

    def _accepted(self, graph: Graph) -> Plan:
        """Return the plan of a graph that this runner supports."""
        plan = plan_of(graph)
        if plan.accepted_by is not self.capabilities:
            self.capabilities.validate_graph(graph, runner=type(self).__name__)
            plan.accepted_by = self.capabilities
        return plan

    def _unheard(self, options: Options) -> bool:
        return not (self.event_processors or options.event_processors)

    def _settings(self, options: Options, parent: Settings | None = None) -> Settings:
        """Return the settings of a run. One nested in another runner's tells its listeners too."""
        listeners = processors = (*self.event_processors, *options.event_processors)
        if parent is not None and parent.emit is not None:
            own = [p for p in processors if not any(p is told for told in parent.processors)]
            listeners = (*own, _Forward(parent.emit))
            processors = (*own, *parent.processors)
        return Settings(
            limit=options.max_iterations,
            clock=time.perf_counter,
            wall=time.time,
            new_run_id=new_run_id,
            new_span_id=_span_ids.__next__,
            emit=dispatcher(listeners),
            processors=processors,
            cache=self.cache,
            session_id=options.session_id,
        )


class _Forward:
    """Hands the events of a nested run to those who listen to the parent's."""

    def __init__(self, emit: Any) -> None:
        self.on_event = emit


def _top_scope(settings: Settings, size: int | None = None) -> Scope:
    return Scope(settings.new_run_id(), settings.new_span_id(), map_size=size)


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
