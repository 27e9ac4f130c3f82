"""The program that the rules about durability start, kill, and start anew, each time as a process.

Rule of this file: it knows nothing of the runner but how to make one, ``make(graphs=..., path=...)``,
and that entering it recovers what was cut off. Every call of a node is noted in a file before it begins.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from importlib import import_module
from pathlib import Path
from typing import Any

from hypergraph.errors import WorkflowBusyError
from hypergraph.graph import Graph
from hypergraph.nodes import InterruptNode, branch, node
from hypergraph.testing.crash import kill_process
from hypergraph.testing.kit import Journal

HOME = "HYPERGRAPH_KIT_HOME"
KILL = "HYPERGRAPH_KIT_KILL"
MAIN = "HYPERGRAPH_KIT_MAIN"
TOLD = "HYPERGRAPH_KIT_TOLD"
PATIENCE = "HYPERGRAPH_KIT_PATIENCE"  # seconds to wait for a workflow to be recovered
NOT_RECOVERED = 3

Run = Callable[..., Awaitable[Any]]


def note(name: str) -> None:
    """Take note of a call, and die if it is the one at which to die, such as ``"step 2"``."""
    journal = Journal(Path(os.environ[HOME], "journal"))
    journal.note(name)
    if os.environ.get(KILL) == f"{name} {journal.lines.count(name)}":
        main = int(os.environ[MAIN])
        if main != os.getpid():  # the node runs in a process of its own: it goes with the program
            os.kill(main, 9)
        kill_process()


@node(output_name="n")
def prepare(x: int) -> int:
    """Begin."""
    note("prepare")
    return x


@node(output_name="n")
def step(n: int) -> int:
    """Go round."""
    note("step")
    return n + 1


@branch(when_true="step", when_false="inner")
def more(n: int) -> bool:
    """Decide whether to go round again."""
    note("more")
    return n < 3


@node(output_name="size")
def measure(n: int) -> int:
    """Do what a nested graph does."""
    note("measure")
    return 10 * n


@node(output_name="told")
def tell(size: int, approval: str = "nobody") -> str:
    """End."""
    note("tell")
    return f"{size} by {approval}"


INNER = Graph([measure], name="inner").as_node()
GRAPHS = {
    "chain": Graph([prepare, INNER, tell], name="chain"),
    "loop": Graph([prepare, step, more, INNER, tell], name="loop"),
    "asking": Graph([prepare, InterruptNode("ask", "n", "approval"), INNER, tell], name="asking"),
}


# -- what one life of the program does ---------------------------------------------------------------


async def start(run: Run, names: list[str]) -> list[Any]:
    """Begin workflows, all at once, and wait for them."""
    results = await asyncio.gather(*(run({"x": 0}, name) for name in names))
    note("waiting")
    return results


async def recover(run: Run, names: list[str]) -> list[Any]:
    """Wait until the workflows have come to their last node without being asked for; then ask."""
    until = time.monotonic() + float(os.environ[PATIENCE])
    while _told() - int(os.environ[TOLD]) < len(names):
        if time.monotonic() > until:
            sys.exit(NOT_RECOVERED)
        await asyncio.sleep(0.01)
    return [await _when_free(run, name, until) for name in names]


async def look(run: Run, names: list[str]) -> list[Any]:
    """Ask for the results of workflows that are known."""
    return [await run(None, name) for name in names]


async def answer(run: Run, names: list[str]) -> list[Any]:
    """Answer what workflows that are known are waiting for."""
    return [await run({"approval": "me"}, name) for name in names]


def _told() -> int:
    return Journal(Path(os.environ[HOME], "journal")).lines.count("tell")


async def _when_free(run: Run, name: str, until: float) -> Any:
    """Ask for a result as soon as the recovery is over."""
    while True:
        try:
            return await run(None, name)
        except WorkflowBusyError:
            if time.monotonic() > until:
                raise
            await asyncio.sleep(0.01)


LIVES = {"start": start, "recover": recover, "look": look, "answer": answer}


async def live(make: Callable[..., Any], graph: Graph, life: str, names: list[str]) -> list[Any]:
    """Make and enter the runner, and do what is to be done in this life."""
    async with AsyncExitStack() as stack:
        runner = make(graphs=[graph], path=os.path.join(os.environ[HOME], "workflows.db"))
        if hasattr(runner, "__aenter__"):
            runner = await stack.enter_async_context(runner) or runner
        elif hasattr(runner, "__enter__"):
            runner = stack.enter_context(runner) or runner

        async def run(inputs: Any, name: str) -> Any:
            if runner.capabilities.returns_coroutine:
                result = await runner.run(graph, inputs, workflow_id=name)
            else:
                result = await asyncio.to_thread(runner.run, graph, inputs, workflow_id=name)
            return dict(getattr(result, "values", None) or result)

        return await LIVES[life](run, names)


def main(spec: str, graph: str, life: str, names: str) -> None:
    """Live once: ``spec`` is ``package.module:name`` of what makes the runner."""
    os.environ[MAIN] = str(os.getpid())
    os.environ[TOLD] = str(_told())  # before this life
    module, _, attribute = spec.partition(":")
    make: Any = import_module(module)
    for part in attribute.split("."):
        make = getattr(make, part)
    results = asyncio.run(live(make, GRAPHS[graph], life, names.split(",")))
    Path(os.environ[HOME], "results.json").write_text(json.dumps(results))
