"""The runners that the page about writing one shows keep every rule."""

from __future__ import annotations

import sys
import types
from typing import Any

import pytest

from hypergraph import BaseRunner, runners
from hypergraph.testing import RunnerSuite
from tests.docs.pages import ROOT, blocks
from tests.docs.test_snippets import run_block

PAGE = ROOT / "docs" / "extending" / "runners.md"


@pytest.fixture(scope="module")
def shown() -> dict[str, Any]:
    """The names that the page defines, as a module does."""
    module = types.ModuleType("page")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "page", module)
        for block in blocks(PAGE):
            if block.language == "python" and block.raises is None:
                run_block(block, str(PAGE), vars(module))
    return vars(module)


class TestAnnouncingRunner(RunnerSuite):
    @pytest.fixture
    def runner(self, shown: dict[str, Any]) -> BaseRunner:
        return shown["AnnouncingRunner"]()


class TestPlainRunner(RunnerSuite):
    @pytest.fixture
    def runner(self, shown: dict[str, Any]) -> BaseRunner:
        return shown["PlainRunner"]()


def test_the_page_leaves_no_runner_registered(shown: dict[str, Any]) -> None:
    assert {"announcing", "loud"}.isdisjoint(runners.available())
