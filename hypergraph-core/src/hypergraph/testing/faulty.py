"""Runners that are wrong on purpose, each in one way that a runner's author could get wrong.

Rule of this file: one replaced rule per runner. The kit must fail each of them by the tests that
name the rule, or it tests nothing.
"""

from __future__ import annotations

from typing import Any

from hypergraph.capabilities import HasFeatures, RunnerCapabilities
from hypergraph.nodes import GateNode
from hypergraph.testing.reference_runner import ObservedInterpreter, ReferenceRunner


class _RunsWhateverIsDue(ObservedInterpreter):
    def generation(self) -> list[str]:
        """Ignore the forward order: every due node runs, whatever is still to come before it."""
        return [name for name in self.shape.order if self.is_due(name)]


class ImpatientRunner(ReferenceRunner):
    """Runs a node as soon as it has values, so that a join sees values of two different rounds."""

    name = "faulty-impatient"
    interpreter = _RunsWhateverIsDue


class _WrapsErrors(ObservedInterpreter):
    def execute(self, name: str, inputs: dict[str, Any]) -> Any:
        """Replace a node's exception by one of the runner's own."""
        try:
            return super().execute(name, inputs)
        except Exception as error:
            raise RuntimeError(f"node {name} failed with {inputs}: {error}") from error


class WrappingRunner(ReferenceRunner):
    """Wraps what a node raises, and tells the values of its inputs on the way."""

    name = "faulty-wrapping"
    interpreter = _WrapsErrors


class UnrefusingRunner(ReferenceRunner):
    """Declares that it supports neither cycles nor gates, and runs them all the same."""

    name = "faulty-unrefusing"
    capabilities = RunnerCapabilities(supports_cycles=False, supports_gates=False)

    def validate(self, graph: HasFeatures) -> None:
        """Refuse nothing."""


class _SelectsAllTargets(ObservedInterpreter):
    def execute(self, name: str, inputs: dict[str, Any]) -> Any:
        """Let a gate decide, and select every target that it could have chosen."""
        result = super().execute(name, inputs)
        node = self.shape.nodes[name]
        return node.targets if isinstance(node, GateNode) else result


class UndecidedRunner(ReferenceRunner):
    """Calls gates and ignores what they say."""

    name = "faulty-undecided"
    interpreter = _SelectsAllTargets


FAULTY_RUNNERS = (ImpatientRunner, WrappingRunner, UnrefusingRunner, UndecidedRunner)
