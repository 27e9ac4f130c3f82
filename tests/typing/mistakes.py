"""Mistakes that a type checker must find: each line that says it ignores an error must have it."""

from hypergraph import (
    END,
    AsyncRunner,
    Graph,
    MemoryCache,
    RetryPolicy,
    SyncRunner,
    branch,
    load_runner,
    node,
    route,
    run,
)
from hypergraph.checkpointers import SqliteCheckpointer


@node(output_name="text")
def to_text(number: int) -> str:
    return str(number)


@branch(when_true="to_text", when_false=END)
def is_even(number: int) -> bool:
    return number % 2 == 0


def mistakes() -> None:
    to_text("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    to_text(nubmer=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    _ = to_text(1) + 1  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]
    is_even("2")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    node(output_name=1)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    branch(when_true="a")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    route(targets=[1])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    node(retry=3)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    node(timeout="3s")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    RetryPolicy(maximum_attempts="3")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    RetryPolicy(non_retryable_errors=ValueError)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Graph([len])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    graph = Graph([to_text], nmae="g")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    graph.as_node().map_over("x", mode="zap")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    SyncRunner(cache=MemoryCache)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    SyncRunner(clock=RetryPolicy())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    runner = SyncRunner()
    runner.run(graph, {"number": 1}, max_iterations="9")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    runner.run(graph, {"number": 1}, serssion_id="s")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    runner.map(graph, {"number": [1]})  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    run(graph, {"number": 1}, runner=3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    load_runner(SyncRunner)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    runner.run(to_text, {"number": 1})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def mistakes_with_an_event_loop() -> None:
    AsyncRunner(sync_nodes="threads")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    AsyncRunner(checkpointer="runs.db")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    SqliteCheckpointer("runs.db", durability="never")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    runner, graph = AsyncRunner(), Graph([to_text])
    runner.run(graph, {"number": 1})["text"]  # type: ignore[index]  # pyright: ignore[reportIndexIssue]
    await runner.run(graph, {"number": 1}, max_concurrency="2")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await runner.run(graph, {"number": 1}, on_error="ignore")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await runner.run(graph, {"number": 1}, workflow="w")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await runner.map(graph, {"number": [1]}, map_over="number", workflow_id="w")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    for _ in runner.iter(graph, {"number": 1}):  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues]
        pass
