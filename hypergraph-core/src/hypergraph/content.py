"""What a value is, as text: equal content gives equal text, on every machine and in every process.

Rule of this file: every encoding says its type and where it ends, so no two different values share
one (long ones are replaced by their SHA-256 digest). A value whose content is not known for certain
raises `UnkeyableError`; nothing is guessed from memory addresses, ``repr`` or pickles.
"""

from __future__ import annotations

import datetime as dt
import functools
import re
import types
import uuid
from array import array
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from hashlib import sha256
from pathlib import PosixPath, PurePosixPath, PureWindowsPath, WindowsPath
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from hypergraph.errors import UnkeyableError

T = TypeVar("T")

MAX_DEPTH = 100  # containers within containers
MAX_TEXT = 200  # characters; what is longer is digested
_SHORT = 64
_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE: what every class statement makes
_C_METHODS = (types.MethodDescriptorType, types.WrapperDescriptorType)
_OPEN_BASES = frozenset(  # made in C, without content that cannot be seen
    {"builtins.object", "msgspec.Struct", "msgspec._core._StructMixin"}
)
_PLAIN_KINDS = frozenset("biufcmMSUV")  # numpy dtypes whose bytes are their content

_REGISTERED: dict[type, Callable[[Any], object]] = {}


def content_key(value: object) -> str:
    """Return a text of at most about 200 characters that stands for the content of ``value``.

    Raises `UnkeyableError` when the content cannot be known for certain, when the value contains
    itself, or when it is nested more than 100 levels deep.
    """
    scalar = SCALARS.get(type(value))
    return scalar(value) if scalar is not None else _Walk().encode(value)


def key_and_classes(value: object) -> tuple[str, list[type]]:
    """Return the `content_key` of a value, and the classes whose instances it holds, by name.

    A key says of an instance what it holds and not what its methods do.
    """
    walk = _Walk()
    text = walk.encode(value)
    return text, sorted(walk.classes, key=type_name)


def register_key(cls: type[T], content: Callable[[T], object]) -> None:
    """Say what the content of values of exactly this class is, for cache keys.

    ``content(value)`` returns something keyable that differs whenever the values differ, for
    instance a tuple of plain values. Subclasses are not covered: they may hold more.
    """
    _REGISTERED[cls] = content


def shorten(text: str) -> str:
    """Return the text itself when it is short, else ``D`` and its digest."""
    return text if len(text) <= MAX_TEXT else digest(text)


def digest(text: str) -> str:
    """Return ``D`` and the SHA-256 digest of a text."""
    return _digest("D", text.encode())


def type_name(cls: type) -> str:
    """Return ``module.QualName``."""
    return f"{cls.__module__}.{cls.__qualname__}"


# --- values that hold no other values: one function each, no state ------------------------------


def _digest(tag: str, data: bytes | bytearray | memoryview) -> str:
    return f"{tag}{sha256(data).hexdigest()}"


def _int(value: int) -> str:
    return "i" + hex(value) + ";"  # hex, as decimal digits of a long integer take quadratic time


def _float(value: float) -> str:
    return f"f{value!r};"


def _complex(value: complex) -> str:
    return f"c{value.real!r},{value.imag!r};"


def _str(value: str) -> str:
    # Only printable ASCII goes in as it is, so that a key is fit for every store and log.
    if len(value) <= _SHORT and value.isascii() and value.isprintable():
        return f"s{len(value)}:{value}"
    return _digest("S", value.encode("utf-8", "surrogatepass"))


def _bytes(value: bytes) -> str:
    return f"b{value.hex()};" if len(value) <= _SHORT else _digest("B", value)


def _bytearray(value: bytearray) -> str:
    return f"y{value.hex()};" if len(value) <= _SHORT else _digest("Y", value)


def _object(name: str, parts: Iterable[str]) -> str:
    encoded = list(parts)
    return f"o{_str(name)}{len(encoded)}:{''.join(encoded)}"


def _plain(name: str, fields: Callable[[Any], tuple[Any, ...]]) -> Callable[[Any], str]:
    """Encode a type of the standard library by its name and its scalar fields."""

    def encode(value: Any) -> str:
        return shorten(_object(name, map(content_key, fields(value))))

    return encode


def _moment(value: dt.datetime | dt.time) -> tuple[Any, ...]:
    zone = value.tzinfo
    if zone is None:
        return (value.isoformat(), value.fold)
    if type(zone) is dt.timezone:
        return (value.isoformat(), value.fold, str(zone.utcoffset(None)), zone.tzname(None))
    if type(zone) is ZoneInfo and zone.key:
        return (value.isoformat(), value.fold, zone.key)
    raise _unkeyable(type(zone))


def _builtin(value: Any) -> str:
    if not isinstance(value.__self__, types.ModuleType | None):
        raise UnkeyableError(
            "A bound method of a built-in value cannot be keyed.",
            fix="pass the value itself, or a function",
        )
    return _object("builtin", (_str(f"{value.__module__}.{value.__qualname__}"),))


SCALARS: dict[type, Callable[[Any], str]] = {
    type(None): lambda _: "N",
    bool: lambda value: "T" if value else "F",
    int: _int,
    float: _float,
    complex: _complex,
    str: _str,
    bytes: _bytes,
    bytearray: _bytearray,
    type(Ellipsis): lambda _: "E",
}
SCALARS |= {
    Decimal: _plain("Decimal", lambda v: (str(v),)),
    Fraction: _plain("Fraction", lambda v: (v.numerator, v.denominator)),
    range: _plain("range", lambda v: (v.start, v.stop, v.step)),
    uuid.UUID: _plain("UUID", lambda v: (v.int,)),
    dt.datetime: _plain("datetime", _moment),
    dt.time: _plain("time", _moment),
    dt.date: _plain("date", lambda v: (v.isoformat(),)),
    dt.timedelta: _plain("timedelta", lambda v: (v.days, v.seconds, v.microseconds)),
    re.Pattern: _plain("Pattern", lambda v: (v.pattern, v.flags)),
    array: _plain("array", lambda v: (v.typecode, v.tobytes())),
    PosixPath: _plain("PosixPath", lambda v: (str(v),)),
    WindowsPath: _plain("WindowsPath", lambda v: (str(v),)),
    PurePosixPath: _plain("PurePosixPath", lambda v: (str(v),)),
    PureWindowsPath: _plain("PureWindowsPath", lambda v: (str(v),)),
    types.BuiltinFunctionType: _builtin,
    types.MethodDescriptorType: _plain("method", lambda v: (type_name(v.__objclass__), v.__name__)),
}


# --- values that hold others ---------------------------------------------------------------------


class _Walk:
    """One pass over one value; remembers what it has seen, so shared parts are encoded once."""

    __slots__ = ("_depth", "_seen", "classes")

    def __init__(self) -> None:
        self._depth = 0
        self.classes: set[type] = set()  # of instances, whose methods the text does not tell
        # The value is kept beside its text: an id is only unique while its object lives.
        self._seen: dict[int, tuple[object, str | None]] = {}

    def encode(self, value: object) -> str:
        cls = type(value)
        scalar = SCALARS.get(cls)
        if scalar is not None:
            return scalar(value)
        seen = self._seen.get(id(value))
        if seen is not None:
            if seen[1] is None:
                raise UnkeyableError("A value that contains itself cannot be keyed.", fix=_FIX)
            return seen[1]
        if self._depth >= MAX_DEPTH:
            raise UnkeyableError(
                f"A value nested more than {MAX_DEPTH} levels deep cannot be keyed.", fix=_FIX
            )
        self._seen[id(value)] = (value, None)
        self._depth += 1
        text = shorten(_encoder(cls)(value, self))
        self._depth -= 1
        self._seen[id(value)] = (value, text)
        return text

    def each(self, values: Iterable[object]) -> Iterator[str]:
        return map(self.encode, values)

    def pairs(self, mapping: Mapping[Any, Any]) -> list[str]:
        return [self.encode(key) + self.encode(value) for key, value in mapping.items()]


_FIX = (
    "pass plain data, or tell its content: "
    "from hypergraph.content import register_key; register_key(cls, function)"
)
_Encoder = Callable[[Any, _Walk], str]


def _unkeyable(cls: type) -> UnkeyableError:
    name = type_name(cls)
    return UnkeyableError(f"A value of type {name} cannot be keyed.", fix=_FIX, type_name=name)


def _sequence(tag: str) -> _Encoder:
    return lambda value, walk: f"{tag}{len(value)}:{''.join(map(walk.encode, value))}"


def _set(tag: str) -> _Encoder:
    return lambda value, walk: f"{tag}{len(value)}:{''.join(sorted(map(walk.encode, value)))}"


def _dict(value: dict[Any, Any], walk: _Walk) -> str:
    return f"d{len(value)}:{''.join(sorted(walk.pairs(value)))}"


_CONTAINERS: dict[type, _Encoder] = {
    list: _sequence("l"),
    tuple: _sequence("t"),
    set: _set("e"),
    frozenset: _set("z"),
    dict: _dict,
    Counter: lambda v, walk: _object("Counter", sorted(walk.pairs(v))),
    OrderedDict: lambda v, walk: _object("OrderedDict", walk.pairs(v)),
    defaultdict: lambda v, walk: _object(
        "defaultdict", [walk.encode(v.default_factory), *sorted(walk.pairs(v))]
    ),
    deque: lambda v, walk: _object("deque", [walk.encode(v.maxlen), *walk.each(v)]),
    types.SimpleNamespace: lambda v, walk: _object("SimpleNamespace", [walk.encode(v.__dict__)]),
    types.MethodType: lambda v, walk: _object(
        "method", walk.each((v.__func__, type(v.__self__), v.__self__))
    ),
    functools.partial: lambda v, walk: _object("partial", walk.each((v.func, v.args, v.keywords))),
    slice: lambda v, walk: _object("slice", walk.each((v.start, v.stop, v.step))),
}
_CONTAINERS[types.GenericAlias] = lambda v, walk: _object(
    "alias", walk.each((v.__origin__, v.__args__))
)
_CONTAINERS[type(int | str)] = lambda v, walk: _object("union", sorted(walk.each(v.__args__)))


def _encoder(cls: type) -> _Encoder:
    """Return how values of exactly this class are encoded."""
    if cls in _REGISTERED:
        return _registered
    if cls in _CONTAINERS:
        return _CONTAINERS[cls]
    if issubclass(cls, type):
        return _class
    if issubclass(cls, Enum):
        return _enum
    if cls.__module__ == "numpy" and hasattr(cls, "dtype") and hasattr(cls, "tobytes"):
        return _numpy
    if issubclass(cls, tuple) and hasattr(cls, "_fields") and _bases_known(cls, tuple):
        return _namedtuple
    if _declares_fields(cls) and _bases_known(cls):
        return _instance
    raise _unkeyable(cls)


def _registered(value: object, walk: _Walk) -> str:
    return _instance_object(value, walk, [walk.encode(_REGISTERED[type(value)](value))])


def _class(value: type, walk: _Walk) -> str:
    content = _REGISTERED.get(type, type_name)
    return _object("type", [walk.encode(content(value))])


def _enum(value: Enum, walk: _Walk) -> str:
    return _instance_object(value, walk, walk.each((value.name, value.value)))


def _namedtuple(value: tuple[Any, ...], walk: _Walk) -> str:
    return _instance_object(value, walk, walk.each((tuple(value), _state(value))))


def _instance(value: object, walk: _Walk) -> str:
    return _instance_object(value, walk, [walk.encode(_state(value))])


def _instance_object(value: object, walk: _Walk, parts: Iterable[str]) -> str:
    walk.classes.add(type(value))
    return _object(type_name(type(value)), parts)


def _declares_fields(cls: type) -> bool:
    """Whether the class says what its instances hold: dataclass, attrs, pydantic or msgspec."""
    return any(
        hasattr(cls, mark)
        for mark in (
            "__dataclass_fields__",
            "__attrs_attrs__",
            "__pydantic_validator__",
            "__struct_fields__",
        )
    )


def _bases_known(cls: type, *known: type) -> bool:
    """Whether no base keeps content in C, where it cannot be seen."""
    return all(
        base in known or type_name(base) in _OPEN_BASES or _made_by_a_class_statement(base)
        for base in cls.__mro__
    )


def _made_by_a_class_statement(cls: type) -> bool:
    """Whether the class is plain Python. C may make heap types as well; those bring methods in C."""
    return bool(cls.__flags__ & _HEAP_TYPE) and not any(
        isinstance(member, _C_METHODS) and member.__objclass__ is cls
        for member in cls.__dict__.values()
    )


def _state(value: object) -> dict[str, Any]:
    """Return all that the instance holds: its ``__dict__`` and the slots of all its classes."""
    state = dict(getattr(value, "__dict__", {}))
    for cls in type(value).__mro__:
        for name, member in cls.__dict__.items():
            if isinstance(member, types.MemberDescriptorType) and name != "__weakref__":
                try:
                    state[f"{cls.__qualname__}.{name}"] = member.__get__(value, cls)
                except AttributeError:
                    continue  # an empty slot
    return state


def _numpy(value: Any, walk: _Walk) -> str:
    dtype = value.dtype
    if dtype.kind in "OT":
        content = walk.encode(value.reshape(-1).tolist())
    elif dtype.kind not in _PLAIN_KINDS or dtype.hasobject:
        raise _unkeyable(type(value))
    elif getattr(value, "ndim", 0) and value.flags.c_contiguous and value.nbytes > MAX_TEXT:
        content = _digest("B", value.reshape(-1).view("u1").data)
    else:
        content = _bytes(value.tobytes())
    name = f"{dtype.str} {dtype.name}" if dtype.names is None else repr(dtype)
    return _object(type_name(type(value)), [_str(name), walk.encode(value.shape), content])


def content_or_type(value: object) -> str:
    """Return the content of a value, or where that is not known, its type."""
    try:
        return content_key(value)
    except UnkeyableError:
        return type_name(type(value))
