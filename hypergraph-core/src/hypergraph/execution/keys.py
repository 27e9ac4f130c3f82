"""The cache key of one call: what the node is, and the content of what it is given.

Rule of this file: inputs go by the function's own parameter names, so that renaming a node or its
ports keeps its cache. It runs once per cached call; hence the fast way for small plain values.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import hypergraph.nodes.definition  # noqa: F401 - it tells what functions and classes are
from hypergraph.content import MAX_TEXT, SCALARS, content_key, digest
from hypergraph.errors import UnkeyableError


def node_key(prefix: str, inputs: Mapping[str, Any]) -> str:
    """Return the cache key of a call: printable ASCII, ``prefix`` and about 200 characters at most.

    ``prefix`` identifies the node; ``inputs`` maps its function's own parameter names to values.
    Raises `UnkeyableError` with ``where`` naming the parameter whose value has no certain content.
    """
    text = ""
    for name in inputs if len(inputs) < 2 else sorted(inputs):
        value = inputs[name]
        scalar = SCALARS.get(type(value))
        if scalar is not None:
            text += f"{name}={scalar(value)}"
        else:
            text += f"{name}={_content(name, value)}"
    if len(text) > MAX_TEXT or not text.isascii():  # parameter names may hold any letter
        text = digest(text)
    return f"{prefix}|{text}"


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
