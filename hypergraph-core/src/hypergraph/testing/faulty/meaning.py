"""Runners that misread a graph: what runs, when, with which values, and how often.

Rule of this file: one replaced rule of the interpreter per runner.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from hypergraph.graph import Graph, GraphNode
from hypergraph.nodes import CallableNode, GateNode
from hypergraph.testing.reference import Interpreter, ReferenceResult
from hypergraph.testing.reference_runner import ObservedInterpreter, ReferenceRunner
from hypergraph.testing.values import names_of


class _RunsWhateverIsDue(ObservedInterpreter):
    def generation(self) -> list[str]:
        """Ignore the forward order: every due node runs, whatever is still to come before it."""
        return [name for name in self.shape.order if self.is_due(name)]


class ImpatientRunner(ReferenceRunner):
    """Runs a node as soon as it has values, so that a join sees values of two different rounds."""

    name = "faulty-impatient"
    interpreter = _RunsWhateverIsDue


class _SelectsAllTargets(ObservedInterpreter):
    async def execute(self, name: str, inputs: dict[str, Any]) -> Any:
        """Let a gate decide, and select every target that it could have chosen."""
        result = await super().execute(name, inputs)
        node = self.shape.nodes[name]
        return node.targets if isinstance(node, GateNode) else result


class UndecidedRunner(ReferenceRunner):
    """Calls gates and ignores what they say."""

    name = "faulty-undecided"
    interpreter = _SelectsAllTargets


class _CallsTwice(ObservedInterpreter):
    async def call(self, node: CallableNode, inputs: dict[str, Any]) -> Any:
        """Try the function first, to see whether it fails, and call it then."""
        if not node.is_generator:
            await super().call(node, inputs)
        return await super().call(node, inputs)


class RepeatingRunner(ReferenceRunner):
    """Calls every function twice. The outputs are right."""

    name = "faulty-repeating"
    interpreter = _CallsTwice


class WritingRunner(ReferenceRunner):
    """Takes the dict of inputs for its own: it leaves outputs in it, and takes lists of items out."""

    name = "faulty-writing"

    def run(self, graph: Graph, inputs: Any = None, **options: Any) -> dict[str, Any]:
        """Put the outputs to the inputs."""
        outputs = super().run(graph, inputs, **options)
        if inputs is not None:
            inputs.update(outputs)
        return outputs

    def map(self, graph: Graph, inputs: Any = None, **options: Any) -> list[Any]:
        """Take the lists of items out of the inputs."""
        rows = super().map(graph, inputs, **options)
        for name in names_of(options["map_over"]):
            inputs.pop(name)
        return rows


class _CopiesValues(ObservedInterpreter):
    def read(self, name: str) -> dict[str, Any]:
        """Give each node copies, so that none can change what another sees."""
        return copy.deepcopy(super().read(name))


class CopyingRunner(ReferenceRunner):
    """Hands every node a copy of its inputs: a connection or a model is never the one given."""

    name = "faulty-copying"
    interpreter = _CopiesValues


class _TakesNoneForNothing(ObservedInterpreter):
    def commit(self, results: list[tuple[str, Any]]) -> None:
        """Keep what is not None."""
        super().commit([(name, _without_none(result)) for name, result in results])


def _without_none(result: Any) -> Any:
    if not isinstance(result, dict):  # what a gate selects
        return result
    return {name: value for name, value in result.items() if value is not None}


class NonelessRunner(ReferenceRunner):
    """Takes a node that returns None for one that returns nothing."""

    name = "faulty-noneless"
    interpreter = _TakesNoneForNothing


class _CountsNothing(ObservedInterpreter):
    def check_iterations(self, name: str) -> None:
        """Let the loop go on."""


class BoundlessRunner(ReferenceRunner):
    """Takes ``max_iterations`` and ignores it."""

    name = "faulty-boundless"
    interpreter = _CountsNothing


class _ComputesEverything(ObservedInterpreter):
    async def run(self, graph: Any, inputs: Mapping[str, Any], **options: Any) -> ReferenceResult:
        """Forget what is given and could be computed; what starts a cycle is needed."""
        if not graph.has_cycles:
            inputs = {name: v for name, v in inputs.items() if name not in graph.outputs}
        return await super().run(graph, inputs, **options)


class StubbornRunner(ReferenceRunner):
    """Computes what is given as an output already."""

    name = "faulty-stubborn"
    interpreter = _ComputesEverything


class _UnbindsWhatIsNested(ObservedInterpreter):
    async def run(self, graph: Any, inputs: Mapping[str, Any], **options: Any) -> ReferenceResult:
        """Run a nested graph as its nodes alone would run."""
        if self.path:
            graph = graph.unbind(*graph.bound)
        return await super().run(graph, inputs, **options)


class UnbindingRunner(ReferenceRunner):
    """Takes a nested graph for its nodes, and loses what was bound in it."""

    name = "faulty-unbinding"
    interpreter = _UnbindsWhatIsNested


class _BindsWhatIsNested(ObservedInterpreter):
    outer: Mapping[str, Any] = MappingProxyType({})

    def child(self, node: GraphNode, item: tuple[int, int] | None = None) -> Interpreter:
        """Hand the bindings of this graph to the nested one."""
        child = super().child(node, item)
        assert isinstance(child, _BindsWhatIsNested)
        child.outer = {**self.outer, **self.graph.bound}
        return child

    def read(self, name: str) -> dict[str, Any]:
        """Look in the outer graphs as well."""
        inputs = self.shape.nodes[name].inputs
        return {**{n: v for n, v in self.outer.items() if n in inputs}, **super().read(name)}


class SeepingRunner(ReferenceRunner):
    """Lets what is bound outside reach into a nested graph that has names of its own."""

    name = "faulty-seeping"
    interpreter = _BindsWhatIsNested


class _KeepsChunks(ObservedInterpreter):
    def join(self, node: CallableNode, chunks: list[Any]) -> Any:
        """Return the chunks."""
        return chunks


class UnjoinedRunner(ReferenceRunner):
    """Returns the chunks of a generator as a list, text or not."""

    name = "faulty-unjoined"
    interpreter = _KeepsChunks


class ThinningRunner(ReferenceRunner):
    """Leaves out of a map the items that failed, so that the others stand in wrong places."""

    name = "faulty-thinning"

    def map(self, *given: Any, **options: Any) -> list[dict[str, Any] | Exception]:
        """Return the items that went well."""
        return [row for row in super().map(*given, **options) if not isinstance(row, Exception)]


class _LetsTheLastWin(ObservedInterpreter):
    def commit(self, results: list[tuple[str, Any]]) -> None:
        """Write what each node gave, one after the other."""
        for result in results:
            super().commit([result])


class OverwritingRunner(ReferenceRunner):
    """Lets two nodes of a generation write one output; which value stays is a matter of order."""

    name = "faulty-overwriting"
    interpreter = _LetsTheLastWin


MISREADING = (
    ImpatientRunner,
    UndecidedRunner,
    RepeatingRunner,
    WritingRunner,
    CopyingRunner,
    NonelessRunner,
    BoundlessRunner,
    StubbornRunner,
    UnbindingRunner,
    SeepingRunner,
    UnjoinedRunner,
    ThinningRunner,
    OverwritingRunner,
)
