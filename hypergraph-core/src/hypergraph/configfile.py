"""The file that configures hypergraph: where it is, and whether it is well formed.

Rule of this file: nothing that a configuration names is imported here. What stands in one may be a
secret: a message repeats keys, and says of a value no more than its type.
"""

from __future__ import annotations

import functools
import os
import re
import stat
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hypergraph.errors import ConfigError, did_you_mean

VARIABLE = "HYPERGRAPH_CONFIG"
"""The environment variable that names the file."""

_NAMES = ("hypergraph.toml", "pyproject.toml")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_KINDS: Mapping[str, tuple[tuple[type, ...], str]] = {
    "str": ((str,), "text in quotes"),
    "table": ((Mapping,), "a table"),
    "list": ((list, tuple), 'a list such as ["name"]'),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A place in a configuration, as messages name it.

    ``source``: the file, or what else the configuration comes from. ``path``: dotted, as
    ``runners.local.cache``. ``directory``: what relative paths are relative to.
    """

    source: str
    directory: Path
    path: str = ""

    def at(self, name: str | int) -> Key:
        """Return the place of a key of the table that stands here, or of an item of the list."""
        if isinstance(name, int):
            path = f"{self.path}[{name}]"
        else:
            shown = name if _BARE.fullmatch(str(name)) else f'"{name}"'
            path = f"{self.path}.{shown}" if self.path else shown
        return Key(source=self.source, directory=self.directory, path=path)

    def error(self, problem: str, fix: str, hint: str = "") -> ConfigError:
        """Return the error that says what is wrong here."""
        said = f"{self.path}: {problem}." if self.path else f"{problem[0].upper()}{problem[1:]}."
        return ConfigError(said + hint, where=self.source, fix=fix, file=self.source, key=self.path)

    def unknown(
        self, name: str, known: Iterable[str], owner: str = "a configuration"
    ) -> ConfigError:
        """Return the error for a key ``name``, which stands here and which its owner does not take."""
        names = tuple(known)
        takes = f"{owner} takes: {', '.join(names)}" if names else f"{owner} takes no settings"
        hint = did_you_mean(str(name), names)
        return self.error("unknown key", f"correct or remove it; {takes}", hint)


def _nothing() -> Mapping[str, Any]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginRules:
    """Which plugins may be loaded: those of ``allow``, all if it is ``None``; not those of ``deny``."""

    allow: tuple[str, ...] | None = None
    deny: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigFile:
    """What a configuration says; nothing, where there is no file.

    ``path``: the file. ``table``: all of it. ``runner``: the name of the default. ``runners``: the table
    of each configured one. Tables cannot be changed, and lists are tuples. The values are left out of
    the representation.
    """

    key: Key
    path: Path | None = None
    table: Mapping[str, Any] = field(default_factory=_nothing, repr=False)
    runner: str | None = None
    runners: Mapping[str, Mapping[str, Any]] = field(default_factory=_nothing, repr=False)
    plugins: PluginRules = PluginRules()


def read_config(path: str | os.PathLike[str] | None = None) -> ConfigFile:
    """Return the configuration in force: that of ``path``, of ``$HYPERGRAPH_CONFIG``, or what is found.

    Found is, from the working directory upwards, the nearest ``hypergraph.toml``, or ``pyproject.toml``
    that has a table ``[tool.hypergraph]``; in one directory the former is preferred. Others' files in
    directories that everybody may write to, such as ``/tmp``, are passed over. A file is parsed once,
    and again when it has changed. Raises `ConfigError` for a file that is named and not there, and for
    one that cannot be read or is not well formed.
    """
    named = os.fspath(path) if path is not None else os.environ.get(VARIABLE)
    if named:
        chosen = Path(os.path.expanduser(named)).absolute()
        origin = None if path is not None else VARIABLE
        return _read(chosen, _status(chosen, origin)) or ConfigFile(key=_key(chosen), path=chosen)
    for candidate in _candidates():
        found = _found(candidate)
        if found is not None:
            return found
    return ConfigFile(key=Key(source="(no configuration file)", directory=working_directory()))


def checked(table: Mapping[str, Any], key: Key, path: Path | None = None) -> ConfigFile:
    """Return a configuration whose top level is well formed. Raises `ConfigError`."""
    _known(table, ("runner", "runners", "plugins"), key)
    runners = _typed(table, "runners", "table", key) or {}
    for name, runner in runners.items():
        place = key.at("runners")
        if not name or ":" in name or name != name.strip():
            raise place.at(name).error(
                "this cannot be the name of a runner", "use a short word without colons"
            )
        _typed(runners, name, "table", place)
        _text(runner, "use", place.at(name))
    rules = _typed(table, "plugins", "table", key) or {}
    _known(rules, ("allow", "deny"), key.at("plugins"))
    return ConfigFile(
        key=key,
        path=path,
        table=_frozen(table),
        runner=_text(table, "runner", key),
        runners=_frozen(runners),
        plugins=PluginRules(
            allow=_names(rules, "allow", key.at("plugins")),
            deny=_names(rules, "deny", key.at("plugins")) or (),
        ),
    )


# --- finding ----------------------------------------------------------------------------------


def working_directory() -> Path:
    """Return the working directory; the root, if somebody has removed it."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return Path("/")


def _candidates() -> Iterator[Path]:
    here = working_directory()
    for directory in (here, *here.parents):
        for name in _NAMES:
            yield directory / name


def _found(path: Path) -> ConfigFile | None:
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None  # nobody can tell what is in a directory that may not be searched
    except OSError as error:
        raise _unreadable(path, error) from error
    if not stat.S_ISREG(status.st_mode) or _may_be_planted(path, status):
        return None
    return _read(path, status)


def _may_be_planted(path: Path, status: os.stat_result) -> bool:
    """Say whether somebody else put the file, or a link to it, where everybody may: it names classes
    and key files."""
    if not hasattr(os, "geteuid"):  # where directories tell nothing of who may write
        return False
    everybody = os.stat(path.parent).st_mode & stat.S_IWOTH
    return bool(everybody) and not {status.st_uid, os.lstat(path).st_uid} <= {0, os.geteuid()}


# --- reading ----------------------------------------------------------------------------------


def _key(path: Path) -> Key:
    return Key(source=str(path), directory=path.parent)


def _status(path: Path, origin: str | None) -> os.stat_result:
    """Return the status of a file that was named, by ``origin`` if that is not the caller."""
    named = f"; {origin} names it" if origin else ""
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        fix = f"correct or unset {origin}" if origin else "correct the path"
        raise _key(path).error(f"there is no such file{named}", fix) from error
    except OSError as error:
        raise _unreadable(path, error) from error
    if stat.S_ISDIR(status.st_mode):
        raise _key(path).error(f"this is a directory, not a file{named}", "name the file in it")
    return status


def _read(path: Path, status: os.stat_result) -> ConfigFile | None:
    return _parsed(path, status.st_mtime_ns, status.st_size, status.st_ino)


@functools.lru_cache(maxsize=64)
def _parsed(path: Path, *_version: int) -> ConfigFile | None:
    """Return what a file says, or ``None`` for a ``pyproject.toml`` that says nothing of hypergraph."""
    key, table = _key(path), _toml(path)
    if path.name == "pyproject.toml":
        tool = table.get("tool")
        if not isinstance(tool, dict) or "hypergraph" not in tool:
            return None
        key = Key(source=f"{path}, [tool.hypergraph]", directory=path.parent)
        table = tool["hypergraph"]
        if not isinstance(table, dict):
            raise key.error("this is not a table", "write [tool.hypergraph] above its keys")
    return checked(table, key, path)


def _toml(path: Path) -> dict[str, Any]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error
    try:
        return tomllib.loads(data.decode())
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        problem = f"the file is not UTF-8 (at line {line})"
    except tomllib.TOMLDecodeError as error:  # its messages repeat no values
        problem = f"the file is not valid TOML: {error}"
    except (ValueError, RecursionError):
        problem = "the file is not valid TOML"
    raise _key(path).error(problem, "correct the file; https://toml.io describes the format")


def _unreadable(path: Path, error: OSError) -> ConfigError:
    return _key(path).error(
        f"the file cannot be read ({error.strerror or type(error).__name__})",
        f"make it readable, or name another one in {VARIABLE}",
    )


# --- checking ---------------------------------------------------------------------------------


def _known(table: Mapping[str, Any], known: tuple[str, ...], key: Key) -> None:
    for name in table:
        if name not in known:
            raise key.at(name).unknown(name, known, key.path or "hypergraph")


def _typed(table: Mapping[str, Any], name: str, kind: str, key: Key) -> Any:
    value = table.get(name)
    if value is not None:
        _check(value, kind, key.at(name))
    return value


def _check(value: Any, kind: str, key: Key) -> None:
    types, example = _KINDS[kind]
    if not isinstance(value, types):
        raise key.error(f"expected {kind}, got {type_name(value)}", f"write {example}")


def _text(table: Mapping[str, Any], name: str, key: Key) -> str | None:
    value = _typed(table, name, "str", key)
    if value is not None and not value.strip():
        raise key.at(name).error("this is empty", "name a runner, or remove the key")
    return value if value is None else str(value)


def _names(table: Mapping[str, Any], name: str, key: Key) -> tuple[str, ...] | None:
    values = _typed(table, name, "list", key)
    if values is None:
        return None
    for position, value in enumerate(values):
        _check(value, "str", key.at(name).at(position))
    return tuple(values)


def type_name(value: Any) -> str:
    """Return what a message calls a value of a configuration: its type."""
    if isinstance(value, Mapping):
        return "table"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if isinstance(value, (list, tuple)):
        inside = sorted({type_name(item) for item in value})
        return f"list of {' and '.join(inside)}" if inside else "empty list"
    return type(value).__name__


def _frozen(value: Any) -> Any:
    if isinstance(value, Mapping):
        return MappingProxyType({name: _frozen(inside) for name, inside in value.items()})
    if isinstance(value, (list, tuple)):
        return tuple(map(_frozen, value))
    return value
