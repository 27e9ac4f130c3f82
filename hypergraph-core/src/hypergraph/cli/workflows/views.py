"""Workflows for a reader: a table of them, the history of one, the same as JSON.

Rule of this file: what a store holds was written by others, so nothing of it reaches a terminal that
is not printable.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from hypergraph.checkpointers import StepKind, StepRecord, Workflow, WorkflowStatus
from hypergraph.cli.tables import aligned, printable
from hypergraph.cli.values import as_text, pretty
from hypergraph.cli.workflows.standins import kind_of, size_of

CUT_OFF = "cut off"
NAMES = 6  # of values in one line
LETTERS = 60  # of an id in the table
ROWS = 50  # of a history
_HEAD = ("id", "status", "graph", "steps", "changed", "waits for")
_UNITS = ((86400, "day"), (3600, "h"), (60, "min"), (1, "s"))


def state_of(workflow: Workflow) -> str:
    """Return where a workflow stands, in one or two words."""
    if workflow.held:
        return "running"
    return CUT_OFF if workflow.status is WorkflowStatus.RUNNING else workflow.status.value


# --- the table --------------------------------------------------------------------------------


def listed(workflows: Iterable[Workflow], now: float) -> str:
    """Return a table with a line for each workflow."""
    rows = [_HEAD, *(_row(workflow, now) for workflow in workflows)]
    return "\n".join(aligned(rows, right={3}))


def _row(workflow: Workflow, now: float) -> tuple[str, ...]:
    state = state_of(workflow)
    if state == "failed" and workflow.error:
        state = f"failed: {workflow.error}"
    waits = [pause.response_key for pause in workflow.pauses] if state == "paused" else []
    return (
        shortened(workflow.id),
        state,
        shortened(workflow.graph_name or "-"),
        f"{workflow.steps:,}",
        ago(now - workflow.updated_at),
        ", ".join(waits),
    )


# --- one workflow -----------------------------------------------------------------------------


def header(workflow: Workflow, now: float) -> str:
    """Return what a workflow is, and how it goes on."""
    facts = {
        "graph": workflow.graph_name or "(without a name)",
        "steps": f"{workflow.steps:,} in {workflow.supersteps:,} "
        f"superstep{'s' if workflow.supersteps != 1 else ''}",
        "begun": _moment(workflow.created_at, now),
        "changed": _moment(workflow.updated_at, now),
        "session": workflow.session_id,
        "fork of": workflow.forked_from,
        "error": workflow.error,
    }
    rows = [(f"  {name}", text) for name, text in facts.items() if text]
    title = printable(f"{workflow.id}  {state_of(workflow)}")
    return "\n".join([title, *aligned(rows), *_goes_on(workflow)])


def _goes_on(workflow: Workflow) -> list[str]:
    """Return the call that takes it on from here."""
    words = {
        "paused": "Waits for an answer; to give it:",
        CUT_OFF: "Its process ended before it did. To go on after the last step:",
        "failed": "To go on after the last step:",
        "stopped": "To go on after the last step:",
    }.get(state_of(workflow))
    if words is None:
        return []
    lines = ["", words]
    answers = ""
    if workflow.pauses:
        if len(workflow.pauses) > 1:
            lines[1] = f"Waits for {len(workflow.pauses)} answers; to give some or all of them:"
        answers = ", ".join(f"{pause.response_key!r}: ..." for pause in workflow.pauses)
        answers = f"{{{answers}}}, "
        asked = [f"{pause.node_name!r} for {pause.response_key!r}" for pause in workflow.pauses]
        lines.append(f"  asked by {', '.join(asked)}")
    call = f"await runner.run(graph, {answers}workflow_id={workflow.id!r})"
    return [*map(printable, lines), f"    {printable(call)}"]


def history(steps: Sequence[StepRecord], *, values: bool, every: bool) -> str:
    """Return the steps by superstep: with the names and types of what each added, or the values.

    Of a long history the last ones, unless ``every`` is wanted.
    """
    shown = steps if every else steps[-ROWS:]
    rows = [("superstep", "node", "kind", "time", "values"), *_steps(shown, values)]
    lines = list(aligned(rows, right={0, 3}))
    if values:
        blocks = [[line, *_values(step)] for line, step in zip(lines[1:], shown)]
        lines = [lines[0], *(line for block in blocks for line in block)]
    if len(shown) < len(steps):
        left = len(steps) - len(shown)
        lines.insert(1, f"... {left:,} earlier steps; --steps shows them all")
    return "\n".join(lines)


def _steps(steps: Iterable[StepRecord], values: bool) -> Iterator[tuple[str, ...]]:
    superstep, day = -1, ""
    for step in steps:
        first = str(step.superstep) if step.superstep != superstep else ""
        date, _, time = local(step.time).partition(" ")
        when = time if date == day else f"{date} {time}"
        superstep, day = step.superstep, date
        added = "" if values and isinstance(step.values, Mapping) else _added(step)
        yield first, place(step), step.kind.value, when, added


def place(step: StepRecord) -> str:
    """Return the path of a step, with the item of each mapped graph: ``batch[3]/work``."""
    names = []
    for part in step.scope.split("/")[:-1]:
        name, _, run = part.partition("#")
        names.append(name + run[run.index("[") :] if "[" in run else name)
    return "/".join([*names, step.node_name]) or "(the call)"


def _added(step: StepRecord) -> str:
    """Return the names and types of what a step added."""
    values = step.values
    if step.kind is StepKind.GATE:
        return "-> " + (", ".join(map(str, values)) or "nothing")
    if isinstance(values, Mapping):
        words = [f"{name}: {_kind(value)}" for name, value in values.items()]
        more = [f"and {len(words) - NAMES} more"] if len(words) > NAMES else []
        return ", ".join(words[:NAMES] + more)
    items, names = values
    return ", ".join([*names] if items is None else [f"{items:,} items", *names])


def _kind(value: Any) -> str:
    size = size_of(value)
    return kind_of(value) if size is None else f"{kind_of(value)} of {size:,}"


def _values(step: StepRecord) -> Iterator[str]:
    if isinstance(step.values, Mapping) and step.values:
        for line in as_text(step.values).splitlines():
            yield f"    {printable(line.expandtabs())}"


# --- JSON -------------------------------------------------------------------------------------


def header_json(workflow: Workflow) -> dict[str, Any]:
    """Return a header as JSON has it; times are seconds since the epoch."""
    found: dict[str, Any] = msgspec.to_builtins(workflow)
    return {**found, "cut_off": state_of(workflow) == CUT_OFF}


def step_json(step: StepRecord, *, values: bool) -> dict[str, Any]:
    """Return a step as JSON has it, with the types of its values, or the values too."""
    found: dict[str, Any] = {
        "index": step.index,
        "superstep": step.superstep,
        "scope": step.scope,
        "generation": step.generation,
        "node_name": step.node_name,
        "path": step.path,
        "kind": step.kind.value,
        "time": step.time,
    }
    if step.kind is StepKind.GATE:
        return {**found, "targets": [str(target) for target in step.values]}
    if isinstance(step.values, Mapping):
        shown = {str(name): _value_json(value, values) for name, value in step.values.items()}
        return {**found, "values": shown}
    items, names = step.values
    return {**found, "items": items, "outputs": names}


def _value_json(value: Any, shown: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"type": kind_of(value)}
    if (size := size_of(value)) is not None:
        found["size"] = size
    if not shown:
        return found
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return {**found, "text": pretty(value)}
    return {**found, "value": value}


# --- words ------------------------------------------------------------------------------------


def shortened(text: str) -> str:
    """Return a text without its middle if it is long."""
    if len(text) <= LETTERS:
        return text
    end = (LETTERS - 3) // 2
    return f"{text[: LETTERS - 3 - end]}...{text[-end:]}"


def local(time: float) -> str:
    """Return date and time of day here: ``2026-05-04 17:03:02``."""
    try:
        moment = datetime.fromtimestamp(time, UTC).astimezone()
    except (OverflowError, OSError, ValueError):
        return "(no date) -"
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def ago(seconds: float) -> str:
    """Return how long ago something was: ``3 min ago``."""
    for size, unit in _UNITS:
        if seconds >= size:
            count = int(seconds // size)
            return f"{count:,} {unit}{'s' if unit == 'day' and count > 1 else ''} ago"
    return "just now"


def _moment(time: float, now: float) -> str:
    return f"{local(time)} ({ago(now - time)})"
