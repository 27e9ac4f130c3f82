"""hypergraph's `AsyncRunner`, with no options unless the case needs them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from itertools import count
from pathlib import Path
from typing import Any, Literal

from benchmarks import functions
from hypergraph import END, AsyncRunner, Graph, InterruptNode, StreamingChunkEvent, node, route
from hypergraph.checkpointers import SqliteCheckpointer

Call = Callable[[], Coroutine[Any, Any, Any]]
Durability = Literal["sync", "async"]
DOCUMENT = 1_000_000


def graph_of(steps: Sequence[Callable[..., Any]]) -> Graph:
    return Graph([node(step) for step in steps])


def chain(directory: Path, size: int) -> Call:
    graph = graph_of(functions.functions_of(functions.async_chain(directory, size)))
    runner, last = AsyncRunner(), f"v{size}"

    async def run() -> int:
        return (await runner.run(graph, {"v0": 0}))[last]

    return run


def wide(directory: Path, size: int) -> Call:
    graph = graph_of(functions.functions_of(functions.async_wide(directory, size)))
    runner = AsyncRunner()

    async def run() -> int:
        return sum((await runner.run(graph, {"x": 0})).values.values())

    return run


def limit(directory: Path, size: int) -> Call:
    graph = graph_of(functions.functions_of(functions.async_wide(directory, size, 0.01)))
    runner = AsyncRunner()

    async def run() -> int:
        return sum((await runner.run(graph, {"x": 0}, max_concurrency=50)).values.values())

    return run


def mapped(directory: Path, size: int) -> Callable[[], Coroutine[Any, Any, list[dict[str, int]]]]:
    graph = graph_of([functions.async_item(directory).y])
    runner, items = AsyncRunner(), list(range(size))

    async def run() -> list[dict[str, int]]:
        return await runner.map(graph, {"x": items}, map_over="x", max_concurrency=100)

    return run


def map_total(directory: Path, size: int) -> Call:
    run = mapped(directory, size)

    async def total() -> int:
        return sum([result["y"] for result in await run()])

    return total


def streamed(step: Callable[..., Any], size: int) -> Call:
    graph, runner, name = graph_of([step]), AsyncRunner(), step.__name__

    async def run() -> int:
        received = 0
        async with runner.iter(graph, {"size": size}) as events:
            async for event in events:
                if isinstance(event, StreamingChunkEvent):
                    received += 1
        return received if len(events.result[name]) == 6 * size else -1

    return run


def stream(directory: Path, size: int) -> Call:
    return streamed(functions.stream(directory).text, size)


def stream_sync(directory: Path, size: int) -> Call:
    return streamed(functions.stream(directory).sync_text, size)


def loop_graph(directory: Path, *, asks: bool = False) -> Graph:
    """The loop; at its end it may ask somebody, and so stay unfinished."""
    module = functions.saved_step(directory)
    step, again = module.n, module.again
    after = "ask" if asks else END

    def decide(n: int, stop: int) -> Any:
        return "n" if again(n, stop) else after

    gate = route(targets=["n", after])(decide)
    ask = [InterruptNode("ask", input_param="n", response_param="answer")] if asks else []
    return Graph([node(step), gate, *ask], entrypoint="n")


def saved(directory: Path, size: int, durability: Durability, document: str = "") -> Call:
    graph, numbers = loop_graph(directory), count()
    runner = AsyncRunner(checkpointer=checkpointer_of(directory, durability))
    inputs, rounds = {"n": 0, "stop": size, "document": document}, size + 1

    async def run() -> int:
        workflow = f"w{next(numbers)}"
        return (await runner.run(graph, inputs, workflow_id=workflow, max_iterations=rounds))["n"]

    return run


def checkpointer_of(directory: Path, durability: Durability) -> SqliteCheckpointer:
    return SqliteCheckpointer(
        directory / "workflows.db", durability=durability, key_file=directory / "keys" / "key"
    )


def saved_sync(directory: Path, size: int) -> Call:
    return saved(directory, size, "sync")


def saved_async(directory: Path, size: int) -> Call:
    return saved(directory, size, "async")


def saved_file(directory: Path, size: int) -> Call:
    return saved(directory, size, "async", functions.document(DOCUMENT))


async def resume(directory: Path, size: int) -> Call:
    checkpointer, graph = checkpointer_of(directory, "async"), loop_graph(directory, asks=True)
    runner, inputs = AsyncRunner(checkpointer=checkpointer), {"n": 0, "stop": size, "document": ""}
    options: dict[str, Any] = {"workflow_id": "w", "max_iterations": size + 1}
    await runner.run(graph, inputs, **options)
    assert len(checkpointer.get_steps("w")) >= 2 * size

    async def run() -> int:
        result = await runner.run(graph, **options)
        return result["n"] if result.paused else -1

    return run


PREPARE = {
    "async-chain": chain,
    "async-wide": wide,
    "async-limit": limit,
    "async-map": map_total,
    "stream": stream,
    "stream-sync": stream_sync,
    "saved-sync": saved_sync,
    "saved-async": saved_async,
    "saved-long": saved_async,
    "saved-file": saved_file,
    "resume": resume,
}
KEEP = {"async-map": mapped}
