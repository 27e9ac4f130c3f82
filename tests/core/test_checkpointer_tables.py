"""The statements of a `SqliteCheckpointer`, as far as nothing else shows what they promise."""

import sqlite3

from hypergraph.checkpointers import Workflow, WorkflowStatus
from hypergraph.checkpointers.schema import prepare
from hypergraph.checkpointers.tables import add_workflow, read_header, replace_header


def workflow(name):
    return Workflow(
        id=name,
        status=WorkflowStatus.RUNNING,
        graph_name=None,
        graph_hash="",
        definition={},
        run_id="",
    )


def test_a_number_that_another_workflow_has_got_meanwhile_replaces_nothing(tmp_path):
    connection = sqlite3.connect(tmp_path / "runs.db", isolation_level=None)
    prepare(connection, "runs.db")
    connection.execute("BEGIN")
    stale = add_workflow(connection, workflow("mine"), b"mine")
    connection.execute("ROLLBACK")
    assert add_workflow(connection, workflow("theirs"), b"theirs") == stale
    assert not replace_header(connection, stale, workflow("mine"), b"mine")
    row = read_header(connection, "theirs")
    connection.close()
    assert row.header == b"theirs"
