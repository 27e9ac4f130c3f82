"""Which runners there are, and how a name becomes one.

Rule of this file: a runner is imported only when it is asked for, and one that is broken, doubled
or of another age is an error only for whoever asks for that one.

Runners come from entry points (group ``hypergraph.runners``) and, with precedence, from `register`.
The names of this project's runners are reserved: an entry point of another distribution is not used
for one. What is installed is read once; `refresh` reads it again.
"""

from __future__ import annotations

import importlib
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from importlib_metadata import EntryPoint

from hypergraph import hooks
from hypergraph.capabilities import GraphFeatures, RunnerCapabilities
from hypergraph.discovery import Offer, forget, installed_version, offers, requires_python
from hypergraph.errors import (
    AmbiguousRunnerError,
    BrokenRunnerError,
    RunnerAPIError,
    RunnerError,
    RunnerNotFoundError,
    RunnerNotInstalledError,
    did_you_mean,
)
from hypergraph.runners.base import RUNNER_API_VERSION, BaseRunner, supports_runner_api

GROUP = "hypergraph.runners"
KNOWN = {
    "sync": "hypergraph-runner-sync",
    "async": "hypergraph-runner-async",
    "dbos": "hypergraph-runner-dbos",
    "daft": "hypergraph-runner-daft",
}
"""The runners of this project, by name, with the distribution that brings each."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")  # also a bare key in TOML, and no option in a shell

_registered: dict[str, type[BaseRunner]] = {}
_registering = threading.Lock()


class RunnerState(Enum):
    """Whether a registered runner can be used, and if not, why."""

    OK = "ok"
    BROKEN = "broken"
    INCOMPATIBLE = "incompatible API"
    AMBIGUOUS = "ambiguous"
    MISSING = "not installed"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerInfo:
    """What `inspect` finds out about one name.

    ``error`` is what `get` would raise. ``capabilities`` is ``None`` for a runner that cannot be
    used, and for one whose capabilities are known only once it is made. ``runner_api`` and
    ``requires_python``: the versions of the runner contract and of Python that it declares. ``unused``:
    what else is offered under the name and not used: by another distribution for a reserved name, by
    an installed one for a name that `register` was called for, or by any for what is no name.
    """

    name: str
    state: RunnerState
    distribution: str
    version: str | None
    target: str
    capabilities: RunnerCapabilities | None = None
    runner_api: str | None = None
    requires_python: str | None = None
    unused: tuple[str, ...] = ()
    error: RunnerError | None = None


def get(name: str) -> type[BaseRunner]:
    """Return the runner class of a registered name, or of ``"package.module:Class"``.

    Imports that runner and no other. Raises `RunnerNotFoundError`, `RunnerNotInstalledError` (one
    of this project's runners is missing), `BrokenRunnerError` (its import failed),
    `RunnerAPIError` (not a runner, or for another version of the contract) or
    `AmbiguousRunnerError`.
    """
    if name in _registered:
        return _registered[name]
    found, foreign = _installed(name)
    if not found:
        if ":" in name:
            return _by_path(name)
        raise _missing(name, foreign)
    if len(found) != 1:
        raise _ambiguous(name, found)
    return _load(name, found[0])


def create(name: str, **options: Any) -> BaseRunner:
    """Return a new runner: `get`, called with the options."""
    return get(name)(**options)


def register(name: str, cls: type[BaseRunner], replace: bool = False) -> None:
    """Make a runner class known under a name in this process, before anything installed.

    A name is a word of letters, digits, ``-`` and ``_``. Raises `RunnerError` for any other, if another
    class was registered under the name or the name is reserved, and ``replace`` is false; and
    `RunnerAPIError` if ``cls`` is not a runner of this version of the contract.
    """
    if not is_name(name):
        raise _no_name(name, "register()")
    runner_class(cls, name, "register()")
    with _registering:
        known = _registered.get(name)
        if not replace and known is not cls and (known is not None or name in KNOWN):
            taken = f"is already registered: {_path(known)}" if known else f"is {KNOWN.get(name)}'s"
            raise RunnerError(
                f"The name {name!r} {taken}.",
                where="register()",
                fix="pass replace=True, or choose another name",
                name=name,
            )
        _registered[name] = cls


def is_name(name: object) -> bool:
    """Say whether a runner may have this name."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def unregister(name: str) -> None:
    """Forget a runner that `register` made known; an installed one of that name shows again.

    Raises `RunnerNotFoundError` if there is none.
    """
    if _registered.pop(name, None) is None:
        raise RunnerNotFoundError(
            f"No runner named {name!r} was registered in this process."
            + did_you_mean(name, _registered),
            where="unregister()",
            fix="name a runner that register() was called for",
            name=name,
        )


def available() -> Mapping[str, str]:
    """Return the known names with the distribution of each, sorted; nothing is imported.

    A name that two distributions offer is listed with both; one that `register` refuses is not listed.
    """
    names = {name: " and ".join(_sources(_installed(name)[0])) for name in offers(GROUP)}
    names |= dict.fromkeys(list(_registered), hooks.IN_PROCESS)
    return {name: source for name, source in sorted(names.items()) if source}


def inspect() -> Mapping[str, RunnerInfo]:
    """Import every known runner and return what became of each, by name, sorted.

    A reserved name is there, as one that is not installed, if only another distribution offers it; and,
    as a broken one, what a distribution offers under a name that `register` refuses.
    """
    return {name: _inspect(name) for name in sorted({*available(), *offers(GROUP)})}


def refresh() -> None:
    """Read again which runners and plugins are installed, for instance after ``pip install`` in a
    running notebook."""
    importlib.invalidate_caches()
    forget()
    hooks.refresh()


def supporting(features: GraphFeatures) -> tuple[str, ...]:
    """Return the names of the usable runners that have a capability for each feature, sorted."""
    return tuple(
        name
        for name, info in inspect().items()
        if info.capabilities is not None and info.capabilities.unsupported(features) is None
    )


_STATES: Mapping[type[RunnerError], RunnerState] = {
    RunnerError: RunnerState.BROKEN,
    BrokenRunnerError: RunnerState.BROKEN,
    RunnerAPIError: RunnerState.INCOMPATIBLE,
    AmbiguousRunnerError: RunnerState.AMBIGUOUS,
}


def _inspect(name: str) -> RunnerInfo:
    found, unused = _installed(name)
    if name in _registered:
        found, unused = (), (*found, *unused)
    error: RunnerError | None = None
    capabilities = runner_api = None
    target = " and ".join(offer.entry_point.value for offer in found)
    try:
        if not is_name(name):
            raise _missing(name, unused)  # get() would take one with a colon for a path
        cls = get(name)
    except RunnerError as failure:
        error = failure
    else:
        target = target or _path(cls)
        declared = getattr(cls, "capabilities", None)
        capabilities = declared if isinstance(declared, RunnerCapabilities) else None
        runner_api = cls.runner_api
    only = found[0] if len(found) == 1 else None
    return RunnerInfo(
        name=name,
        state=RunnerState.OK if error is None else _STATES.get(type(error), RunnerState.MISSING),
        distribution=available().get(name) or KNOWN.get(name) or " and ".join(_sources(unused)),
        version=only.version if only else None,
        target=target,
        capabilities=capabilities,
        runner_api=runner_api,
        requires_python=requires_python(only.distribution) if only else None,
        unused=tuple(f"{offer.source} ({offer.entry_point.value})" for offer in unused),
        error=error,
    )


def _installed(name: str) -> tuple[tuple[Offer, ...], tuple[Offer, ...]]:
    """Return the offers of a name, and apart from them those that the name is not for: reserved names
    for another distribution, and what is no name for any."""
    found = offers(GROUP).get(name, ())
    if not is_name(name):
        return (), found
    owner = KNOWN.get(name)
    if owner is None:
        return found, ()
    own = tuple(offer for offer in found if offer.distribution == owner)
    return own, tuple(offer for offer in found if offer.distribution != owner)


def _load(name: str, offer: Offer) -> type[BaseRunner]:
    try:
        loaded = offer.entry_point.load()
    except (Exception, SystemExit) as error:
        raise _broken(name, offer.source, offer.entry_point.value, error) from error
    return runner_class(loaded, name, offer.source)


def _by_path(path: str) -> type[BaseRunner]:
    module, _, attribute = path.partition(":")
    if not all(part.isidentifier() for part in (*module.split("."), *attribute.split("."))):
        raise RunnerNotFoundError(
            f"{path!r} is neither the name of a runner nor the path of a class.",
            where="runner=",
            fix="write a path as 'package.module:Class'",
            name=path,
        )
    try:
        loaded = EntryPoint(name=path, value=path, group=GROUP).load()
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise _broken(path, module, path, error) from error
        raise RunnerNotFoundError(
            f"There is no module {error.name!r}.",
            where=f"runner {path!r}",
            fix="install it, or correct the path: it has the form 'package.module:Class'",
            name=path,
        ) from error
    except (Exception, SystemExit) as error:
        raise _broken(path, module, path, error) from error
    return runner_class(loaded, path, module)


def runner_class(candidate: Any, name: str, source: str) -> type[BaseRunner]:
    """Return the candidate if it is a runner class of this contract. Raises `RunnerAPIError` if not.

    ``name`` and ``source`` say in the message what it is called and where it comes from.
    """
    if not (isinstance(candidate, type) and issubclass(candidate, BaseRunner)):
        what = candidate.__name__ if isinstance(candidate, type) else type(candidate).__name__
        raise RunnerAPIError(
            f"The runner {name!r} is not a subclass of hypergraph.BaseRunner, but: {what}.",
            where=source,
            fix="derive the class from hypergraph.BaseRunner",
            name=name,
        )
    version = ".".join(map(str, RUNNER_API_VERSION))
    try:
        fits = supports_runner_api(candidate.runner_api)
        problem = f"was written for version {candidate.runner_api} of the runner contract"
        fix = "install versions of hypergraph-core and of the runner that fit together"
    except (TypeError, ValueError, AttributeError):
        fits = False
        problem = "has a runner_api that is not of the form '>=1,<2'"
        fix = 'correct the class attribute: runner_api = ">=1,<2"'
    if not fits:
        raise RunnerAPIError(
            f"The runner {name!r} {problem}; this hypergraph has version {version}.",
            where=f"{source}, {_path(candidate)}.runner_api",
            fix=fix,
            name=name,
        )
    return candidate


def _path(cls: type) -> str:
    return f"{cls.__module__}:{cls.__qualname__}"


def _sources(found: tuple[Offer, ...]) -> list[str]:
    return [offer.distribution for offer in found]


def _broken(name: str, source: str, target: str, error: BaseException) -> BrokenRunnerError:
    return BrokenRunnerError(
        f"The runner {name!r} is installed and fails to import: {type(error).__name__}: {error}",
        where=f"{source}, {target}",
        fix="correct the cause above; often a dependency is missing or too old",
        name=name,
    )


def _ambiguous(name: str, found: tuple[Offer, ...]) -> AmbiguousRunnerError:
    targets = "; ".join(f"{offer.source} ({offer.entry_point.value})" for offer in found)
    paths = " or ".join(repr(offer.entry_point.value) for offer in found)
    return AmbiguousRunnerError(
        f"{len(found)} distributions offer a runner named {name!r}: {targets}.",
        where=f"entry points, group {GROUP!r}",
        fix=f"uninstall one of them, or name the class: {paths}",
        name=name,
    )


def _no_name(name: object, where: str) -> RunnerError:
    shown = repr(name) if isinstance(name, str) else f"A value of type {type(name).__name__}"
    return RunnerError(
        f"{shown} cannot be the name of a runner.",
        where=where,
        fix="use a short word of letters, digits, - and _ that begins with a letter: 'mine'",
        name=name if isinstance(name, str) else None,
    )


def _missing(name: str, foreign: tuple[Offer, ...]) -> RunnerError:
    if foreign and not is_name(name):
        return _no_name(
            name, "; ".join(f"{one.source}, {one.entry_point.value}" for one in foreign)
        )
    names = available()
    listed = ", ".join(names) or "none"
    where = f"registered runners: {listed}"
    distribution = KNOWN.get(name)
    if distribution is None:
        known = {*names, *KNOWN}
        plain = name.lower().removesuffix("runner")  # the name of a class
        hint = did_you_mean(plain if plain in known else name, known)
        return RunnerNotFoundError(
            f"No runner named {name!r} is registered.{hint}",
            where=where,
            fix=_fix_of_unknown(name),
            name=name,
        )
    version = installed_version(distribution)
    note = f" ({distribution} {version} is installed and registers none)" if version else ""
    for offer in foreign:
        note += f"; {offer.source} offers one, but the name is reserved for {distribution}"
    return RunnerNotInstalledError(
        f"No runner named {name!r} is registered{note}.",
        where=where,
        fix=f"pip install {'--upgrade ' if version else ''}{distribution}",
        name=name,
    )


def _fix_of_unknown(name: str) -> str:
    module, _, attribute = name.rpartition(".")
    if module and all(part.isidentifier() for part in name.split(".")):
        return f"a class is named with a colon: {f'{module}:{attribute}'!r}"
    return "install the package that brings it, or name its class: 'package.module:Class'"
