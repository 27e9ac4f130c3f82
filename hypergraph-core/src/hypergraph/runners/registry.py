"""Which runners there are, and how a name becomes one.

Rule of this file: a runner is imported only when it is asked for, and one that is broken, doubled
or of another age is an error only for whoever asks for that one.

Runners come from entry points (group ``hypergraph.runners``) and, with precedence, from `register`.
What is installed is read once; `refresh` reads it again.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from importlib_metadata import EntryPoint

from hypergraph.capabilities import GraphFeatures, RunnerCapabilities
from hypergraph.discovery import Offer, forget, installed_version, offers
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
IN_PROCESS = "(registered in this process)"
KNOWN = {
    "sync": "hypergraph-runner-sync",
    "async": "hypergraph-runner-async",
    "dbos": "hypergraph-runner-dbos",
    "daft": "hypergraph-runner-daft",
}
"""The runners of this project, by name, with the distribution that brings each."""

_registered: dict[str, type[BaseRunner]] = {}


class RunnerState(Enum):
    """Whether a registered runner can be used, and if not, why."""

    OK = "ok"
    BROKEN = "broken"
    INCOMPATIBLE = "incompatible API"
    AMBIGUOUS = "ambiguous"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerInfo:
    """What `inspect` finds out about one name.

    ``error`` is what `get` would raise. ``capabilities`` is ``None`` for a runner that cannot be
    used, and for one whose capabilities are known only once it is made.
    """

    name: str
    state: RunnerState
    distribution: str
    version: str | None
    target: str
    capabilities: RunnerCapabilities | None = None
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
    found = offers(GROUP).get(name)
    if found is None:
        if ":" in name:
            return _by_path(name)
        raise _missing(name)
    if len(found) != 1:
        raise _ambiguous(name, found)
    return _load(name, found[0])


def create(name: str, **options: Any) -> BaseRunner:
    """Return a new runner: `get`, called with the options."""
    return get(name)(**options)


def register(name: str, cls: type[BaseRunner], replace: bool = False) -> None:
    """Make a runner class known under a name in this process, before anything installed.

    Raises `RunnerError` if another class was registered under the name and ``replace`` is false,
    and `RunnerAPIError` if ``cls`` is not a runner of this version of the contract.
    """
    if not name or ":" in name or name != name.strip():
        raise RunnerError(
            f"{name!r} cannot be the name of a runner.",
            where="register()",
            fix="use a short word without colons, such as 'mine'",
            name=name,
        )
    runner_class(cls, name, "register()")
    if not replace and _registered.get(name, cls) is not cls:
        raise RunnerError(
            f"A runner named {name!r} is already registered: {_path(_registered[name])}.",
            where="register()",
            fix="pass replace=True, or choose another name",
            name=name,
        )
    _registered[name] = cls


def unregister(name: str) -> None:
    """Forget a runner that `register` made known; an installed one of that name shows again.

    Raises `RunnerNotFoundError` if there is none.
    """
    if name not in _registered:
        raise RunnerNotFoundError(
            f"No runner named {name!r} was registered in this process."
            + did_you_mean(name, _registered),
            where="unregister()",
            fix="name a runner that register() was called for",
            name=name,
        )
    del _registered[name]


def available() -> Mapping[str, str]:
    """Return the known names with the distribution of each, sorted; nothing is imported.

    A name that two distributions offer is listed with both.
    """
    names = {name: " and ".join(_sources(found)) for name, found in offers(GROUP).items()}
    names |= dict.fromkeys(_registered, IN_PROCESS)
    return dict(sorted(names.items()))


def inspect() -> Mapping[str, RunnerInfo]:
    """Import every known runner and return what became of each, by name, sorted."""
    return {name: _inspect(name) for name in available()}


def refresh() -> None:
    """Read again what is installed, for instance after ``pip install`` in a running notebook."""
    importlib.invalidate_caches()
    forget()


def supporting(features: GraphFeatures) -> tuple[str, ...]:
    """Return the names of the usable runners that have a capability for each feature, sorted."""
    return tuple(
        name
        for name, info in inspect().items()
        if info.capabilities is not None and info.capabilities.unsupported(features) is None
    )


def _inspect(name: str) -> RunnerInfo:
    states = {
        BrokenRunnerError: RunnerState.BROKEN,
        RunnerAPIError: RunnerState.INCOMPATIBLE,
        AmbiguousRunnerError: RunnerState.AMBIGUOUS,
    }
    found = () if name in _registered else offers(GROUP)[name]
    error: RunnerError | None = None
    capabilities = None
    target = " and ".join(offer.entry_point.value for offer in found)
    try:
        cls = get(name)
    except RunnerError as failure:
        error = failure
    else:
        target = target or _path(cls)
        declared = getattr(cls, "capabilities", None)
        capabilities = declared if isinstance(declared, RunnerCapabilities) else None
    return RunnerInfo(
        name=name,
        state=RunnerState.OK if error is None else states[type(error)],
        distribution=available()[name],
        version=found[0].version if len(found) == 1 else None,
        target=target,
        capabilities=capabilities,
        error=error,
    )


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
    except (TypeError, ValueError, AttributeError):
        fits = False
        problem = "has a runner_api that is not of the form '>=1,<2'"
    if not fits:
        raise RunnerAPIError(
            f"The runner {name!r} {problem}; this hypergraph has version {version}.",
            where=f"{source}, {_path(candidate)}.runner_api",
            fix="install versions of hypergraph-core and of the runner that fit together",
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


def _missing(name: str) -> RunnerError:
    names = available()
    listed = ", ".join(names) or "none"
    where = f"registered runners: {listed}"
    distribution = KNOWN.get(name)
    if distribution is None:
        return RunnerNotFoundError(
            f"No runner named {name!r} is registered." + did_you_mean(name, {*names, *KNOWN}),
            where=where,
            fix="install the package that brings it, or name its class: 'package.module:Class'",
            name=name,
        )
    version = installed_version(distribution)
    note = f" ({distribution} {version} is installed and registers none)" if version else ""
    return RunnerNotInstalledError(
        f"No runner named {name!r} is registered{note}.",
        where=where,
        fix=f"pip install {'--upgrade ' if version else ''}{distribution}",
        name=name,
    )
