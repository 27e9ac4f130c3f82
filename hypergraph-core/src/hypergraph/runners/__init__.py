"""Runners: the contract, the strategies between them, and the registry of those installed.

Rule of this file: the registry is imported when one of its names is first read, because reading
the metadata of installed packages is of no use to a program that names its runner's class.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypergraph._deferred import lazy_module
from hypergraph.runners.base import RUNNER_API_VERSION, BaseRunner, chosen_inputs

if TYPE_CHECKING:
    from hypergraph.runners.registry import (
        RunnerInfo,
        RunnerState,
        available,
        create,
        get,
        inspect,
        refresh,
        register,
        resolve,
        supporting,
        unregister,
    )

__all__ = [
    "RUNNER_API_VERSION",
    "BaseRunner",
    "RunnerInfo",
    "RunnerState",
    "available",
    "chosen_inputs",
    "create",
    "get",
    "inspect",
    "refresh",
    "register",
    "resolve",
    "supporting",
    "unregister",
]

_HERE = {"RUNNER_API_VERSION", "BaseRunner", "chosen_inputs"}
__getattr__, __dir__ = lazy_module(
    __name__, {name: "hypergraph.runners.registry" for name in __all__ if name not in _HERE}
)
