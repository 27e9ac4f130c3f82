"""Which runs a map is made of.

Rule of this file: ``zip`` walks the named inputs side by side and needs equal lengths; ``product``
combines them, the first named slowest; everything else is broadcast.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from hypergraph.errors import InputError, did_you_mean


def map_names(
    map_over: str | Sequence[str], given: Mapping[str, Any], where: str
) -> tuple[str, ...]:
    """Return the names to iterate, which must be among the given inputs. Raises ``InputError``."""
    if not isinstance(map_over, Iterable):
        raise InputError(
            "map_over is not a name.",
            where=where,
            fix='write map_over="items", or a list of names.',
        )
    names = (map_over,) if isinstance(map_over, str) else tuple(map_over)
    if not names:
        raise InputError("map_over names no input.", where=where, fix='write map_over="items".')
    for name in names:
        if name not in given:
            raise InputError(
                f"map_over names {name!r}, which is not among the given inputs."
                f"{did_you_mean(str(name), given)}",
                where=where,
                fix="give an iterable for it, or name one of the given inputs.",
            )
    if len(set(names)) != len(names):
        raise InputError("map_over names an input twice.", where=where, fix="name each input once.")
    return names


def map_rows(
    names: tuple[str, ...], given: Mapping[str, Any], mode: str, where: str
) -> tuple[int, Iterator[tuple[Any, ...]]]:
    """Return how many items there are, and the values of ``names`` for each, in order.

    Raises ``InputError`` for what cannot be iterated, for strings and mappings, and in ``zip`` mode
    for different lengths, naming each.
    """
    columns = [_items(name, given[name], where) for name in names]
    if mode == "product":
        size = 1
        for column in columns:
            size *= len(column)
        return size, product(*columns)
    lengths = [len(column) for column in columns]
    if len(set(lengths)) > 1:
        listed = ", ".join(f"{name} has {length}" for name, length in zip(names, lengths))
        raise InputError(
            f"The inputs to map over differ in length: {listed}.",
            where=where,
            fix='make them equally long, or use map_mode="product" for all combinations.',
        )
    return lengths[0], zip(*columns)


def _items(name: str, value: Any, where: str) -> Sequence[Any]:
    if isinstance(value, (list, tuple)):
        return value
    items = None if isinstance(value, (str, bytes, bytearray, Mapping)) else _iterated(value)
    if items is None:
        raise InputError(
            f"Input {name!r} is mapped over, but is of type {type(value).__name__}.",
            where=where,
            fix=f"give a list; for one item write [{name}]"
            + (", for a mapping list(it.items())." if isinstance(value, Mapping) else "."),
        )
    return list(items)


def _iterated(value: Any) -> Iterator[Any] | None:
    try:
        items: Iterator[Any] = iter(value)
        return items
    except TypeError:  # also of an array without dimensions, which says that it is iterable
        return None
