"""pipefunc: sequential, in memory, all results returned by name (``full_output``)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from pipefunc import NestedPipeFunc, PipeFunc, Pipeline

from benchmarks import functions

Call = Callable[[], Any]

sys.setrecursionlimit(100_000)  # it evaluates a chain by recursion
MAPSPECS = {"a": "x[i] -> a[i]", "b": "a[i] -> b[i]", "c": "a[i], b[i] -> c[i]"}


def pipeline_of(
    steps: Sequence[Callable[..., Any]], cache: str | None = None, **options: Any
) -> Pipeline:
    made = [PipeFunc(step, output_name=step.__name__, cache=cache is not None) for step in steps]
    return Pipeline(made, cache_type=cache, cache_kwargs=options or None)


def chain(directory: Path, size: int, cache: str | None = None, **options: Any) -> Call:
    steps = functions.functions_of(functions.chain(directory, size))
    pipeline, last = pipeline_of(steps, cache, **options), f"v{size}"
    return lambda: pipeline.run(last, kwargs={"v0": 0}, full_output=True)[last]


def wide(directory: Path, size: int) -> Call:
    pipeline = pipeline_of(functions.functions_of(functions.wide(directory, size)))
    return lambda: pipeline.run("sink", kwargs={"x": 0}, full_output=True)["sink"]


def map_total(directory: Path, size: int) -> Call:
    steps = functions.functions_of(functions.item(directory))
    made = [PipeFunc(s, output_name=s.__name__, mapspec=MAPSPECS[s.__name__]) for s in steps]
    pipeline, items = Pipeline(made), list(range(size))

    def run() -> int:
        results = pipeline.map(
            {"x": items}, parallel=False, storage="dict", show_progress=False, run_folder=None
        )
        return int(sum(results["c"].output))

    return run


def nested(directory: Path, size: int) -> Call:
    inner: Any = None
    for step in reversed(functions.functions_of(functions.chain(directory, size))):
        outer = PipeFunc(step, output_name=step.__name__)
        inner = outer if inner is None else NestedPipeFunc([outer, inner], output_name=f"v{size}")
    pipeline = Pipeline([inner])
    return lambda: pipeline.run(f"v{size}", kwargs={"v0": 0})


def hit_memory(directory: Path, size: int) -> Call:
    return chain(directory, size, "simple")


def hit_disk(directory: Path, size: int) -> Call:
    options = {"cache_dir": str(directory / "cache"), "with_lru_cache": False}
    return chain(directory, size, "disk", **options)


def miss_disk(directory: Path, size: int) -> Call:
    steps = functions.functions_of(functions.chain(directory, size))
    options = {"cache_dir": str(directory / "cache"), "with_lru_cache": False}
    pipeline, last = pipeline_of(steps, "disk", **options), f"v{size}"
    fresh = count(step=size + 1)

    def run() -> bool:
        start = next(fresh)
        return pipeline.run(last, kwargs={"v0": start}, full_output=True)[last] == start + size

    return run


def bytes_out(directory: Path, size: int) -> Call:
    options = {"cache_dir": str(directory / "cache"), "with_lru_cache": False}
    pipeline = pipeline_of([functions.large(directory).data], "disk", **options)
    return lambda: len(pipeline.run("data", kwargs={"size": size}))


def array_out(directory: Path, size: int) -> Call:
    options = {"cache_dir": str(directory / "cache"), "with_lru_cache": False}
    pipeline = pipeline_of([functions.large(directory).array], "disk", **options)
    return lambda: pipeline.run("array", kwargs={"size": size}).nbytes


def bytes_in(directory: Path, size: int) -> Call:
    module = functions.large(directory)
    pipeline, data = pipeline_of([module.length], "simple"), module.data(size)
    return lambda: pipeline.run("length", kwargs={"data": data})


def array_in(directory: Path, size: int) -> Call:
    module = functions.large(directory)
    pipeline, data = pipeline_of([module.length], "simple"), module.array(size)
    return lambda: 8 * pipeline.run("length", kwargs={"data": data})


def build(directory: Path, size: int) -> Call:
    steps = functions.functions_of(functions.chain(directory, size))
    return lambda: len(pipeline_of(steps).functions)


PREPARE = {
    "chain": chain,
    "wide": wide,
    "map": map_total,
    "nested": nested,
    "nested-map": map_total,
    "hit-memory": hit_memory,
    "hit-disk": hit_disk,
    "miss-disk": miss_disk,
    "bytes-out": bytes_out,
    "array-out": array_out,
    "bytes-in": bytes_in,
    "array-in": array_in,
    "build": build,
}
