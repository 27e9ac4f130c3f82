"""A file that was torn or altered: a clear error, never code that runs, never a lost file."""

import collections
import contextlib
import os
import pathlib
import pickle
import random
import shutil
import sqlite3
import stat
from contextlib import closing

import pytest

from hypergraph.checkpointers import SqliteCheckpointer, WorkflowStatus
from hypergraph.checkpointers.reading import SqliteReader, existing
from hypergraph.errors import (
    CheckpointError,
    HypergraphWarning,
    InvalidSignatureError,
    KeyFileError,
    WorkflowNotFoundError,
)
from hypergraph.serialization import (
    JsonSerializer,
    PickleSerializer,
    default_key_file,
    load_key,
)
from hypergraph.testing.suite.storing import GATE, HISTORY, NODE, header, safe, steps_of


@pytest.fixture
def path(tmp_path, monkeypatch):
    """The file of two workflows, a and b, with the same steps."""
    monkeypatch.setenv("HYPERGRAPH_HOME", str(tmp_path / "home"))
    with SqliteCheckpointer(tmp_path / "runs.db") as checkpointer:
        for name in "ab":
            fill(checkpointer, name)
    return tmp_path / "runs.db"


def fill(checkpointer, name, steps=HISTORY):
    checkpointer.begin(name)
    safe(checkpointer.put(header(name)))
    for step in steps:
        safe(checkpointer.save(name, step))
    safe(checkpointer.put(header(name)))
    safe(checkpointer.end(name))


def sql(path, statement, *values):
    with closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(statement, values).fetchall()


def refused(path, match=None, **options):
    """Everything that reads workflow a is refused, and it is not held afterwards."""
    with SqliteCheckpointer(path, **options) as checkpointer:
        for read in (checkpointer.get_steps, checkpointer.begin, checkpointer.fork):
            with pytest.raises(CheckpointError, match=match) as caught:
                read("a")
            assert not isinstance(caught.value, WorkflowNotFoundError)
            assert caught.value.fix
        with pytest.raises(CheckpointError, match="not held"):
            checkpointer.end("a")
    return caught.value


class Bomb:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return pathlib.Path.touch, (self.mark,)


# --- altered rows -------------------------------------------------------------------------------

FIRST = "(SELECT min(place) FROM steps)"
OTHER = (
    f"(SELECT {{}} FROM steps WHERE place = {FIRST} + (1 << 32))"  # the same step, of workflow b
)

CHANGES = [
    "UPDATE workflows SET header = (SELECT header FROM workflows WHERE id = 'b')",
    "UPDATE workflows SET header = 'text'",
    "UPDATE workflows SET header = x'' WHERE id = 'a'",
    "UPDATE workflows SET status = 'paused' WHERE id = 'a'",
    "UPDATE workflows SET updated = updated + 1 WHERE id = 'a'",
    "UPDATE workflows SET number = 77 WHERE id = 'a'",
    "UPDATE workflows SET number = 7 - number",
    "UPDATE workflows SET number = 9223372036854775807 WHERE id = 'a'",
    f"UPDATE steps SET payload = zeroblob(60) WHERE place = {FIRST}",
    f"UPDATE steps SET payload = 'text' WHERE place = {FIRST}",
    f"UPDATE steps SET payload = 7 WHERE place = {FIRST}",
    f"UPDATE steps SET info = x'00' WHERE place = {FIRST}",
    f"UPDATE steps SET info = 'text' WHERE place = {FIRST}",
    f"UPDATE steps SET info = (SELECT info FROM steps WHERE place = {FIRST} + 1)",
    f"UPDATE steps SET payload = (SELECT payload FROM steps WHERE place = {FIRST} + 5)",
    f"UPDATE steps SET place = place + 100 WHERE place = {FIRST} + 7",
    f"DELETE FROM steps WHERE place = {FIRST} + 3",
    f"DELETE FROM steps WHERE place > {FIRST} + 3",
    "DELETE FROM steps",
    f"UPDATE steps SET payload = {OTHER.format('payload')}, info = {OTHER.format('info')}",
    "DROP TABLE steps",
    "DROP TABLE steps; CREATE VIEW steps AS SELECT 1 AS place, x'00' AS info, x'00' AS payload",
    "ALTER TABLE workflows RENAME COLUMN header TO other",
]


@pytest.mark.parametrize("change", CHANGES)
def test_an_altered_row_is_refused(path, change):
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(change)
    refused(path)


def test_an_altered_workflow_can_be_deleted_and_the_others_are_whole(path):
    sql(path, "UPDATE workflows SET header = x'00' WHERE id = 'a'")
    with SqliteCheckpointer(path) as checkpointer:
        assert checkpointer.get_steps("b") == HISTORY
        checkpointer.delete("a")
        assert [one.id for one in checkpointer.list_workflows()] == ["b"]
        fill(checkpointer, "a")
        assert checkpointer.get_steps("a") == HISTORY


def test_the_list_leaves_out_what_is_damaged_and_says_so(path):
    with SqliteCheckpointer(path) as checkpointer:
        for name in "cdef":
            fill(checkpointer, name)
        damage = "UPDATE workflows SET header = x'00' WHERE id IN ('a', 'e', 'f')"
        write(checkpointer, damage)
        for options, left in (({}, "bcd"), ({"limit": 2}, "cd"), ({"limit": 4}, "bcd")):
            with pytest.warns(HypergraphWarning) as warned:
                found = checkpointer.list_workflows(**options)
            assert sorted(one.id for one in found) == list(left)
        words = [str(one.message) for one in warned]
        assert [one.partition(".")[0] for one in words] == [
            f"The list leaves out workflow {name!r}" for name in "fea"
        ]
        assert all("delete()" in one for one in words)
        assert {one.filename for one in warned} == {__file__}


def test_one_damaged_workflow_of_a_status_is_left_out_too(path):
    with SqliteCheckpointer(path) as checkpointer:
        status = checkpointer.get_workflow("a").status
        write(checkpointer, "UPDATE workflows SET status = 'paused' WHERE id = 'b'")
        with pytest.warns(HypergraphWarning, match="leaves out workflow 'b'"):
            assert checkpointer.list_workflows(status=WorkflowStatus.PAUSED) == []
        assert [one.id for one in checkpointer.list_workflows(status=status)] == ["a"]
        write(checkpointer, "UPDATE workflows SET updated = 1")
        with pytest.raises(CheckpointError):  # nothing in the file can be read
            checkpointer.list_workflows(status=WorkflowStatus.PAUSED)


def test_an_id_that_is_no_text_spoils_no_other(path):
    sql(path, "UPDATE workflows SET id = CAST(x'd361' AS TEXT) WHERE id = 'a'")
    with SqliteCheckpointer(path) as checkpointer:
        with pytest.warns(HypergraphWarning, match=r"leaves out workflow '\\udcd3a'"):
            assert [one.id for one in checkpointer.list_workflows()] == ["b"]
        assert checkpointer.get_steps("b") == HISTORY
        with pytest.raises(WorkflowNotFoundError):
            checkpointer.get_steps("a")


@pytest.mark.parametrize("value", ["'text'", "7"])
@pytest.mark.parametrize("serializer", [None, JsonSerializer()])
def test_a_payload_that_is_no_bytes_was_altered(tmp_path, path, value, serializer):
    if serializer is not None:
        path = tmp_path / "json.db"
        with SqliteCheckpointer(path, serializer=serializer) as checkpointer:
            fill(checkpointer, "a")
    sql(path, f"UPDATE steps SET payload = {value} WHERE place = {FIRST}")
    refused(path, "Step 0 is missing or is not one that was written", serializer=serializer)


def test_a_workflow_that_was_deleted_does_not_come_back_in_a_new_one(path):
    rows = sql(path, "SELECT info, payload FROM steps ORDER BY place LIMIT ?", len(HISTORY))
    with SqliteCheckpointer(path) as checkpointer:
        checkpointer.delete("a")
        fill(checkpointer, "a")
    ((first,),) = sql(path, "SELECT number << 32 FROM workflows WHERE id = 'a'")
    for i, (info, payload) in enumerate(rows):
        values = (info, payload, first + i)
        sql(path, "UPDATE steps SET info = ?, payload = ? WHERE place = ?", *values)
    refused(path, "Step 0 was not signed")


def test_every_byte_of_a_step_counts(path):
    ((place, info, payload),) = sql(path, "SELECT * FROM steps ORDER BY place LIMIT 1")
    with SqliteCheckpointer(path) as checkpointer:
        for column, whole in (("info", info), ("payload", payload)):
            for i in range(len(whole)):
                torn = bytes(byte ^ (i == j) for j, byte in enumerate(whole))
                for changed in (torn, whole[:i]):
                    statement = f"UPDATE steps SET {column} = ? WHERE place = ?"
                    write(checkpointer, statement, changed, place)
                    with pytest.raises(CheckpointError, match="Step 0"):
                        checkpointer.get_steps("a")
            write(checkpointer, f"UPDATE steps SET {column} = ? WHERE place = ?", whole, place)
        assert checkpointer.get_steps("a") == HISTORY


def write(checkpointer, statement, *values):
    checkpointer._database.run("written", lambda c: c.execute(statement, values))


def test_a_planted_pickle_does_not_run(path, tmp_path):
    mark = tmp_path / "ran"
    bomb = pickle.dumps(Bomb(mark))
    forged = PickleSerializer(b"x" * 32)
    for data in (bomb, bytes(32) + bomb, forged.dumps(Bomb(mark), b"workflow a")):
        sql(path, "UPDATE steps SET payload = ?", data)
        assert isinstance(refused(path, "not signed").__cause__, InvalidSignatureError)
    sql(path, "UPDATE workflows SET header = ?", data)
    refused(path, "header was not signed")
    with SqliteCheckpointer(path) as checkpointer, pytest.raises(CheckpointError):
        checkpointer.list_workflows()
    assert not mark.exists()
    forged.loads(data, b"workflow a")
    assert mark.exists()  # so the bomb was a real one


def test_another_key_reads_nothing_and_changes_nothing(path, tmp_path):
    error = refused(path, "not signed", key_file=tmp_path / "another.key")
    assert "key file" in error.fix
    with SqliteCheckpointer(path) as checkpointer:
        assert checkpointer.get_steps("a") == HISTORY


def test_another_serializer_reads_nothing(path):
    refused(path, serializer=JsonSerializer())


def test_a_key_file_that_others_may_read_is_refused(path, tmp_path):
    (tmp_path / "home" / "signing.key").chmod(0o644)
    with pytest.raises(KeyFileError):
        SqliteCheckpointer(path)


def test_json_that_was_altered_is_an_error_or_what_it_says(tmp_path):
    path = tmp_path / "json.db"
    with SqliteCheckpointer(path, serializer=JsonSerializer()) as checkpointer:
        fill(checkpointer, "a", steps_of((0, "a", NODE, {"x": 1}), (0, "g", GATE, ("a",))))
    for wrong in ("[1", "NaN", "\xff", "", '{"x": 1}}'):
        sql(path, "UPDATE steps SET payload = ?", wrong.encode("latin-1"))
        refused(path, "can no longer be read", serializer=JsonSerializer())
    for wrong in ("[]", "{}", "null", '{"salt": "zz"}', '{"salt": 1}'):
        sql(path, "UPDATE workflows SET header = ?", wrong.encode())
        refused(path, "header", serializer=JsonSerializer())


# --- torn files ---------------------------------------------------------------------------------


def outcome(path):
    """What reading gives: an error, or exactly what was stored."""
    try:
        with SqliteCheckpointer(path) as checkpointer:
            steps = checkpointer.get_steps("a")
    except CheckpointError as error:
        return "refused" if error.where and error.fix else "refused without a word"
    assert steps == HISTORY
    return "whole"


def test_a_file_that_was_cut_short_is_refused_and_kept(path):
    whole = path.read_bytes()
    found = set()
    for size in [*range(0, len(whole), 700), 1, 15, 16, 99, 100, len(whole) - 1]:
        path.write_bytes(whole[:size])
        found.add(outcome(path))
        assert path.exists()
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
    assert "refused" in found
    path.write_bytes(whole)
    assert outcome(path) == "whole"


def test_flipped_bytes_are_refused_or_harmless(path):
    whole = path.read_bytes()
    chance = random.Random(5)
    found = []
    for _ in range(60):
        torn = bytearray(whole)
        for _ in range(chance.choice([1, 1, 5])):
            torn[chance.randrange(len(torn))] ^= chance.randrange(1, 256)
        path.write_bytes(torn)
        found.append(outcome(path))
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
    assert {"refused", "whole"} == set(found)


def damaged(whole, chance):
    """One kind of damage or another: bytes, a stretch, the tables' own texts, a page."""
    torn = bytearray(whole)
    kind = chance.randrange(4)
    if kind == 0:
        for _ in range(chance.choice([1, 3, 20])):
            torn[chance.randrange(len(torn))] ^= chance.randrange(1, 256)
    elif kind == 3:
        to, of = (chance.randrange(len(whole) // 4096) * 4096 for _ in range(2))
        torn[to : to + 4096] = whole[of : of + 4096]
    else:
        start = chance.randrange(len(torn) if kind == 1 else 4096)
        size = chance.choice([1, 30, 200, 2000][2 * (kind == 1) :])
        torn[start : start + size] = chance.randbytes(len(torn[start : start + size]))
    return torn


def everything_in(path, *, looking):
    """Headers and histories as far as they are not refused; ``looking``: as the command line does."""
    headers, histories = [], {}
    with contextlib.suppress(CheckpointError), contextlib.ExitStack() as stack:
        if looking:
            reader = SqliteReader(existing(path), PickleSerializer(load_key(default_key_file())))
            listing, reading = (lambda: reader.headers()[0]), (lambda name: reader.history(name)[1])
        else:
            checkpointer = stack.enter_context(SqliteCheckpointer(path))
            listing, reading = checkpointer.list_workflows, checkpointer.get_steps
        for name in "ab":
            with contextlib.suppress(CheckpointError):
                histories[name] = reading(name)
        headers = listing()
    return {one.id: one for one in headers}, histories


@pytest.mark.filterwarnings("ignore:The list leaves out")
def test_whatever_the_damage_is_there_is_one_error_or_all_of_the_data(path):
    whole = path.read_bytes()
    headers, histories = everything_in(path, looking=False)
    assert (set(headers), histories) == ({"a", "b"}, {"a": HISTORY, "b": HISTORY})
    chance = random.Random(3)
    found = collections.Counter()
    for _ in range(300):
        path.write_bytes(damaged(whole, chance))
        for suffix in ("-wal", "-shm", "-journal"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        for looking in (True, False):
            some_headers, some_histories = everything_in(path, looking=looking)
            assert some_headers.items() <= headers.items()
            assert all(steps == HISTORY for steps in some_histories.values())
            found[len(some_headers), len(some_histories)] += 1
    assert {(0, 0), (1, 1), (2, 1), (2, 2)} <= set(found)


def test_a_torn_log_loses_at_most_its_end(tmp_path, monkeypatch):
    monkeypatch.setenv("HYPERGRAPH_HOME", str(tmp_path / "home"))
    path, copy = tmp_path / "runs.db", tmp_path / "copy.db"
    with SqliteCheckpointer(path) as checkpointer:
        checkpointer.begin("a")
        safe(checkpointer.put(header("a")))
        for step in HISTORY:
            safe(checkpointer.save("a", step))
        log = path.with_name("runs.db-wal").read_bytes()
        shutil.copy(path, copy)
    for size in range(0, len(log), 3000):
        (tmp_path / "copy.db-wal").write_bytes(log[:size])
        shutil.copy(copy, tmp_path / "torn.db")
        shutil.copy(tmp_path / "copy.db-wal", tmp_path / "torn.db-wal")
        with SqliteCheckpointer(tmp_path / "torn.db") as torn:
            steps = list(torn.begin("a").steps)
        assert steps == HISTORY[: len(steps)]
        (tmp_path / "torn.db").unlink()


def test_a_table_whose_own_text_is_damaged_is_refused(path):
    content = path.read_bytes().replace(b"CREATE TABLE steps", b"\xd3REATE TABLE steps")
    path.write_bytes(content)
    for read in (SqliteCheckpointer, existing):
        with pytest.raises(CheckpointError, match="it is damaged") as caught:
            read(path)
        assert "restore a copy" in caught.value.fix
    assert path.read_bytes() == content


@pytest.mark.parametrize("content", [b"not a database", b"x" * 10_000, b"SQLite format 3\0" * 500])
def test_a_file_of_something_else_is_refused_and_left_as_it_is(path, content):
    path.write_bytes(content)
    path.chmod(0o644)
    with pytest.raises(CheckpointError, match=r"no database|damaged"):
        SqliteCheckpointer(path)
    assert path.read_bytes() == content
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


@pytest.mark.parametrize("statement", ["CREATE TABLE notes (x)", "PRAGMA application_id = 5"])
def test_a_database_of_something_else_is_refused_and_left_as_it_is(path, statement):
    path.unlink()
    sql(path, statement)
    content = path.read_bytes()
    path.chmod(0o644)
    with pytest.raises(CheckpointError, match="something else"):
        SqliteCheckpointer(path)
    assert path.read_bytes() == content
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert not os.path.exists(f"{path}-wal")
