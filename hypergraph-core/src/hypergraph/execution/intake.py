"""What a call under a known workflow id gives: inputs, new ones, and answers.

Rule of this file: it only looks. What does not fit is refused here, before anything is stored.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from hypergraph.checkpointers import (
    PendingAnswer,
    StepKind,
    StepRecord,
    Stored,
    Workflow,
    WorkflowStatus,
)
from hypergraph.errors import AnswerError, MissingInputError, did_you_mean
from hypergraph.execution.answers import (
    check_answers,
    is_seed,
    nested_answers,
    response_keys,
)
from hypergraph.execution.plan import Plan
from hypergraph.execution.restore import changed, same
from hypergraph.execution.version import mismatch
from hypergraph.graph import Graph


class Intake(NamedTuple):
    """What the inputs of a call come to: the inputs of the run as a whole, those that are new to the
    workflow, the answers it waits for, those it goes on waiting for, and answers to interrupts that were
    not reached yet."""

    inputs: dict[str, Any]
    new: dict[str, Any]
    answers: dict[PendingAnswer, Any]
    waiting: tuple[PendingAnswer, ...]
    early: dict[str, Any]


def fresh_intake(graph: Graph, given: Mapping[str, Any]) -> Intake:
    """Return the inputs of a run that is nobody's continuation. Raises ``AnswerError``."""
    check_answers(graph, given)
    nested = nested_answers(graph, given)
    inputs = {name: value for name, value in given.items() if name not in nested}
    early = {name: given[name] for name in given if name in nested}
    return Intake(inputs, dict(given), {}, (), early)


def intake_of(
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
        raise mismatch(workflow, graph)
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
    answers = {pause: given[key] for key, pause in pending.items() if key in given}
    reached = _reached(graph, new) if answers else set()
    for pause in answers:
        if graph.wiring.index[pause.node_name.partition("/")[0]] in reached:
            raise _outdated(pause, new, workflow)
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
        answers,
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
    outputs = [
        (name, producer)
        for name in recorded
        for producer in wiring.producers.get(name, ())[:1]
        if wiring.cycle_of(producer) is None
    ]
    reached = _reached(graph, new) if outputs else set()
    return [name for name, producer in outputs if producer in reached]


def _reached(graph: Graph, names: Iterable[str]) -> set[int]:
    """Return the nodes that these inputs make a difference to, directly or not."""
    wiring = graph.wiring
    reached: set[int] = set()
    todo = [node for name in names for node in wiring.consumers.get(name, ())]
    while todo:
        node = todo.pop()
        if node not in reached:
            reached.add(node)
            todo += wiring.successors[node]
    return reached


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


def _outdated(pause: PendingAnswer, new: Iterable[str], workflow: Workflow) -> AnswerError:
    names = ", ".join(map(repr, new))
    return AnswerError(
        f"The answer {pause.response_key!r} was given together with new inputs ({names}), which may "
        "change what it answers.",
        where=f"workflow {workflow.id!r}, interrupt {pause.node_name!r}",
        fix="give the answer without them; or them first, and see what is asked then. (An input whose "
        "content cannot be compared with what is stored counts as new.)",
    )
