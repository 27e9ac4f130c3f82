"""Stored values without the classes that they are of.

Rule of this file: a name in a pickle is imported only if somebody asked to see the values; otherwise,
and where it cannot be imported, a stand-in takes its place, which knows the name and runs nothing.
"""

from __future__ import annotations

import contextlib
import io
import pickle
from functools import cache
from typing import Any

from hypergraph.serialization import PickleSerializer


class _Named(type):
    """A class of stand-ins, which in a value may also stand for a class or a function itself."""

    kind: str

    def __repr__(cls) -> str:
        return f"<{cls.kind}, cannot be loaded here>"


class StandIn(metaclass=_Named):
    """In the place of an object: takes whatever its pickle does to it, and keeps nothing."""

    kind = "object"

    def __new__(cls: Any, *args: Any, **_: Any) -> Any:
        """Make one; what a helper such as ``_reconstruct(array_class, ...)`` makes is of that class."""
        name = cls.kind.rpartition(".")[2]
        if args and type(args[0]) is _Named and (name.startswith("_") or name == "rebuild"):
            return StandIn.__new__(args[0])
        return object.__new__(cls)

    def __repr__(self) -> str:
        return repr(type(self))

    def _take(self, *_: Any) -> None:
        return None

    __setstate__ = __setitem__ = append = extend = add = _take


@cache
def _stand_in(module: str, name: str) -> _Named:
    kind = f"{module}.{name}".removeprefix("builtins.")
    return _Named(name.rpartition(".")[2], (StandIn,), {"kind": kind})


def kind_of(value: Any) -> str:
    """Return the type of a value."""
    if isinstance(value, StandIn) or type(value) is _Named:
        return value.kind
    kind = type(value)
    if value is None:
        return "None"
    return f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")


def size_of(value: Any) -> int | None:
    """Return how many a plain container holds."""
    return len(value) if type(value) in (list, tuple, set, frozenset, dict) else None


class _Unpickler(pickle.Unpickler):
    def __init__(self, body: bytes | memoryview, *, importing: bool) -> None:
        super().__init__(io.BytesIO(body))
        self._importing = importing
        self.plain = True  # no name so far

    def find_class(self, module: str, name: str) -> Any:
        """Return what a name in the pickle stands for."""
        self.plain = False
        if self._importing:
            with contextlib.suppress(Exception, SystemExit):  # a module may raise anything
                return super().find_class(module, name)
        return _stand_in(module, name)


class Shown(PickleSerializer):
    """Reads values to look at: their names and types, or with ``importing`` the values themselves."""

    __slots__ = ("_importing",)

    def __init__(self, key: bytes, *, importing: bool) -> None:
        super().__init__(key)
        self._importing = importing

    def loads(self, data: bytes | memoryview, context: bytes) -> Any:
        """Return the value, or one with stand-ins. Raises `InvalidSignatureError`."""
        body = self.verified(data, context)
        if self._importing:
            with contextlib.suppress(Exception, SystemExit):  # a class may no longer take its state
                return _Unpickler(body, importing=True).load()
        return _Unpickler(body, importing=False).load()


class Sealed:
    """A value that is copied without being looked into."""

    __slots__ = ("body",)

    def __init__(self, body: bytes | memoryview) -> None:
        self.body = body


class Copied(PickleSerializer):
    """Reads values to write them elsewhere as they are, whether their classes exist here or not."""

    __slots__ = ()

    def loads(self, data: bytes | memoryview, context: bytes) -> Any:
        """Return a value of plain parts, any other `Sealed`. Raises `InvalidSignatureError`."""
        body = self.verified(data, context)
        unpickler = _Unpickler(body, importing=False)
        value = unpickler.load()
        return value if unpickler.plain else Sealed(body)

    def dumps(self, value: Any, context: bytes) -> bytes:
        """Return signed bytes for the value."""
        if isinstance(value, Sealed):
            return self.signed(value.body, context)
        return super().dumps(value, context)
