"""Where workflows are kept between runs, and across processes."""

from hypergraph.checkpointers.base import (
    Checkpointer,
    PendingAnswer,
    StepKind,
    StepRecord,
    Stored,
    Workflow,
    WorkflowStatus,
)

__all__ = [
    "Checkpointer",
    "PendingAnswer",
    "StepKind",
    "StepRecord",
    "Stored",
    "Workflow",
    "WorkflowStatus",
]
