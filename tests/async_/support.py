"""What the tests of the async runner share: its lanes, its tasks, and counters of what runs at once."""

import asyncio
import threading

import anyio
import anyio.lowlevel
import pytest
import trio

from hypergraph import MemoryCache, node
from hypergraph.checkpointers import MemoryCheckpointer
from hypergraph_runner_async import AsyncRunner
from hypergraph_runner_async.waking import on_asyncio
from tests.sync.support import Listener, notes

__all__ = [
    "Counted",
    "LANES",
    "LONG",
    "Listener",
    "Peak",
    "Room",
    "follow",
    "in_every_lane",
    "notes",
    "steps",
]

LONG = 20  # seconds after which a test that waits has failed

LANES = {
    "unobserved": AsyncRunner,
    "observed": lambda: AsyncRunner(event_processors=[Listener()]),
    "cached": lambda: AsyncRunner(cache=MemoryCache()),
    "kept": lambda: AsyncRunner(checkpointer=MemoryCheckpointer()),
    "threads": lambda: AsyncRunner(sync_nodes="thread"),
    "observed threads": lambda: AsyncRunner(sync_nodes="thread", event_processors=[Listener()]),
}

in_every_lane = pytest.mark.parametrize(
    "runner", [pytest.param(make, id=name) for name, make in LANES.items()], indirect=True
)


class Peak:
    """Counts how many are inside at once, tasks and threads alike: ``with peak: ...``."""

    def __init__(self):
        self.now = self.most = self.entered = 0
        self._lock = threading.Lock()

    def __enter__(self):
        with self._lock:
            self.now += 1
            self.entered += 1
            self.most = max(self.most, self.now)

    def __exit__(self, *raised):
        with self._lock:
            self.now -= 1


class Room:
    """Lets nobody out before ``size`` tasks are inside at once: ``await room.meet()``."""

    def __init__(self, size):
        self.size = size
        self.inside = 0
        self._full = None

    async def meet(self):
        if self._full is None:
            self._full = anyio.Event()
        self.inside += 1
        if self.inside == self.size:
            self._full.set()
        with anyio.fail_after(LONG):
            await self._full.wait()


class Counted:
    """An endless generator node that counts what it has yielded, and notes its end."""

    def __init__(self, kind="async", count=10**9):
        self.yielded, self.ended, self.count = 0, False, count
        self.node = node(getattr(self, f"_{kind}")(), name="endless", output_name="out")

    def _async(self):
        async def endless(x):
            try:
                for i in range(self.count):
                    self.yielded += 1
                    yield i
            finally:
                self.ended = True

        return endless

    def _sync(self):
        def endless(x):
            try:
                for i in range(self.count):
                    self.yielded += 1
                    yield i
            finally:
                self.ended = True

        return endless


def tasks():
    """Return how many tasks there are in this event loop."""
    if on_asyncio():
        return len(asyncio.all_tasks())
    return trio.lowlevel.current_statistics().tasks_living


async def turns(count=20):
    """Let everything else go on."""
    for _ in range(count):
        await anyio.lowlevel.checkpoint()


class NoTaskLeft:
    """``async with NoTaskLeft():`` fails if there are more tasks in the end than in the beginning."""

    async def __aenter__(self):
        self.before = tasks()

    async def __aexit__(self, kind, error, traceback):
        with anyio.CancelScope(shield=True):
            for _ in range(1000):
                if tasks() <= self.before:
                    return
                await anyio.lowlevel.checkpoint()
        assert tasks() <= self.before, "tasks were left behind"


async def follow(stream):
    """Return all events of a stream."""
    with anyio.fail_after(LONG):
        return [event async for event in stream]


def steps(events):
    """Return events as texts such as ``"NodeStart double"``."""
    listener = Listener()
    listener.events = list(events)
    return listener.steps()
