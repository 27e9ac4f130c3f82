"""Graphs of plain functions, run by interchangeable runners.

Rule of this file: it names everything public and imports nothing; the module of a name is imported
when the name is first read. `_HOMES` says which module that is, the block above it says the same to
type checkers, and a test holds the two together.

The runners and `DiskCache` are there if they are installed. ``__all__`` leaves them out, so that
what ``import *`` brings does not depend on it, and the built-in ``dir`` shows those that are there.
One that is missing raises an ``ImportError`` with the command that installs it.
"""

from typing import TYPE_CHECKING, Any, TypeAlias

from hypergraph._deferred import deferred, lazy_module

if TYPE_CHECKING:
    from hypergraph.cache import MemoryCache
    from hypergraph.cache.disk import DiskCache as DiskCache
    from hypergraph.capabilities import RunnerCapabilities
    from hypergraph.config import load_runner, run
    from hypergraph.errors import (
        AmbiguousRunnerError as AmbiguousRunnerError,
        AnswerError as AnswerError,
        BrokenRunnerError as BrokenRunnerError,
        CacheError as CacheError,
        CheckpointError as CheckpointError,
        ConfigError as ConfigError,
        ConflictError as ConflictError,
        GraphConfigError as GraphConfigError,
        HypergraphError as HypergraphError,
        HypergraphWarning as HypergraphWarning,
        IncompatibleRunnerError as IncompatibleRunnerError,
        InfiniteLoopError as InfiniteLoopError,
        InputError as InputError,
        InvalidSignatureError as InvalidSignatureError,
        KeyFileError as KeyFileError,
        MissingExtraError as MissingExtraError,
        MissingInputError as MissingInputError,
        MissingOutputError as MissingOutputError,
        NodeTimeoutError as NodeTimeoutError,
        OutputCountError as OutputCountError,
        PluginError as PluginError,
        RouteError as RouteError,
        RunnerAPIError as RunnerAPIError,
        RunnerError as RunnerError,
        RunnerNotFoundError as RunnerNotFoundError,
        RunnerNotInstalledError as RunnerNotInstalledError,
        UncacheableValueError as UncacheableValueError,
        UnkeyableError as UnkeyableError,
        UnknownInputError as UnknownInputError,
        UnstorableValueError as UnstorableValueError,
        VersionMismatchError as VersionMismatchError,
        WorkflowBusyError as WorkflowBusyError,
        WorkflowNotFoundError as WorkflowNotFoundError,
    )
    from hypergraph.events import (
        CacheErrorEvent as CacheErrorEvent,
        CacheHitEvent as CacheHitEvent,
        Event as Event,
        EventProcessor as EventProcessor,
        InterruptEvent as InterruptEvent,
        NodeEndEvent as NodeEndEvent,
        NodeErrorEvent as NodeErrorEvent,
        NodeRetryEvent as NodeRetryEvent,
        NodeStartEvent as NodeStartEvent,
        RouteDecisionEvent as RouteDecisionEvent,
        RunEndEvent as RunEndEvent,
        RunStartEvent as RunStartEvent,
        StreamingChunkEvent as StreamingChunkEvent,
        TypedEventProcessor as TypedEventProcessor,
    )
    from hypergraph.graph import Graph, GraphNode
    from hypergraph.nodes import (
        END,
        BranchNode,
        FunctionNode,
        GateNode,
        HyperNode,
        InterruptNode,
        RouteNode,
        TypeRouteNode,
        branch,
        node,
        route,
    )
    from hypergraph.nodes.policy import RetryPolicy
    from hypergraph.results import PauseInfo, PauseReason, RunResult, RunStatus
    from hypergraph.runners import BaseRunner
    from hypergraph_runner_async import AsyncRunner as _AsyncRunner
    from hypergraph_runner_sync import SyncRunner as _SyncRunner

    # As aliases the names stay there when the package is not: a class that a type checker cannot
    # know, which fits everywhere. Imported under their own names they would be errors to pyright.
    AsyncRunner: TypeAlias = _AsyncRunner
    SyncRunner: TypeAlias = _SyncRunner
    DaftRunner: type[BaseRunner]
    DBOSAsyncRunner: type[BaseRunner]
    __version__: str

__all__ = [
    "END",
    "BaseRunner",
    "BranchNode",
    "FunctionNode",
    "GateNode",
    "Graph",
    "GraphNode",
    "HyperNode",
    "InterruptNode",
    "MemoryCache",
    "PauseInfo",
    "PauseReason",
    "RetryPolicy",
    "RouteNode",
    "RunResult",
    "RunStatus",
    "RunnerCapabilities",
    "TypeRouteNode",
    "branch",
    "load_runner",
    "node",
    "route",
    "run",
]

_HOMES = {
    "hypergraph.cache": "MemoryCache",
    "hypergraph.cache.disk": "DiskCache",
    "hypergraph.capabilities": "RunnerCapabilities",
    "hypergraph.config": "load_runner run",
    "hypergraph.errors": """
        AmbiguousRunnerError AnswerError BrokenRunnerError CacheError CheckpointError
        ConfigError ConflictError GraphConfigError HypergraphError HypergraphWarning
        IncompatibleRunnerError InfiniteLoopError InputError
        InvalidSignatureError KeyFileError MissingExtraError MissingInputError MissingOutputError
        NodeTimeoutError OutputCountError PluginError RouteError RunnerAPIError RunnerError
        RunnerNotFoundError RunnerNotInstalledError UncacheableValueError
        UnkeyableError UnknownInputError UnstorableValueError
        VersionMismatchError WorkflowBusyError WorkflowNotFoundError
    """,
    "hypergraph.events": """
        CacheErrorEvent CacheHitEvent Event EventProcessor InterruptEvent NodeEndEvent
        NodeErrorEvent NodeRetryEvent NodeStartEvent RouteDecisionEvent RunEndEvent RunStartEvent
        StreamingChunkEvent TypedEventProcessor
    """,
    "hypergraph.graph": "Graph GraphNode",
    "hypergraph.nodes": """
        END BranchNode FunctionNode GateNode HyperNode InterruptNode RouteNode
        TypeRouteNode branch node route
    """,
    "hypergraph.nodes.policy": "RetryPolicy",
    "hypergraph.results": "PauseInfo PauseReason RunResult RunStatus",
    "hypergraph.runners": "BaseRunner",
}
_RUNNERS = {
    "AsyncRunner": "async",
    "DBOSAsyncRunner": "dbos",
    "DaftRunner": "daft",
    "SyncRunner": "sync",
}

_runner = deferred("hypergraph.runners.registry:get")
_installed_runners = deferred("hypergraph.runners.registry:available")
_import_module = deferred("importlib:import_module")
_find_spec = deferred("importlib.util:find_spec")
_installed_version = deferred("importlib.metadata:version")
_read, _directory = lazy_module(
    __name__, {name: module for module, names in _HOMES.items() for name in names.split()}
)

if not TYPE_CHECKING:  # or a type checker would believe in every name

    def __getattr__(name: str) -> Any:
        if name in _RUNNERS:
            return _runner(_RUNNERS[name])
        if name == "__version__":
            return _installed_version("hypergraph-core")
        if f"hypergraph.{name}" in _HOMES:
            return _import_module(f"hypergraph.{name}")
        return _read(name)


def __dir__() -> list[str]:
    installed = _installed_runners()
    missing = {name for name, registered in _RUNNERS.items() if registered not in installed}
    if _find_spec("diskcache") is None:
        missing.add("DiskCache")
    return sorted({*_directory(), *_RUNNERS, "__version__"} - missing)
