"""The names of a new runner, all made from one.

Rule of this file: a name that would be in somebody's way is refused, and the message says whose.
"""

from __future__ import annotations

import importlib.util
import keyword
import re
import sys
from dataclasses import asdict, dataclass

import hypergraph
from hypergraph import runners
from hypergraph.cli.errors import UsageError
from hypergraph.discovery import installed_version, normalized, offers
from hypergraph.runners.registry import GROUP, KNOWN

_VALID = re.compile(r"[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9._-]*[A-Za-z0-9]")  # as packages are named
_OURS = {"hypergraph", "hypergraph-core", *KNOWN.values()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """``name`` is that of the distribution and of the runner. ``core``: the versions it works with."""

    name: str
    module: str
    class_name: str
    core: str

    def values(self) -> dict[str, str]:
        """Return what is filled in for each name."""
        return asdict(self)


def names_for(given: str) -> Names:
    """Return the names of a runner that is called this. Raises ``UsageError`` for one that cannot be."""
    if not _VALID.fullmatch(given):
        raise UsageError(
            f"{given!r} cannot be the name of a package: use letters, digits and dashes, "
            "such as my-runner"
        )
    name = normalized(given)
    module = name.replace("-", "_")
    class_name = "".join(part.capitalize() for part in name.split("-"))
    class_name += "" if class_name.endswith("Runner") else "Runner"
    reason = _taken(name, module, class_name)
    if reason:
        raise UsageError(f"{given!r} cannot be the name of a runner: {reason}; choose another")
    return Names(name=name, module=module, class_name=class_name, core=_core_versions())


def _taken(name: str, module: str, class_name: str) -> str:
    """Return why these names cannot be had; nothing if they can."""
    if name in _OURS or name.removesuffix("-runner") in KNOWN:
        return "hypergraph keeps that for itself"
    if not module.isidentifier():
        return f"its module, {module!r}, would begin with a digit"
    if keyword.iskeyword(module):
        return f"{module!r} is a word of Python"
    others = [offer.distribution for offer in offers(GROUP).get(name, ())]
    if others:
        return f"{others[0]!r}, which is installed, has a runner of that name"
    if class_name in {*hypergraph.__all__, *runners.__all__}:
        return f"its class would be {class_name}, and hypergraph has one"
    if _importable(module):
        return f"there is a module {module!r} already"
    return ""


def _importable(module: str) -> bool:
    """Say whether a module is part of Python, or installed; a directory without code is none."""
    if module in sys.stdlib_module_names:
        return True
    spec = importlib.util.find_spec(module)
    return spec is not None and spec.origin is not None


def _core_versions() -> str:
    """Return the versions that are compatible with the one that is installed."""
    numbers = re.findall(r"\d+", installed_version("hypergraph-core") or "0.1")  # of 0.2rc1, say
    major, minor = map(int, [*numbers, "0"][:2])
    above = f"{major}.{minor + 1}" if major == 0 else f"{major + 1}"
    return f">={major}.{minor},<{above}"
