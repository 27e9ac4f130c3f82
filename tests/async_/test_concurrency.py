"""Calls at once, in threads, and in the background."""

import asyncio
import gc
import signal
import sys
import threading
import time
import traceback
import weakref
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextvars import ContextVar
from functools import partial
from random import Random
from typing import Any, NoReturn

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
import trio

from hypergraph.capabilities import RunnerCapabilities
from hypergraph.graph import Graph
from hypergraph.results import RunResult
from hypergraph.runners.base import BaseRunner
from hypergraph.runners.strategy import call_from_async
from hypergraph_runner_async.background import spawn
from hypergraph_runner_async.concurrency import gather
from hypergraph_runner_async.threads import in_worker_thread, run_in_worker_thread
from hypergraph_runner_async.waking import new_wakeup, outlast, wait_until_done

place: ContextVar[Any] = ContextVar("place", default="outside")
LIMITS = pytest.mark.parametrize("limit", [None, 1, 2, 100])
on_both = pytest.mark.anyio
on_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True)


async def value(number: int) -> int:
    return number


async def steps(number: int, count: int) -> int:
    for _ in range(count):
        await anyio.lowlevel.checkpoint()
    return number


async def fail(error: BaseException, count: int = 0) -> NoReturn:
    await steps(0, count)
    raise error


class Clients:
    """Calls that wait until they are cancelled, and what became of them."""

    def __init__(self) -> None:
        self.begun = self.ended = 0

    async def wait(self) -> None:
        self.begun += 1
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await steps(0, 3)
            self.ended += 1


async def alone() -> bool:
    """Whether no task that was started for a call is left."""
    await steps(0, 2)
    if asyncio_runs():
        return not [task for task in asyncio.all_tasks() if "_Asyncio" in repr(task.get_coro())]
    return True  # trio's nurseries cannot leave a task behind


def asyncio_runs() -> bool:
    return anyio.get_cancelled_exc_class() is asyncio.CancelledError


# -- results ---------------------------------------------------------------------------------


@on_both
@LIMITS
@pytest.mark.parametrize("size", [0, 1, 2, 3, 1000])
async def test_results_come_in_the_order_of_the_calls(limit: int | None, size: int) -> None:
    assert await gather((partial(value, n) for n in range(size)), limit=limit) == [*range(size)]


@on_both
@LIMITS
async def test_in_whatever_order_they_end(limit: int | None) -> None:
    random = Random(3)
    calls = [partial(steps, n, random.randrange(9)) for n in range(200)]
    assert await gather(calls, limit=limit) == list(range(200))


@on_both
async def test_a_call_may_return_any_awaitable() -> None:
    class Ready:
        def __await__(self) -> Iterator[Any]:
            yield from value(7).__await__()
            return 7

    assert await gather([Ready, partial(value, 8), Ready]) == [7, 8, 7]


@on_both
async def test_no_more_than_the_limit_are_under_way_and_as_many_as_that() -> None:
    under_way = peak = 0

    async def call() -> None:
        nonlocal under_way, peak
        under_way += 1
        peak = max(peak, under_way)
        await steps(0, 3)
        under_way -= 1

    await gather([call] * 50, limit=7)
    assert peak == 7


@on_both
async def test_calls_are_taken_when_there_is_room() -> None:
    taken = 0
    ahead = []

    def calls() -> Iterator[Callable[[], Awaitable[None]]]:
        nonlocal taken
        for number in range(300):
            taken += 1
            yield partial(look, number)

    async def look(number: int) -> None:
        ahead.append(taken - number)
        await steps(0, 2)

    await gather(calls(), limit=3)
    assert max(ahead) <= 4
    with pytest.raises(ValueError, match="at least 1"):
        await gather([], limit=0)


@on_both
@LIMITS
async def test_each_call_has_a_context_of_its_own(limit: int | None) -> None:
    async def call(number: int) -> Any:
        found = place.get()
        if number % 3:
            place.set(number)
        await anyio.lowlevel.checkpoint()
        return found

    token = place.set("around")
    try:
        found = await gather([partial(call, n) for n in range(30)], limit=limit)
        assert set(found) == {"around"}
        assert place.get() == "around"
    finally:
        place.reset(token)


@on_both
async def test_values_in_the_context_need_not_be_comparable() -> None:
    class Odd:
        def __eq__(self, other: object) -> bool:
            raise TypeError("cannot be compared")

        __hash__ = None  # type: ignore[assignment]

    async def call() -> bool:
        found = place.get() == "plain"
        place.set(Odd())
        return found

    token = place.set("plain")
    try:
        assert await gather([call] * 9, limit=2) == [True] * 9
    finally:
        place.reset(token)


@on_both
async def test_calls_that_never_wait_leave_room_for_others() -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            await anyio.lowlevel.checkpoint()
            turns += 1

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(other)
        await gather((partial(value, n) for n in range(2000)), limit=2)
        tasks.cancel_scope.cancel()
    assert turns > 5


# -- failures --------------------------------------------------------------------------------


@on_both
@pytest.mark.parametrize("limit", [None, 100])
async def test_the_first_failure_in_order_is_raised_as_it_is(limit: int | None) -> None:
    first, second = KeyError("first"), ValueError("second")
    clients = Clients()
    calls = [clients.wait, partial(fail, first, 3), clients.wait, partial(fail, second, 3)]
    with pytest.raises(KeyError) as caught:
        await gather(calls, limit=limit)
    assert caught.value is first
    assert traceback.extract_tb(first.__traceback__)[-1].name == "fail"
    assert first.__context__ is None
    assert clients.begun == clients.ended == 2
    assert await alone()


@on_both
async def test_several_failures_come_as_a_group_if_asked_for() -> None:
    one, two = KeyError("one"), ValueError("two")
    calls = [partial(steps, 0, 9), partial(fail, one, 2), partial(fail, two, 2)]
    with pytest.raises(ExceptionGroup) as caught:
        await gather(calls, group=True)
    assert list(caught.value.exceptions) == [one, two]
    with pytest.raises(KeyError):
        await gather([*calls[:2], *calls[:1]], group=True)


@on_both
async def test_after_a_failure_none_is_started() -> None:
    started = []

    async def call(number: int) -> None:
        started.append(number)
        await steps(0, 1)
        if number == 5:
            raise BufferError

    with pytest.raises(BufferError):
        await gather((partial(call, n) for n in range(100)), limit=2)
    assert len(started) <= 8


@on_both
@pytest.mark.parametrize("limit", [None, 1, 3])
async def test_calls_that_cannot_be_made_or_taken(limit: int | None) -> None:
    def calls() -> Iterator[Callable[[], Awaitable[int]]]:
        yield partial(steps, 0, 1)
        yield partial(steps, 0, 5)
        yield partial(steps, 0, 5)
        raise LookupError("no further one")

    with pytest.raises(LookupError):
        await gather(calls(), limit=limit)

    def refuse() -> NoReturn:
        raise BufferError("not today")

    with pytest.raises(BufferError):
        await gather([partial(steps, 0, 1), refuse, partial(steps, 0, 9)], limit=limit)
    assert await alone()


@on_both
@pytest.mark.parametrize("kind", [StopIteration, StopAsyncIteration, GeneratorExit])
async def test_exceptions_with_a_meaning_of_their_own(kind: type[BaseException]) -> None:
    error = kind("mine")

    def refuse() -> NoReturn:
        raise error

    with pytest.raises((kind, RuntimeError)) as caught:
        await gather([partial(steps, 0, 2), refuse])
    assert error in (caught.value, caught.value.__cause__)
    assert (caught.value is error) == (kind is not StopIteration)


@on_both
@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
async def test_an_interruption_comes_before_failures(kind: type[BaseException]) -> None:
    clients = Clients()
    calls = [clients.wait, partial(fail, ValueError(), 2), partial(fail, kind("mine"), 2)]
    with pytest.raises(kind, match="mine"):
        await gather(calls)
    assert clients.begun == clients.ended == 1
    assert await alone()


@on_both
@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
async def test_a_failure_is_freed_with_its_frames(kind: type[BaseException]) -> None:
    class Held:
        pass

    found: list[weakref.ref[Held]] = []

    async def call() -> None:
        held = Held()  # its frame is in the traceback
        found.append(weakref.ref(held))
        await steps(0, 1)
        raise kind

    async def run() -> bool:
        try:
            await gather([call, partial(steps, 0, 1), partial(steps, 0, 9)])
        except kind:
            return True
        return False

    gc.collect()
    gc.disable()
    try:
        assert await run()
        await steps(0, 3)
        assert found[0]() is None
    finally:
        gc.enable()


# -- cancellation ----------------------------------------------------------------------------


@on_both
@pytest.mark.parametrize("limit", [None, 3])
async def test_a_cancel_scope_cancels_all_and_waits_for_them(limit: int | None) -> None:
    clients = Clients()
    with anyio.move_on_after(0.02) as scope:
        await gather([clients.wait] * 5, limit=limit)
    assert scope.cancelled_caught
    assert clients.begun == clients.ended == (limit or 5)
    assert await alone()


@on_both
async def test_a_scope_that_is_cancelled_before() -> None:
    clients = Clients()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await gather([clients.wait, clients.wait])
    assert scope.cancelled_caught
    assert clients.begun == clients.ended
    assert await alone()


@on_both
async def test_nested_ones_wait_for_each_other() -> None:
    clients = Clients()

    async def inner() -> list[None]:
        return await gather([clients.wait] * 3)

    with anyio.move_on_after(0.02):
        await gather([inner] * 3)
    assert clients.ended == 9
    with pytest.raises(ZeroDivisionError):
        await gather([inner, inner, partial(fail, ZeroDivisionError(), 9)])
    assert clients.begun == clients.ended == 15
    assert await alone()


@pytest.mark.anyio
@on_asyncio
async def test_a_cancelled_task_and_a_timeout() -> None:
    clients = Clients()
    task = asyncio.create_task(gather([clients.wait] * 4))
    await steps(0, 3)
    task.cancel("enough")
    await steps(0, 1)
    task.cancel()  # while it waits for them
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await gather([clients.wait] * 4)
    assert clients.begun == 8
    assert clients.ended + 4 >= 8
    assert await alone()


@pytest.mark.anyio
@on_asyncio
async def test_being_cancelled_comes_before_failures() -> None:
    async def bad() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise ValueError

    task = asyncio.create_task(gather([bad, bad]))
    await steps(0, 3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.anyio
@on_asyncio
@LIMITS
async def test_a_call_that_is_cancelled_by_somebody_else_has_failed(limit: int | None) -> None:
    async def cancels_itself() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(1)

    with pytest.raises(asyncio.CancelledError):
        await gather([partial(steps, 0, 1), cancels_itself, partial(steps, 0, 1)], limit=limit)
    with pytest.raises(asyncio.CancelledError):
        await gather([partial(steps, 0, 9), partial(fail, asyncio.CancelledError())], limit=limit)
    with pytest.raises(KeyError):
        await gather([partial(fail, asyncio.CancelledError()), partial(fail, KeyError())])
    assert await alone()


@pytest.mark.parametrize("everybody", [True, False])
def test_calls_that_are_cancelled_before_they_begin(everybody: bool) -> None:
    clients = Clients()

    async def main() -> None:
        this = asyncio.current_task()

        async def cancels_others() -> None:
            for task in asyncio.all_tasks():
                if task is not asyncio.current_task() and (everybody or task is not this):
                    task.cancel()

        with pytest.raises(asyncio.CancelledError):
            await gather([cancels_others, clients.wait, clients.wait])
        assert asyncio.all_tasks() == {this}

    asyncio.run(main())
    assert clients.begun == 0


@pytest.mark.anyio
@on_asyncio
async def test_a_swallowed_cancellation_does_not_reach_the_next_call() -> None:
    async def swallows() -> int:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        try:
            await asyncio.sleep(1)
        except asyncio.CancelledError:
            return -1
        raise AssertionError

    async def pending() -> int:
        task = asyncio.current_task()
        assert task is not None
        return task.cancelling()

    assert await gather([swallows, pending, pending], limit=1) == [-1, 0, 0]


@pytest.mark.parametrize("run", [asyncio.run, trio.run])
def test_ctrl_c(run: Callable[[Any], Any]) -> None:
    clients = Clients()

    async def interrupt() -> None:
        await steps(0, 5)
        signal.raise_signal(signal.SIGINT)
        await anyio.sleep_forever()

    async def main() -> None:
        await gather([clients.wait, interrupt, clients.wait])

    with pytest.raises(KeyboardInterrupt):
        run(main) if run is trio.run else run(main())
    assert clients.begun == clients.ended == 2


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks are new in Python 3.12")
@pytest.mark.parametrize("limit", [None, 1, 3])
def test_a_loop_that_starts_tasks_at_once(limit: int | None) -> None:
    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined]
        calls = [partial(steps, n, (0, 0, 3)[n % 3]) for n in range(3000)]
        assert await gather(calls, limit=limit) == list(range(3000))

    asyncio.run(main())


@on_both
async def test_random_ends_leave_nothing_behind() -> None:
    random = Random(11)
    running = 0

    async def call(count: int, bad: bool) -> None:
        nonlocal running
        running += 1
        try:
            await steps(0, count)
            if bad:
                raise ValueError
        finally:
            running -= 1

    for _ in range(300):
        calls = [
            partial(call, random.randrange(6), random.random() < 0.1)
            for _ in range(random.randrange(1, 9))
        ]
        limit = random.choice([None, 1, 2, 4])
        async with anyio.create_task_group() as tasks:

            async def cancel(count: int) -> None:
                await steps(0, count)
                tasks.cancel_scope.cancel()

            tasks.start_soon(cancel, random.randrange(12))
            try:
                await gather(calls, limit=limit, group=random.random() < 0.5)
            except* ValueError:
                pass
            assert running == 0
    assert await alone()


# -- futures and threads ---------------------------------------------------------------------


@on_both
async def test_a_future_is_waited_for() -> None:
    for delay in (0, 0.01):
        future: Future[int] = Future()
        timer = threading.Timer(delay, future.set_result, [7])
        timer.start()
        await wait_until_done(future)
        assert future.done()
        timer.join()
        await wait_until_done(future)
    failed: Future[int] = Future()
    failed.set_exception(KeyError("mine"))
    await wait_until_done(failed)


@on_both
async def test_a_future_stays_as_it_is_when_the_wait_is_cancelled() -> None:
    future: Future[int] = Future()
    with anyio.move_on_after(0.01):
        await wait_until_done(future)
    assert not future.done()
    future.set_result(3)
    await wait_until_done(future)


@on_both
async def test_a_future_can_be_outlasted() -> None:
    future: Future[int] = Future()
    timer = threading.Timer(0.05, future.set_result, [3])
    timer.start()
    with anyio.move_on_after(0.01) as scope:
        await outlast(future)
        await anyio.lowlevel.checkpoint()
    assert future.done()
    assert scope.cancelled_caught
    timer.join()


@pytest.mark.anyio
@on_asyncio
async def test_a_future_outlasts_a_cancelled_task() -> None:
    future: Future[int] = Future()
    task = asyncio.create_task(outlast(future))
    for _ in range(3):
        await steps(0, 2)
        task.cancel()
    await steps(0, 2)
    assert not task.done()
    future.set_result(1)
    with pytest.raises(asyncio.CancelledError):
        await task


def test_who_waited_in_a_loop_that_has_ended() -> None:
    future: Future[int] = Future()

    async def main() -> None:
        with anyio.move_on_after(0.01):
            await wait_until_done(future)

    asyncio.run(main())
    trio.run(main)
    future.set_result(1)
    assert future.done()

    async def make() -> Any:
        return new_wakeup()

    for wakeup in (asyncio.run(make()), trio.run(make)):
        with pytest.raises(RuntimeError):
            wakeup.wake()


@on_both
@pytest.mark.parametrize("in_thread", [in_worker_thread, run_in_worker_thread])
async def test_a_blocking_call_in_a_thread(in_thread: Any) -> None:
    token = place.set("here")
    try:
        found = await in_thread(lambda: (threading.get_ident(), place.get()))
    finally:
        place.reset(token)
    assert found[0] != threading.get_ident()
    assert found[1] == "here"
    for error in (KeyError("mine"), StopIteration("mine"), KeyboardInterrupt("mine")):
        with pytest.raises((type(error), RuntimeError)) as caught:
            await in_thread(partial(throw, error))
        assert error in (caught.value, caught.value.__cause__)


def throw(error: BaseException) -> NoReturn:
    raise error


@on_both
async def test_more_threads_than_anyio_has_by_itself() -> None:
    together = threading.Barrier(60)
    await gather([partial(in_worker_thread, partial(together.wait, 30))] * 60)


@on_both
async def test_who_is_cancelled_waits_for_the_thread() -> None:
    ended = []

    def block() -> None:
        time.sleep(0.1)
        ended.append(True)

    with anyio.move_on_after(0.02) as scope:
        await gather([partial(in_worker_thread, block)] * 2)
        await anyio.lowlevel.checkpoint()
    assert scope.cancel_called
    assert ended == [True, True]


@on_both
async def test_a_call_that_has_not_begun_never_does() -> None:
    begun: list[int] = []
    with anyio.CancelScope() as scope:
        scope.cancel()
        await in_worker_thread(partial(begun.append, 1))
    assert begun == []


class Blocking(BaseRunner):
    """Says in which thread it ran."""

    capabilities = RunnerCapabilities()

    def run(self, graph: Graph, *args: Any, **options: Any) -> Any:
        raise AssertionError("a nested graph never goes through a run() that it can avoid")

    map = run

    def execute(self, graph: Graph, values: Any, context: Any) -> RunResult:
        return RunResult(values={"thread": threading.get_ident()})


@on_both
async def test_a_nested_run_in_a_thread() -> None:
    result = await call_from_async(Blocking(), Graph([]), {}, None, in_thread=run_in_worker_thread)
    assert result.values["thread"] != threading.get_ident()


# -- in the background -----------------------------------------------------------------------


@on_both
async def test_a_coroutine_in_the_background() -> None:
    found: list[Any] = []

    async def body() -> None:
        found.append(place.get())
        place.set("inside")
        await steps(0, 2)
        found.append("ended")

    token = place.set("around")
    background = spawn(body())
    place.reset(token)
    await background.wait()
    assert found == ["around", "ended"]
    assert place.get() == "outside"
    background.cancel()
    await background.wait()


@on_both
async def test_the_background_is_cancelled_by_its_handle_only() -> None:
    clients = Clients()
    with anyio.CancelScope() as scope:
        background = spawn(clients.wait())
        await steps(0, 3)
        scope.cancel()
        await steps(0, 1)
    assert clients.begun == 1
    assert clients.ended == 0
    await in_worker_thread(background.cancel)
    await background.wait()
    assert clients.ended == 1
    unbegun = spawn(clients.wait())
    unbegun.cancel()
    await unbegun.wait()
    assert clients.begun == clients.ended
    assert await alone()


@on_both
async def test_what_the_background_raises_is_raised_to_who_waits() -> None:
    error = KeyboardInterrupt("mine")
    background = spawn(fail(error, 2))
    with pytest.raises(KeyboardInterrupt) as caught:
        await background.wait()
    assert caught.value is error


@pytest.mark.parametrize("run", [asyncio.run, trio.run])
def test_the_background_ends_with_the_loop(run: Callable[[Any], Any]) -> None:
    clients = Clients()
    handles = []

    async def main() -> None:
        handles.append(spawn(clients.wait()))
        await steps(0, 3)
        handles.append(spawn(clients.wait()))

    run(main) if run is trio.run else run(main())
    assert clients.begun == clients.ended
    assert clients.begun >= 1
    for handle in handles:
        handle.cancel()
