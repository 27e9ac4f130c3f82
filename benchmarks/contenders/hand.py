"""Hand-written Python that does the same and returns the same."""

from __future__ import annotations

import hashlib
import pickle
import sqlite3
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks import functions
from benchmarks.contenders import hand_async

Call = Callable[[], Any]


def chain(directory: Path, size: int) -> Call:
    by_hand, last = functions.chain(directory, size).by_hand, f"v{size}"
    return lambda: by_hand(0)[last]


def wide(directory: Path, size: int) -> Call:
    by_hand = functions.wide(directory, size).by_hand
    return lambda: by_hand(0)["sink"]


def listener(directory: Path, size: int) -> Call:
    """Tell a listener before and after each call, with what a listener wants to know."""
    steps = functions.functions_of(functions.chain(directory, size))

    def on_event(kind: str, name: str, values: dict[str, Any]) -> None:
        pass

    def run() -> int:
        value, names = 0, [f"v{i}" for i in range(size + 1)]
        for number, step in enumerate(steps):
            name = names[number + 1]
            on_event("start", name, {names[number]: value})
            value = step(value)
            on_event("end", name, {name: value})
        return value

    return run


def loop(directory: Path, size: int) -> Call:
    module = functions.step(directory)
    step, again = module.n, module.again

    def run() -> int:
        n = step(0)
        while again(n, size):
            n = step(n)
        return n

    return run


def mapped(directory: Path, size: int) -> Callable[[], list[dict[str, int]]]:
    module = functions.item(directory)
    make_a, make_b, make_c = module.a, module.b, module.c
    items = list(range(size))

    def run() -> list[dict[str, int]]:
        results = []
        for x in items:
            a = make_a(x)
            b = make_b(a)
            results.append({"a": a, "b": b, "c": make_c(a, b)})
        return results

    return run


def map_total(directory: Path, size: int) -> Call:
    run = mapped(directory, size)
    return lambda: sum([result["c"] for result in run()])


def nested_map(directory: Path, size: int) -> Call:
    run = mapped(directory, size)

    def total() -> int:
        columns: dict[str, list[int]] = {"a": [], "b": [], "c": []}
        for result in run():
            for name, column in columns.items():
                column.append(result[name])
        return sum(columns["c"])

    return total


def nested(directory: Path, size: int) -> Call:
    steps = functions.functions_of(functions.chain(directory, size))

    def level(step: Callable[[int], int], inner: Callable[[int], int] | None) -> Any:
        if inner is None:
            return step
        return lambda value: inner(step(value))

    run = None
    for step in reversed(steps):
        run = level(step, run)
    assert run is not None
    return lambda: run(0)


def hit_memory(directory: Path, size: int) -> Call:
    steps = functions.functions_of(functions.chain(directory, size))
    known: dict[Any, int] = {}

    def run() -> int:
        value = 0
        for step in steps:
            key = (step.__name__, value)
            if key not in known:
                known[key] = step(value)
            value = known[key]
        return value

    return run


class Store:
    """Pickled results in one SQLite table."""

    def __init__(self, directory: Path) -> None:
        self.connection = sqlite3.connect(directory / "results.db", isolation_level=None)
        self.connection.execute("PRAGMA journal_mode=wal")
        self.connection.execute("PRAGMA synchronous=normal")
        self.connection.execute(
            "CREATE TABLE IF NOT EXISTS results (key TEXT PRIMARY KEY, value BLOB)"
        )

    def call(self, function: Callable[[Any], Any], argument: Any) -> Any:
        data = argument if isinstance(argument, bytes) else pickle.dumps(argument)
        key = f"{function.__name__}:{hashlib.sha256(data).hexdigest()}"
        row = self.connection.execute("SELECT value FROM results WHERE key = ?", (key,)).fetchone()
        if row is not None:
            return pickle.loads(row[0])
        value = function(argument)
        self.connection.execute("INSERT INTO results VALUES (?, ?)", (key, pickle.dumps(value)))
        return value

    def run(self, steps: list[Callable[[Any], Any]], value: Any) -> Any:
        self.connection.execute("BEGIN")
        for step in steps:
            value = self.call(step, value)
        self.connection.execute("COMMIT")
        return value


def hit_disk(directory: Path, size: int) -> Call:
    steps = functions.functions_of(functions.chain(directory, size))
    store = Store(directory)
    return lambda: store.run(steps, 0)


def miss_disk(directory: Path, size: int) -> Call:
    steps = functions.functions_of(functions.chain(directory, size))
    store, fresh = Store(directory), count(step=size + 1)

    def run() -> bool:
        start = next(fresh)
        return store.run(steps, start) == start + size

    return run


def bytes_out(directory: Path, size: int) -> Call:
    store, make = Store(directory), functions.large(directory).data
    return lambda: len(store.run([make], size))


def bytes_in(directory: Path, size: int) -> Call:
    module, known = functions.large(directory), {}
    data = module.data(size)

    def run() -> int:
        key = hashlib.sha256(data).digest()
        if key not in known:
            known[key] = module.length(data)
        return known[key]

    return run


PREPARE = {
    "chain": chain,
    "wide": wide,
    "listener": listener,
    "loop": loop,
    "map": map_total,
    "nested": nested,
    "nested-map": nested_map,
    "hit-memory": hit_memory,
    "hit-disk": hit_disk,
    "miss-disk": miss_disk,
    "bytes-out": bytes_out,
    "bytes-in": bytes_in,
    **hand_async.PREPARE,
}
KEEP = {"map": mapped, **hand_async.KEEP}
