"""Programs of the fault tests, each in a process of its own: ``python -m tests.async_.faults NAME ...``.

They fork before any thread or event loop starts, so that a killed process costs no interpreter start.
A program that finds everything as it should be ends with 0.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any

import anyio.lowlevel
from hypothesis import HealthCheck, Phase, find, settings, strategies as st

from hypergraph import END, Graph, branch, node
from hypergraph.checkpointers import SqliteCheckpointer, WorkflowStatus
from hypergraph.errors import CheckpointError
from hypergraph.testing import (
    CrashingCheckpointer,
    Executions,
    as_async,
    kill_process,
    recorded,
    reference,
)
from hypergraph.testing.shape import closure
from hypergraph.testing.strategies import (
    Case,
    Shapes,
    acyclic_cases,
    asking_cases,
    cases,
    describe_value,
    looping_cases,
)
from hypergraph_runner_async import AsyncRunner
from tests.properties.support import answer, gives_no_nested_answer


def store(database: str | Path, durability: Any = "sync") -> SqliteCheckpointer:
    """Open a file of workflows with a key of its own."""
    return SqliteCheckpointer(database, durability=durability, key_file=f"{database}.key")


async def pause() -> None:
    await asyncio.sleep(0)


def start(work: Callable[[], Any]) -> int:
    """Do something in a forked process; returns its id."""
    child = os.fork()
    if child:
        return child
    try:
        work()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def end_of(child: int) -> int:
    """Wait for a process; returns 0, 1, or minus the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


# -- kill -9 -------------------------------------------------------------------------------------


Found = reference.ReferenceResult


def most_inside(found: Found) -> int:
    """Return how often the busiest node of all nested graphs ran."""
    return max((runs for path, runs in found.runs.items() if "/" in path), default=0)


KINDS: dict[str, tuple[st.SearchStrategy[Case], Callable[[Found], bool]]] = {
    "a DAG": (
        acyclic_cases(),
        lambda found: len(found.trace) > 2 and max(map(len, found.trace)) > 1,
    ),
    "gates": (cases(Shapes(failures=False, cycles=False)), lambda found: len(found.trace) > 4),
    "a loop": (looping_cases(), lambda found: max(found.runs.values()) > 2),
    "a mapped graph": (acyclic_cases(), lambda found: most_inside(found) > 1),
    "interrupts": (asking_cases(), lambda found: len(found.asked) > 1),
}


def fitting(case: Case, kind: str) -> bool:
    """Say whether a case is of a kind, runs well, and makes neither few calls nor many."""
    case.record.clear()
    try:
        found = reference.run(case.graph, case.inputs, answer=answer, **case.options)
    except Exception:
        return False
    few = 5 <= len(case.record.calls) <= 10
    return few and gives_no_nested_answer(case) and KINDS[kind][1](found)


class Job:
    """A random graph of some kind, and what an uninterrupted run of it comes to."""

    def __init__(self, kind: str, seed: int, directory: Path) -> None:
        self.directory = directory
        self.case = find(
            KINDS[kind][0],
            lambda case: fitting(case, kind),
            settings=settings(
                max_examples=5000,
                phases=[Phase.generate],
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
            random=Random(seed),
        )
        found = reference.run(self.case.graph, self.case.inputs, answer=answer, **self.case.options)
        self.expected = repr(describe_value(found.outputs))
        self.executions = Executions(directory / "calls")
        self.graph = self.executions.watch(as_async(self.case.graph, seed, pause=pause))
        assert self.graph.definition_hash  # worked out here once, not in every child, and likewise
        asyncio.run(anyio.lowlevel.checkpoint())  # what is imported by the first run
        self.database = directory / "runs.db"
        self.report = directory / "report.json"

    def fresh(self) -> None:
        """Remove what an earlier run left."""
        for file in self.directory.iterdir():
            file.unlink()

    async def run(self, checkpointer: Any) -> str:
        options = {**self.case.options, "workflow_id": "w"}
        runner = AsyncRunner(checkpointer=checkpointer)
        result = await runner.run(self.graph, self.case.inputs, **options)
        while result.paused:
            answers = {p.response_key: answer(p.node_name, p.value) for p in result.pauses}
            result = await runner.run(self.graph, answers, **options)
        return repr(describe_value(result.values))

    def live(self) -> None:
        """Run what is left to its end, and report."""
        checkpointer = store(self.database)
        before = self.executions.counts
        known = {workflow.id for workflow in checkpointer.list_workflows()}
        done = recorded(checkpointer.get_steps("w")) if known else Counter()
        result = asyncio.run(self.run(checkpointer))
        steps = checkpointer.get_steps("w")
        report = {
            "result": result,
            "done": done,
            "ran": self.executions.counts - before,
            "recorded": recorded(steps),
            "steps": len(steps),
            "status": checkpointer.get_workflow("w").status.value,
        }
        checkpointer.close()
        self.report.write_text(json.dumps(report))

    def die_after(self, step: int) -> None:
        dying = CrashingCheckpointer(store(self.database), step, die=kill_process)
        asyncio.run(self.run(dying))

    def die_within(self, number: int) -> None:
        calls = iter(range(number + 1))

        def before(path: str) -> None:
            if next(calls, None) == number:
                kill_process()

        self.executions.before = before
        asyncio.run(self.run(store(self.database)))

    def lived(self) -> dict[str, Any]:
        """Run to the end in a process of its own and return its report."""
        assert end_of(start(self.live)) == 0
        report: dict[str, Any] = json.loads(self.report.read_text())
        assert report["result"] == self.expected
        assert report["status"] == "completed"
        return report


def unsafe(graph: Graph, begun: list[str], done: Mapping[str, int]) -> set[str]:
    """Return what was not recorded when a node that waits for it had begun already."""
    edges = {(u, v) for u, v, _ in graph.data_edges} | set(graph.control_edges)
    waits = closure(edges)
    last = {path.split("/")[0] for path in begun}
    return {
        path
        for path, calls in Counter(begun).items()
        if calls > done.get(path, 0) and any((path.split("/")[0], node) in waits for node in last)
    }


def kill(kind: str, seed: str, directory: str) -> int:
    """Kill a run after each of its steps and within each of its calls, and let others resume it.

    Returns the number of deaths.
    """
    job = Job(kind, int(seed), Path(directory))
    whole = job.lived()
    assert whole["recorded"] == whole["ran"]
    deaths: list[Callable[[], None]] = [lambda k=k: job.die_after(k) for k in range(whole["steps"])]
    deaths += [lambda k=k: job.die_within(k) for k in range(sum(whole["ran"].values()))]
    for die in deaths:
        job.fresh()
        assert end_of(start(die)) == -signal.SIGKILL
        begun = Path(job.executions.file or "").read_text().split() if job.executions.counts else []
        report = job.lived()
        if not job.graph.has_cycles:
            assert unsafe(job.graph, begun, report["done"]) == set()
        assert report["recorded"] == whole["ran"]
        left = Counter(whole["ran"]) - Counter(report["done"])
        assert report["ran"] == left, "what is recorded is not executed again, the rest is"
    return len(deaths)


# -- many at once --------------------------------------------------------------------------------


@node(output_name="count")
async def step(count: int, by: int) -> int:
    await asyncio.sleep(0)
    return count + by


@branch(when_true="step", when_false=END)
def again(count: int, limit: int) -> bool:
    return count < limit


LOOP = Graph([step, again], name="loop", entrypoint="step")


def count_up(database: str, numbers: range) -> None:
    """Run one workflow for each number, all at once; those that have ended are left alone."""
    checkpointer = store(database)
    runner = AsyncRunner(checkpointer=checkpointer)
    ended = {w.id for w in checkpointer.list_workflows(status=WorkflowStatus.COMPLETED)}

    async def one(number: int) -> int:
        inputs = {"count": 0, "by": number, "limit": 5 * number}
        if f"w{number}" in ended:
            return 5 * number
        result = await runner.run(LOOP, inputs, workflow_id=f"w{number}")
        return result["count"]  # type: ignore[no-any-return]

    async def main() -> list[int]:
        return await asyncio.gather(*map(one, numbers))

    assert asyncio.run(main()) == [5 * number for number in numbers]
    checkpointer.close()


def crowd(database: str, processes: str, raids: str) -> int:
    """Run 50 workflows in one file, spread over so many processes, and see them all there.

    First, all of the processes are killed and started anew so many times. Returns how many killings
    came before the end.
    """
    share = 50 // int(processes)
    parts = [range(first, first + share) for first in range(1, 51, share)]
    random, killed = Random(database), 0
    assert LOOP.definition_hash
    for _ in range(int(raids)):
        children = [start(lambda part=part: count_up(database, part)) for part in parts]
        time.sleep(random.uniform(0.01, 0.08))
        for child in children:
            os.kill(child, signal.SIGKILL)
        killed += [end_of(child) for child in children].count(-signal.SIGKILL)
    children = [start(lambda part=part: count_up(database, part)) for part in parts]
    ends = [end_of(child) for child in children]
    assert ends == [0] * len(children), f"they ended with {ends}; 1: see above, negative: a signal"
    checkpointer = store(database)
    every = checkpointer.list_workflows()
    assert sorted(w.id for w in every) == sorted(f"w{number}" for number in range(1, 51))
    assert {(w.status, w.held) for w in every} == {(WorkflowStatus.COMPLETED, False)}
    assert {w.steps for w in every} == {11}, "the inputs, and five rounds of step and gate"
    for number in range(1, 51):
        assert checkpointer.get_state(f"w{number}")["count"] == 5 * number
    checkpointer.close()
    return killed


# -- no space ------------------------------------------------------------------------------------


@node(output_name="pages")
async def write_page(pages: list[bytes]) -> list[bytes]:
    await asyncio.sleep(0.005)  # so that not all of them are stored at once
    return [os.urandom(20_000)]


@node(output_name="written")
def count_page(pages: list[bytes], written: int) -> int:
    return written + len(pages)


@branch(when_true="write_page", when_false=END)
def unfinished(written: int) -> bool:
    return written < 30


BOOK = Graph([write_page, count_page, unfinished], name="book", entrypoint="write_page")


def full(database: str, durability: str) -> str:
    """Let no file grow beyond 300 kB during a run that stores twice as much; then lift that."""
    executions = Executions()
    graph = executions.watch(BOOK)
    inputs = {"pages": [], "written": 0}

    def run() -> int:
        checkpointer = store(database, durability)
        try:
            runner = AsyncRunner(checkpointer=checkpointer)
            result = asyncio.run(runner.run(graph, inputs, workflow_id="w"))
            return result["written"]  # type: ignore[no-any-return]
        finally:
            checkpointer.close()

    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, most))
    try:
        run()
    except CheckpointError as error:
        said = error.what
    else:
        raise AssertionError("a run went on that could not be stored")
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    checkpointer = store(database)
    kept = recorded(checkpointer.get_steps("w"))
    checkpointer.close()
    assert 3 <= kept["write_page"] < 30
    before = executions.counts
    assert run() == 30
    expected = Counter({"write_page": 30, "count_page": 30, "unfinished": 30})
    assert executions.counts - before == expected - kept, "what was stored is still there"
    return said


if __name__ == "__main__":
    programs: dict[str, Callable[..., object]] = {"kill": kill, "crowd": crowd, "full": full}
    sys.stdout.write(str(programs[sys.argv[1]](*sys.argv[2:])))
