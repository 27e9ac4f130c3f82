"""Crash injection: let a run die after any of its steps, run it again, and count what was executed.

Rule of this file: nothing here knows a runner or a store; a crash is what a process leaves behind that
died, whether it is raised in the same process (`Crash`) or real (`kill_process`).
"""

from __future__ import annotations

import functools
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, NoReturn

from hypergraph.checkpointers import (
    Checkpointer,
    StepKind,
    StepRecord,
    Stored,
    Workflow,
    WorkflowStatus,
)
from hypergraph.content import register_key
from hypergraph.graph import Graph
from hypergraph.nodes import CallableNode
from hypergraph.testing.kit import Journal
from hypergraph.testing.twins import twin


class Crash(BaseException):
    """Ends a run as the death of its process would: no ``except Exception`` stops it."""


def raise_crash() -> NoReturn:
    """Raise `Crash`."""
    raise Crash


def kill_process() -> NoReturn:
    """Kill this process at once, as ``kill -9`` does: nothing is flushed, no handler runs."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("SIGKILL cannot be survived")


class Executions:
    """How often the functions of a graph were called, by the path of their node.

    ```python
    executions = Executions()
    graph = executions.watch(graph)
    ...  # run it, let it crash, run it again
    assert executions.counts["inner/parse"] == 1
    ```
    With ``file`` every call is appended to a file before it begins, so that several processes count
    together, and what a killed one did is known. ``before(path)`` is called before each call; it may
    raise `Crash` or kill the process in the middle of a node.
    """

    def __init__(
        self, file: str | Path | None = None, *, before: Callable[[str], object] | None = None
    ) -> None:
        self.file = file
        self.before = before
        self._seen: list[str] = []

    def watch(self, graph: Graph) -> Graph:
        """Return the graph with functions that are counted, those of nested graphs included."""

        def wrap(node: CallableNode, path: str) -> Callable[..., Any]:
            return _counted(node.func, self, path)

        return twin(graph, wrap)

    def note(self, path: str) -> None:
        """Count one call. May be called from any thread."""
        if self.file is None:
            self._seen.append(path)
        else:
            Journal(Path(self.file)).note(path)
        if self.before is not None:
            self.before(path)

    @property
    def calls(self) -> list[str]:
        """The path of every call so far, in order."""
        if self.file is None:
            return list(self._seen)
        return Journal(Path(self.file)).lines

    @property
    def counts(self) -> Counter[str]:
        """The number of calls so far, by path."""
        return Counter(self.calls)


register_key(Executions, lambda executions: ())  # to count is not to change what is computed


def _counted(func: Callable[..., Any], executions: Executions, path: str) -> Callable[..., Any]:
    @functools.wraps(func)
    def call(*values: Any, **named: Any) -> Any:
        executions.note(path)
        return func(*values, **named)

    return call


def recorded(steps: Iterable[StepRecord]) -> Counter[str]:
    """Return how many calls a history holds the results of, by path.

    What a crash leaves to do is the rest: a resumed run makes exactly the calls of an uninterrupted one
    that are not recorded.
    """
    calls = (StepKind.NODE, StepKind.GATE)
    return Counter(step.path for step in steps if step.kind in calls)


class CrashingCheckpointer:
    """A checkpointer whose process dies as soon as step ``after`` of a workflow is safe.

    ```python
    for k in range(steps_of_an_uninterrupted_run):
        store = MemoryCheckpointer()
        with pytest.raises(Crash):
            await MyRunner(checkpointer=CrashingCheckpointer(store, after=k)).run(
                graph, inputs, workflow_id="w"
            )
        result = await MyRunner(checkpointer=store).run(graph, workflow_id="w")
        assert result.values == expected
    ```
    ``after`` is the index of the step, from 0, which holds the inputs. ``die`` is what happens then:
    `raise_crash`, or `kill_process` for a real death. After a raised crash the workflow is free, and
    whatever the dying run still wants to store is lost, as it would be.
    """

    def __init__(
        self, store: Checkpointer, after: int, *, die: Callable[[], NoReturn] = raise_crash
    ) -> None:
        self.store = store
        self.after = after
        self.die = die
        self.crashed = False

    def begin(self, workflow_id: str) -> Stored:
        """Take hold of the workflow."""
        return self.store.begin(workflow_id)

    def put(self, workflow: Workflow, steps: Sequence[StepRecord] = ()) -> Future[None] | None:
        """Store the header, unless the process is dead, and die if the step is stored with it."""
        if self.crashed:
            return None
        return self._die_after(self.store.put(workflow, steps), workflow.id, steps)

    def save(self, workflow_id: str, step: StepRecord) -> Future[None] | None:
        """Append a step, and die if it is the one."""
        if self.crashed:
            return None
        return self._die_after(self.store.save(workflow_id, step), workflow_id, (step,))

    def _die_after(
        self, safe: Future[None] | None, workflow_id: str, steps: Sequence[StepRecord]
    ) -> Future[None] | None:
        if all(step.index < self.after for step in steps):
            return safe
        if safe is not None:
            safe.result()
        self.crashed = True
        if self.die is raise_crash:
            self.store.end(workflow_id)  # the hold of a process ends with it
        return self.die()

    def end(self, workflow_id: str) -> Future[None] | None:
        """Let go of the workflow, unless the process is dead."""
        return None if self.crashed else self.store.end(workflow_id)

    def get_workflow(self, workflow_id: str) -> Workflow:
        """Return the header."""
        return self.store.get_workflow(workflow_id)

    def list_workflows(
        self, *, status: WorkflowStatus | None = None, limit: int | None = None
    ) -> list[Workflow]:
        """Return the headers."""
        return self.store.list_workflows(status=status, limit=limit)

    def get_steps(self, workflow_id: str) -> list[StepRecord]:
        """Return the history."""
        return self.store.get_steps(workflow_id)

    def get_state(self, workflow_id: str, *, superstep: int | None = None) -> dict[str, Any]:
        """Return the values by name."""
        return self.store.get_state(workflow_id, superstep=superstep)

    def fork(
        self, workflow_id: str, *, superstep: int | None = None, new_id: str | None = None
    ) -> str:
        """Start a new workflow from the history."""
        return self.store.fork(workflow_id, superstep=superstep, new_id=new_id)

    def delete(self, workflow_id: str) -> None:
        """Remove the workflow."""
        self.store.delete(workflow_id)
