"""The rows of a file.

Rule of this file: rows are read one after the other and never held; what is wrong with one is told by
its number, never by its content.
"""

from __future__ import annotations

import csv
import io
import os
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from hypergraph.cli.errors import UsageError
from hypergraph.cli.values import read_json

Row = dict[str, Any]
STDIN = "-"
_SUFFIXES = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_LONGEST = 2**31 - 1  # letters in a cell; the csv module's own limit is 131,072


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The rows of a file with the number of each, from 1, in ``unit``.

    ``cells``: whether values are the text of cells. ``fraction``: how much has been read, if known.
    """

    rows: Iterator[tuple[int, Row]]
    unit: str
    cells: bool
    fraction: Callable[[], float | None]


def shown(name: str) -> str:
    """Return what messages call a file."""
    return "stdin" if name == STDIN else name


def open_rows(name: str, form: str | None, stack: ExitStack, batch: int) -> Rows:
    """Open a file of rows, until the stack is left. Raises ``UsageError``."""
    if form is None:
        form = "jsonl" if name == STDIN else _SUFFIXES.get(Path(name).suffix.lower())
    if form is None:
        hint = ""
        if name.lower().endswith(".json"):
            hint = ". Of a JSON array, jq -c '.[]' makes JSON lines"
        raise UsageError(
            f"{name!r} does not say what it is by its name; add --format jsonl, csv or parquet{hint}"
        )
    if form == "parquet":
        return _parquet(name, stack, batch)
    file = _opened(name, stack)
    read = (_csv_rows if form == "csv" else _json_rows)(file, shown(name))
    stack.callback(read.close)  # before the file
    return Rows(rows=read, unit="line", cells=form == "csv", fraction=_fraction_of(file))


def _opened(name: str, stack: ExitStack) -> BinaryIO:
    if name == STDIN:
        if sys.stdin is None:
            raise UsageError("there is no stdin to read; name a file")
        return sys.stdin.buffer
    try:
        return stack.enter_context(Path(name).open("rb"))
    except OSError as error:
        raise UsageError(f"{name}: {error.strerror or error}") from None


def _fraction_of(file: BinaryIO) -> Callable[[], float | None]:
    try:
        size = os.fstat(file.fileno()).st_size if file.seekable() else 0
    except OSError:
        size = 0
    return lambda: min(1.0, file.tell() / size) if size else None


# --- JSON lines -------------------------------------------------------------------------------


def _json_rows(file: BinaryIO, name: str) -> Generator[tuple[int, Row], None, None]:
    for number, line in enumerate(file, 1):
        text = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
        if not text.strip():
            continue
        try:
            row = read_json(text.decode())
        except UnicodeDecodeError:
            raise UsageError(f"{name} line {number}: not UTF-8 text") from None
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{name} line {number}: not JSON: {error}") from None
        if not isinstance(row, dict):
            raise UsageError(
                f"{name} line {number}: a JSON {type(row).__name__}, not an object of inputs"
            )
        yield number, row


# --- CSV --------------------------------------------------------------------------------------


def _csv_rows(file: BinaryIO, name: str) -> Generator[tuple[int, Row], None, None]:
    csv.field_size_limit(_LONGEST)
    text = io.TextIOWrapper(file, "utf-8-sig", newline="")
    reader = csv.reader(text, strict=True)
    try:
        head = next(reader, None)
        if head is None:
            return
        _check_head(head, name)
        for cells in reader:
            if not cells:  # an empty line
                continue
            if len(cells) != len(head):
                raise UsageError(
                    f"{name} line {reader.line_num}: {len(cells)} cells below {len(head)} columns"
                )
            yield reader.line_num, dict(zip(head, cells))
    except csv.Error as error:
        raise UsageError(f"{name} line {reader.line_num}: not CSV: {error}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{name} below line {reader.line_num}: not UTF-8 text") from None
    finally:
        text.detach()  # or it would close what it has not opened


def _check_head(head: list[str], name: str) -> None:
    twice = sorted({column for column in head if head.count(column) > 1})
    if twice:
        raise UsageError(f"{name} line 1: two columns are called {twice[0]!r}")
    if not all(head):
        raise UsageError(f"{name} line 1: a column has no name; the first line holds the names")


# --- Parquet ----------------------------------------------------------------------------------


def _parquet(name: str, stack: ExitStack, batch: int) -> Rows:
    from hypergraph.extras.parquet import UnreadableError, open_parquet

    if name == STDIN:
        raise UsageError("Parquet is not read from stdin; name a file")
    try:
        size, read = open_parquet(name, stack, batch)
    except UnreadableError as error:
        raise UsageError(f"{name}: {error}") from None
    reached = 0

    def rows() -> Iterator[tuple[int, Row]]:
        nonlocal reached
        try:
            for reached, row in enumerate(read, 1):
                yield reached, row
        except UnreadableError as error:
            raise UsageError(f"{name} row {reached + 1}: {error}") from None

    return Rows(
        rows=rows(), unit="row", cells=False, fraction=lambda: reached / size if size else None
    )
