"""Tables drawn by rich.

Rule of this file: the words are the same as in a plain table; colours only help to find them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

_NARROW = 20  # letters of a column that is not wrapped
_STYLES = {
    "yes": "green",
    "ok": "green",
    "no": "dim",
    "-": "dim",
    "missing": "dim",
    "off": "dim",
    "broken": "bold red",
    "ambiguous": "bold red",
    "incompatible API": "bold red",
    "failed": "bold red",
}


def draw(head: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> None:
    """Print a table on stdout, as wide as the terminal at most."""
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for column, name in enumerate(head):
        longest = max(len(row[column]) for row in (head, *rows))
        table.add_column(
            name,
            justify="right" if column in right else "left",
            overflow="fold",
            no_wrap=longest <= _NARROW,
        )
    for row in rows:
        table.add_row(*(Text(cell, _STYLES.get(cell, "")) for cell in row))
    Console().print(table)
