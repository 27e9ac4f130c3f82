"""Runners: the contract, the strategies between them, and the registry of those installed.

Rule of this file: it names all that an author of runners needs. The contract is imported with it, the
rest when one of its names is first read: reading the metadata of installed packages, say, is of no use
to a program that names its runner's class.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypergraph._deferred import lazy_module
from hypergraph.runners.base import RUNNER_API_VERSION, BaseRunner, chosen_inputs

if TYPE_CHECKING:
    from hypergraph.execution.effects import Call
    from hypergraph.runners.futures import FuturesRunner
    from hypergraph.runners.nesting import leaf_call, leaf_call_async, nested_context
    from hypergraph.runners.registry import (
        RunnerInfo,
        RunnerState,
        available,
        create,
        get,
        inspect,
        refresh,
        register,
        supporting,
        unregister,
    )
    from hypergraph.runners.settings import EngineSettings, setting
    from hypergraph.runners.strategy import STRATEGIES, Strategy, call_from_async, call_from_sync

__all__ = [
    "RUNNER_API_VERSION",
    "STRATEGIES",
    "BaseRunner",
    "Call",
    "EngineSettings",
    "FuturesRunner",
    "RunnerInfo",
    "RunnerState",
    "Strategy",
    "available",
    "call_from_async",
    "call_from_sync",
    "chosen_inputs",
    "create",
    "get",
    "inspect",
    "leaf_call",
    "leaf_call_async",
    "nested_context",
    "refresh",
    "register",
    "setting",
    "supporting",
    "unregister",
]

_HOMES = {
    "hypergraph.execution.effects": "Call",
    "hypergraph.runners.futures": "FuturesRunner",
    "hypergraph.runners.nesting": "leaf_call leaf_call_async nested_context",
    "hypergraph.runners.registry": """
        RunnerInfo RunnerState available create get inspect refresh register supporting
        unregister
    """,
    "hypergraph.runners.settings": "EngineSettings setting",
    "hypergraph.runners.strategy": "STRATEGIES Strategy call_from_async call_from_sync",
}
__getattr__, __dir__ = lazy_module(
    __name__, {name: module for module, names in _HOMES.items() for name in names.split()}
)
