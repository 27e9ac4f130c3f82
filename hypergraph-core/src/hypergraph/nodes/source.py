"""The text of code, so that what does not change behaviour does not change the text.

Rule of this file: a text counts only if it compiles to the very code in question (a file edited
after its import does not); it is parsed and written anew, so comments and layout are gone, and
docstrings are left out. A module is parsed once, when first asked for.
"""

from __future__ import annotations

import ast
import copy
import linecache
import threading
import types
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
Chain: TypeAlias = tuple[str, ...]  # ("module", "attribute", ...): a name and what is read from it

_OWN_DECORATORS = frozenset({"node", "branch", "route"})
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """What a definition says: its text, the names it reads, and what it imports itself.

    ``imports``: ``(module, level, name)``; a module that is imported as such has no ``name``.
    """

    text: str
    chains: frozenset[Chain]
    imports: tuple[tuple[str, int, str | None], ...]


class Module:
    """What one source file says: its functions by line, classes by name, and assignments."""

    def __init__(self, lines: list[str], filename: str) -> None:
        self.lines = lines
        self.tree = ast.parse("".join(lines))
        self.codes = set(_codes(compile(self.tree, filename, "exec", dont_inherit=True)))
        self.functions: defaultdict[int, list[Function]] = defaultdict(list)
        self.classes: defaultdict[str, list[ast.ClassDef]] = defaultdict(list)
        self.assignments: defaultdict[str, list[ast.stmt]] = defaultdict(list)
        self._texts: dict[ast.AST, Text] = {}
        self._index()

    def read(self, node: ast.AST, ours: Callable[[ast.expr], bool] = lambda _: False) -> Text:
        """Return what one of its nodes says, without the decorators that are ``ours``."""
        if node not in self._texts:
            self._texts[node] = Text(
                text=text(node, ours),
                chains=frozenset(_chains(node, ours)),
                imports=tuple(_imports(node)),
            )
        return self._texts[node]

    def _index(self) -> None:
        todo: list[tuple[ast.AST, str, bool]] = [(self.tree, "", True)]
        while todo:
            node, prefix, top = todo.pop()
            if isinstance(node, ast.Lambda):
                self.functions[node.lineno].append(node)
            elif isinstance(node, _SCOPES):
                top = False
                first = min([node.lineno, *(line.lineno for line in node.decorator_list)])
                if isinstance(node, ast.ClassDef):
                    self.classes[prefix + node.name].append(node)
                    prefix += f"{node.name}."
                else:
                    self.functions[first].append(node)
                    prefix += f"{node.name}.<locals>."
            elif top and isinstance(node, ast.stmt):
                for name in _assigned(node):
                    self.assignments[name].append(node)
            _drop_docstring(node)
            todo += [(child, prefix, top) for child in reversed(list(ast.iter_child_nodes(node)))]


_modules: dict[str, Module | None] = {}
_read: dict[str, list[str]] = {}
_reading = threading.Lock()  # two `catch_warnings` at once would leave their filter behind


def module(filename: str, namespace: dict[str, Any]) -> Module | None:
    """Return what the file says now, or ``None`` if there is no text or it is not Python."""
    with _reading:
        linecache.checkcache(filename)
        lines = linecache.getlines(filename, namespace)
        if _read.get(filename) is not lines:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the import has given them already
                try:
                    _modules[filename] = Module(lines, filename) if lines else None
                except (SyntaxError, ValueError, RecursionError):
                    _modules[filename] = None
            _read[filename] = lines
        return _modules[filename]


def function(
    code: types.CodeType, namespace: dict[str, Any], ours: Callable[[ast.expr], bool]
) -> Text | None:
    """Return what the definition says that compiles to this code, or ``None`` if it is not known.

    Decorators that are ``ours`` are left out.
    """
    source = module(code.co_filename, namespace)
    if source is None or code not in source.codes:
        return None
    found = [
        node
        for node in source.functions[code.co_firstlineno]
        if getattr(node, "name", "<lambda>") == code.co_name
    ]
    if len(found) > 1:  # several lambdas on one line: the smallest whose body holds all of the code
        places = [
            ((line, column), (end_line, end_column))
            for line, end_line, column, end_column in code.co_positions()
            if None not in (line, end_line, column, end_column)
            and (line, column) < (end_line, end_column)
        ]
        found = [node for node in found if places and _holds(node, places)]
        found.sort(key=lambda node: len(ast.unparse(node)))
    return source.read(found[0], ours) if found else None


def text(node: ast.AST, ours: Callable[[ast.expr], bool] = lambda _: False) -> str:
    """Return the text of a definition, without the decorators that are ``ours``."""
    if not isinstance(node, _SCOPES):
        return ast.unparse(node)
    shown = copy.copy(node)  # the node itself is read by other threads
    shown.decorator_list = [line for line in node.decorator_list if not ours(line)]
    return ast.unparse(shown)


def _chains(node: ast.AST, ours: Callable[[ast.expr], bool]) -> set[Chain]:
    """Return every name that is read, each with the attributes read from it at once."""
    found: set[Chain] = set()
    todo: list[ast.AST] = [node]
    while todo:
        item = todo.pop()
        if (names := chain(item)) is not None:
            found.add(names)
        else:
            own = getattr(node, "decorator_list", ()) if item is node else ()
            dropped = [line for line in own if ours(line)]
            todo += [child for child in ast.iter_child_nodes(item) if child not in dropped]
    return found


def chain(node: ast.AST) -> Chain | None:
    """Return ``("a", "b", "c")`` for the expression ``a.b.c``, and ``None`` for any other."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    return (node.id, *reversed(names))


def is_own_decorator(line: Any, names: dict[str, Any]) -> bool:
    """Whether the decorator is hypergraph's: what it says is in the node, not in the function."""
    path = chain(getattr(line, "func", line))
    if path is None:
        return False
    value = names.get(path[0])
    for name in path[1:]:
        value = getattr(value, name, None)
    if value is None:
        return path[-1] in _OWN_DECORATORS
    return str(getattr(value, "__module__", "")).partition(".")[0] == "hypergraph"


def _imports(node: ast.AST) -> Iterator[tuple[str, int, str | None]]:
    for item in ast.walk(node):
        if isinstance(item, ast.Import):
            yield from ((alias.name, 0, None) for alias in item.names)
        elif isinstance(item, ast.ImportFrom):
            yield from ((item.module or "", item.level, alias.name) for alias in item.names)


def code_content(code: types.CodeType) -> tuple[object, ...]:
    """Return what a code object does, without where it stands: for code whose text is not known."""
    return (
        code.co_name,
        code.co_code,
        tuple(code_content(c) if isinstance(c, types.CodeType) else c for c in code.co_consts),
        (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars),
        (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags),
        code.co_exceptiontable,
    )


def code_names(code: types.CodeType) -> set[str]:
    """Return every global name and attribute that the code, or code inside it, may read."""
    return set().union(code.co_names, *(code_names(c) for c in _inner(code)))


def _inner(code: types.CodeType) -> list[types.CodeType]:
    return [const for const in code.co_consts if isinstance(const, types.CodeType)]


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    todo = [code]
    while todo:
        todo += _inner(item := todo.pop())
        yield item


def _holds(node: Function, places: list[Any]) -> bool:
    body = node.body
    if isinstance(body, list):
        return True
    start, end = (body.lineno, body.col_offset), (body.end_lineno, body.end_col_offset)
    return all(start <= first and last <= end for first, last in places)


def _drop_docstring(node: ast.AST) -> None:
    if isinstance(node, (*_SCOPES, ast.Module)):
        match node.body:
            case [ast.Expr(ast.Constant(str()))]:
                node.body[:] = [ast.Pass()]
            case [ast.Expr(ast.Constant(str())), *_]:
                del node.body[0]


def _assigned(node: ast.stmt) -> Iterator[str]:
    """Yield the names that one statement of a module binds, imports included."""
    if isinstance(node, ast.ImportFrom):
        yield from (alias.asname or alias.name for alias in node.names)
    elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            yield from (item.id for item in ast.walk(target) if isinstance(item, ast.Name))
