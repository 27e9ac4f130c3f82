"""What the runners that carry out flows have in common: how a run is prepared.

Rule of this file: everything that is decided before the first effect is decided here, once; a runner
adds how it carries out effects, and the lanes it knows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any, ClassVar, NamedTuple

from hypergraph._deferred import deferred
from hypergraph.cache import Cache
from hypergraph.capabilities import HasFeatures
from hypergraph.events.dispatch import check_processors, dispatcher
from hypergraph.events.processor import EventProcessor
from hypergraph.execution.context import Adopted, Context, Scope, Settings
from hypergraph.execution.explain import CacheExplanation, explain_plan
from hypergraph.execution.mapping import map_names, map_rows
from hypergraph.execution.plan import Plan, plan_of
from hypergraph.graph import Graph
from hypergraph.graph.graph_node import check_map_mode, refuse_mapped_interrupts
from hypergraph.hooks import Listeners, begin_run, in_force
from hypergraph.results import new_run_id
from hypergraph.runners.base import BaseRunner, chosen_inputs
from hypergraph.runners.clock import Clock, SystemClock
from hypergraph.runners.options import DEFAULTS, Options
from hypergraph.runners.settings import EngineSettings

new_random = deferred("random:random")  # needed when something is retried, and not before
new_span_id = count(1).__next__


class EngineRunner(BaseRunner):
    """Base of the runners that carry out the flows of the engine.

    ``cache``: where results of nodes are kept (none by default). ``event_processors`` are told of every
    event. ``clock``: the time, and how to wait before a retry. A runner holds no state of a run: one may
    serve many at once.
    """

    settings_class: ClassVar[type | None] = EngineSettings

    def __init__(
        self,
        cache: Cache | None = None,
        event_processors: Sequence[EventProcessor] = (),
        clock: Clock | None = None,
    ) -> None:
        if cache is not None and not isinstance(cache, Cache):
            raise TypeError(f"a cache has get, put and flush; {type(cache).__name__} lacks one")
        if clock is not None and not isinstance(clock, Clock):
            raise TypeError(
                f"a clock has monotonic, time and sleep; {type(clock).__name__} lacks one"
            )
        self.cache = cache
        self.event_processors = check_processors(event_processors)
        self.clock: Clock = clock if clock is not None else SystemClock()
        self.plugin_listeners = Listeners()

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
        plan = self.accepted(graph)
        return explain_plan(
            plan, chosen_inputs(inputs, values), self.cache, DEFAULTS.max_iterations
        )

    def accepted(self, graph: Graph) -> Plan:
        """Return the plan of a graph that is to run now, when this runner and all plugins accept it.

        Raises ``IncompatibleRunnerError``, and what a plugin raises.
        """
        plan = plan_of(graph)
        if plan.accepted_by is not self.capabilities:
            self.validate(graph)
            plan.accepted_by = self.capabilities
        if in_force.asks:
            begin_run(graph, self, self.plugin_listeners)
        return plan

    def validate(self, graph: HasFeatures) -> None:
        """Return if this runner can run the graph; raises `IncompatibleRunnerError` if not.

        Plugins are asked when a run begins.
        """
        self.capabilities.validate_graph(graph, runner=type(self).__name__)

    def unheard(self, options: Options) -> bool:
        """Say whether nobody listens to a run."""
        return not (
            self.event_processors or options.event_processors or self.plugin_listeners.heard
        )

    def settings(
        self,
        options: Options,
        parent: Settings | None = None,
        listeners: Sequence[Any] = (),
        **more: Any,
    ) -> Settings:
        """Return the settings of a run; ``listeners`` come after those that the user gave.

        One nested in another runner's tells its listeners too, and is stopped with it.
        """
        own = processors = (*self.event_processors, *options.event_processors)
        if parent is None:
            own = processors = self._with_plugins(own)
        else:
            more["checkpointer"] = parent.checkpointer  # the whole run is one workflow
            more["stop"], more["handlers"] = parent.stop, parent.handlers
            more["follows"] = parent.follows
            if parent.emit is not None:
                own = tuple(p for p in own if not any(p is told for told in parent.processors))
                processors = (*own, *parent.processors)
                own = (*own, _Forward(parent.emit))
        return Settings(
            limit=options.max_iterations,
            clock=self.clock.monotonic,
            wall=self.clock.time,
            random=new_random,
            new_run_id=new_run_id,
            new_span_id=new_span_id,
            emit=dispatcher((*own, *listeners)),
            processors=processors,
            cache=self.cache,
            session_id=options.session_id,
            **more,
        )

    def _with_plugins(self, own: tuple[EventProcessor, ...]) -> tuple[EventProcessor, ...]:
        """Return the listeners of a run with those of plugins, if they do not hear it already."""
        plugged = self.plugin_listeners.heard
        if not plugged or any(isinstance(one, Adopted) for one in own):
            return own
        return (*own, *(one for one in plugged if not any(one is told for told in own)))


class _Forward:
    """Hands the events of a nested run to those who listen to the parent's."""

    def __init__(self, emit: Any) -> None:
        self.on_event = emit


def top_scope(settings: Settings, size: int | None = None) -> Scope:
    """Return the scope of a run that is nested in none."""
    return Scope(settings.new_run_id(), settings.new_span_id(), map_size=size)


def nested_scope(settings: Settings, context: Context) -> Scope:
    """Return the scope of a run that is nested in another runner's."""
    above = context.scope
    return Scope(
        settings.new_run_id(),
        settings.new_span_id(),
        above.parent_span_id,
        above.parent_run_id,
        above.map_index,
        above.map_size,
        above.trail,
    )


# --- maps -------------------------------------------------------------------------------------


class MapItems(NamedTuple):
    """The items of a map: the names that are iterated, how many there are, and their values."""

    names: tuple[str, ...]
    size: int
    rows: Iterator[tuple[Any, ...]]


def check_map(graph: Graph, map_mode: str) -> None:
    """Refuse a graph that cannot be mapped, and a mode that is none. Raises ``GraphConfigError``."""
    plan_of(graph)  # what is no graph is refused first
    refuse_mapped_interrupts(graph, graph.where)
    check_map_mode(map_mode, graph.where)


def map_items(
    graph: Graph, given: Mapping[str, Any], map_over: str | Sequence[str], map_mode: str
) -> MapItems:
    """Return the items of a map. Raises ``InputError`` for what cannot be iterated."""
    names = map_names(map_over, given, graph.where)
    return MapItems(names, *map_rows(names, given, map_mode, graph.where))


def narrow_items(results: list[Any], options: Options) -> list[Any]:
    """Return the results of a map with the selected outputs of each; exceptions stay."""
    if options.select is None:
        return results
    return [options.narrow(item) if isinstance(item, dict) else item for item in results]
