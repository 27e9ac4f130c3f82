"""The cache key of one call: what the node is, and the content of what it is given.

Rule of this file: inputs count in the order of the function's own parameters, which the definition
holds, so that renaming a node or its ports keeps its cache. It runs once per cached call; hence the
fast way for small plain values.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypergraph.content import MAX_TEXT, SCALARS, content_key, digest
from hypergraph.errors import UnkeyableError


def node_key(prefix: str, inputs: Mapping[str, Any]) -> str:
    """Return the cache key of a call: printable ASCII, ``prefix`` and about 200 characters at most.

    ``prefix`` identifies the node; ``inputs`` maps all of its function's own parameter names to
    values, in the function's order. Each value's text says where it ends, so different inputs never
    share a key.
    Raises `UnkeyableError` with ``where`` naming the parameter whose value has no certain content.
    """
    text = ""
    for name, value in inputs.items():
        scalar = SCALARS.get(type(value))
        text += _content(name, value) if scalar is None else scalar(value)
    return f"{prefix}|{text if len(text) <= MAX_TEXT else digest(text)}"


def _content(name: str, value: object) -> str:
    try:
        return content_key(value)
    except UnkeyableError as error:
        raise UnkeyableError(
            error.what, where=f"parameter {name!r}", fix=error.fix, type_name=error.type_name
        ) from None
    except RecursionError:
        raise UnkeyableError(
            "A value nested too deeply cannot be keyed.", where=f"parameter {name!r}"
        ) from None
