"""A call that may be answered by the cache.

Rule of this file: a cache never fails or falsifies a run. Whatever goes wrong with it is a miss, an
event, and for inputs that cannot be keyed one warning that names node and input.
"""

from __future__ import annotations

import warnings
from typing import Any

from hypergraph.cache.base import MISS
from hypergraph.errors import (
    HypergraphError,
    HypergraphWarning,
    UncacheableValueError,
    UnkeyableError,
)
from hypergraph.events.types import CacheErrorEvent, CacheHitEvent
from hypergraph.execution.context import Scope, Settings
from hypergraph.execution.effects import CacheGet, CachePut, Call, Flow
from hypergraph.execution.keys import call_key
from hypergraph.nodes import CallableNode


def look_up(settings: Settings, scope: Scope, graph_name: str | None, call: Call) -> Flow:
    """Look a call up; returns its value or ``MISS``, and the key to store it under or ``None``."""
    node, key = call.node, None
    value: Any = MISS
    try:
        key = call_key(node, call.inputs)
        value = yield CacheGet(key)
    except UnkeyableError as error:
        warn_once(settings, node, error)
        yield from report_failure(settings, scope, graph_name, node, "key", error)
    except Exception as error:
        yield from report_failure(settings, scope, graph_name, node, "get", error)
    if value is MISS:
        return value, key
    if settings.emit is not None:
        now = settings.clock()
        yield CacheHitEvent(*scope.ids, now, node.name, graph_name, str(key))
    return value, None


def store(
    settings: Settings,
    scope: Scope,
    graph_name: str | None,
    node: CallableNode,
    key: str,
    value: Any,
) -> Flow:
    """Put the value of a call into the cache, which may refuse it."""
    try:
        if reads_once(value) or (type(value) is tuple and any(map(reads_once, value))):
            raise UncacheableValueError(
                "What can be read only once is not kept.", where="its result"
            )
        yield CachePut(key, value)
    except UncacheableValueError as error:
        warn_once(settings, node, error)
        yield from report_failure(settings, scope, graph_name, node, "put", error)
    except Exception as error:
        yield from report_failure(settings, scope, graph_name, node, "put", error)


def reads_once(value: Any) -> bool:
    """Say whether a value is an iterator, which its first reader uses up."""
    return hasattr(type(value), "__next__")


def report_failure(
    settings: Settings,
    scope: Scope,
    graph_name: str | None,
    node: CallableNode | None,
    operation: str,
    error: Exception,
) -> Flow:
    """Tell that the cache failed: an event each time, and one warning per run and operation."""
    if settings.emit is not None:
        name = node.name if node is not None else None
        yield CacheErrorEvent(*scope.ids, settings.clock(), name, graph_name, operation, error)
    if operation != "key" and not isinstance(error, UncacheableValueError):
        _warn(
            settings,
            ("cache", operation),
            f"{type(settings.cache).__name__} failed to {operation} ({type(error).__name__}); the run "
            "goes on without it.",
        )


def warn_once(settings: Settings, node: CallableNode, error: HypergraphError) -> None:
    """Warn once per run, node and input. ``error.where`` says which input."""
    about = (node.name, error.where)
    _warn(settings, about, f"Node {node.name!r} is not cached: {error.what} ({error.where})")


def _warn(settings: Settings, about: tuple[str, str], message: str) -> None:
    if about not in settings.warned:
        settings.warned.add(about)
        warnings.warn(message, HypergraphWarning, stacklevel=3)
