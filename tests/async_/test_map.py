"""``AsyncRunner.map``: one run per item, many at once."""

import anyio
import pytest

from hypergraph import Graph, node
from hypergraph.errors import GraphConfigError, InputError, MissingInputError
from hypergraph.events import RunEndEvent, RunStartEvent
from hypergraph.results import RunStatus
from hypergraph_runner_async import AsyncRunner
from hypergraph_runner_sync import SyncRunner
from tests.async_.support import LONG, Listener, NoTaskLeft, Room, in_every_lane, notes, turns
from tests.sync.support import UNCACHED_IS_FINE

pytestmark = [pytest.mark.anyio, UNCACHED_IS_FINE]


@node(output_name="pair")
async def pair(a, b):
    await anyio.lowlevel.checkpoint()
    return a, b


@node(output_name="inverse")
async def invert(a):
    await turns(3 - a if a < 3 else 0)
    return 1 / a


PAIR = Graph([pair], name="pair")
INVERT = Graph([invert], name="invert")


@in_every_lane
async def test_zip_and_product(runner):
    inputs = {"a": [1, 2], "b": "xy"}
    inputs["b"] = list(inputs["b"])
    both = await runner.map(PAIR, inputs, map_over=["a", "b"])
    assert [item["pair"] for item in both] == [(1, "x"), (2, "y")]
    every = await runner.map(PAIR, inputs, map_over=["b", "a"], map_mode="product")
    assert [item["pair"] for item in every] == [(1, "x"), (2, "x"), (1, "y"), (2, "y")]


@in_every_lane
async def test_results_are_in_item_order_whatever_finishes_first(runner):
    results = await runner.map(INVERT, {"a": [1, 2, 4]}, map_over="a")
    assert results == [{"inverse": 1}, {"inverse": 0.5}, {"inverse": 0.25}]


@in_every_lane
async def test_items_run_at_once(runner):
    room = Room(10)

    async def meet(a):
        await room.meet()
        return a

    results = await runner.map(Graph([node(meet)]), {"a": range(10)}, map_over="a")
    assert [item["meet"] for item in results] == list(range(10))


@in_every_lane
async def test_other_inputs_are_broadcast_as_they_are(runner):
    shared = [7]
    results = await runner.map(PAIR, {"a": range(3), "b": shared}, map_over="a")
    assert all(item["pair"][1] is shared for item in results)


@in_every_lane
async def test_no_item_is_no_error(runner):
    assert await runner.map(PAIR, {"a": [], "b": 1}, map_over="a") == []


@in_every_lane
async def test_items_are_begun_only_when_there_is_room(runner):
    begun = []

    async def note(a):
        begun.append(a)
        assert len(begun) - len(ended) <= 2
        await turns(3)
        ended.append(a)

    ended = []
    await runner.map(Graph([node(note)]), {"a": range(50)}, map_over="a", max_concurrency=2)
    assert sorted(ended) == list(range(50))


@in_every_lane
async def test_the_first_failure_stops_the_map_and_names_its_item(runner):
    log = []

    async def work(a):
        try:
            await turns(3)
            if a == 1:
                raise LookupError
            await anyio.sleep(LONG)
        finally:
            log.append(a)

    async with NoTaskLeft():
        with pytest.raises(LookupError) as caught:
            await runner.map(Graph([node(work)], name="g"), {"a": range(4)}, map_over="a")
    assert sorted(log) == [0, 1, 2, 3]
    (note,) = notes(caught.value)
    assert "item 1" in note
    assert "'work'" in note


@in_every_lane
async def test_on_error_return_puts_the_exception_in_its_place(runner):
    results = await runner.map(INVERT, {"a": [1, 0, 2]}, map_over="a", on_error="return")
    assert results[0] == {"inverse": 1}
    assert isinstance(results[1], ZeroDivisionError)
    assert "item 1" in notes(results[1])[0]
    assert results[2] == {"inverse": 0.5}


@in_every_lane
async def test_several_failures_come_as_a_group_on_demand(runner):
    room = Room(3)

    async def fail(a):
        await room.meet()
        raise LookupError(a)

    with pytest.raises(ExceptionGroup) as caught:
        await runner.map(Graph([node(fail)]), {"a": range(3)}, map_over="a", on_error="group")
    assert {type(error) for error in caught.value.exceptions} == {LookupError}
    assert len(caught.value.exceptions) >= 2


@in_every_lane
async def test_select_narrows_every_item(runner):
    graph = Graph([pair, node(lambda a: a, name="same")])
    results = await runner.map(graph, {"a": [1, 2], "b": 0}, map_over="a", select="same")
    assert results == [{"same": 1}, {"same": 2}]


@pytest.mark.parametrize(
    ("inputs", "options", "error"),
    [
        ({"a": [1], "b": [1, 2]}, {"map_over": ["a", "b"]}, InputError),
        ({"a": "text", "b": 1}, {"map_over": "a"}, InputError),
        ({"a": {1: 2}.keys(), "b": 1}, {"map_over": "c"}, InputError),
        ({"a": []}, {"map_over": "a"}, MissingInputError),
        ({"a": [1], "b": 1}, {"map_over": "a", "map_mode": "zap"}, (GraphConfigError, ValueError)),
        ({"a": [1], "b": 1}, {"map_over": "a", "workflow_id": "w"}, TypeError),
        ({"a": [1], "b": 1}, {"map_over": "a", "no_such_option": 1}, TypeError),
    ],
)
async def test_what_does_not_fit_is_refused(inputs, options, error):
    with pytest.raises(error):
        await AsyncRunner().map(PAIR, inputs, **options)


async def test_the_map_and_its_items_are_told():
    listener = Listener()
    runner = AsyncRunner(event_processors=[listener])
    await runner.map(PAIR, {"a": range(3), "b": 1}, map_over="a")
    outer, *items = listener.of(RunStartEvent)
    assert (outer.map_size, outer.map_index) == (3, None)
    assert sorted(item.map_index for item in items) == [0, 1, 2]
    assert {item.parent_run_id for item in items} == {outer.run_id}
    assert listener.steps()[-1] == "RunEnd"
    assert {end.status for end in listener.of(RunEndEvent)} == {RunStatus.COMPLETED}


@pytest.mark.parametrize("nested", [AsyncRunner, SyncRunner])
async def test_a_mapped_nested_graph_of_another_runner(nested):
    plain = node(lambda a, b: (a, b), name="pair")
    inner = Graph([plain], name="inner").as_node(runner=nested()).map_over("a")
    result = await AsyncRunner().run(Graph([inner]), {"a": range(20), "b": 1})
    assert result["pair"] == [(i, 1) for i in range(20)]


async def test_ten_thousand_items_with_a_limit():
    results = await AsyncRunner().map(
        PAIR, {"a": range(10_000), "b": 1}, map_over="a", max_concurrency=100
    )
    assert [item["pair"][0] for item in results] == list(range(10_000))
