"""``strict_types=True``: the annotations along every data edge must fit.

Rule of this file: what is not annotated, or is ``Any``, fits everything. Whether one annotation is a
subtype of another is beartype's judgement, with the numeric tower of PEP 484 (an ``int`` is a
``float``) on top.
"""

from __future__ import annotations

import collections.abc as abc
import typing
from types import GenericAlias, UnionType
from typing import Any, Final

from beartype.door import is_subhint

from hypergraph.errors import GraphConfigError
from hypergraph.graph.graph import Graph
from hypergraph.graph.graph_node import GraphNode
from hypergraph.nodes import CallableNode, GateNode, HyperNode, InterruptNode

UNKNOWN: Final = Any
_TOWER: Final[dict[Any, Any]] = {float: float | int, complex: complex | float | int}
_UNIONS: Final = (typing.Union, UnionType)
_ITERATORS: Final = (
    abc.Iterator, abc.Iterable, abc.Generator, abc.AsyncIterator, abc.AsyncIterable, abc.AsyncGenerator
)  # fmt: skip


def check_types(graph: Graph) -> None:
    """Raise ``GraphConfigError`` for the first data edge whose annotations do not fit."""
    nodes = graph.nodes
    for producer, consumer, name in graph.data_edges:
        given, wanted = output_type(nodes[producer], name), input_type(nodes[consumer], name)
        if not fits(given, wanted):
            raise GraphConfigError(
                f"{producer!r} produces {name!r} as {_shown(given)}, and {consumer!r} takes it as "
                f"{_shown(wanted)}.",
                where=graph.where,
                fix="change one of the two annotations, or put a node between them that converts.",
            )


def fits(given: Any, wanted: Any) -> bool:
    """Say whether every value of one annotation is one of the other, as far as that can be known.

    ``list`` fits ``list[int]``: what it holds is not said.
    """
    if given is UNKNOWN or wanted is UNKNOWN:
        return True
    if typing.get_origin(given) in _UNIONS:
        return all(fits(part, wanted) for part in typing.get_args(given))
    if typing.get_origin(wanted) in _UNIONS:
        return any(fits(given, part) for part in typing.get_args(wanted))
    origin = typing.get_origin(wanted)
    superhint: Any = (
        origin if origin and isinstance(given, type) and not typing.get_args(given) else wanted
    )
    try:
        return bool(is_subhint(given, _TOWER.get(superhint, superhint)))
    except (
        Exception
    ):  # an annotation that beartype has no judgement on is not an error of the graph
        return True


def output_type(node: HyperNode, name: str) -> Any:
    """Return the annotation of a node's output, or ``UNKNOWN``."""
    if isinstance(node, GraphNode):
        inner, graph = node.inner_outputs[name], node.graph
        found = [output_type(n, inner) for n in graph.node_list if inner in n.outputs]
        kind = found[0] if len(found) == 1 else UNKNOWN
        return GenericAlias(list, (kind,)) if node.map_params and kind is not UNKNOWN else kind
    if isinstance(node, InterruptNode):
        return node.response_type or UNKNOWN
    assert isinstance(node, CallableNode)
    returned = _hints(node).get("return", UNKNOWN)
    if node.is_generator:
        returned = _collected(returned)
    if len(node.outputs) == 1:
        return returned
    return _part(returned, node.outputs.index(name), node)


def input_type(node: HyperNode, name: str) -> Any:
    """Return the annotation of a node's input, or ``UNKNOWN``."""
    if isinstance(node, GraphNode):
        inner, graph = node.inner_inputs[name], node.graph
        found = [input_type(n, inner) for n in graph.node_list if inner in n.inputs]
        kind = found[0] if len(found) == 1 else UNKNOWN
        mapped = name in node.map_params and kind is not UNKNOWN
        return GenericAlias(abc.Iterable, (kind,)) if mapped else kind
    if isinstance(node, CallableNode):
        return _hints(node).get(node.params[node.inputs.index(name)], UNKNOWN)
    return UNKNOWN


def _hints(node: CallableNode) -> dict[str, Any]:
    if isinstance(node, GateNode) and not hasattr(node.func, "__annotations__"):
        return {}
    try:
        return typing.get_type_hints(node.func)
    except TypeError:  # a callable without annotations of its own
        return {}
    except Exception as error:  # an annotation in quotes is code
        raise GraphConfigError(
            f"The annotations of node {node.name!r} cannot be read: {error}.",
            where=f"node {node.name!r}",
            fix="import the name at run time (not only under TYPE_CHECKING), or leave strict_types out.",
        ) from None


def _collected(hint: Any) -> Any:
    """Return the type of a generator node's value from what it is annotated to return."""
    if hint in (str, bytes):
        return hint
    if typing.get_origin(hint) in _ITERATORS:
        chunk = typing.get_args(hint)[0]
        return chunk if chunk in (str, bytes, UNKNOWN) else GenericAlias(list, (chunk,))
    return UNKNOWN


def _part(hint: Any, position: int, node: CallableNode) -> Any:
    """Return the type of one of several outputs from the annotation of the tuple."""
    if typing.get_origin(hint) is not tuple:
        return UNKNOWN
    parts = typing.get_args(hint)
    if len(parts) == 2 and parts[1] is Ellipsis:
        return parts[0]
    if len(parts) != len(node.outputs):
        raise GraphConfigError(
            f"Node {node.name!r} has {len(node.outputs)} outputs and is annotated to return "
            f"{len(parts)}.",
            where=f"node {node.name!r}",
            fix="make the tuple in the return annotation as long as output_name.",
        )
    return parts[position]


def _shown(hint: Any) -> str:
    return hint.__name__ if type(hint) is type else str(hint).replace("typing.", "")
