"""The life of a workflow: one run after another that are kept under one id.

Rule of this file: everything is checked before anything is changed. A run that did not end is resumed:
equal inputs change nothing. After one that completed comes the next turn: every input counts as new.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from hypergraph.checkpointers import (
    PendingAnswer,
    StepKind,
    StepRecord,
    Stored,
    Workflow,
    WorkflowStatus,
)
from hypergraph.errors import AnswerError, CheckpointError, VersionMismatchError, did_you_mean
from hypergraph.execution.answers import (
    check_answers,
    is_seed,
    nested_answers,
    response_keys,
)
from hypergraph.execution.context import Scope, Settings
from hypergraph.execution.effects import Begin, End, Flow, Put, Save
from hypergraph.execution.flow import run_flow
from hypergraph.execution.outcome import Outcome
from hypergraph.execution.plan import Plan
from hypergraph.execution.restore import changed
from hypergraph.execution.trail import Journal, Trail
from hypergraph.graph import Graph, GraphNode
from hypergraph.results import RunStatus

_DIGEST = 16  # hex digits of a node's hash that are kept, to say what changed


class Intake(NamedTuple):
    """What the inputs of a call come to: those of the run as a whole, those that are new to the
    workflow, and the answers among them."""

    inputs: dict[str, Any]
    new: dict[str, Any]
    answers: dict[str, Any]


def workflow_flow(
    settings: Settings,
    scope: Scope,
    plan: Plan,
    given: Mapping[str, Any],
    workflow_id: str,
    force_resume: bool,
) -> Flow:
    """Run a plan as a workflow: begin it, resume it, or take its next turn; returns the ``Outcome``.

    Raises ``WorkflowBusyError``, ``VersionMismatchError``, ``AnswerError`` and ``InputError`` before
    anything changes.
    """
    graph, trail = plan.graph, scope.trail
    assert trail is not None
    begun = None  # the header, once it is the one that counts
    stored = yield Begin(workflow_id)
    try:
        taken = _intake(graph, stored, given, force_resume)
        plan.schedule(tuple(taken.inputs))
        header = _header(settings, scope, graph, workflow_id, stored.workflow)
        journal = Journal(workflow_id, stored.steps, settings.wall)
        opening: list[Put | Save] = [Put(header)]
        if taken.new or not stored.steps:
            step = journal.add(_inputs_step(journal, stored.steps, taken.new))
            # before a header that is there: if they get lost it does not say that a turn has begun
            at = 0 if stored.workflow is not None else 1
            opening.insert(at, Save(workflow_id, step))
        begun = header if stored.workflow is None else None
        for effect in opening:
            yield effect
        begun = header
        trail = msgspec.structs.replace(trail, journal=journal, answers=taken.answers)
        run = run_flow(settings, msgspec.structs.replace(scope, trail=trail), plan, taken.inputs)
        outcome = yield run
        yield Put(_ended(settings, header, outcome))
    except GeneratorExit:
        raise
    except BaseException as error:
        ended = None  # a run that was cancelled is cut off, like one whose process died
        if begun is not None and isinstance(error, Exception):
            failed = Outcome({}, status=RunStatus.FAILED, error=error)
            ended = _ended(settings, begun, failed)
        yield from _let_go(workflow_id, ended, error)
        raise
    yield End(workflow_id)
    return outcome


def _let_go(workflow_id: str, header: Workflow | None, error: BaseException) -> Flow:
    """End a run that failed; what the store has to say against that goes into a note."""
    try:
        if header is not None:
            yield from _noted(Put(header), workflow_id, error)
    except GeneratorExit:
        raise
    except BaseException:  # cancelled meanwhile: the workflow is let go of all the same
        yield from _noted(End(workflow_id), workflow_id, error)
        raise
    yield from _noted(End(workflow_id), workflow_id, error)


def _noted(effect: Put | End, workflow_id: str, error: BaseException) -> Flow:
    try:
        yield effect
    except CheckpointError as failure:
        if failure is not error:
            error.add_note(f"hypergraph: workflow {workflow_id!r}: {failure.what}")


# --- what a call gives ------------------------------------------------------------------------


def fresh_intake(graph: Graph, given: Mapping[str, Any]) -> Intake:
    """Return the inputs of a run that is nobody's continuation. Raises ``AnswerError``."""
    check_answers(graph, given)
    nested = nested_answers(graph, given)
    inputs = {name: value for name, value in given.items() if name not in nested}
    return Intake(inputs, dict(given), {name: given[name] for name in given if name in nested})


def _intake(graph: Graph, stored: Stored, given: Mapping[str, Any], force: bool) -> Intake:
    workflow = stored.workflow
    if workflow is None or not stored.steps:  # new, or cut off before its inputs were stored
        return fresh_intake(graph, given)
    is_new_fork = workflow.forked_from is not None and not workflow.run_id
    if workflow.graph_hash != graph.definition_hash and not (force or is_new_fork):
        raise _mismatch(workflow, graph)
    check_answers(graph, given)
    recorded = _recorded(graph, stored.steps)
    paused = workflow.status is WorkflowStatus.PAUSED
    pending = {pause.response_key for pause in workflow.pauses} if paused else set()
    answers = {name: value for name, value in given.items() if name in pending}
    inputs = {name: value for name, value in given.items() if name not in pending}
    goes_on = workflow.status is not WorkflowStatus.COMPLETED
    new = changed(recorded, inputs) if goes_on else inputs
    if goes_on:
        answers |= _unused_answers(graph, stored, recorded)
    for name in _overtaken(graph, recorded, new):
        if name in inputs:
            new[name] = inputs[name]
        else:
            del recorded[name]
    for name in response_keys(graph):
        if name in new and (paused or not is_seed(graph, name)):
            raise _not_pending(name, pending, workflow)
    known = {**recorded, **inputs}
    nested = nested_answers(graph, known)
    return Intake({name: known[name] for name in known if name not in nested}, new, answers)


def _recorded(graph: Graph, steps: Iterable[StepRecord]) -> dict[str, Any]:
    """Return the inputs that are in force after these steps."""
    recorded: dict[str, Any] = {}
    for step in steps:
        if step.kind is StepKind.INPUTS:
            for name in _overtaken(graph, recorded, step.values):
                del recorded[name]
            recorded.update(step.values)
    return recorded


def _overtaken(graph: Graph, recorded: Iterable[str], new: Iterable[str]) -> list[str]:
    """Return the outputs that were given before and that nodes now make anew from what is new."""
    wiring = graph.wiring
    reached: set[int] = set()
    todo = [node for name in new for node in wiring.consumers.get(name, ())]
    while todo:
        node = todo.pop()
        if node not in reached:
            reached.add(node)
            todo += wiring.successors[node]
    return [
        name
        for name in recorded
        for producer in wiring.producers.get(name, ())[:1]
        if producer in reached and wiring.cycle_of(producer) is None
    ]


def _unused_answers(graph: Graph, stored: Stored, recorded: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answers given in advance to interrupts of nested graphs that were not reached yet."""
    answered = {step.path for step in stored.steps if step.kind is StepKind.ANSWER}
    keys = response_keys(graph)
    unused = [name for name in nested_answers(graph, recorded) if keys[name][0] not in answered]
    return {name: recorded[name] for name in unused}


def _not_pending(name: str, pending: Iterable[str], workflow: Workflow) -> AnswerError:
    waiting = sorted(pending)
    waits = (
        f"answer what it waits for: {', '.join(map(repr, waiting))}."
        if waiting
        else ("it waits for no answer; give other inputs, or start another workflow_id.")
    )
    return AnswerError(
        f"No interrupt waits for {name!r}.{did_you_mean(name, waiting)}",
        where=f"workflow {workflow.id!r}, which is {workflow.status.value}",
        fix=waits,
    )


def _inputs_step(
    journal: Journal, steps: Iterable[StepRecord], new: Mapping[str, Any]
) -> StepRecord:
    """Return the step that records new inputs: they come after every generation so far."""
    last = max((step.generation for step in steps if not step.scope), default=-1)
    return journal.step(Trail(), last + 1, "", StepKind.INPUTS, dict(new))


# --- the header -------------------------------------------------------------------------------


def _header(
    settings: Settings, scope: Scope, graph: Graph, workflow_id: str, old: Workflow | None
) -> Workflow:
    """Return the header of a workflow that begins to run, again or for the first time."""
    now = settings.wall()
    return Workflow(
        id=workflow_id,
        status=WorkflowStatus.RUNNING,
        graph_name=graph.name,
        graph_hash=graph.definition_hash,
        definition=definition_of(graph),
        run_id=scope.run_id,
        session_id=settings.session_id,
        created_at=old.created_at if old is not None else now,
        updated_at=now,
        forked_from=old.forked_from if old is not None else None,
    )


def _ended(settings: Settings, header: Workflow, outcome: Outcome) -> Workflow:
    pauses = tuple(
        PendingAnswer(pause.node_name, pause.response_param, pause.response_key)
        for pause in outcome.pauses
    )
    error = outcome.error
    return msgspec.structs.replace(
        header,
        status=WorkflowStatus(outcome.status.value),
        pauses=pauses,
        error=None if error is None else type(error).__name__,
        updated_at=settings.wall(),
    )


def definition_of(graph: Graph) -> dict[str, str]:
    """Return a digest of what each node does, by path; nested graphs are included."""
    found: dict[str, str] = {}
    todo = [("", graph)]
    for prefix, inner in todo:
        for node in inner.node_list:
            if isinstance(node, GraphNode):
                todo.append((f"{prefix}{node.name}/", node.graph))
            found[prefix + node.name] = _digest(node)
    return found


def _digest(node: Any) -> str:
    if not isinstance(node, GraphNode):
        return str(node.definition_hash[:_DIGEST])
    ports = (node.inner_inputs, node.inner_outputs, node.map_params, node.map_mode)
    return hashlib.sha256(repr([*map(str, ports)]).encode()).hexdigest()[:_DIGEST]


def _mismatch(workflow: Workflow, graph: Graph) -> VersionMismatchError:
    old, new = workflow.definition, definition_of(graph)
    added = tuple(path for path in new if path not in old)
    removed = tuple(path for path in old if path not in new)
    differ = tuple(path for path in new if path in old and new[path] != old[path])
    parts = [
        f"{words} {', '.join(map(repr, paths))}"
        for words, paths in (("added", added), ("removed", removed), ("changed", differ))
        if paths
    ]
    told = "; ".join(parts) or "the nodes are the same; their wiring or what is bound changed"
    return VersionMismatchError(
        f"The graph changed since workflow {workflow.id!r} was started: {told}.",
        where=f"{graph.where}, hash {graph.definition_hash[:12]}; started with "
        f"{workflow.graph_hash[:12]}",
        fix="pass force_resume=True to go on with the new graph, start another workflow_id, or fork() "
        "this one.",
        stored=workflow.graph_hash,
        current=graph.definition_hash,
        added=added,
        removed=removed,
        changed=differ,
    )
