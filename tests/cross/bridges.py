"""What the tests of bridges between runners share: the runners, and traces that can be compared."""

import asyncio
import inspect
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from hypergraph import RunnerCapabilities, RunResult, runners
from hypergraph.events import NodeStartEvent, RunStartEvent
from hypergraph.runners import FuturesRunner
from hypergraph.testing import AsyncReferenceRunner, ReferenceRunner

POOL = ThreadPoolExecutor(8, thread_name_prefix="pool-of-tests")


class ThreadPoolRunner(FuturesRunner):
    """A third party's runner on the engine."""

    name = "thread-pool"
    capabilities = RunnerCapabilities()

    def submit(self, call):
        return POOL.submit(call.function, *call.inputs.values())


INSTALLED = {name: runners.get(name) for name in runners.available()}
THIRD_PARTIES = {
    "third party, sync": ReferenceRunner,
    "third party, async": AsyncReferenceRunner,
    "third party, futures": ThreadPoolRunner,
}
RUNNERS = {**INSTALLED, **THIRD_PARTIES}
PAIRS = [(parent, nested) for parent in RUNNERS for nested in RUNNERS]


def made(name: str) -> Any:
    """Make the runner of that name."""
    return RUNNERS[name]()


def run(runner: Any, graph: Any, inputs: Any, *, in_loop: bool = False, **options: Any) -> Any:
    """Run a graph on a runner of any kind, and return its outputs; ``in_loop``: from inside a running
    event loop, also where the runner blocks."""

    async def main() -> Any:
        result = runner.run(graph, inputs, **options)
        return await result if inspect.isawaitable(result) else result

    if in_loop or runner.capabilities.returns_coroutine:
        result = asyncio.run(main())
    else:
        result = runner.run(graph, inputs, **options)
    return result.values if isinstance(result, RunResult) else result


class Listener:
    """Keeps all events."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def on_event(self, event: Any) -> None:
        self.events.append(event)

    def trace(self) -> dict[str, list[str]]:
        """Return what happened in each run, in order, by the path of the run: the graphs, nodes and
        items around it, as the spans tell."""
        paths: dict[int | None, str] = {None: ""}
        found = defaultdict(list)
        for event in self.events:
            name = getattr(event, "node_name", None)
            if isinstance(event, RunStartEvent):
                item = "" if event.map_index is None else f"[{event.map_index}/{event.map_size}]"
                above = paths[event.parent_span_id]
                paths[event.span_id] = f"{above}{event.graph_name}{item}/"
            elif isinstance(event, NodeStartEvent):
                paths[event.span_id] = f"{paths[event.parent_span_id]}{name}/"
            place = paths[event.span_id if name is None else event.parent_span_id]
            kind = type(event).__name__.removesuffix("Event")
            found[place].append(kind if name is None else f"{kind} {name}")
        return dict(found)
