"""Values as a configuration writes them, made what a signature asks for.

Rule of this file: every type is checked before anything is called, and whatever does not fit is an
error that names its key. Messages repeat no values.
"""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import os
import types
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from hypergraph.config.choice import Given
from hypergraph.config.components import KINDS, Kind
from hypergraph.configfile import Key, type_name
from hypergraph.errors import HypergraphError, did_you_mean

T = TypeVar("T")

_BOUNDS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}


def made(cls: type[T], given: Mapping[str, Given], key: Key, owner: str = "") -> T:
    """Return ``cls(...)``, called with what was given, each value as its parameter wants it.

    ``key`` is where it all stands; ``owner`` what messages call the class, by default its name. Raises
    `ConfigError` for a name that is no parameter, a value that does not fit, one that is missing, and
    what the class itself refuses.
    """
    owner = owner or cls.__name__
    parameters, hints = options(cls), types_of(cls)
    takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    named = [p for p in parameters.values() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    names = [p.name for p in named]
    for name, one in given.items():
        if name not in names and not takes_all:
            raise one.key.unknown(name, names, owner)
    values = {name: fitted(one.value, hints.get(name, Any), one.key) for name, one in given.items()}
    for parameter in named:
        if parameter.default is parameter.empty and parameter.name not in given:
            raise key.at(parameter.name).error("this is missing", f"give it: {owner} needs it")
    with refusals(owner, key):
        return cls(**values)


def options(cls: type) -> Mapping[str, inspect.Parameter]:
    """Return the parameters of a class; of one that cannot tell, none."""
    try:
        return inspect.signature(cls).parameters
    except (TypeError, ValueError):
        return {}


@contextlib.contextmanager
def refusals(name: str, key: Key) -> Iterator[None]:
    """Turn what a class raises about its arguments into a `ConfigError` with its place."""
    try:
        yield
    except HypergraphError:
        raise
    except (TypeError, ValueError) as error:
        raise key.error(
            f"{name} refuses what is given here ({type(error).__name__})", "see the cause above"
        ) from error


# --- one value --------------------------------------------------------------------------------


def fitted(value: Any, wanted: Any, key: Key) -> Any:
    """Return a value as a type wants it; components and dataclasses are made from their tables.

    A path is relative to the directory of its configuration. Raises `ConfigError`.
    """
    arms = _arms(wanted)
    if value is None and type(None) in arms:
        return None
    if isinstance(value, str) and any(map(_is_path, arms)):
        return key.directory / os.path.expandvars(os.path.expanduser(value))
    for arm in arms:
        if arm in (Any, object):
            return _thawed(value)
        if arm in KINDS:
            return _component(KINDS[arm], value, key)
        if isinstance(arm, type) and dataclasses.is_dataclass(arm):
            if isinstance(value, arm):
                return value
            if isinstance(value, Mapping):
                return made(arm, _inside(value, key), key)
        item = _item(arm)
        if item is not None and isinstance(value, (list, tuple)):
            items = [fitted(one, item, key.at(at)) for at, one in enumerate(value)]
            return tuple(items) if get_origin(arm) is tuple else items
        with contextlib.suppress(msgspec.ValidationError, TypeError):
            return msgspec.convert(_thawed(value), arm, strict=True)
    raise _misfit(value, wanted, key)


def _component(kind: Kind, value: Any, key: Key) -> Any:
    if kind.fits(value):
        return value
    if isinstance(value, str):
        return made(kind.find(value, key), {}, key)
    if not isinstance(value, Mapping):
        raise key.error(f"expected {kind.word}, got {type_name(value)}", kind.fix)
    given = _inside(value, key)
    use = given.pop("use", None)
    if use is None:
        raise key.error("the key 'use' is missing", kind.fix)
    if not isinstance(use.value, str):
        raise _misfit(use.value, str, use.key)
    return made(kind.find(use.value, use.key), given, key)


def _inside(table: Mapping[str, Any], key: Key) -> dict[str, Given]:
    return {name: Given(value=value, key=key.at(name)) for name, value in table.items()}


def _thawed(value: Any) -> Any:
    """Return a value of a configuration as tomllib has it: with dicts and lists."""
    if isinstance(value, Mapping):
        return {name: _thawed(inside) for name, inside in value.items()}
    if isinstance(value, tuple):
        return [_thawed(inside) for inside in value]
    return value


def _misfit(value: Any, wanted: Any, key: Key) -> Exception:
    expected, got = described(wanted), type_name(value)
    if any(got in _types(arm) for arm in _arms(wanted)):
        got = f"another {got}"
    words = [one for arm in _arms(wanted) for one in get_args(arm) if isinstance(one, str)]
    hint = did_you_mean(value, words) if isinstance(value, str) else ""
    return key.error(f"expected {expected}, got {got}", f"give it as: {expected}", hint)


def _types(arm: Any) -> list[str]:
    """Return the names of the types of those values among which the type allows some."""
    if get_origin(arm) is Literal:
        return [type(one).__name__ for one in get_args(arm)]
    return [described(get_args(arm)[0] if get_origin(arm) is Annotated else arm)]


# --- types ------------------------------------------------------------------------------------


def described(wanted: Any) -> str:
    """Return a type in the words of messages and of the reference; ``None`` is left out."""
    return " or ".join(_word(arm) for arm in _arms(wanted) if arm is not type(None))


def _word(arm: Any) -> str:
    if arm in KINDS:
        return KINDS[arm].word
    if _is_path(arm):
        return "path"
    if dataclasses.is_dataclass(arm) or get_origin(arm) in (dict, Mapping):
        return "table"
    item = _item(arm)
    if item is not None:
        return f"list of {described(item)}" + ("s" if item in KINDS else "")
    if get_origin(arm) is Literal:
        return " or ".join(
            f'"{one}"' if isinstance(one, str) else str(one) for one in get_args(arm)
        )
    if get_origin(arm) is Annotated:
        inner, *notes = get_args(arm)
        bounds = [
            f" {sign} {getattr(note, name)}"
            for note in notes
            for name, sign in _BOUNDS.items()
            if getattr(note, name, None) is not None
        ]
        return described(inner) + " and".join(bounds)
    return getattr(arm, "__name__", str(arm))


def _arms(wanted: Any) -> tuple[Any, ...]:
    """Return the alternatives of a union; of paths and their texts, only the paths."""
    if get_origin(wanted) not in (Union, types.UnionType):
        return (wanted,)
    arms = tuple(arm for one in get_args(wanted) for arm in _arms(one))
    return tuple(arm for arm in arms if arm is not str) if any(map(_is_path, arms)) else arms


def _is_path(arm: Any) -> bool:
    base = get_origin(arm) or arm
    return base in (os.PathLike, Path)


def _item(arm: Any) -> Any:
    """Return what a list is a list of, or ``None`` for what is no list."""
    origin, inside = get_origin(arm), get_args(arm)
    if origin in (list, Sequence) or (origin is tuple and inside[1:] == (...,)):
        return inside[0]
    return None


def types_of(cls: type) -> Mapping[str, Any]:
    """Return the types of the parameters of a class, as far as it tells."""
    described_by: Any = cls if dataclasses.is_dataclass(cls) else cls.__init__  # type: ignore[misc]
    try:
        return get_type_hints(described_by, include_extras=True)
    except Exception:  # names that only a type checker knows: the class checks for itself
        return {}
