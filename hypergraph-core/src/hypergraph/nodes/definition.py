"""What a function *is*: one hash of all the code and constants that decide what it returns.

Rule of this file: found statically, never by calling. It covers the function's text, its closure
and defaults, and the same of every function and class of the same top-level package that it names,
directly or through others. What belongs to other packages counts by its name alone. Nothing in the
hash depends on where files lie, on the process, or on the name of the top-level module.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import functools
import importlib
import importlib.util
import os
import sys
import threading
import types
import weakref
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from hypergraph.content import (
    SCALARS,
    content_key,
    digest,
    key_and_classes,
    register_key,
    type_name,
)
from hypergraph.errors import UnkeyableError
from hypergraph.nodes import source

_MISSING = object()
_LIBRARY = os.path.dirname(os.__file__) + os.sep
_IMMUTABLE = frozenset(SCALARS) - {bytearray, array}


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """What a function is.

    ``hash``: 64 hexadecimal digits. ``unkeyable``: ``None``, or why results must not be cached: the
    function holds a value whose content is unknown, which is in the hash by its type only.
    """

    hash: str
    unkeyable: str | None


def function_definition(func: Any) -> Definition:
    """Return what the function is.

    It is computed once and again when something it was computed from was bound anew: a helper
    defined again in a notebook, say. Raises `TypeError` for what is not a Python function.
    """
    if not isinstance(func, types.FunctionType):
        raise TypeError(f"expected a function, got {type(func).__name__}")
    return recall(func).definition


@dataclass(slots=True)
class KnownDefinition:
    """A definition, and the bindings it was computed from."""

    definition: Definition
    names: list[tuple[dict[str, Any], str, object]]
    cells: list[tuple[types.CellType, object]]
    functions: list[tuple[weakref.ref[types.FunctionType], object, object, object]]
    mutable: list[tuple[object, str]]  # values that may change in place, and their content

    def current(self) -> bool:
        """Return whether nothing that it was computed from has changed."""
        # Plain loops: it runs once per cached call, and a generator costs more than its checks.
        for ref, code, some, more in self.functions:
            func = ref()
            if (
                func is None
                or func.__code__ is not code
                or func.__defaults__ is not some
                or func.__kwdefaults__ is not more
            ):
                return False
        return not (self.names or self.cells or self.mutable) or self._bindings_hold()

    def _bindings_hold(self) -> bool:
        return (
            all(_still(value, text) for value, text in self.mutable)
            and all(names.get(name, _MISSING) is value for names, name, value in self.names)
            and all(_content(cell) is value for cell, value in self.cells)
        )


_known: weakref.WeakKeyDictionary[Any, KnownDefinition] = weakref.WeakKeyDictionary()
_active = threading.local()


def recall(root: types.FunctionType | type) -> KnownDefinition:
    """Return what a function or class is, searching again where it no longer holds."""
    known = _known.get(root)
    if known is None or not known.current():
        known = _known[root] = _search(root)
    return known


def _search(root: types.FunctionType | type) -> KnownDefinition:
    """Search what one function or class refers to. Refuses to begin one that is under way."""
    under_way: set[int] = _active.__dict__.setdefault("roots", set())
    if id(root) in under_way:
        raise UnkeyableError("A function that holds itself in a container cannot be keyed.")
    under_way.add(id(root))
    try:
        return _Search(root).run()
    finally:
        under_way.discard(id(root))


class _Search:
    """Visits a function and all it refers to, each once, in an order that the text decides."""

    def __init__(self, root: types.FunctionType | type) -> None:
        self._package = _package(root)
        self._items: list[Any] = [root]
        self._numbers = {id(root): 0}
        self._problem: str | None = None
        self._known = KnownDefinition(Definition(hash="", unkeyable=None), [], [], [], [])

    def run(self) -> KnownDefinition:
        texts = []
        for item in self._items:  # grows while we go through it
            if isinstance(item, types.FunctionType):
                texts.append(self._function(item))
            elif isinstance(item, type):
                texts.append(self._class(item))
            else:
                texts.append(self._module(item))
        key = digest("".join(f"{len(text)}:{text}" for text in texts)).removeprefix("D")
        self._known.definition = Definition(hash=key, unkeyable=self._problem)
        return self._known

    # --- the three kinds of items ------------------------------------------------------------

    def _function(self, func: types.FunctionType) -> str:
        code, names = func.__code__, func.__globals__
        bound = (weakref.ref(func), code, func.__defaults__, func.__kwdefaults__)
        self._known.functions.append(bound)  # weakly: it would keep itself alive
        cells = dict(zip(code.co_freevars, func.__closure__ or (), strict=False))
        said = source.function(code, names, functools.partial(source.is_own_decorator, names=names))
        if said is None:
            parts = [content_key(source.code_content(code))]
            parts += self._plain_references(code, names)
        else:
            local = {*code.co_varnames, *code.co_cellvars, *code.co_freevars}
            found = {chain for chain in said.chains if chain[0] not in local}
            parts = [said.text, *self._references(found, names), *self._imports(said, names)]
        for name, cell in sorted(cells.items()):
            value = _content(cell)
            if value is not self._items[0]:
                self._known.cells.append((cell, value))
            parts.append(f"{name}<-{self._value(f'closure variable {name!r} of', func, value)}")
        for name, value in _defaults(func):
            parts.append(f"{name}={self._value(f'default of {name!r} of', func, value)}")
        return content_key(tuple(parts))

    def _class(self, cls: type) -> str:
        names = getattr(sys.modules.get(cls.__module__), "__dict__", {})
        file = source.module(names["__file__"], names) if names.get("__file__") else None
        texts = [file.read(node) for node in file.classes.get(cls.__qualname__, ())] if file else []
        parts = [cls.__qualname__, *(self._reference(base) for base in cls.__bases__)]
        for said in texts:
            parts += [said.text, *self._references(said.chains, names)]
        if not texts or "<locals>" in cls.__qualname__:
            for name, member in sorted(cls.__dict__.items()):
                for func in _functions(member):
                    parts.append(f"{name}:{self._reference(func)}")
                if type(member) in _IMMUTABLE and not name.startswith("__"):
                    parts.append(f"{name}={content_key(member)}")
        return content_key(tuple(parts))

    def _module(self, module: types.ModuleType) -> str:
        file = source.module(module.__file__ or "", module.__dict__)
        return "" if file is None else source.text(file.tree)

    # --- what an item refers to --------------------------------------------------------------

    def _references(self, found: Iterable[source.Chain], names: dict[str, Any]) -> list[str]:
        parts = []
        for chain in sorted(found):
            value, home, last = self._resolve(chain, names)
            if value is _MISSING:
                continue  # a local name, a built-in, or an error once it runs
            parts.append(f"{'.'.join(chain)}->{self._reference(value, home, last)}")
        return parts

    def _plain_references(self, code: types.CodeType, names: dict[str, Any]) -> list[str]:
        """Refer to what code without text may read: any global, any attribute of a module."""
        read = source.code_names(code)
        found: set[source.Chain] = {(name,) for name in read}
        for name in read:
            value = names.get(name)
            if isinstance(value, types.ModuleType) and self._ours(value.__name__):
                found |= {(name, attribute) for attribute in read if hasattr(value, attribute)}
        return self._references(found, names)

    def _resolve(
        self, chain: source.Chain, names: dict[str, Any]
    ) -> tuple[object, dict[str, Any], str]:
        """Follow a name through modules of the package, to its value and where it is bound."""
        last = chain[0]
        value = names.get(last, _MISSING)
        if value is not _MISSING or last not in builtins.__dict__:
            self._known.names.append((names, last, value))
        for name in chain[1:]:
            if not isinstance(value, types.ModuleType) or not self._ours(value.__name__):
                break
            names, last = value.__dict__, name
            value = getattr(value, name, _MISSING)
            self._known.names.append((names, last, names.get(name, _MISSING)))
        return value, names, last

    def _imports(self, said: source.Text, names: dict[str, Any]) -> list[str]:
        """Refer to what the function itself imports from its package when it runs."""
        parts = []
        for name, level, attribute in said.imports:
            value = self._imported("." * level + name, attribute, names.get("__package__"))
            if value is not _MISSING:
                parts.append(f"{name}.{attribute}->{self._reference(value)}")
        return parts

    def _imported(self, name: str, attribute: str | None, package: str | None) -> object:
        try:
            full = importlib.util.resolve_name(name, package)
            if not self._ours(full):
                return _MISSING
            value: object = importlib.import_module(full)
            if attribute is None:
                return value
            found = getattr(value, attribute, _MISSING)
            if found is _MISSING:
                found = importlib.import_module(f"{full}.{attribute}")
        except Exception:
            return _MISSING
        return found

    def _reference(self, value: Any, home: dict[str, Any] | None = None, name: str = "") -> str:
        """Return what stands for something that is named: its number, name, content or text."""
        if isinstance(value, types.FunctionType):
            inside = self._ours(_module_name(value)) or not _importable(value)
            return self._number(value) if inside else f"{value.__module__}.{value.__qualname__}"
        if isinstance(value, type):
            return self._number(value) if self._ours(value.__module__) else type_name(value)
        if isinstance(value, types.ModuleType):
            return self._number(value) if self._ours(value.__name__) else value.__name__
        kind = self._reference(type(value))
        wrapped = getattr(value, "__wrapped__", None)
        if isinstance(wrapped, types.FunctionType):
            return f"{kind}({self._reference(wrapped)})"
        if _immutable(value):
            with contextlib.suppress(UnkeyableError):
                return content_key(value)
        return f"{kind} {self._assignment(home, name)}"

    def _assignment(self, names: dict[str, Any] | None, name: str) -> str:
        """Return the text of the statements that bind a name in its module."""
        for _ in range(20):  # imports of imports
            file = (
                source.module(names["__file__"], names) if names and "__file__" in names else None
            )
            if names is None or file is None:
                return ""
            statements = file.assignments.get(name, [])
            match statements:
                case [ast.ImportFrom() as statement]:
                    pass
                case _:
                    return "\n".join(map(source.text, statements))
            original = {a.asname or a.name: a.name for a in statement.names}[name]
            relative = "." * statement.level + (statement.module or "")
            full = importlib.util.resolve_name(relative, names.get("__package__"))
            if not self._ours(full) or full not in sys.modules:
                return f"{full}.{original}"
            names, name = sys.modules[full].__dict__, original
        return ""

    def _value(self, where: str, func: types.FunctionType, value: Any) -> str:
        """Return what stands for a value that the function holds: all of its content, and what the
        classes of the instances in it do."""
        if isinstance(value, types.FunctionType | type | types.ModuleType):
            return self._reference(value)
        if type(value) is object or value is _MISSING:
            return type_name(type(value))  # a mark, which has no content
        try:
            key, classes = key_and_classes(value)
        except (UnkeyableError, RecursionError) as error:
            kind = type_name(type(value))
            problem = error.what if isinstance(error, UnkeyableError) else "It is too deep."
            self._problem = self._problem or f"{where} {func.__qualname__!r}: {problem}"
            return kind
        if not _immutable(value):
            self._known.mutable.append((value, key))
        return "".join([key, *map(self._reference, classes)])

    def _number(self, item: Any) -> str:
        if id(item) not in self._numbers:
            self._numbers[id(item)] = len(self._items)
            self._items.append(item)
        return f"#{self._numbers[id(item)]}"

    def _ours(self, module: str) -> bool:
        return module.partition(".")[0] == self._package


# --- small questions about functions and classes -------------------------------------------------


def _module_name(func: types.FunctionType) -> str:
    return str(func.__globals__.get("__name__", ""))  # __module__ may be copied from another


def _package(item: types.FunctionType | type) -> str:
    name = item.__module__ if isinstance(item, type) else _module_name(item)
    return name.partition(".")[0]


def _importable(func: types.FunctionType) -> bool:
    return "<" not in func.__qualname__


def _still(value: object, text: str) -> bool:
    """Return whether a value that may change in place still has the content it had."""
    try:
        return content_key(value) == text
    except UnkeyableError:
        return False


def _content(cell: types.CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:
        return _MISSING  # not bound yet


def _defaults(func: types.FunctionType) -> list[tuple[str, object]]:
    given = func.__defaults__ or ()
    names = func.__code__.co_varnames[: func.__code__.co_argcount]
    last = names[len(names) - len(given) :]
    return [*zip(last, given, strict=True), *sorted((func.__kwdefaults__ or {}).items())]


def _functions(member: object) -> list[types.FunctionType]:
    """Return the functions in a member of a class."""
    parts = [
        member,
        *(getattr(member, name, None) for name in ("__func__", "fget", "fset", "func")),
    ]
    return [part for part in parts if isinstance(part, types.FunctionType)]


def _immutable(value: object) -> bool:
    if type(value) in (tuple, frozenset):
        return all(map(_immutable, value))  # type: ignore[call-overload]
    return type(value) in _IMMUTABLE


# --- functions and classes as values -------------------------------------------------------------


def _function_content(func: types.FunctionType) -> str:
    if _importable(func) and _in_library(func.__code__.co_filename):
        return f"{func.__module__}.{func.__qualname__}"
    definition = function_definition(func)
    if definition.unkeyable is not None:
        raise UnkeyableError(definition.unkeyable)
    return definition.hash


def _class_content(cls: type) -> str:
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    if file is None or _in_library(file):
        return type_name(cls)
    known = recall(cls)
    if known.definition.unkeyable is not None:
        raise UnkeyableError(known.definition.unkeyable)
    return f"{type_name(cls)} {known.definition.hash}"


def _in_library(filename: str) -> bool:
    return filename.startswith(("<frozen", _LIBRARY)) or "site-packages" in filename


register_key(types.FunctionType, _function_content)
register_key(type, _class_content)
