"""How long workflows are kept that have ended.

Rule of this file: it says which may go. What is running, paused or held never goes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from hypergraph.checkpointers.base import WorkflowStatus

ENDED = (WorkflowStatus.COMPLETED, WorkflowStatus.FAILED, WorkflowStatus.STOPPED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """Which ended workflows to remove: completed, failed or stopped ones that nobody holds.

    ``max_age``: seconds or a ``timedelta`` since they last changed. ``max_workflows``: how many ended
    ones to keep, the latest changed. ``None``: no limit.
    """

    max_age: float | timedelta | None = None
    max_workflows: int | None = None

    def __post_init__(self) -> None:
        age, count = self.max_age, self.max_workflows
        if age is not None:
            if isinstance(age, bool) or not isinstance(age, (int, float, timedelta)):
                raise TypeError(
                    f"max_age is a number of seconds or a timedelta, not {type(age).__name__}"
                )
            if not self.seconds >= 0:
                raise ValueError("max_age is not negative")
        if count is not None:
            if isinstance(count, bool) or not isinstance(count, int):
                raise TypeError(f"max_workflows is a whole number, not {type(count).__name__}")
            if count < 0:
                raise ValueError("max_workflows is not negative")

    @property
    def seconds(self) -> float:
        """``max_age`` in seconds; infinite if there is no limit."""
        age = self.max_age
        if age is None:
            return float("inf")
        return age.total_seconds() if isinstance(age, timedelta) else float(age)
