"""pydantic-graph: a graph of `GraphBuilder`, without instrumentation.

Values go from step to step, since there is no state by name. It has no limit of how much runs at once,
hands no chunks to the caller, and no longer saves a run.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic_graph import Graph, GraphBuilder, StepContext, reduce_sum

from benchmarks import functions

Call = Callable[[], Coroutine[Any, Any, Any]]
Step = Callable[[Any], Awaitable[Any]]


def builder_of(name: str) -> GraphBuilder[Any, Any, Any, Any]:
    return GraphBuilder(name=name, input_type=int, output_type=int, auto_instrument=False)


def as_step(builder: GraphBuilder[Any, Any, Any, Any], step: Step) -> Any:
    async def call(context: StepContext[Any, Any, Any]) -> Any:
        return await step(context.inputs)

    return builder.step(call, node_id=step.__name__)


def call_of(graph: Graph[Any, Any, Any, Any]) -> Call:
    async def run() -> int:
        return await graph.run(inputs=0, infer_name=False)

    return run


def chain(directory: Path, size: int) -> Call:
    builder = builder_of("chain")
    steps = functions.functions_of(functions.async_chain(directory, size))
    nodes = [as_step(builder, step) for step in steps]
    for before, after in pairwise([builder.start_node, *nodes, builder.end_node]):
        builder.add_edge(before, after)
    return call_of(builder.build())


def wide(directory: Path, size: int) -> Call:
    builder = builder_of("wide")
    steps: Sequence[Step] = functions.functions_of(functions.async_wide(directory, size))
    nodes = [as_step(builder, step) for step in steps]
    total = builder.join(reduce_sum, initial=0)
    builder.add(
        builder.edge_from(builder.start_node).to(*nodes),
        builder.edge_from(*nodes).to(total),
        builder.edge_from(total).to(builder.end_node),
    )
    return call_of(builder.build())


PREPARE = {"async-chain": chain, "async-wide": wide}
