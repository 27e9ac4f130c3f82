"""What ``hypergraph runners doctor`` does.

Rule of this file: everything is looked at whatever is wrong with the rest, and what is wrong comes with
what to do about it. What is merely not installed is nothing wrong.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version

from hypergraph.cli.aside import aside
from hypergraph.cli.plugins import plugin_rows
from hypergraph.cli.runners.known import BROKEN, MISSING, OK, Known, known_runners, make
from hypergraph.cli.tables import print_table
from hypergraph.config import chosen_runner
from hypergraph.configfile import read_config
from hypergraph.discovery import installed_version
from hypergraph.errors import HypergraphError

_CORE = "hypergraph-core"
_FINE = (OK, MISSING, "active", "disabled", "none")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was found out about one thing: ``state`` is ``ok`` or says what is wrong."""

    area: str
    name: str
    state: str
    detail: str = ""
    fix: str = ""

    @property
    def broken(self) -> bool:
        """Whether something has to be done about it."""
        return self.state not in _FINE

    def as_json(self) -> dict[str, str | None]:
        """Return it as JSON has it."""
        return {
            "area": self.area,
            "name": self.name,
            "state": self.state,
            "detail": self.detail or None,
            "fix": self.fix or None,
        }


def examine(arguments: argparse.Namespace) -> int:
    """Print what was found; returns the exit code."""
    found = [*_python(), *_configuration(), *_runners(), *_plugins(), *_extras()]
    broken = [one for one in found if one.broken]
    if arguments.json:
        print(
            json.dumps({"ok": not broken, "findings": [one.as_json() for one in found]}, indent=2)
        )
        return 1 if broken else 0
    areas = [one.area for one in found]
    first = [area if area not in areas[:place] else "" for place, area in enumerate(areas)]
    print_table(
        ("what", "name", "state", "detail"),
        [(area, one.name, one.state, one.detail) for area, one in zip(first, found)],
    )
    print()
    for one in broken:
        print(f"{one.area} {one.name}: {one.detail}\n  Fix: {one.fix or '-'}")
    print("Nothing is broken." if not broken else f"\n{len(broken)} broken.")
    return 1 if broken else 0


def _python() -> Iterator[Finding]:
    implementation = platform.python_implementation()
    yield Finding(
        area="python",
        name=implementation,
        state=OK,
        detail=f"{platform.python_version()}, {sys.executable}",
    )
    yield Finding(area="core", name=_CORE, state=OK, detail=installed_version(_CORE) or "")


def _configuration() -> Iterator[Finding]:
    try:
        config = read_config()
        with aside():
            chosen = chosen_runner()
    except HypergraphError as error:
        yield Finding(
            area="configuration",
            name=str(getattr(error, "file", "")) or "file",
            state=BROKEN,
            detail=error.what,
            fix=error.fix,
        )
        return
    if config.path is None:
        yield Finding(area="configuration", name="file", state="none", detail="defaults are used")
    else:
        yield Finding(area="configuration", name="file", state=OK, detail=str(config.path))
    yield Finding(
        area="configuration", name="runner", state=OK, detail=f"{chosen.name} ({chosen.origin})"
    )


def _runners() -> Iterator[Finding]:
    try:
        found = known_runners()
        chosen = chosen_runner().name
    except HypergraphError:  # of the configuration, which has told it
        return
    for one in found:
        if one.state == OK and (one.use is not None or one.name == chosen):
            made = make(one.name)  # which shows what its settings come to
            yield _finding(made if isinstance(made, Known) else one)
        else:
            yield _finding(one, needed=one.name == chosen)
    if chosen not in {one.name for one in found}:  # a path, or a mistake
        made = make(chosen)
        if isinstance(made, Known):
            yield _finding(made)


def _finding(one: Known, *, needed: bool = False) -> Finding:
    detail, state = one.problem or one.source, one.state
    if state == MISSING and needed:
        detail, state = "it is to run graphs here, and it is not installed", BROKEN
    elif state == MISSING:
        detail = one.fix if one.version is None else f"{one.source}: {one.problem}"
    if one.unused:
        detail = f"{detail}; offered under this name too, and not used: {', '.join(one.unused)}"
    return Finding(area="runner", name=one.name, state=state, detail=detail, fix=one.fix)


def _plugins() -> Iterator[Finding]:
    for row in plugin_rows():
        detail = row["error"] or row["reason"] or ", ".join(row["hooks"])
        yield Finding(
            area="plugin", name=row["name"], state=row["state"], detail=detail, fix=row["fix"] or ""
        )


def _extras() -> Iterator[Finding]:
    for extra, needed in _extras_of(_CORE).items():
        missing = [name for name in needed if _version(name) is None]
        if missing:
            detail = f'pip install "{_CORE}[{extra}]"'
            yield Finding(area="extra", name=extra, state=MISSING, detail=detail)
        else:
            detail = ", ".join(f"{name} {_version(name)}" for name in needed)
            yield Finding(area="extra", name=extra, state=OK, detail=detail)


def _extras_of(distribution: str) -> Mapping[str, list[str]]:
    """Return what each extra of a distribution needs, by the metadata that it was installed with."""
    found: dict[str, list[str]] = {}
    try:
        lines = requires(distribution) or []
    except PackageNotFoundError:
        return found
    for line in lines:
        requirement, _, marker = line.partition(";")
        if "extra ==" in marker:
            extra = marker.partition("extra ==")[2].strip().strip("'\"")
            name = requirement.strip()
            for end in "<>=!~ [(":
                name = name.partition(end)[0]
            found.setdefault(extra, []).append(name)
    return found


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
