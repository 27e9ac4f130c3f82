"""Which runner is meant, and what is configured for it.

Rule of this file: of several that say something, the first is believed: the caller, the environment,
the file, the plugins. It knows names and tables, and no runner.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hypergraph.configfile import ConfigFile, Key, checked, read_config
from hypergraph.hooks import configure

VARIABLE = "HYPERGRAPH_RUNNER"
"""The environment variable that names the default runner."""

DEFAULT = "sync"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The runner that is used where none is named, and what says so."""

    name: str
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A value that somebody gave for a setting, and where it stands."""

    value: Any
    key: Key


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A configured runner: its class by name or path, and its settings; ``key`` is its table."""

    use: Given
    settings: Mapping[str, Given]
    key: Key


def chosen_runner() -> Chosen:
    """Return the default: ``$HYPERGRAPH_RUNNER``, else what the file says, else ``sync``.

    Raises `ConfigError` if the file cannot be used.
    """
    name = os.environ.get(VARIABLE, "").strip()
    if name:
        return Chosen(name=name, origin=VARIABLE)
    for config in _configurations():
        if config.runner is not None:
            return Chosen(name=config.runner, origin=config.key.source)
    return Chosen(name=DEFAULT, origin="the default")


def configured() -> Mapping[str, str]:
    """Return the configured runners by name, each with what it uses: a registered name, or a path.

    Raises `ConfigError` if the file cannot be used.
    """
    configurations = tuple(_configurations())
    names = {name for config in configurations for name in config.runners}
    entries = {name: _entry(name, configurations) for name in sorted(names)}
    return {name: entry.use.value for name, entry in entries.items() if entry is not None}


def entry_of(name: str) -> Entry | None:
    """Return what is configured under a name, or ``None``. Raises `ConfigError`."""
    return _entry(name, _configurations())


def _entry(name: str, configurations: Iterable[ConfigFile]) -> Entry | None:
    use: Given | None = None
    settings: dict[str, Given] = {}
    place: Key | None = None
    for config in configurations:
        table = config.runners.get(name)
        if table is None:
            continue
        key = config.key.at("runners").at(name)
        named = table.get("use")
        if use is not None and named is not None and named != use.value:
            continue  # the settings of another runner
        if use is None and named is not None:
            use = Given(value=named, key=key.at("use"))
        place = place or key
        for setting, value in table.items():
            if setting != "use":
                settings.setdefault(setting, Given(value=value, key=key.at(setting)))
    if place is None:
        return None
    return Entry(use=use or Given(value=name, key=place), settings=settings, key=place)


def _configurations() -> Iterator[ConfigFile]:
    """Yield the file, and what plugins add to it, in the order in which they are believed."""
    config = read_config()
    yield config
    for plugin, table in configure(config.table):
        source = f"hypergraph_configure() of the plugin {plugin!r}"
        yield checked(table, Key(source=source, directory=config.key.directory))
