"""Gates: nodes whose return value selects what runs next.

Rule of this file: a gate has targets and no outputs; ``decide`` turns what its function returned into
the targets it selects, and refuses everything else by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import (
    TYPE_CHECKING,
    Any,
    Final,
    Generic,
    Never,
    ParamSpec,
    TypeAlias,
    TypedDict,
    TypeVar,
    Unpack,
    final,
    overload,
)

from hypergraph.errors import GraphConfigError, RouteError, did_you_mean
from hypergraph.nodes.base import check_name
from hypergraph.nodes.function import CallableNode
from hypergraph.nodes.signature import describe

if TYPE_CHECKING:
    from datetime import timedelta

    from hypergraph.nodes.policy import RetryPolicy

P = ParamSpec("P")
R = TypeVar("R")

_put = object.__setattr__


@final
class EndType:
    """The type of ``END``, the target that selects nothing."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "END"

    def __reduce__(self) -> str:
        return "END"

    def __copy__(self) -> EndType:
        return self

    def __deepcopy__(self, memo: Any) -> EndType:
        return self


END: Final = EndType()

Target: TypeAlias = str | EndType


class GateOptions(TypedDict, total=False):
    """What every gate over a function takes besides its targets, for type checkers."""

    name: str | None
    rename_inputs: Mapping[str, str] | None
    cache: bool
    retry: RetryPolicy | None
    timeout: float | timedelta | None


class GateNode(CallableNode):
    """A node that selects among ``targets`` (node names, or ``END``)."""

    __slots__ = ("targets",)

    targets: tuple[Target, ...]
    multi_target: bool = False
    is_gate = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the plain function."""
        return self.func(*args, **kwargs)

    def decide(self, value: Any) -> tuple[Target, ...]:
        """Return the targets that ``value``, returned by the function, selects.

        Raises ``RouteError`` when it names none of the targets.
        """
        raise NotImplementedError

    def _gate(
        self,
        func: Callable[..., Any],
        targets: Sequence[Target],
        *,
        name: str | None = None,
        rename_inputs: Mapping[str, str] | None = None,
        cache: bool = False,
        retry: RetryPolicy | None = None,
        timeout: float | timedelta | None = None,
    ) -> None:
        self._wrap(func, name, (), cache, retry, timeout)
        where = f"gate {self.name!r}"
        for target in targets:
            if target is not END:
                check_name(target, "target", where)
        if self.is_generator:
            raise GraphConfigError(
                f"Gate {self.name!r} is a generator.",
                where=where,
                fix="return the decision instead.",
            )
        _put(self, "targets", tuple(dict.fromkeys(targets)))
        if rename_inputs:
            self._rename_in_place(rename_inputs)

    def _identity(self) -> tuple[Any, ...]:
        return (*super()._identity(), self.targets)

    @property
    def _where(self) -> str:
        return f"gate {self.name!r}, {describe(self.func)}"

    def _refuse(self, problem: str, fix: str) -> RouteError:
        return RouteError(
            f"Gate {self.name!r} {problem}",
            where=self._where,
            fix=fix,
            targets=tuple(map(str, self.targets)),
        )

    def _no_target(self, value: Any) -> RouteError:
        """Say that ``value`` is no target. A string is shown only through its nearest target."""
        names = [target for target in self.targets if isinstance(target, str)]
        hint = ""
        if isinstance(value, str):  # anything else is not compared: its == may do as it likes
            is_end = value == str(END) and END in self.targets
            hint = " END is written without quotes." if is_end else did_you_mean(value, names)
        listed = ", ".join(map(repr, self.targets))
        return self._refuse(
            f"returned a value of type {type(value).__name__} that is none of its targets.{hint}",
            f"return one of {listed}{', or None' if not self.multi_target else ''}.",
        )


class BranchNode(GateNode, Generic[P, R]):
    """A gate over the truth of a value; made by ``@branch``."""

    __slots__ = ("when_true", "when_false")

    when_true: Target
    when_false: Target

    def __init__(
        self,
        func: Callable[P, R],
        *,
        when_true: Target,
        when_false: Target,
        **options: Unpack[GateOptions],
    ) -> None:
        self._gate(func, (when_true, when_false), **options)
        _put(self, "when_true", when_true)
        _put(self, "when_false", when_false)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the plain function."""
        return self.func(*args, **kwargs)  # type: ignore[no-any-return]

    def _identity(self) -> tuple[Any, ...]:
        return (*super()._identity(), self.when_true, self.when_false)

    def decide(self, value: Any) -> tuple[Target, ...]:
        """Return the target for the truth of ``value``. Raises ``RouteError`` for ``None``."""
        if value is None:
            raise self._refuse("returned None.", "return True or False on every path.")
        return (self.when_true if value else self.when_false,)


class RouteNode(GateNode, Generic[P, R]):
    """A gate that names its target; made by ``@route``."""

    __slots__ = ("fallback", "multi_target")

    fallback: Target | None
    multi_target: bool

    def __init__(
        self,
        func: Callable[P, R],
        *,
        targets: Sequence[Target],
        fallback: Target | None = None,
        multi_target: bool = False,
        **options: Unpack[GateOptions],
    ) -> None:
        if not isinstance(targets, Sequence) or isinstance(targets, str) or not targets:
            raise GraphConfigError(
                "A route needs a list of targets.",
                where=f"function {describe(func)}",
                fix='write @route(targets=["a", "b", END]).',
            )
        everything = (*targets, fallback) if fallback is not None else tuple(targets)
        self._gate(func, everything, **options)
        _put(self, "fallback", fallback)
        _put(self, "multi_target", multi_target)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the plain function."""
        return self.func(*args, **kwargs)  # type: ignore[no-any-return]

    def _identity(self) -> tuple[Any, ...]:
        return (*super()._identity(), self.fallback, self.multi_target)

    def decide(self, value: Any) -> tuple[Target, ...]:
        """Return the targets that ``value`` names; ``None`` takes the fallback, if there is one.

        Raises ``RouteError`` for a name outside the targets, for a list from a one-target gate, and
        for anything but a list, tuple or set from a ``multi_target`` gate.
        """
        if value is None:
            return () if self.fallback is None else (self.fallback,)
        if not self.multi_target:
            return (self._checked(value),)
        if not isinstance(value, (list, tuple, set, frozenset)):
            raise self._refuse(
                f"returned a value of type {type(value).__name__} in place of a list of targets.",
                "return a list, since multi_target=True; an empty one selects nothing.",
            )
        chosen = {self._checked(item) for item in value}
        return tuple(target for target in self.targets if target in chosen)

    def _checked(self, value: Any) -> Target:
        for target in self.targets:
            if value is target or (isinstance(value, str) and value == target):
                return target
        raise self._no_target(value)


class TypeRouteNode(GateNode):
    """A gate over the type of one value: the nearest class in its method resolution order wins.

    ``TypeRouteNode("kind", "item", routes={str: "read_text", bytes: "decode"}, fallback=END)``
    """

    __slots__ = ("routes", "fallback")

    routes: Mapping[type, Target]
    fallback: Target | None

    def __init__(
        self,
        name: str,
        input_param: str,
        routes: Mapping[type, Target],
        fallback: Target | None = None,
    ) -> None:
        check_name(name, "node name", "TypeRouteNode")
        if not isinstance(routes, Mapping) or not routes:
            raise GraphConfigError(
                "A TypeRouteNode needs at least one route.",
                where=f"gate {name!r}",
                fix='give routes={SomeType: "target"}.',
            )
        for kind in routes:
            if not isinstance(kind, type):
                raise GraphConfigError(
                    f"A {type(kind).__name__} is not a type to route by.",
                    where=f"gate {name!r}",
                    fix="use classes as the keys of routes=.",
                )
        check_name(input_param, "input name", f"gate {name!r}")
        everything = (*routes.values(), *(() if fallback is None else (fallback,)))
        self._gate(_type_of, everything, name=name, rename_inputs={"value": input_param})
        _put(self, "routes", MappingProxyType(dict(routes)))
        _put(self, "fallback", fallback)

    def _identity(self) -> tuple[Any, ...]:
        routes = [(f"{k.__module__}.{k.__qualname__}", v) for k, v in self.routes.items()]
        return (*super()._identity(), *routes, self.fallback)

    @property
    def _where(self) -> str:
        return f"gate {self.name!r}"  # the function is not the user's

    def decide(self, value: Any) -> tuple[Target, ...]:
        """Return the target of the nearest class. Raises ``RouteError`` without one or a fallback."""
        for kind in value.__mro__:
            if kind in self.routes:
                return (self.routes[kind],)
        if self.fallback is not None:
            return (self.fallback,)
        raise self._refuse(
            f"has no route for a {value.__name__}.",
            "add the type to routes=, or give a fallback=.",
        )


def _type_of(value: Any) -> type:
    return type(value)


@overload
def branch(
    *,
    when_true: Target,
    when_false: Target,
    name: str | None = None,
    rename_inputs: Mapping[str, str] | None = None,
    cache: bool = False,
    retry: RetryPolicy | None = None,
    timeout: float | timedelta | None = None,
) -> Callable[[Callable[P, R]], BranchNode[P, R]]: ...
@overload
def branch(bare: Callable[..., Any], /) -> Never: ...
def branch(bare: Any = None, /, **options: Any) -> Any:
    """Make a function a gate over the truth of what it returns.

    ``@branch(when_true="a", when_false=END)``. ``retry`` and ``timeout`` are those of ``@node``. Raises
    ``GraphConfigError`` for invalid names.
    """
    if bare is not None or not {"when_true", "when_false"} <= options.keys():
        raise GraphConfigError(
            "@branch needs a target for each answer.",
            where=f"function {describe(bare)}" if callable(bare) else "@branch",
            fix='write @branch(when_true="a", when_false=END).',
        )
    return partial(BranchNode, **options)


@overload
def route(
    *,
    targets: Sequence[Target],
    fallback: Target | None = None,
    multi_target: bool = False,
    name: str | None = None,
    rename_inputs: Mapping[str, str] | None = None,
    cache: bool = False,
    retry: RetryPolicy | None = None,
    timeout: float | timedelta | None = None,
) -> Callable[[Callable[P, R]], RouteNode[P, R]]: ...
@overload
def route(bare: Callable[..., Any], /) -> Never: ...
def route(bare: Any = None, /, **options: Any) -> Any:
    """Make a function a gate that returns the name of its target, or ``END``.

    ``fallback`` is taken on ``None``; without one ``None`` selects nothing. ``multi_target=True``: the
    function returns a list. ``retry`` and ``timeout`` are those of ``@node``. Raises
    ``GraphConfigError`` for invalid targets.
    """
    if bare is not None or "targets" not in options:
        raise GraphConfigError(
            "@route needs its targets.",
            where=f"function {describe(bare)}" if callable(bare) else "@route",
            fix='write @route(targets=["a", "b", END]).',
        )
    return partial(RouteNode, **options)
