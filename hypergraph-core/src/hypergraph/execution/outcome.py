"""What a run within the engine ends with; a runner makes its own result of it."""

from __future__ import annotations

from typing import Any

import msgspec

from hypergraph.results import PauseInfo, RunResult, RunStatus, new_run_id


class Outcome(msgspec.Struct, frozen=True):
    """The outputs of a run by name, how it ended, and the outcomes of the runs nested in it."""

    values: dict[str, Any]
    status: RunStatus = RunStatus.COMPLETED
    run_id: str = ""
    pauses: tuple[PauseInfo, ...] = ()
    children: dict[str, Outcome] = {}
    error: BaseException | None = None

    @classmethod
    def of(cls, result: RunResult) -> Outcome:
        """Return the outcome that another runner's result tells."""
        children = {name: cls.of(child) for name, child in result.children.items()}
        return cls(
            result.values, result.status, result.run_id, result.pauses, children, result.error
        )

    def result(self, workflow_id: str | None = None) -> RunResult:
        """Return the outcome as a ``RunResult``."""
        children = {name: child.result() for name, child in self.children.items()}
        return RunResult(
            values=self.values,
            status=self.status,
            run_id=self.run_id or new_run_id(),
            workflow_id=workflow_id,
            pauses=self.pauses,
            error=self.error,
            children=children,
        )
