"""What a history of steps means, whichever store holds it.

Rule of this file: pure functions from steps to steps or values. `state` folds them, `cut` takes a
beginning of them, `forked` is the header of a copy.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from hypergraph.checkpointers import refusals
from hypergraph.checkpointers.base import StepKind, StepRecord, Workflow, WorkflowStatus

_KEPT_BY_A_COPY = (WorkflowStatus.COMPLETED, WorkflowStatus.PAUSED)


def cut(
    steps: Sequence[StepRecord], superstep: int | None, workflow_id: str, place: str
) -> Sequence[StepRecord]:
    """Return the history up to the end of a superstep; ``None``: all of it.

    Inputs that were given after that superstep are left out. Raises `CheckpointError` for a superstep
    that the history does not have.
    """
    if superstep is None:
        return steps
    count = 1 + max((step.superstep for step in steps), default=-1)
    if isinstance(superstep, bool) or not isinstance(superstep, int):
        raise TypeError(f"a superstep is a number, not {type(superstep).__name__}")
    if not 0 <= superstep < count:
        raise refusals.no_superstep(workflow_id, place, superstep, count)
    end = max((i for i, step in enumerate(steps) if step.superstep <= superstep), default=-1)
    return steps[: end + 1]


Scopes = Mapping[str, Sequence[StepRecord]]
"""Steps by their scope, in order."""


def state(steps: Sequence[StepRecord]) -> dict[str, Any]:
    """Return the values of the graph itself by name, the latest of each."""
    scopes: dict[str, list[StepRecord]] = {}
    for step in steps:
        scopes.setdefault(step.scope, []).append(step)
    return _state(scopes, "")


def nested_outputs(scopes: Scopes, run: str, values: Any) -> dict[str, Any]:
    """Return the outputs of a nested graph that ended, by the names they have outside of it.

    ``run`` is its scope without the last slash, ``values`` what its step holds. What an item of a
    mapped graph did not produce is ``None``.
    """
    if isinstance(values, dict):
        return values
    size, names = values
    if size is None:
        inside = _state(scopes, f"{run}/")
        return {outer: inside[inner] for outer, inner in names.items() if inner in inside}
    items = [_state(scopes, f"{run}[{item}]/") for item in range(size)]
    return {outer: [item.get(inner) for item in items] for outer, inner in names.items()}


def _state(scopes: Scopes, scope: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    ended: dict[str, int] = {}
    for step in scopes.get(scope, ()):
        if step.kind is StepKind.GRAPH:
            node = step.node_name
            run = ended[node] = ended.get(node, -1) + 1
            values.update(nested_outputs(scopes, f"{scope}{node}#{run}", step.values))
        elif step.kind is not StepKind.GATE:
            values.update(step.values)
    return values


def forked(
    workflow: Workflow, copied: Sequence[StepRecord], *, whole: bool, new_id: str, now: float
) -> Workflow:
    """Return the header of a copy.

    A copy of everything stands where the original stands if that is completed or paused; any other
    copy is stopped, to be run on from its end.
    """
    stays = whole and workflow.status in _KEPT_BY_A_COPY
    return msgspec.structs.replace(
        workflow,
        id=new_id,
        status=workflow.status if stays else WorkflowStatus.STOPPED,
        pauses=workflow.pauses if stays else (),
        run_id="",  # it has had no run of its own
        error=None,
        created_at=now,
        updated_at=now,
        forked_from=workflow.id,
        steps=len(copied),
        held=False,
    )


def fork_id(workflow_id: str) -> str:
    """Return an id for a copy that no other workflow has."""
    return f"{workflow_id}-fork-{os.urandom(4).hex()}"
