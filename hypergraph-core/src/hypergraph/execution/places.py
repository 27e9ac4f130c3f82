"""Where in a run an exception came from, as a note on it (PEP 678).

Rule of this file: the exception itself is never replaced or wrapped. A place names graph, node path,
map item and input names, and never a value. On the way out of nested graphs it grows to the left.
"""

from __future__ import annotations

from collections.abc import Iterable


class Place(str):
    """The note: a string that still knows what it is made of, so that an outer graph can extend it."""

    __slots__ = ("inputs", "path")

    path: str
    inputs: tuple[str, ...]

    @classmethod
    def of(cls, graph: str | None, path: str, inputs: Iterable[str], item: int | None) -> Place:
        """Write the note for a node that failed."""
        names = tuple(inputs)
        of_graph = f" of graph {graph!r}" if graph else ""
        in_map = f" (map item {item})" if item is not None else ""
        note = cls(
            f"hypergraph: node {path!r}{of_graph}{in_map} failed; inputs: {', '.join(names) or 'none'}"
        )
        note.path = path
        note.inputs = names
        return note


def place_error(
    error: BaseException,
    graph: str | None,
    node: str,
    inputs: Iterable[str],
    *,
    outer: bool = False,
) -> None:
    """Note on an error that it left ``node``; ``outer`` when the node is a nested graph."""
    notes = _places(error)
    if outer and notes:
        inner = notes[-1]
        path = f"{node}{inner.path}" if inner.path.startswith("[") else f"{node}/{inner.path}"
        _replace(error, inner, Place.of(graph, path, inner.inputs, None))
    else:
        _replace(error, None, Place.of(graph, node, inputs, None))


def place_item(error: BaseException, item: int, graph: str | None, inputs: Iterable[str]) -> None:
    """Note on an error that it came from one item of a map as a whole."""
    notes = _places(error)
    if notes:
        inner = notes[-1]
        _replace(error, inner, Place.of(graph, inner.path, inner.inputs, item))
    else:
        names = ", ".join(inputs) or "none"
        where = f" of graph {graph!r}" if graph else ""
        _replace(error, None, f"hypergraph: map item {item}{where} failed; inputs: {names}")


def _places(error: BaseException) -> list[Place]:
    return [note for note in _notes(error) if isinstance(note, Place)]


def _notes(error: BaseException) -> list[str]:
    try:
        notes = error.__notes__
    except Exception:  # most have none yet, and a class may do anything when asked for an attribute
        return []
    return notes if isinstance(notes, list) else []


def _replace(error: BaseException, old: Place | None, new: str) -> None:
    """Put the new note in place of the old one. An exception raised twice keeps one equal note."""
    kept = [note for note in _notes(error) if note is not old and note != new]
    try:
        error.__notes__ = [*kept, new]
    except Exception:  # an exception class may refuse attributes; it then goes without a note
        return
