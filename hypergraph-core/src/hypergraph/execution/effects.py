"""What a flow asks of the runner that carries it out.

Rule of this file: a flow never calls anything itself. It yields an effect and is sent its result, or
is thrown the exception. An event is an effect too (emit it; the result is ignored), and so is another
flow (run it; the result is what it returns).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from typing import Any, Final, TypeAlias

import msgspec

from hypergraph.events.types import Event
from hypergraph.execution.context import Context
from hypergraph.execution.program import Program, Values
from hypergraph.graph import GraphNode
from hypergraph.nodes import CallableNode

DONE: Final = object()
"""The result of `Next` when the generator has ended."""


class Call(msgspec.Struct, frozen=True):
    """Call ``function`` with the inputs of a node in order; the result is what it returns.

    The function is the node's own, made to take all its inputs by position, and to run a generator to
    its end unless its chunks are to be read with `Next`. ``start`` is an event to emit just before, for
    that the usual node costs one effect less.
    """

    function: Callable[..., Any]
    inputs: dict[str, Any]
    node: CallableNode
    start: Event | None = None


class Next(msgspec.Struct, frozen=True):
    """Take the next chunk of a generator; the result is the chunk, or `DONE`."""

    generator: Any


class CacheGet(msgspec.Struct, frozen=True):
    """Look a key up; the result is what was stored, or ``MISS``."""

    key: str


class CachePut(msgspec.Struct, frozen=True):
    """Store a value under a key."""

    key: str
    value: Any


class Answer(msgspec.Struct, frozen=True):
    """Answer a whole program from the cache; the result says whether every value was there."""

    program: Program
    values: Values


class CacheFlush(msgspec.Struct, frozen=True):
    """Let the cache make everything last that was put."""


class Nest(msgspec.Struct, frozen=True):
    """Run a nested graph on the runner it brings; the result is its ``RunResult``."""

    node: GraphNode
    inputs: Mapping[str, Any]
    context: Context


class All(msgspec.Struct, frozen=True):
    """Run flows that do not depend on each other; the result is the list of theirs, in order.

    If some fail, the first failure in that order is thrown.
    """

    flows: Iterable[Flow]


Flow: TypeAlias = Generator[Any, Any, Any]
