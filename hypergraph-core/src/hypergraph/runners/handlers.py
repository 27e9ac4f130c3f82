"""Effects that every runner carries out in the same way: those that need not wait for anything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypergraph.events.dispatch import Dispatcher
from hypergraph.events.types import EVENTS, Event
from hypergraph.execution.context import Settings
from hypergraph.execution.effects import Answer, CacheFlush, CacheGet, CachePut

Handlers = dict[type, Callable[[Any], Any]]


def plain_handlers(settings: Settings) -> Handlers:
    """Return the handlers of events, if anybody listens, and of the cache, if there is one."""
    handlers: Handlers = {}
    emit, cache = settings.emit, settings.cache
    if emit is not None:
        handlers.update(dict.fromkeys(EVENTS, emit.only or emit))
    if cache is not None:
        get, put = cache.get, cache.put
        handlers[CacheGet] = lambda effect: get(effect.key)
        handlers[CachePut] = lambda effect: put(effect.key, effect.value)
        handlers[Answer] = lambda effect: effect.program.answer(effect.values, cache)
        handlers[CacheFlush] = lambda effect: cache.flush()
    return handlers


def tell_start(emit: Dispatcher, start: Event) -> None:
    """Emit the start event of a call; a bad listener is reported."""
    try:
        (emit.only or emit)(start)
    except Exception as error:
        emit.report(start, error)
