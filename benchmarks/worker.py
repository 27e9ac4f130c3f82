"""The process of one contender: prepares a case, runs a round of it when asked.

Rule of this file: one line of JSON in, one line out. It imports the contender's library and the
standard library, leaves the garbage collector as users have it, and checks every answer.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import tempfile
import threading
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.cases import Case, case

Call = Callable[[], Any]


class Worker:
    """Holds the call that was prepared last."""

    def __init__(self, contender: str, directory: Path) -> None:
        self.directory = directory
        self.contender = importlib.import_module(f"benchmarks.contenders.{contender}")
        self.call: Call = lambda: None
        self.number = 1

    def prepare(self, found: Case, seconds: float) -> dict[str, Any]:
        """Build what the case needs, check its answer, and choose how often one round calls it."""
        self.call = lambda: None  # let go of the case before
        gc.collect()
        directory = Path(tempfile.mkdtemp(dir=self.directory))
        preparations = self.contender.PREPARE
        if found.kind not in preparations:
            return {"cannot": "-"}
        call = preparations[found.kind](directory, found.size)
        started = time.perf_counter()
        answer = call()
        once = time.perf_counter() - started
        if answer != expected(found):
            return {"cannot": "wrong", "why": f"the answer is of type {type(answer).__name__}"}
        if once < 10 * seconds:  # the first call may have had more to do
            started = time.perf_counter()
            call()
            once = time.perf_counter() - started
        if not does_the_work(found, node_calls(call, self.directory)):
            return {"cannot": "other work", "why": "it does not call the functions as it should"}
        self.call, self.number = call, max(1, round(seconds / max(once, 1e-7)))
        return {"number": self.number}

    def round(self) -> dict[str, Any]:
        """Time one round; returns the seconds of one call, and those of them spent on the processor."""
        call, numbers = self.call, range(self.number)
        cpu, started = time.process_time(), time.perf_counter()
        for _ in numbers:
            call()
        ended, cpu_ended = time.perf_counter(), time.process_time()
        return {"seconds": (ended - started) / self.number, "cpu": (cpu_ended - cpu) / self.number}

    def first(self, found: Case, directory: str) -> dict[str, Any]:
        """Time one of the first calls here, on a directory that another process may have filled."""
        if found.kind not in self.contender.PREPARE:
            return {"cannot": "-"}
        call = self.contender.PREPARE[found.kind](Path(directory), found.size)
        for _ in range(found.start_call - 1):
            call()
        cpu, started = time.process_time(), time.perf_counter()
        answer = call()
        ended, cpu_ended = time.perf_counter(), time.process_time()
        if answer != expected(found):
            return {"cannot": "wrong"}
        return {"seconds": ended - started, "cpu": cpu_ended - cpu}

    def memory(self, found: Case) -> dict[str, Any]:
        """Measure apart from the time what a mapped call holds, and its peak, in bytes per item."""
        keep = self.contender.KEEP[found.kind](self.directory, found.size)
        keep()
        gc.collect()
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            result = keep()
            after, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        del result
        return {"held": (after - before) / found.units, "peak": (peak - before) / found.units}


def expected(found: Case) -> Any:
    """Return what every contender's call must return."""
    size = found.size
    if found.kind in ("map", "nested-map"):
        return 3 * sum(range(1, size + 1))
    return {"wide": size + sum(range(size)), "miss-disk": True}.get(found.kind, size)


def does_the_work(found: Case, called: int) -> bool:
    """Say whether a call called the functions of the case as often as it must: a hit calls none."""
    size = found.size
    if found.kind.startswith("hit-") or found.kind.endswith(("-out", "-in")):
        return called == 0
    needed = {
        "build": 0,
        "wide": size + 2,
        "loop": 2 * size,
        "map": 3 * size,
        "nested-map": 3 * size,
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


def _answer(worker: Worker, question: dict[str, Any]) -> dict[str, Any]:
    match question["do"]:
        case "prepare":
            return worker.prepare(_case(question), question["seconds"])
        case "round":
            return worker.round()
        case "first":
            return worker.first(_case(question), question["directory"])
        case "memory":
            return worker.memory(_case(question))
        case unknown:
            raise ValueError(f"unknown question {unknown!r}")


def _case(question: dict[str, Any]) -> Case:
    return case(question["case"], question.get("size"))


if __name__ == "__main__":
    main()
