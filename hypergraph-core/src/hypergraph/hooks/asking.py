"""Asking the plugins.

Rule of this file: each hook is called by itself. What decides (validators, settings) raises, and the
error names plugin and hook; what only adds (listeners, commands) is contained, with a warning that
names them.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hypergraph.errors import HypergraphError, HypergraphWarning, PluginError, UnkeyableError
from hypergraph.hooks.state import VARIABLE, Command, Hook, Listeners, in_force, load, lock

if TYPE_CHECKING:
    from argparse import ArgumentParser

_COMMAND = re.compile(r"[a-z][a-z0-9_-]*")


# --- runs -------------------------------------------------------------------------------------


def begin_run(graph: Any, runner: Any, listeners: Listeners | None = None) -> None:
    """Let the plugins see a run before it begins, and find out who of them listens to the runner.

    What validators raise is raised. ``listeners`` are brought up to date. For a graph that runs as a
    part of another run nobody is asked.
    """
    load()
    part = _part.get()
    if part is not None and part.graph is graph:
        return
    for hook in in_force.validate_graph:
        _decided(hook, graph=graph, runner=runner)
    if listeners is not None and listeners.up_to is not in_force.event_processors:
        _ask_for_listeners(runner, listeners)


def _ask_for_listeners(runner: Any, listeners: Listeners) -> None:
    with lock:  # a runner may begin several runs at once
        hooks, asked = in_force.event_processors, listeners.asked
        for hook in hooks:
            if hook not in asked:
                asked[hook] = ()  # what it runs while it is asked, it does not hear
                asked[hook] = tuple(_listeners_of(hook, runner))
        listeners.asked = {hook: asked[hook] for hook in hooks}
        heard = {id(one): one for found in listeners.asked.values() for one in found}
        listeners.heard = tuple(heard.values())
        listeners.up_to = hooks


def _listeners_of(hook: Hook, runner: Any) -> Iterator[Any]:
    for one in _contained(hook, "listener", runner=runner):
        if callable(getattr(one, "on_event", None)):
            yield one
        else:
            _warn(hook, f"a listener is left out: {type(one).__name__} has no on_event(event)")


class part_of_a_run:  # noqa: N801 - it reads as a statement
    """While it is entered, the run of this nested graph is a part of the one around it, for which
    plugins have been asked."""

    __slots__ = ("graph", "_token")

    def __init__(self, graph: Any) -> None:
        self.graph = graph

    def __enter__(self) -> None:
        self._token = _part.set(self)

    def __exit__(self, *raised: object) -> None:
        self.graph = None  # it may still stand in contexts that were copied in the meantime
        with suppress(ValueError):  # a run whose event loop is gone is closed from elsewhere
            _part.reset(self._token)


_part: ContextVar[part_of_a_run | None] = ContextVar("part", default=None)


# --- cache, configuration, command line ---------------------------------------------------------


def cache_keys(node: Any) -> tuple[tuple[str, str], ...]:
    """Return what plugins add to the cache keys of a node: names of plugins and their texts.

    Raises `UnkeyableError` when one fails.
    """
    found = []
    for hook in in_force.cache_key:
        try:
            text = hook.call(node=node)
            if text is not None and not isinstance(text, str):
                raise TypeError(f"it returned {type(text).__name__}, not str or None")
        except Exception as error:
            raise UnkeyableError(
                f"{type(error).__name__} in the cache key of a plugin.",
                where=f"plugin {hook.plugin!r}, {hook.name}",
            ) from error
        if text is not None:
            found.append((hook.plugin, text))
    return tuple(found)


def configure(table: Mapping[str, Any]) -> tuple[tuple[str, Mapping[str, Any]], ...]:
    """Return the settings that plugins give, each with the plugin's name; those of the first count most.

    ``table`` is what the file says. Raises `PluginError`, caused by what a plugin raises, and for a
    result that is no mapping. An error of hypergraph that a plugin raises is raised itself.
    """
    load()
    found = []
    for hook in in_force.configure:
        try:
            result = _decided(hook, config=table)
        except HypergraphError:
            raise
        except Exception as error:
            raise PluginError(
                f"The plugin {hook.plugin!r} gives no settings: {type(error).__name__}.",
                where=hook.name,
                fix=f"correct the plugin; {VARIABLE}={hook.plugin} switches an installed one off",
                name=hook.plugin,
            ) from error
        if result is None:
            continue
        if not isinstance(result, Mapping):
            raise PluginError(
                f"The plugin {hook.plugin!r} gives settings as {type(result).__name__}.",
                where=hook.name,
                fix="return a mapping in the form of the configuration file, or None",
                name=hook.plugin,
            )
        found.append((hook.plugin, result))
    return tuple(found)


def cli_commands(taken: Collection[str] = ()) -> tuple[Command, ...]:
    """Return the commands that plugins add to the command line.

    Warns of those that are left out: for an error, and for a name that is ``taken``. The ``add`` of a
    command never raises, but warns.
    """
    load()
    names = set(taken)
    found: list[Command] = []
    for hook in in_force.cli_commands:
        for command in _contained(hook, "command"):
            problem = _problem(command, names)
            if problem:
                _warn(hook, problem)
                continue
            names.add(command.name)
            found.append(replace(command, add=_warning(hook, command)))
    return tuple(found)


def _problem(command: Any, taken: Collection[str]) -> str:
    """Return why a command is left out, or an empty text."""
    if not isinstance(command, Command):
        return f"a command is left out: {type(command).__name__} is no hypergraph.hooks.Command"
    name = command.name
    if not isinstance(name, str):
        return f"a command is left out: its name is no text, but {type(name).__name__}"
    left_out = f"its command {name!r} is left out"
    if not _COMMAND.fullmatch(name):
        return f"{left_out}: a name is of small letters, digits, - and _, and begins with a letter"
    for field in ("add", "run"):
        given = getattr(command, field)
        if not callable(given):
            return f"{left_out}: {field} is no function, but {type(given).__name__}"
    return f"{left_out}: there is one of that name" if name in taken else ""


def _warning(hook: Hook, command: Command) -> Callable[[ArgumentParser], None]:
    """Return the ``add`` of a command, contained."""

    def add(parser: ArgumentParser) -> None:
        try:
            command.add(parser)
        except Exception as error:
            _warn(hook, f"the arguments of its command {command.name!r} are incomplete", error)

    return add


# --- how a hook is called -----------------------------------------------------------------------


def _decided(hook: Hook, **arguments: Any) -> Any:
    """Call a hook whose error is the caller's: the same object, which says where it was raised."""
    try:
        return hook.call(**arguments)
    except HypergraphError as error:
        place = f"plugin {hook.plugin!r}, {hook.name}"
        if place not in error.where:  # the same object may be raised each time
            error.where = f"{error.where}; {place}" if error.where else place
        raise
    except Exception as error:
        note = f"hypergraph: raised by plugin {hook.plugin!r} in {hook.name}"
        if note not in getattr(error, "__notes__", ()):
            error.add_note(note)
        raise


def _contained(hook: Hook, kind: str, **arguments: Any) -> tuple[Any, ...]:
    """Call a hook whose error is a warning, and return the items of its result; ``kind``: of what."""
    try:
        result = hook.call(**arguments)
        if result is None or isinstance(result, Iterable):
            return () if result is None else tuple(result)
    except Exception as error:
        _warn(hook, "it is left out here", error)
        return ()
    given = f"it returned {type(result).__name__}, which is no list of {kind}s"
    _warn(hook, f"{given}; return [{kind}]. It is left out here")
    return ()


def _warn(hook: Hook, outcome: str, error: Exception | None = None) -> None:
    raised = "" if error is None else f" raised {type(error).__name__}"
    warning = HypergraphWarning(f"Plugin {hook.plugin!r}, {hook.name}{raised}: {outcome}.")
    warning.__cause__ = error
    warnings.warn(warning, stacklevel=2)
