"""What ``hypergraph runners list`` and ``show`` do."""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import json
import os
import re
from typing import Any

from hypergraph.cli.aside import aside
from hypergraph.cli.runners.known import (
    ABILITIES,
    MISSING,
    OK,
    Known,
    ability_cells,
    capabilities_of,
    known_runners,
)
from hypergraph.cli.tables import print_table
from hypergraph.cli.target import find_modules_in
from hypergraph.config import chosen_runner
from hypergraph.runners import BaseRunner, get


def list_runners(arguments: argparse.Namespace) -> int:
    """Print a row for each runner; returns the exit code."""
    found = known_runners()
    chosen = chosen_runner()
    if arguments.json:
        print(
            json.dumps(
                [{**one.as_json(), "default": one.name == chosen.name} for one in found], indent=2
            )
        )
        return 0
    marked = {one.name: f"{one.name}*" if one.name == chosen.name else one.name for one in found}
    usable = [one for one in found if one.state == OK]
    if usable:
        rows = [(marked[one.name], *ability_cells(one.capabilities)) for one in usable]
        print_table(("runner", *ABILITIES), rows)
        print()
    print_table(
        ("runner", "state", "from, or what is wrong"),
        [(marked[one.name], one.state, _told(one)) for one in found],
    )
    print(f"\n* what runs a graph when no runner is named ({chosen.origin})")
    return 0


def _told(one: Known) -> str:
    """Say where a runner comes from, how to get it, or what is wrong with it."""
    if one.state == OK:
        return one.source
    if one.state == MISSING:
        return one.fix
    return one.problem.partition("\n")[0] or one.fix


def show_runner(arguments: argparse.Namespace) -> int:
    """Print what a runner is, can do and can be told; returns the exit code."""
    one, cls = _found(arguments.name)
    settings = [] if cls is None else _settings(cls)
    if arguments.json:
        print(json.dumps({**one.as_json(), "settings": settings}, indent=2))
        return 0 if one.state == OK else 2
    facts = {
        "state": one.state,
        "configured": one.use or "",
        "class": one.target,
        "from": f"{one.distribution} {one.version or ''}".strip(),
        "problem": one.problem,
        "to do": one.fix,
        "not used": ", ".join(one.unused),
    }
    facts |= dict(zip(ABILITIES, ability_cells(one.capabilities)))
    if one.capabilities is not None:
        facts["awaited"] = "yes" if one.capabilities.returns_coroutine else "no"
    print_table((one.name, ""), [(f"  {name}", words) for name, words in facts.items() if words])
    if settings:
        print()
        rows = [
            (f"  {row['name']}", row["type"], row["default"] or "-", row["help"])
            for row in settings
        ]
        print_table(("setting", "type", "default", "meaning"), rows)
    elif cls is not None:
        print("\nIt takes no settings.")
    return 0 if one.state == OK else 2


@aside()
def _found(name: str) -> tuple[Known, type[BaseRunner] | None]:
    """Return a runner by name, and its class. Raises `RunnerError` for an unknown one."""
    for one in known_runners():
        if one.name == name:
            return one, get(one.use or name) if one.state == OK else None
    find_modules_in(os.getcwd())
    cls = get(name)
    return Known(name=name, target=name, capabilities=capabilities_of(cls)), cls


def _settings(cls: type[BaseRunner]) -> list[dict[str, Any]]:
    kind = cls.settings_class
    if kind is None or not dataclasses.is_dataclass(kind):
        return []
    return [
        {
            "name": field.name,
            "type": _type(field.type),
            "default": _default(field),
            "help": field.metadata.get("help", ""),
        }
        for field in dataclasses.fields(kind)
    ]


def _type(annotation: Any) -> str:
    """Return an annotation as it is written, without what narrows it."""
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return re.sub(r"Annotated\[(\w+), [^\]]*\]", r"\1", text)


def _default(field: dataclasses.Field[Any]) -> str | None:
    """Return a default as it is written, or ``None`` for one that is needed or made."""
    return None if field.default is dataclasses.MISSING else repr(field.default)
