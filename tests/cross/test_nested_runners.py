"""A nested graph on a runner of its own: how it is called, what it inherits, and who hears of it."""

import asyncio
import contextvars
import threading

import pytest

from hypergraph import END, BaseRunner, Graph, MemoryCache, RunnerCapabilities, branch, node
from hypergraph.errors import (
    IncompatibleRunnerError,
    InfiniteLoopError,
    RunnerAPIError,
    RunnerNotFoundError,
)
from hypergraph.events import NodeStartEvent, RunStartEvent
from hypergraph.results import RunResult, RunStatus
from hypergraph.runners import register, unregister
from hypergraph_runner_sync import SyncRunner

TENANT = contextvars.ContextVar("tenant", default="nobody")


class Toy(BaseRunner):
    """A third party's runner: no more than it has to be. It notes where it was called."""

    capabilities = RunnerCapabilities()

    def __init__(self, result=None):
        self.result = result
        self.seen = []

    def run(self, graph, inputs=None, *, values=None, **options):
        self.seen.append((threading.current_thread(), TENANT.get(), dict(inputs)))
        return SyncRunner().run(graph, inputs) if self.result is None else self.result

    def map(self, graph, *args, **options):
        raise NotImplementedError


class AsyncToy(Toy):
    capabilities = RunnerCapabilities(returns_coroutine=True)

    async def run(self, graph, inputs=None, *, values=None, **options):
        await asyncio.sleep(0)
        return Toy.run(self, graph, inputs)


class OnlyStraight(Toy):
    capabilities = RunnerCapabilities(supports_cycles=False, supports_gates=False)


@node(output_name="doubled")
def double(x):
    return 2 * x


@node(output_name="n", cache=False)
def step(n):
    return n + 1


@node(output_name="after")
def after(n):
    return n


@branch(when_true="step", when_false=END)
def below(n, limit=3):
    return n < limit


@branch(when_true="step", when_false=END)
def chosen(flag):
    return flag


INNER = Graph([double], name="inner")
LOOP = Graph([step, below], name="loop")
MAYBE = Graph([chosen, step.with_inputs(n="m")], name="maybe")
toys = pytest.mark.parametrize("toy", [Toy, AsyncToy])


@toys
def test_a_runner_that_only_implements_run_serves_a_nested_graph(toy):
    nested = toy()
    graph = Graph([INNER.as_node(runner=nested).with_inputs(x="y").with_outputs(doubled="z")])
    assert SyncRunner().run(graph, {"y": 2}) == {"z": 4}
    ((thread, _, inputs),) = nested.seen
    assert thread is threading.current_thread()
    assert inputs == {"x": 2}


@toys
def test_it_also_works_inside_a_running_event_loop(toy):
    nested = toy()

    async def main():
        TENANT.set("acme")
        return SyncRunner().run(Graph([INNER.as_node(runner=nested)]), {"x": 2})

    assert asyncio.run(main()) == {"doubled": 4}
    ((thread, tenant, _),) = nested.seen
    assert tenant == "acme"
    assert (thread is threading.current_thread()) is (toy is Toy)


@toys
def test_each_item_of_a_mapped_graph_is_a_run_of_its_runner(toy):
    nested = toy()
    graph = Graph([INNER.as_node(runner=nested).map_over("x")])
    assert SyncRunner().run(graph, {"x": [1, 2]}) == {"doubled": [2, 4]}
    assert [inputs for _, _, inputs in nested.seen] == [{"x": 1}, {"x": 2}]


@toys
def test_a_run_result_is_taken_for_its_values(toy):
    graph = Graph([INNER.as_node(runner=toy(RunResult(values={"doubled": 7})))])
    assert SyncRunner().run(graph, {"x": 1}) == {"doubled": 7}


@toys
def test_a_failed_result_fails_the_run_with_its_error(toy):
    error = ArithmeticError()
    failed = RunResult(values={"doubled": 7}, status=RunStatus.FAILED, error=error)
    with pytest.raises(ArithmeticError) as caught:
        SyncRunner().run(Graph([INNER.as_node(runner=toy(failed))], name="main"), {"x": 1})
    assert caught.value is error
    assert error.__notes__ == ["hypergraph: node 'inner' of graph 'main' failed; inputs: x"]


@toys
def test_a_result_that_is_none_is_refused(toy):
    with pytest.raises(RunnerAPIError, match="returned int"):
        SyncRunner().run(Graph([INNER.as_node(runner=toy(7))]), {"x": 1})


@pytest.mark.parametrize(
    ("toy", "kind"),
    [
        (Toy, ArithmeticError),
        (Toy, StopIteration),  # cannot leave a coroutine: Python makes it a RuntimeError
        (Toy, KeyboardInterrupt),
        (AsyncToy, ArithmeticError),
        (AsyncToy, KeyboardInterrupt),
    ],
)
def test_what_a_node_raises_arrives_as_the_same_object(toy, kind):
    error = kind()

    def fail(x):
        raise error

    inner = Graph([node(fail)], name="inner").as_node(runner=toy())
    with pytest.raises(kind) as caught:
        SyncRunner().run(Graph([inner], name="main"), {"x": 1})
    assert caught.value is error
    if isinstance(error, Exception):
        assert error.__notes__ == [
            "hypergraph: node 'inner/fail' of graph 'main' failed; inputs: x"
        ]


def test_an_explicit_runner_wins_and_the_rest_inherits():
    nested, deeper = Toy(), Toy()
    deep = Graph([INNER.as_node(runner=deeper)], name="deep")
    plain = INNER.as_node(name="plain").with_inputs(x="a").with_outputs(doubled="b")
    graph = Graph([deep.as_node(runner=nested), plain])
    assert SyncRunner().run(graph, {"x": 1, "a": 2}) == {"doubled": 2, "b": 4}
    assert (len(nested.seen), len(deeper.seen)) == (1, 1)


def test_with_runner_changes_and_takes_back():
    nested = Toy()
    inner = INNER.as_node()
    assert inner.with_runner(nested).runner is nested
    assert inner.with_runner(nested).with_runner(None).runner is None
    assert inner.runner is None


def test_a_runner_may_be_an_instance_a_class_or_a_name():
    register("toy", Toy)
    try:
        for runner in (Toy(), Toy, "toy", f"{SyncRunner.__module__}:SyncRunner", "sync"):
            graph = Graph([INNER.as_node(runner=runner)])
            assert SyncRunner().run(graph, {"x": 1}) == {"doubled": 2}
        assert type(INNER.as_node(runner="toy").runner) is Toy
    finally:
        unregister("toy")
    with pytest.raises(RunnerNotFoundError, match="Did you mean 'sync'"):
        INNER.as_node(runner="sinc")


def test_a_runner_that_does_not_fit_is_refused_when_it_is_given():
    with pytest.raises(IncompatibleRunnerError, match="OnlyStraight doesn't support cycles"):
        LOOP.as_node(runner=OnlyStraight())
    with pytest.raises(IncompatibleRunnerError, match="gates"):
        MAYBE.as_node().with_runner(OnlyStraight)
    outer = Graph(
        [Graph([LOOP.as_node().with_outputs(n="m")], name="middle").as_node(name="nested")]
    )
    with pytest.raises(IncompatibleRunnerError) as caught:
        outer.as_node(name="whole", runner=OnlyStraight)
    assert caught.value.node == "nested/loop/step"


def test_an_explicit_runner_frees_the_parent_from_a_feature():
    async def fetch(x):
        return x

    class Awaiting(AsyncToy):
        capabilities = RunnerCapabilities(returns_coroutine=True, supports_async_nodes=True)

        async def run(self, graph, inputs=None, **options):
            (only,) = graph.nodes.values()
            return {"fetch": await only.func(**inputs)}

    inner = Graph([node(fetch)], name="inner")
    assert SyncRunner().run(Graph([inner.as_node(runner=Awaiting())]), {"x": 1}) == {"fetch": 1}
    with pytest.raises(IncompatibleRunnerError):
        SyncRunner().run(Graph([inner.as_node()]), {"x": 1})


@pytest.mark.parametrize("runner", [None, SyncRunner(), Toy(), AsyncToy()])
def test_what_a_nested_graph_did_not_produce_does_not_exist_outside(runner):
    graph = Graph([MAYBE.as_node(runner=runner), after])
    assert SyncRunner().run(graph, {"m": 1, "flag": True}) == {"n": 2, "after": 2}
    assert SyncRunner().run(graph, {"m": 1, "flag": False}) == {}


def test_max_iterations_and_session_are_inherited():
    graph = Graph([LOOP.as_node(runner=SyncRunner())])
    assert SyncRunner().run(graph, {"n": 0}, max_iterations=3) == {"n": 3}
    with pytest.raises(InfiniteLoopError):
        SyncRunner().run(graph, {"n": 0}, max_iterations=2)


class Listener:
    def __init__(self):
        self.events = []

    def on_event(self, event):
        self.events.append(event)


def test_the_parents_listeners_hear_of_the_nested_run():
    parent, own = Listener(), Listener()
    nested = SyncRunner(event_processors=[own])
    graph = Graph([LOOP.as_node(runner=nested).map_over("n")], name="main")
    SyncRunner(event_processors=[parent]).run(graph, {"n": [0, 1]}, session_id="s")
    outer, *items = (e for e in parent.events if isinstance(e, RunStartEvent))
    holder = next(e for e in parent.events if isinstance(e, NodeStartEvent))
    assert [(e.map_index, e.map_size, e.session_id) for e in items] == [(0, 2, "s"), (1, 2, "s")]
    assert {e.parent_span_id for e in items} == {holder.span_id}
    assert {e.parent_run_id for e in items} == {outer.run_id}
    assert own.events == [e for e in parent.events if e.run_id != outer.run_id]


def test_a_listener_of_both_runners_is_told_everything_once():
    listener = Listener()
    runner = SyncRunner(event_processors=[listener])
    deep = Graph([INNER.as_node(runner=runner)], name="deep")
    runner.run(Graph([deep.as_node(runner=runner)]), {"x": 1})
    assert len(listener.events) == 12
    assert len({id(event) for event in listener.events}) == 12


def test_each_runner_uses_its_own_cache():
    outer, inner = MemoryCache(), MemoryCache()
    graph = Graph([INNER.as_node(runner=SyncRunner(inner)), after.with_inputs(n="x")])
    for _ in range(2):
        assert SyncRunner(outer).run(graph, {"x": 1}) == {"doubled": 2, "after": 1}
    assert (len(outer), len(inner)) == (1, 1)
    bare = Graph([INNER.as_node(runner=SyncRunner())])
    SyncRunner(cache := MemoryCache()).run(bare, {"x": 1})
    assert len(cache) == 0
