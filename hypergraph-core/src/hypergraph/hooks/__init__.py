"""Plugins: what others add to hypergraph, by functions named ``hypergraph_...``.

Rule of this file: a program without plugins pays for one attribute per run, `in_force`. What knows
pluggy, in `plugins`, is imported when a plugin is installed or registered.

Plugins come from entry points (group ``hypergraph.plugins``) and from `register`. Those that are
installed are loaded once, when a run, the command line or the configuration first asks. One that is
broken is warned of, and harms nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypergraph._deferred import lazy_module
from hypergraph.hooks.asking import (
    begin_run,
    cache_keys,
    cli_commands,
    configure,
    part_of_a_run,
)
from hypergraph.hooks.state import (
    GROUP,
    IN_PROCESS,
    VARIABLE,
    Command,
    Listeners,
    PluginInfo,
    PluginState,
    in_force,
    installed,
    refresh,
    register,
    unregister,
)

if TYPE_CHECKING:
    from hypergraph.hooks.specs import hookimpl

__all__ = [
    "Command",
    "GROUP",
    "IN_PROCESS",
    "Listeners",
    "PluginInfo",
    "PluginState",
    "VARIABLE",
    "begin_run",
    "cache_keys",
    "cli_commands",
    "configure",
    "hookimpl",
    "in_force",
    "installed",
    "part_of_a_run",
    "refresh",
    "register",
    "unregister",
]

__getattr__, __dir__ = lazy_module(__name__, {"hookimpl": "hypergraph.hooks.specs"})
