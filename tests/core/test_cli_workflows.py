"""`hypergraph workflows`: what it shows of a store, and that looking leaves everything as it was."""

import collections
import dataclasses
import datetime
import decimal
import enum
import functools
import io
import json
import os
import pathlib
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from hypergraph.checkpointers import (
    PendingAnswer,
    SqliteCheckpointer,
    StepKind,
    StepRecord,
    Workflow,
    WorkflowStatus,
)
from hypergraph.cli import main
from hypergraph.cli.tables import printable
from hypergraph.cli.workflows.standins import Copied, Shown, kind_of
from hypergraph.cli.workflows.views import ago, listed, local
from hypergraph.errors import InvalidSignatureError
from hypergraph.serialization import JsonSerializer, PickleSerializer
from hypergraph.testing.suite.checkpointers import HISTORY, header, safe, steps_of

NODE = StepKind.NODE
RUNNING, COMPLETED, FAILED, PAUSED, STOPPED = WorkflowStatus

THINGS = """
import dataclasses

print("imported")

@dataclasses.dataclass
class Draft:
    text: str
"""

# Keeps a workflow whose values are of classes in `things.py`; dies before it closes the file.
KEEPS = """
import os, sys
from things import Draft
from hypergraph.checkpointers import SqliteCheckpointer, StepKind, StepRecord, WorkflowStatus
from hypergraph.testing.suite.checkpointers import header, safe
store = SqliteCheckpointer("runs.db")
store.begin("kept")
safe(store.put(header("kept", WorkflowStatus.RUNNING)))
values = {"draft": Draft("cats"), "drafts": [Draft("dogs"), 1], "plain": "text"}
safe(store.save("kept", StepRecord(0, 0, "", 0, "write", StepKind.NODE, values, 100.0)))
if "--dies" in sys.argv:
    os._exit(9)
store.end("kept").result()
store.close()
"""

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory, in a time zone of its own, with a key of its own."""
    place = tmp_path / "place"
    place.mkdir()
    monkeypatch.chdir(place)
    monkeypatch.setenv("HYPERGRAPH_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield place
    sys.modules.pop("things", None)
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def store(place: Path) -> Iterator[SqliteCheckpointer]:
    with SqliteCheckpointer("runs.db") as store:
        yield store


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], place: Path) -> Run:
    def call(*arguments: str, db: str = "runs.db") -> tuple[int, str, str]:
        code = main(["workflows", *arguments, "--db", db])
        return code, *capsys.readouterr()

    return call


def keep(
    store: SqliteCheckpointer,
    workflow_id: str = "w",
    status: WorkflowStatus = COMPLETED,
    steps: list[StepRecord] = HISTORY,
    *,
    end: bool = True,
    **fields: Any,
) -> Workflow:
    store.begin(workflow_id)
    workflow = header(workflow_id, status, **fields)
    safe(store.put(workflow))
    for step in steps:
        safe(store.save(workflow_id, step))
    if end:
        safe(store.end(workflow_id))
    return workflow


def program(source: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", source, *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def keep_things(place: Path, *arguments: str, returns: int = 0) -> None:
    (place / "things.py").write_text(THINGS)
    done = program(KEEPS, *arguments)
    assert done.returncode == returns, done.stderr


def everything_in(place: Path) -> dict[str, tuple[bytes, int, int]]:
    """Return content, time of change and mode of every file."""
    return {
        str(file): (file.read_bytes(), file.stat().st_mtime_ns, file.stat().st_mode)
        for file in place.rglob("*")
        if file.is_file() and not file.name.endswith(".pyc")
    }


# --- list -------------------------------------------------------------------------------------


def test_the_list_tells_at_a_glance_what_each_waits_for(run: Run, store: Any) -> None:
    now = time.time()
    pauses = (PendingAnswer("ask", "ok", "ok"), PendingAnswer("review/ask", "ok", "review.ok"))
    keep(store, "done", updated_at=now - 3 * 86400 - 5)
    keep(store, "asks", PAUSED, updated_at=now - 185, pauses=pauses)
    keep(store, "broken", FAILED, [], updated_at=now - 7205, error="ValueError", graph_name=None)
    assert run("list") == (
        0,
        (
            "id      status              graph  steps  changed     waits for\n"
            "asks    paused              main       8  3 min ago   ok, review.ok\n"
            "broken  failed: ValueError  -          0  2 h ago\n"
            "done    completed           main       8  3 days ago\n"
        ),
        "",
    )


def test_one_that_nobody_runs_any_more_is_cut_off(run: Run, place: Path, store: Any) -> None:
    keep(store, "held", RUNNING, updated_at=2.0, end=False)
    keep_things(place, "--dies", returns=9)
    _, out, _ = run("list")
    assert [line.split()[:3] for line in out.splitlines()[1:]] == [
        ["kept", "cut", "off"],
        ["held", "running", "main"],
    ]
    for status, name in (("cut-off", "kept"), ("running", "held")):
        _, out, _ = run("list", "--status", status)
        assert [line.split()[0] for line in out.splitlines()[1:]] == [name]


def test_a_long_list_is_cut_and_says_so(run: Run, store: Any) -> None:
    for i in range(22):
        keep(store, f"w{i}", steps=[], updated_at=float(i))
    code, out, err = run("list")
    assert (code, len(out.splitlines())) == (0, 21)
    assert err == "There are more; --limit N shows more than 20\n"
    code, out, err = run("list", "--limit", "2")
    assert [line.split()[0] for line in out.splitlines()] == ["id", "w21", "w20"]
    assert err == ""
    assert len(json.loads(run("list", "--json")[1])) == 22
    assert len(json.loads(run("list", "--json", "--limit", "3")[1])) == 3
    assert len(run("list", "--limit", "22")[1].splitlines()) == 23


def test_an_empty_list_is_quiet(run: Run, store: Any) -> None:
    assert run("list") == (0, "", "There is no workflow\n")
    assert run("list", "--status", "cut-off") == (
        0,
        "",
        "There is no workflow that is cut off\n",
    )
    assert run("list", "--json") == (0, "[]\n", "")


def test_the_list_as_json_has_the_whole_headers(run: Run, store: Any) -> None:
    keep(store, "a", RUNNING, session_id="s")
    keep(store, "b", PAUSED, pauses=(PendingAnswer("ask", "ok", "ok"),))
    found = json.loads(run("list", "--json")[1])
    assert [one.pop("cut_off") for one in found] == [False, True]
    assert [msgspec.convert(one, Workflow) for one in found] == store.list_workflows()


def test_the_list_leaves_out_what_is_damaged_and_says_how_to_remove_it(
    run: Run, store: Any
) -> None:
    for name in ("a", "it's", "c"):
        keep(store, name)
    store.close()
    with sqlite3.connect("runs.db") as connection:
        connection.execute("UPDATE workflows SET header = x'00' WHERE id LIKE 'it%'")
    connection.close()
    for options in ([], ["--json"], ["--limit", "3"], ["--status", "completed"]):
        code, out, err = run("list", *options)
        assert code == 0
        assert "it's" not in out
        assert err.startswith('Left out: workflow "it\'s". The header was not signed')
        assert err.endswith("To remove it: hypergraph workflows delete 'it'\"'\"'s' --db runs.db\n")
    assert run("show", "it's")[0] == 2
    assert run("delete", "it's", "--yes")[0] == 0
    code, out, err = run("list")
    assert (code, [line.split()[0] for line in out.splitlines()], err) == (0, ["id", "c", "a"], "")


def test_long_names_do_not_widen_the_table(run: Run, store: Any) -> None:
    long = "begin-" + "x" * 5000 + "-end"
    keep(store, long, graph_name=long)
    keep(store, "y" * 60)
    lines = run("list")[1].splitlines()
    assert max(map(len, lines)) < 200
    assert lines[1].startswith("y" * 60 + "  completed")
    for cell in lines[2].split()[:3:2]:
        assert (len(cell), cell[:7], cell[-5:]) == (60, "begin-x", "x-end")
        assert "x...x" in cell
    assert json.loads(run("list", "--json")[1])[1]["id"] == long
    assert run("show", long)[0] == 0


# --- show -------------------------------------------------------------------------------------


def test_a_workflow_is_shown_with_names_and_types_only(run: Run, store: Any) -> None:
    keep(store, forked_from="v", session_id="s", updated_at=86400 * 2.0)
    code, out, err = run("show", "w")
    assert (code, err) == (0, "")
    head, _, rest = out.partition("\n\n")
    assert [line.rsplit(" (")[0] for line in head.splitlines()] == [
        "w  completed",
        "  graph    main",
        "  steps    8 in 3 supersteps",
        "  begun    1970-01-01 00:00:10",
        "  changed  1970-01-03 00:00:00",
        "  session  s",
        "  fork of  v",
    ]
    assert rest == (
        "superstep  node         kind                   time  values\n"
        "        0  (the call)   inputs  1970-01-01 00:01:40  question: str, tags: list of 3\n"
        "           ask          node               00:01:41  draft: dict of 2\n"
        "           check        gate               00:01:42  -> ask, review\n"
        "        1  review/plan  node               00:01:43  inner: int\n"
        "           review       graph              00:01:44  outer\n"
        "           ask          node               00:01:45  draft: bool\n"
        "        2  approve      answer             00:01:46  answer: str\n"
        "           stop         gate               00:01:47  -> nothing\n"
    )


def test_values_are_shown_for_the_asking(run: Run, store: Any) -> None:
    keep(store)
    _, out, _ = run("show", "w", "--values")
    assert (
        "        0  (the call)   inputs  1970-01-01 00:01:40\n"
        "    question: why\n"
        "    tags: ['a', None, 2.5]\n"
        "           ask          node               00:01:41\n"
        "    draft: {'text': 'é \U0001f600', 'n': 1}\n"
        "           check        gate               00:01:42  -> ask, review\n"
    ) in out


def test_items_of_maps_have_their_numbers_and_many_values_are_counted(run: Run, store: Any) -> None:
    many = {f"v{i}": None for i in range(9)}
    steps = steps_of(
        (0, "work", NODE, {"y": 1}, "batch#0[3]/"),
        (0, "batch", StepKind.GRAPH, [4, {"ys": "y"}]),
        (0, "elsewhere", StepKind.GRAPH, many),
    )
    keep(store, steps=steps)
    lines = run("show", "w")[1].splitlines()[-3:]
    assert "batch[3]/work" in lines[0]
    assert lines[0].endswith("y: int")
    assert lines[1].endswith("4 items, ys")
    assert lines[2].endswith("v4: None, v5: None, and 3 more")


def test_of_a_long_history_the_end_is_shown(run: Run, store: Any) -> None:
    keep(store, steps=steps_of(*((i, "n", NODE, {"x": i}) for i in range(1060))))
    lines = run("show", "w")[1].split("\n\n")[1].splitlines()
    assert lines[1] == "... 1,010 earlier steps; --steps shows them all"
    assert [line.split()[0] for line in lines[2:]] == [str(i) for i in range(1010, 1060)]
    every = run("show", "w", "--steps")[1].split("\n\n")[1].splitlines()
    assert [line.split()[0] for line in every[1:]] == [str(i) for i in range(1060)]
    assert len(json.loads(run("show", "w", "--json")[1])["history"]) == 1060


@pytest.mark.parametrize(
    ("status", "pauses", "said"),
    [
        (
            PAUSED,
            [PendingAnswer("review/ask", "ok", "review.ok")],
            (
                "Waits for an answer; to give it:\n  asked by 'review/ask' for 'review.ok'\n"
                "    await runner.run(graph, {'review.ok': ...}, workflow_id='w')"
            ),
        ),
        (
            PAUSED,
            [PendingAnswer("a", "x", "x"), PendingAnswer("b", "y", "y")],
            (
                "Waits for 2 answers; to give some or all of them:\n"
                "  asked by 'a' for 'x', 'b' for 'y'\n"
                "    await runner.run(graph, {'x': ..., 'y': ...}, workflow_id='w')"
            ),
        ),
        (
            RUNNING,
            [],
            (
                "Its process ended before it did. To go on after the last step:\n"
                "    await runner.run(graph, workflow_id='w')"
            ),
        ),
        (FAILED, [], "To go on after the last step:\n    await runner.run(graph, workflow_id='w')"),
        (
            STOPPED,
            [],
            "To go on after the last step:\n    await runner.run(graph, workflow_id='w')",
        ),
        (COMPLETED, [], None),
    ],
)
def test_it_says_how_to_go_on(
    run: Run, store: Any, status: WorkflowStatus, pauses: list[PendingAnswer], said: str | None
) -> None:
    keep(store, "w", status, [], pauses=tuple(pauses))
    head, gap, rest = run("show", "w")[1].partition("\n\n")
    assert "  steps    0 in 0 supersteps\n" in head
    assert (rest if gap else None) == (None if said is None else f"{said}\n")


def test_an_unknown_workflow_is_an_error(run: Run, store: Any) -> None:
    code, out, err = run("show", "w")
    assert (code, out) == (2, "")
    assert "There is no workflow 'w'." in err


@pytest.mark.parametrize("action", [["show"], ["fork"], ["delete", "--yes"]])
def test_a_mistyped_id_is_told_the_near_one(run: Run, store: Any, action: list[str]) -> None:
    for name in ("order-17", "other", "x" * 5000):
        keep(store, name)
    store.close()
    code, out, err = run(*action, "ordr-17")
    assert (code, out) == (2, "")
    assert "There is no workflow 'ordr-17'. Did you mean 'order-17'?" in err
    assert "`hypergraph workflows list --db runs.db`" in err
    assert "list_workflows()" not in err
    for far in ("nothing", "x" * 4999):
        assert "Did you mean" not in run(*action, far)[2]


def test_a_held_workflow_is_being_run(run: Run, store: Any) -> None:
    keep(store, "w", PAUSED, [], end=False)
    _, out, _ = run("show", "w")
    assert out.startswith("w  running\n")
    assert "runner.run" not in out


def test_json_has_the_types_of_values_and_the_values_only_for_the_asking(
    run: Run, store: Any
) -> None:
    mixed = steps_of((0, "n", NODE, {"x": "secret", "when": datetime.date(2026, 5, 4)}))
    keep(store, steps=mixed)
    found = json.loads(run("show", "w", "--json")[1])
    history = found.pop("history")
    assert found["id"] == "w"
    assert history == [
        {
            "index": 0,
            "superstep": 0,
            "scope": "",
            "generation": 0,
            "node_name": "n",
            "path": "n",
            "kind": "node",
            "time": 100.0,
            "values": {"x": {"type": "str"}, "when": {"type": "datetime.date"}},
        }
    ]
    shown = json.loads(run("show", "w", "--json", "--values")[1])["history"][0]["values"]
    assert shown == {
        "x": {"type": "str", "value": "secret"},
        "when": {"type": "datetime.date", "text": "datetime.date(2026, 5, 4)"},
    }
    keep(store, "v")
    history = json.loads(run("show", "v", "--json", "--values")[1])["history"]
    assert history[0]["values"]["tags"] == {"type": "list", "size": 3, "value": ["a", None, 2.5]}
    assert history[2]["targets"] == ["ask", "review"]
    assert "values" not in history[4]


# --- values whose classes are elsewhere -------------------------------------------------------


def test_types_are_shown_without_importing_anything(run: Run, place: Path) -> None:
    keep_things(place)
    _, out, err = run("show", "kept")
    assert out.endswith("draft: things.Draft, drafts: list of 2, plain: str\n")
    assert err == ""
    assert "things" not in sys.modules


def test_values_are_loaded_from_the_working_directory(run: Run, place: Path) -> None:
    keep_things(place)
    _, out, err = run("show", "kept", "--values")
    assert "    draft: Draft(text='cats')\n" in out
    assert "    drafts: [Draft(text='dogs'), 1]\n" in out
    assert err == "imported\n"


@pytest.mark.parametrize(
    "module",
    [None, "raise RuntimeError", "raise SystemExit(3)", "Draft = None", "def Draft(): pass"],
)
def test_what_cannot_be_loaded_is_named(run: Run, place: Path, module: str | None) -> None:
    keep_things(place)
    (place / "things.py").unlink()
    if module is not None:
        (place / "things.py").write_text(module)
    code, out, err = run("show", "kept", "--values")
    assert (code, err) == (0, "")
    assert "    draft: <things.Draft, cannot be loaded here>\n" in out
    assert "    drafts: [<things.Draft, cannot be loaded here>, 1]\n" in out
    assert "    plain: text\n" in out
    found = json.loads(run("show", "kept", "--values", "--json")[1])["history"][0]["values"]
    assert found["draft"]["type"] == "things.Draft"
    assert found["plain"] == {"type": "str", "value": "text"}


class Tone(enum.Enum):
    KIND = 1


class Pair(NamedTuple):
    left: int
    right: int


class Words(list[str]):
    pass


class Table(dict[str, int]):
    pass


class Bag(set[int]):
    pass


class Slotted(msgspec.Struct):
    x: int


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    x: int


def _remade(cls: type, x: int) -> Any:
    return cls(x)


class Remade:
    def __init__(self, x: int) -> None:
        self.x = x

    def __reduce__(self) -> Any:
        return _remade, (Remade, self.x)


class Bomb:
    def __reduce__(self) -> Any:
        return pathlib.Path.touch, (pathlib.Path("exploded"),)


KEY = b"k" * 32


@pytest.mark.parametrize(
    "value",
    [
        Tone.KIND,
        Pair(1, 2),
        Words(["a"]),
        Table(a=1),
        Bag({1}),
        Slotted(1),
        Frozen(1),
        Remade(1),
        complex(1, 2),
        bytearray(b"x"),
        range(3),
        decimal.Decimal(1),
        datetime.datetime(2026, 5, 4, tzinfo=datetime.UTC),
        uuid.UUID(int=1),
        pathlib.PurePosixPath("a"),
        collections.OrderedDict(a=1),
        collections.defaultdict(list, a=[1]),
        collections.deque([1]),
        collections.Counter("aab"),
        functools.partial(print, 1),
        ValueError("x"),
        [Tone.KIND],
        None,
        True,
    ],
    ids=kind_of,
)
def test_a_stand_in_knows_the_type(value: Any) -> None:
    data = PickleSerializer(KEY).dumps({"x": value}, b"here")
    found = Shown(KEY, importing=False).loads(data, b"here")
    assert kind_of(found["x"]) == kind_of(value)


def test_a_stand_in_runs_nothing(place: Path) -> None:
    data = PickleSerializer(KEY).dumps([Bomb(), print], b"here")
    found = Shown(KEY, importing=False).loads(data, b"here")
    assert list(map(kind_of, found))[1] == "print"
    assert repr(found[1]) == "<print, cannot be loaded here>"
    assert not (place / "exploded").exists()
    Shown(KEY, importing=True).loads(data, b"here")
    assert (place / "exploded").exists()


@pytest.mark.parametrize(
    "serializer", [Shown(KEY, importing=False), Shown(KEY, importing=True), Copied(KEY)]
)
def test_what_was_altered_is_not_read(serializer: PickleSerializer) -> None:
    data = bytearray(PickleSerializer(KEY).dumps("x", b"here"))
    data[-3] ^= 1
    with pytest.raises(InvalidSignatureError):
        serializer.loads(bytes(data), b"here")


# --- a terminal is safe -----------------------------------------------------------------------


def test_nothing_that_is_stored_moves_the_cursor(run: Run, store: Any) -> None:
    nasty = "\x1b[2J\r\u202e\n"
    steps = steps_of((0, nasty, NODE, {nasty: nasty, "lines": f"one\n\ttwo{nasty}"}))
    pauses = (PendingAnswer(nasty, nasty, nasty),)
    fields: dict[str, Any] = {"error": nasty, "graph_name": nasty, "session_id": nasty}
    keep(store, nasty, PAUSED, steps, pauses=pauses, **fields)
    outputs = [
        run("list")[1],
        run("show", nasty)[1],
        run("show", nasty, "--values")[1],
        run("fork", nasty, "--as", "copy")[1],
        run("delete", nasty, "--yes")[1],
    ]
    for out in outputs:
        assert out
        assert all(line.isprintable() for line in out.split("\n"))


def test_printable_text_is_left_alone() -> None:
    assert printable("héllo \U0001f600") == "héllo \U0001f600"
    assert printable("a\x1b\ud800") == "a\\x1b\\ud800"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-5, "just now"),
        (0.9, "just now"),
        (1, "1 s ago"),
        (59.9, "59 s ago"),
        (60, "1 min ago"),
        (3600, "1 h ago"),
        (86400, "1 day ago"),
        (86400 * 1000, "1,000 days ago"),
    ],
)
def test_how_long_ago(seconds: float, said: str) -> None:
    assert ago(seconds) == said


@pytest.mark.parametrize("moment", [float("nan"), float("inf"), 1e300])
def test_a_time_that_is_none_is_shown_too(moment: float) -> None:
    assert local(moment) == "(no date) -"
    assert "just now" in listed([header("w", updated_at=moment)], 5.0)


# --- fork -------------------------------------------------------------------------------------


def test_a_fork_prints_its_id(run: Run, store: Any) -> None:
    keep(store)
    assert run("fork", "w", "--as", "copy") == (0, "copy\n", "")
    assert store.get_steps("copy") == HISTORY
    assert store.get_workflow("copy").forked_from == "w"
    code, out, _ = run("fork", "w", "--superstep", "1")
    assert code == 0
    assert store.get_steps(out.strip()) == HISTORY[:6]


def test_a_fork_needs_no_classes_and_keeps_every_value(run: Run, place: Path) -> None:
    keep_things(place)
    (place / "things.py").rename(place / "away")
    assert run("fork", "kept", "--as", "copy") == (0, "copy\n", "")
    assert "things" not in sys.modules
    (place / "away").rename(place / "things.py")
    done = program(
        "from things import Draft\n"
        "from hypergraph.checkpointers import SqliteCheckpointer\n"
        "store = SqliteCheckpointer('runs.db')\n"
        "values = {'draft': Draft('cats'), 'drafts': [Draft('dogs'), 1], 'plain': 'text'}\n"
        "assert store.get_state('copy') == store.get_state('kept') == values\n"
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["w", "--as", "w"], "There is a workflow 'w' already."),
        (["w", "--superstep", "3"], "no superstep 3; they go from 0 to 2"),
        (["w", "--superstep", "-1"], "no superstep -1"),
        (["nope"], "There is no workflow 'nope'."),
    ],
)
def test_a_fork_that_cannot_be_made(run: Run, store: Any, arguments: list[str], said: str) -> None:
    keep(store)
    code, out, err = run("fork", *arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert [one.id for one in store.list_workflows()] == ["w"]


# --- delete -----------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_workflows_are_deleted_and_the_others_stay(run: Run, store: Any) -> None:
    for name in "abc":
        keep(store, name)
    assert run("delete", "a", "c", "a", "--yes") == (0, "deleted 'a'\ndeleted 'c'\n", "")
    assert [one.id for one in store.list_workflows()] == ["b"]


@pytest.mark.parametrize(
    ("answer", "code", "left"), [("y\n", 0, 0), ("YES\n", 0, 0), ("n\n", 1, 1), ("", 1, 1)]
)
def test_a_terminal_is_asked(
    run: Run, store: Any, monkeypatch: pytest.MonkeyPatch, answer: str, code: int, left: int
) -> None:
    keep(store)
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    found, _, err = run("delete", "w")
    assert found == code
    assert err.startswith("Delete workflow 'w' from 'runs.db' for good? [y/N] ")
    assert err.endswith("Nothing was deleted\n") == (code == 1)
    assert len(store.list_workflows()) == left


def test_forks_and_deletions_as_json(run: Run, store: Any) -> None:
    keep(store)
    assert run("fork", "w", "--as", "copy", "--json") == (0, '{"id": "copy"}\n', "")
    code, out, _ = run("delete", "copy", "gone", "--yes", "--json")
    assert (code, json.loads(out)) == (2, ["copy"])


@pytest.mark.parametrize("stdin", [io.StringIO("y\n"), None])
def test_nothing_is_deleted_where_nobody_can_be_asked(
    run: Run, store: Any, monkeypatch: pytest.MonkeyPatch, stdin: Any
) -> None:
    keep(store)
    monkeypatch.setattr(sys, "stdin", stdin)
    code, out, err = run("delete", "w")
    assert (code, out) == (2, "")
    assert "--yes" in err
    assert len(store.list_workflows()) == 1


def test_one_that_cannot_be_deleted_does_not_keep_the_others(run: Run, store: Any) -> None:
    keep(store, "held", RUNNING, end=False)
    keep(store, "w")
    code, out, err = run("delete", "held", "nope", "w", "--yes")
    assert (code, out) == (2, "deleted 'w'\n")
    assert "'held' is being run now" in err
    assert "There is no workflow 'nope'" in err
    assert [one.id for one in store.list_workflows()] == ["held"]


def test_what_can_no_longer_be_read_can_be_deleted(run: Run, store: Any, tmp_path: Path) -> None:
    keep(store)
    (tmp_path / "home" / "signing.key").unlink()
    assert run("delete", "w", "--yes") == (0, "deleted 'w'\n", "")
    assert not (tmp_path / "home" / "signing.key").exists()


# --- the file and its key ---------------------------------------------------------------------

ACTIONS = [["list"], ["show", "w"], ["fork", "w"], ["delete", "w", "--yes"]]


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action[0])
def test_a_missing_file_is_not_made(run: Run, place: Path, tmp_path: Path, action: Any) -> None:
    (place / "runs.db").write_bytes(b"x")
    code, out, err = run(*action, db="run.db")
    assert (code, out) == (2, "")
    assert "no such file of workflows. Did you mean 'runs.db'?" in err
    assert run(*action, db="nowhere/runs.db")[0] == 2
    assert [file.name for file in tmp_path.rglob("*")] == ["place", "runs.db"]


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action[0])
@pytest.mark.parametrize("kind", ["text", "empty", "folder", "other", "pipe"])
def test_what_is_no_file_of_workflows_is_left_alone(
    run: Run, place: Path, tmp_path: Path, store: Any, action: Any, kind: str
) -> None:
    keep(store)  # so that there is a key
    store.close()
    file = place / "wrong.db"
    if kind == "folder":
        file.mkdir()
    elif kind == "pipe":
        os.mkfifo(file)
    elif kind == "other":
        connection = sqlite3.connect(file)
        connection.execute("CREATE TABLE t (x)")
        connection.commit()
        connection.close()
    else:
        file.write_text("no database, by no means" * 100 if kind == "text" else "")
    before = everything_in(tmp_path)
    code, out, err = run(*action, db="wrong.db")
    assert (code, out) == (2, "")
    assert err.startswith("hypergraph: T")
    assert "wrong.db" in err
    assert everything_in(tmp_path) == before


def test_a_damaged_file_is_a_clear_error(run: Run, place: Path, store: Any) -> None:
    keep(store)
    store.close()
    whole = (place / "runs.db").read_bytes()
    for cut in (100, 5000, len(whole) - 100):
        (place / "cut.db").write_bytes(whole[:cut])
        code, out, err = run("show", "w", db="cut.db")
        assert (code, out) == (2, "")
        assert err.startswith("hypergraph: ")
        assert "cut.db" in err
        assert "Fix:" in err
    connection = sqlite3.connect("runs.db")
    connection.execute("UPDATE workflows SET status = 'failed'")
    connection.commit()
    connection.close()
    code, _, err = run("list")
    assert code == 2
    assert "The header and what is written beside it differ" in err


def test_a_file_of_an_older_version_is_not_brought_up_to_date(
    run: Run, tmp_path: Path, store: Any
) -> None:
    keep(store)
    store.close()
    connection = sqlite3.connect("runs.db")
    connection.execute("PRAGMA user_version = 0")
    connection.commit()
    connection.close()
    before = everything_in(tmp_path)
    code, out, err = run("list")
    assert (code, out) == (2, "")
    assert "written by an older version" in err
    assert everything_in(tmp_path) == before


@pytest.mark.parametrize("state", ["closed", "open", "crashed"])
def test_looking_changes_nothing(run: Run, place: Path, tmp_path: Path, state: str) -> None:
    keep_things(place, *["--dies"] * (state == "crashed"), returns=9 * (state == "crashed"))
    (place / "runs.db").chmod(0o644)
    store = SqliteCheckpointer("runs.db") if state == "open" else None
    if store is not None:
        keep(store, "held", RUNNING, end=False)
    if state == "closed":
        (place / "runs.db-holds").unlink()
    else:
        assert (place / "runs.db-wal").stat().st_size > 0
    before = everything_in(tmp_path)
    assert run("show", "kept")[0] == 0
    code, out, _ = run("list")
    assert (code, "kept" in out, "held" in out) == (0, True, state == "open")
    after = everything_in(tmp_path)
    for found in (before, after):
        found.pop(str(place / "runs.db-shm"), None)  # what the others are doing, in memory
    assert after == before
    if store is not None:
        store.close()


def test_a_hold_outlasts_looking(run: Run, place: Path, store: Any) -> None:
    keep(store, "w", RUNNING, end=False)
    run("list")
    run("show", "w")
    look = [sys.executable, "-m", "hypergraph", "workflows", "list", "--db", "runs.db"]
    done = subprocess.run(look, check=False, capture_output=True, text=True)
    assert done.stdout.splitlines()[1].split()[:2] == ["w", "running"]
    step = HISTORY[0]
    safe(store.save("w", msgspec.structs.replace(step, index=len(HISTORY))))
    safe(store.end("w"))


def test_a_missing_key_is_not_made_and_another_is_refused(
    run: Run, place: Path, store: Any, tmp_path: Path
) -> None:
    keep(store)
    store.close()
    key = tmp_path / "home" / "signing.key"
    key.rename(tmp_path / "mine")
    for action in ACTIONS[:3]:
        code, out, err = run(*action)
        assert (code, out) == (2, "")
        assert f"there is no key file {str(key)!r}" in err
        assert "--key-file" in err
        assert not key.exists()
        assert run(*action, "--key-file", str(tmp_path / "mine"))[0] == 0
    (tmp_path / "other").write_bytes(b"o" * 32)
    (tmp_path / "other").chmod(0o600)
    for action in ACTIONS[:3]:
        code, out, err = run(*action, "--key-file", str(tmp_path / "other"))
        assert (code, out) == (2, "")
        assert "not signed with the store's key" in err
    (tmp_path / "other").chmod(0o644)
    assert "read or changed by other users" in run("list", "--key-file", str(tmp_path / "other"))[2]


def test_a_store_written_as_json(run: Run, place: Path, tmp_path: Path) -> None:
    with SqliteCheckpointer("runs.db", serializer=JsonSerializer()) as store:
        keep(store)
    assert run("list")[0] == 2
    assert run("list", "--serializer", "json")[1].splitlines()[1].startswith("w   completed")
    assert "    question: why\n" in run("show", "w", "--values", "--serializer", "json")[1]
    assert run("fork", "w", "--as", "v", "--serializer", "json") == (0, "v\n", "")
    assert run("delete", "w", "--yes") == (0, "deleted 'w'\n", "")
    assert not (tmp_path / "home").exists()


# --- the command ------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ["list", "show", "fork", "delete"])
def test_every_action_explains_itself(capsys: pytest.CaptureFixture[str], action: str) -> None:
    assert main(["workflows", action, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"usage: hypergraph workflows {action}")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["list"],
        ["show", "--db", "runs.db"],
        ["show", "", "--db", "runs.db"],
        ["show", "\udcff", "--db", "runs.db"],
        ["delete", "--db", "runs.db"],
        ["list", "--db", "runs.db", "--status", "asleep"],
        ["list", "--db", "runs.db", "--limit", "-1"],
        ["list", "--db", "runs.db", "--limit", "x"],
    ],
)
def test_a_wrong_call_fails_with_2_and_the_usage(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert main(["workflows", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("usage: hypergraph workflows")


def test_the_module_can_be_run_and_its_reader_may_go(place: Path, store: Any) -> None:
    keep(store, steps=steps_of(*((i, "n" * 200, NODE, {"x": i}) for i in range(2000))))
    store.close()
    command = [sys.executable, "-m", "hypergraph", "workflows", "show", "w", "--steps"]
    with subprocess.Popen(
        [*command, "--db", "runs.db"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"w  completed\n"
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 141
