"""The order in a generation: what starts together, what comes after, and what happens when some fail."""

import threading

import anyio
import pytest

from hypergraph import END, Graph, InterruptNode, branch, node, route
from hypergraph.errors import ConflictError
from hypergraph.events import NodeEndEvent, NodeErrorEvent
from hypergraph_runner_async import AsyncRunner
from tests.async_.support import LONG, Listener, Room, in_every_lane, notes, turns
from tests.sync.support import UNCACHED_IS_FINE

pytestmark = [pytest.mark.anyio, UNCACHED_IS_FINE]

INLINE = pytest.mark.parametrize(
    "observed", [pytest.param(False, id="unobserved"), pytest.param(True, id="observed")]
)


def runner_of(observed):
    return AsyncRunner(event_processors=[Listener()] * observed)


def coroutine(name, body, **options):
    """Return an async node of ``x`` that awaits ``body()``."""

    async def call(x):
        return await body()

    return node(call, name=name, output_name=options.get("output", name))


def function(name, body):
    def call(x):
        return body()

    return node(call, name=name, output_name=name)


def failing(error, *, after=0, log=None):
    async def fail():
        await turns(after)
        raise error

    return fail


def waiting(log, name):
    """Return what waits for ever and logs being cancelled."""

    async def wait():
        log.append(f"{name} starts")
        try:
            await anyio.sleep(LONG)
        except anyio.get_cancelled_exc_class():
            log.append(f"{name} is cancelled")
            raise

    return wait


@in_every_lane
async def test_all_async_nodes_of_a_generation_are_started_together(runner):
    room = Room(5)
    nodes = [coroutine(f"n{i}", room.meet) for i in range(3)]
    inner = Graph([coroutine("n3", room.meet)], name="inner").as_node()
    gate = branch(when_true=END, when_false="n0")(_meets(room))
    graph = Graph([gate, *nodes[1:], inner, coroutine("n4", room.meet), nodes[0]])
    assert (await runner.run(graph, {"x": 1}))["n3"] is None
    assert room.inside == 5


def _meets(room):
    async def gate(x):
        await room.meet()
        return True

    return gate


@INLINE
async def test_sync_nodes_come_after_them_one_by_one_in_declaration_order(observed):
    log = []

    def note(name):
        async def slowly():
            log.append(f"{name} starts")
            await turns(5)
            log.append(f"{name} ends")

        return slowly

    nodes = [
        function("s1", lambda: log.append("s1")),
        coroutine("a1", note("a1")),
        function("s2", lambda: log.append("s2")),
        coroutine("a2", note("a2")),
        function("s3", lambda: log.append("s3")),
    ]
    await runner_of(observed).run(Graph(nodes), {"x": 1})
    assert sorted(log[:2]) == ["a1 starts", "a2 starts"]
    assert sorted(log[2:4]) == ["a1 ends", "a2 ends"]
    assert log[4:] == ["s1", "s2", "s3"]


@INLINE
async def test_sync_nodes_run_in_the_thread_of_the_event_loop(observed):
    seen = []
    graph = Graph([function(f"s{i}", lambda: seen.append(threading.get_ident())) for i in range(3)])
    await runner_of(observed).run(graph, {"x": 1})
    assert set(seen) == {threading.get_ident()}


@INLINE
async def test_a_nested_graph_of_sync_nodes_counts_as_sync_and_one_with_async_nodes_as_async(
    observed,
):
    log, room = [], Room(2)
    plain = Graph([function("p", lambda: log.append("plain"))], name="plain").as_node()
    meet = coroutine("m", room.meet)
    mixed = Graph([meet, function("q", lambda: log.append("mixed"))], name="mixed").as_node()
    await runner_of(observed).run(Graph([plain, mixed, coroutine("a", room.meet)]), {"x": 1})
    assert log == ["mixed", "plain"]


@in_every_lane
async def test_results_are_committed_in_declaration_order_whatever_order_they_come_in(runner):
    graph = Graph([_late("a", 9), _late("b", 5), _late("c", 0)])
    result = await runner.run(graph, {"x": 1})
    assert list(result) == ["a", "b", "c"]


def _late(name, turns_):
    async def later():
        await turns(turns_)
        return name

    return coroutine(name, later)


@in_every_lane
async def test_two_writers_of_one_name_in_a_generation_are_a_conflict(runner):
    async def one(x):
        await turns(3)
        return "one"

    async def two(x):
        return "two"

    @route(targets=["one", "two"], multi_target=True)
    def both(x):
        return ["one", "two"]

    graph = Graph([both, node(one, output_name="out"), node(two, output_name="out")])
    with pytest.raises(ConflictError):
        await runner.run(graph, {"x": 1})


# --- failures ---------------------------------------------------------------------------------


@in_every_lane
async def test_a_failure_cancels_the_others_and_is_raised_as_itself(runner):
    log, error = [], LookupError()
    nodes = [
        coroutine("first", waiting(log, "first")),
        coroutine("bad", failing(error, after=3)),
        coroutine("last", waiting(log, "last")),
    ]
    with pytest.raises(LookupError) as caught:
        await runner.run(Graph(nodes, name="main"), {"x": 1})
    assert caught.value is error
    assert notes(error) == ["hypergraph: node 'bad' of graph 'main' failed; inputs: x"]
    assert sorted(log) == [
        "first is cancelled",
        "first starts",
        "last is cancelled",
        "last starts",
    ]


@INLINE
async def test_after_a_failure_no_sync_node_of_the_generation_starts(observed):
    log = []
    nodes = [function("s", lambda: log.append("s")), coroutine("a", failing(LookupError()))]
    with pytest.raises(LookupError):
        await runner_of(observed).run(Graph(nodes), {"x": 1})
    assert log == []


@INLINE
async def test_of_several_sync_failures_only_the_first_happens(observed):
    log = []

    def fail(name):
        def body():
            log.append(name)
            raise LookupError(name)

        return body

    graph = Graph([function(name, fail(name)) for name in "abc"])
    with pytest.raises(LookupError, match="a"):
        await runner_of(observed).run(graph, {"x": 1})
    assert log == ["a"]


def stubborn(error, failed_already):
    """Return what fails only when it is cancelled, as a clean-up may."""

    async def body():
        try:
            await anyio.sleep(LONG)
        except anyio.get_cancelled_exc_class():
            raise error from None

    return body


@in_every_lane
async def test_of_several_failures_the_first_in_declaration_order_is_raised(runner):
    first, second = LookupError("declared first"), LookupError("failed first")
    nodes = [coroutine("a", stubborn(first, second)), coroutine("b", failing(second, after=2))]
    with pytest.raises(LookupError) as caught:
        await runner.run(Graph(nodes), {"x": 1})
    assert caught.value is first


@in_every_lane
async def test_several_failures_come_as_a_group_on_demand(runner):
    first, second = LookupError("a"), ValueError("b")
    nodes = [
        coroutine("a", stubborn(first, second)),
        coroutine("w", waiting([], "w")),
        coroutine("b", failing(second, after=2)),
    ]
    with pytest.raises(ExceptionGroup) as caught:
        await runner.run(Graph(nodes, name="g"), {"x": 1}, on_error="group")
    assert caught.value.exceptions == (first, second)
    assert notes(first) == ["hypergraph: node 'a' of graph 'g' failed; inputs: x"]
    assert notes(second) == ["hypergraph: node 'b' of graph 'g' failed; inputs: x"]


@in_every_lane
async def test_one_failure_alone_is_no_group(runner):
    error = LookupError()
    nodes = [coroutine("a", waiting([], "a")), coroutine("b", failing(error, after=2))]
    with pytest.raises(LookupError) as caught:
        await runner.run(Graph(nodes), {"x": 1}, on_error="group")
    assert caught.value is error


@in_every_lane
async def test_a_failure_in_a_nested_graph_cancels_what_is_beside_that_graph(runner):
    log, error = [], LookupError()
    bad = Graph([coroutine("bad", failing(error, after=3))], name="inner").as_node()
    deep = Graph([coroutine("w", waiting(log, "w"))], name="deep").as_node()
    outer = Graph([deep], name="outer").as_node()
    with pytest.raises(LookupError) as caught:
        await runner.run(Graph([outer, bad], name="main"), {"x": 1})
    assert caught.value is error
    assert log == ["w starts", "w is cancelled"]
    assert notes(error) == ["hypergraph: node 'inner/bad' of graph 'main' failed; inputs: x"]


async def test_what_is_cancelled_is_told_as_such_and_every_start_has_an_end():
    listener, error = Listener(), LookupError()
    nodes = [coroutine("w", waiting([], "w")), coroutine("bad", failing(error, after=3))]
    with pytest.raises(LookupError):
        await AsyncRunner().run(Graph(nodes), {"x": 1}, event_processors=[listener])
    told = {event.node_name: event.error for event in listener.of(NodeErrorEvent)}
    assert told["bad"] is error
    assert isinstance(told["w"], anyio.get_cancelled_exc_class())
    assert listener.of(NodeEndEvent) == []
    assert listener.steps()[-1] == "RunEnd"


async def test_the_failure_of_one_interrupt_handler_is_raised_as_itself():
    error = LookupError()

    def fail(value):
        raise error

    graph = Graph([InterruptNode("ask", "x", "answer")], name="main")
    with pytest.raises(LookupError) as caught:
        await AsyncRunner().run(graph, {"x": 1}, interrupt_handlers={"ask": fail})
    assert caught.value is error
    assert notes(error) == ["hypergraph: node 'ask' of graph 'main' failed; inputs: x"]
