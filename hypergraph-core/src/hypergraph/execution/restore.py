"""Bringing a run to where its recorded steps leave it, without calling anything.

Rule of this file: steps are committed again in the order in which they were; those of a generation that
was cut off are handed back, so that only the rest of it runs and all of it is committed together, as if
nothing had happened.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from hypergraph.checkpointers import StepKind, StepRecord
from hypergraph.content import content_key
from hypergraph.errors import UnkeyableError
from hypergraph.execution.execution import Execution
from hypergraph.execution.plan import Schedule
from hypergraph.execution.records import GATE, NESTED_GRAPH, ONE_OUTPUT
from hypergraph.execution.trail import Journal, Trail
from hypergraph.graph import Graph, GraphNode

_MISSING: Any = object()


class Restored(NamedTuple):
    """A run that goes on: the results of the open generation by node, its number, and the former
    inputs of nested graphs that were running in it, where they may have changed."""

    execution: Execution
    done: dict[int, Any]
    generation: int
    earlier: dict[int, dict[str, Any]]


def restored(trail: Trail, schedule: Schedule, inputs: Mapping[str, Any], limit: int) -> Restored:
    """Return the execution of a run, with everything that is recorded of it."""
    journal = trail.journal
    steps = () if journal is None else journal.scopes.get(trail.scope, ())
    if journal is None or not steps:
        return Restored(Execution(schedule, inputs, limit), {}, 0, {})
    if trail.superstep is None:  # the run as a whole has its inputs among the steps
        run = _repeated(Execution(schedule, steps[0].values, limit, resumed=True), trail, steps[1:])
    else:
        first = inputs if trail.earlier is None else trail.earlier
        run = _repeated(Execution(schedule, first, limit, resumed=True), trail, steps)
        given = {} if trail.earlier is None else changed(trail.earlier, inputs)
        if given:
            _give(run.execution, run.done, run.earlier, given)
            return Restored(run.execution, {}, run.generation + bool(run.done), run.earlier)
    return run


def _give(
    execution: Execution,
    done: dict[int, Any],
    earlier: dict[int, dict[str, Any]],
    given: Mapping[str, Any],
) -> None:
    """Give a run other inputs: they make due what depends on them, also in nested graphs that run."""
    for number in execution.due.difference(done):
        if execution.tables.kinds[number] == NESTED_GRAPH:
            earlier.setdefault(number, execution.inputs(number))
    execution.redo(done)
    execution.give(given)


def _repeated(execution: Execution, trail: Trail, steps: Sequence[StepRecord]) -> Restored:
    """Commit recorded steps, but for those of a generation that is still open."""
    journal, scope = trail.journal, trail.scope
    assert journal is not None
    graph = execution.schedule.plan.graph
    index = graph.wiring.index
    done: dict[int, Any] = {}
    earlier: dict[int, dict[str, Any]] = {}
    generation = 0
    ended: dict[str, int] = {}
    for step in steps:
        if step.kind is StepKind.INPUTS:
            _give(execution, done, earlier, step.values)
            done, generation = {}, step.generation
            continue
        if step.generation != generation:
            execution.redo(done)
            done, generation = {}, step.generation
        number = index.get(step.node_name)
        if step.kind is StepKind.GRAPH:
            ended[step.node_name] = run = ended.get(step.node_name, -1) + 1
            earlier.pop(-1 if number is None else number, None)
            if number is not None and type(step.values) is not dict:
                node = graph.node_list[number]
                if isinstance(node, GraphNode):
                    inner = f"{scope}{step.node_name}#{run}"
                    done[number] = _outputs(journal, inner, node, step.values)
                continue
        if number is not None:
            result = _result(execution, number, step)
            if result is not _MISSING:
                done[number] = result
    if not done:
        return Restored(execution, {}, generation, earlier)
    if execution.is_next(done):
        return Restored(execution, done, generation, earlier)
    execution.redo(done)
    return Restored(execution, {}, generation + 1, earlier)


def _result(execution: Execution, number: int, step: StepRecord) -> Any:
    """Return the decoded result that a step holds; of another graph it may hold less than needed."""
    kind, values = execution.tables.kinds[number], step.values
    node = execution.tables.nodes[number]
    if kind == GATE:
        if type(values) is not tuple:
            return _MISSING
        index = execution.schedule.plan.graph.wiring.index
        allowed = {index[target] for target in node.targets if isinstance(target, str)}
        chosen = tuple(index[name] for name in values if name in index)
        return chosen if allowed.issuperset(chosen) else _MISSING
    if type(values) is not dict:
        return _MISSING
    if kind == ONE_OUTPUT:
        return values.get(node.outputs[0], _MISSING)
    if kind == NESTED_GRAPH:
        return values
    if not all(name in values for name in node.outputs):
        return _MISSING
    return tuple(values[name] for name in node.outputs)


def _outputs(journal: Journal, scope: str, node: GraphNode, size: int | None) -> dict[str, Any]:
    """Return the outputs of a nested graph that ended, from its own steps."""
    if size is None:
        return node.outside(_written(journal, f"{scope}/", node.graph))
    return dict(
        node.columns([_written(journal, f"{scope}[{i}]/", node.graph) for i in range(size)])
    )


def _written(journal: Journal, scope: str, graph: Graph) -> dict[str, Any]:
    """Return the values that the nodes of a run wrote, the latest of each."""
    values: dict[str, Any] = {}
    ended: dict[str, int] = {}
    for step in journal.scopes.get(scope, ()):
        if type(step.values) is dict:
            values.update(step.values)
        if step.kind is StepKind.GRAPH:
            ended[step.node_name] = run = ended.get(step.node_name, -1) + 1
            node = graph.nodes.get(step.node_name)
            if isinstance(node, GraphNode) and type(step.values) is not dict:
                inner = f"{scope}{step.node_name}#{run}"
                values.update(_outputs(journal, inner, node, step.values))
    return values


def changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return the new values that are not equal to the old ones of the same name."""
    return {
        name: value
        for name, value in new.items()
        if name not in old or (old[name] is not value and not _equal(old[name], value))
    }


def _equal(one: Any, other: Any) -> bool:
    """Say whether two values are the same in type and content; in doubt they are not."""
    if type(one) is not type(other):
        return False
    try:
        return content_key(one) == content_key(other)
    except UnkeyableError:
        try:
            return bool(one == other)
        except Exception:  # its == may do as it likes
            return False
