"""Where workflows are kept between runs, and across processes."""

from typing import TYPE_CHECKING

from hypergraph._deferred import lazy_module
from hypergraph.checkpointers.base import (
    Checkpointer,
    PendingAnswer,
    StepKind,
    StepRecord,
    Stored,
    Workflow,
    WorkflowStatus,
)

if TYPE_CHECKING:
    from hypergraph.checkpointers.memory import MemoryCheckpointer
    from hypergraph.checkpointers.retention import Retention
    from hypergraph.checkpointers.sqlite import SqliteCheckpointer

__all__ = [
    "Checkpointer",
    "MemoryCheckpointer",
    "PendingAnswer",
    "Retention",
    "SqliteCheckpointer",
    "StepKind",
    "StepRecord",
    "Stored",
    "Workflow",
    "WorkflowStatus",
]

__getattr__, __dir__ = lazy_module(
    __name__,
    {
        "MemoryCheckpointer": "hypergraph.checkpointers.memory",
        "Retention": "hypergraph.checkpointers.retention",
        "SqliteCheckpointer": "hypergraph.checkpointers.sqlite",
    },
)
