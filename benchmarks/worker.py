"""The process of one contender: prepares a case, runs a round of it when asked.

Rule of this file: one line of JSON in, one line out. It imports the contender's library and the
standard library, leaves the garbage collector as users have it, and checks every answer. A call that
is a coroutine function is awaited in one event loop, which is there before the clock starts.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import inspect
import json
import os
import sqlite3
import sys
import tempfile
import threading
import time
import tracemalloc
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks import functions
from benchmarks.cases import Case, case

Call = Callable[[], Any]


class Worker:
    """Holds the call that was prepared last, and the event loop of those that are awaited."""

    def __init__(self, contender: str, directory: Path) -> None:
        self.directory = directory
        self.contender = importlib.import_module(f"benchmarks.contenders.{contender}")
        self.loop = asyncio.Runner()
        self.call: Call = lambda: None
        self.number = 1
        self.parts: list[float] = []

    def prepare(self, found: Case, seconds: float) -> dict[str, Any]:
        """Build what the case needs, check its answer, and choose how often one round calls it."""
        self.call = lambda: None  # let go of the case before
        gc.collect()
        if found.kind not in self.contender.PREPARE:
            return {"cannot": "-"}
        call = self.build(found, self.empty_directory())
        started = time.perf_counter()
        answer = self.do(call)
        once = time.perf_counter() - started
        if answer != expected(found):
            return {"cannot": "wrong", "why": f"the answer is of type {type(answer).__name__}"}
        if once < 10 * seconds:  # the first call may have had more to do
            started = time.perf_counter()
            self.do(call)
            once = time.perf_counter() - started
        if not does_the_work(found, node_calls(lambda: self.do(call), self.directory)):
            return {"cannot": "other work", "why": "it does not call the functions as it should"}
        self.parts = []
        self.call, self.number = call, max(1, round(seconds / max(once, 1e-7)))
        return {"number": self.number}

    def round(self) -> dict[str, Any]:
        """Time one round; returns the seconds of one call, and those of them spent on processors."""
        functions.MARKS.clear()
        if inspect.iscoroutinefunction(self.call):
            seconds, cpu = self.loop.run(_timed_async(self.call, self.number))
        else:
            seconds, cpu = _timed(self.call, self.number)
        return {"seconds": seconds, "cpu": cpu, **self.lengthening(functions.MARKS)}

    def lengthening(self, marks: list[float]) -> dict[str, float]:
        """Compare the second half of a call with the first, each part where it was fastest in all
        rounds. (A writer thread has nothing to do at first, so the first part is faster by nature.)"""
        parts = [later - earlier for earlier, later in pairwise(marks)]
        if len(parts) < 2:
            return {}
        self.parts = list(map(min, parts, self.parts or parts))
        half = len(parts) // 2
        return {"lengthening": sum(self.parts[-half:]) / sum(self.parts[:half])}

    def first(self, found: Case, directory: str) -> dict[str, Any]:
        """Time one of the first calls here, on a directory that another process may have filled."""
        if found.kind not in self.contender.PREPARE:
            return {"cannot": "-"}
        call = self.build(found, Path(directory))
        for _ in range(found.start_call - 1):
            self.do(call)
        cpu, started = time.process_time(), time.perf_counter()
        answer = self.do(call)
        ended, cpu_ended = time.perf_counter(), time.process_time()
        if answer != expected(found):
            return {"cannot": "wrong"}
        return {"seconds": ended - started, "cpu": cpu_ended - cpu}

    def memory(self, found: Case) -> dict[str, Any]:
        """Measure apart from the time what a mapped call holds, and its peak, in bytes per item."""
        kept = getattr(self.contender, "KEEP", {})
        if found.kind not in kept:
            return {"cannot": "-"}
        keep = kept[found.kind](self.directory, found.size)
        self.do(keep)
        gc.collect()
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            result = self.do(keep)
            after, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        del result
        return {"held": (after - before) / found.units, "peak": (peak - before) / found.units}

    def file(self, found: Case) -> dict[str, Any]:
        """Measure what the files grow by with each unit more: two calls, one ten times the other."""
        if found.kind not in self.contender.PREPARE:
            return {"cannot": "-"}
        small = case(found.name, found.size // 10)
        grown = []
        for each in (found, small):
            directory = self.empty_directory()
            call = self.build(each, directory)
            self.do(call)  # the tables and their first pages are there
            before = file_bytes(directory)
            if self.do(call) != expected(each):
                return {"cannot": "wrong"}
            grown.append(file_bytes(directory) - before)
        return {"file": (grown[0] - grown[1]) / (found.units - small.units)}

    def build(self, found: Case, directory: Path) -> Call:
        """Prepare the call of a case. A preparation that opens something awaits it in the loop."""
        call = self.contender.PREPARE[found.kind](directory, found.size)
        return self.loop.run(call) if inspect.iscoroutine(call) else call  # type: ignore[no-any-return]

    def do(self, call: Call) -> Any:
        """Do the work once."""
        return self.loop.run(call()) if inspect.iscoroutinefunction(call) else call()

    def empty_directory(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self.directory))


def _timed(call: Call, number: int) -> tuple[float, float]:
    numbers = range(number)
    cpu, started = time.process_time(), time.perf_counter()
    for _ in numbers:
        call()
    ended, cpu_ended = time.perf_counter(), time.process_time()
    return (ended - started) / number, (cpu_ended - cpu) / number


async def _timed_async(call: Call, number: int) -> tuple[float, float]:
    numbers = range(number)
    cpu, started = time.process_time(), time.perf_counter()
    for _ in numbers:
        await call()
    ended, cpu_ended = time.perf_counter(), time.process_time()
    return (ended - started) / number, (cpu_ended - cpu) / number


def file_bytes(directory: Path) -> int:
    """Return the size of all files, of databases without what they have written ahead."""
    for path in directory.rglob("*.db"):
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def expected(found: Case) -> Any:
    """Return what every contender's call must return."""
    size = found.size
    total = sum(range(size))
    answers = {
        "wide": size + total,
        "map": 3 * (total + size),
        "nested-map": 3 * (total + size),
        "miss-disk": True,
        "async-wide": total,
        "async-limit": total,
        "async-map": total + size,
    }
    return answers.get(found.kind, size)


def does_the_work(found: Case, called: int) -> bool:
    """Say whether a call called the functions of the case as often as it must: a hit calls none."""
    size = found.size
    if found.kind.startswith(("hit-", "resume")) or found.kind.endswith(("-out", "-in")):
        return called == 0
    needed = {
        "build": 0,
        "wide": size + 2,
        "loop": 2 * size,
        "map": 3 * size,
        "nested-map": 3 * size,
        "saved-sync": 2 * size,
        "saved-async": 2 * size,
        "saved-long": 2 * size,
    }
    return called >= needed.get(found.kind, size)


def node_calls(call: Call, directory: Path) -> int:
    """Count the calls of functions that were written to this directory, in any thread."""
    count, place = 0, str(directory)

    def profile(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(place) and code.co_name != "by_hand":
            count += 1

    threading.setprofile(profile)
    sys.setprofile(profile)
    try:
        call()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return count


def main() -> None:
    """Answer until there are no more questions."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints must not be taken for an answer
    worker = Worker(sys.argv[1], Path(sys.argv[2]))
    print("{}", file=answers, flush=True)
    for line in sys.stdin:
        question = json.loads(line)
        try:
            answer = _answer(worker, question)
        except Exception as error:  # told to the one who asked
            answer = {"cannot": type(error).__name__, "why": str(error)[:300]}
        print(json.dumps(answer), file=answers, flush=True)
    os._exit(0)  # without waiting for the threads of connections that a contender left open


def _answer(worker: Worker, question: dict[str, Any]) -> dict[str, Any]:
    match question["do"]:
        case "prepare":
            return worker.prepare(_case(question), question["seconds"])
        case "round":
            return worker.round()
        case "first":
            return worker.first(_case(question), question["directory"])
        case "held" | "peak":
            return worker.memory(_case(question))
        case "file":
            return worker.file(_case(question))
        case unknown:
            raise ValueError(f"unknown question {unknown!r}")


def _case(question: dict[str, Any]) -> Case:
    return case(question["case"], question.get("size"))


if __name__ == "__main__":
    main()
