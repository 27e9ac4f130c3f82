import asyncio
import os
import signal
import threading
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from typing import Any

import pytest

from hypergraph.capabilities import RunnerCapabilities
from hypergraph.graph import Graph
from hypergraph.results import RunResult
from hypergraph.runners.base import BaseRunner
from hypergraph.runners.strategy import STRATEGIES, Strategy, call_from_async, call_from_sync

GRAPH = Graph([])
CONTEXT = object()
place: ContextVar[str] = ContextVar("place", default="nowhere")

Call = Callable[[BaseRunner], RunResult]


class Toy(BaseRunner):
    """Answers with what it saw, or does what ``body`` does."""

    capabilities = RunnerCapabilities()

    def __init__(self, body: Callable[[], Any] = lambda: None) -> None:
        self.body = body
        self.seen: list[Any] = []

    def run(self, graph: Graph, *args: Any, **options: Any) -> Any:
        raise AssertionError("a nested graph never goes through a run() that it can avoid")

    map = run

    def look(self, context: Any) -> RunResult:
        self.seen.append(context)
        found = {"thread": threading.get_ident(), "place": place.get()}
        place.set("inside")
        return RunResult(values=found)

    def execute(
        self, graph: Graph, values: Mapping[str, Any], context: Any
    ) -> RunResult | Awaitable[RunResult]:
        self.body()
        return self.look(context)


class AsyncToy(Toy):
    capabilities = RunnerCapabilities(returns_coroutine=True)

    async def execute(self, graph: Graph, values: Mapping[str, Any], context: Any) -> RunResult:
        await asyncio.sleep(0)
        result = self.body()
        if isinstance(result, Awaitable):
            await result
        return self.look(context)


def from_sync(nested: BaseRunner) -> RunResult:
    return call_from_sync(nested, GRAPH, {}, CONTEXT)


def from_sync_inside_a_loop(nested: BaseRunner) -> RunResult:
    async def main() -> RunResult:
        return from_sync(nested)

    return asyncio.run(main())


def from_async(nested: BaseRunner) -> RunResult:
    return asyncio.run(call_from_async(nested, GRAPH, {}, CONTEXT))


CALLS = [from_sync, from_sync_inside_a_loop, from_async]
every_call = pytest.mark.parametrize("call", CALLS)
every_kind = pytest.mark.parametrize("kind", [Toy, AsyncToy])


def test_the_way_follows_from_the_two_flags() -> None:
    assert {flags: strategy.value for flags, strategy in STRATEGIES.items()} == {
        (True, True): "direct await",
        (True, False): "asyncio.to_thread()",
        (False, True): "asyncio.run()",
        (False, False): "direct call",
    }
    assert set(STRATEGIES.values()) == set(Strategy)


@every_call
@every_kind
def test_the_result_and_the_context_of_the_run_get_through(call: Call, kind: type[Toy]) -> None:
    nested = kind()
    assert set(call(nested)) == {"thread", "place"}
    assert nested.seen == [CONTEXT]


@every_call
@every_kind
def test_the_nested_run_sees_the_context_variables_of_its_parent(
    call: Call, kind: type[Toy]
) -> None:
    token = place.set("outside")
    try:
        assert call(kind())["place"] == "outside"
    finally:
        place.reset(token)


@pytest.mark.parametrize(
    ("call", "kind", "same_thread"),
    [
        (from_sync, Toy, True),
        (from_sync, AsyncToy, True),
        (from_sync_inside_a_loop, Toy, True),
        (from_sync_inside_a_loop, AsyncToy, False),
        (from_async, Toy, False),
        (from_async, AsyncToy, True),
    ],
)
def test_a_thread_is_taken_only_where_one_is_needed(
    call: Call, kind: type[Toy], same_thread: bool
) -> None:
    assert (call(kind())["thread"] == threading.get_ident()) is same_thread


@every_call
@every_kind
@pytest.mark.parametrize("error", [ValueError("wrong"), SystemExit(3), KeyboardInterrupt()])
def test_an_exception_arrives_as_the_same_object(
    call: Call, kind: type[Toy], error: BaseException
) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        call(kind(fail))
    assert caught.value is error


def test_a_blocking_run_that_raises_stop_iteration_does_not_hang_its_async_parent() -> None:
    async def main() -> RunResult:
        nested = Toy(lambda: next(iter(())))
        return await asyncio.wait_for(call_from_async(nested, GRAPH, {}, CONTEXT), timeout=30)

    with pytest.raises(RuntimeError, match="StopIteration") as caught:
        asyncio.run(main())
    assert isinstance(caught.value.__cause__, StopIteration)


def test_a_blocking_run_leaves_the_event_loop_of_its_async_parent_free() -> None:
    answered = threading.Event()

    async def main() -> None:
        nested = asyncio.create_task(call_from_async(Toy(wait), GRAPH, {}, CONTEXT))
        await asyncio.sleep(0)
        answered.set()
        await nested

    def wait() -> None:
        assert answered.wait(timeout=30)

    asyncio.run(main())


def test_ctrl_c_cancels_the_nested_run_in_its_own_thread() -> None:
    events: list[str] = []

    async def interrupted() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            events.append("cancelled")
            raise

    async def main() -> None:
        from_sync(AsyncToy(interrupted))

    loop = asyncio.new_event_loop()  # asyncio.run() would take the first Ctrl-C for itself
    try:
        with pytest.raises(KeyboardInterrupt):
            loop.run_until_complete(main())
    finally:
        loop.close()
    assert events == ["cancelled"]


def test_a_thread_that_cannot_be_started_is_an_error_and_no_endless_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    error = RuntimeError("can't start new thread")

    def refuse(thread: threading.Thread) -> None:
        raise error

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(RuntimeError) as caught:
        from_sync_inside_a_loop(AsyncToy())
    assert caught.value is error


@pytest.mark.parametrize("call", [from_sync, from_sync_inside_a_loop])
def test_a_coroutine_is_made_inside_the_loop_that_runs_it(call: Call) -> None:
    loops = []
    nested = AsyncToy(lambda: loops.append(asyncio.get_running_loop()))
    call(nested)
    assert len(loops) == 1
    assert loops[0].is_closed()


@every_call
def test_a_runner_that_contradicts_its_flag_is_named_as_such(call: Call) -> None:
    class SaysItBlocks(AsyncToy):
        capabilities = RunnerCapabilities(returns_coroutine=False)

    class SaysItAwaits(Toy):
        capabilities = RunnerCapabilities(returns_coroutine=True)

    with pytest.raises(TypeError, match="without returns_coroutine gave coroutine"):
        call(SaysItBlocks())
    with pytest.raises(TypeError, match="with returns_coroutine gave RunResult"):
        call(SaysItAwaits())
