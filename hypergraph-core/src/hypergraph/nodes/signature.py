"""What a function takes, read from its code object.

Rule of this file: building a graph must stay cheap, so a plain function is read from ``__code__`` in
under a microsecond; ``inspect.signature`` is only for what has no code object of its own (partials,
builtins, callable instances, wrapped functions). Types and source are never touched here.
"""

from __future__ import annotations

import dis
import inspect
from collections.abc import Callable, Mapping
from types import FunctionType, MappingProxyType
from typing import Any, NamedTuple

from hypergraph.errors import GraphConfigError

_VARIADIC = inspect.CO_VARARGS | inspect.CO_VARKEYWORDS
_GENERATORS = inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR
_COROUTINES = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
_NO_DEFAULTS: Mapping[str, Any] = MappingProxyType({})


class Signature(NamedTuple):
    """Parameters of a function in order (keyword-only ones last), their defaults, and its kind."""

    params: tuple[str, ...]
    keyword_only: tuple[str, ...]
    defaults: Mapping[str, Any]
    is_async: bool
    is_generator: bool


def read_signature(func: Callable[..., Any]) -> Signature:
    """Return the signature of ``func``.

    Raises ``GraphConfigError`` for what a graph cannot wire by name: ``*args``, ``**kwargs``,
    positional-only parameters, and things that are not callable.
    """
    if type(func) is FunctionType and not func.__dict__:
        code = func.__code__
        if not code.co_flags & _VARIADIC and not code.co_posonlyargcount:
            return _from_code(func)
    return _from_inspect(func)


def _from_code(func: FunctionType) -> Signature:
    code = func.__code__
    flags = code.co_flags
    positional = code.co_argcount
    only = code.co_kwonlyargcount
    params = code.co_varnames[: positional + only]
    values = func.__defaults__
    defaults = _NO_DEFAULTS
    if values or func.__kwdefaults__:
        last = zip(params[positional - len(values or ()) : positional], values or ())
        defaults = MappingProxyType({**dict(last), **(func.__kwdefaults__ or {})})
    return Signature(
        params,
        params[positional:] if only else (),
        defaults,
        bool(flags & _COROUTINES),
        bool(flags & _GENERATORS),
    )


def _from_inspect(func: Callable[..., Any]) -> Signature:
    where = f"function {describe(func)}"
    if not callable(func):
        raise GraphConfigError(
            f"A node wraps a function, and this is of type {type(func).__name__}.",
            where=where,
            fix="use graph.as_node() to nest a graph."
            if hasattr(func, "as_node")
            else "decorate a function with @node, or pass a callable to node(...).",
        )
    try:
        parameters = inspect.signature(func).parameters.values()
    except (TypeError, ValueError) as error:
        raise GraphConfigError(
            "The parameters of this callable cannot be read.",
            where=where,
            fix="wrap it in a function of your own: def step(x): return that_callable(x)",
        ) from error
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            stars = "*" if parameter.kind is parameter.VAR_POSITIONAL else "**"
            raise GraphConfigError(
                f"{stars}{parameter.name} has no name that a graph could wire.",
                where=where,
                fix="name each input: replace it by explicit parameters, or wrap the function.",
            )
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise GraphConfigError(
                f"Parameter {parameter.name!r} is positional-only; inputs are given by name.",
                where=where,
                fix="remove the '/' from the signature, or wrap the function.",
            )
    return Signature(
        tuple(p.name for p in parameters),
        tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY),
        MappingProxyType({p.name: p.default for p in parameters if p.default is not p.empty}),
        *_kind(func),
    )


_LONGEST = 100  # wrappers around a function; one that wraps itself has no end


def _kind(func: Callable[..., Any]) -> tuple[bool, bool]:
    """Say whether calling ``func`` gives an awaitable, and whether it gives a generator.

    A plain wrapper usually hands on what the wrapped function gives. Where it does not, the value it
    returns is taken as it is.
    """
    chain: list[Any] = [func, getattr(type(func), "__call__", None)]  # noqa: B004
    link: Any = func
    while (link := getattr(link, "__wrapped__", None)) is not None and len(chain) < _LONGEST:
        chain.append(link)
    for candidate in chain:
        if inspect.isasyncgenfunction(candidate):
            return True, True
        if inspect.iscoroutinefunction(candidate):
            return True, False
        if inspect.isgeneratorfunction(candidate):
            return False, True
    return False, False


def describe(func: Any) -> str:
    """Name a callable for a message: its qualified name and where it is defined."""
    name = getattr(func, "__qualname__", None) or type(func).__name__
    code = getattr(inspect.unwrap(func) if callable(func) else func, "__code__", None)
    return f"{name} ({code.co_filename}:{code.co_firstlineno})" if code else str(name)


_PASSED_OVER = {"SWAP", "POP_TOP", "POP_EXCEPT", "NOP", "COPY", "PRECALL", "RESUME"}


def returns_a_value(func: Callable[..., Any]) -> bool:
    """Say whether a generator function has a ``return value`` (which no caller of a node would see)."""
    code = getattr(inspect.unwrap(func), "__code__", None)
    if code is None or not code.co_flags & inspect.CO_GENERATOR:
        return False
    previous = None
    for instruction in dis.get_instructions(code):
        if instruction.opname == "RETURN_CONST" and instruction.argval is not None:
            return True
        if instruction.opname == "RETURN_VALUE" and previous not in (None, ("LOAD_CONST", None)):
            return True
        if instruction.opname not in _PASSED_OVER:
            previous = (instruction.opname, instruction.argval)
    return False
