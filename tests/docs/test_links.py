"""Whatever a page refers to is there: pages, headings, make targets, distributions, commands."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, anchors, blocks, links, name_of

INDEX = ROOT / "docs" / "index.md"
DECISIONS = ROOT / "docs" / "adr" / "README.md"
EXTERNAL = ("http://", "https://", "mailto:")


def broken(page: Path, link: str) -> bool:
    """Say whether a link within the project leads nowhere."""
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    if not target.exists() or not target.is_relative_to(ROOT):
        return True
    return bool(anchor) and (target.suffix != ".md" or anchor not in anchors(target))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    within = [link for link in links(page) if not link.startswith(EXTERNAL)]
    assert [link for link in within if broken(page, link)] == []


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("README.md", False),
        ("README.md#install", False),
        ("README.md#not-there", True),
        ("NOT-THERE.md", True),
        ("Makefile#demo", True),
        ("../elsewhere.md", True),
    ],
)
def test_a_broken_link_is_recognised(link: str, expected: bool) -> None:
    assert broken(ROOT / "README.md", link) is expected


def test_every_page_can_be_reached_from_the_index() -> None:
    seen: set[Path] = set()
    todo = [INDEX]
    while todo:
        page = todo.pop()
        if page not in seen:
            seen.add(page)
            within = [
                link.partition("#")[0] for link in links(page) if not link.startswith(EXTERNAL)
            ]
            todo += [
                target
                for link in within
                if link.endswith(".md") and (target := (page.parent / link).resolve()).exists()
            ]
    docs = {page for page in PAGES if page.is_relative_to(ROOT / "docs")}
    assert sorted(name_of(page) for page in docs - seen) == []


def test_decisions_are_numbered_without_gaps_and_have_the_three_parts() -> None:
    pages = sorted(page for page in DECISIONS.parent.glob("*.md") if page != DECISIONS)
    assert [page.name[:5] for page in pages] == [f"{n:04}-" for n in range(1, len(pages) + 1)]
    for page in pages:
        title, *parts = anchors(page)
        assert title.startswith(page.name[:4]), name_of(page)
        assert parts == ["context", "decision", "consequences"], name_of(page)


# --- commands ---------------------------------------------------------------------------------


def commands(word: str) -> set[str]:
    """Return what follows a word at the beginning of lines of code, and in code within text.

    What stands in the files that a page shows is left out.
    """
    found = set()
    for page in PAGES:
        shown = [block.code for block in blocks(page) if block.file is None]
        lines = [line for code in shown for line in code.splitlines()]
        spans = re.findall(r"`([^`\n]+)`", page.read_text(encoding="utf-8"))
        found |= {
            text.removeprefix(f"{word} ").strip()
            for text in (*lines, *spans)
            if text.startswith(f"{word} ")
        }
    return found


def test_the_make_targets_that_pages_name_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    words = {word for command in commands("make") for word in command.split() if "=" not in word}
    named = {word for word in words if re.fullmatch(r"[a-z]+", word)}
    assert {"demo", "test"} <= named
    assert named - targets == set()


def test_the_first_two_commands_of_the_readme_are_the_demo_and_the_tests() -> None:
    first = next(block for block in blocks(ROOT / "README.md") if block.code.startswith("make"))
    assert first.code.split("\n") == ["make demo", "make test", ""]


def test_what_pages_say_to_install_exists() -> None:
    projects = {}
    for path in ROOT.glob("hypergraph-*/pyproject.toml"):
        project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
        projects[project["name"]] = set(project.get("optional-dependencies", {}))
    for command in commands("pip install"):
        for word in command.replace("--upgrade", "").split():
            name, _, extra = word.strip('"').rstrip("]").partition("[")
            assert name in projects or "..." in name, command
            assert not extra or extra in projects[name], command


def test_the_subcommands_that_pages_name_exist() -> None:
    words = {command.split()[0] for command in commands("hypergraph")}
    named = {word for word in words if re.fullmatch(r"[a-z]+", word)}
    helped = subprocess.run(
        [sys.executable, "-m", "hypergraph", "--help"], check=True, capture_output=True, text=True
    )
    assert named
    assert {name for name in named if not re.search(rf"\b{name}\b", helped.stdout)} == set()
