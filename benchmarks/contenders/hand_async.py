"""Hand-written asyncio that does the same and returns the same."""

from __future__ import annotations

import asyncio
import pickle
import queue
import sqlite3
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks import functions

Call = Callable[[], Coroutine[Any, Any, Any]]
DOCUMENT = 1_000_000


def chain(directory: Path, size: int) -> Call:
    by_hand, last = functions.async_chain(directory, size).by_hand, f"v{size}"

    async def run() -> int:
        return (await by_hand(0))[last]

    return run


def wide(directory: Path, size: int) -> Call:
    steps = functions.functions_of(functions.async_wide(directory, size))
    names = [step.__name__ for step in steps]

    async def run() -> int:
        results = dict(zip(names, await asyncio.gather(*[step(0) for step in steps])))
        return sum(results.values())

    return run


def limit(directory: Path, size: int) -> Call:
    steps = functions.functions_of(functions.async_wide(directory, size, 0.01))
    names = [step.__name__ for step in steps]

    async def run() -> int:
        free = asyncio.Semaphore(50)

        async def limited(step: Callable[[int], Awaitable[int]]) -> int:
            async with free:
                return await step(0)

        results = dict(zip(names, await asyncio.gather(*[limited(step) for step in steps])))
        return sum(results.values())

    return run


def mapped(directory: Path, size: int) -> Callable[[], Coroutine[Any, Any, list[dict[str, int]]]]:
    """A pool of 100 workers that take the next item when they have finished one."""
    step, items = functions.async_item(directory).y, list(range(size))

    async def run() -> list[dict[str, int]]:
        results: list[Any] = [None] * size
        waiting = iter(enumerate(items))

        async def work() -> None:
            for place, x in waiting:
                results[place] = {"y": await step(x)}

        await asyncio.gather(*[work() for _ in range(100)])
        return results

    return run


def map_total(directory: Path, size: int) -> Call:
    run = mapped(directory, size)

    async def total() -> int:
        return sum([result["y"] for result in await run()])

    return total


def stream(directory: Path, size: int) -> Call:
    text = functions.stream(directory).text

    async def run() -> int:
        parts, received = [], 0
        async for chunk in text(size):
            parts.append(chunk)
            received += 1
        return received if len("".join(parts)) == 6 * size else -1

    return run


def stream_sync(directory: Path, size: int) -> Call:
    text = functions.stream(directory).sync_text

    async def run() -> int:
        parts, received = [], 0
        for chunk in text(size):
            parts.append(chunk)
            received += 1
        return received if len("".join(parts)) == 6 * size else -1

    return run


class Steps:
    """The steps of workflows, pickled, in one SQLite table."""

    ADD = "INSERT INTO steps VALUES (?, ?, ?, ?)"
    STEPS = "SELECT name, value FROM steps WHERE workflow = ? ORDER BY place"

    def __init__(self, directory: Path) -> None:
        self.connection = sqlite3.connect(
            directory / "steps.db", isolation_level=None, check_same_thread=False
        )
        self.connection.execute("PRAGMA journal_mode=wal")
        self.connection.execute("PRAGMA synchronous=full")
        self.connection.execute(
            "CREATE TABLE IF NOT EXISTS steps (workflow TEXT, place INTEGER, name TEXT, value BLOB,"
            " PRIMARY KEY (workflow, place)) WITHOUT ROWID"
        )

    def add(self, workflow: str, place: int, name: str, value: Any) -> None:
        """Commit one step."""
        self.connection.execute(self.ADD, (workflow, place, name, pickle.dumps(value)))

    def finish(self) -> None:
        """Do nothing: all is safe."""

    def restore(self, workflow: str) -> tuple[dict[str, Any], int]:
        """Return the latest values by name, and how many steps there are."""
        values, place = {}, 0
        for name, value in self.connection.execute(self.STEPS, (workflow,)):
            values[name] = pickle.loads(value)
            place += 1
        return values, place


class StepsBehind(Steps):
    """The same, committed by a thread: what has come in 20 ms together."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        threading.Thread(target=self._write, daemon=True).start()

    def add(self, workflow: str, place: int, name: str, value: Any) -> None:
        self.queue.put((workflow, place, name, pickle.dumps(value)))

    def finish(self) -> None:
        """Wait until all is safe."""
        written = threading.Event()
        self.queue.put(written)
        written.wait()

    def _write(self) -> None:
        while True:
            rows: list[Any] = []
            done = self._take(rows)
            self.connection.execute("BEGIN")
            self.connection.executemany(self.ADD, rows)
            self.connection.execute("COMMIT")
            if done is not None:
                done.set()

    def _take(self, rows: list[Any]) -> threading.Event | None:
        """Take what comes until it is time to commit, or until somebody waits for that."""
        row, until = self.queue.get(), time.monotonic() + 0.02
        while not isinstance(row, threading.Event):
            rows.append(row)
            try:
                row = self.queue.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                return None
        return row


def saved_loop(directory: Path, size: int, steps: Steps, document: str = "") -> Call:
    """A loop whose every result is kept before the next function is called."""
    module = functions.saved_step(directory)
    step, again, numbers = module.n, module.again, count()

    async def run() -> int:
        workflow = f"w{next(numbers)}"
        steps.add(workflow, 0, "inputs", {"n": 0, "stop": size, "document": document})
        n, place, more = 0, 1, True
        while more:
            n = await step(n, document)
            steps.add(workflow, place, "n", n)
            more = again(n, size)
            steps.add(workflow, place + 1, "more", more)
            place += 2
        steps.finish()
        return n

    return run


def saved_sync(directory: Path, size: int) -> Call:
    return saved_loop(directory, size, Steps(directory))


def saved_async(directory: Path, size: int) -> Call:
    return saved_loop(directory, size, StepsBehind(directory))


def saved_file(directory: Path, size: int) -> Call:
    return saved_loop(directory, size, StepsBehind(directory), functions.document(DOCUMENT))


async def resume(directory: Path, size: int) -> Call:
    await saved_async(directory, size)()
    steps = Steps(directory)

    async def run() -> int:
        values, _ = steps.restore("w0")
        return values["n"] if not values["more"] else -1

    return run


PREPARE = {
    "async-chain": chain,
    "async-wide": wide,
    "async-limit": limit,
    "async-map": map_total,
    "stream": stream,
    "stream-sync": stream_sync,
    "saved-sync": saved_sync,
    "saved-async": saved_async,
    "saved-long": saved_async,
    "saved-file": saved_file,
    "resume": resume,
}
KEEP = {"async-map": mapped}
