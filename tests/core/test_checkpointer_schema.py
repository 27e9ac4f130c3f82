"""Files of older and newer versions."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from hypergraph.checkpointers import SqliteCheckpointer, schema
from hypergraph.errors import CheckpointError
from hypergraph.testing.suite.storing import HISTORY, header, safe

STEP = (
    "ALTER TABLE workflows ADD COLUMN note TEXT",
    "UPDATE workflows SET note = 'migrated'",
    "CREATE TABLE extra (x)",
)


@pytest.fixture
def path(tmp_path, monkeypatch):
    """A file of the newest version there is, with a workflow in it."""
    monkeypatch.setenv("HYPERGRAPH_HOME", str(tmp_path / "home"))
    with SqliteCheckpointer(tmp_path / "runs.db") as checkpointer:
        fill(checkpointer, "w")
    return tmp_path / "runs.db"


def fill(checkpointer, name):
    checkpointer.begin(name)
    safe(checkpointer.put(header(name)))
    for step in HISTORY:
        safe(checkpointer.save(name, step))
    safe(checkpointer.end(name))


def version(path):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("PRAGMA user_version").fetchone()[0]


def tables(path):
    with closing(sqlite3.connect(path)) as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        return {name for (name,) in names} - {"sqlite_sequence"}


def test_a_new_file_says_what_it_is(path):
    assert version(path) == len(schema.MIGRATIONS)
    assert tables(path) == {"workflows", "steps"}
    with closing(sqlite3.connect(path)) as connection:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
    assert application == schema.APPLICATION_ID


def test_an_older_file_is_migrated_with_all_it_holds(path, monkeypatch):
    before = version(path)
    monkeypatch.setattr(schema, "MIGRATIONS", [*schema.MIGRATIONS, STEP, ("CREATE TABLE two (x)",)])
    with SqliteCheckpointer(path) as checkpointer:
        assert checkpointer.get_steps("w") == HISTORY
        fill(checkpointer, "v")
    assert version(path) == before + 2
    assert tables(path) == {"workflows", "steps", "extra", "two"}
    with closing(sqlite3.connect(path)) as connection:
        notes = connection.execute("SELECT id, note FROM workflows ORDER BY id").fetchall()
    assert notes == [("v", None), ("w", "migrated")]
    with SqliteCheckpointer(path) as checkpointer:
        assert checkpointer.get_steps("v") == HISTORY


def test_a_new_file_has_every_migration(tmp_path, monkeypatch):
    monkeypatch.setenv("HYPERGRAPH_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(schema, "MIGRATIONS", [*schema.MIGRATIONS, STEP])
    with SqliteCheckpointer(tmp_path / "new.db") as checkpointer:
        fill(checkpointer, "w")
    assert version(tmp_path / "new.db") == len(schema.MIGRATIONS)
    assert "extra" in tables(tmp_path / "new.db")


def test_a_migration_that_fails_changes_nothing(path, monkeypatch):
    before = version(path)
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", [*schema.MIGRATIONS, (*STEP, "CREATE TABLE extra (x)")])
        with pytest.raises(CheckpointError, match="opened"):
            SqliteCheckpointer(path)
    assert version(path) == before
    assert tables(path) == {"workflows", "steps"}
    with SqliteCheckpointer(path) as checkpointer:
        assert checkpointer.get_steps("w") == HISTORY


def test_a_newer_file_is_refused_and_left_as_it_is(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {len(schema.MIGRATIONS) + 1}")
    content = path.read_bytes()
    with pytest.raises(CheckpointError, match="newer version") as caught:
        SqliteCheckpointer(path)
    assert "install a newer hypergraph-core" in caught.value.fix
    assert path.read_bytes() == content


MIGRATE = """
import sys, time
from hypergraph.checkpointers import SqliteCheckpointer, schema
from hypergraph.testing.suite.storing import header, safe
path, name, start, *step = sys.argv[1:]
if step:
    schema.MIGRATIONS.append(tuple(step))
time.sleep(max(0, float(start) - time.time()))
checkpointer = SqliteCheckpointer(path)
checkpointer.begin(name)
safe(checkpointer.put(header(name)))
safe(checkpointer.end(name))
checkpointer.close()
"""


@pytest.mark.parametrize("step", [(), STEP], ids=["made", "migrated"])
def test_processes_that_open_a_file_at_once_prepare_it_once(path, step):
    if not step:
        path.unlink()
    command = [sys.executable, "-c", MIGRATE, str(path)]
    # They start together, a moment after the slowest has had the time to import what it needs.
    start = subprocess.run(
        [sys.executable, "-c", "import time, hypergraph.testing.suite; print(time.time() + 1.0)"],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONWARNINGS": "error"},
    ).stdout.strip()
    crowd = [
        subprocess.Popen([*command, f"p{i}", start, *step], stderr=subprocess.PIPE, text=True)
        for i in range(3)
    ]
    for process in crowd:
        _, stderr = process.communicate(timeout=60)
        assert process.returncode == 0, stderr
    with closing(sqlite3.connect(path)) as connection:
        ids = {name for (name,) in connection.execute("SELECT id FROM workflows")}
    assert ids == {"p0", "p1", "p2"} | ({"w"} if step else set())
    assert version(path) == len(schema.MIGRATIONS) + bool(step)
