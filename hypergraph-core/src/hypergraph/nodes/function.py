"""``@node``: a plain function as a step of a graph.

Rule of this file: a node stays callable as the function it wraps, with its types, and making one costs
a few microseconds whatever the function is.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping
from importlib import import_module
from operator import attrgetter
from types import MappingProxyType
from typing import (
    TYPE_CHECKING,
    Any,
    Final,
    Generic,
    NamedTuple,
    ParamSpec,
    Self,
    TypeVar,
    overload,
)

from hypergraph._deferred import deferred
from hypergraph.errors import GraphConfigError, HypergraphWarning
from hypergraph.nodes.base import HyperNode, Rename, check_name, refuse_twice
from hypergraph.nodes.signature import describe, read_signature, returns_a_value

if TYPE_CHECKING:  # reading definitions needs ast and inspect, which building a graph does not
    from datetime import timedelta

    from hypergraph.nodes.definition import KnownDefinition
    from hypergraph.nodes.policy import RetryPolicy

P = ParamSpec("P")
R = TypeVar("R")
C = TypeVar("C", bound="CallableNode")

_put = object.__setattr__
_known_definition = deferred("hypergraph.nodes.callables:known_definition")
_checked_retry = deferred("hypergraph.nodes.policy:checked_retry")
_checked_timeout = deferred("hypergraph.nodes.policy:checked_timeout")
_NO_RENAMES: tuple[Rename, ...] = ()


class _FunctionName:
    """Stands for "the function's own name", so that ``None`` can mean "no output"."""

    def __repr__(self) -> str:
        return "<the function's name>"


_FUNCTION_NAME: Final = _FunctionName()


class CallableNode(HyperNode):
    """A node that wraps a function: what ``@node``, ``@branch`` and ``@route`` have in common.

    ``func`` is the function, ``params`` its own parameter names (position by position the same as
    ``inputs``), ``defaults`` its defaults by input name, ``keyword_only`` how many of the last
    parameters must be passed by keyword. ``retry`` says when the function is called again after it
    raised, ``timeout`` how many seconds one call may take; neither belongs to the definition, as they
    do not change what the function computes.
    """

    __slots__ = (
        "func",
        "params",
        "defaults",
        "keyword_only",
        "is_async",
        "is_generator",
        "cache",
        "retry",
        "timeout",
        "known_definition",
    )

    func: Callable[..., Any]
    params: tuple[str, ...]
    defaults: Mapping[str, Any]
    keyword_only: int
    is_async: bool
    is_generator: bool
    cache: bool
    retry: RetryPolicy | None
    timeout: float | None
    known_definition: KnownDefinition | None

    def _wrap(
        self,
        func: Callable[..., Any],
        name: str | None,
        outputs: tuple[str, ...],
        cache: bool,
        retry: RetryPolicy | None,
        timeout: float | timedelta | None,
    ) -> None:
        if isinstance(func, HyperNode):
            raise GraphConfigError(
                f"{func.name!r} is a node already.",
                where=f"node {func.name!r}",
                fix="decorate a function once; use with_name() and with_outputs() to vary a node.",
            )
        params, keyword_only, defaults, is_async, is_generator = read_signature(func)
        if name is None:
            name = getattr(func, "__name__", None)
            if name is None or not name.isidentifier():
                raise GraphConfigError(
                    "The function has no name of its own.",
                    where=f"function {describe(func)}",
                    fix='name the node: node(..., name="my_step").',
                )
        else:
            check_name(name, "node name", f"function {describe(func)}")
        _put(self, "name", name)
        _put(self, "inputs", params)
        _put(self, "outputs", outputs)
        _put(self, "rename_history", _NO_RENAMES)
        _put(self, "func", func)
        _put(self, "params", params)
        _put(self, "defaults", defaults)
        _put(self, "keyword_only", len(keyword_only))
        _put(self, "is_async", is_async)
        _put(self, "is_generator", is_generator)
        _put(self, "cache", cache)
        _put(self, "retry", retry)
        _put(self, "timeout", timeout)
        _put(self, "known_definition", None)
        if retry is not None or timeout is not None:
            self._check_policies(retry, timeout)

    def _check_policies(self, retry: Any, timeout: Any) -> None:
        where = f"node {self.name!r}, {describe(self.func)}"
        if retry is not None:
            _checked_retry(retry, where)
        if timeout is not None:
            _put(self, "timeout", _checked_timeout(timeout, self.is_async, where))

    def _rename_in_place(self, renames: Mapping[str, str]) -> None:
        """Apply ``rename_inputs=`` while the node is being made."""
        renamed = self.with_inputs(renames)
        for slot in ("inputs", "defaults", "rename_history"):
            _put(self, slot, getattr(renamed, slot))

    def define(self) -> KnownDefinition:
        """Return what the function is: its hash, and whether results can be cached. Kept until a
        name it was computed from is bound anew."""
        known: KnownDefinition = _known_definition(self.func)
        _put(self, "known_definition", known)
        return known

    def _identity(self) -> tuple[Any, ...]:
        return (*self.params, self.define().definition.hash)

    def has_default(self, name: str) -> bool:
        """Say whether the function has a default for this input."""
        return name in self.defaults

    def default(self, name: str) -> Any:
        """Return the function's default for this input. Raises ``KeyError``."""
        return self.defaults[name]

    def _with_ports(
        self,
        kind: str,
        renames: dict[str, str],
        changed: tuple[str, ...],
        history: tuple[Rename, ...],
    ) -> Self:
        if kind == "output":
            return self._copy(outputs=changed, rename_history=history)
        defaults = {renames.get(name, name): value for name, value in self.defaults.items()}
        return self._copy(
            inputs=changed, defaults=MappingProxyType(defaults), rename_history=history
        )

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        return {**state, "func": _pickled(self.func), "known_definition": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        func = state["func"]
        super().__setstate__({**state, "func": func() if isinstance(func, _Decorated) else func})


class _Decorated(NamedTuple):
    """A function whose name stands for the node that wraps it, so that it is found through the node."""

    module: str
    path: str

    def __call__(self) -> Any:
        """Import the module and return the function. Raises ``AttributeError`` if it is gone."""
        found = attrgetter(self.path)(import_module(self.module))
        return found.func if isinstance(found, CallableNode) else found


def _pickled(func: Any) -> Any:
    """Return what stands for a function in a pickle: pickle would refuse a decorated one, as its name
    leads to the node. What ``__main__`` holds is left to picklers that take functions by value."""
    module, path = getattr(func, "__module__", None), getattr(func, "__qualname__", None)
    if module == "__main__" or module not in sys.modules or "<" in str(path):
        return func
    found: Any = sys.modules[module]
    for part in str(path).split("."):
        found = getattr(found, part, None)
    decorated = isinstance(found, CallableNode) and found.func is func
    return _Decorated(module, str(path)) if decorated else func


class FunctionNode(CallableNode, Generic[P, R]):
    """A function as a node; calling it calls the function."""

    __slots__ = ()

    def __init__(
        self,
        func: Callable[P, R],
        *,
        output_name: str | tuple[str, ...] | _FunctionName | None = _FUNCTION_NAME,
        name: str | None = None,
        rename_inputs: Mapping[str, str] | None = None,
        cache: bool | None = None,
        retry: RetryPolicy | None = None,
        timeout: float | timedelta | None = None,
    ) -> None:
        if output_name is _FUNCTION_NAME:
            own = getattr(func, "__name__", "")
            outputs: tuple[str, ...] = (own if own.isidentifier() else name or "",)
        else:
            outputs = _output_names(func, output_name)
        self._wrap(func, name, outputs, cache is not False, retry, timeout)
        if self.is_generator and returns_a_value(func):
            warnings.warn(
                f"Generator {describe(func)} returns a value, which is ignored: the node's output is "
                "what it yields. Yield it instead.",
                HypergraphWarning,
                stacklevel=3,
            )
        if rename_inputs:
            self._rename_in_place(rename_inputs)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the plain function."""
        return self.func(*args, **kwargs)  # type: ignore[no-any-return]

    @property
    def __wrapped__(self) -> Callable[P, R]:
        return self.func

    @property
    def __name__(self) -> str:
        return self.name


def _output_names(func: Any, given: Any) -> tuple[str, ...]:
    if type(given) is str and given.isidentifier():
        return (given,)
    if given is None:
        return ()
    where = f"function {describe(func)}"
    names = (given,) if isinstance(given, str) else given
    if not isinstance(names, (tuple, list)) or not names:
        raise GraphConfigError(
            "output_name must be a name, a tuple of names, or None.",
            where=where,
            fix='write output_name="x", output_name=("a", "b"), or output_name=None for no output.',
        )
    for name in names:
        check_name(name, "output name", where)
    refuse_twice(tuple(names), "output", where)
    return tuple(names)


@overload
def node(func: Callable[P, R], /) -> FunctionNode[P, R]: ...
@overload
def node(
    func: Callable[P, R],
    /,
    *,
    output_name: str | tuple[str, ...] | None = ...,
    name: str | None = None,
    rename_inputs: Mapping[str, str] | None = None,
    cache: bool | None = None,
    retry: RetryPolicy | None = None,
    timeout: float | timedelta | None = None,
) -> FunctionNode[P, R]: ...
@overload
def node(
    *,
    output_name: str | tuple[str, ...] | None = ...,
    name: str | None = None,
    rename_inputs: Mapping[str, str] | None = None,
    cache: bool | None = None,
    retry: RetryPolicy | None = None,
    timeout: float | timedelta | None = None,
) -> Callable[[Callable[P, R]], FunctionNode[P, R]]: ...
def node(
    func: Callable[..., Any] | None = None,
    /,
    *,
    output_name: Any = _FUNCTION_NAME,
    name: str | None = None,
    rename_inputs: Mapping[str, str] | None = None,
    cache: bool | None = None,
    retry: RetryPolicy | None = None,
    timeout: float | timedelta | None = None,
) -> Any:
    """Make a function a node, as ``@node``, ``@node(output_name="x")`` or ``node(func, ...)``.

    ``output_name``: one name (the return value is stored as it is), a tuple of names (it is unpacked),
    or ``None`` (no outputs); by default the function's name. ``rename_inputs`` maps parameter names to
    input names. ``cache=False`` keeps the node out of the runner's cache. ``retry`` says when it is
    called again after it raised. ``timeout``, in seconds or as ``timedelta``, ends each attempt that
    takes longer with a ``NodeTimeoutError``; it needs an ``async def`` function. Raises
    ``GraphConfigError`` for signatures that cannot be wired by name.
    """

    if func is None:
        return _decorator(
            output_name=output_name,
            name=name,
            rename_inputs=rename_inputs,
            cache=cache,
            retry=retry,
            timeout=timeout,
        )
    return FunctionNode(
        func,
        output_name=output_name,
        name=name,
        rename_inputs=rename_inputs,
        cache=cache,
        retry=retry,
        timeout=timeout,
    )


def _decorator(**options: Any) -> Callable[[Callable[P, R]], FunctionNode[P, R]]:
    def wrap(func: Callable[P, R]) -> FunctionNode[P, R]:
        return FunctionNode(func, **options)  # a frame of its own: a warning names the one above

    return wrap
