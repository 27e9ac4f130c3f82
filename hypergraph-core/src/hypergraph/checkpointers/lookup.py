"""What a file of workflows holds.

Rule of this file: reading only. A workflow is returned as it was written or refused as damaged; what
is wrong with one says nothing of the others.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from hypergraph.checkpointers import refusals
from hypergraph.checkpointers.base import StepRecord, Workflow, WorkflowStatus
from hypergraph.checkpointers.database import Database
from hypergraph.checkpointers.holds import Holds
from hypergraph.checkpointers.records import Records
from hypergraph.checkpointers.tables import (
    HeaderRow,
    read_header,
    read_headers,
    read_ids,
    read_workflow,
)
from hypergraph.errors import CheckpointError


class Found(NamedTuple):
    """A workflow, with the number of its row."""

    number: int
    salt: bytes
    workflow: Workflow
    steps: list[StepRecord]


class Lookup:
    """Finds workflows in a database. Every method raises `CheckpointError` if that cannot be read."""

    def __init__(self, database: Database, records: Records) -> None:
        self._database = database
        self._records = records
        self._place = str(database.path)
        self._holds = Holds(database.path)
        self._can_read = False

    def check_key(self) -> None:
        """Raise `CheckpointError` if nothing that is in the file can be read: what was written now could
        not be read beside it."""
        if self._can_read:
            return
        try:
            self.headers(limit=1)
        except CheckpointError as error:
            raise refusals.other_key(self._place) from error
        self._can_read = True

    def ids(self, limit: int) -> list[str]:
        """Return the ids of the workflows that changed last."""
        return self._database.run("read", read_ids, limit)

    def header(self, workflow_id: str) -> Workflow:
        """Return a header. Raises `WorkflowNotFoundError`."""
        row = self._database.run("read", read_header, workflow_id)
        if row is None:
            raise refusals.not_found(workflow_id, self._place)
        return self._header(row)[0]

    def headers(
        self, status: WorkflowStatus | None = None, limit: int | None = None
    ) -> tuple[list[Workflow], dict[str, CheckpointError]]:
        """Return the headers that can be read, the last changed first, and of the others why not.

        Raises the first of these errors if nothing in the file can be read: then it is no damage, but
        another key or serializer.
        """
        found, damaged = self._headers(status, limit)
        if damaged and not found and not (status and self._headers(None, 1)[0]):
            raise next(iter(damaged.values()))
        return found, damaged

    def _headers(
        self, status: WorkflowStatus | None, limit: int | None
    ) -> tuple[list[Workflow], dict[str, CheckpointError]]:
        wanted = limit
        while True:
            found: list[Workflow] = []
            damaged: dict[str, CheckpointError] = {}
            rows = self._database.run("read", read_headers, status, wanted)
            for row in rows:
                try:
                    workflow = row.read(self._records, self._place)[0]
                except CheckpointError as error:
                    damaged[str(row.id)] = error
                else:
                    found.append(self._with_hold(workflow))
            if limit is None or wanted is None or len(found) >= limit or len(rows) < wanted:
                return found[:limit], damaged
            wanted = limit + len(damaged)

    def find(self, workflow_id: str) -> Found | None:
        """Return header and history of a workflow, if there is one."""
        read = self._database.run("read", read_workflow, workflow_id)
        if read is None:
            return None
        row, rows = read
        workflow, salt = self._header(row)
        steps = self._records.load_steps(workflow_id, salt, rows)
        if len(steps) < workflow.steps:
            raise refusals.missing(workflow_id, self._place, len(steps))
        return Found(row.number, salt, workflow, steps)

    def history(self, workflow_id: str) -> tuple[Workflow, list[StepRecord]]:
        """Return header and history of a workflow. Raises `WorkflowNotFoundError`."""
        found = self.find(workflow_id)
        if found is None:
            raise refusals.not_found(workflow_id, self._place)
        return found.workflow, found.steps

    def _header(self, row: HeaderRow) -> tuple[Workflow, bytes]:
        """Return the header and the salt."""
        workflow, salt = row.read(self._records, self._place)
        return self._with_hold(workflow), salt

    def _with_hold(self, workflow: Workflow) -> Workflow:
        try:
            held = self._holds.held(workflow.id)
        except OSError as error:
            raise self._database.failure(error, "read") from error
        return msgspec.structs.replace(workflow, held=held)
