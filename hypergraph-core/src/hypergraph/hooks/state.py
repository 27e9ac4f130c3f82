"""Which plugins there are, and what of them is in force.

Rule of this file: plugins are read once, under one lock, and everything about them is replaced as a
whole; so whoever reads `in_force` needs no lock.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from hypergraph._deferred import deferred
from hypergraph.discovery import offers
from hypergraph.errors import HypergraphWarning, PluginError, did_you_mean

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

GROUP = "hypergraph.plugins"
PREFIX = "hypergraph_"
VARIABLE = "HYPERGRAPH_DISABLE_PLUGINS"
"""The environment variable that switches plugins off: ``1`` or ``all``, or names with commas."""

IN_PROCESS = "(registered in this process)"

_ALL = frozenset({"1", "all", "true", "yes", "on"})
_NONE = frozenset({"", "0", "false", "no", "off"})

_read_installed = deferred("hypergraph.hooks.plugins:read_installed")
_unknown_names = deferred("hypergraph.hooks.plugins:unknown_names")
_plugin_of = deferred("hypergraph.hooks.plugins:plugin_of")


class PluginState(Enum):
    """Whether a plugin is in force, and if not, why."""

    ACTIVE = "active"
    DISABLED = "disabled"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginInfo:
    """What `installed` says of one plugin.

    ``hooks``: the names of those that it has, sorted. ``error``: what is wrong with a broken one.
    ``reason``: what has disabled it.
    """

    name: str
    distribution: str
    version: str | None
    target: str
    state: PluginState
    hooks: tuple[str, ...] = ()
    error: PluginError | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command of the command line: ``hypergraph NAME``.

    ``add`` is given the parser of its arguments, ``run`` what was parsed; it returns the exit code.
    """

    name: str
    help: str
    add: Callable[[ArgumentParser], None]
    run: Callable[[Namespace], int]


class Hook(NamedTuple):
    """A hook of a plugin. ``call`` takes arguments by name; ``rank``: the smaller, the earlier."""

    plugin: str
    name: str
    call: Callable[..., Any]
    rank: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Plugin:
    """A plugin that was read. ``given``: what was registered, or loaded from an entry point."""

    info: PluginInfo
    given: Any = None
    hooks: Sequence[Hook] = ()


class Listeners:
    """The listeners that plugins have for one runner: ``heard``, those that were ``asked`` for, when the
    hooks in force were ``up_to``.

    They do not travel with a runner that is sent to another process or copied deeply: there its
    plugins are asked again.
    """

    __slots__ = ("heard", "asked", "up_to")

    def __init__(self) -> None:
        self.heard: tuple[Any, ...] = ()
        self.asked: dict[Hook, tuple[Any, ...]] = {}
        self.up_to: tuple[Hook, ...] = ()

    def __reduce__(self) -> tuple[type[Listeners], tuple[()]]:
        return Listeners, ()


class InForce:
    """The hooks that are in force, each in the order in which they are called.

    ``asks``: whether a run has anything to ask; also true before the installed plugins are read, and
    once there has been a plugin, whose listeners a runner may still have.
    """

    __slots__ = (
        "asks",
        "configure",
        "validate_graph",
        "event_processors",
        "cache_key",
        "cli_commands",
    )

    def __init__(self) -> None:
        self.asks = True
        self.configure: tuple[Hook, ...] = ()
        self.validate_graph: tuple[Hook, ...] = ()
        self.event_processors: tuple[Hook, ...] = ()
        self.cache_key: tuple[Hook, ...] = ()
        self.cli_commands: tuple[Hook, ...] = ()


in_force = InForce()
lock = threading.RLock()


class _Known:
    """The plugins: ``installed`` is ``None`` until they are read."""

    installed: tuple[Plugin, ...] | None = None
    registered: tuple[Plugin, ...] = ()
    reading: int | None = None  # the thread that reads them
    ever = False  # whether any has been in force


def load() -> None:
    """Read the installed plugins, if that has not been done, and put them in force.

    Warns of those that are broken, and of names that allow or forbid none. Raises `ConfigError` when the
    configuration, which may forbid plugins, cannot be read. What asks while a plugin is being imported
    finds none in force.
    """
    if _Known.installed is not None or _Known.reading == threading.get_ident():
        return
    with lock:
        if _Known.installed is not None:
            return
        _Known.reading = threading.get_ident()
        try:
            found, unknown = _installed()
        finally:
            _Known.reading = None
        _Known.installed = found
        _apply()
    for plugin in found:
        error = plugin.info.error
        if error is not None:
            warning = HypergraphWarning(f"{error.what} It is left out; to cure it: {error.fix}.")
            warning.__cause__ = error.__cause__
            warnings.warn(warning, stacklevel=2)
    for problem in unknown:
        warnings.warn(HypergraphWarning(problem), stacklevel=2)


def _installed() -> tuple[tuple[Plugin, ...], tuple[str, ...]]:
    """Return the installed plugins, and what to warn of besides those that are broken."""
    off = os.environ.get(VARIABLE, "").strip()
    if off.lower() in _ALL or not offers(GROUP):
        return (), ()
    named = "" if off.lower() in _NONE else off
    names = frozenset(filter(None, map(str.strip, named.split(","))))
    return _read_installed(names), _unknown_names(names)


def refresh() -> None:
    """Read the installed plugins again when they are next asked for; the registered ones stay.

    One that was loaded before and is still the same is not loaded again.
    """
    with lock:
        _Known.installed = None
        in_force.asks = True


def register(plugin: Any, name: str | None = None) -> None:
    """Put a plugin in force in this process: a module, an instance, or a class, of which one is made.

    ``name`` defaults to the one of the module or class. Plugins are called in the order of their names,
    the installed ones first, the registered ones after them in the order of their registration. Raises
    `PluginError` for what is no plugin, and for one that is registered already.
    """
    with lock:
        made: Plugin = _plugin_of(plugin, name)
        for other in _Known.registered:
            if other.info.name == made.info.name or other.given is plugin:
                raise PluginError(
                    f"A plugin named {other.info.name!r} is already registered: {other.info.target}.",
                    where="register()",
                    fix="unregister it first, or pass another name=",
                    name=other.info.name,
                )
        _Known.registered = (*_Known.registered, made)
        _apply()


def unregister(plugin: Any) -> None:
    """Take a plugin out of force that `register` put there: the plugin itself, or its name.

    Raises `PluginError` if there is none.
    """
    with lock:
        left = [one for one in _Known.registered if not _is(one, plugin)]
        if len(left) == len(_Known.registered):
            name = plugin if isinstance(plugin, str) else getattr(plugin, "__name__", None)
            name = name or type(plugin).__name__
            names = [one.info.name for one in _Known.registered]
            raise PluginError(
                f"No plugin {name!r} was registered in this process." + did_you_mean(name, names),
                where="unregister()",
                fix="give what register() was given; an installed plugin is switched off by "
                f"{VARIABLE}={name}",
                name=name,
            )
        _Known.registered = tuple(left)
        _apply()


def _is(known: Plugin, plugin: Any) -> bool:
    return known.given is plugin or (isinstance(plugin, str) and known.info.name == plugin)


def installed() -> tuple[PluginInfo, ...]:
    """Return every plugin, in the order in which they are called: those that are not in force, too."""
    load()
    found = _Known.installed or ()
    if not found and offers(GROUP):  # all of them are switched off
        found = _read_installed(None)
    return tuple(plugin.info for plugin in (*found, *_Known.registered))


def _apply() -> None:
    """Put in force what the known plugins have."""
    known = (*(_Known.installed or ()), *_Known.registered)
    hooks = sorted((hook for plugin in known for hook in plugin.hooks), key=lambda hook: hook.rank)
    for name in InForce.__slots__[1:]:
        found = tuple(hook for hook in hooks if hook.name == PREFIX + name)
        setattr(in_force, name, found)
    _Known.ever = _Known.ever or bool(hooks)
    in_force.asks = _Known.ever or _Known.installed is None
