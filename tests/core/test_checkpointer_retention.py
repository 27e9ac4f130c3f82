"""Which workflows are removed, and when."""

import time
from datetime import timedelta

import pytest

from hypergraph.checkpointers import Retention, SqliteCheckpointer, WorkflowStatus, sweeping
from hypergraph.testing.suite.storing import HISTORY, header, safe

STATUSES = list(WorkflowStatus)


@pytest.fixture
def make(tmp_path, monkeypatch):
    monkeypatch.setenv("HYPERGRAPH_HOME", str(tmp_path / "home"))
    made = []

    def checkpointer(**options):
        made.append(SqliteCheckpointer(tmp_path / "runs.db", **options))
        return made[-1]

    yield checkpointer
    for one in made:
        one.close()


def run(checkpointer, name, status=WorkflowStatus.COMPLETED, age=0.0):
    checkpointer.begin(name)
    safe(checkpointer.put(header(name, status, updated_at=time.time() - age)))
    safe(checkpointer.save(name, HISTORY[0]))
    safe(checkpointer.end(name))


def names(checkpointer):
    return {one.id for one in checkpointer.list_workflows()}


def test_only_what_has_ended_is_removed(make):
    checkpointer = make()
    for status in STATUSES:
        run(checkpointer, status.value, status, age=1000)
    checkpointer.begin("failed")
    assert checkpointer.prune() == 0
    other = make(retention=Retention(max_age=500, max_workflows=0))
    assert other.prune() == 2
    assert names(checkpointer) == {"running", "paused", "failed"}
    safe(checkpointer.end("failed"))
    assert other.prune() == 1
    assert names(checkpointer) == {"running", "paused"}

    def left(connection):
        return connection.execute("SELECT count(*) FROM steps").fetchone()[0]

    assert checkpointer._database.run("read", left) == 2


@pytest.mark.parametrize("age", [3600, 3600.0, timedelta(hours=1)])
def test_the_age_is_that_of_the_last_change(make, age):
    checkpointer = make()
    for i, seconds in enumerate((10, 3500, 3700, 10**6)):
        run(checkpointer, f"w{i}", age=seconds)
    assert make(retention=Retention(max_age=age)).prune() == 2
    assert names(checkpointer) == {"w0", "w1"}


def test_of_those_that_ended_the_last_changed_are_kept(make):
    checkpointer = make()
    for i in range(6):
        run(checkpointer, f"w{i}", age=100 - i)
    run(checkpointer, "waiting", WorkflowStatus.PAUSED, age=1000)
    assert make(retention=Retention(max_workflows=2)).prune() == 4
    assert names(checkpointer) == {"w4", "w5", "waiting"}
    assert make(retention=Retention()).prune() == 0


def test_it_is_looked_at_when_a_run_ends_but_not_each_time(make, monkeypatch):
    checkpointer = make(retention=Retention(max_workflows=1))
    looked = []
    sweep = checkpointer._sweeper.sweep
    monkeypatch.setattr(checkpointer._sweeper, "sweep", lambda c: looked.append(c) or sweep(c))
    monkeypatch.setattr(sweeping, "SWEEP_ENDS", 10)
    for i in range(25):
        run(checkpointer, f"w{i}")
        checkpointer._writer.flush()
    assert len(looked) == 3
    assert names(checkpointer) == {"w20", "w21", "w22", "w23", "w24"}
    monkeypatch.setattr(sweeping, "SWEEP_SECONDS", 0.0)
    run(checkpointer, "last")
    checkpointer._writer.flush()
    assert names(checkpointer) == {"last"}


def test_what_was_removed_can_begin_anew(make):
    checkpointer = make(retention=Retention(max_age=0))
    run(checkpointer, "w", age=1)
    checkpointer.prune()
    assert names(checkpointer) == set()
    assert checkpointer.begin("w").workflow is None


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"max_age": -1}, ValueError),
        ({"max_age": float("nan")}, ValueError),
        ({"max_age": timedelta(seconds=-1)}, ValueError),
        ({"max_age": "1h"}, TypeError),
        ({"max_age": True}, TypeError),
        ({"max_workflows": -1}, ValueError),
        ({"max_workflows": 1.5}, TypeError),
        ({"max_workflows": True}, TypeError),
    ],
)
def test_a_retention_that_makes_no_sense_is_refused(wrong, error):
    with pytest.raises(error, match=next(iter(wrong))):
        Retention(**wrong)
