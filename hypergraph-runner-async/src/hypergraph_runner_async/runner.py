"""``AsyncRunner``.

Rule of this file: a run that nobody observes or keeps takes the fast lane, every other one the flows.
Both give the same outputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal, NamedTuple, Unpack, overload

import anyio
import msgspec

from hypergraph.cache import Cache
from hypergraph.capabilities import RunnerCapabilities
from hypergraph.checkpointers import Checkpointer
from hypergraph.events.processor import EventProcessor
from hypergraph.execution.answers import response_keys
from hypergraph.execution.context import Context, Scope, Settings
from hypergraph.execution.effects import Flow
from hypergraph.execution.flow import map_flow, run_flow, whole_run
from hypergraph.execution.intake import fresh_intake
from hypergraph.execution.outcome import Outcome
from hypergraph.execution.plan import Plan
from hypergraph.execution.trail import Trail
from hypergraph.execution.workflow import workflow_flow
from hypergraph.graph import Graph
from hypergraph.results import RunResult
from hypergraph.runners.base import chosen_inputs
from hypergraph.runners.clock import Clock
from hypergraph.runners.engine import (
    EngineRunner,
    check_map,
    map_items,
    narrow_items,
    nested_scope,
    top_scope,
)
from hypergraph.runners.limits import Limiter, current_limiter
from hypergraph.runners.options import Options, known_inputs
from hypergraph_runner_async.calling import Calling
from hypergraph_runner_async.driver import Driver
from hypergraph_runner_async.lane import Lane, is_chain, lane_fits
from hypergraph_runner_async.options import (
    ASYNC_DEFAULTS,
    AsyncMapOptions,
    AsyncOptions,
    AsyncRunOptions,
    read_async_options,
)
from hypergraph_runner_async.settings import AsyncSettings
from hypergraph_runner_async.stream import Channel, EventStream

Outputs = dict[str, Any]
MapMode = Literal["zip", "product"]


class _Run(NamedTuple):
    """A run that has been checked and not begun."""

    plan: Plan
    given: Mapping[str, Any]
    options: AsyncOptions


class AsyncRunner(EngineRunner):
    """Runs a graph on the event loop, asyncio's or trio's, and returns a ``RunResult`` to await.

    ``cache``: where results of nodes are kept. ``checkpointer``: where runs are kept, to be resumed in
    this process or another. ``event_processors`` are told of every event. ``sync_nodes``: where plain
    functions run, ``"inline"`` one by one on the loop, or each in a worker ``"thread"``.
    ``max_concurrency``: how many of their calls may be in flight at once in each run that does not say
    so itself. ``clock``: the time, and how to wait before a retry. A runner holds no state of a run: one
    may serve many at once.
    """

    name: ClassVar[str] = "async"
    capabilities = RunnerCapabilities(
        supports_interrupts=True,
        supports_async_nodes=True,
        supports_streaming=True,
        returns_coroutine=True,
    )
    settings_class: ClassVar[type | None] = AsyncSettings

    def __init__(
        self,
        cache: Cache | None = None,
        checkpointer: Checkpointer | None = None,
        event_processors: Sequence[EventProcessor] = (),
        sync_nodes: Literal["inline", "thread"] = "inline",
        clock: Clock | None = None,
        max_concurrency: int | None = None,
    ) -> None:
        super().__init__(cache, event_processors, clock)
        if checkpointer is not None and not isinstance(checkpointer, Checkpointer):
            raise TypeError(
                f"{type(checkpointer).__name__} is no checkpointer: it lacks one of the methods of "
                "hypergraph.checkpointers.Checkpointer"
            )
        if sync_nodes not in ("inline", "thread"):
            raise TypeError('sync_nodes must be "inline" or "thread"')
        if max_concurrency is not None and (
            type(max_concurrency) is not int or max_concurrency < 1
        ):
            raise ValueError("max_concurrency is not a positive integer")
        self.checkpointer = checkpointer
        self.sync_nodes = sync_nodes
        self.max_concurrency = max_concurrency

    # -- running -----------------------------------------------------------------------------

    async def run(
        self,
        graph: Graph,
        inputs: Mapping[str, Any] | None = None,
        *,
        values: Mapping[str, Any] | None = None,
        **options: Unpack[AsyncRunOptions],
    ) -> RunResult:
        """Run the graph once; the result holds the outputs of every node that ran, by name.

        ``inputs`` may be given as ``values`` instead; for the options see `AsyncOptions`. Raises
        ``InputError`` and its kin, ``IncompatibleRunnerError``, ``VersionMismatchError`` and
        ``WorkflowBusyError`` before anything runs, ``CheckpointError`` when a step cannot be kept,
        ``InfiniteLoopError``, ``ConflictError``, and whatever a node raises, unchanged.
        """
        run = self._checked(graph, inputs, values, options)
        if self.cache is None and self._may_hurry(run):
            plan, given, chosen = run
            limiter, token = _limited(chosen.max_concurrency)
            try:
                calling = self._calling(limiter, chosen)
                lane = Lane(calling, chosen.max_iterations)
                outcome = await lane.run(plan, given)
            finally:
                _unlimited(token)
            return _result(outcome, chosen, None)
        return await self._carried_out(run)

    def iter(
        self,
        graph: Graph,
        inputs: Mapping[str, Any] | None = None,
        *,
        values: Mapping[str, Any] | None = None,
        **options: Unpack[AsyncRunOptions],
    ) -> EventStream:
        """Run the graph once, and follow it: the stream gives its events in order.

        Takes the options of `run`. What `run` raises before anything runs is raised here, but what a
        workflow that is stored has against it: that comes with the first event.
        """
        run = self._checked(graph, inputs, values, options)
        if self.checkpointer is None:
            run.plan.schedule(tuple(fresh_intake(graph, run.given).inputs))

        async def start(channel: Channel) -> RunResult:
            return await self._carried_out(run, channel)

        return EventStream(graph, start)

    @overload
    async def map(
        self,
        graph: Graph,
        inputs: Mapping[str, Any] | None = None,
        *,
        values: Mapping[str, Any] | None = None,
        map_over: str | Sequence[str],
        map_mode: MapMode = "zip",
        on_error: Literal["raise", "group"] = "raise",
        **options: Unpack[AsyncMapOptions],
    ) -> list[Outputs]: ...
    @overload
    async def map(
        self,
        graph: Graph,
        inputs: Mapping[str, Any] | None = None,
        *,
        values: Mapping[str, Any] | None = None,
        map_over: str | Sequence[str],
        map_mode: MapMode = "zip",
        on_error: Literal["return"],
        **options: Unpack[AsyncMapOptions],
    ) -> list[Outputs | Exception]: ...
    async def map(
        self,
        graph: Graph,
        inputs: Mapping[str, Any] | None = None,
        *,
        values: Mapping[str, Any] | None = None,
        map_over: str | Sequence[str],
        map_mode: MapMode = "zip",
        **options: Any,
    ) -> Any:
        """Run the graph once per item, many at once, and return the list of outputs in item order.

        The inputs named by ``map_over`` are iterated: side by side (``"zip"``), or in all combinations,
        the first named slowest (``"product"``); the others are broadcast. The first failing item stops
        the map, its exception noting the item; with ``on_error="return"`` the exception takes the
        item's place and the rest is finished. Raises ``GraphConfigError`` for a graph with interrupts,
        and otherwise as `run`.
        """
        check_map(graph, map_mode)
        for name in ("workflow_id", "force_resume", "interrupt_handlers"):
            if name in options:
                raise TypeError(
                    f"map() takes no {name}: run() each item under a workflow_id of its own"
                )
        run = plan, given, chosen = self._checked(graph, inputs, values, options)
        names, size, rows = map_items(graph, given, map_over, map_mode)
        keep = chosen.on_error == "return"
        hurries = self.cache is None and self._may_hurry(run, mapped=True)
        width = None
        if hurries and is_chain(plan, tuple(given)):  # then as many calls are in flight as items
            width = chosen.max_concurrency
        limiter, token = _limited(chosen.max_concurrency if width is None else None)
        try:
            calling = self._calling(limiter, chosen, width)
            if hurries:
                lane = Lane(calling, chosen.max_iterations)
                results = await lane.map(plan, given, names, rows, keep)
            else:
                settings = self.settings(chosen)
                scope = top_scope(settings, size)
                flow = map_flow(settings, scope, plan, given, names, rows, keep)
                driver = self._driver(settings, calling)
                results = await driver.carry_out(whole_run(settings, scope, graph.name, flow))
        finally:
            _unlimited(token)
        return narrow_items(results, chosen)

    async def execute(self, graph: Graph, values: Mapping[str, Any], context: Context) -> RunResult:
        """Run a nested graph for another runner, as a part of its run."""
        plan, parent = self.accepted(graph), context.settings
        chosen = AsyncOptions(session_id=parent.session_id, max_iterations=parent.limit)
        settings = self.settings(chosen, parent)
        scope = nested_scope(settings, context)
        flow = whole_run(settings, scope, graph.name, run_flow(settings, scope, plan, values))
        limiter, token = _limited(self._bounded(chosen).max_concurrency)
        try:
            calling = self._calling(limiter, chosen)
            outcome: Outcome = await self._driver(settings, calling).carry_out(flow)
        finally:
            _unlimited(token)
        return outcome.result()

    # -- what a run needs --------------------------------------------------------------------

    def _checked(
        self,
        graph: Graph,
        inputs: Mapping[str, Any] | None,
        values: Mapping[str, Any] | None,
        options: Mapping[str, Any],
    ) -> _Run:
        given = chosen_inputs(inputs, values)
        plan = self.accepted(graph)
        if not options:
            return _Run(plan, given, self._bounded(ASYNC_DEFAULTS))
        chosen = read_async_options(options, graph, keeps=self.checkpointer is not None)
        if chosen.allow_extra:
            given = {**known_inputs(graph, given), **_answers(graph, given)}
        return _Run(plan, given, self._bounded(chosen))

    def _bounded(self, chosen: AsyncOptions) -> AsyncOptions:
        """Return the options with this runner's limit, unless they, or a run around it, have one."""
        if self.max_concurrency is None or chosen.max_concurrency is not None:
            return chosen
        if current_limiter.get() is not None:
            return chosen
        return replace(chosen, max_concurrency=self.max_concurrency)

    def _may_hurry(self, run: _Run, mapped: bool = False) -> bool:
        """Say whether the fast lane may take a run."""
        kept = self.checkpointer is not None or run.options.on_error == "return"
        if kept and not mapped:
            return False
        return self.unheard(run.options) and lane_fits(run.plan)

    async def _carried_out(self, run: _Run, channel: Channel | None = None) -> RunResult:
        """Carry out the flows of a run, followed through a channel or not."""
        chosen = run.options
        limiter, token = _limited(chosen.max_concurrency)
        try:
            settings = self.settings(
                chosen,
                listeners=() if channel is None else (channel,),
                checkpointer=self.checkpointer,
                handlers=chosen.interrupt_handlers or {},
                stop=None if channel is None else channel.stop,
                follows=channel is not None,
            )
            scope = top_scope(settings)
            workflow_id = chosen.workflow_id
            if self.checkpointer is not None and workflow_id is None:
                workflow_id = scope.run_id.replace("run-", "workflow-", 1)
            flow = self._flow(settings, scope, run, workflow_id)
            calling = self._calling(limiter, chosen)
            driver = self._driver(settings, calling, channel)
            flow = whole_run(settings, scope, run.plan.graph.name, flow)
            try:
                outcome = await driver.carry_out(flow)
            except GeneratorExit:
                driver.let_go()
                raise
            return _result(outcome, chosen, workflow_id)
        finally:
            _unlimited(token)

    def _flow(self, settings: Settings, scope: Scope, run: _Run, workflow_id: str | None) -> Flow:
        plan, given, chosen = run
        keeps_error = chosen.on_error == "return"
        if workflow_id is not None:
            scope = _on_trail(scope, Trail(keeps_error=keeps_error))
            return workflow_flow(settings, scope, plan, given, workflow_id, chosen.force_resume)
        graph = plan.graph
        if not (graph.has_interrupts or keeps_error or settings.stop is not None):
            return run_flow(settings, scope, plan, given)
        intake = fresh_intake(graph, given)
        scope = _on_trail(scope, Trail(keeps_error=keeps_error, answers=intake.early))
        return run_flow(settings, scope, plan, intake.inputs)

    def _calling(
        self, limiter: Limiter | None, options: AsyncOptions, width: int | None = None
    ) -> Calling:
        group = options.on_error == "group"
        return Calling(limiter, self.sync_nodes == "thread", width, group)

    def _driver(
        self, settings: Settings, calling: Calling, channel: Channel | None = None
    ) -> Driver:
        sleep = getattr(self.clock, "sleep_async", anyio.sleep)
        return Driver(settings, calling, sleep=sleep, stream=channel)


def _on_trail(scope: Scope, trail: Trail) -> Scope:
    return msgspec.structs.replace(scope, trail=trail)


def _answers(graph: Graph, given: Mapping[str, Any]) -> Outputs:
    """Return the given values that may answer an interrupt."""
    if not graph.has_interrupts:
        return {}
    keys = response_keys(graph)
    return {name: value for name, value in given.items() if name in keys}


def _limited(max_concurrency: int | None) -> Any:
    """Return the limiter of a run, which is in force until the token is given back."""
    limiter = Limiter(max_concurrency) if max_concurrency is not None else current_limiter.get()
    return limiter, current_limiter.set(limiter)


def _unlimited(token: Any) -> None:
    try:
        current_limiter.reset(token)
    except ValueError:  # a run whose event loop is gone is closed from elsewhere
        return


def _result(outcome: Outcome, options: Options, workflow_id: str | None) -> RunResult:
    result = outcome.result(workflow_id)
    return (
        result if options.select is None else replace(result, values=options.narrow(result.values))
    )
