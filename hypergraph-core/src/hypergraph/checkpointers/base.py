"""What is kept of a workflow, and what a store of workflows offers.

Rule of this file: a workflow is a header and an append-only history of steps. A step holds only what
one node added, so what did not change is never stored again; the engine rebuilds a run from its steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

import msgspec

if TYPE_CHECKING:  # a run that is not kept needs none
    from concurrent.futures import Future


class WorkflowStatus(Enum):
    """Where a workflow stands. One that is ``RUNNING`` and that nobody holds was cut off."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    PAUSED = "paused"
    STOPPED = "stopped"


class StepKind(Enum):
    """What a step records."""

    INPUTS = "inputs"  # a call gave inputs: the first one, a new turn, or changed ones
    NODE = "node"
    GATE = "gate"
    ANSWER = "answer"  # of an interrupt
    GRAPH = "graph"  # a nested graph has ended


class StepRecord(msgspec.Struct, frozen=True):
    """One step of a workflow.

    ``index``: its place in the history, from 0 without gaps. ``superstep``: the generation of the whole
    graph it belongs to, from 0. ``scope``: in which run of which nested graph, ``""`` for the graph
    itself, ``"review#0/"`` inside the first run of the node ``review``, ``"batch#0[3]/"`` inside its
    item 3. ``generation``: counted within that scope. ``time``: seconds since the epoch.

    ``values`` are the outputs by name; for inputs the given values by name; for a gate the tuple of
    selected targets. The values of a nested graph are those of the steps in its scope: its own step
    holds the number of items, ``None`` for a graph that is not mapped, and the names that its outputs
    have outside, with those they have inside. (One that ran on a runner that keeps no steps holds its
    outputs by name.)
    """

    index: int
    superstep: int
    scope: str
    generation: int
    node_name: str
    kind: StepKind
    values: Any
    time: float = 0.0

    @property
    def path(self) -> str:
        """The path of the node, as ``"review/approval"``."""
        parts = (*self.scope.split("/")[:-1], self.node_name)
        return "/".join(part.partition("#")[0] for part in parts)


class PendingAnswer(msgspec.Struct, frozen=True):
    """One answer that a paused workflow waits for; see ``PauseInfo``. What is shown is in the steps.

    ``scope``, ``generation`` and ``superstep`` are those of the step that the answer will be.
    """

    node_name: str
    response_param: str
    response_key: str
    scope: str = ""
    generation: int = 0
    superstep: int = 0


class Workflow(msgspec.Struct, frozen=True):
    """The header of a workflow.

    ``definition`` maps the path of each node to a digest of what it does, to say what changed.
    ``pauses``: the answers that it waits for; a failure in between does not change that.
    ``run_id``: the last run, ``""`` for a fork that had none. ``steps`` and ``supersteps`` count the
    history; a store fills them in, and ``held``: whether somebody is running it now. ``error``: type of
    the exception that the last run ended with. Times are seconds since the epoch.
    """

    id: str
    status: WorkflowStatus
    graph_name: str | None
    graph_hash: str
    definition: Mapping[str, str]
    run_id: str
    session_id: str | None = None
    pauses: tuple[PendingAnswer, ...] = ()
    error: str | None = None
    created_at: float = 0.0
    updated_at: float = 0.0
    forked_from: str | None = None
    steps: int = 0
    supersteps: int = 0
    held: bool = False


class Stored(NamedTuple):
    """What is known of a workflow when it is taken hold of; no header: it is new."""

    workflow: Workflow | None
    steps: Sequence[StepRecord]


@runtime_checkable
class Checkpointer(Protocol):
    """A store of workflows. Every method may be called from any thread, and may block.

    ``put`` and ``save`` and ``end`` take what they are given before they return (a value changed later
    is stored as it was), and return ``None``, or a future of the moment when it is safe; its exception
    is why it is not. In between, ``begin`` to ``end``, one run holds the workflow.
    """

    def begin(self, workflow_id: str) -> Stored:
        """Take hold of a workflow and return what is stored of it.

        Raises ``WorkflowBusyError`` while another run holds it. The hold of a process that died has
        ended with it.
        """
        ...

    def put(self, workflow: Workflow, steps: Sequence[StepRecord] = ()) -> Future[None] | None:
        """Store the header of a workflow that is held, and steps with it: all of it or nothing.

        Raises ``UnstorableValueError`` at once, naming node, output and type.
        """
        ...

    def save(self, workflow_id: str, step: StepRecord) -> Future[None] | None:
        """Append a step to a workflow that is held.

        Raises ``UnstorableValueError`` at once, naming node, output and type; ``CheckpointError`` if
        something given earlier could not be written, after which nothing of this run is.
        """
        ...

    def end(self, workflow_id: str) -> Future[None] | None:
        """Make everything that was given safe, and let go of the workflow."""
        ...

    def get_workflow(self, workflow_id: str) -> Workflow:
        """Return the header. Raises ``WorkflowNotFoundError``."""
        ...

    def list_workflows(
        self, *, status: WorkflowStatus | None = None, limit: int | None = None
    ) -> list[Workflow]:
        """Return the headers, the last changed first."""
        ...

    def get_steps(self, workflow_id: str) -> list[StepRecord]:
        """Return the history, oldest first. Raises ``WorkflowNotFoundError``."""
        ...

    def get_state(self, workflow_id: str, *, superstep: int | None = None) -> dict[str, Any]:
        """Return the values of the graph itself by name, the latest of each, up to the end of a
        superstep (default: all). Raises ``WorkflowNotFoundError``."""
        ...

    def fork(
        self, workflow_id: str, *, superstep: int | None = None, new_id: str | None = None
    ) -> str:
        """Start a new workflow from the history up to the end of a superstep (default: all of it), and
        return its id. Raises ``WorkflowNotFoundError``, ``CheckpointError`` if ``new_id`` is taken."""
        ...

    def delete(self, workflow_id: str) -> None:
        """Remove a workflow.

        Raises ``WorkflowNotFoundError``, ``WorkflowBusyError`` while it is held.
        """
        ...
