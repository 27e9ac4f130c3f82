"""The reference on an event loop passes the kit too, and heeds the run around it."""

import asyncio

import pytest

from hypergraph import Graph, node
from hypergraph.runners import leaf_call_async
from hypergraph.runners.limits import Limiter, current_limiter
from hypergraph.testing import AsyncReferenceRunner, ReferenceRunner, RunnerSuite
from hypergraph_runner_async import AsyncRunner


class TestAsyncReferenceRunner(RunnerSuite):
    make = staticmethod(AsyncReferenceRunner)

    @pytest.fixture
    def runner(self):
        return AsyncReferenceRunner()


class Crowd:
    """Counts how many are inside at once."""

    def __init__(self):
        self.inside = self.most = 0

    def node(self, name):
        async def work(x):
            self.inside += 1
            self.most = max(self.most, self.inside)
            await asyncio.sleep(0.001)
            self.inside -= 1
            return x

        return node(work, name=name, output_name=f"of_{name}")


@pytest.mark.parametrize("limit", [1, 2])
def test_nested_in_a_run_with_a_limit_it_takes_its_slots(limit):
    crowd = Crowd()
    inner = Graph([crowd.node(f"inner{i}") for i in range(4)], name="inner")
    graph = Graph([inner.as_node(runner=AsyncReferenceRunner()), crowd.node("a"), crowd.node("b")])
    asyncio.run(AsyncRunner().run(graph, {"x": 1}, max_concurrency=limit))
    assert crowd.most == limit


def test_who_is_cancelled_while_waiting_for_a_slot_takes_none():
    async def main():
        limiter = Limiter(1)
        current_limiter.set(limiter)
        assert limiter.acquire_nowait()

        async def call():
            async with leaf_call_async():
                raise AssertionError("there was no slot")

        waiting = asyncio.create_task(call())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        limiter.release()
        async with leaf_call_async():
            assert current_limiter.get() is None
            assert not limiter.acquire_nowait()
        assert current_limiter.get() is limiter
        assert limiter.acquire_nowait()

    asyncio.run(main())


def test_the_first_failure_in_declaration_order_is_raised():
    async def fail_late(x):
        try:
            await asyncio.sleep(60)
        finally:
            raise LookupError("late")

    async def fail_early(x):
        await asyncio.sleep(0)
        raise ValueError("early")

    graph = Graph([node(fail_late), node(fail_early)])
    with pytest.raises(LookupError, match="late"):
        asyncio.run(AsyncReferenceRunner().run(graph, {"x": 1}))


@pytest.mark.parametrize("nested", [False, True])
def test_no_coroutine_stands_between_a_node_and_the_caller_of_a_runner_that_blocks(nested):
    error = StopIteration("mine")

    @node(output_name="y")
    def stop(x):
        raise error

    graph = Graph([stop], name="inner")
    if nested:
        graph = Graph([graph.as_node()], name="main")
    with pytest.raises(StopIteration) as caught:
        ReferenceRunner().run(graph, {"x": 1})
    assert caught.value is error
