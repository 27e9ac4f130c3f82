import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import functools
import io
import math
import os
import pathlib
import random
import re
import subprocess
import sys
import types
import uuid
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies as st

from hypergraph.content import content_key, register_key
from hypergraph.errors import UnkeyableError
from hypergraph.execution.keys import node_key
from hypergraph.nodes.definition import function_definition

TRICKY = [
    None, False, True, 0, 1, -1, 2**70, 0.0, -0.0, 1.0, math.inf, 1j, "", "1",
    "i1;", "N", "é", "\ud800",
    "\n", b"", b"1", decimal.Decimal(1), decimal.Decimal("1.0"), fractions.Fraction(1),
    dt.date(2024, 1, 1),
    dt.timedelta(1), uuid.UUID(int=1), "x" * 100, b"x" * 100,
]  # fmt: skip
scalars = st.sampled_from(TRICKY) | st.integers() | st.floats() | st.text() | st.binary()
hashables = scalars | st.tuples(scalars, scalars) | st.frozensets(st.sampled_from(TRICKY))
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner)
        | st.dictionaries(hashables, inner, max_size=3)
        | st.sets(hashables, max_size=3)
    ),
    max_leaves=6,
)


def canonical(value):
    """The content of a value as nested tuples that compare by type and value: the plain rule."""
    kind = type(value)
    if kind in (list, tuple):
        return (kind, tuple(map(canonical, value)))
    if kind in (set, frozenset):
        return (kind, frozenset(map(canonical, value)))
    if kind is dict:
        return (kind, frozenset((canonical(k), canonical(v)) for k, v in value.items()))
    if kind in (float, complex):
        return (kind, repr(value))
    if kind is decimal.Decimal:
        return (kind, value.as_tuple())
    return (kind, value)


@given(values, values)
def test_keys_are_equal_exactly_when_contents_are(one, other):
    assert (content_key(one) == content_key(other)) == (canonical(one) == canonical(other))


@given(values)
def test_a_key_is_short_printable_ascii(value):
    key = content_key(value)
    assert key.isascii()
    assert key.isprintable()
    assert len(key) <= 200


@given(st.dictionaries(hashables, values, max_size=6), st.randoms())
def test_the_order_of_a_dict_does_not_matter(mapping, random):
    items = list(mapping.items())
    random.shuffle(items)
    assert content_key(dict(items)) == content_key(mapping)


@given(st.lists(values, max_size=3), st.lists(values, max_size=3))
def test_node_keys_are_equal_exactly_when_inputs_are(one, other):
    keys = [node_key("p", dict(zip("abc", inputs))) for inputs in (one, other)]
    assert (keys[0] == keys[1]) == (canonical(one) == canonical(other))


class Color(enum.Enum):
    RED = 1
    BLUE = 2


class Perm(enum.Flag):
    R = 1
    W = 2


@dataclasses.dataclass
class Point:
    x: int
    y: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Slotted:
    x: int


@dataclasses.dataclass
class OtherPoint:
    x: int
    y: int = 0


def named():
    return 1


Pair = namedtuple("Pair", "a b")  # noqa: PYI024 - the older kind is meant


def test_values_that_look_alike_have_different_keys():
    different = [
        None, True, 1, 1.0, "1", b"1", bytearray(b"1"), decimal.Decimal(1), fractions.Fraction(1),
        1 + 0j, complex(1, -0.0), 0, 0.0, -0.0, False, math.nan, math.inf, -math.inf,
        "", b"", "N", "nan",
        [1], (1,), {1}, frozenset({1}), {1: 1}, deque([1]), deque([1], maxlen=1),
        range(1), range(2),
        [], (), set(), frozenset(), {}, OrderedDict(), Counter(), defaultdict(list),
        defaultdict(int),
        [[1], 2], [[1, 2]], [1, [2]], [1, 2], ["1", "2"], ["12"], ["1,2"], "i1;", ["a",
        "bs1:c"], ["abs1:", "c"],
        OrderedDict(a=1, b=2), OrderedDict(b=2, a=1), {"a": 1, "b": 2},
        dt.date(2024, 1, 1), dt.datetime.fromisoformat('2024-01-01'), dt.time(0), dt.timedelta(1),
        dt.timedelta(seconds=1),
        dt.datetime(2024, 1, 1, tzinfo=dt.UTC), dt.datetime(2024, 1, 1, tzinfo=ZoneInfo("UTC")),
        dt.datetime.fromisoformat('2024-01-01').replace(fold=1), uuid.UUID(int=1), re.compile("a"),
        re.compile("a", re.IGNORECASE), re.compile(b"a"),
        pathlib.PurePosixPath("a"), pathlib.PureWindowsPath("a"), Color.RED,
        Color.BLUE, Perm.R, Perm.R | Perm.W,
        Point(1), Point(1, 1), OtherPoint(1), Slotted(1), Slotted(2), Pair(1, 0),
        {"x": 1, "y": 0}, (1, 0),
        types.SimpleNamespace(x=1), slice(1), ..., len, sum, str.lower, str, int, Point, OtherPoint,
        list[int], list[str], int | str,
        functools.partial(pow, 2), functools.partial(pow, 3), "x" * 300, b"x" * 300,
        bytearray(300), ["x" * 300],
        named, canonical, lambda: 1, lambda: 2,
    ]  # fmt: skip
    assert len({content_key(value) for value in different}) == len(different)


def test_a_function_is_keyed_by_what_it_is():
    space = {}
    exec("def f(x): return 1\ndef g(x): return 2", space)
    assert content_key(space["f"]) != content_key(space["g"])
    assert function_definition(named).hash in content_key(named)


def test_declared_fields_of_other_libraries_count():
    msgspec = pytest.importorskip("msgspec")
    kind = msgspec.defstruct("Kind", [("x", int), ("y", int, 0)])
    assert content_key(kind(1)) == content_key(kind(1)) != content_key(kind(2))


def test_equal_values_made_apart_have_one_key():
    assert content_key(Point(1, 2)) == content_key(Point(y=2, x=1))
    assert content_key({1: "a", "1": "b", (1,): "c"}) == content_key({(1,): "c", "1": "b", 1: "a"})
    assert content_key(Counter("aab")) == content_key(Counter("baa"))
    shared = [1, 2]
    assert content_key([shared, shared]) == content_key([[1, 2], [1, 2]])
    assert content_key(math.nan) == content_key(float("nan"))


def test_state_beside_the_fields_of_an_instance_counts():
    one, other = Point(1), Point(1)
    other.extra = 5
    assert content_key(one) != content_key(other)


def test_values_of_unknown_content_are_refused():
    class Plain:
        pass

    class MyList(list):
        pass

    @dataclasses.dataclass
    class Hidden(list):
        x: int = 0

    for value in [
        Plain(),
        object(),
        MyList(),
        Hidden(),
        iter([]),
        io.StringIO(),
        [].append,
        [Plain()],
    ]:
        with pytest.raises(UnkeyableError):
            content_key(value)


def test_a_value_inside_itself_is_refused_and_deep_ones_do_not_crash():
    loop = []
    loop.append({"again": loop})
    with pytest.raises(UnkeyableError, match="contains itself"):
        content_key(loop)
    deep = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(UnkeyableError, match="levels deep"):
        content_key(deep)
    while deep:
        deep = deep[0]


def test_shared_parts_are_encoded_once():
    value = [1]
    for _ in range(80):  # 2 ** 80 parts if each was visited
        value = [value, value]
    assert content_key(value).startswith("D") or len(content_key(value)) < 200


def test_a_registered_class_is_keyed_by_what_it_says():
    class Model:
        def __init__(self, name):
            self.name = name
            self.client = object()

    register_key(Model, lambda model: model.name)
    assert content_key(Model("a")) == content_key(Model("a")) != content_key(Model("b"))

    class Sub(Model):
        pass

    with pytest.raises(UnkeyableError):
        content_key(Sub("a"))


def test_arrays_go_by_dtype_shape_and_bytes():
    np = pytest.importorskip("numpy")
    base = np.arange(600, dtype="i4")
    assert (
        content_key(base)
        == content_key(base.copy())
        == content_key(np.array(list(range(600)), "i4"))
    )
    assert content_key(base[::2]) == content_key(base[::2].copy())
    assert content_key(base.reshape(20, 30).T) == content_key(base.reshape(20, 30).T.copy())
    different = [
        base, base.astype("i8"), base.astype("f4"), base.reshape(20, 30),
        base.reshape(30, 20), base[::2],
        base.astype(">i4"),
        base.view("M8[s]").copy() if base.itemsize == 8 else base.astype("M8[s]"),
        base.tolist(), np.int32(1), np.int64(1), 1, np.array(1, "i4"), np.array([1],
        "i4"), np.array([], "i4"),
        np.array([], "f4"), np.zeros((0, 3)), np.array(["a"]), np.array(["a"], object),
        np.array([1, "a"], object),
        np.array([(1, 2)], [("a", "i4"), ("b", "i4")]), np.array([(1, 2)], [("a",
        "i4"), ("c", "i4")]),
        np.float64(1), np.bool_(True), np.str_("a"),
    ]  # fmt: skip
    assert len({content_key(value) for value in different}) == len(different)
    objects = np.array([[1, 2], 3], object)
    assert content_key(objects) == content_key(np.array([[1, 2], 3], object))
    with pytest.raises(UnkeyableError):
        content_key(np.array([object()]))
    with pytest.raises(UnkeyableError):
        content_key(np.ma.array([1], mask=[True]))


STABLE = """
from hypergraph.content import content_key
import enum, re
class E(enum.Enum):
    A = "a"
value = {"b": {"x", "y", "z", 1, None}, "a": [1.5, frozenset("hello")], 3: E.A, 4: re.compile("x")}
print(content_key(value), content_key(set(map(str, range(100)))))
"""


def test_keys_are_the_same_in_every_process():
    seen = {
        subprocess.run(
            [sys.executable, "-c", STABLE],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "4242")
    }
    assert len(seen) == 1


def test_a_node_key_starts_with_the_node_and_stays_short():
    key = node_key("abc", {"text": "x" * 10_000, "other": list(range(1000))})
    assert key.startswith("abc|")
    assert len(key) < 210
    assert node_key("abc", {"é": 1}).isascii()


def test_inputs_go_by_their_place_so_that_renamed_ports_keep_the_key():
    assert node_key("p", {"a": 1, "b": 2}) == node_key("p", {"x": 1, "y": 2})
    assert node_key("p", {"a": 1, "b": 2}) != node_key("p", {"a": 2, "b": 1})
    assert node_key("p", {}) != node_key("q", {})


def test_an_unkeyable_input_is_named_without_its_value():
    class Secret:
        def __repr__(self):
            return "hunter2"

    with pytest.raises(UnkeyableError) as caught:
        node_key("p", {"ok": 1, "client": Secret()})
    assert "input 'client'" in str(caught.value)
    assert "Secret" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_an_object_that_keeps_content_in_c_has_no_key():
    @dataclasses.dataclass
    class Dice(random.Random):
        sides: int

    @dataclasses.dataclass
    class Queue(deque):
        size: int

    for value in (Dice(6), Queue(6)):
        with pytest.raises(UnkeyableError):
            content_key(value)
