"""Every python block of every page runs, and gives what the page says it gives."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import io
import re
import sys
import types
import warnings
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from hypergraph import runners
from tests.docs.pages import PAGES, Block, blocks, name_of

ARROW = re.compile(r"#\s*->\s*(.*\S)\s*$")


@pytest.fixture
def namespace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """A module of its own, in an empty directory, with a home of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYPERGRAPH_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(sys, "path", sys.path[:])
    before = sys.modules.copy()
    sys.modules["page"] = module = types.ModuleType("page")
    with warnings.catch_warnings():
        yield vars(module)
    for name in sys.modules.keys() - before.keys():
        file = getattr(sys.modules[name], "__file__", None)
        if name == "page" or (file and Path(file).is_relative_to(tmp_path)):
            del sys.modules[name]
    runners.refresh()


@pytest.fixture
def event_loop() -> Iterator[asyncio.Runner]:
    """What awaits for a page: one event loop for all of it."""
    with asyncio.Runner() as runner:
        yield runner


def same(actual: str, expected: str) -> bool:
    """Compare two texts, where ``...`` in the expected one stands for anything."""
    pattern = ".*?".join(re.escape(part) for part in expected.strip().split("..."))
    return re.fullmatch(pattern, actual.strip(), re.DOTALL) is not None


Await = Callable[[Coroutine[Any, Any, Any]], Any]


def run_statement(
    node: ast.stmt, file: str, namespace: dict[str, Any], awaiting: Await
) -> str | None:
    """Run one statement; returns the representation of its value if it is an expression."""
    is_expression = isinstance(node, ast.Expr)
    tree = ast.Expression(node.value) if is_expression else ast.Module([node], [])
    mode = "eval" if is_expression else "exec"
    code = compile(tree, file, mode, flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    value = eval(code, namespace)
    if code.co_flags & inspect.CO_COROUTINE:
        value = awaiting(value)
    return repr(value) if is_expression else None


def run_block(
    block: Block, file: str, namespace: dict[str, Any], awaiting: Await = asyncio.run
) -> str:
    """Run a block, hold each ``# ->`` against what its statement gave, and return what was printed.

    ``awaiting`` runs a statement that awaits something to its end. Line numbers are those of the page:
    tracebacks and the source of functions are read there.
    """
    lines = block.code.splitlines()
    arrows = {
        number: match[1] for number, line in enumerate(lines, 1) if (match := ARROW.search(line))
    }
    printed = ""
    for node in ast.parse("\n" * (block.line - 1) + block.code, file).body:
        last = (node.end_lineno or node.lineno) - block.line + 1
        expected = arrows.pop(last, None)
        with contextlib.redirect_stdout(io.StringIO()) as stream:
            shown = run_statement(node, file, namespace, awaiting)
        output = stream.getvalue()
        printed += output
        if expected is not None:
            actual = output.strip() or shown or "nothing"
            assert same(actual, expected), (
                f"{file}:{node.end_lineno} gives {actual}, not {expected}"
            )
    assert not arrows, f"{file}: '# ->' in line(s) that end no statement: {sorted(arrows)}"
    return printed


def failing_block(block: Block, file: str, namespace: dict[str, Any], awaiting: Await) -> str:
    """Run a block that must fail; returns what Python would print of its exception."""
    try:
        run_block(block, file, namespace, awaiting)
    except Exception as error:
        return "\n".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())])
    return "nothing"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_python_blocks_of_a_page_run(
    page: Path, namespace: dict[str, Any], event_loop: asyncio.Runner
) -> None:
    said: tuple[int, str] | None = None  # where the last python block ended, and what it said
    for block in blocks(page):
        if block.file is not None:
            continue
        if block.language == "python" and "notest" not in block.words:
            if block.raises is None:
                said = block.end, run_block(block, str(page), namespace, event_loop.run)
            else:
                message = failing_block(block, str(page), namespace, event_loop.run)
                raised = message.partition(":")[0]
                assert raised == block.raises, f"{page}:{block.line} raised {message}"
                said = block.end, message
        elif block.language == "text" and "output" in block.words:
            assert said is not None, f"{page}:{block.line}: no python block before this output"
            assert same(said[1], block.code), f"{page}:{block.line}: the output is\n{said[1]}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_block_is_marked_with_words_that_the_tests_know(page: Path) -> None:
    known = re.compile(r"raises=\w+|notest|output|file=\S+")
    unknown = [
        f"{name_of(page)}:{block.line}: {word}"
        for block in blocks(page)
        for word in block.words
        if not known.fullmatch(word)
    ]
    assert unknown == []


def test_hardly_anything_is_left_out() -> None:
    left_out = [
        f"{name_of(page)}:{block.line}"
        for page in PAGES
        for block in blocks(page)
        if "notest" in block.words
    ]
    assert len(left_out) <= 1, left_out


@pytest.mark.parametrize(
    ("code", "passes"),
    [
        ("1 + 1  # -> 2", True),
        ("1 + 1  # -> 3", False),
        ("print('a', 'b')  # -> a b", True),
        ("print('a')  # -> b", False),
        ("sorted({\n  2, 1,\n})  # -> [1, 2]", True),
        ("x = 1\nx  # -> 1", True),
        ("x = [\n  1,  # -> 1\n  2]", False),
        ("object()  # -> <object object at ...>", True),
        ("import asyncio\nawait asyncio.sleep(0, 5)  # -> 5", True),
        ("import asyncio\nawait asyncio.sleep(0, 5)  # -> 6", False),
        ("async def f():\n  yield 1\nasync for x in f():\n  print(x)  # -> 1", True),
    ],
)
def test_an_arrow_is_held_against_what_its_statement_gives(code: str, passes: bool) -> None:
    block = Block(language="python", words=(), code=code, line=1, end=1)
    if passes:
        run_block(block, "page.md", {})
    else:
        with pytest.raises(AssertionError):
            run_block(block, "page.md", {})
