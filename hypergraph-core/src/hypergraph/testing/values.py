"""What values mean to a run: the result of a node, chunks of a generator, items of a map.

Rule of this file: as plain as the reference interpreter, which it belongs to. Sentences marked
``Rule:`` are those of the semantics page.
"""

from __future__ import annotations

import itertools
import typing
from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from hypergraph.errors import InputError, OutputCountError, did_you_mean
from hypergraph.graph import Graph
from hypergraph.nodes import CallableNode, HyperNode

T = TypeVar("T")

# -- what a node's result means ------------------------------------------------------------------


def outputs_of(node: HyperNode, result: Any, where: str) -> dict[str, Any]:
    """Rule: One name: stored as it is. Several: it is unpacked; a wrong count is an error."""
    if len(node.outputs) <= 1:
        return dict.fromkeys(node.outputs, result)
    parts = None
    if isinstance(result, Iterable) and not isinstance(
        result, (str, bytes, Mapping, set, frozenset)
    ):
        parts = tuple(result)
    if parts is None or len(parts) != len(node.outputs):
        actual = None if parts is None else len(parts)
        raise OutputCountError(
            f"Node {node.name!r} has {len(node.outputs)} outputs; its function returned "
            f"{type(result).__name__ if actual is None else actual}.",
            where=where,
            fix=f"return a tuple of {len(node.outputs)} values.",
            expected=len(node.outputs),
            actual=actual,
        )
    return dict(zip(node.outputs, parts, strict=True))


def as_raised(error: Exception) -> BaseException:
    """Return what was raised: of a ``StopIteration``, a coroutine makes a ``RuntimeError``."""
    cause = error.__cause__
    stopped = error.args == ("coroutine raised StopIteration",)
    return cause if stopped and isinstance(cause, StopIteration) else error


def finish(waiting: Awaitable[T]) -> T:
    """Run what is awaited to its end. Whenever it lets others run, there is nobody else to run."""
    steps = waiting.__await__()
    while True:
        try:
            asked_for = next(steps)
        except StopIteration as end:
            result: T = end.value
            return result
        except RuntimeError as error:
            raised = as_raised(error)
            if raised is error:
                raise
            raise raised from raised.__cause__
        if asked_for is not None:
            raise NotImplementedError(
                f"the reference has no {type(asked_for).__name__} to wait for"
            )


async def chunks_of(generator: Iterable[Any] | AsyncIterator[Any]) -> AsyncIterator[Any]:
    """Yield what a generator yields, async or not."""
    if isinstance(generator, AsyncIterator):
        async for chunk in generator:
            yield chunk
    else:
        for chunk in generator:
            yield chunk


def collect(node: CallableNode, collected: list[Any]) -> Any:
    """Rule: All `str` joined, all `bytes` joined, else a list; with no chunk, by the annotation."""
    if not collected:
        annotation = typing.get_type_hints(node.func).get("return")
        item = (*typing.get_args(annotation), annotation)[0]
        return "" if item is str else b"" if item is bytes else []
    if all(isinstance(chunk, str) for chunk in collected):
        return "".join(collected)
    if all(isinstance(chunk, bytes) for chunk in collected):
        return b"".join(collected)
    return collected


# -- options -------------------------------------------------------------------------------------


def names_of(names: str | Sequence[str]) -> tuple[str, ...]:
    """Accept one name or several."""
    return (names,) if isinstance(names, str) else tuple(names)


def wanted_outputs(graph: Graph, select: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return the names a run returns, as far as they are produced, in the graph's order."""
    if select is None:
        return graph.outputs
    for name in names_of(select):
        if name not in graph.outputs:
            raise InputError(
                f"{name!r} is no output of the graph.{did_you_mean(name, graph.outputs)}",
                where=f"graph {graph.name!r}",
                fix="select one of its outputs.",
            )
    return tuple(name for name in graph.outputs if name in names_of(select))


def items_of(inputs: Mapping[str, Any], names: tuple[str, ...], mode: str) -> list[dict[str, Any]]:
    """Return the inputs of each item: the named ones iterated, the rest broadcast.

    "zip needs equal lengths (error names each length); product iterates the first named slowest."
    """
    lists = {}
    for name in names:
        if name not in inputs:
            raise InputError(f"{name!r} is mapped over and not given.", fix="give it a list.")
        if isinstance(inputs[name], (str, bytes, Mapping)) or not isinstance(
            inputs[name], Iterable
        ):
            raise InputError(
                f"{name!r} is mapped over, but is of type {type(inputs[name]).__name__}.",
                fix="give a list of items.",
            )
        lists[name] = list(inputs[name])
    if mode == "product":
        rows = list(itertools.product(*lists.values()))
    else:
        if len({len(items) for items in lists.values()}) > 1:
            lengths = ", ".join(f"{name!r}: {len(items)}" for name, items in lists.items())
            raise InputError(f"Unequal lengths: {lengths}.", fix='use map_mode="product".')
        rows = list(zip(*lists.values(), strict=True))
    return [{**inputs, **dict(zip(lists, row, strict=True))} for row in rows]
