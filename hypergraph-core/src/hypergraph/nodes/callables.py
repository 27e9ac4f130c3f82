"""What a callable is that is no plain function: partials, methods, instances, classes, builtins.

Rule of this file: a callable is taken apart into the functions and classes it runs, which count by
their definitions, and the values it holds, which count by their content.
"""

from __future__ import annotations

import functools
import types
from typing import Any

from hypergraph.content import content_key, digest, type_name
from hypergraph.errors import UnkeyableError
from hypergraph.nodes.definition import Definition, KnownDefinition, recall

_BUILTINS = (types.BuiltinFunctionType, types.MethodDescriptorType, types.WrapperDescriptorType)


_TRANSPARENT = (staticmethod, type(functools.lru_cache(len)))  # they add nothing to a result


def known_definition(func: Any) -> KnownDefinition:
    """Return what a callable is, as something that can say whether it still holds.

    For what is not a plain function it is worked out anew each time, as what such a callable holds may
    change unseen.
    """
    if isinstance(func, types.FunctionType):
        return recall(func)
    texts: list[str] = []
    problem: str | None = None
    todo = [func]
    while todo:
        item = todo.pop()
        if isinstance(item, (types.FunctionType, type)):
            known = recall(item).definition
            texts.append(known.hash)
            problem = problem or known.unkeyable
            continue
        inner, held = _taken_apart(item)
        todo += inner
        try:
            texts.append(f"{type_name(type(item))}({content_key(held)})")
        except UnkeyableError as error:
            texts.append(type_name(type(item)))
            problem = problem or error.what
    definition = Definition(hash=digest("|".join(texts)).removeprefix("D"), unkeyable=problem)
    return KnownDefinition(definition, [], [], [], mutable=[(None, "")])


def _taken_apart(item: Any) -> tuple[list[Any], Any]:
    """Return the callables inside a callable, and the value it holds."""
    if isinstance(item, functools.partial):
        return [item.func], (item.args, item.keywords)
    if isinstance(item, types.MethodType):
        owner = item.__self__
        return [item.__func__, *([] if isinstance(owner, type) else [type(owner)])], owner
    if isinstance(item, _BUILTINS):
        owner = getattr(item, "__self__", None)
        held = owner.__name__ if isinstance(owner, types.ModuleType) else owner
        return [], (item.__qualname__, held)
    if isinstance(item, _TRANSPARENT):
        return [item.__wrapped__], None
    wrapped = [item.__wrapped__] if callable(getattr(item, "__wrapped__", None)) else []
    return [type(item), *wrapped], item  # all of its class: a method may call others
