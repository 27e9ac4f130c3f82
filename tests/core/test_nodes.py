"""What makes a function a node, and what is refused."""

import copy
import functools
import inspect

import pytest

from hypergraph import END, FunctionNode, InterruptNode, TypeRouteNode, branch, node, route
from hypergraph.errors import GraphConfigError, HypergraphWarning


@node
def double(x: int) -> int:
    """Twice as much."""
    return 2 * x


def plain(a, b=2, *, c, d=4):
    return a, b, c, d


class Adder:
    def __init__(self, amount=1):
        self.amount = amount

    def __call__(self, x):
        return x + self.amount

    def add(self, x):
        return x + self.amount

    @classmethod
    def parse(cls, text):
        return cls(int(text))

    @staticmethod
    def negate(x):
        return -x

    async def wait(self, x):
        return x


class AsyncCallable:
    async def __call__(self, x):
        return x


async def fetch(url):
    return url


def count(n):
    yield from range(n)


async def stream(n):
    for i in range(n):
        yield i


def passing_on(func):
    @functools.wraps(func)
    def wrapper(*args, **kwargs):
        return func(*args, **kwargs)

    return wrapper


def test_a_bare_decorator_takes_name_inputs_and_output_from_the_function():
    assert isinstance(double, FunctionNode)
    assert (double.name, double.inputs, double.outputs) == ("double", ("x",), ("double",))
    assert double.cache is True
    assert repr(double) == "FunctionNode 'double' (x) -> double"


def test_a_node_stays_the_plain_function():
    assert double(4) == 8
    assert double(x=4) == 8
    assert inspect.signature(double) == inspect.signature(double.func)


@pytest.mark.parametrize(
    ("output_name", "outputs"),
    [
        ("y", ("y",)),
        (("q", "r"), ("q", "r")),
        (["q", "r"], ("q", "r")),
        (None, ()),
        ("a-b", ("a-b",)),
    ],
)
def test_output_names(output_name, outputs):
    assert node(output_name=output_name)(plain).outputs == outputs


@pytest.mark.parametrize(
    "output_name", [(), [], 5, {"a": 1}, ("a", 3), ("a", "a"), "a.b", "a/b", "", "1a"]
)
def test_output_names_that_are_refused(output_name):
    with pytest.raises(GraphConfigError) as caught:
        node(plain, output_name=output_name)
    assert caught.value.where.startswith("function plain (")
    assert caught.value.fix


def test_parameters_with_defaults_and_keyword_only_ones():
    made = node(plain, name="step")
    assert made.inputs == made.params == ("a", "b", "c", "d")
    assert made.keyword_only == 2
    assert [made.has_default(name) for name in made.inputs] == [False, True, False, True]
    assert (made.default("b"), made.default("d")) == (2, 4)
    with pytest.raises(KeyError):
        made.default("a")


@pytest.mark.parametrize(
    ("func", "name", "inputs"),
    [
        (functools.partial(plain, 1), None, ("b", "c", "d")),
        (functools.partial(plain, c=3), None, ("a", "b", "c", "d")),
        (Adder(), None, ("x",)),
        (lambda x: x, None, ("x",)),
        (Adder().add, "add", ("x",)),
        (Adder.parse, "parse", ("text",)),
        (Adder.negate, "negate", ("x",)),
        (Adder, "Adder", ("amount",)),
        (passing_on(plain), "plain", ("a", "b", "c", "d")),
        (functools.lru_cache(Adder.negate), "negate", ("x",)),
    ],
)
def test_every_callable_with_a_readable_signature_can_be_a_node(func, name, inputs):
    if name is None:
        with pytest.raises(GraphConfigError, match="has no name of its own") as caught:
            node(func)
        assert 'name="my_step"' in caught.value.fix
    made = node(func, name="step")
    assert (made.name, made.inputs) == ("step", inputs)
    assert made.outputs == (name or "step",)


def test_a_partials_keyword_is_a_default():
    made = node(functools.partial(plain, c=3), name="step")
    assert made.default("c") == 3
    assert made(1, b=0) == (1, 0, 3, 4)


@pytest.mark.parametrize(
    ("func", "is_async", "is_generator"),
    [
        (plain, False, False),
        (fetch, True, False),
        (count, False, True),
        (stream, True, True),
        (Adder().wait, True, False),
        (AsyncCallable(), True, False),
        (AsyncCallable, False, False),  # making an instance is not awaited
        (functools.partial(fetch), True, False),
        (functools.partial(count, 3), False, True),
        (passing_on(fetch), True, False),
        (passing_on(count), False, True),
        (passing_on(stream), True, True),
    ],
)
def test_async_functions_and_generators_are_known(func, is_async, is_generator):
    made = node(func, name="step")
    assert (made.is_async, made.is_generator) == (is_async, is_generator)


def positional(a, /, b):
    return a


def starred(*items):
    return items


def keywords(**options):
    return options


@pytest.mark.parametrize(
    ("func", "says"),
    [
        (positional, r"'a' is positional-only"),
        (starred, r"\*items has no name"),
        (keywords, r"\*\*options has no name"),
        (len, r"'obj' is positional-only"),
        (print, r"\*args has no name"),
        (max, r"cannot be read|has no name"),
        (5, r"is of type int"),
        ("plain", r"is of type str"),
        (property(plain), r"is of type property"),
        (double, r"'double' is a node already"),
    ],
)
@pytest.mark.parametrize(
    "make", [node, branch(when_true="a", when_false=END), route(targets=["a", END])]
)
def test_what_cannot_be_wired_by_name_is_refused_with_a_fix(make, func, says):
    with pytest.raises(GraphConfigError, match=says) as caught:
        make(func)
    assert caught.value.where
    assert caught.value.fix
    assert str(caught.value).endswith("docs/reference/errors.md#graph-config")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("a.b", "reserved character"),
        ("a/b", "reserved character"),
        ("", "is not a name"),
        ("1a", "is not a name"),
        ("a b", "is not a name"),
        (3, "must be a string, not int"),
        (double, "must be a string, not FunctionNode"),
    ],
)
def test_names_are_checked_wherever_one_is_given(name, says):
    for attempt in (
        lambda: node(plain, name=name),
        lambda: double.with_name(name),
        lambda: double.with_inputs(x=name),
        lambda: double.with_outputs(double=name),
        lambda: node(plain, rename_inputs={"a": name}),
        lambda: InterruptNode(name, "draft", "answer"),
        lambda: InterruptNode("ask", name, "answer"),
        lambda: InterruptNode("ask", "draft", name),
        lambda: TypeRouteNode(name, "x", {int: "a"}),
        lambda: TypeRouteNode("kind", name, {int: "a"}),
        lambda: route(targets=[name])(plain),
    ):
        with pytest.raises(GraphConfigError, match=says):
            attempt()


def returning(n):
    for _ in range(n):
        yield n
    return n


def returning_early(n):
    if n:
        return None
    with open(n):
        try:
            yield n
        finally:
            n.close()
    return


def test_a_generator_that_returns_a_value_warns_where_it_is_made():
    for decorate in (node, node(output_name="x")):
        with pytest.warns(HypergraphWarning, match="returns a value, which is ignored") as caught:
            decorate(returning)
        assert caught[0].filename == __file__
    node(returning_early)  # a warning would be an error here
    node(count)


@pytest.mark.parametrize(
    "made", [double, InterruptNode("ask", "x", "y"), route(targets=["a"])(plain)], ids=repr
)
def test_nodes_are_immutable(made):
    for name in ("name", "inputs", "anything"):
        with pytest.raises(AttributeError, match="immutable; with_name"):
            setattr(made, name, "x")
        with pytest.raises(AttributeError, match="immutable; with_name"):
            delattr(made, name)
    assert copy.copy(made) is made


def test_the_defaults_cannot_be_changed():
    for made in (double, node(plain), node(plain).with_inputs(b="z"), node(passing_on(plain))):
        with pytest.raises(TypeError, match="does not support item assignment"):
            made.defaults["x"] = 1
    assert not double.has_default("x")


@pytest.mark.parametrize("response_type", [int | str, (int, str)])
def test_answers_may_be_of_one_of_several_classes(response_type):
    ask = InterruptNode("ask", "draft", "answer", response_type=response_type)
    assert [ask.accepts(answer) for answer in (1, "x", 1.5)] == [True, True, False]
    assert ask.response_words == "int or str"
    assert InterruptNode("ask", "draft", "answer", response_type=float).accepts(1)
    count = InterruptNode("ask", "draft", "answer", response_type=int)
    assert [count.accepts(answer) for answer in (1, 1.5, True)] == [True, False, False]
    assert InterruptNode("ask", "draft", "answer", response_type=bool).accepts(True)


@pytest.mark.parametrize("response_type", ["int", list[int], (int, "str"), int | list[int]])
def test_a_response_type_is_made_of_classes(response_type):
    with pytest.raises(GraphConfigError, match="not a class") as caught:
        InterruptNode("ask", "draft", "answer", response_type=response_type)
    assert caught.value.where == "interrupt 'ask'"


def test_an_interrupt_shows_one_value_and_waits_for_another():
    ask = InterruptNode("ask", "draft", "answer", response_type=bool)
    assert (ask.inputs, ask.outputs, ask.response_type) == (("draft",), ("answer",), bool)
    renamed = ask.with_inputs(draft="text").with_outputs(answer="verdict")
    assert (renamed.input_param, renamed.response_param) == ("text", "verdict")
