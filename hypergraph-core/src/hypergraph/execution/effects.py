"""What a flow asks of the runner that carries it out.

Rule of this file: a flow never calls anything itself. It yields an effect and is sent its result, or
is thrown the exception. An event is an effect too (emit it; the result is ignored), and so is another
flow (run it; the result is what it returns).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from hypergraph.checkpointers import StepRecord, Workflow
from hypergraph.events.types import Event
from hypergraph.execution.context import Context, Scope
from hypergraph.execution.program import Program, Values
from hypergraph.graph import GraphNode
from hypergraph.nodes import CallableNode, InterruptNode


class Call(msgspec.Struct, frozen=True):
    """Call ``function`` with the inputs of a node in order; the result is what it returns.

    The function is the node's own, made to take all its inputs by position; a generator it returns is
    run to its end, and an awaitable awaited, within the node's timeout. ``start`` is an event to emit
    just before, for that the usual node costs one effect less.
    """

    function: Callable[..., Any]
    inputs: dict[str, Any]
    node: CallableNode
    start: Event | None = None


class Stream(msgspec.Struct, frozen=True):
    """Call a generator node as `Call` does and emit an event for each chunk; the result is its value,
    the chunks joined. ``scope`` is that of the node."""

    function: Callable[..., Any]
    inputs: dict[str, Any]
    node: CallableNode
    scope: Scope
    graph_name: str | None


class Sleep(msgspec.Struct, frozen=True):
    """Let seconds pass."""

    seconds: float


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

    ``awaits`` says of each, or of all, whether it awaits something: a runner that can runs those
    together, and the others one by one after them. If some fail, the first failure in order is thrown.
    """

    flows: Iterable[Flow]
    awaits: Sequence[bool] | bool = False


class Ask(msgspec.Struct, frozen=True):
    """Let a handler answer an interrupt; the result is the answer."""

    handler: Callable[[Any], Any]
    value: Any


class Wait(msgspec.Struct, frozen=True):
    """Give whoever follows the run the time to answer interrupts; ``asked`` holds them by response key.
    The result is the dict of the answers given by then."""

    asked: Mapping[str, InterruptNode]


class Begin(msgspec.Struct, frozen=True):
    """Take hold of a workflow; the result is what is ``Stored`` of it."""

    workflow_id: str


class Put(msgspec.Struct, frozen=True):
    """Store the header of the workflow, and steps with it: all of it or nothing."""

    workflow: Workflow
    steps: Sequence[StepRecord] = ()


class Save(msgspec.Struct, frozen=True):
    """Append a step to the workflow."""

    workflow_id: str
    step: StepRecord


class End(msgspec.Struct, frozen=True):
    """Make everything stored safe, and let go of the workflow."""

    workflow_id: str


Flow: TypeAlias = Generator[Any, Any, Any]
