"""Slots of a limit, shared by tasks, threads and event loops."""

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any, NoReturn

import anyio
import anyio.lowlevel
import pytest
import trio

from hypergraph.runners.limits import Limiter, Slot, current_limiter
from hypergraph_runner_async.concurrency import gather
from hypergraph_runner_async.limits import AsyncSlot, acquire
from hypergraph_runner_async.threads import in_worker_thread, run_in_worker_thread

on_both = pytest.mark.anyio
RUNS = pytest.mark.parametrize("run", [lambda main: asyncio.run(main()), trio.run])


async def steps(count: int) -> None:
    for _ in range(count):
        await anyio.lowlevel.checkpoint()


def all_free(limiter: Limiter) -> bool:
    """Whether every slot can be taken, and no more; gives them back."""
    taken = [limiter.acquire_nowait() for _ in range(limiter.total + 1)]
    for _ in range(limiter.total):
        limiter.release()
    return taken == [True] * limiter.total + [False]


class Gauge:
    """Counts who is inside, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.inside = self.peak = self.entered = 0

    def __enter__(self) -> None:
        with self._lock:
            self.entered += 1
            self.inside += 1
            self.peak = max(self.peak, self.inside)

    def __exit__(self, *raised: object) -> None:
        with self._lock:
            self.inside -= 1


# -- the limiter alone -----------------------------------------------------------------------


def test_slots_are_counted() -> None:
    limiter = Limiter(2)
    assert [limiter.acquire_nowait() for _ in range(3)] == [True, True, False]
    limiter.release()
    assert limiter.acquire_nowait()
    limiter.release()
    limiter.release()
    with pytest.raises(ValueError, match="nobody had taken"):
        limiter.release()
    with pytest.raises(ValueError, match="at least 1 slot, not 0"):
        Limiter(0)
    assert all_free(limiter)


def test_who_comes_first_is_served_first_and_not_overtaken() -> None:
    limiter = Limiter(1)
    served: list[str] = []
    assert limiter.acquire_nowait()
    limiter.add_waiter(partial(served.append, "a"))
    dropped = limiter.add_waiter(partial(served.append, "b"))
    limiter.add_waiter(partial(served.append, "c"))
    assert not limiter.acquire_nowait()
    dropped.cancel()
    assert served == []
    limiter.release()
    assert served == ["a"]
    assert not limiter.acquire_nowait()
    limiter.release()
    assert served == ["a", "c"]
    limiter.release()
    limiter.add_waiter(partial(served.append, "at once"))
    assert served[-1] == "at once"
    limiter.release()
    assert all_free(limiter)


def test_a_slot_that_was_granted_to_who_has_gone_is_passed_on() -> None:
    limiter = Limiter(1)
    served: list[str] = []
    assert limiter.acquire_nowait()
    first = limiter.add_waiter(partial(served.append, "first"))
    limiter.add_waiter(partial(served.append, "second"))
    limiter.release()
    assert served == ["first"]
    first.cancel()
    first.cancel()
    assert served == ["first", "second"]
    limiter.release()
    assert all_free(limiter)


def test_a_waiter_that_cannot_be_told_is_passed_over() -> None:
    limiter = Limiter(1)
    served: list[str] = []

    def gone() -> NoReturn:
        raise RuntimeError("the event loop is closed")

    nobody = limiter.add_waiter(gone)
    nobody.cancel()
    assert limiter.acquire_nowait()
    waiters = [limiter.add_waiter(gone) for _ in range(3)]
    limiter.add_waiter(partial(served.append, "last"))
    limiter.release()
    assert served == ["last"]
    for waiter in waiters:
        waiter.cancel()
    limiter.release()
    assert all_free(limiter)


def test_a_waiter_that_gives_up_while_it_is_told() -> None:
    limiter = Limiter(1)
    waiters: list[Any] = []

    def told() -> None:
        waiters[0].cancel()
        raise RuntimeError("and fails")

    assert limiter.acquire_nowait()
    waiters.append(limiter.add_waiter(told))
    limiter.release()
    assert all_free(limiter)


def test_threads_wait_for_a_slot() -> None:
    limiter, gauge = Limiter(3), Gauge()

    def work() -> None:
        for _ in range(200):
            with Slot(limiter), gauge:
                pass

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert gauge.entered == 1600
    assert gauge.peak <= 3
    assert all_free(limiter)


# -- waiting in an event loop ----------------------------------------------------------------


@on_both
@pytest.mark.parametrize("total", [1, 2, 5])
async def test_no_more_calls_than_slots(total: int) -> None:
    limiter, gauge = Limiter(total), Gauge()

    async def call() -> None:
        async with AsyncSlot(limiter):
            with gauge:
                await steps(3)

    await gather([call] * 40)
    assert gauge.peak == total
    assert gauge.entered == 40
    assert all_free(limiter)


@on_both
async def test_a_free_slot_costs_no_turn_of_the_event_loop() -> None:
    limiter = Limiter(1)
    with pytest.raises(StopIteration):
        acquire(limiter).send(None)
    assert not limiter.acquire_nowait()
    limiter.release()


@on_both
async def test_tasks_are_served_in_order() -> None:
    limiter = Limiter(1)
    served: list[int] = []

    async def call(number: int) -> None:
        async with AsyncSlot(limiter):
            served.append(number)
            await steps(1)

    await acquire(limiter)
    async with anyio.create_task_group() as tasks:
        for number in range(9):
            tasks.start_soon(call, number)
            await steps(2)
        assert served == []
        limiter.release()
    assert served == list(range(9))
    assert all_free(limiter)


@on_both
async def test_inside_of_a_call_there_is_no_limiter() -> None:
    limiter = Limiter(1)
    token = current_limiter.set(limiter)
    try:
        async with AsyncSlot(limiter):
            assert current_limiter.get() is None
            assert await in_worker_thread(current_limiter.get) is None
        assert current_limiter.get() is limiter
        with Slot(limiter):
            assert current_limiter.get() is None
        with pytest.raises(KeyError):
            async with AsyncSlot(limiter):
                raise KeyError
        assert current_limiter.get() is limiter
        assert await run_in_worker_thread(current_limiter.get) is limiter
    finally:
        current_limiter.reset(token)
    assert all_free(limiter)


@on_both
async def test_graphs_in_graphs_get_through_one_slot() -> None:
    limiter, gauge = Limiter(1), Gauge()

    async def leaf() -> None:
        async with AsyncSlot(limiter):
            with gauge:
                await steps(1)

    def blocking_leaf() -> None:
        with Slot(limiter), gauge:
            pass

    async def in_thread() -> None:
        await run_in_worker_thread(blocking_leaf)

    async def level(depth: int) -> None:
        inner = partial(level, depth - 1) if depth else leaf
        await gather([inner, in_thread, inner])

    await level(3)
    assert gauge.peak == 1
    assert gauge.entered == 16 + 15
    assert all_free(limiter)


@on_both
@pytest.mark.parametrize("seed", range(3))
async def test_no_slot_is_lost_to_who_is_cancelled(seed: int) -> None:
    random = Random(seed)
    limiter, gauge = Limiter(3), Gauge()

    async def call(count: int, patience: int) -> None:
        async def leave(scope: anyio.CancelScope) -> None:
            await steps(patience)
            scope.cancel()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(leave, tasks.cancel_scope)
            async with AsyncSlot(limiter):
                with gauge:
                    await steps(count)
            tasks.cancel_scope.cancel()

    for _ in range(40):
        calls = [partial(call, random.randrange(4), random.randrange(1, 40)) for _ in range(25)]
        await gather(calls)
        assert all_free(limiter)
    assert gauge.peak == 3
    assert gauge.entered > 100


def test_no_slot_is_lost_to_a_cancelled_task() -> None:
    random = Random(5)
    limiter, gauge = Limiter(3), Gauge()

    async def call(count: int) -> None:
        async with AsyncSlot(limiter):
            with gauge:
                await steps(count)

    async def main() -> None:
        for _ in range(100):
            tasks = [asyncio.create_task(call(random.randrange(4))) for _ in range(30)]
            while not all(task.done() for task in tasks):
                await asyncio.sleep(0)
                random.choice(tasks).cancel()
            assert all_free(limiter)

    asyncio.run(main())
    assert gauge.peak == 3
    assert gauge.entered > 100


@on_both
async def test_a_cancelled_waiter_leaves_at_once() -> None:
    limiter = Limiter(1)
    async with AsyncSlot(limiter):
        with anyio.move_on_after(0.01) as scope:
            await acquire(limiter)
        assert scope.cancelled_caught
    assert all_free(limiter)


@RUNS
def test_a_slot_is_not_lost_to_a_loop_that_has_ended(run: Callable[[Any], Any]) -> None:
    limiter = Limiter(1)
    assert limiter.acquire_nowait()
    left: list[Any] = []

    async def main() -> None:
        waiting = acquire(limiter)
        waiting.send(None)  # as a task that is forgotten
        left.append(waiting)

    run(main)
    limiter.release()
    assert limiter.acquire_nowait()
    left.pop().close()
    limiter.release()
    assert all_free(limiter)


def test_threads_and_two_loops_share_a_limiter() -> None:
    limiter, gauge = Limiter(4), Gauge()

    async def call(seed: int) -> None:
        random = Random(seed)
        for _ in range(12):
            with anyio.move_on_after(random.choice([0.002, 1000])):
                async with AsyncSlot(limiter):
                    with gauge:
                        await anyio.sleep(random.random() / 2000)

    async def main() -> None:
        await gather([partial(call, seed) for seed in range(15)])

    def block() -> None:
        for _ in range(100):
            with Slot(limiter), gauge:
                pass

    jobs: list[Callable[[], Any]] = [
        partial(trio.run, main),
        lambda: asyncio.run(main()),
        lambda: asyncio.run(main()),
        block,
        block,
    ]
    failures: list[BaseException] = []

    def guarded(job: Callable[[], Any]) -> None:
        try:
            job()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert failures == []
    assert gauge.peak <= 4
    assert all_free(limiter)
