"""`hypergraph map`: rows of a file through a graph, a line of JSON for each."""

import csv
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import pyarrow
import pyarrow.parquet
import pytest

from hypergraph import BaseRunner, Graph, RunnerCapabilities, RunResult
from hypergraph.cli import main
from hypergraph.cli.mapping.cells import read_cell
from hypergraph.cli.mapping.lines import Lines
from hypergraph.cli.mapping.meter import Meter
from hypergraph.cli.mapping.sink import failure
from hypergraph.errors import MissingExtraError
from hypergraph.runners import registry
from hypergraph_runner_sync import SyncRunner
from tests.sync.support import at_work_in

STEPS = """
import time
from datetime import date
from hypergraph import Graph, node

@node(output_name="number")
def parse(text: str):
    return int(text)

@node(output_name="sum")
def add(number, more: int = 0):
    return number + more

@node(output_name="plain")
def plain(cell):
    return cell

@node(output_name="year")
def year(day: date):
    if day.year < 2000:
        raise ValueError("too long ago")
    return day.year

@node(output_name="odd")
def odd(n: int):
    return {n} if n == 3 else n

@node(output_name="waited")
def wait(n: int):
    if n == 3:
        open("waiting", "w").close()
        time.sleep(60)
    return n

inner = Graph([parse], name="inner")
graph = Graph([parse, add], name="main")
nested = Graph([inner.as_node()], name="outer")
untyped = Graph([plain])
years = Graph([year])
sets = Graph([odd])
waiting = Graph([wait])
"""

Run = Callable[..., tuple[int, str, str]]
posix = pytest.mark.skipif(os.name != "posix", reason="signals, pipes and terminals")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with at_work_in(tmp_path, monkeypatch, STEPS) as directory:
        yield directory


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], place: Path) -> Run:
    def call(*arguments: str) -> tuple[int, str, str]:
        code = main(["map", *arguments])
        return code, *capsys.readouterr()

    return call


def lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


def write_rows(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return str(path)


# --- what is read -----------------------------------------------------------------------------


def test_each_row_gives_a_line_in_order(run: Run, place: Path) -> None:
    write_rows(place / "a.jsonl", [{"text": str(n)} for n in range(5)])
    code, out, err = run("steps:graph", "a.jsonl", "-i", "more=10", "--batch-size", "2")
    assert (code, lines(out)) == (0, [{"number": n, "sum": n + 10} for n in range(5)])
    assert err.startswith("hypergraph: 5 items in ")


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_the_three_formats_give_the_same(run: Run, place: Path, form: str) -> None:
    rows = [{"id": "007", "text": "1", "more": 2}, {"id": 'é, "x"\n', "text": "-3", "more": 4}]
    name = f"rows.{form}"
    if form == "jsonl":
        write_rows(place / name, rows)
    elif form == "csv":
        with (place / name).open("w", newline="", encoding="utf-8-sig") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    else:
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), place / name)
    code, out, err = run("steps:graph", name, "--over", "text,more", "--keep", "id")
    assert code == 0, err
    assert lines(out) == [
        {"id": "007", "number": 1, "sum": 3},
        {"id": 'é, "x"\n', "number": -3, "sum": 1},
    ]


def test_rows_that_leave_out_an_optional_input_take_its_default(run: Run, place: Path) -> None:
    write_rows(
        place / "a.jsonl", [{"text": "1", "more": 5}, {"text": "1"}, {"more": 7, "text": "1"}]
    )
    code, out, _ = run("steps:graph", "a.jsonl", "--select", "sum")
    assert (code, lines(out)) == (0, [{"sum": 6}, {"sum": 1}, {"sum": 8}])


def test_standard_input_is_json_lines_unless_something_else_is_said(place: Path) -> None:
    command = [sys.executable, "-m", "hypergraph", "map", "steps:graph", "-"]
    for given, more in (
        ('{"text": "1"}\n\n{"text": "2"}', []),
        ("text\n1\n2\n", ["--format", "csv"]),
    ):
        done = subprocess.run(
            [*command, *more], input=given, check=False, capture_output=True, text=True
        )
        assert (done.returncode, lines(done.stdout)) == (
            0,
            [{"number": 1, "sum": 1}, {"number": 2, "sum": 2}],
        )


def test_a_file_without_rows_gives_no_lines(run: Run, place: Path) -> None:
    for name, content in (("a.jsonl", ""), ("a.csv", ""), ("b.csv", "text\n")):
        (place / name).write_text(content)
        code, out, err = run("steps:graph", name, "--output", "out.jsonl")
        assert (code, out, (place / "out.jsonl").read_text()) == (0, "", "")
        assert err.startswith("hypergraph: 0 items")


@pytest.mark.parametrize(
    ("text", "hint", "value"),
    [
        ("007", str, "007"),
        ("7", int, 7),
        ("7", int | str, "7"),
        ("1.5", float, 1.5),
        ("True", bool, True),
        ("", int | None, None),
        ("", str | None, ""),
        ("2026-01-02", date, date(2026, 1, 2)),
        ("2026-01-02T03:04:05", datetime, datetime(2026, 1, 2, 3, 4, 5)),  # noqa: DTZ001
        ("1.10", Decimal, Decimal("1.10")),
        ("a/b", Path, Path("a/b")),
        ("[1, 2]", list[int], [1, 2]),
        ('{"a": 1}', dict[str, int], {"a": 1}),
        ("b", Literal["a", "b"], "b"),
        ("7", Any, "7"),
        ("7", "Unknown", "7"),
    ],
)
def test_a_cell_is_what_the_annotation_says(text: str, hint: Any, value: Any) -> None:
    found = read_cell(text, hint)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "hint"), [("007", int), ("", int), ("yes", bool), ("x", list[int]), ("x", Lines)]
)
def test_a_cell_that_is_nothing_of_the_kind_is_refused(text: str, hint: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  the caller says which cell
        read_cell(text, hint)


def test_cells_without_annotation_stay_text_and_that_is_said(run: Run, place: Path) -> None:
    (place / "a.csv").write_text("cell\n007\n7\ntrue\n")
    code, out, err = run("steps:untyped", "a.csv")
    assert (code, lines(out)) == (0, [{"plain": "007"}, {"plain": "7"}, {"plain": "true"}])
    assert err.startswith(
        "hypergraph: the cells of 'cell' are text: the graph has no annotation for it"
    )


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (
            "a.jsonl",
            b'{"text": "1"}\n[1]\n',
            "a.jsonl line 2: a JSON list, not an object of inputs",
        ),
        ("a.jsonl", b'{"text": "1"}\n{secret\n', "a.jsonl line 2: not JSON"),
        ("a.jsonl", b'{"text": NaN}', "a.jsonl line 1: not JSON: NaN"),
        ("a.jsonl", b'{"text": "1"}\n\xff\n', "a.jsonl line 2: not UTF-8 text"),
        ("a.jsonl", b"{}\n", "a.jsonl line 1: no input is given"),
        ("a.jsonl", b'{"texts": "1"}\n', "Did you mean 'text'?"),
        (
            "a.jsonl",
            b'{"more": 1}\n',
            "add a column for it, or the same for every item: -i text=...",
        ),
        ("a.jsonl", b'{"text": "1", "id": 1}\n', "and no others: --over text"),
        ("a.csv", b"text\n1\n2,3\n", "a.csv line 3: 2 cells below 1 columns"),
        ("a.csv", b"text,text\n1,2\n", "a.csv line 1: two columns are called 'text'"),
        ("a.csv", b"text,\n1,2\n", "a.csv line 1: a column has no name"),
        ("a.csv", b'text\n"secret"x\n', "a.csv line 2: not CSV"),
        ("a.csv", b"text\n\xff\n", "not UTF-8 text"),
        (
            "a.csv",
            b"text,more\n1,1\n1,secret\n",
            "line 3: 'more' is annotated int, which the cell does not say",
        ),
        ("a.parquet", b"PAR1 secret", "a.parquet: not a Parquet file, or a damaged one"),
        ("a.txt", b"", "'a.txt' does not say what it is by its name; add --format"),
        ("a.json", b"[]", "jq -c '.[]' makes JSON lines"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_by_the_number_of_the_row(
    run: Run, place: Path, name: str, content: bytes, said: str
) -> None:
    (place / name).write_bytes(content)
    code, _, err = run("steps:graph", name)
    assert code == 2
    assert said in err
    assert "secret" not in err
    assert "Traceback" not in err


def test_rows_before_a_wrong_one_are_mapped(run: Run, place: Path) -> None:
    (place / "a.jsonl").write_text('{"text": "1"}\n{"text": "2"}\n{')
    code, out, _ = run("steps:graph", "a.jsonl")
    assert (code, len(lines(out))) == (2, 2)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["absent.jsonl"], "absent.jsonl: No such file or directory"),
        (["absent.parquet"], "absent.parquet: "),
        (["a.jsonl", "--output", "a.jsonl"], "a.jsonl is read or written already"),
        (["a.jsonl", "--output", "link.jsonl"], "link.jsonl is read or written already"),
        (["a.jsonl", "--on-error", "return", "--errors", "a.jsonl"], "is read or written already"),
        (["a.jsonl", "--errors", "e.jsonl"], "add --on-error return"),
        (["a.jsonl", "--output", "absent/out"], "absent/out: No such file or directory"),
        (["a.jsonl", "--over", "txt"], "a.jsonl line 1: there is no 'txt'"),
        (["a.jsonl", "--keep", "txet"], "there is no column 'txet'. Did you mean 'text'?"),
        (["a.jsonl", "-i", "text=2"], "'text' is given by -i too"),
        (["a.jsonl", "--select", "sun"], "Did you mean 'sum'?"),
        (["a.jsonl", "--max-concurrency", "2"], "the runner 'sync' takes no --max-concurrency"),
        (["a.jsonl", "--batch-size", "0"], "a whole number from 1 on, please"),
        (["-", "--format", "parquet"], "Parquet is not read from stdin"),
    ],
)
def test_what_does_not_fit_ends_with_2_and_changes_nothing(
    run: Run, place: Path, arguments: list[str], said: str
) -> None:
    before = write_rows(place / "a.jsonl", [{"text": "1"}])
    (place / "link.jsonl").symlink_to(before)
    (place / "out.jsonl").write_text("precious\n")
    more = [] if "--output" in arguments else ["--output", "out.jsonl"]
    code, out, err = run("steps:graph", *arguments, *more)
    assert (code, out) == (2, "")
    assert said in err
    assert (place / "out.jsonl").read_text() == "precious\n"
    assert (place / "a.jsonl").read_text() == '{"text": "1"}\n'
    assert not (place / "a.jsonl.errors.jsonl").exists()


def test_a_parquet_file_that_is_damaged_inside_is_told_by_the_row(run: Run, place: Path) -> None:
    rows = [{"text": f"{n:050}"} for n in range(2000)]
    pyarrow.parquet.write_table(
        pyarrow.Table.from_pylist(rows),
        place / "a.parquet",
        row_group_size=1000,
        compression="gzip",
        use_dictionary=False,
    )
    data = bytearray((place / "a.parquet").read_bytes())
    half = pyarrow.parquet.ParquetFile(place / "a.parquet").metadata.row_group(1).column(0)
    start = half.data_page_offset + 40
    data[start : start + 200] = bytes(200)
    (place / "a.parquet").write_bytes(data)
    code, out, err = run("steps:graph", "a.parquet", "--batch-size", "100")
    assert (code, len(lines(out))) == (2, 1000)
    assert err.endswith("hypergraph: a.parquet row 1001: not a Parquet file, or a damaged one\n")


def test_an_annotation_for_type_checkers_only_says_nothing(run: Run, place: Path) -> None:
    (place / "checked.py").write_text(
        "from __future__ import annotations\n"
        "from typing import TYPE_CHECKING\n"
        "from hypergraph import Graph, node\n"
        "if TYPE_CHECKING:\n"
        "    from decimal import Decimal\n"
        "@node(output_name='x')\n"
        "def same(price: Decimal): return price\n"
        "graph = Graph([same])\n"
    )
    (place / "a.csv").write_text("price\n1.10\n")
    try:
        code, out, err = run("checked:graph", "a.csv")
    finally:
        sys.modules.pop("checked", None)
    assert (code, lines(out)) == (0, [{"x": "1.10"}])
    assert "the cells of 'price' are text" in err


def test_parquet_without_pyarrow_says_what_to_install(
    run: Run, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "hypergraph.extras.parquet", raising=False)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    code, _, err = run("steps:graph", "a.parquet")
    assert code == 2
    assert 'pip install "hypergraph-core[parquet]"' in err
    assert issubclass(MissingExtraError, ImportError)


# --- items that fail --------------------------------------------------------------------------


def test_the_first_failure_ends_the_map_after_the_lines_before_it(run: Run, place: Path) -> None:
    write_rows(place / "a.jsonl", [{"text": text} for text in ("1", "2", "secret", "4")])
    code, out, err = run("steps:nested", "a.jsonl", "--batch-size", "2")
    assert (code, lines(out)) == (1, [{"number": 1}, {"number": 2}])
    assert "ValueError" in err
    assert "node 'inner/parse' of graph 'outer' (map item 2) failed; inputs: text" in err
    assert "stopped at a.jsonl line 3; --on-error return goes on past failures" in err


def test_failed_items_go_to_a_file_from_which_they_can_be_mapped_again(
    run: Run, place: Path
) -> None:
    rows = [{"id": n, "text": text} for n, text in enumerate(["1", "x", "3", "y"])]
    write_rows(place / "a.jsonl", rows)
    call = ["steps:nested", "a.jsonl", "--on-error", "return", "--over", "text"]
    code, out, err = run(*call, "--batch-size", "3", "--keep", "id")
    assert (code, lines(out)) == (1, [{"id": 0, "number": 1}, None, {"id": 2, "number": 3}, None])
    assert "4 items" in err
    assert "2 of them failed" in err
    assert "hypergraph map steps:nested a.jsonl.errors.jsonl" in err
    failed = lines((place / "a.jsonl.errors.jsonl").read_text())
    assert failed[1] == {
        "id": 3,
        "text": "y",
        "$error": {
            "index": 3,
            "line": 4,
            "type": "ValueError",
            "message": "invalid literal for int() with base 10: 'y'",
            "node": "inner/parse",
            "over": ["text"],
        },
    }
    assert [one["$error"]["index"] for one in failed] == [1, 3]

    source = (place / "steps.py").read_text().replace("int(text)", "len(text)")
    (place / "steps.py").write_text(source)
    del sys.modules["steps"]
    code, out, _ = run("steps:nested", "a.jsonl.errors.jsonl", "--on-error", "return")
    assert (code, lines(out)) == (0, [{"number": 1}, {"number": 1}])
    assert not (place / "a.jsonl.errors.jsonl.errors.jsonl").exists()


def test_a_failed_item_keeps_what_every_item_was_given(run: Run, place: Path) -> None:
    write_rows(place / "a.jsonl", [{"number": "x"}, {"number": 1}])
    over = ["--on-error", "return", "--errors", "e.jsonl"]
    source = "from steps import add\nfrom hypergraph import Graph\ngraph = Graph([add])\n"
    (place / "added.py").write_text(source)
    try:
        assert run("added:graph", "a.jsonl", "-i", "more=2", *over)[0] == 1
        (failed,) = lines((place / "e.jsonl").read_text())
        assert (failed["number"], failed["more"]) == ("x", 2)
        code, _, err = run("added:graph", "e.jsonl")
        assert (code, "TypeError" in err) == (1, True)
        code, out, _ = run("added:graph", "e.jsonl", "-i", 'more="y"')
        assert (code, lines(out)) == (0, [{"sum": "xy"}])
    finally:
        sys.modules.pop("added", None)


TYPED = """
from dataclasses import dataclass
from hypergraph import Graph, node

@dataclass
class Size:
    width: int

@node(output_name="seen")
def see(n: int, k: int | None, all: list[int], size: Size, code: str, free, more: int = 5):
    raise ValueError(repr((n, k, all, size, code, free, more)))

graph = Graph([see])
"""


def test_cells_give_the_same_inputs_when_they_are_mapped_again(run: Run, place: Path) -> None:
    (place / "typed.py").write_text(TYPED)
    with (place / "a.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["n", "k", "all", "size", "code", "free", "more", "id"])
        rows.writerow(["13", "", "[1, 2]", '{"width": 3}', "007", "8", "", "9"])
    try:
        over = "n,k,all,size,code,free,more"
        call = ["typed:graph", "--on-error", "return", "--keep", "id"]
        assert run(*call, "a.csv", "--over", over, "--errors", "first.jsonl")[0] == 1
        assert run(*call, "first.jsonl", "--errors", "second.jsonl")[0] == 1
        assert run(*call, "second.jsonl", "--errors", "third.jsonl")[0] == 1
    finally:
        sys.modules.pop("typed", None)
    said = [
        json.loads((place / name).read_text())["$error"]["message"]
        for name in ("first.jsonl", "second.jsonl", "third.jsonl")
    ]
    assert said == ["(13, None, [1, 2], Size(width=3), '007', '8', 5)"] * 3


def test_a_cell_that_did_not_fit_is_read_when_it_is_corrected(run: Run, place: Path) -> None:
    (place / "a.csv").write_text("text,more\n1,1\n1,x\n")
    assert run("steps:graph", "a.csv", "--on-error", "return")[0] == 1
    assert run("steps:graph", "a.csv.errors.jsonl", "--on-error", "return")[0] == 1
    errors = place / "a.csv.errors.jsonl.errors.jsonl"
    errors.write_text(errors.read_text().replace('"more": "x"', '"more": "20"'))
    code, out, _ = run("steps:graph", errors.name)
    assert (code, lines(out)) == (0, [{"number": 1, "sum": 21}])


def test_an_empty_cell_leaves_an_input_to_its_default(run: Run, place: Path) -> None:
    (place / "defaults.py").write_text(
        "from hypergraph import Graph, node\n"
        "@node(output_name='seen')\n"
        "def see(n: int, k: int = 4, text: str = 'x', maybe: int | None = 6):\n"
        "    return [n, k, text, maybe]\n"
        "graph = Graph([see])\n"
    )
    (place / "a.csv").write_text("n,k,text,maybe\n1,,,\n2,3,y,7\n")
    try:
        code, out, _ = run("defaults:graph", "a.csv")
        assert (code, lines(out)) == (0, [{"seen": [1, 4, "", None]}, {"seen": [2, 3, "y", 7]}])
        (place / "b.csv").write_text("n,k\n,3\n")
        code, _, err = run("defaults:graph", "b.csv")
        assert code == 2
        assert "b.csv line 2: 'n' is annotated int, and the cell is empty" in err
    finally:
        sys.modules.pop("defaults", None)


class UnspeakableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError


def test_whatever_an_exception_is_it_can_be_told() -> None:
    assert failure(UnspeakableError()) == {
        "type": f"{UnspeakableError.__module__}.UnspeakableError",
        "message": "(its str() raises RuntimeError)",
        "node": None,
    }


def test_a_file_of_earlier_failures_goes_when_none_fails(run: Run, place: Path) -> None:
    write_rows(place / "a.jsonl", [{"text": "1"}])
    (place / "a.jsonl.errors.jsonl").write_text('{"$error": {}}\n')
    assert run("steps:graph", "a.jsonl", "--on-error", "return")[0] == 0
    assert not (place / "a.jsonl.errors.jsonl").exists()


def test_what_json_cannot_hold_comes_back_by_annotation(run: Run, place: Path) -> None:
    table = pyarrow.table({"day": [date(1999, 1, 1), date(2026, 1, 2)], "raw": [b"\xff", b"x"]})
    pyarrow.parquet.write_table(table, place / "a.parquet")
    code, out, _ = run("steps:years", "a.parquet", "--over", "day", "--on-error", "return")
    assert (code, lines(out)) == (1, [None, {"year": 2026}])
    (failed,) = lines((place / "a.parquet.errors.jsonl").read_text())
    assert (failed["day"], failed["raw"]) == ("1999-01-01", "/w==")
    assert failed["$error"]["row"] == 1
    assert failed["$error"]["text"] == ["day", "raw"]
    code, _, err = run("steps:years", "a.parquet.errors.jsonl")
    assert code == 1
    assert "ValueError: too long ago" in err
    code, _, err = run("steps:untyped", "a.parquet.errors.jsonl", "--over", "raw")
    assert code == 2
    assert "'raw' held a value that JSON cannot" in err


def test_an_output_that_json_cannot_hold_ends_the_map_and_is_named(run: Run, place: Path) -> None:
    write_rows(place / "a.jsonl", [{"n": n} for n in range(1, 6)])
    code, out, err = run("steps:sets", "a.jsonl")
    assert (code, lines(out)) == (2, [{"odd": 1}, {"odd": 2}])
    assert "output 'odd' is a set that JSON cannot hold" in err


# --- what is written --------------------------------------------------------------------------


def test_a_file_keeps_what_it_held_until_the_first_line(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_text("old\nlines\n")
    untouched = Lines(str(path))
    untouched.close(done=False)
    assert path.read_text() == "old\nlines\n"
    written = Lines(str(path))
    written.write("1")
    written.close(done=False)
    assert path.read_text() == "1\n"
    new = Lines(str(tmp_path / "new.jsonl"))
    new.close(done=False)
    assert not (tmp_path / "new.jsonl").exists()


def test_no_line_is_left_half_written_when_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out.jsonl"
    real = os.write
    calls: list[int] = []

    def full(file: int, data: Any) -> int:
        calls.append(len(data))
        if len(calls) == 2:
            return real(file, bytes(data[:3]))
        if len(calls) > 2:
            raise OSError(28, "No space left on device")
        return real(file, data)

    out = Lines(str(path))
    monkeypatch.setattr("hypergraph.cli.mapping.lines.os.write", full)
    out.write('{"a": 1}')
    out.write('{"a": 2}')
    with pytest.raises(Exception, match="No space left on device"):
        out.flush()
    assert path.read_text() == '{"a": 1}\n'


@posix
def test_output_may_go_to_a_pipe(run: Run, place: Path) -> None:
    write_rows(place / "a.jsonl", [{"text": "1"}])
    os.mkfifo(place / "pipe")
    with subprocess.Popen(["cat", "pipe"], stdout=subprocess.PIPE, text=True) as reader:
        code, _, _ = run("steps:graph", "a.jsonl", "--output", "pipe")
        assert reader.stdout is not None
        assert (code, reader.stdout.read()) == (0, '{"number": 1, "sum": 1}\n')
    assert stat.S_ISFIFO((place / "pipe").stat().st_mode)


@posix
def test_a_reader_that_has_gone_ends_the_map_quietly(place: Path) -> None:
    write_rows(place / "a.jsonl", [{"text": str(n)} for n in range(30_000)])
    command = [sys.executable, "-m", "hypergraph", "map", "steps:graph", "a.jsonl"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == '{"number": 0, "sum": 0}\n'
        process.stdout.close()
        said = process.stderr.read()
        assert process.wait() == 141
    assert "Traceback" not in said


@posix
def test_an_interruption_leaves_whole_lines_of_what_is_finished(place: Path) -> None:
    write_rows(place / "a.jsonl", [{"n": n} for n in range(6)])
    command = [sys.executable, "-m", "hypergraph", "map", "steps:waiting", "a.jsonl"]
    with subprocess.Popen(
        [*command, "--output", "out.jsonl"], stderr=subprocess.PIPE, text=True
    ) as process:
        while not (place / "waiting").exists():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        said = process.stderr.read()
        assert process.wait() == 130
    assert said.endswith("hypergraph: interrupted\n")
    assert "Traceback" not in said
    assert lines((place / "out.jsonl").read_text()) == [{"waited": n} for n in range(3)]


PEAK = """
import resource, sys
from pathlib import Path
from hypergraph.cli import main
code = main(["map", "steps:graph", sys.argv[1], "--output", "out.jsonl"])
status = Path("/proc/self/status")
if status.exists():  # what getrusage says there includes the process that started this one
    peak = int(status.read_text().partition("VmHWM:")[2].split()[0]) * 1024
else:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(peak)
sys.exit(code)
"""


def peak(place: Path, name: str) -> int:
    """Return how much memory a map of a file takes at its peak, in bytes."""
    done = subprocess.run(
        [sys.executable, "-c", PEAK, name], check=True, capture_output=True, text=True, cwd=place
    )
    return int(done.stdout)


@posix
def test_memory_does_not_grow_with_the_file(place: Path) -> None:
    for name, count in (("small.csv", 2_000), ("large.csv", 60_000)):
        with (place / name).open("w") as file:
            file.write("text\n")
            file.writelines(f"{n:0200}\n" for n in range(count))
    grown = peak(place, "large.csv") - peak(place, "small.csv")
    assert (place / "large.csv").stat().st_size > 12_000_000
    assert grown < 6_000_000


# --- runners ----------------------------------------------------------------------------------


class Deaf(BaseRunner):
    """Takes no listeners, and tells nothing of its items."""

    capabilities = RunnerCapabilities()

    def run(self, graph: Graph, *args: Any, **options: Any) -> Any: ...

    def map(self, graph: Graph, inputs: Any = None, *, map_over: Any, select: Any = None) -> Any:  # type: ignore[override]
        return SyncRunner().map(graph, inputs, map_over=map_over)


class Strange(Deaf):
    def map(self, graph: Graph, inputs: Any = None, *, map_over: Any, **options: Any) -> Any:  # type: ignore[override]
        return 7


class Results(Deaf):
    def map(self, graph: Graph, inputs: Any = None, *, map_over: Any, **options: Any) -> Any:  # type: ignore[override]
        return [RunResult(values=one) for one in SyncRunner().map(graph, inputs, map_over=map_over)]


class Numbers(Deaf):
    def map(self, graph: Graph, inputs: Any = None, *, map_over: Any, **options: Any) -> Any:  # type: ignore[override]
        return [7 for _ in inputs["text"]]


class Refusing(Deaf):
    def map(self, graph: Graph, inputs: Any = None, *, map_over: Any, **options: Any) -> Any:  # type: ignore[override]
        raise TypeError("unknown option 'max_iterations'")


def test_what_map_returns_is_looked_at(
    run: Run, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, cls in (("results", Results), ("numbers", Numbers), ("refusing", Refusing)):
        monkeypatch.setitem(registry._registered, name, cls)
    write_rows(place / "a.jsonl", [{"text": "1"}])
    call = ["steps:graph", "a.jsonl", "--max-iterations", "5", "--runner"]
    code, out, _ = run(*call, "results")
    assert (code, lines(out)) == (0, [{"number": 1, "sum": 1}])
    code, _, err = run(*call, "numbers")
    assert (code, "the runner returned a int, not outputs" in err) == (2, True)
    code, _, err = run(*call, "refusing")
    assert code == 2
    assert "the runner 'Refusing' refused --max-iterations: unknown option" in err


def test_a_runner_that_tells_nothing_of_its_items_can_be_used(
    run: Run, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry._registered, "deaf", Deaf)
    monkeypatch.setitem(registry._registered, "strange", Strange)
    write_rows(place / "a.jsonl", [{"text": "1"}, {"text": "2"}])
    code, out, _ = run("steps:graph", "a.jsonl", "--runner", "deaf", "--select", "sum")
    assert (code, lines(out)) == (0, [{"sum": 1}, {"sum": 2}])
    code, _, err = run("steps:graph", "a.jsonl", "--runner", "deaf", "--on-error", "return")
    assert code == 2
    assert "takes no --on-error; use one that does: " in err
    code, _, err = run("steps:graph", "a.jsonl", "--runner", "strange")
    assert code == 2
    assert "map() returned a int, not a list with a result for each item" in err


# --- progress ---------------------------------------------------------------------------------


def test_the_meter_says_how_far_how_fast_and_how_long_yet() -> None:
    meter = Meter(lambda: 0.5)
    meter.read = 1000
    assert meter.line(500, 3, 10.0) == "500 items (25%)  3 failed  50/s  0:00:30 left"
    assert meter.line(2, 0, 10.0) == "2 items (0%)  0.20/s  2:46:30 left"
    unknown = Meter(lambda: None)
    assert unknown.line(500, 0, 10.0) == "500 items  50/s"
    assert not unknown.watched


@posix
def test_progress_is_drawn_on_a_terminal_and_wiped(place: Path) -> None:
    write_rows(place / "a.jsonl", [{"text": "1"}, {"text": "2"}])
    controller, terminal = os.openpty()
    command = [sys.executable, "-m", "hypergraph", "map", "steps:graph", "a.jsonl"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=terminal, text=True)
    os.close(terminal)
    drawn = os.read(controller, 10_000).decode()
    os.close(controller)
    assert len(lines(done.stdout)) == 2
    assert drawn.startswith("\r\x1b[K1 item (50%)")
    assert "\r\x1b[Khypergraph: 2 items in " in drawn


def test_a_file_that_holds_something_else_is_not_taken_for_failures(run: Run, place: Path) -> None:
    write_rows(place / "a.jsonl", [{"text": "1"}])
    (place / "notes.txt").write_text("mine\n")
    code, _, err = run("steps:graph", "a.jsonl", "--on-error", "return", "--errors", "notes.txt")
    assert code == 2
    assert "notes.txt is there and holds no failed items" in err
    assert (place / "notes.txt").read_text() == "mine\n"


def test_a_row_that_does_not_fit_is_an_item_that_failed(run: Run, place: Path) -> None:
    write_rows(place / "a.jsonl", [{"text": "1"}, {"other": "2"}, {"text": "3"}])
    code, out, _ = run("steps:graph", "a.jsonl", "--on-error", "return")
    assert code == 1
    assert [line is None for line in lines(out)] == [False, True, False]
    (failed,) = lines((place / "a.jsonl.errors.jsonl").read_text())
    assert (failed["other"], failed["$error"]["index"]) == ("2", 1)


def test_a_cell_that_does_not_fit_is_an_item_that_failed(run: Run, place: Path) -> None:
    (place / "a.csv").write_text("text,more\n1,1\n1,secret\n1,2\n")
    code, out, _ = run("steps:graph", "a.csv", "--on-error", "return")
    assert code == 1
    assert [line is None for line in lines(out)] == [False, True, False]
    (failed,) = lines((place / "a.csv.errors.jsonl").read_text())
    assert failed["more"] == "secret"
    assert "secret" not in failed["$error"]["message"]


def test_what_nodes_print_is_not_among_the_lines(run: Run, place: Path) -> None:
    (place / "chatty.py").write_text(
        "from hypergraph import Graph, node\n"
        "graph = Graph([node(lambda x: print('hello') or x, name='same', output_name='y')])\n"
    )
    write_rows(place / "a.jsonl", [{"x": 1}])
    try:
        code, out, err = run("chatty:graph", "a.jsonl")
    finally:
        sys.modules.pop("chatty", None)
    assert (code, lines(out)) == (0, [{"y": 1}])
    assert "hello" in err
