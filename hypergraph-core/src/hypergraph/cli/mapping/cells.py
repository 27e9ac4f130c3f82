"""Cells of text as the values that a graph takes.

Rule of this file: a cell is text, unless the input it is for is annotated with something else; it is
never guessed from what a cell looks like, so ``007`` stays what it is. No cell enters a message.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath
from typing import Any, Union

import msgspec

from hypergraph.cli.values import read_json
from hypergraph.errors import GraphConfigError
from hypergraph.graph import Graph
from hypergraph.graph.typecheck import UNKNOWN, input_type


def hints_of(graph: Graph, names: Iterable[str]) -> dict[str, Any]:
    """Return the annotation of each input that has one."""
    found: dict[str, Any] = {}
    for name in names:
        hints = []
        for node in graph.nodes.values():
            if name in node.inputs:
                try:
                    hints.append(input_type(node, name))
                except GraphConfigError:  # it names something that is there for type checkers only
                    hints.append(UNKNOWN)
        hints = [hint for hint in hints if hint is not UNKNOWN]
        if hints:
            found[name] = Union[tuple(hints)]  # noqa: UP007  of a number that is not known here
    return found


def read_cell(text: str, hint: Any) -> Any:
    """Return what a cell says to an annotated input. Raises ``ValueError`` if it says nothing.

    Lists, mappings and dataclasses are JSON in a cell; an empty cell is ``None`` where that fits and
    text does not.
    """
    try:
        return msgspec.convert(text, hint, strict=False, dec_hook=_made)
    except msgspec.ValidationError:
        value = read_json(text) if text else None
        return msgspec.convert(value, hint, dec_hook=_made)
    except TypeError:  # an annotation that says nothing here, such as Union[int, Matrix]
        return text


def _made(hint: type, value: Any) -> Any:
    if issubclass(hint, PurePath) and isinstance(value, str):
        return hint(value)
    if isinstance(value, hint):
        return value
    raise ValueError(f"no cell can be a {hint.__name__}")


def name_of(hint: Any) -> str:
    """Return an annotation as it is written."""
    return hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")
