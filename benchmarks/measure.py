"""Measuring: every contender in turn, round after round.

Rule of this file: one process works at a time. A result is the median of a contender's rounds;
where there is none, the reason stands in its place.
"""

from __future__ import annotations

import statistics
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.cases import ONCE, Case
from benchmarks.environments import OURS, environment
from benchmarks.process import Process


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How long to measure: ``rounds`` per contender, ``seconds`` of calls in each, and no further
    round once a contender has used ``budget`` seconds in one case. ``timeout`` in seconds."""

    rounds: int = 9
    seconds: float = 0.03
    budget: float = 2.0
    timeout: float = 15.0
    starts: int = 21


ONCE_TIMEOUT = 120.0
QUICK = Effort(rounds=3, seconds=0.01, budget=0.1, timeout=2.0, starts=2)


@dataclass(slots=True)
class Result:
    """What a contender's rounds gave: the case's figure per unit, or why there are none.

    ``cpu``: the seconds of the same rounds that the process spent on processors, in all threads.
    """

    rounds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    cannot: str = ""
    why: str = ""

    @property
    def median(self) -> float | None:
        """The median of the rounds."""
        return statistics.median(self.rounds) if self.rounds else None

    def times(self, other: Result) -> float | None:
        """How many times what another contender needed: the median over the rounds, which were
        taken one after the other."""
        pairs = [mine / its for mine, its in zip(self.rounds, other.rounds) if its]
        return statistics.median(pairs) if pairs else None


Results = dict[str, Result]


def measure(case: Case, workers: Mapping[str, Process], effort: Effort) -> Results:
    """Measure one case with every contender that takes part in it."""
    taking_part = {n: w for n, w in workers.items() if n in OURS or case.peers}
    results = {name: Result() for name in taking_part}
    if case.start_call:
        _measure_starts(case, taking_part, results, effort)
        return results
    if case.figure in ONCE:
        _measure_once(case, taking_part, results)
        return results
    units, spent = {}, {}
    for name, worker in taking_part.items():
        size = case.size if name in OURS or case.peer_size is None else case.peer_size
        units[name] = case.units * size // case.size
        answer = worker.ask(
            effort.timeout, do="prepare", case=case.name, size=size, seconds=effort.seconds
        )
        _note(results[name], answer)
        spent[name] = -effort.budget if name in OURS else 0.0
    for _ in range(effort.rounds):
        for name, worker in taking_part.items():
            if results[name].cannot or spent[name] > effort.budget:
                continue
            began = time.perf_counter()
            answer = worker.ask(effort.timeout, do="round")
            spent[name] += time.perf_counter() - began
            _note(results[name], answer)
            _keep(results[name], answer, case.figure, units[name])
    return results


def _measure_starts(
    case: Case, workers: Mapping[str, Process], results: Results, effort: Effort
) -> None:
    """Measure one of the first calls of a new process, after another one made the same call."""
    with tempfile.TemporaryDirectory(prefix="hypergraph-bench-") as shared:
        for number in range(min(effort.rounds, 5) + 1):
            for name, worker in workers.items():
                directory = Path(shared) / name
                directory.mkdir(exist_ok=True)
                if results[name].cannot:
                    continue
                worker.close()
                question = {"case": case.name, "directory": str(directory)}
                answer = worker.ask(effort.timeout, do="first", **question)
                _note(results[name], answer)
                if number:
                    _keep(results[name], answer, case.figure, case.units)


def _measure_once(case: Case, workers: Mapping[str, Process], results: Results) -> None:
    """Measure what is the same each time, apart from the time it takes."""
    for name, worker in workers.items():
        size = case.size if name in OURS or case.peer_size is None else case.peer_size
        answer = worker.ask(ONCE_TIMEOUT, do=case.figure, case=case.name, size=size)
        _note(results[name], answer)
        _keep(results[name], answer, case.figure, 1)


def measure_starts(statements: Mapping[str, tuple[Path, str]], effort: Effort) -> Results:
    """Measure what each statement adds to the start of its interpreter, one start after another."""
    bare: dict[str, list[float]] = {name: [] for name in statements}
    full: dict[str, list[float]] = {name: [] for name in statements}
    for number in range(effort.starts + 1):
        for name, (python, statement) in statements.items():
            empty, loaded = _start(python, "pass"), _start(python, statement)
            if number:  # the first start reads the files from disk
                bare[name].append(empty)
                full[name].append(loaded)
    return {
        name: Result([statistics.median(full[name]) - statistics.median(bare[name])])
        for name in statements
    }


def loaded_modules(python: Path, statement: str) -> list[str]:
    """Name the modules that a statement loads besides those of the bare interpreter."""
    program = f"import sys; b = set(sys.modules); {statement}; print(*sorted(set(sys.modules) - b))"
    command = [str(python), "-I", "-c", program]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


def _start(python: Path, statement: str) -> float:
    command = [str(python), "-I", "-c", statement]
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=environment())
    return time.perf_counter() - began


def _keep(result: Result, answer: dict[str, Any], figure: str, units: int) -> None:
    if figure in answer:
        result.rounds.append(answer[figure] / units)
    if "cpu" in answer and figure in ("seconds", "cpu"):
        result.cpu.append(answer["cpu"] / units)


def _note(result: Result, answer: dict[str, Any]) -> None:
    result.cannot = answer.get("cannot", "")
    result.why = answer.get("why", "")
