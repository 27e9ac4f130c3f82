"""Calling a node's function with positional values, and reading what it returns.

Rule of this file: whatever the signature (keyword-only parameters, generators) and however many outputs,
the rest of the engine sees a function of the node's inputs in order, and a value or a tuple.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set as AbstractSet
from typing import Any

from hypergraph.errors import OutputCountError
from hypergraph.execution.collect import collect, collect_async
from hypergraph.nodes import CallableNode

Function = Callable[..., Any]


def positional(node: CallableNode) -> Function:
    """Return the node's function taking all its inputs by position; a generator stays one."""
    func, count = node.func, node.keyword_only
    if not count:
        return func
    names = node.params[-count:]

    def call(*values: Any) -> Any:
        return func(*values[:-count], **dict(zip(names, values[-count:])))

    return call


def collected(node: CallableNode) -> Function:
    """Return the node's function taking all its inputs by position, its generator run to the end.

    That of an async generator returns something to await.
    """
    call, func = positional(node), node.func
    if not node.is_generator:
        return call
    if node.is_async:
        return lambda *values: collect_async(call(*values), func)
    return lambda *values: collect(call(*values), func)


def unpack(node: CallableNode, value: Any) -> tuple[Any, ...]:
    """Return the values of a node with several outputs. Raises ``OutputCountError``."""
    expected = len(node.outputs)
    if type(value) is not tuple:
        if isinstance(value, (str, bytes, Mapping, AbstractSet)) or not isinstance(value, Iterable):
            raise _wrong_count(node, None, f"a {type(value).__name__}")
        value = tuple(value)
    values: tuple[Any, ...] = value
    if len(values) != expected:
        raise _wrong_count(node, len(values), f"{len(values)} values")
    return values


def _wrong_count(node: CallableNode, actual: int | None, returned: str) -> OutputCountError:
    expected = len(node.outputs)
    return OutputCountError(
        f"Node {node.name!r} has {expected} outputs ({', '.join(node.outputs)}) and returned "
        f"{returned}.",
        where=f"node {node.name!r}",
        fix=f"return a tuple of {expected} values, or declare one output_name.",
        expected=expected,
        actual=actual,
    )
