"""Burr's async interface: one application per run, saved by its own `AsyncSQLitePersister`.

Its parallel actions start all at once, without a limit. A round of the loop is one step.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from itertools import count, pairwise
from pathlib import Path
from typing import Any

from burr.core import ApplicationBuilder, Condition, State, action, default
from burr.core.action import create_action, streaming_action
from burr.core.graph import GraphBuilder
from burr.core.parallelism import MapActions, RunnableGraph
from burr.integrations.persisters.b_aiosqlite import AsyncSQLitePersister

from benchmarks import functions

Call = Callable[[], Coroutine[Any, Any, Any]]
Step = Callable[[Any], Awaitable[Any]]
DOCUMENT = 1_000_000


def as_action(step: Step) -> Any:
    @action(reads=["value"], writes=["value"])
    async def act(state: State) -> State:
        return state.update(value=await step(state["value"]))

    return act


def chain(directory: Path, size: int) -> Call:
    steps = functions.functions_of(functions.async_chain(directory, size))
    names = [step.__name__ for step in steps]
    builder = GraphBuilder().with_actions(**{n: as_action(s) for n, s in zip(names, steps)})
    graph = builder.with_transitions(*pairwise(names)).build()

    async def run() -> int:
        builder = ApplicationBuilder().with_graph(graph).with_state(value=0)
        application = await builder.with_entrypoint("v1").abuild()
        _, _, state = await application.arun(halt_after=[f"v{size}"])
        return state["value"]

    return run


class Together(MapActions):
    """Runs all the steps on the same state, each as an application of its own."""

    def __init__(self, steps: list[Step]) -> None:
        super().__init__()
        self.steps = [RunnableGraph.create(create_action(as_action(s), s.__name__)) for s in steps]

    def is_async(self) -> bool:
        return True

    async def actions(self, state: State, context: Any, inputs: Any) -> AsyncGenerator[Any, None]:
        for step in self.steps:
            yield step

    async def reduce(self, state: State, states: Any) -> State:
        return state.update(total=sum([each["value"] async for each in states]))

    @property
    def reads(self) -> list[str]:
        return ["value"]

    @property
    def writes(self) -> list[str]:
        return ["total"]


def wide(directory: Path, size: int) -> Call:
    together = Together(functions.functions_of(functions.async_wide(directory, size)))
    graph = GraphBuilder().with_actions(together=together).build()

    async def run() -> int:
        builder = ApplicationBuilder().with_graph(graph).with_state(value=0)
        application = await builder.with_entrypoint("together").abuild()
        _, _, state = await application.arun(halt_after=["together"])
        return state["total"]

    return run


def streamed(write: Any, size: int) -> Call:
    graph = GraphBuilder().with_actions(write=write).build()

    async def run() -> int:
        builder = ApplicationBuilder().with_graph(graph).with_state(size=size)
        application = await builder.with_entrypoint("write").abuild()
        _, container = await application.astream_result(halt_after=["write"])
        received = 0
        async for _ in container:
            received += 1
        _, state = await container.get()
        return received if len(state["text"]) == 6 * size else -1

    return run


def stream(directory: Path, size: int) -> Call:
    text = functions.stream(directory).text

    @streaming_action(reads=["size"], writes=["text"])
    async def write(state: State) -> AsyncGenerator[Any, None]:
        parts = []
        async for chunk in text(state["size"]):
            parts.append(chunk)
            yield {"text": chunk}, None
        whole = "".join(parts)
        yield {"text": whole}, state.update(text=whole)

    return streamed(write, size)


def stream_sync(directory: Path, size: int) -> Call:
    text = functions.stream(directory).sync_text

    @streaming_action(reads=["size"], writes=["text"])
    async def write(state: State) -> AsyncGenerator[Any, None]:
        parts = []
        for chunk in text(state["size"]):
            parts.append(chunk)
            yield {"text": chunk}, None
        whole = "".join(parts)
        yield {"text": whole}, state.update(text=whole)

    return streamed(write, size)


def loop_graph(directory: Path) -> Any:
    module = functions.saved_step(directory)
    step, again = module.n, module.again

    @action(reads=["n", "document"], writes=["n"])
    async def up(state: State) -> State:
        return state.update(n=await step(state["n"], state["document"]))

    @action(reads=["n"], writes=[])
    async def done(state: State) -> State:
        return state

    more = Condition.lmda(lambda state: again(state["n"], state["stop"]), ["n", "stop"])
    builder = GraphBuilder().with_actions(up=up, done=done)
    return builder.with_transitions(("up", "up", more), ("up", "done", default)).build()


async def persister_of(directory: Path) -> AsyncSQLitePersister:
    persister = await AsyncSQLitePersister.from_values(str(directory / "states.db"))
    await persister.connection.execute("PRAGMA journal_mode=wal")
    await persister.initialize()
    return persister


async def saved_sync(directory: Path, size: int, document: str = "") -> Call:
    graph, persister, numbers = loop_graph(directory), await persister_of(directory), count()

    async def run() -> int:
        builder = ApplicationBuilder().with_graph(graph).with_entrypoint("up")
        builder = builder.with_state(n=0, stop=size, document=document)
        builder = builder.with_identifiers(app_id=f"w{next(numbers)}")
        application = await builder.with_state_persister(persister).abuild()
        _, _, state = await application.arun(halt_after=["done"])
        return state["n"]

    return run


async def saved_file(directory: Path, size: int) -> Call:
    return await saved_sync(directory, size, functions.document(DOCUMENT))


async def resume(directory: Path, size: int) -> Call:
    """Load the last state and stop before what comes next."""
    await (await saved_sync(directory, size))()
    graph, persister = loop_graph(directory), await persister_of(directory)

    async def run() -> int:
        builder = ApplicationBuilder().with_graph(graph).with_identifiers(app_id="w0")
        builder = builder.initialize_from(
            persister, resume_at_next_action=True, default_state={}, default_entrypoint="up"
        )
        return (await builder.abuild()).state["n"]

    return run


PREPARE = {
    "async-chain": chain,
    "async-wide": wide,
    "stream": stream,
    "stream-sync": stream_sync,
    "saved-sync": saved_sync,
    "saved-file": saved_file,
    "resume": resume,
}
