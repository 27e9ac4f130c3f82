"""``SyncRunner``.

Rule of this file: a run that nobody observes takes the fast lane, every other one the flows. Both give
the same outputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from hypergraph.capabilities import RunnerCapabilities
from hypergraph.execution.context import Settings
from hypergraph.execution.effects import Flow
from hypergraph.execution.lanes import item_runner, lane_fits, run_plan
from hypergraph.execution.places import place_item
from hypergraph.execution.plan import Plan
from hypergraph.runners.blocking import BlockingRunner, Outputs
from hypergraph.runners.cancellation import current_cancellation
from hypergraph.runners.engine import MapItems
from hypergraph.runners.limits import current_limiter
from hypergraph.runners.options import Options
from hypergraph_runner_sync.driver import carry_out


class SyncRunner(BlockingRunner):
    """Runs a graph in the calling thread, node by node, and returns its outputs as a dict.

    ``cache``: where results of nodes are kept (none by default). ``event_processors`` are told of every
    event. ``clock``: the time, and how to wait before a retry. A runner holds no state of a run: one may
    serve many threads.
    """

    name: ClassVar[str] = "sync"
    capabilities = RunnerCapabilities()

    def carry_out(self, flow: Flow, settings: Settings, *, nested: bool = False) -> Any:
        """Carry out a flow in this thread."""
        if not nested:
            return carry_out(flow, settings, self.clock)
        return carry_out(
            flow, settings, self.clock, current_limiter.get(), current_cancellation.get()
        )

    def _run(self, plan: Plan, given: Mapping[str, Any], chosen: Options) -> Outputs:
        if self._may_hurry(plan, given, chosen):
            return run_plan(plan, given, chosen.max_iterations)
        return super()._run(plan, given, chosen)

    def _map(
        self,
        plan: Plan,
        given: Mapping[str, Any],
        chosen: Options,
        items: MapItems,
        keep_errors: bool,
    ) -> list[Outputs | Exception]:
        if self._may_hurry(plan, given, chosen):
            return _map_unobserved(plan, given, items, chosen.max_iterations, keep_errors)
        return super()._map(plan, given, chosen, items, keep_errors)

    def _may_hurry(self, plan: Plan, given: Mapping[str, Any], chosen: Options) -> bool:
        return self.cache is None and self.unheard(chosen) and lane_fits(plan, tuple(given))


def _map_unobserved(
    plan: Plan, inputs: Mapping[str, Any], items: MapItems, limit: int, keep_errors: bool
) -> list[Outputs | Exception]:
    run = item_runner(plan, inputs, items.names, limit)
    results: list[Outputs | Exception] = []
    for index, row in enumerate(items.rows):
        try:
            results.append(run(row))
        except Exception as error:
            place_item(error, index, plan.graph.name, inputs)
            if not keep_errors:
                raise
            results.append(error)
    return results
