"""What the pages take from the code is what the code says now, and every error has its section."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.generate import BLOCK, PARTS, code_of, error_classes, pages, rendered
from hypergraph import errors
from hypergraph.events.types import EVENTS, Event
from tests.docs.pages import ROOT, Block, anchors, blocks, name_of, tokens

ERRORS_PAGE = ROOT / errors.DOCS_PAGE


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_generated_parts_are_up_to_date(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text == rendered(text), "the code has changed; run: .venv/bin/python docs/generate.py"


def test_every_generated_part_stands_on_one_page() -> None:
    named = [match["name"] for page in pages() for match in BLOCK.finditer(page.read_text("utf-8"))]
    assert sorted(named) == sorted(PARTS)


def test_a_page_that_is_behind_the_code_is_noticed() -> None:
    old = "<!-- generated: strategies -->\nold\n<!-- end -->\n"
    assert "direct await" in rendered(old)
    assert rendered(rendered(old)) == rendered(old)


def test_the_page_about_events_lists_every_event_with_its_fields() -> None:
    text = (ROOT / "docs" / "concepts" / "events.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+Event)` \|[^|]+\| (.*) \|$", text, re.MULTILINE)
    shown = {name: re.findall(r"`(\w+)`", fields) for name, fields in rows}
    common = len(Event.__struct_fields__)
    told = {kind.__name__: list(kind.__struct_fields__[common:]) for kind in EVENTS}
    assert {name: sorted(fields) for name, fields in shown.items()} == {
        name: sorted(fields) for name, fields in told.items()
    }


# --- errors -----------------------------------------------------------------------------------


def sections() -> dict[str, tuple[str, list[Block]]]:
    """Return the text and the blocks of every section of the errors page, by its anchor."""
    lines = ERRORS_PAGE.read_text(encoding="utf-8").splitlines()
    starts = [
        token.map[0] for token in tokens(ERRORS_PAGE) if token.type == "heading_open" and token.map
    ]
    ends = [*starts[1:], len(lines)]
    found = {}
    for anchor, start, end in zip(anchors(ERRORS_PAGE), starts, ends):
        inside = [block for block in blocks(ERRORS_PAGE) if start < block.line <= end]
        found[anchor] = "\n".join(lines[start:end]), inside
    return found


def test_every_error_has_one_section_and_every_section_an_error() -> None:
    codes = [code_of(error) for error in error_classes()]
    assert len(set(codes)) == len(codes)
    assert sorted(set(anchors(ERRORS_PAGE)) - {"errors"}) == sorted(codes)


@pytest.mark.parametrize("error", error_classes(), ids=code_of)
def test_the_section_of_an_error_raises_it_and_says_how_to_fix_it(error: type[Exception]) -> None:
    text, inside = sections()[code_of(error)]
    assert f"`{error.__name__}`" in text
    if error is errors.HypergraphError:
        return  # the base: it is never raised itself
    assert "**Fix:**" in text
    raised = {block.raises for block in inside}
    left_out = any("notest" in block.words for block in inside)
    assert error.__name__ in raised or left_out


def test_the_address_in_a_message_is_that_of_its_section() -> None:
    for error in error_classes():
        if issubclass(error, errors.HypergraphError):
            address = re.search(r"See: +(\S+)#(\S+)", str(error("what")))
            assert address is not None
            assert (ROOT / address[1], address[2]) == (ERRORS_PAGE, code_of(error))
