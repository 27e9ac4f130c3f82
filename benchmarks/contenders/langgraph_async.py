"""LangGraph's async interface: a compiled `StateGraph`, saved by its own `AsyncSqliteSaver`.

The saver's settings are its own: write-ahead log, a commit per write. A round of the loop is one step.
"""

from __future__ import annotations

import operator
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from itertools import count, pairwise
from pathlib import Path
from typing import Annotated, Any, TypedDict

import aiosqlite
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send, interrupt

from benchmarks import functions

Call = Callable[[], Coroutine[Any, Any, Any]]
Step = Callable[[Any], Awaitable[Any]]
DOCUMENT = 1_000_000


class Value(TypedDict):
    value: Any


def as_node(step: Step) -> Callable[[Value], Awaitable[Value]]:
    async def call(state: Value) -> Value:
        return {"value": await step(state["value"])}

    return call


def chain(directory: Path, size: int) -> Call:
    steps = functions.functions_of(functions.async_chain(directory, size))
    graph, names = StateGraph(Value), [step.__name__ for step in steps]
    for name, step in zip(names, steps):
        graph.add_node(name, as_node(step))
    for before, after in pairwise([START, *names, END]):
        graph.add_edge(before, after)
    made, config = graph.compile(), {"recursion_limit": size + 10}

    async def run() -> int:
        return (await made.ainvoke({"value": 0}, config))["value"]

    return run


class Parts(TypedDict):
    x: int
    parts: Annotated[list[int], operator.add]


def as_part(step: Step) -> Callable[[Parts], Awaitable[Any]]:
    async def call(state: Parts) -> Any:
        return {"parts": [await step(state["x"])]}

    return call


def together(steps: Sequence[Step], **config: Any) -> Call:
    graph = StateGraph(Parts)
    for step in steps:
        graph.add_node(step.__name__, as_part(step))
        graph.add_edge(START, step.__name__)
        graph.add_edge(step.__name__, END)
    made = graph.compile()

    async def run() -> int:
        return sum((await made.ainvoke({"x": 0}, config))["parts"])

    return run


def wide(directory: Path, size: int) -> Call:
    return together(functions.functions_of(functions.async_wide(directory, size)))


def limit(directory: Path, size: int) -> Call:
    steps = functions.functions_of(functions.async_wide(directory, size, 0.01))
    return together(steps, max_concurrency=50)


def mapped(directory: Path, size: int) -> Callable[[], Coroutine[Any, Any, list[int]]]:
    class State(TypedDict):
        items: list[int]
        parts: Annotated[list[int], operator.add]

    graph = StateGraph(State)
    graph.add_node("item", as_part(functions.async_item(directory).y))
    graph.add_conditional_edges(
        START, lambda state: [Send("item", {"x": x}) for x in state["items"]], ["item"]
    )
    graph.add_edge("item", END)
    made, items, config = graph.compile(), list(range(size)), {"max_concurrency": 100}

    async def run() -> list[int]:
        return (await made.ainvoke({"items": items}, config))["parts"]

    return run


def map_total(directory: Path, size: int) -> Call:
    run = mapped(directory, size)

    async def total() -> int:
        return sum(await run())

    return total


class Text(TypedDict):
    size: int
    text: str


def streamed(node: Callable[[Text], Awaitable[Any]], size: int) -> Call:
    graph = StateGraph(Text)
    graph.add_node("write", node)
    graph.add_edge(START, "write")
    graph.add_edge("write", END)
    made = graph.compile()

    async def run() -> int:
        received, text = 0, ""
        async for mode, chunk in made.astream({"size": size}, stream_mode=["custom", "values"]):
            if mode == "custom":
                received += 1
            else:
                text = chunk.get("text", "")
        return received if len(text) == 6 * size else -1

    return run


def stream(directory: Path, size: int) -> Call:
    text = functions.stream(directory).text

    async def write(state: Text) -> Any:
        tell, parts = get_stream_writer(), []
        async for chunk in text(state["size"]):
            tell(chunk)
            parts.append(chunk)
        return {"text": "".join(parts)}

    return streamed(write, size)


def stream_sync(directory: Path, size: int) -> Call:
    text = functions.stream(directory).sync_text

    async def write(state: Text) -> Any:
        tell, parts = get_stream_writer(), []
        for chunk in text(state["size"]):
            tell(chunk)
            parts.append(chunk)
        return {"text": "".join(parts)}

    return streamed(write, size)


class State(TypedDict):
    n: int
    stop: int
    document: str


async def loop_graph(directory: Path, *, asks: bool = False) -> Any:
    """The loop; at its end it may ask somebody, and so stay unfinished."""
    module = functions.saved_step(directory)
    step, again = module.n, module.again

    async def count_up(state: State) -> Any:
        return {"n": await step(state["n"], state["document"])}

    async def ask(state: State) -> Any:
        interrupt(state["n"])

    after = "ask" if asks else END

    async def decide(state: State) -> str:
        return "step" if again(state["n"], state["stop"]) else after

    graph = StateGraph(State)
    graph.add_node("step", count_up)
    graph.add_node("ask", ask)
    graph.add_edge(START, "step")
    graph.add_conditional_edges("step", decide, ["step", after])
    connection = await aiosqlite.connect(directory / "checkpoints.db")
    return graph.compile(checkpointer=AsyncSqliteSaver(connection))


async def saved(directory: Path, size: int, durability: Any, document: str = "") -> Call:
    made, numbers = await loop_graph(directory), count()
    inputs = {"n": 0, "stop": size, "document": document}

    async def run() -> int:
        thread = {"thread_id": f"w{next(numbers)}"}
        config = {"recursion_limit": size + 10, "configurable": thread}
        return (await made.ainvoke(inputs, config, durability=durability))["n"]

    return run


async def saved_sync(directory: Path, size: int) -> Call:
    return await saved(directory, size, "sync")


async def saved_async(directory: Path, size: int) -> Call:
    return await saved(directory, size, "async")


async def saved_file(directory: Path, size: int) -> Call:
    return await saved(directory, size, "async", functions.document(DOCUMENT))


async def resume(directory: Path, size: int) -> Call:
    made = await loop_graph(directory, asks=True)
    config = {"recursion_limit": size + 10, "configurable": {"thread_id": "w"}}
    await made.ainvoke({"n": 0, "stop": size, "document": ""}, config, durability="async")

    async def run() -> int:
        result = await made.ainvoke(None, config, durability="async")
        return result["n"] if "__interrupt__" in result else -1

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
    "saved-file": saved_file,
    "resume": resume,
}
KEEP = {"async-map": mapped}
