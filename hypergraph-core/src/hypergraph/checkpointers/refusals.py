"""What a store says when it refuses: one wording for every store.

Rule of this file: names, types, counts and positions only; a value that could not be stored or read
is never shown.
"""

from __future__ import annotations

import re
from typing import Any

from hypergraph.checkpointers.base import StepKind, StepRecord, WorkflowStatus
from hypergraph.errors import (
    CheckpointError,
    UnstorableValueError,
    WorkflowBusyError,
    WorkflowNotFoundError,
)


def checked_id(workflow_id: Any) -> str:
    """Return the id of a workflow if it can be one: any text that is not empty."""
    if not isinstance(workflow_id, str):
        raise TypeError(f"a workflow_id is text, not {type(workflow_id).__name__}")
    try:
        workflow_id.encode()
    except UnicodeEncodeError:
        raise ValueError("a workflow_id is text that can be written as UTF-8") from None
    if not workflow_id:
        raise ValueError("a workflow_id is not empty")
    return str(workflow_id)


def check_query(status: Any, limit: Any) -> None:
    """Raise ``TypeError`` or ``ValueError`` for what `Checkpointer.list_workflows` does not take."""
    if status is not None and not isinstance(status, WorkflowStatus):
        raise TypeError(
            f"status is a WorkflowStatus, such as WorkflowStatus.PAUSED, not {type(status).__name__}"
        )
    if limit is not None:
        if isinstance(limit, bool) or not isinstance(limit, int):
            raise TypeError(f"limit is a whole number, not {type(limit).__name__}")
        if limit < 0:
            raise ValueError("limit is not negative")


def workflow(workflow_id: str, place: str) -> str:
    """Return where something happened, such as ``workflow 'chat-1' in runs.db``."""
    return f"workflow {workflow_id!r}{place and f' in {place}'}"


def not_found(workflow_id: str, place: str) -> WorkflowNotFoundError:
    """Return the error for an id that no workflow has."""
    return WorkflowNotFoundError(
        f"There is no workflow {workflow_id!r}.",
        where=place or "this MemoryCheckpointer",
        fix="list_workflows() returns those that there are",
        workflow_id=workflow_id,
    )


def busy(workflow_id: str, place: str) -> WorkflowBusyError:
    """Return the error for a workflow that somebody holds."""
    return WorkflowBusyError(
        f"The workflow {workflow_id!r} is being run now, here or in another process.",
        where=workflow(workflow_id, place),
        fix="wait until that run has ended (a process that dies lets go at once), "
        "or fork() the workflow and run the fork",
        workflow_id=workflow_id,
    )


def taken(workflow_id: str, place: str) -> CheckpointError:
    """Return the error for the id of a fork that another workflow has."""
    return CheckpointError(
        f"There is a workflow {workflow_id!r} already.",
        where=workflow(workflow_id, place),
        fix="give another new_id, or none, or delete() that workflow",
        workflow_id=workflow_id,
    )


def other_key(place: str) -> CheckpointError:
    """Return the error for a file that was written with another key or serializer."""
    return CheckpointError(
        "Nothing in the file can be read with this key and serializer, so nothing is added.",
        where=place,
        fix="name the key that it was written with, key_file=..., or set HYPERGRAPH_HOME to where that "
        "is (in a container, keep it on the same volume); or use another file",
    )


def not_held(workflow_id: str, place: str) -> CheckpointError:
    """Return the error for writing without holding."""
    return CheckpointError(
        f"The workflow {workflow_id!r} is not held, so nothing can be added to it.",
        where=workflow(workflow_id, place),
        fix="call begin() first, and nothing after end()",
    )


def out_of_order(workflow_id: str, place: str, index: int, expected: int | None) -> CheckpointError:
    """Return the error for a step that does not follow the last one; ``None``: nor is there a header."""
    follows = "before the header" if expected is None else f"where step {expected} comes next"
    return CheckpointError(
        f"Step {index} was given {follows}.",
        where=workflow(workflow_id, place),
        fix="put() the header first, then save() steps in order, counted on from what begin() returned",
    )


def damaged(workflow_id: str, place: str, problem: str) -> CheckpointError:
    """Return the error for bytes that are not what was written."""
    return CheckpointError(
        f"{problem}, so nothing of the workflow was read.",
        where=workflow(workflow_id, place),
        fix="use the key file and the serializer that the store was written with; "
        "if they are right the file was altered: restore a copy, or delete() the workflow",
    )


def missing(workflow_id: str, place: str, index: int) -> CheckpointError:
    """Return the error for a history that ends too early."""
    return damaged(workflow_id, place, f"Step {index} and what follows it are missing")


def unreadable(step: StepRecord, workflow_id: str, place: str, error: Exception) -> CheckpointError:
    """Return the error for a value that is as it was written, and does not come back."""
    return CheckpointError(
        f"What step {step.index} ({step.path or 'inputs'!r}) stored can no longer be read "
        f"({type(error).__name__}).",
        where=workflow(workflow_id, place),
        fix="make the classes of its values importable under the names that they had, "
        "or delete() the workflow",
    )


def unstorable(step: StepRecord, output: str, value: Any, error: Exception) -> UnstorableValueError:
    """Return the error for a value that the serializer does not take."""
    kind = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
    found = _CULPRIT.search(str(error))  # a type; what else the message says may hold values
    inner = found[1] if found is not None and found[1] != type(value).__name__ else ""
    node = step.path
    given = {StepKind.INPUTS: "input", StepKind.ANSWER: "answer"}.get(step.kind)
    if given is not None:
        what, where, other = f"The {given} {output!r}", f"{given} {output!r}", "give"
    elif output:
        what, where = f"The output {output!r} of node {node!r}", f"node {node!r}, output {output!r}"
        other = "return"
    else:
        what, where, other = f"The result of node {node!r}", f"node {node!r}", "return"
    return UnstorableValueError(
        f"{what} cannot be stored: it is of type {kind}{inner and f' and holds {inner}'}.",
        where=where,
        fix=f"{other} something that can be stored (a path or an address instead of an open file or "
        "connection; for a JsonSerializer what JSON has), or run without workflow_id",
        node=node,
        output=output,
        type_name=kind,
    )


_CULPRIT = re.compile(r"(?:cannot pickle '|JSON has no )([\w.]+)")


def no_superstep(workflow_id: str, place: str, superstep: Any, count: int) -> CheckpointError:
    """Return the error for a superstep that the history does not have."""
    known = f"they go from 0 to {count - 1}" if count else "it has no steps yet"
    return CheckpointError(
        f"The workflow {workflow_id!r} has no superstep {superstep!r}; {known}.",
        where=workflow(workflow_id, place),
        fix="give one of these, or leave superstep out for the whole history",
    )
