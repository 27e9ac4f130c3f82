"""Runners made as the configuration says.

Rule of this file: a configured name goes before a registered one; what is given to a runner is checked
against the settings that its class publishes, before the class is called.
"""

from __future__ import annotations

import atexit
import dataclasses
import threading
from collections.abc import Mapping
from typing import Any, NamedTuple

from hypergraph.config.choice import Entry, Given, chosen_runner, configured, entry_of
from hypergraph.config.values import made, refusals
from hypergraph.configfile import Key, type_name, working_directory
from hypergraph.errors import RunnerAPIError, RunnerError, RunnerNotFoundError, did_you_mean
from hypergraph.runners.base import BaseRunner
from hypergraph.runners.registry import KNOWN, available, get, is_name

Settings = Mapping[str, Given]


class _Kept(NamedTuple):
    cls: type[BaseRunner]
    settings: Settings
    runner: BaseRunner


_lock = threading.Lock()
_kept: dict[str, _Kept] = {}
atexit.register(_kept.clear)  # what they hold is closed while there is an interpreter to do it


def load_runner(name: str | None = None, **overrides: Any) -> BaseRunner:
    """Return a new runner, made as it is configured.

    ``name`` is that of a configured runner, of a registered one, or ``"package.module:Class"``; without
    it the default is taken: ``$HYPERGRAPH_RUNNER``, else what the file says, else ``sync``.
    ``overrides`` are settings, which go before those of the file: written as there, or as objects.
    Relative paths in them are relative to the working directory.

    Raises `ConfigError` for a configuration that is wrong, and what `hypergraph.runners.get` raises.
    """
    cls, settings, key = _looked_up(name)
    place = Key(source="load_runner()", directory=working_directory())
    over = {one: Given(value=value, key=place.at(one)) for one, value in overrides.items()}
    return _made(cls, {**settings, **over}, key)


def named_runner(name: str | None) -> BaseRunner:
    """Return the runner of a name, or the default.

    One that is configured is made once, and again when its configuration has changed: what it keeps in
    memory is there for the next one who names it.
    """
    cls, settings, key = _looked_up(name)
    if not key.path:  # it is not configured
        return _made(cls, settings, key)
    kept = _kept.get(key.path)
    if kept is None or kept[:2] != (cls, settings):
        new = _Kept(cls, settings, _made(cls, settings, key))  # not under the lock: it may import
        with _lock:
            kept = _kept.get(key.path)
            if kept is None or kept[:2] != (cls, settings):
                kept = _kept[key.path] = new
    return kept.runner


def _looked_up(name: str | None) -> tuple[type[BaseRunner], Settings, Key]:
    """Return the class of a name, its settings, and where they stand."""
    origin = ""
    if name is None:
        chosen = chosen_runner()
        name, origin = chosen.name, chosen.origin
    elif not isinstance(name, str):
        raise TypeError(f"a configured runner is named by text, not by {type_name(name)}")
    entry = None if ":" in name else entry_of(name)
    try:
        cls = _registered(name, entry)
    except RunnerError as error:
        sources = [entry.use.key.source, entry.use.key.path] if entry is not None else [origin]
        error.where = "; ".join([*filter(None, sources), error.where])
        if isinstance(error, RunnerNotFoundError) and entry is not None:
            error.fix = f'write use = "..." with a registered runner in it, or {error.fix}'
        raise
    if entry is not None:
        return cls, entry.settings, entry.key
    return cls, {}, Key(source=f"runner {name!r}", directory=working_directory())


def _registered(name: str, entry: Entry | None) -> type[BaseRunner]:
    try:
        return get(name if entry is None else entry.use.value)
    except RunnerNotFoundError as error:
        known = configured()
        if entry is not None or not known or ":" in name:
            raise
        near = did_you_mean(name, {*known, *available(), *KNOWN})
        listed = f"configured runners: {', '.join(known)}; {error.where}"
        raise RunnerNotFoundError(
            f"No runner named {name!r} is configured or registered.{near}",
            where=listed,
            fix=f"configure it in a table [runners.{name}], or {error.fix}"
            if is_name(name)
            else error.fix,
            name=name,
        ) from None


def _made(cls: type[BaseRunner], settings: Settings, key: Key) -> BaseRunner:
    kind = cls.settings_class
    if kind is None:
        for name, one in settings.items():
            raise one.key.unknown(name, (), cls.__name__)
        return cls()
    if not dataclasses.is_dataclass(kind):
        raise RunnerAPIError(
            f"The settings_class of {cls.__name__} is not a dataclass.",
            where=f"runner {cls.name!r}",
            fix="derive it from hypergraph.runners.settings.EngineSettings, or use @dataclass",
            name=cls.name,
        )
    values = made(kind, settings, key, cls.__name__)
    with refusals(cls.__name__, key):
        return cls.from_settings(values)
