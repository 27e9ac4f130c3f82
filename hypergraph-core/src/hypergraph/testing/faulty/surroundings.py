"""Runners that break what is around a graph: tasks, limits, threads, and the cache.

Rule of this file: one run alone, to its end, gives what it should.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar

from hypergraph.cache import Cache
from hypergraph.capabilities import RunnerCapabilities
from hypergraph.events import EventProcessor
from hypergraph.execution.effects import Call
from hypergraph.results import RunResult
from hypergraph.runners.base import BaseRunner
from hypergraph.runners.futures import FuturesRunner
from hypergraph.runners.nesting import nested_context
from hypergraph.testing.async_reference_runner import AsyncReferenceRunner, AwaitedInterpreter
from hypergraph.testing.reference_runner import ObservedInterpreter, ReferenceRunner

T = TypeVar("T")

# -- tasks ---------------------------------------------------------------------------------------


class _LeavesSiblings(AwaitedInterpreter):
    @staticmethod
    async def all_of(calls: Sequence[Callable[[], Awaitable[T]]]) -> list[T]:
        """Gather, and let whatever is still under way when one fails go on."""
        return list(await asyncio.gather(*(call() for call in calls)))


class LeakingRunner(AsyncReferenceRunner):
    """Leaves the tasks of the other nodes running when one fails or the run is cancelled."""

    name = "faulty-leaking"
    interpreter = _LeavesSiblings


class UnstoppableRunner(AsyncReferenceRunner):
    """Goes on by itself when it is cancelled."""

    name = "faulty-unstoppable"

    async def run(self, *given: Any, **options: Any) -> dict[str, Any]:
        """Run in a task that nobody can cancel."""
        running = asyncio.ensure_future(super().run(*given, **options))
        return await asyncio.shield(running)


class DismissiveRunner(AsyncReferenceRunner):
    """Ends when it is cancelled, and returns as if it had finished."""

    name = "faulty-dismissive"

    async def run(self, *given: Any, **options: Any) -> dict[str, Any]:
        """Swallow the cancellation."""
        try:
            return await super().run(*given, **options)
        except asyncio.CancelledError:
            return {}


class _OneAfterTheOther(AwaitedInterpreter):
    all_of = staticmethod(ObservedInterpreter.all_of)


class SequentialRunner(AsyncReferenceRunner):
    """Awaits async nodes one after the other."""

    name = "faulty-sequential"
    interpreter = _OneAfterTheOther


class _InOrderOfCompletion(AwaitedInterpreter):
    @staticmethod
    async def all_of(calls: Sequence[Callable[[], Awaitable[T]]]) -> list[T]:
        """Return what was called in the order in which it came back."""
        finished: list[T] = []

        async def finish(call: Callable[[], Awaitable[T]]) -> None:
            finished.append(await call())

        await AwaitedInterpreter.all_of([partial(finish, call) for call in calls])
        return finished

    async def execute(self, name: str, inputs: dict[str, Any]) -> Any:
        """Keep what each node gave."""
        result = self.gave[name] = await super().execute(name, inputs)
        return result

    async def execute_all(self, inputs: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
        """Return what each node gave: nodes have names, and cannot be mixed up as items can."""
        self.gave: dict[str, Any] = {}
        await super().execute_all(inputs)
        return {name: self.gave[name] for name in inputs}


class RacingRunner(AsyncReferenceRunner):
    """Returns the items of a map in the order in which they finish."""

    name = "faulty-racing"
    interpreter = _InOrderOfCompletion


class UnlimitedRunner(AsyncReferenceRunner):
    """Takes ``max_concurrency`` and ignores it."""

    name = "faulty-unlimited"

    async def run(
        self, *given: Any, max_concurrency: int | None = None, **options: Any
    ) -> dict[str, Any]:
        """Run without a limit."""
        return await super().run(*given, **options)

    async def map(
        self, *given: Any, max_concurrency: int | None = None, **options: Any
    ) -> list[dict[str, Any] | Exception]:
        """Run without a limit."""
        return await super().map(*given, **options)


class _AsksNobody(AwaitedInterpreter):
    @staticmethod
    @contextlib.asynccontextmanager
    async def leaf() -> AsyncIterator[None]:
        """Call a node at once."""
        yield


class CrowdingRunner(AsyncReferenceRunner):
    """Does not heed the limit of the run that it is nested in."""

    name = "faulty-crowding"
    interpreter = _AsksNobody


class _HandsNothingDown(ObservedInterpreter):
    async def hand_over(self, runner: BaseRunner, *nested: Any) -> RunResult:
        """Run a nested graph on another runner as if it were nested in nothing."""
        graph, inputs, _ = nested
        return await super().hand_over(runner, graph, inputs, nested_context())


class SecludingRunner(ReferenceRunner):
    """Gives the runner of a nested graph no listeners, no limit and no session."""

    name = "faulty-secluding"
    interpreter = _HandsNothingDown


# -- state ---------------------------------------------------------------------------------------


class RememberingRunner(ReferenceRunner):
    """Keeps the values of its run on itself, where another run at the same time finds them."""

    name = "faulty-remembering"

    def __init__(self, event_processors: Sequence[EventProcessor] = ()) -> None:
        super().__init__(event_processors)
        self.current: ObservedInterpreter | None = None

    def interpreter_for(
        self, where: str, limit: int, processors: Sequence[EventProcessor]
    ) -> ObservedInterpreter:
        """Use the one there is."""
        fresh = super().interpreter_for(where, limit, processors)
        if self.current is None:
            self.current = fresh
        self.current.__dict__.update(fresh.__dict__)
        return self.current


# -- the cache -----------------------------------------------------------------------------------


class _Rekeyed:
    """A cache that is asked by a part of the key only."""

    def __init__(self, cache: Cache, part: Callable[[str], str]) -> None:
        self.cache = cache
        self.part = part

    def get(self, key: str) -> Any:
        """Look a part of the key up."""
        return self.cache.get(self.part(key))

    def put(self, key: str, value: Any) -> None:
        """Keep the value under a part of the key."""
        self.cache.put(self.part(key), value)

    def flush(self) -> None:
        """Hand on."""
        self.cache.flush()


def _rekeyed(cache: Cache | None, part: Callable[[str], str]) -> Cache | None:
    return None if cache is None else _Rekeyed(cache, part)


class _CallsHere(FuturesRunner):
    """A runner of the engine that calls every node at once, where it stands."""

    capabilities = RunnerCapabilities()

    def submit(self, call: Call) -> Future[Any]:
        """Call."""
        return _finished(lambda: call.function(*call.inputs.values()))


def _finished(function: Callable[[], Any]) -> Future[Any]:
    future: Future[Any] = Future()
    try:
        future.set_result(function())
    except BaseException as error:
        future.set_exception(error)
    return future


class ConfusingRunner(_CallsHere):
    """Keys its cache by the inputs alone: nodes with equal inputs get each other's results."""

    name = "faulty-confusing"

    def __init__(self, cache: Cache | None = None, **options: Any) -> None:
        super().__init__(_rekeyed(cache, lambda key: key.partition("|")[2]), **options)


class StaleRunner(_CallsHere):
    """Keys its cache by the node alone: it answers with what the first inputs gave."""

    name = "faulty-stale"

    def __init__(self, cache: Cache | None = None, **options: Any) -> None:
        super().__init__(_rekeyed(cache, lambda key: key.partition("|")[0]), **options)


# -- transport -----------------------------------------------------------------------------------


class FlatteningRunner(_CallsHere):
    """Moves results as JSON does: a tuple arrives as a list."""

    name = "faulty-flattening"
    capabilities = RunnerCapabilities(supports_distributed=True)

    def submit(self, call: Call) -> Future[Any]:
        """Call, and move the result."""
        return _finished(lambda: _flat(call.function(*call.inputs.values())))


def _flat(value: Any) -> Any:
    return list(value) if type(value) is tuple else value


class TranscribingRunner(_CallsHere):
    """Moves exceptions as text: they arrive as errors of the runner."""

    name = "faulty-transcribing"
    capabilities = RunnerCapabilities(supports_distributed=True)

    def submit(self, call: Call) -> Future[Any]:
        """Call, and move what is raised."""
        future = super().submit(call)
        error = future.exception()
        return _finished(lambda: _fail(error)) if isinstance(error, Exception) else future


def _fail(error: Exception) -> None:
    raise RuntimeError(f"{type(error).__name__}: {error}")


SURROUNDED = (
    LeakingRunner,
    UnstoppableRunner,
    DismissiveRunner,
    SequentialRunner,
    RacingRunner,
    UnlimitedRunner,
    CrowdingRunner,
    SecludingRunner,
    RememberingRunner,
    ConfusingRunner,
    StaleRunner,
    FlatteningRunner,
    TranscribingRunner,
)
