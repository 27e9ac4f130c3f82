"""The cache key of one call: what the node is, and the content of what it is given.

Rule of this file: inputs count in the order of the function's own parameters, which the definition
holds, so that renaming a node or its ports keeps its cache. It runs once per cached call; hence the
fast way for small plain values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hypergraph.content import MAX_TEXT, SCALARS, content_key, digest
from hypergraph.errors import UnkeyableError
from hypergraph.hooks import cache_keys, in_force
from hypergraph.nodes import CallableNode


def call_key(node: CallableNode, inputs: dict[str, Any]) -> str:
    """Return the key of one call of a node. Raises ``UnkeyableError`` naming what has no content."""
    return node_key(definition_key(node), inputs)


def definition_key(node: CallableNode) -> str:
    """Return the part of a key that says what the node does. Raises ``UnkeyableError``."""
    known = node.known_definition
    if known is None or not known.current():
        known = node.define()
    definition = known.definition
    if definition.unkeyable:
        raise UnkeyableError(definition.unkeyable, where=f"the definition of node {node.name!r}")
    if in_force.cache_key and (added := cache_keys(node)):
        return f"{definition.hash}+{digest(content_key(added))}"
    return definition.hash


def node_key(prefix: str, inputs: Mapping[str, Any]) -> str:
    """Return the cache key of a call: printable ASCII, ``prefix`` and about 200 characters at most.

    ``prefix`` identifies the node; ``inputs`` maps all of its inputs to values, in the order of its
    function's parameters. Raises `UnkeyableError` with ``where`` naming the input whose value has no
    certain content.
    """
    try:
        return values_key(prefix, inputs.values())
    except (UnkeyableError, RecursionError):
        for name, value in inputs.items():
            _check(name, value)
        raise


def values_key(prefix: str, values: Iterable[Any]) -> str:
    """Return the same key from the values alone; an `UnkeyableError` then names no input.

    Each value's text says where it ends, so different inputs never share a key.
    """
    text = ""
    for value in values:
        scalar = SCALARS.get(type(value))
        text += content_key(value) if scalar is None else scalar(value)
    return f"{prefix}|{text if len(text) <= MAX_TEXT else digest(text)}"


def _check(name: str, value: object) -> None:
    """Raise the error of a value that has no key, saying whose value it is."""
    try:
        content_key(value)
    except UnkeyableError as error:
        raise UnkeyableError(
            error.what, where=f"input {name!r}", fix=error.fix, type_name=error.type_name
        ) from None
    except RecursionError:
        raise UnkeyableError(
            "A value nested too deeply cannot be keyed.", where=f"input {name!r}"
        ) from None
