"""The hooks: what a plugin may do, one function each.

Rule of this file: the docstring of a hook is all that its authors are promised; the table in the
documentation is made of it. Its first paragraph says what the hook is for, the second what becomes of
an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pluggy import HookimplMarker, HookspecMarker

from hypergraph.hooks.state import Command

PROJECT = "hypergraph"

hookimpl = HookimplMarker(PROJECT)
"""Marks a function as a hook. Needed only to say when it is called: ``@hookimpl(tryfirst=True)``."""

hookspec = HookspecMarker(PROJECT)


@hookspec
def hypergraph_configure(config: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Give settings that hold where the configuration file says nothing.

    An error is raised where the configuration is asked for, as a ``PluginError`` that names the plugin.

    ``config`` is the table of the file, which cannot be changed; the result has the same form. Where
    several plugins give a setting, the first one's holds.
    """


@hookspec
def hypergraph_validate_graph(graph: Any, runner: Any) -> None:
    """Look at a graph before each run or map of it; raise an error to refuse it.

    The error reaches whoever started the run: the same object, and it names the plugin.

    Called before anything runs, once for the outermost graph; nested ones are found in its nodes. Raise
    ``GraphConfigError``, or an error of your own. What is returned is left aside.
    """


@hookspec
def hypergraph_event_processors(runner: Any) -> Iterable[Any] | None:
    """Return event processors that listen to all runs of a runner, after those of the user.

    An error is warned of, and this plugin does not listen to that runner. What cannot listen is left
    out by itself.

    Called once for each runner of the engine, before its first run; one that has a machinery of its own
    is not asked. Runs nested in others are heard through the outermost one.
    """


@hookspec
def hypergraph_cache_key(node: Any) -> str | None:
    """Return a text that is part of the cache keys of a node: another text, another key.

    After an error the node is not cached, which each run warns of once.

    Called for every cached call, so it should be quick. ``None``: nothing to add.
    """


@hookspec
def hypergraph_cli_commands() -> Iterable[Command] | None:
    """Return commands for the command line, as ``hypergraph.hooks.Command``.

    An error is warned of, and the plugin's commands are left out; a wrong one is left out by itself.

    A command that has the name of one of hypergraph's own, or of a plugin before, is left out as well.
    """
