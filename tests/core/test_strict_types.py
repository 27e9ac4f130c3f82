"""``strict_types=True``: annotations along every data edge fit, or the graph is not built."""

import sys
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import pytest

from hypergraph import END, Graph, InterruptNode, TypeRouteNode, node, route
from hypergraph.errors import GraphConfigError

if TYPE_CHECKING:
    from somewhere import Thing

T = TypeVar("T")
NOTHING = object()


class Animal:
    pass


class Dog(Animal):
    pass


def producer(kind, *, output="value", generator=False, is_async=False):
    if is_async:

        async def make():
            yield 1
    elif generator:

        def make():
            yield 1
    else:

        def make():
            return 1

    make.__annotations__ = {} if kind is NOTHING else {"return": kind}
    return node(make, output_name=output)


def consumer(kind, name="value"):
    def use(value):
        return value

    use.__annotations__ = {} if kind is NOTHING else {"value": kind}
    return node(use, rename_inputs={"value": name}, output_name="used")


def built(given, wanted):
    Graph([producer(given), consumer(wanted)], strict_types=True)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (int, int),
        (Dog, Animal),
        (bool, int),
        (int, float),
        (int, complex),
        (float, complex),
        (int, int | str),
        (int, int | None | str),
        (None, int | None),
        (list[int], list[int]),
        (list[int], Sequence[int]),
        (list[int], Iterable),
        (list[int], list),
        (dict[str, int], dict[str, Any]),
        (Literal["a"], str),
        (Literal["a"], Literal["a", "b"]),
        (type[Dog], type[Animal]),
        ("int", "int"),
        (int, object),
        (Any, int),
        (int, Any),
        (NOTHING, int),
        (int, NOTHING),
        (int, T),
    ],
)
def test_what_fits(given, wanted):
    built(given, wanted)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (str, int),
        (Animal, Dog),
        (float, int),
        (int | str, int),
        (int | None, int),
        (list[int], list[str]),
        (Sequence[int], list[int]),
        (dict[str, int], dict[str, str]),
        (Literal["c"], Literal["a", "b"]),
        (None, int),
        ("str", "int"),
    ],
)
def test_what_does_not_fit(given, wanted):
    with pytest.raises(
        GraphConfigError, match=r"'make' produces 'value' as .*, and 'use' takes it as"
    ):
        built(given, wanted)
    Graph([producer(given), consumer(wanted)])  # types are looked at only when asked for


def test_the_message_says_what_where_and_how_to_fix_it():
    with pytest.raises(GraphConfigError) as caught:
        Graph([producer(str), consumer(list[int])], name="main", strict_types=True)
    error = caught.value
    assert error.what == "'make' produces 'value' as str, and 'use' takes it as list[int]."
    assert error.where == "graph 'main'"
    assert error.fix == (
        "change one of the two annotations, or put a node between them that converts."
    )


def test_names_may_be_changed_on_both_sides():
    made = producer(str).with_outputs(value="text")
    with pytest.raises(GraphConfigError, match="produces 'text' as str"):
        Graph([made, consumer(int, "text")], strict_types=True)
    Graph([made, consumer(str, "text")], strict_types=True)


def test_several_outputs_are_the_parts_of_a_tuple():
    for kind in (tuple[str, int], tuple[int, ...], tuple, NOTHING):
        Graph([producer(kind, output=("text", "value")), consumer(int)], strict_types=True)
    with pytest.raises(GraphConfigError, match="'value' as str"):
        Graph([producer(tuple[int, str], output=("n", "value")), consumer(int)], strict_types=True)
    with pytest.raises(GraphConfigError, match="has 2 outputs and is annotated to return 3"):
        Graph(
            [producer(tuple[int, int, int], output=("n", "value")), consumer(int)],
            strict_types=True,
        )


@pytest.mark.parametrize(
    ("kind", "wanted", "refused"),
    [
        (Iterator[str], str, int),
        (Iterator[bytes], bytes, str),
        (Iterator[int], list[int], int),
        (Iterable[Dog], list[Dog], Dog),
        (str, str, int),
        (Iterator, str, None),
        (NOTHING, int, None),
    ],
)
def test_a_generator_gives_its_collected_chunks(kind, wanted, refused):
    made = producer(kind, generator=True)
    Graph([made, consumer(wanted)], strict_types=True)
    if refused is not None:
        with pytest.raises(GraphConfigError, match="produces 'value'"):
            Graph([made, consumer(refused)], strict_types=True)


def test_an_async_generator_too():
    made = producer(AsyncIterator[int], is_async=True)
    Graph([made, consumer(list[int])], strict_types=True)
    with pytest.raises(GraphConfigError, match=r"as list\[int\]"):
        Graph([made, consumer(int)], strict_types=True)


def test_gates_and_cycles_are_checked():
    def decide(value: str):
        return END

    with pytest.raises(GraphConfigError, match="'decide' takes it as str"):
        Graph(
            [producer(int), consumer(int), route(targets=["use", END])(decide)], strict_types=True
        )

    def step(count: int) -> str:
        return ""

    with pytest.raises(GraphConfigError, match="'step' produces 'count' as str, and 'step' takes"):
        Graph([node(step, output_name="count")], strict_types=True)


def test_interrupts_and_type_routes():
    ask = InterruptNode("ask", "draft", "value", response_type=bool)
    Graph([ask, consumer(int)], strict_types=True)
    Graph([InterruptNode("ask", "draft", "value"), consumer(str)], strict_types=True)
    with pytest.raises(GraphConfigError, match="'ask' produces 'value' as bool"):
        Graph([ask, consumer(str)], strict_types=True)
    kind = TypeRouteNode("kind", "value", {int: "use", str: END})
    Graph([producer(int), kind, consumer(int)], strict_types=True)


def test_a_nested_graph_has_the_types_of_its_nodes():
    inner = Graph([producer(str)], name="inner").as_node()
    with pytest.raises(GraphConfigError, match="'inner' produces 'value' as str"):
        Graph([inner, consumer(int)], strict_types=True)
    Graph([inner, consumer(str)], strict_types=True)
    taking = Graph([consumer(int)], name="taking").as_node()
    with pytest.raises(GraphConfigError, match="'taking' takes it as int"):
        Graph([producer(str), taking], strict_types=True)
    Graph([producer(int), taking], strict_types=True)
    deep = Graph([inner], name="deep").as_node().with_outputs(value="text")
    with pytest.raises(GraphConfigError, match="'deep' produces 'text' as str"):
        Graph([deep, consumer(int, "text")], strict_types=True)


def test_a_mapped_graph_takes_items_and_gives_lists():
    mapped = Graph([consumer(int)], name="mapped").as_node().map_over("value")
    Graph([producer(list[int]), mapped], strict_types=True)
    Graph([producer(Iterable[int]), mapped], strict_types=True)
    for kind in (list[str], int):
        with pytest.raises(GraphConfigError, match=r"'mapped' takes it as .*Iterable"):
            Graph([producer(kind), mapped], strict_types=True)

    def shout(text: str) -> str:
        return text

    lists = Graph([node(shout, output_name="value")], name="lists").as_node().map_over("text")
    Graph([lists, consumer(list[str])], strict_types=True)
    with pytest.raises(GraphConfigError, match=r"'lists' produces 'value' as list\[str\]"):
        Graph([lists, consumer(str)], strict_types=True)


def unreadable(value: "Thing") -> "Thing":
    return value


def test_annotations_that_cannot_be_read():
    nodes = [producer(int), node(unreadable)]
    Graph(nodes)
    with pytest.raises(
        GraphConfigError, match="'unreadable' cannot be read: name 'Thing' is not"
    ) as caught:
        Graph(nodes, strict_types=True)
    assert "TYPE_CHECKING" in caught.value.fix


@pytest.mark.parametrize("annotation", ["sys.Thing", "int int"])
def test_annotations_that_are_no_types_name_their_node(annotation):
    def wrong(value):
        return value

    wrong.__annotations__ = {"value": annotation}
    with pytest.raises(GraphConfigError, match="'wrong' cannot be read"):
        Graph([producer(int), node(wrong)], strict_types=True)


def test_types_are_read_only_when_asked_for(monkeypatch):
    monkeypatch.delitem(sys.modules, "hypergraph.graph.typecheck", raising=False)
    Graph([producer(str), consumer(int)])
    assert "hypergraph.graph.typecheck" not in sys.modules
