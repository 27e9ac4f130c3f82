"""Tables on a terminal and elsewhere."""

import io
import sys
from typing import Any

import pytest

from hypergraph.cli.tables import aligned, print_table, printable

HEAD = ("name", "count", "told")
ROWS = [("first", "1", "short"), ("second\x1b[2J", "1,000", "a word " * 12)]


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.fixture
def sized(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of sixty columns that has colours."""
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "60")


def drawn_on(monkeypatch: pytest.MonkeyPatch, *table: Any) -> str:
    stream = Terminal()
    monkeypatch.setattr(sys, "stdout", stream)
    print_table(*table)
    return stream.getvalue()


def test_a_row_is_a_line_where_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(HEAD, ROWS, right={1})
    told = ("a word " * 12).rstrip()
    assert capsys.readouterr().out == (
        f"name           count  told\nfirst              1  short\nsecond\\x1b[2J  1,000  {told}\n"
    )


def test_rich_draws_as_wide_as_the_terminal_and_in_colours(
    monkeypatch: pytest.MonkeyPatch, sized: None
) -> None:
    rows = [("sync", "yes"), ("async", "a word " * 20)]
    drawn = drawn_on(monkeypatch, ("runner", "can"), rows)
    assert "\x1b[32myes" in drawn
    assert len(drawn.splitlines()) > 4


@pytest.mark.parametrize("why", ["NO_COLOR", "TERM", "rich"])
def test_plain_text_is_wrapped_to_the_terminal(
    monkeypatch: pytest.MonkeyPatch, sized: None, why: str
) -> None:
    if why == "rich":
        monkeypatch.delitem(sys.modules, "hypergraph.extras.rich_tables", raising=False)
        monkeypatch.setitem(sys.modules, "rich.console", None)
    else:
        monkeypatch.setenv(why, "dumb")
    drawn = drawn_on(monkeypatch, HEAD, ROWS, {1})
    lines = drawn.splitlines()
    assert "\x1b" not in drawn
    assert len(lines) > 3
    assert max(map(len, lines)) <= 60
    assert lines[3].startswith(" " * 22 + "word a")


def test_a_column_without_room_is_not_wrapped() -> None:
    (line,) = aligned([("x" * 50, "a word " * 10)], width=60)
    assert len(line) > 100


def test_printable_text_is_left_alone() -> None:
    assert printable("héllo \U0001f600") == "héllo \U0001f600"
    assert printable("a\x1b\ud800") == "a\\x1b\\ud800"
