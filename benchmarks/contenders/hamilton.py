"""Hamilton: one driver, its results as a dict, every node asked for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

from hamilton import ad_hoc_utils, base, driver
from hamilton.caching.stores.memory import InMemoryMetadataStore, InMemoryResultStore
from hamilton.execution.executors import SynchronousLocalTaskExecutor
from hamilton.htypes import Collect, Parallelizable
from hamilton.lifecycle import NodeExecutionHook

from benchmarks import functions

Call = Callable[[], Any]

sys.setrecursionlimit(100_000)  # it evaluates a chain by recursion


def module_of(steps: Sequence[Callable[..., Any]]) -> ModuleType:
    return ad_hoc_utils.create_temporary_module(*steps)


def driver_of(steps: Sequence[Callable[..., Any]], *adapters: Any) -> driver.Driver:
    builder = driver.Builder().with_modules(module_of(steps))
    return builder.with_adapters(base.DictResult(), *adapters).build()


def call_of(made: driver.Driver, size: int) -> Call:
    names, last = [f"v{i}" for i in range(1, size + 1)], f"v{size}"
    return lambda: made.execute(names, inputs={"v0": 0})[last]


def chain(directory: Path, size: int) -> Call:
    steps = functions.functions_of(functions.chain(directory, size))
    return call_of(driver_of(steps), size)


def wide(directory: Path, size: int) -> Call:
    steps = functions.functions_of(functions.wide(directory, size))
    made, names = driver_of(steps), [step.__name__ for step in steps]
    return lambda: made.execute(names, inputs={"x": 0})["sink"]


class Listener(NodeExecutionHook):
    """Does the least a listener can do."""

    def run_before_node_execution(self, **told: Any) -> None:
        pass

    def run_after_node_execution(self, **told: Any) -> None:
        pass


class Counter(NodeExecutionHook):
    """Counts what a listener is told."""

    told = 0

    def run_before_node_execution(self, **told: Any) -> None:
        self.told += 1

    def run_after_node_execution(self, **told: Any) -> None:
        self.told += 1


def listener(directory: Path, size: int) -> Call:
    steps, counter = functions.functions_of(functions.chain(directory, size)), Counter()
    call_of(driver_of(steps, counter), size)()
    assert counter.told >= 2 * size
    return call_of(driver_of(steps, Listener()), size)


def map_total(directory: Path, size: int) -> Call:
    made = driver_of(functions.functions_of(functions.item(directory)))
    items, names = range(size), ["a", "b", "c"]
    return lambda: sum([made.execute(names, inputs={"x": x})["c"] for x in items])


def nested_map(directory: Path, size: int) -> Call:
    def x(items: list) -> Parallelizable[int]:
        yield from items

    def total(c: Collect[int]) -> int:
        return sum(c)

    module = module_of([x, total, *functions.functions_of(functions.item(directory))])
    made = (
        driver.Builder()
        .with_modules(module)
        .enable_dynamic_execution(allow_experimental_mode=True)
        .with_local_executor(SynchronousLocalTaskExecutor())
        .with_remote_executor(SynchronousLocalTaskExecutor())
        .with_adapters(base.DictResult())
        .build()
    )
    items = list(range(size))
    return lambda: made.execute(["total"], inputs={"items": items})["total"]


def cached_driver(steps: Sequence[Callable[..., Any]], path: Path, **stores: Any) -> driver.Driver:
    builder = driver.Builder().with_modules(module_of(steps)).with_adapters(base.DictResult())
    return builder.with_cache(path=path, **stores).build()


def hit_memory(directory: Path, size: int) -> Call:
    steps = functions.functions_of(functions.chain(directory, size))
    stores = {"metadata_store": InMemoryMetadataStore(), "result_store": InMemoryResultStore()}
    return call_of(cached_driver(steps, directory, **stores), size)


def hit_disk(directory: Path, size: int) -> Call:
    steps = functions.functions_of(functions.chain(directory, size))
    return call_of(cached_driver(steps, directory), size)


def miss_disk(directory: Path, size: int) -> Call:
    steps = functions.functions_of(functions.chain(directory, size))
    made, names, last = cached_driver(steps, directory), [f.__name__ for f in steps], f"v{size}"
    fresh = count(step=size + 1)

    def run() -> bool:
        start = next(fresh)
        return made.execute(names, inputs={"v0": start})[last] == start + size

    return run


def bytes_out(directory: Path, size: int) -> Call:
    made = cached_driver([functions.large(directory).data], directory)
    return lambda: len(made.execute(["data"], inputs={"size": size})["data"])


def array_out(directory: Path, size: int) -> Call:
    made = cached_driver([functions.large(directory).array], directory)
    return lambda: made.execute(["array"], inputs={"size": size})["array"].nbytes


def keyed(directory: Path, data: Any) -> Call:
    stores = {"metadata_store": InMemoryMetadataStore(), "result_store": InMemoryResultStore()}
    made = cached_driver([functions.large(directory).length], directory, **stores)
    return lambda: made.execute(["length"], inputs={"data": data})["length"]


def bytes_in(directory: Path, size: int) -> Call:
    return keyed(directory, functions.large(directory).data(size))


def array_in(directory: Path, size: int) -> Call:
    call = keyed(directory, functions.large(directory).array(size))
    return lambda: 8 * call()


def build(directory: Path, size: int) -> Call:
    steps = functions.functions_of(functions.chain(directory, size))
    return lambda: len([v for v in driver_of(steps).list_available_variables() if v.name != "v0"])


PREPARE = {
    "chain": chain,
    "wide": wide,
    "listener": listener,
    "map": map_total,
    "nested-map": nested_map,
    "hit-memory": hit_memory,
    "hit-disk": hit_disk,
    "miss-disk": miss_disk,
    "bytes-out": bytes_out,
    "array-out": array_out,
    "bytes-in": bytes_in,
    "array-in": array_in,
    "build": build,
}
