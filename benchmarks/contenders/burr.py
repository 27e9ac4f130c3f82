"""Burr: its graph built once, one application per run, no tracker and no persister.

A state machine runs one action after another, so what is parallel or cached has no counterpart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from burr.core import ApplicationBuilder, Condition, State, action, default
from burr.core.graph import GraphBuilder
from burr.lifecycle import PostRunStepHook, PreRunStepHook

from benchmarks import functions
from benchmarks.contenders import burr_async

Call = Callable[[], Any]


def as_action(step: Callable[[Any], Any]) -> Any:
    @action(reads=["value"], writes=["value"])
    def act(state: State) -> State:
        return state.update(value=step(state["value"]))

    return act


def chain_graph(steps: Sequence[Callable[[Any], Any]]) -> Any:
    names = [step.__name__ for step in steps]
    builder = GraphBuilder().with_actions(**{n: as_action(s) for n, s in zip(names, steps)})
    return builder.with_transitions(*pairwise(names)).build()


def chain(directory: Path, size: int, *hooks: Any) -> Call:
    graph = chain_graph(functions.functions_of(functions.chain(directory, size)))

    def run() -> int:
        builder = ApplicationBuilder().with_graph(graph).with_state(value=0).with_entrypoint("v1")
        application = (builder.with_hooks(*hooks) if hooks else builder).build()
        _, _, state = application.run(halt_after=[f"v{size}"])
        return state["value"]

    return run


class Listener(PreRunStepHook, PostRunStepHook):
    """Does the least a listener can do."""

    def pre_run_step(self, **told: Any) -> None:
        pass

    def post_run_step(self, **told: Any) -> None:
        pass


class Counter(PreRunStepHook, PostRunStepHook):
    """Counts what a listener is told."""

    told = 0

    def pre_run_step(self, **told: Any) -> None:
        self.told += 1

    def post_run_step(self, **told: Any) -> None:
        self.told += 1


def listener(directory: Path, size: int) -> Call:
    counter = Counter()
    chain(directory, size, counter)()
    assert counter.told >= 2 * size
    return chain(directory, size, Listener())


def loop(directory: Path, size: int) -> Call:
    module = functions.step(directory)
    step, again = module.n, module.again

    @action(reads=["n"], writes=["n"])
    def count(state: State) -> State:
        return state.update(n=step(state["n"]))

    @action(reads=["n"], writes=[])
    def done(state: State) -> State:
        return state

    more = Condition.lmda(lambda state: again(state["n"], state["stop"]), ["n", "stop"])
    builder = GraphBuilder().with_actions(count=count, done=done)
    graph = builder.with_transitions(("count", "count", more), ("count", "done", default)).build()

    def run() -> int:
        builder = ApplicationBuilder().with_graph(graph).with_state(n=0, stop=size)
        _, _, state = builder.with_entrypoint("count").build().run(halt_after=["done"])
        return state["n"]

    return run


def map_total(directory: Path, size: int) -> Call:
    module = functions.item(directory)
    make_a, make_b, make_c = module.a, module.b, module.c

    @action(reads=["x"], writes=["a"])
    def node_a(state: State) -> State:
        return state.update(a=make_a(state["x"]))

    @action(reads=["a"], writes=["b"])
    def node_b(state: State) -> State:
        return state.update(b=make_b(state["a"]))

    @action(reads=["a", "b"], writes=["c"])
    def node_c(state: State) -> State:
        return state.update(c=make_c(state["a"], state["b"]))

    builder = GraphBuilder().with_actions(node_a=node_a, node_b=node_b, node_c=node_c)
    graph = builder.with_transitions(("node_a", "node_b"), ("node_b", "node_c")).build()

    def one(x: int) -> int:
        builder = ApplicationBuilder().with_graph(graph).with_state(x=x)
        _, _, state = builder.with_entrypoint("node_a").build().run(halt_after=["node_c"])
        return state["c"]

    return lambda: sum([one(x) for x in range(size)])


def build(directory: Path, size: int) -> Call:
    steps = functions.functions_of(functions.chain(directory, size))
    return lambda: len(chain_graph(steps).actions)


PREPARE = {
    "chain": chain,
    "listener": listener,
    "loop": loop,
    "map": map_total,
    "build": build,
    **burr_async.PREPARE,
}
