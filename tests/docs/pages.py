"""The pages of the documentation, and what stands in them.

What a fenced block of a page means to the tests is said by its first line:

- ``python``: run; the blocks of one page share their names, in order.
- ``python raises=SomeError``: run, and must raise exactly that.
- ``python notest``: not run; only for what needs something that cannot be there.
- ``file=PATH``, in any language: what stands in a file; not run here, but by the test that follows the
  page in an environment of its own, as are the commands of its ``console`` blocks.
- ``text output``, right after a python block: what that block printed or, after ``raises=``, the
  message with its notes. ``...`` stands for any text.

In a python block a statement may end in ``# -> something``: its value, or what it prints, is that. It
may ``await``, as in ``python -m asyncio``; the statements of one page share an event loop.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("hypergraph-*/README.md"),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block: its language, the words after it, its code, and the line it begins on."""

    language: str
    words: tuple[str, ...]
    code: str
    line: int
    end: int

    @property
    def raises(self) -> str | None:
        """The name of the exception that the block must raise."""
        return self._said("raises=")

    @property
    def file(self) -> str | None:
        """The path of the file that the block shows."""
        return self._said("file=")

    def _said(self, key: str) -> str | None:
        found = [word.removeprefix(key) for word in self.words if word.startswith(key)]
        return found[0] if found else None


def name_of(page: Path) -> str:
    """Return how a page is called in the output of the tests."""
    return page.relative_to(ROOT).as_posix()


@cache
def tokens(page: Path) -> tuple[Token, ...]:
    parser = MarkdownIt("commonmark").enable("table")
    return tuple(parser.parse(page.read_text(encoding="utf-8")))


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page, in order."""
    found = []
    for token in tokens(page):
        if token.type == "fence":
            assert token.map is not None
            language, *words = token.info.split() or [""]
            begin, end = token.map
            found.append(
                Block(
                    language=language,
                    words=tuple(words),
                    code=token.content,
                    line=begin + 2,
                    end=end,
                )
            )
    return found


def links(page: Path) -> list[str]:
    """Return the targets of the links and images of a page."""
    return [
        str(child.attrs.get("href") or child.attrs.get("src"))
        for token in tokens(page)
        for child in token.children or ()
        if child.type in {"link_open", "image"}
    ]


def headings(page: Path) -> list[str]:
    """Return the headings of a page as they are read, without marks."""
    found = tokens(page)
    return [
        "".join(child.content for child in found[position + 1].children or ())
        for position, token in enumerate(found)
        if token.type == "heading_open"
    ]


def anchors(page: Path) -> list[str]:
    """Return the anchors that forges make of the headings of a page."""
    made: list[str] = []
    for heading in headings(page):
        slug = re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        again = made.count(slug)
        made.append(f"{slug}-{again}" if again else slug)
    return made
