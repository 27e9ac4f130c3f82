"""Every runner that can be named here, and what is wrong with it.

Rule of this file: the one place that gathers them; whatever a runner does when it is imported or made,
the others are told of all the same.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from hypergraph.capabilities import RunnerCapabilities
from hypergraph.cli.aside import aside
from hypergraph.cli.target import find_modules_in
from hypergraph.config import configured, load_runner
from hypergraph.discovery import installed_version
from hypergraph.errors import ConfigError, HypergraphError
from hypergraph.runners import BaseRunner, get, inspect
from hypergraph.runners.registry import KNOWN, RunnerInfo

OK, MISSING, BROKEN = "ok", "missing", "broken"
ABILITIES = {
    "cycles": "supports_cycles",
    "gates": "supports_gates",
    "interrupts": "supports_interrupts",
    "async": "supports_async_nodes",
    "streaming": "supports_streaming",
    "distributed": "supports_distributed",
    "durable": "supports_durable_execution",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A runner by one of its names.

    ``use``: what a configured one uses. ``capabilities`` are ``None`` where they cannot be known.
    ``problem`` and ``fix``: why it cannot be used, and what to do; both empty for one that can.
    ``unused``: what else is offered under a name that is reserved, and is not used.
    """

    name: str
    state: str = OK
    use: str | None = None
    distribution: str = ""
    version: str | None = None
    target: str = ""
    capabilities: RunnerCapabilities | None = None
    problem: str = ""
    fix: str = ""
    unused: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        """Where it comes from, in words."""
        if self.use is not None:
            return f"configured: {self.use}"
        return f"{self.distribution} {self.version or ''}".strip()

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        capabilities = self.capabilities
        return {
            "name": self.name,
            "state": self.state,
            "configured": self.use,
            "distribution": self.distribution or None,
            "version": self.version,
            "target": self.target or None,
            "capabilities": None
            if capabilities is None
            else {name: getattr(capabilities, name) for name in capabilities.__dataclass_fields__},
            "problem": self.problem or None,
            "fix": self.fix or None,
            "unused": list(self.unused),
        }


@aside()
def known_runners(*, missing: bool = True) -> list[Known]:
    """Return the configured and the registered runners, then those of this project that are missing.

    Raises `ConfigError` if the configuration cannot be used.
    """
    find_modules_in(os.getcwd())
    registered = {name: _registered(info) for name, info in inspect().items()}
    found = [_configured(name, use, registered) for name, use in configured().items()]
    names = {one.name for one in found}
    found += [one for one in registered.values() if one.name not in names]
    names |= registered.keys()
    if missing:
        found += [_missing(name, KNOWN[name]) for name in KNOWN if name not in names]
    return found


@aside()
def make(name: str) -> BaseRunner | Known:
    """Return a new runner as it is configured, or what is wrong with it."""
    try:
        return load_runner(name)
    except HypergraphError as error:
        cause = error.__cause__ if isinstance(error, ConfigError) else None
        told = f" {type(cause).__name__}: {cause}" if cause is not None else ""
        return Known(name=name, state=BROKEN, problem=f"{error.what}{told}", fix=error.fix)
    except (Exception, SystemExit) as error:  # a class may do anything when it is called
        return Known(
            name=name,
            state=BROKEN,
            problem=f"it cannot be made: {type(error).__name__}: {error}",
            fix=f"configure what it needs in a table [runners.{name}]",
        )


def _registered(info: RunnerInfo) -> Known:
    error = info.error
    if error is not None:
        return Known(
            name=info.name,
            state=info.state.value,
            distribution=info.distribution,
            version=info.version,
            target=info.target,
            problem=error.what,
            fix=error.fix,
            unused=info.unused,
        )
    return Known(
        name=info.name,
        unused=info.unused,
        distribution=info.distribution,
        version=info.version,
        target=info.target,
        capabilities=info.capabilities or _asked(info.name),
    )


def _configured(name: str, use: str, registered: dict[str, Known]) -> Known:
    one = registered.get(use)
    if (one is None or one.state == OK) and isinstance(made := make(name), Known):
        return replace(made, use=use)
    if one is not None:
        return Known(
            name=name,
            state=one.state,
            use=use,
            distribution=one.distribution,
            version=one.version,
            target=one.target,
            capabilities=one.capabilities,
            problem=one.problem,
            fix=one.fix,
        )
    try:
        cls = get(use)
    except HypergraphError as error:
        return Known(name=name, state=BROKEN, use=use, problem=error.what, fix=error.fix)
    return Known(name=name, use=use, target=use, capabilities=capabilities_of(cls) or _asked(name))


def capabilities_of(cls: type[BaseRunner]) -> RunnerCapabilities | None:
    """Return what a class declares, unless it depends on how a runner is made."""
    declared = getattr(cls, "capabilities", None)
    return declared if isinstance(declared, RunnerCapabilities) else None


def _asked(name: str) -> RunnerCapabilities | None:
    """Ask a runner, of a class that does not say."""
    made = make(name)
    if isinstance(made, Known):
        return None
    with contextlib.suppress(Exception):
        return made.capabilities
    return None


def _missing(name: str, distribution: str) -> Known:
    version = installed_version(distribution)
    if version is None:
        return Known(
            name=name,
            state=MISSING,
            distribution=distribution,
            problem="it is not installed",
            fix=f"pip install {distribution}",
        )
    return Known(
        name=name,
        state=MISSING,
        distribution=distribution,
        version=version,
        problem="this version registers no runner",
        fix=f"pip install --upgrade {distribution}",
    )


def ability_cells(capabilities: RunnerCapabilities | None) -> Iterator[str]:
    """Yield a word for each of `ABILITIES`."""
    for capability in ABILITIES.values():
        if capabilities is None:
            yield "-"
        else:
            yield "yes" if getattr(capabilities, capability) else "no"
