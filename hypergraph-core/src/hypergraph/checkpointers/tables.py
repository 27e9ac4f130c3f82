"""The statements that a `SqliteCheckpointer` makes.

Rule of this file: a column is there to find rows by; what it says counts only if the bytes beside it,
which the serializer vouches for, say the same.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from hypergraph.checkpointers import refusals
from hypergraph.checkpointers.base import Workflow, WorkflowStatus
from hypergraph.checkpointers.records import Records, StepRow, supersteps_of

_BITS = 32  # of a step's place, for its index; the others are for the number of its workflow
_LAST = (1 << _BITS) - 1

_HEADERS = f"""
    SELECT w.number, w.id, w.status, w.updated, w.header, s.place & {_LAST}, s.info
    FROM workflows w LEFT JOIN steps s ON s.place = (
        SELECT max(place) FROM steps
        WHERE place BETWEEN w.number << {_BITS} AND w.number << {_BITS} | {_LAST}
    )
"""  # noqa: S608 - numbers of our own
_STEPS = f"""
    SELECT place & {_LAST}, info, payload FROM steps WHERE place BETWEEN ? AND ? ORDER BY place
"""  # noqa: S608
_INSERT = "INSERT INTO steps (place, info, payload) VALUES (?, ?, ?)"


class HeaderRow(NamedTuple):
    """The row of a header, with the last step of its history."""

    number: Any
    id: Any
    status: Any
    updated: Any
    header: Any
    last: Any
    info: Any

    def read(self, records: Records, place: str) -> tuple[Workflow, bytes]:
        """Return the header as it was written, with its counts, and the salt.

        Raises `CheckpointError`.
        """
        if not isinstance(self.id, str) or not isinstance(self.number, int):
            raise refusals.damaged(str(type(self.id)), place, "A row is not one that was written")
        workflow, salt = records.load_header(self.id, self.header)
        if (workflow.status.value, workflow.updated_at) != (self.status, self.updated):
            problem = "The header and what is written beside it differ"
            raise refusals.damaged(self.id, place, problem)
        steps = 0 if self.last is None else self.last + 1
        if steps < workflow.steps:
            raise refusals.missing(self.id, place, steps)
        try:
            supersteps = supersteps_of(self.info)
        except (TypeError, ValueError) as error:
            problem = f"Step {self.last} is not one that was written"
            raise refusals.damaged(self.id, place, problem) from error
        return msgspec.structs.replace(workflow, steps=steps, supersteps=supersteps), salt


def read_header(connection: sqlite3.Connection, workflow_id: str) -> HeaderRow | None:
    """Return the row of a header."""
    row = connection.execute(f"{_HEADERS} WHERE w.id = ?", (workflow_id,)).fetchone()
    return None if row is None else HeaderRow(*row)


def read_headers(
    connection: sqlite3.Connection, status: WorkflowStatus | None, limit: int | None
) -> list[HeaderRow]:
    """Return rows of headers, the last changed first."""
    where = "" if status is None else "WHERE w.status = :status"
    rows = connection.execute(
        f"{_HEADERS} {where} ORDER BY w.updated DESC, w.number DESC LIMIT :limit",
        {"status": status and status.value, "limit": -1 if limit is None else limit},
    )
    return [HeaderRow(*row) for row in rows]


def read_ids(connection: sqlite3.Connection, limit: int) -> list[str]:
    """Return ids, those of the last changed workflows first."""
    rows = connection.execute("SELECT id FROM workflows ORDER BY updated DESC LIMIT ?", (limit,))
    return [str(workflow_id) for (workflow_id,) in rows]


def read_workflow(
    connection: sqlite3.Connection, workflow_id: str
) -> tuple[HeaderRow, list[StepRow]] | None:
    """Return the row of a header and the rows of its history, as they were at one moment."""
    connection.execute("BEGIN")
    header = read_header(connection, workflow_id)
    rows: list[StepRow] = []
    if header is not None and isinstance(header.number, int):
        first = header.number << _BITS
        rows = connection.execute(_STEPS, (first, first | _LAST)).fetchall()
    connection.execute("COMMIT")
    return None if header is None else (header, rows)


def add_workflow(connection: sqlite3.Connection, workflow: Workflow, header: bytes) -> int:
    """Insert a header and return its number."""
    cursor = connection.execute(
        "INSERT INTO workflows (id, status, updated, header) VALUES (?, ?, ?, ?)",
        (workflow.id, workflow.status.value, workflow.updated_at, header),
    )
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def replace_header(
    connection: sqlite3.Connection, number: int, workflow: Workflow, header: bytes
) -> bool:
    """Replace a header; say whether it was there. (A number may come from a transaction that failed,
    and be another workflow's by now.)"""
    cursor = connection.execute(
        "UPDATE workflows SET status = ?, updated = ?, header = ? WHERE number = ? AND id = ?",
        (workflow.status.value, workflow.updated_at, header, number, workflow.id),
    )
    return cursor.rowcount == 1


def add_step(connection: sqlite3.Connection, number: int, row: StepRow) -> None:
    """Insert one step of a workflow."""
    index, info, payload = row
    connection.execute(_INSERT, (number << _BITS | index, info, payload))


def add_steps(connection: sqlite3.Connection, rows: Iterable[tuple[int, StepRow]]) -> None:
    """Insert steps, each with the number of its workflow."""
    connection.executemany(
        _INSERT,
        [(number << _BITS | index, info, payload) for number, (index, info, payload) in rows],
    )


def remove_workflow(connection: sqlite3.Connection, workflow_id: str) -> bool:
    """Delete a workflow and its history; say whether it was there."""
    number = connection.execute(
        "SELECT number FROM workflows WHERE id = ?", (workflow_id,)
    ).fetchone()
    if number is None:
        return False
    first = number[0] << _BITS
    connection.execute("DELETE FROM steps WHERE place BETWEEN ? AND ?", (first, first | _LAST))
    connection.execute("DELETE FROM workflows WHERE number = ?", number)
    return True


def ended_workflows(
    connection: sqlite3.Connection, statuses: Iterable[WorkflowStatus], before: float, keep: int
) -> list[str]:
    """Return the ids of workflows of these statuses that changed before a time, or that are not
    among the last ``keep`` (-1: no limit)."""
    names = [status.value for status in statuses]
    among = f"status IN ({', '.join('?' * len(names))})"
    rows = connection.execute(
        f"SELECT id, updated FROM workflows WHERE {among} ORDER BY updated DESC, number DESC",  # noqa: S608
        names,
    )
    return [
        workflow_id
        for i, (workflow_id, updated) in enumerate(rows)
        if updated < before or 0 <= keep <= i
    ]
