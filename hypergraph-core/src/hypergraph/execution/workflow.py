"""The life of a workflow: one run after another that are kept under one id.

Rule of this file: everything is checked before anything is changed. A run that did not end is resumed:
equal inputs change nothing. After one that completed comes the next turn: every input counts as new.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterable, Mapping, Sequence
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
from hypergraph.errors import (
    AnswerError,
    CheckpointError,
    MissingInputError,
    VersionMismatchError,
    did_you_mean,
)
from hypergraph.execution.answers import (
    check_answers,
    is_seed,
    nested_answers,
    response_keys,
)
from hypergraph.execution.context import Scope, Settings
from hypergraph.execution.effects import Begin, End, Flow, Put
from hypergraph.execution.flow import run_flow
from hypergraph.execution.outcome import Outcome
from hypergraph.execution.plan import Plan
from hypergraph.execution.restore import changed, same
from hypergraph.execution.trail import Journal
from hypergraph.graph import Graph, GraphNode
from hypergraph.results import RunStatus

_DIGEST = 16  # hex digits of a node's hash that are kept, to say what changed


class Intake(NamedTuple):
    """What the inputs of a call come to: the inputs of the run as a whole, those that are new to the
    workflow, the answers it waits for, those it goes on waiting for, and answers to interrupts that were
    not reached yet."""

    inputs: dict[str, Any]
    new: dict[str, Any]
    answers: dict[PendingAnswer, Any]
    waiting: tuple[PendingAnswer, ...]
    early: dict[str, Any]


def workflow_flow(
    settings: Settings,
    scope: Scope,
    plan: Plan,
    given: Mapping[str, Any],
    workflow_id: str,
    force_resume: bool,
) -> Flow:
    """Run a plan as a workflow: begin it, resume it, or take its next turn; returns the ``Outcome``.

    Raises ``WorkflowBusyError``, ``VersionMismatchError``, ``AnswerError``, ``InputError`` and
    ``UnstorableValueError`` for what is given before anything changes.
    """
    graph, trail = plan.graph, scope.trail
    assert trail is not None
    begun = None  # the header, once it is stored
    stored = yield Begin(workflow_id)
    try:
        taken = _taken(plan, stored, given, workflow_id, force_resume)
        header = _header(settings, scope, graph, workflow_id, stored.workflow)
        header = msgspec.structs.replace(header, pauses=taken.waiting)
        journal = Journal(workflow_id, stored.steps, settings.wall)
        yield Put(header, _opening(journal, stored.steps, taken))
        begun = header
        trail = msgspec.structs.replace(trail, journal=journal, answers=taken.early)
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
    early = {name: given[name] for name in given if name in nested}
    return Intake(inputs, dict(given), {}, (), early)


def _taken(
    plan: Plan, stored: Stored, given: Mapping[str, Any], workflow_id: str, force: bool
) -> Intake:
    """Return what a call gives, once it is clear that the run can begin with it."""
    if stored.workflow is not None and stored.steps:
        taken = _intake(plan.graph, stored.workflow, stored.steps, given, force)
    else:  # new, or cut off before its inputs were stored
        taken = fresh_intake(plan.graph, given)
    try:
        plan.schedule(tuple(taken.inputs))
    except MissingInputError as error:
        if stored.workflow is None:  # perhaps another one was meant
            error.where += f"; workflow {workflow_id!r} is new"
        raise
    return taken


def _intake(
    graph: Graph,
    workflow: Workflow,
    steps: Sequence[StepRecord],
    given: Mapping[str, Any],
    force: bool,
) -> Intake:
    is_new_fork = workflow.forked_from is not None and not workflow.run_id
    if workflow.graph_hash != graph.definition_hash and not (force or is_new_fork):
        raise _mismatch(workflow, graph)
    check_answers(graph, given)
    pending = {pause.response_key: pause for pause in workflow.pauses}
    goes_on = workflow.status is not WorkflowStatus.COMPLETED
    recorded = _known(graph, _recorded(graph, steps))
    again = _given_again(graph, steps, given, pending) if goes_on else set()
    apart = pending.keys() | again
    inputs = {name: value for name, value in given.items() if name not in apart}
    new = changed(recorded, inputs) if goes_on else inputs
    for name in response_keys(graph):
        if name not in new:
            continue
        was_asked = _was_answered(graph, name, steps) and (goes_on or name not in recorded)
        if pending or was_asked or not is_seed(graph, name):
            raise _not_pending(graph, name, pending, workflow, steps)
    for name in _overtaken(graph, recorded, new):
        if name in inputs:
            new[name] = inputs[name]
        else:
            del recorded[name]
    known = {**recorded, **inputs}
    nested = nested_answers(graph, known)
    return Intake(
        {name: known[name] for name in known if name not in nested},
        new,
        {pause: given[key] for key, pause in pending.items() if key in given},
        tuple(pause for key, pause in pending.items() if key not in given),
        _unreached(graph, steps, recorded) if goes_on else {},
    )


def _given_again(
    graph: Graph,
    steps: Iterable[StepRecord],
    given: Mapping[str, Any],
    pending: Container[str],
) -> set[str]:
    """Return the given answers that are equal to the last ones to their interrupts: they were given
    before the run failed or was cut off, and change nothing."""
    keys = response_keys(graph)
    names = {keys[name][0]: name for name in given if name in keys and name not in pending}
    last = {step.path: step for step in steps if names and step.kind is StepKind.ANSWER}
    return {
        name
        for path, name in names.items()
        if path in last and same(next(iter(last[path].values.values())), given[name])
    }


def _unreached(
    graph: Graph, steps: Iterable[StepRecord], recorded: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the answers given in advance to interrupts of nested graphs that were not reached yet."""
    answered = {step.path for step in steps if step.kind is StepKind.ANSWER}
    keys = response_keys(graph)
    unused = [name for name in nested_answers(graph, recorded) if keys[name][0] not in answered]
    return {name: recorded[name] for name in unused}


def _recorded(graph: Graph, steps: Iterable[StepRecord]) -> dict[str, Any]:
    """Return the inputs that are in force after these steps."""
    recorded: dict[str, Any] = {}
    for step in steps:
        if step.kind is StepKind.INPUTS:
            for name in _overtaken(graph, recorded, step.values):
                del recorded[name]
            recorded.update(step.values)
    return recorded


def _known(graph: Graph, recorded: Mapping[str, Any]) -> dict[str, Any]:
    """Return the recorded inputs that the graph has: it may have been another one then."""
    wiring, keys = graph.wiring, response_keys(graph)
    return {
        name: value
        for name, value in recorded.items()
        if name in wiring.consumers or name in wiring.producers or name in keys
    }


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


def _was_answered(graph: Graph, name: str, steps: Iterable[StepRecord]) -> bool:
    path, _ = response_keys(graph)[name]
    return any(step.kind is StepKind.ANSWER and step.path == path for step in steps)


def _not_pending(
    graph: Graph,
    name: str,
    pending: Iterable[str],
    workflow: Workflow,
    steps: Iterable[StepRecord],
) -> AnswerError:
    waiting = sorted(pending)
    fix = "it waits for no answer; give other inputs, or start another workflow_id."
    if waiting:
        fix = f"answer what it waits for: {', '.join(map(repr, waiting))}."
    elif workflow.status is not WorkflowStatus.COMPLETED and _was_answered(graph, name, steps):
        fix = "it was answered already, otherwise; leave the answer out to go on."
    return AnswerError(
        f"No interrupt waits for {name!r}.{did_you_mean(name, waiting)}",
        where=f"workflow {workflow.id!r}, which is {workflow.status.value}",
        fix=fix,
    )


def _opening(journal: Journal, steps: Sequence[StepRecord], taken: Intake) -> list[StepRecord]:
    """Return the steps that a call itself adds: answers where they were waited for, and new inputs,
    which come after every generation so far."""
    opening = []
    for pause, answer in taken.answers.items():
        name, values = pause.node_name.rpartition("/")[2], {pause.response_param: answer}
        place = pause.scope, pause.generation, pause.superstep
        opening.append(journal.step(place, name, StepKind.ANSWER, values))
    if taken.new or not steps:
        last = max((step.generation for step in steps if not step.scope), default=-1)
        place = "", last + 1, last + 1
        opening.append(journal.step(place, "", StepKind.INPUTS, dict(taken.new)))
    for step in opening:
        journal.add(step)
    return opening


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
        session_id=settings.session_id or (old.session_id if old is not None else None),
        created_at=old.created_at if old is not None else now,
        updated_at=now,
        forked_from=old.forked_from if old is not None else None,
    )


def _ended(settings: Settings, header: Workflow, outcome: Outcome) -> Workflow:
    """Return the header of a workflow whose run has ended; failures do not change what it waits for."""
    pauses = header.pauses
    if outcome.status is RunStatus.COMPLETED:
        pauses = ()
    elif outcome.pauses:
        pauses = tuple(
            PendingAnswer(pause.node_name, pause.response_param, pause.response_key, *pause.place)
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
    if workflow.graph_name != graph.name:
        parts.append(f"its name was {workflow.graph_name!r}")
    told = (
        "; ".join(parts)
        or "the nodes are the same; their wiring, or what is bound or selected, changed"
    )
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
