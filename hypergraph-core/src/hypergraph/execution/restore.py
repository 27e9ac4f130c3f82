"""Bringing a run to where its recorded steps leave it, without calling anything.

Rule of this file: steps are committed again in the order in which they were; those of a generation that
was cut off are handed back, so that only the rest of it runs and all of it is committed together, as if
nothing had happened.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from hypergraph.checkpointers import StepKind, StepRecord
from hypergraph.checkpointers.history import nested_outputs
from hypergraph.content import content_key
from hypergraph.errors import UnkeyableError
from hypergraph.execution.answers import nested_answers
from hypergraph.execution.execution import Execution
from hypergraph.execution.plan import Schedule
from hypergraph.execution.records import GATE, NESTED_GRAPH, ONE_OUTPUT
from hypergraph.execution.trail import Trail
from hypergraph.graph import Graph

_INPUTS, _GRAPH = StepKind.INPUTS, StepKind.GRAPH  # to ask an enum takes longer than to read a name


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
    steps = [] if journal is None else journal.scopes.get(trail.scope, [])
    if journal is None or not (steps or trail.earlier is not None):
        return Restored(Execution(schedule, inputs, limit), {}, 0, {})
    if trail.superstep is None:  # the run as a whole has its inputs among the steps
        begun = _values(schedule.plan.graph, steps[0])
        run = _repeated(Execution(schedule, begun, limit, resumed=True), trail, steps[1:])
    else:
        first = inputs if trail.earlier is None else trail.earlier
        run = _repeated(Execution(schedule, first, limit, resumed=True), trail, steps)
        given = {} if trail.earlier is None else changed(trail.earlier, inputs)
        if given:
            _give(run.execution, run.done, run.earlier, given)
            return Restored(run.execution, {}, run.generation + bool(run.done), run.earlier)
    return run


def _values(graph: Graph, step: StepRecord) -> dict[str, Any]:
    """Return the inputs of a step that the graph still has, without the answers among them, which come
    when they are asked for."""
    answers, wiring = nested_answers(graph, step.values), graph.wiring
    return {
        name: value
        for name, value in step.values.items()
        if name not in answers and (name in wiring.consumers or name in wiring.producers)
    }


def _give(
    execution: Execution,
    done: dict[int, Any],
    earlier: dict[int, dict[str, Any]],
    given: Mapping[str, Any],
) -> None:
    """Give a run other inputs: they make due what depends on them, also in nested graphs that run."""
    if execution.is_whole(done):
        execution.redo(done)
        done = {}
    for number in execution.due.difference(done):
        if execution.tables.kinds[number] == NESTED_GRAPH:
            earlier.setdefault(number, execution.inputs(number))
    execution.redo(done)
    execution.give(given)


def _repeated(execution: Execution, trail: Trail, steps: Sequence[StepRecord]) -> Restored:
    """Commit recorded steps, but for those of a generation that is still open."""
    readers: dict[str, Reader] = {}
    done: dict[int, Any] = {}
    earlier: dict[int, dict[str, Any]] = {}
    generation = 0
    ended: dict[str, int] = {}
    redo, redo_one = execution.redo, execution.redo_one
    number = -1
    for step in steps:
        kind = step.kind
        if kind is _INPUTS:
            _give(execution, done, earlier, _values(execution.schedule.plan.graph, step))
            done, generation = {}, step.generation
            continue
        if step.generation != generation:
            if len(done) == 1 and number in done:  # the usual case of a loop
                redo_one(number, done[number])
            else:
                redo(done)
            done, generation = {}, step.generation
        name = step.node_name
        reader = readers.get(name)
        if reader is None:
            reader = readers[name] = _reader(execution, name)
        number, values = reader.number, step.values
        if kind is _GRAPH:
            ended[name] = run = ended.get(name, -1) + 1
            earlier.pop(number, None)
            assert trail.journal is not None
            values = nested_outputs(trail.journal.scopes, f"{trail.scope}{name}#{run}", values)
        try:
            done[number] = reader.read(values)
        except (KeyError, TypeError):  # the graph was another one then, and the node has to run
            continue
    if not done:
        return Restored(execution, {}, generation, earlier)
    if execution.is_next(done) and not execution.is_whole(done):
        return Restored(execution, done, generation, earlier)
    redo(done)
    return Restored(execution, {}, generation + 1, earlier)


class Reader(NamedTuple):
    """How the steps of a node are read: its number, and from recorded values to its decoded result.
    What does not fit is a ``KeyError`` or ``TypeError``."""

    number: int
    read: Callable[[Any], Any]


def _reader(execution: Execution, name: str) -> Reader:
    tables, index = execution.tables, execution.schedule.plan.graph.wiring.index
    number = index.get(name)
    if number is None:
        return Reader(-1, dict[Any, Any]().__getitem__)
    kind, node = tables.kinds[number], tables.nodes[number]
    if kind == GATE:
        targets = {target: index[target] for target in node.targets if isinstance(target, str)}
        known: dict[tuple[str, ...], tuple[int, ...]] = {}

        def chosen(names: tuple[str, ...]) -> tuple[int, ...]:
            if names not in known:
                known[names] = tuple(targets[target] for target in names)
            return known[names]

        return Reader(number, chosen)
    if kind == NESTED_GRAPH:
        return Reader(number, dict)
    if kind == ONE_OUTPUT:
        return Reader(number, itemgetter(node.outputs[0]))
    return Reader(number, lambda values: tuple([values[output] for output in node.outputs]))


def changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return the new values that are not equal to the old ones of the same name."""
    return {
        name: value
        for name, value in new.items()
        if name not in old or (old[name] is not value and not same(old[name], value))
    }


def same(one: Any, other: Any) -> bool:
    """Say whether two values are the same in type and content; in doubt they are not."""
    if type(one) is not type(other):
        return False
    try:
        return content_key(one) == content_key(other)
    except UnkeyableError:
        try:
            return pickle.dumps(one, 5) == pickle.dumps(other, 5) or bool(one == other)
        except Exception:  # it cannot be pickled, or its == does as it likes
            return False
