"""The file of a SqliteCheckpointer: where it is, when a step is in it, how much room it takes."""

import itertools
import os
import pathlib
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import warnings
from contextlib import closing

import pytest

from hypergraph.checkpointers import (
    SqliteCheckpointer,
    StepKind,
    StepRecord,
    WorkflowStatus,
    database,
    sqlite,
)
from hypergraph.checkpointers.schema import prepare
from hypergraph.checkpointers.writer import Op
from hypergraph.errors import CheckpointError, HypergraphWarning, UnstorableValueError
from hypergraph.testing.suite.storing import HISTORY, header, safe, steps_of

NODE = StepKind.NODE


@pytest.fixture
def make(tmp_path, monkeypatch):
    monkeypatch.setenv("HYPERGRAPH_HOME", str(tmp_path / "home"))
    made = []

    def checkpointer(name="runs.db", **options):
        made.append(SqliteCheckpointer(tmp_path / name, **options))
        return made[-1]

    yield checkpointer
    for one in made:
        one.close()


def step(index, **values):
    return StepRecord(index, index, "", index, "increment", NODE, values or {"count": index}, 1e9)


def run(checkpointer, workflow_id="w", steps=HISTORY, status=WorkflowStatus.COMPLETED):
    checkpointer.begin(workflow_id)
    safe(checkpointer.put(header(workflow_id, status)))
    for one in steps:
        safe(checkpointer.save(workflow_id, one))
    safe(checkpointer.end(workflow_id))


def python(program, *arguments, **options):
    command = [sys.executable, "-W", "error", "-c", program, *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, text=True, **options)


# --- the file -----------------------------------------------------------------------------------


def test_the_file_is_private_and_so_is_a_directory_that_is_made(make, tmp_path):
    checkpointer = make("deep/er/runs.db")
    run(checkpointer)
    checkpointer.begin("w")
    assert checkpointer.path == tmp_path / "deep/er/runs.db"
    names = sorted(os.listdir(tmp_path / "deep/er"))
    assert names == ["runs.db", "runs.db-holds", "runs.db-shm", "runs.db-wal"]
    for name in names:
        assert stat.S_IMODE((tmp_path / "deep/er" / name).stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "deep/er").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "home").stat().st_mode) == 0o700


def test_a_file_of_ours_that_others_may_read_is_tightened(make, tmp_path):
    run(make())
    make().close()
    (tmp_path / "runs.db").chmod(0o644)
    assert make().get_steps("w") == HISTORY
    assert stat.S_IMODE((tmp_path / "runs.db").stat().st_mode) == 0o600


def test_home_and_variables_in_the_path_are_expanded(make, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PLACE", "there")
    make()
    with SqliteCheckpointer("~/$PLACE/runs.db") as checkpointer:
        assert checkpointer.path == tmp_path / "there" / "runs.db"
        assert str(tmp_path) not in repr(checkpointer)


@pytest.mark.parametrize("path", [":memory:", "", "file:runs.db?mode=ro"])
def test_what_is_not_the_path_of_a_file_is_refused_with_advice(path):
    with pytest.raises(CheckpointError, match=r"MemoryCheckpointer\(\)"):
        SqliteCheckpointer(path)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"durability": "sometimes"}, ValueError, "'sometimes'"),
        ({"retention": 5}, TypeError, "Retention"),
        ({"serializer": object(), "key_file": "k"}, TypeError, "key_file or serializer"),
    ],
)
def test_options_that_make_no_sense_are_refused(tmp_path, options, error, match):
    with pytest.raises(error, match=match):
        SqliteCheckpointer(tmp_path / "runs.db", **options)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("path", [7, None, b"runs.db"])
def test_a_path_of_another_type_is_refused(path):
    with pytest.raises(TypeError, match="path"):
        SqliteCheckpointer(path)


def test_a_directory_or_a_link_in_the_place_of_a_file_is_refused(make, tmp_path):
    (tmp_path / "runs.db").mkdir()
    with pytest.raises(CheckpointError, match="not a plain file"):
        make()
    (tmp_path / "other.db-holds").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CheckpointError, match="not a plain file"):
        make("other.db")
    (tmp_path / "loop.db").symlink_to(tmp_path / "loop.db")
    with pytest.raises(CheckpointError):
        make("loop.db")
    (tmp_path / "plain").touch()
    with pytest.raises(CheckpointError, match="opened"):
        make("plain/runs.db")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may chown")
def test_a_file_of_another_user_is_refused(make, tmp_path):
    make().close()
    os.chown(tmp_path / "runs.db", 12345, -1)
    with pytest.raises(CheckpointError, match="this user"):
        make()


def test_a_closed_checkpointer_opens_again_when_used(make):
    checkpointer = make()
    run(checkpointer)
    checkpointer.close()
    checkpointer.close()
    assert checkpointer.get_steps("w") == HISTORY
    run(checkpointer, "v")
    checkpointer.close()
    assert len(make().list_workflows()) == 2


def test_closing_stores_what_was_given_and_lets_go(make):
    for durability in ("sync", "async", "exit"):
        checkpointer = make(f"{durability}.db", durability=durability)
        checkpointer.begin("w")
        checkpointer.put(header("w"))
        for one in HISTORY:
            checkpointer.save("w", one)
        checkpointer.close()
        other = make(f"{durability}.db")
        assert list(other.begin("w").steps) == HISTORY


# --- when a step is safe ------------------------------------------------------------------------

KILLED = """
import os, signal, sys, time
from hypergraph.checkpointers import SqliteCheckpointer
from hypergraph.testing.suite.storing import HISTORY, header, safe
path, durability, how = sys.argv[1:]
checkpointer = SqliteCheckpointer(path, durability=durability)
checkpointer.begin("w")
safe(checkpointer.put(header("w")))
for step in HISTORY[:5]:
    safe(checkpointer.save("w", step))
if durability == "async":
    time.sleep(0.5)  # 25 times what it may be behind
if how == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(("durability", "count"), [("sync", 5), ("async", 5), ("exit", None)])
def test_what_is_safe_survives_the_death_of_the_process(make, tmp_path, durability, count):
    done = python(KILLED, tmp_path / "runs.db", durability, "kill")
    assert done.returncode == -signal.SIGKILL, done.stderr
    checkpointer = make()
    if count is None:
        assert checkpointer.list_workflows() == []
    else:
        assert not checkpointer.get_workflow("w").held
        assert list(checkpointer.begin("w").steps) == HISTORY[:count]


@pytest.mark.parametrize("durability", ["async", "exit"])
def test_what_was_given_is_stored_when_the_program_ends(make, tmp_path, durability):
    done = python(KILLED, tmp_path / "runs.db", durability, "return")
    assert (done.returncode, done.stderr) == (0, "")
    assert make().get_steps("w") == HISTORY[:5]


def test_only_sync_may_have_futures_and_every_end_has_one(make):
    for durability in ("sync", "async", "exit"):
        checkpointer = make(f"{durability}.db", durability=durability)
        assert checkpointer.durability == durability
        checkpointer.begin("w")
        futures = [checkpointer.put(header("w")), checkpointer.save("w", HISTORY[0])]
        assert durability == "sync" or futures == [None, None]
        for future in futures:
            safe(future)
        end = checkpointer.end("w")
        assert not end.cancel()
        assert end.result(timeout=60) is None


def test_a_step_that_stands_alone_is_written_at_once_if_that_is_a_matter_of_a_moment(make):
    checkpointer, other = make(), make()
    checkpointer.begin("w")
    safe(checkpointer.put(header("w")))

    def given(superstep, seconds=0.0):
        checkpointer._writer._seconds = seconds
        index = checkpointer._held["w"].steps
        future = checkpointer.save("w", StepRecord(index, superstep, "", 0, "a", NODE, {"x": 1}))
        assert future is not None or len(other.get_steps("w")) == index + 1
        safe(future)
        return "later" if future else "at once"

    assert given(0) == "at once"
    assert given(0) == "later"  # more of the generation may come
    assert given(1) == "at once"
    assert given(2, seconds=1.0) == "later"  # the disk is slow: let the event loop go on
    checkpointer.begin("v")
    assert given(3) == "later"  # another workflow may have something, too
    safe(checkpointer.end("v"))
    assert given(4) == "at once"
    assert len(other.get_steps("w")) == 6


def test_nobody_waits_for_another_process_but_the_thread_that_writes(make):
    checkpointer = make()
    checkpointer.begin("w")
    safe(checkpointer.put(header("w")))
    safe(checkpointer.save("w", step(0)))
    checkpointer._writer._seconds = 0.0
    with closing(sqlite3.connect(checkpointer.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        future = checkpointer.save("w", step(1))
        assert not future.done()
        other.execute("COMMIT")
    safe(future)
    assert len(make().get_steps("w")) == 2


def test_the_machine_may_die_too(make):
    for durability in ("sync", "async", "exit"):
        checkpointer = make(f"{durability}.db", durability=durability)

        def pragmas(connection):
            names = ("synchronous", "journal_mode", "trusted_schema")
            return [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names]

        assert checkpointer._database.run("read", pragmas) == [2, "wal", 0]


def test_what_comes_while_the_disk_is_busy_is_written_together(make):
    checkpointer = make()
    names = [f"w{i}" for i in range(30)]
    for name in names:
        checkpointer.begin(name)
        safe(checkpointer.put(header(name)))
    statements = []
    checkpointer._database.run("read", lambda c: c.set_trace_callback(statements.append))
    with closing(sqlite3.connect(checkpointer.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        futures = [checkpointer.save(name, step(i)) for i in range(3) for name in names]
        other.execute("COMMIT")
    for future in futures:
        future.result(timeout=60)
    inserts = [one for one in statements if "INSERT" in one]
    commits = [one for one in statements if one == "COMMIT"]
    assert len(inserts) == 90
    assert 1 <= len(commits) <= 3
    for name in names:
        safe(checkpointer.end(name))
        assert len(checkpointer.get_steps(name)) == 3


def test_a_program_that_never_waits_is_held_back(make):
    checkpointer = make(durability="async")
    checkpointer.begin("w")
    checkpointer.put(header("w"))
    with closing(sqlite3.connect(checkpointer.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        given = []

        def give():
            for i in range(3000):
                checkpointer.save("w", step(i))
                given.append(i)

        thread = threading.Thread(target=give)
        thread.start()
        thread.join(0.5)
        waiting = len(given)
        other.execute("COMMIT")
    thread.join(60)
    assert 500 < waiting < 3000
    safe(checkpointer.end("w"))
    assert checkpointer.get_workflow("w").steps == 3000


# --- room ---------------------------------------------------------------------------------------


def size_of(checkpointer):
    checkpointer._database.run(
        "written", lambda c: c.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    )
    return checkpointer.path.stat().st_size


def test_a_small_step_takes_200_bytes_whatever_else_there_is(make):
    checkpointer = make(durability="exit")
    checkpointer.begin("w")
    checkpointer.put(header("w"))
    checkpointer.save("w", step(0, state="x" * 100_000))
    safe(checkpointer.end("w"))
    sizes = [size_of(checkpointer)]
    for end in (5001, 10_001):
        start = len(checkpointer.begin("w").steps)
        for i in range(start, end):
            checkpointer.save("w", step(i))
        safe(checkpointer.end("w"))
        sizes.append(size_of(checkpointer))
    assert sizes[0] < 150_000
    first, second = (later - earlier for earlier, later in itertools.pairwise(sizes))
    assert first <= 200 * 5000
    assert abs(second - first) < 0.05 * first  # linear


# --- what goes wrong ----------------------------------------------------------------------------


@pytest.fixture
def limit_pages(monkeypatch):
    """A function that lets the file of a checkpointer grow by so many pages."""

    def limited(checkpointer, more):
        def limit(connection):
            (pages,) = connection.execute("PRAGMA page_count").fetchone()
            top = 2**30 if more is None else pages + more
            connection.execute(f"PRAGMA max_page_count = {top}")
            return top

        top = checkpointer._database.run("read", limit)

        def limited_from_the_start(connection, where):
            prepare(connection, where)
            connection.execute(f"PRAGMA max_page_count = {top}")

        monkeypatch.setattr(database, "prepare", limited_from_the_start)

    return limited


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
def test_a_full_disk_is_told_and_the_workflow_goes_on_when_there_is_room(
    make, limit_pages, durability
):
    checkpointer = make(durability=durability)
    run(checkpointer, steps=HISTORY[:3], status=WorkflowStatus.FAILED)
    limit_pages(checkpointer, 5)
    checkpointer.begin("w")

    def fill():
        for i in range(3, 50):
            safe(checkpointer.save("w", step(i, text="x" * 10_000)))
            if durability == "async":
                checkpointer._writer.flush()

    if durability == "exit":
        fill()
    else:
        with pytest.raises(CheckpointError, match="disk is full") as caught:
            fill()
        with pytest.raises(CheckpointError) as again:
            checkpointer.save("w", step(49))
        assert again.value is caught.value
        with pytest.raises(CheckpointError):
            safe(checkpointer.put(header("w")))
    with pytest.raises(CheckpointError, match="make room"):
        checkpointer.end("w").result(timeout=60)
    limit_pages(checkpointer, None)
    steps = checkpointer.begin("w").steps
    assert list(steps[:3]) == HISTORY[:3]
    assert [one.index for one in steps] == list(range(len(steps)))
    assert len(steps) < 20
    safe(checkpointer.save("w", step(len(steps))))
    safe(checkpointer.end("w"))
    assert checkpointer.get_workflow("w").steps == len(steps) + 1


FULL = """
import resource, signal, sys
from hypergraph.checkpointers import SqliteCheckpointer
from hypergraph.errors import CheckpointError
from hypergraph.testing.suite.storing import header, safe, steps_of, NODE
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
checkpointer = SqliteCheckpointer(sys.argv[1], durability=sys.argv[2])
steps = steps_of(*[(0, "a", NODE, {"text": "x" * 5000})] * 200)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
checkpointer.begin("w")
safe(checkpointer.put(header("w")))
try:
    for step in steps:
        safe(checkpointer.save("w", step))
except CheckpointError:
    pass
try:
    safe(checkpointer.end("w"))
except CheckpointError as error:
    print(error.what)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
found = checkpointer.begin("w").steps
safe(checkpointer.put(header("w")))
assert list(found) == steps[:len(found)]
for step in steps[len(found):]:
    safe(checkpointer.save("w", step))
safe(checkpointer.end("w"))
assert checkpointer.get_steps("w") == steps
print(len(found))
"""


@pytest.mark.parametrize("durability", ["sync", "async"])
def test_a_file_that_may_not_grow_loses_nothing_that_was_safe(tmp_path, durability, monkeypatch):
    monkeypatch.setenv("HYPERGRAPH_HOME", str(tmp_path / "home"))
    done = python(FULL, tmp_path / "runs.db", durability)
    assert done.returncode == 0, done.stderr
    problem, found = done.stdout.splitlines()
    assert "could not be written" in problem
    if durability == "sync":
        assert 5 < int(found) < 100


def test_the_failure_of_one_workflow_does_not_touch_the_others(make):
    checkpointer = make()
    names = ["a", "b", "c"]
    for name in names:
        checkpointer.begin(name)
        safe(checkpointer.put(header(name)))
    with closing(sqlite3.connect(checkpointer.path, isolation_level=None)) as other:
        (number,) = other.execute("SELECT number FROM workflows WHERE id = 'b'").fetchone()
        other.execute("INSERT INTO steps VALUES (?, x'00', x'00')", (number << 32 | 1,))
        other.execute("BEGIN IMMEDIATE")
        futures = [[checkpointer.save(name, step(i)) for name in names] for i in range(3)]
        other.execute("COMMIT")
    for name, *mine in zip(names, *futures, strict=True):
        if name != "b":
            assert [one.result(timeout=60) for one in mine] == [None] * 3
            safe(checkpointer.end(name))
            assert len(checkpointer.get_steps(name)) == 3
        else:
            assert isinstance(mine[2].exception(timeout=60), CheckpointError)
            with pytest.raises(CheckpointError, match="another run has written"):
                checkpointer.end(name).result(timeout=60)


def test_a_program_that_ends_and_could_not_store_says_so(make, limit_pages):
    checkpointer = make(durability="exit")
    checkpointer.begin("w")
    checkpointer.put(header("w"))
    checkpointer.save("w", step(0, text="x" * 10**6))
    limit_pages(checkpointer, 1)
    with pytest.warns(HypergraphWarning, match="disk is full"):
        sqlite._close_all()


@pytest.mark.parametrize("kind", [StepKind.INPUTS, NODE, StepKind.ANSWER, StepKind.GRAPH])
def test_no_value_appears_in_a_message(make, kind):
    checkpointer = make()
    checkpointer.begin("w")
    checkpointer.put(header("w"))
    secret = lambda: "hunter2"  # noqa: E731
    secret.__qualname__ = "hunter2"
    values = {"password": ["hunter2", secret]}
    with pytest.raises(UnstorableValueError) as caught:
        checkpointer.save("w", StepRecord(0, 0, "", 0, "login", kind, values))
    assert "hunter2" not in str(caught.value)
    assert "'password'" in str(caught.value)
    assert caught.value.type_name == "list"


def test_a_result_that_is_no_dict_is_named_by_its_node(make):
    checkpointer = make()
    checkpointer.begin("w")
    checkpointer.put(header("w"))
    bad = StepRecord(0, 0, "a#0/", 0, "b", StepKind.GRAPH, threading.Lock())
    with pytest.raises(UnstorableValueError, match="result of node 'a/b'"):
        checkpointer.save("w", bad)


class Gone:
    pass


def test_a_value_whose_class_is_gone_names_its_step(make, monkeypatch):
    checkpointer = make()
    steps = steps_of((0, "a", NODE, {"x": 1}), (0, "b", NODE, {"y": Gone()}))
    run(checkpointer, steps=steps)
    monkeypatch.delattr(sys.modules[__name__], "Gone")
    for read in (checkpointer.get_steps, checkpointer.begin):
        with pytest.raises(CheckpointError, match=r"step 1 \('b'\).*AttributeError"):
            read("w")
    assert checkpointer.get_workflow("w").supersteps == 1  # needs no values
    assert [one.held for one in checkpointer.list_workflows()] == [False]
    checkpointer.delete("w")


def test_a_store_that_is_dropped_stores_what_it_was_given(make, tmp_path):
    make()
    checkpointer = SqliteCheckpointer(tmp_path / "other.db", durability="async")
    checkpointer.begin("w")
    checkpointer.put(header("w"))
    checkpointer.save("w", step(0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        del checkpointer
    other = make("other.db")
    assert len(other.begin("w").steps) == 1
    assert not [one for one in threading.enumerate() if "other.db" in one.name]
    assert pathlib.Path(other.path).exists()


@pytest.mark.parametrize("before", [True, False])
def test_an_interrupt_in_the_middle_of_saving_leaves_no_gap(make, monkeypatch, before):
    checkpointer = make()
    checkpointer.begin("w")
    safe(checkpointer.put(header("w")))
    safe(checkpointer.save("w", HISTORY[0]))
    submit = checkpointer._submit

    def interrupted(op, alone):
        if not before:
            safe(submit(op, alone))
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpointer, "_submit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        checkpointer.save("w", HISTORY[1])
    monkeypatch.setattr(checkpointer, "_submit", submit)
    safe(checkpointer.put(header("w", WorkflowStatus.STOPPED)))
    safe(checkpointer.end("w"))
    assert list(checkpointer.begin("w").steps) == HISTORY[: 1 if before else 2]


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
def test_without_a_thread_the_caller_writes(make, monkeypatch, durability):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    checkpointer = make(durability=durability)
    run(checkpointer)
    assert checkpointer.get_steps("w") == HISTORY
    assert checkpointer.prune() == 0
    monkeypatch.undo()


def test_the_last_reference_may_go_in_the_thread_that_writes(make, tmp_path):
    make()
    box = [SqliteCheckpointer(tmp_path / "other.db", durability="async")]
    box[0].begin("w")
    box[0].put(header("w"))
    box[0].save("w", step(0))
    writer = box[0]._writer
    ready = threading.Event()
    writer.submit(Op(job=lambda connection: ready.wait(60) and box.clear()))
    (thread,) = [one for one in threading.enumerate() if "other.db" in one.name]
    ready.set()
    thread.join(60)
    assert not thread.is_alive()
    assert len(make("other.db").begin("w").steps) == 1


def test_a_file_that_is_removed_while_it_is_open_is_missed(tmp_path):
    path = tmp_path / "runs.db"
    with SqliteCheckpointer(path) as checkpointer:
        checkpointer.begin("w")
        checkpointer.end("w").result()
        for file in tmp_path.glob("runs.db*"):
            file.unlink()
        with pytest.raises(CheckpointError, match="removed or replaced while it was open"):
            checkpointer.begin("w")
        checkpointer.begin("w")
        checkpointer.put(header("w"))
        checkpointer.end("w").result()
        assert checkpointer.get_workflow("w").id == "w"


def test_nothing_is_added_to_a_file_of_another_key(tmp_path):
    path = tmp_path / "runs.db"
    with SqliteCheckpointer(path, key_file=tmp_path / "one") as checkpointer:
        checkpointer.begin("w")
        checkpointer.put(header("w"))
        checkpointer.end("w").result()
    other = SqliteCheckpointer(path, key_file=tmp_path / "two")
    with other, pytest.raises(CheckpointError, match="with this key and serializer"):
        other.begin("new")
    with SqliteCheckpointer(path, key_file=tmp_path / "one") as checkpointer:
        checkpointer.begin("new")
        checkpointer.end("new").result()
