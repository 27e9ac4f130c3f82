"""Runners that break the contract: what they declare, what they refuse, and what they tell.

Rule of this file: the outputs of what runs to its end are right.
"""

from __future__ import annotations

import dataclasses
from typing import Any, cast

from hypergraph.capabilities import HasFeatures, RunnerCapabilities
from hypergraph.errors import IncompatibleRunnerError
from hypergraph.events import NodeErrorEvent, RunEndEvent
from hypergraph.graph import Graph
from hypergraph.nodes import CallableNode, GateNode
from hypergraph.testing.async_reference_runner import AsyncReferenceRunner
from hypergraph.testing.reference_runner import ObservedInterpreter, ReferenceRunner

PLAIN = RunnerCapabilities(supports_cycles=False, supports_gates=False)
GATELESS = RunnerCapabilities(supports_gates=False)

# -- what a failure becomes ----------------------------------------------------------------------


class _WrapsErrors(ObservedInterpreter):
    async def execute(self, name: str, inputs: dict[str, Any]) -> Any:
        """Replace a node's exception by one of the runner's own."""
        try:
            return await super().execute(name, inputs)
        except Exception as error:
            raise RuntimeError(f"node {name} failed with {inputs}: {error}") from error


class WrappingRunner(ReferenceRunner):
    """Wraps what a node raises, and tells the values of its inputs on the way."""

    name = "faulty-wrapping"
    interpreter = _WrapsErrors


class _DropsErrors(ObservedInterpreter):
    async def execute(self, name: str, inputs: dict[str, Any]) -> Any:
        """Go on without the node."""
        try:
            return await super().execute(name, inputs)
        except Exception:
            return {}


class SwallowingRunner(ReferenceRunner):
    """Returns the outputs that there are when a node failed."""

    name = "faulty-swallowing"
    interpreter = _DropsErrors


class SwallowingOneKindRunner(ReferenceRunner):
    """Takes a ``ValueError`` for the end of a run that has no outputs."""

    name = "faulty-swallowing-one-kind"

    def run(self, graph: Graph, *given: Any, **options: Any) -> dict[str, Any]:
        """Return nothing where a value did not fit."""
        try:
            return super().run(graph, *given, **options)
        except ValueError:
            return {}


class _CatchesEverything(ObservedInterpreter):
    async def call(self, node: CallableNode, inputs: dict[str, Any]) -> Any:
        """Make an error of whatever is raised."""
        try:
            return await super().call(node, inputs)
        except Exception:
            raise
        except BaseException as stopped:
            raise RuntimeError(f"node {node.name} was stopped") from stopped


class CatchingRunner(ReferenceRunner):
    """Takes Ctrl-C in a node for a failure of that node."""

    name = "faulty-catching"
    interpreter = _CatchesEverything


class _TellsOnlySuccess(ObservedInterpreter):
    def say(self, kind: Any, span: int, parent: int | None, **details: Any) -> None:
        """Tell of what went well."""
        if kind is not NodeErrorEvent and not (kind is RunEndEvent and details["error"]):
            super().say(kind, span, parent, **details)


class ReticentRunner(ReferenceRunner):
    """Tells its listeners neither that a node failed nor that the run is over then."""

    name = "faulty-reticent"
    interpreter = _TellsOnlySuccess


class SessionlessRunner(ReferenceRunner):
    """Takes a session for its maps, and does not tell it to their runs."""

    name = "faulty-sessionless"

    def map(
        self, graph: Graph, *given: Any, session_id: str | None = None, **options: Any
    ) -> list[dict[str, Any] | Exception]:
        """Drop the session."""
        return super().map(graph, *given, **options)


# -- what is refused -----------------------------------------------------------------------------


class UnrefusingRunner(ReferenceRunner):
    """Declares that it supports neither cycles nor gates, and runs them all the same."""

    name = "faulty-unrefusing"
    capabilities = PLAIN

    def validate(self, graph: HasFeatures) -> None:
        """Refuse nothing."""


class TimidRunner(ReferenceRunner):
    """Declares gates, and refuses them."""

    name = "faulty-timid"

    def validate(self, graph: HasFeatures) -> None:
        """Refuse what is not supported, and gates."""
        without = dataclasses.replace(self.capabilities, supports_gates=False)
        without.validate_graph(graph, runner="TimidRunner")


class RudeRunner(ReferenceRunner):
    """Refuses by an exception that says neither why nor for which node."""

    name = "faulty-rude"
    capabilities = PLAIN

    def validate(self, graph: HasFeatures) -> None:
        """Refuse with NotImplementedError."""
        if self.capabilities.unsupported(graph.features) is not None:
            raise NotImplementedError("this graph is not supported")


class NamelessRunner(ReferenceRunner):
    """Refuses by the right exception, and names no node."""

    name = "faulty-nameless"
    capabilities = PLAIN

    def validate(self, graph: HasFeatures) -> None:
        """Refuse without saying where."""
        try:
            super().validate(graph)
        except IncompatibleRunnerError as error:
            error.node = ""
            raise


class ShallowRunner(ReferenceRunner):
    """Looks for what it does not support in the outermost graph only."""

    name = "faulty-shallow"
    capabilities = PLAIN

    def validate(self, graph: HasFeatures) -> None:
        """Refuse what is needed at the top."""
        missing = self.capabilities.unsupported(graph.features)
        if missing is not None and "/" not in getattr(graph.features, missing.name):
            super().validate(graph)


class _StopsAtGates(ObservedInterpreter):
    async def execute(self, name: str, inputs: dict[str, Any]) -> Any:
        """Refuse a gate when it is its turn."""
        if isinstance(self.shape.nodes[name], GateNode):
            GATELESS.validate_graph(self.graph, runner="TardyRunner")
        return await super().execute(name, inputs)


class TardyRunner(ReferenceRunner):
    """Refuses a gate when it gets to it; what came before it has run."""

    name = "faulty-tardy"
    capabilities = GATELESS
    interpreter = _StopsAtGates

    def validate(self, graph: HasFeatures) -> None:
        """Refuse what is not supported, but for gates."""
        ReferenceRunner.capabilities.validate_graph(graph, runner="TardyRunner")


# -- what is declared ----------------------------------------------------------------------------


class BoastfulRunner(ReferenceRunner):
    """Declares interrupts and streaming, and has neither."""

    name = "faulty-boastful"
    capabilities = RunnerCapabilities(supports_interrupts=True, supports_streaming=True)


class _AwaitsNothing(ObservedInterpreter):
    async def call(self, node: CallableNode, inputs: dict[str, Any]) -> Any:
        """Return what an async function returns: a coroutine."""
        if not node.is_async or node.is_generator:
            return await super().call(node, inputs)
        named = dict(zip(node.params, inputs.values(), strict=False))
        coroutine: Any = node.func(**named)
        coroutine.close()
        return coroutine


class UnawaitingRunner(ReferenceRunner):
    """Declares async nodes, and takes the coroutine for what it gives."""

    name = "faulty-unawaiting"
    capabilities = RunnerCapabilities(supports_async_nodes=True)
    interpreter = _AwaitsNothing


class UndeclaredCoroutineRunner(AsyncReferenceRunner):
    """Has to be awaited, and does not say so."""

    name = "faulty-undeclared"
    capabilities = RunnerCapabilities(supports_async_nodes=True)


class DeclaredCoroutineRunner(ReferenceRunner):
    """Says that it has to be awaited, and returns its outputs at once."""

    name = "faulty-declared"
    capabilities = RunnerCapabilities(returns_coroutine=True)


class OutdatedRunner(ReferenceRunner):
    """Was written for another version of the contract."""

    name = "faulty-outdated"
    runner_api = ">=0.1,<1"


class FromAnywhereRunner(ReferenceRunner):
    """Returns something of its own, which is neither a mapping nor a ``RunResult``."""

    name = "faulty-own-result"

    def run(self, graph: Graph, *given: Any, **options: Any) -> dict[str, Any]:
        """Return pairs."""
        return cast("dict[str, Any]", list(super().run(graph, *given, **options).items()))


@dataclasses.dataclass
class Changeable:
    """Settings that can be changed while a runner has them, and say nothing of themselves."""

    event_processors: tuple[Any, ...] = ()


class UnsettledRunner(ReferenceRunner):
    """Publishes settings that are neither frozen nor explained."""

    name = "faulty-unsettled"
    settings_class = Changeable


PROMISING = (
    WrappingRunner,
    SwallowingRunner,
    SwallowingOneKindRunner,
    CatchingRunner,
    ReticentRunner,
    SessionlessRunner,
    UnrefusingRunner,
    TimidRunner,
    RudeRunner,
    NamelessRunner,
    ShallowRunner,
    TardyRunner,
    BoastfulRunner,
    UnawaitingRunner,
    UndeclaredCoroutineRunner,
    DeclaredCoroutineRunner,
    OutdatedRunner,
    FromAnywhereRunner,
    UnsettledRunner,
)
