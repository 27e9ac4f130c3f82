"""Removes ended workflows from a `SqliteCheckpointer` as its retention says.

Rule of this file: what is removed is held meanwhile, until the removal is committed, so that no run
can begin on it.
"""

from __future__ import annotations

import sqlite3
import time

from hypergraph.checkpointers.holds import Holds
from hypergraph.checkpointers.retention import ENDED, Retention
from hypergraph.checkpointers.tables import ended_workflows, remove_workflow

SWEEP_ENDS = 100
SWEEP_SECONDS = 60.0


class Sweeper:
    """Knows when to look, and removes. Used by the writer's thread, but for `due`."""

    def __init__(self, retention: Retention | None, holds: Holds) -> None:
        self._retention = retention
        self._holds = holds
        self._ends = SWEEP_ENDS  # so that the first end counts
        self._looked = 0.0  # monotonic seconds
        self._taken: list[str] = []

    def due(self) -> bool:
        """Count one run that has ended; say whether to look."""
        if self._retention is None:
            return False
        self._ends += 1
        now = time.monotonic()
        if self._ends < SWEEP_ENDS and now - self._looked < SWEEP_SECONDS:
            return False
        self._ends, self._looked = 0, now
        return True

    def sweep(self, connection: sqlite3.Connection) -> int:
        """Remove what may go and return how many that were; `release` follows the commit."""
        kept = self._retention
        if kept is None:
            return 0
        keep = -1 if kept.max_workflows is None else kept.max_workflows
        count = 0
        for workflow_id in ended_workflows(connection, ENDED, time.time() - kept.seconds, keep):
            if self._holds.take(workflow_id, tries=1):
                self._taken.append(workflow_id)
                count += remove_workflow(connection, workflow_id)
        return count

    def release(self) -> None:
        """Let go of what was removed."""
        while self._taken:
            self._holds.release(self._taken.pop())
