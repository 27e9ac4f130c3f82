"""Tables for a reader.

Rule of this file: rich draws them on a terminal that it is installed for and that wants colours; else
they are plain text, one line per row where nobody watches. Nothing unprintable reaches a terminal.
"""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Collection, Iterator, Sequence

Row = Sequence[str]
_GAP = "  "
_ROOM = 24  # letters that the last column needs to be wrapped


def print_table(head: Row, rows: Sequence[Row], right: Collection[int] = ()) -> None:
    """Print the rows below their heads; the columns of these numbers are aligned to the right."""
    cells = [[printable(cell) for cell in row] for row in rows]
    watched = sys.stdout is not None and sys.stdout.isatty()
    if watched and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb":
        try:
            from hypergraph.extras.rich_tables import draw
        except ImportError:  # rich is missing, or does not work here
            pass
        else:
            draw(head, cells, right)
            return
    width = shutil.get_terminal_size().columns if watched else None
    print("\n".join(aligned([head, *cells], right, width)))


def aligned(
    rows: Sequence[Row], right: Collection[int] = (), width: int | None = None
) -> Iterator[str]:
    """Yield the rows as lines; the last column is as wide as it likes, or wrapped to a width."""
    printed = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*printed)]
    before = sum(one + len(_GAP) for one in widths[:-1])
    widths[-1] = 0
    room = None if width is None or width - before < _ROOM else width - before
    for row in printed:
        *cells, last = (
            cell.rjust(size) if column in right else cell.ljust(size)
            for column, (cell, size) in enumerate(zip(row, widths))
        )
        parts = [last] if room is None else textwrap.wrap(last, room) or [""]
        yield _GAP.join([*cells, parts[0]]).rstrip()
        for part in parts[1:]:
            yield " " * before + part


def printable(text: str) -> str:
    """Return a text on one line, with escapes for what would move the cursor or worse."""
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape", "surrogatepass").decode()
        for one in text
    )
