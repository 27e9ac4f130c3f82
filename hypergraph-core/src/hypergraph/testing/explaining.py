"""Why a rule failed, in words: of a plain assert its source and the values in it, of an error its way.

Rule of this file: nothing is run again to explain it. Names and attributes are looked up, calls are
not repeated.
"""

from __future__ import annotations

import ast
import functools
import linecache
import textwrap
import traceback
import types
from collections.abc import Iterator
from types import FrameType
from typing import Any

from hypergraph.runners.base import BaseRunner
from hypergraph.testing.kit import BrokenRuleError, Rules

Step = tuple[FrameType, int]  # and the line that it stands at

RULES = "hypergraph.testing.suite"
LONGEST = 400  # of the text of a value
LINES = 12  # of a statement; more would hide the message


def explain(error: BaseException, rules: type) -> str:
    """Return the message for a rule of the class ``rules`` that ended with ``error``."""
    steps = list(traceback.walk_tb(error.__traceback__))
    ours = [step for step in steps if _is_rule(step[0], rules)]
    asserted = bool(ours) and steps[-1] == ours[-1] and isinstance(error, AssertionError)
    lines = [str(error)] if asserted or isinstance(error, BrokenRuleError) else _told(error, steps)
    if not ours:
        return "\n".join(lines)
    promise = [step for step in ours if step[0].f_code.co_name.startswith("test_")]
    shown = [*promise[-1:], *(ours[-1:] if asserted else ())]
    for frame, line in dict.fromkeys(shown):
        lines.append(_source_of(_statement(frame, line), frame, line))
    statement = _statement(*ours[-1])
    if asserted and isinstance(statement, ast.Assert):
        lines += _values_in(statement, ours[-1][0])
    return "\n".join(filter(None, lines))


def where_is(frame: FrameType, rules: type) -> str:
    """Say where a rule stands that does not end: the innermost calls first, then its own statement."""
    stack = list(traceback.walk_stack(frame))
    lines = [f"  at {_place(*step)}" for step in stack[:4]]
    promise = [step for step in stack if _is_rule(step[0], rules)]
    for step, line in promise[-1:]:
        lines.append(_source_of(_statement(step, line), step, line))
    return "\n".join(lines)


def _told(error: BaseException, steps: list[Step]) -> list[str]:
    """Return what an exception of a runner says, and where it was raised."""
    text = "".join(traceback.format_exception_only(error)).strip()
    return [text, *(f"  raised at {_place(*step)}" for step in steps[-1:])]


def _place(frame: FrameType, line: int) -> str:
    """Name the module and not the file, which has another place on every machine."""
    code = frame.f_code
    source = linecache.getline(code.co_filename, line, frame.f_globals).strip()
    return f"{frame.f_globals.get('__name__')}, line {line}, in {code.co_name}: {source}"


def _is_rule(frame: FrameType, rules: type) -> bool:
    name = str(frame.f_globals.get("__name__"))
    return name == rules.__module__ or f"{name}.".startswith(f"{RULES}.")


# -- the source ----------------------------------------------------------------------------------


@functools.lru_cache(maxsize=64)
def _statements(source: str) -> tuple[ast.stmt, ...]:
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return ()
    return tuple(item for item in ast.walk(tree) if isinstance(item, ast.stmt))


def _lines(frame: FrameType) -> list[str]:
    return linecache.getlines(frame.f_code.co_filename, frame.f_globals)


def _statement(frame: FrameType, line: int) -> ast.stmt | None:
    """Return the smallest statement that has the line; with the ``with raises(...)`` around it."""
    around = sorted(
        (
            found
            for found in _statements("".join(_lines(frame)))
            if found.lineno <= line <= (found.end_lineno or found.lineno)
        ),
        key=lambda found: (found.end_lineno or found.lineno) - found.lineno,
    )
    expecting = [s for s in around[1:2] if isinstance(s, ast.With)]
    return next(iter([*expecting, *around]), None)


def _source_of(statement: ast.stmt | None, frame: FrameType, line: int) -> str:
    first, last = line, line
    if statement is not None:
        first, last = statement.lineno, statement.end_lineno or statement.lineno
    shown = _lines(frame)[first - 1 : min(last, first + LINES - 1)]
    text = textwrap.dedent("".join(shown)).rstrip()
    return textwrap.indent(text, "  > ") if text else f"  > {frame.f_code.co_name}, line {line}"


# -- the values ----------------------------------------------------------------------------------


def _values_in(statement: ast.Assert, frame: FrameType) -> list[str]:
    """Return a line per name, or attribute of one, in the condition of an assert."""
    lines = []
    for part in dict.fromkeys(ast.unparse(found) for found in _looked_up(statement.test)):
        value = _value(part, frame)
        if not isinstance(value, _WITHOUT_INTEREST):
            lines.append(f"  {part} = {_shown(value)}")
    rules = frame.f_locals.get("self")
    if rules is not None and getattr(rules, "gave", None) is not None and _runs(statement.test):
        lines.append(f"  the run gave {_shown(rules.gave)}")
    return lines


class _Unknown:
    """There is no such value, or it cannot be had without running something."""


_WITHOUT_INTEREST = (
    _Unknown,
    BaseRunner,
    Rules,
    type,
    types.ModuleType,
    types.FunctionType,
    types.MethodType,
    types.BuiltinFunctionType,
)


def _looked_up(part: ast.AST) -> Iterator[ast.expr]:
    """Yield the longest chains of names and attributes; what is called is not one of them."""
    if isinstance(part, ast.Call):
        if isinstance(part.func, ast.Attribute):
            yield from _looked_up(part.func.value)
        for argument in (*part.args, *(keyword.value for keyword in part.keywords)):
            yield from _looked_up(argument)
        return
    if isinstance(part, (ast.Name, ast.Attribute)) and _is_chain(part):
        yield part
        return
    for inner in ast.iter_child_nodes(part):
        yield from _looked_up(inner)


def _is_chain(part: ast.expr) -> bool:
    while isinstance(part, ast.Attribute):
        part = part.value
    return isinstance(part, ast.Name)


def _value(chain: str, frame: FrameType) -> Any:
    name, *attributes = chain.split(".")
    value = frame.f_locals.get(name, frame.f_globals.get(name, _Unknown()))
    try:
        for attribute in attributes:
            if isinstance(value, (type, types.ModuleType)):
                return _Unknown()  # a constant: what it is stands in the source
            value = getattr(value, attribute)
    except Exception:
        return _Unknown()
    return value


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except Exception as error:
        return f"<{type(value).__name__}; its repr raised {type(error).__name__}>"
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}... ({len(text)} characters)"


def _runs(condition: ast.expr) -> bool:
    return any(isinstance(part, ast.Call) for part in ast.walk(condition))
