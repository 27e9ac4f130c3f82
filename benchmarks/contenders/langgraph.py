"""LangGraph: a compiled `StateGraph`, without checkpointer.

A chain keeps one value in its state, not one per node, which is both its idiom and faster for it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from itertools import count, pairwise
from pathlib import Path
from typing import Annotated, Any, TypedDict

from langchain_core.callbacks import BaseCallbackHandler
from langgraph.cache.memory import InMemoryCache
from langgraph.cache.sqlite import SqliteCache
from langgraph.graph import END, START, StateGraph
from langgraph.types import CachePolicy, Send

from benchmarks import functions
from benchmarks.contenders import langgraph_async

Call = Callable[[], Any]


class Value(TypedDict):
    value: Any


def as_node(step: Callable[[Any], Any]) -> Callable[[Value], Value]:
    return lambda state: {"value": step(state["value"])}


def chain_graph(
    steps: Sequence[Callable[[Any], Any]], cache: Any = None, policy: Any = None
) -> Any:
    graph, names = StateGraph(Value), [step.__name__ for step in steps]
    for name, step in zip(names, steps):
        graph.add_node(name, as_node(step), cache_policy=policy)
    for before, after in zip([START, *names], [*names, END]):
        graph.add_edge(before, after)
    return graph.compile(cache=cache)


def chain(directory: Path, size: int, cache: Any = None, policy: Any = None) -> Call:
    steps = functions.functions_of(functions.chain(directory, size))
    graph, config = chain_graph(steps, cache, policy), {"recursion_limit": size + 10}
    return lambda: graph.invoke({"value": 0}, config)["value"]


def wide(directory: Path, size: int) -> Call:
    class State(TypedDict):
        x: int
        source: int
        parts: Annotated[list[int], operator.add]
        sink: int

    module = functions.wide(directory, size)
    first, *steps, last = functions.functions_of(module)
    graph = StateGraph(State)
    graph.add_node("first", lambda state: {"source": first(state["x"])})
    graph.add_node("last", lambda state: {"sink": last(*state["parts"])})
    graph.add_edge(START, "first")
    for step in steps:
        graph.add_node(step.__name__, lambda state, step=step: {"parts": [step(state["source"])]})
        graph.add_edge("first", step.__name__)
    graph.add_edge([step.__name__ for step in steps], "last")
    graph.add_edge("last", END)
    made = graph.compile()
    return lambda: made.invoke({"x": 0})["sink"]


class Listener(BaseCallbackHandler):
    """Does the least a listener can do."""

    def on_chain_start(self, *told: Any, **more: Any) -> None:
        pass

    def on_chain_end(self, *told: Any, **more: Any) -> None:
        pass


class Counter(BaseCallbackHandler):
    """Counts what a listener is told."""

    told = 0

    def on_chain_start(self, *told: Any, **more: Any) -> None:
        self.told += 1

    def on_chain_end(self, *told: Any, **more: Any) -> None:
        self.told += 1


def listener(directory: Path, size: int) -> Call:
    steps, counter = functions.functions_of(functions.chain(directory, size)), Counter()
    graph, config = chain_graph(steps), {"recursion_limit": size + 10}
    graph.invoke({"value": 0}, {**config, "callbacks": [counter]})
    assert counter.told >= 2 * size
    told = {**config, "callbacks": [Listener()]}
    return lambda: graph.invoke({"value": 0}, told)["value"]


def loop(directory: Path, size: int) -> Call:
    class State(TypedDict):
        n: int
        stop: int

    module = functions.step(directory)
    step, again = module.n, module.again
    graph = StateGraph(State)
    graph.add_node("step", lambda state: {"n": step(state["n"])})
    graph.add_edge(START, "step")
    graph.add_conditional_edges(
        "step", lambda state: "step" if again(state["n"], state["stop"]) else END, ["step", END]
    )
    made, config = graph.compile(), {"recursion_limit": size + 10}
    return lambda: made.invoke({"n": 0, "stop": size}, config)["n"]


class Item(TypedDict):
    x: int
    a: int
    b: int
    c: int


def item_graph(directory: Path) -> Any:
    module = functions.item(directory)
    make_a, make_b, make_c = module.a, module.b, module.c
    graph = StateGraph(Item)
    graph.add_node("node_a", lambda state: {"a": make_a(state["x"])})
    graph.add_node("node_b", lambda state: {"b": make_b(state["a"])})
    graph.add_node("node_c", lambda state: {"c": make_c(state["a"], state["b"])})
    names = [START, "node_a", "node_b", "node_c", END]
    for before, after in pairwise(names):
        graph.add_edge(before, after)
    return graph.compile()


def map_total(directory: Path, size: int) -> Call:
    graph, items = item_graph(directory), range(size)
    return lambda: sum([graph.invoke({"x": x})["c"] for x in items])


def nested_map(directory: Path, size: int) -> Call:
    class State(TypedDict):
        items: list[int]
        cs: Annotated[list[int], operator.add]

    inner = item_graph(directory)
    graph = StateGraph(State)
    graph.add_node("item", lambda state: {"cs": [inner.invoke({"x": state["x"]})["c"]]})
    graph.add_conditional_edges(
        START, lambda state: [Send("item", {"x": x}) for x in state["items"]], ["item"]
    )
    graph.add_edge("item", END)
    made, items = graph.compile(), list(range(size))
    return lambda: sum(made.invoke({"items": items})["cs"])


def nested(directory: Path, size: int) -> Call:
    inner: Any = None
    for step in reversed(functions.functions_of(functions.chain(directory, size))):
        graph = StateGraph(Value)
        graph.add_node("step", as_node(step))
        graph.add_edge(START, "step")
        if inner is not None:
            graph.add_node("inner", inner)
            graph.add_edge("step", "inner")
        graph.add_edge("step" if inner is None else "inner", END)
        inner = graph.compile()
    return lambda: inner.invoke({"value": 0})["value"]


def hit_memory(directory: Path, size: int) -> Call:
    return chain(directory, size, InMemoryCache(), CachePolicy())


def hit_disk(directory: Path, size: int) -> Call:
    return chain(directory, size, SqliteCache(path=str(directory / "cache.db")), CachePolicy())


def miss_disk(directory: Path, size: int) -> Call:
    steps = functions.functions_of(functions.chain(directory, size))
    graph = chain_graph(steps, SqliteCache(path=str(directory / "cache.db")), CachePolicy())
    config, fresh = {"recursion_limit": size + 10}, count(step=size + 1)

    def run() -> bool:
        start = next(fresh)
        return graph.invoke({"value": start}, config)["value"] == start + size

    return run


def bytes_out(directory: Path, size: int) -> Call:
    cache = SqliteCache(path=str(directory / "cache.db"))
    graph = chain_graph([functions.large(directory).data], cache, CachePolicy())
    return lambda: len(graph.invoke({"value": size})["value"])


def bytes_in(directory: Path, size: int) -> Call:
    module = functions.large(directory)
    graph = chain_graph([module.length], InMemoryCache(), CachePolicy())
    data = module.data(size)
    return lambda: graph.invoke({"value": data})["value"]


def build(directory: Path, size: int) -> Call:
    steps = functions.functions_of(functions.chain(directory, size))
    return lambda: len(chain_graph(steps).nodes) - 1


PREPARE = {
    "chain": chain,
    "wide": wide,
    "listener": listener,
    "loop": loop,
    "map": map_total,
    "nested": nested,
    "nested-map": nested_map,
    "hit-memory": hit_memory,
    "hit-disk": hit_disk,
    "miss-disk": miss_disk,
    "bytes-out": bytes_out,
    "bytes-in": bytes_in,
    "build": build,
    **langgraph_async.PREPARE,
}
KEEP = langgraph_async.KEEP
