"""Runs that may end before their graph does: they pause at interrupts, are stopped, or are kept.

Rule of this file: a generation is finished before a run pauses, and what was started before it is
stopped. What a node returned is saved as soon as it is there, and committed with its generation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from hypergraph.checkpointers import StepKind
from hypergraph.errors import UnstorableValueError
from hypergraph.events.types import InterruptEvent, NodeEndEvent, NodeErrorEvent, NodeStartEvent
from hypergraph.execution.answers import check_answer, moved_out
from hypergraph.execution.context import Scope, Settings
from hypergraph.execution.effects import All, Ask, Flow, Save, Wait
from hypergraph.execution.execution import Execution
from hypergraph.execution.outcome import Outcome
from hypergraph.execution.places import place_error
from hypergraph.execution.records import GATE, NESTED_GRAPH, SEVERAL_OUTPUTS
from hypergraph.execution.restore import Restored
from hypergraph.graph import GraphNode
from hypergraph.nodes import InterruptNode
from hypergraph.results import PauseInfo, PauseReason, RunStatus

_UNANSWERED: Any = object()


class Halted(msgspec.Struct, frozen=True):
    """Why a run ends before its graph does; in the place of a node's result."""

    status: RunStatus
    pauses: tuple[PauseInfo, ...] = ()

    @classmethod
    def inside(cls, node: GraphNode, outcome: Outcome) -> Halted:
        """Return why a nested graph ended, as the graph around it tells it."""
        return cls(outcome.status, tuple(moved_out(node, pause) for pause in outcome.pauses))

    @classmethod
    def together(cls, several: Sequence[Halted]) -> Halted:
        """Return what nodes of one generation come to: stopped if any was, else paused."""
        pauses = tuple(pause for halted in several for pause in halted.pauses)
        stopped = any(halted.status is RunStatus.STOPPED for halted in several)
        return cls(RunStatus.STOPPED if stopped else RunStatus.PAUSED, pauses)


_STOPPED = Halted(RunStatus.STOPPED)
RunNode = Callable[..., Flow]


def halting_generations(settings: Settings, scope: Scope, run: Restored, run_node: RunNode) -> Flow:
    """Run generation after generation; returns ``None``, or why it ended before nothing was due."""
    execution, done, generation, earlier = run
    tables, trail = execution.tables, scope.trail
    assert trail is not None
    while batch := execution.take():
        results = dict(done)
        due = [number for number in batch if number not in done]
        if due and settings.stopping(trail):
            execution.commit(list(done), list(done.values()))
            return _STOPPED
        interrupts = [n for n in due if isinstance(tables.nodes[n], InterruptNode)]
        others = [n for n in due if n not in interrupts] if interrupts else due
        flows = [
            _kept(settings, scope, execution, n, generation, earlier.pop(n, None), run_node)
            for n in others
        ]
        if len(flows) == 1:
            results[others[0]] = yield from flows[0]
        elif flows:
            awaits = [tables.awaits[number] for number in others]
            results.update(zip(others, (yield All(flows, awaits))))
        if interrupts and settings.stopping(trail):
            results.update(dict.fromkeys(interrupts, _STOPPED))
        elif interrupts:
            asked = yield from _asked(settings, scope, execution, interrupts, generation)
            results.update(zip(interrupts, asked))
        halted = [results[number] for number in batch if type(results[number]) is Halted]
        if halted:
            finished = [number for number in batch if type(results[number]) is not Halted]
            execution.commit(finished, [results[number] for number in finished])
            return Halted.together(halted)
        execution.commit(batch, [results[number] for number in batch])
        done = {}
        generation += 1
    cut_short = settings.stop is not None and settings.stop.cut_short
    return _STOPPED if cut_short and not trail.nodes else None


def _kept(
    settings: Settings,
    scope: Scope,
    execution: Execution,
    number: int,
    generation: int,
    earlier: dict[str, Any] | None,
    run_node: RunNode,
) -> Flow:
    """Run a node and save its result; nothing is started once the run is stopped."""
    trail = scope.trail
    assert trail is not None
    if settings.stopping(trail):
        return _STOPPED
    place = {"generation": generation, "earlier": earlier}
    result = yield from run_node(settings, scope, execution, number, **place)
    journal = trail.journal
    if journal is not None and type(result) is not Halted:
        name = execution.tables.nodes[number].name
        kind, values = _recorded(execution, number, result, journal.holds(trail.scope, name))
        step = journal.step(trail.place(generation), name, kind, values)
        try:
            yield Save(journal.workflow_id, step)
        except UnstorableValueError:
            journal.forget(step)
            raise
    return result


def _recorded(
    execution: Execution, number: int, result: Any, in_steps: bool
) -> tuple[StepKind, Any]:
    """Return what is stored of a node's result; the values of a nested graph not, if they are in steps
    of its own."""
    tables = execution.tables
    kind, node = tables.kinds[number], tables.nodes[number]
    if kind == GATE:
        return StepKind.GATE, tuple(tables.nodes[target].name for target in result)
    if kind == NESTED_GRAPH:
        if node.runner is not None and not in_steps:
            return StepKind.GRAPH, result
        size = len(next(iter(result.values()), ())) if node.map_params else None
        return StepKind.GRAPH, [size, dict(node.inner_outputs)]
    if kind == SEVERAL_OUTPUTS:
        return StepKind.NODE, dict(zip(node.outputs, result))
    return StepKind.NODE, {node.outputs[0]: result} if node.outputs else {}


# --- interrupts -------------------------------------------------------------------------------


def _asked(
    settings: Settings,
    scope: Scope,
    execution: Execution,
    interrupts: Sequence[int],
    generation: int,
) -> Flow:
    """Ask for the answers to the interrupts of a generation; returns them, or pauses in their places."""
    trail = scope.trail
    assert trail is not None
    asked = []
    for number in interrupts:
        asked.append((yield from _asked_one(settings, scope, execution, number)))  # noqa: PERF401
    nodes = [execution.tables.nodes[number] for number in interrupts]
    waiting = {
        trail.key(node.response_param): node
        for node, (answer, _) in zip(nodes, asked)
        if answer is _UNANSWERED
    }
    given = (yield Wait(waiting)) if waiting and settings.follows else {}
    results = []
    for number, node, (known, end) in zip(interrupts, nodes, asked):
        key = trail.key(node.response_param)
        answer = given.get(key, _UNANSWERED) if known is _UNANSWERED else known
        if answer is _UNANSWERED:
            results.append(_paused(execution, number, trail.place(generation)))
            continue
        if settings.emit is not None:
            yield end(answer)
        if trail.journal is not None:
            values = {node.response_param: answer}
            place = trail.place(generation)
            step = trail.journal.step(place, node.name, StepKind.ANSWER, values)
            yield Save(trail.journal.workflow_id, step)
        results.append(answer)
    return results


def _asked_one(settings: Settings, scope: Scope, execution: Execution, number: int) -> Flow:
    """Ask for the answer to an interrupt: one that was given, or that a handler gives.

    Returns it, if there is one, and what makes the event that ends the node.
    """
    node, inputs = execution.tables.nodes[number], execution.inputs(number)
    trail, name, graph_name = scope.trail, node.name, execution.graph_name
    assert trail is not None
    ids = scope.run_id, settings.new_span_id(), scope.span_id
    started = settings.clock()
    value, path = inputs[node.input_param], trail.path(name)
    if settings.emit is not None:
        yield NodeStartEvent(*ids, started, name, graph_name, inputs)
    answer = trail.answers.pop(node.response_param, _UNANSWERED)
    try:
        if answer is _UNANSWERED and path in settings.handlers:
            answer = yield Ask(settings.handlers[path], value)
        if answer is not _UNANSWERED:
            check_answer(node, path, answer)
    except Exception as error:
        place_error(error, graph_name, name, node.inputs)
        if settings.emit is not None:
            ended = settings.clock()
            spent = (ended - started) * 1000
            yield NodeErrorEvent(*ids, ended, name, graph_name, error, spent)
        raise
    if answer is _UNANSWERED and settings.emit is not None:
        param, key = node.response_param, trail.key(node.response_param)
        yield InterruptEvent(*ids, settings.clock(), name, graph_name, value, param, key)

    def end(answer: Any) -> NodeEndEvent:
        ended = settings.clock()
        outputs, spent = {node.response_param: answer}, (ended - started) * 1000
        return NodeEndEvent(*ids, ended, name, graph_name, outputs, spent)

    return answer, end


def _paused(execution: Execution, number: int, place: Any) -> Halted:
    node = execution.tables.nodes[number]
    pause = PauseInfo(
        reason=PauseReason.HUMAN_INPUT,
        node_name=node.name,
        response_param=node.response_param,
        response_key=node.response_param,
        value=execution.inputs(number)[node.input_param],
        place=place,
    )
    return Halted(RunStatus.PAUSED, (pause,))
