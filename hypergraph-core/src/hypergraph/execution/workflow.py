"""The life of a workflow: one run after another that are kept under one id.

Rule of this file: everything is checked before anything is changed. A run that did not end is resumed:
equal inputs change nothing. After one that completed comes the next turn: every input counts as new.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from hypergraph.checkpointers import PendingAnswer, StepKind, StepRecord, Workflow, WorkflowStatus
from hypergraph.errors import CheckpointError
from hypergraph.execution.context import Scope, Settings
from hypergraph.execution.effects import Begin, End, Flow, Put
from hypergraph.execution.flow import run_flow
from hypergraph.execution.intake import Intake, intake_of
from hypergraph.execution.outcome import Outcome
from hypergraph.execution.plan import Plan
from hypergraph.execution.trail import Journal
from hypergraph.execution.version import definition_of
from hypergraph.graph import Graph
from hypergraph.results import RunStatus


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
        taken = intake_of(plan, stored, given, workflow_id, force_resume)
        header = _header(settings, scope, graph, workflow_id, stored.workflow, taken.waiting)
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
    settings: Settings,
    scope: Scope,
    graph: Graph,
    workflow_id: str,
    old: Workflow | None,
    waiting: tuple[PendingAnswer, ...],
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
        pauses=waiting,
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
