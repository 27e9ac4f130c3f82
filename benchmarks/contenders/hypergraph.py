"""hypergraph, as its quickstart sets it up: `SyncRunner` with no options unless the case needs them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks import functions
from benchmarks.contenders import hypergraph_async
from hypergraph import END, DiskCache, Graph, MemoryCache, SyncRunner, node, route

Call = Callable[[], Any]


def graph_of(steps: Sequence[Callable[..., Any]], name: str | None = None) -> Graph:
    return Graph([node(step) for step in steps], name=name)


def chain_graph(directory: Path, size: int) -> Graph:
    return graph_of(functions.functions_of(functions.chain(directory, size)), "chain")


def chain(directory: Path, size: int, runner: SyncRunner | None = None) -> Call:
    graph, last = chain_graph(directory, size), f"v{size}"
    runner = runner or SyncRunner()
    return lambda: runner.run(graph, {"v0": 0})[last]


def wide(directory: Path, size: int) -> Call:
    graph = graph_of(functions.functions_of(functions.wide(directory, size)))
    runner = SyncRunner()
    return lambda: runner.run(graph, {"x": 0})["sink"]


class Listener:
    """Does the least a listener can do."""

    def on_event(self, event: object) -> None:
        pass

    def close(self) -> None:
        pass


class Counter(Listener):
    """Counts what a listener is told."""

    told = 0

    def on_event(self, event: object) -> None:
        self.told += 1


def listener(directory: Path, size: int) -> Call:
    counter = Counter()
    chain(directory, size, SyncRunner(event_processors=[counter]))()
    assert counter.told == 2 * size + 2
    return chain(directory, size, SyncRunner(event_processors=[Listener()]))


def loop(directory: Path, size: int) -> Call:
    module = functions.step(directory)
    step, again = module.n, module.again

    def decide(n: int, stop: int) -> str:
        return "n" if again(n, stop) else END

    gate = route(targets=["n", END])(decide)
    graph, runner = Graph([node(step), gate], entrypoint="n"), SyncRunner()
    return lambda: runner.run(graph, {"n": 0, "stop": size}, max_iterations=size + 1)["n"]


def item_graph(directory: Path) -> Graph:
    return graph_of(functions.functions_of(functions.item(directory)), "item")


def mapped(directory: Path, size: int) -> Callable[[], list[dict[str, int]]]:
    graph, runner, items = item_graph(directory), SyncRunner(), list(range(size))
    return lambda: runner.map(graph, {"x": items}, map_over="x")


def map_total(directory: Path, size: int) -> Call:
    run = mapped(directory, size)
    return lambda: sum([result["c"] for result in run()])


def nested_map(directory: Path, size: int) -> Call:
    outer = Graph([item_graph(directory).as_node().map_over("x")])
    runner, items = SyncRunner(), list(range(size))
    return lambda: sum(runner.run(outer, {"x": items})["c"])


def nested(directory: Path, size: int) -> Call:
    steps = functions.functions_of(functions.chain(directory, size))
    graph: Graph | None = None
    for number, step in reversed(list(enumerate(steps))):
        inner = [graph.as_node()] if graph is not None else []
        graph = Graph([node(step), *inner], name=f"level{number}")
    assert graph is not None
    whole, runner, last = graph, SyncRunner(), f"v{size}"
    return lambda: runner.run(whole, {"v0": 0})[last]


def hit_memory(directory: Path, size: int) -> Call:
    return chain(directory, size, SyncRunner(cache=MemoryCache()))


def disk_runner(directory: Path) -> SyncRunner:
    return SyncRunner(cache=DiskCache(directory / "cache", key_file=directory / "keys" / "key"))


def hit_disk(directory: Path, size: int) -> Call:
    return chain(directory, size, disk_runner(directory))


def miss_disk(directory: Path, size: int) -> Call:
    graph, last, runner = chain_graph(directory, size), f"v{size}", disk_runner(directory)
    fresh = count(step=size + 1)

    def run() -> bool:
        start = next(fresh)
        return runner.run(graph, {"v0": start})[last] == start + size

    return run


def bytes_out(directory: Path, size: int) -> Call:
    graph = graph_of([functions.large(directory).data])
    runner = disk_runner(directory)
    return lambda: len(runner.run(graph, {"size": size})["data"])


def array_out(directory: Path, size: int) -> Call:
    graph = graph_of([functions.large(directory).array])
    runner = disk_runner(directory)
    return lambda: runner.run(graph, {"size": size})["array"].nbytes


def bytes_in(directory: Path, size: int) -> Call:
    module, runner = functions.large(directory), SyncRunner(cache=MemoryCache())
    graph, data = graph_of([module.length]), module.data(size)
    return lambda: runner.run(graph, {"data": data})["length"]


def array_in(directory: Path, size: int) -> Call:
    module, runner = functions.large(directory), SyncRunner(cache=MemoryCache())
    graph, data = graph_of([module.length]), module.array(size)
    return lambda: 8 * runner.run(graph, {"data": data})["length"]


def build(directory: Path, size: int) -> Call:
    steps = functions.functions_of(functions.chain(directory, size))
    return lambda: len(Graph([node(step) for step in steps]).node_list)


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
    "array-out": array_out,
    "bytes-in": bytes_in,
    "array-in": array_in,
    "build": build,
    **hypergraph_async.PREPARE,
}
KEEP = {"map": mapped, **hypergraph_async.KEEP}
