"""What a run ends with.

Rule of this file: plain frozen values that every runner shares; nothing here knows how they arise.
"""

from __future__ import annotations

import os
import time
from collections.abc import ItemsView, Iterator, KeysView, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from hypergraph.errors import MissingOutputError, did_you_mean


def new_run_id() -> str:
    """Return a new run id: unique across processes, and sorting by the time it was made."""
    return f"run-{time.time_ns():016x}{os.urandom(4).hex()}"


class RunStatus(Enum):
    """How a run ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    PAUSED = "paused"
    STOPPED = "stopped"


class PauseReason(Enum):
    """Why a run paused."""

    HUMAN_INPUT = "human_input"


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseInfo:
    """One answer that a paused run waits for.

    ``node_name`` is the path of the interrupt (``"review/approval"``), ``response_param`` the name
    it gives its answer, ``response_key`` the name to give as an input at the level of this result,
    and ``value`` what is shown to the person who answers.
    """

    reason: PauseReason
    node_name: str
    response_param: str
    response_key: str
    value: Any = None
    place: Any = field(default=None, repr=False, compare=False)  # of its answer, in the history


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """The outcome of one run; ``result["x"]`` is the value of the output ``x``.

    ``pauses`` are all answers that a paused run waits for, in declaration order, and ``pause`` is
    the first of them; either may be given. ``error`` is the exception of a failed run. ``children``
    holds the results of nested runs by the name of their node.
    """

    values: dict[str, Any]
    status: RunStatus = RunStatus.COMPLETED
    run_id: str = field(default_factory=new_run_id)
    workflow_id: str | None = None
    pause: PauseInfo | None = None
    pauses: tuple[PauseInfo, ...] = ()
    error: BaseException | None = None
    children: Mapping[str, RunResult] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.pauses and self.pause is None:
            object.__setattr__(self, "pause", self.pauses[0])
        elif self.pause is not None and not self.pauses:
            object.__setattr__(self, "pauses", (self.pause,))

    @property
    def paused(self) -> bool:
        """Whether the run waits for an answer."""
        return self.status is RunStatus.PAUSED

    def __getitem__(self, name: str) -> Any:
        try:
            return self.values[name]
        except KeyError:
            raise self._missing(name) from None

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value of an output, or ``default`` if there is none."""
        return self.values.get(name, default)

    def _missing(self, name: str) -> MissingOutputError:
        ended = f"The run is {self.status.value}" + (
            f" at {self.pause.node_name!r}" if self.pause is not None else ""
        )
        return MissingOutputError(
            f"{ended}, and there is no output {name!r}.{did_you_mean(str(name), self.values)}",
            where=f"outputs: {', '.join(self.values) or '(none)'}",
            fix="read one of these, or look at status and pauses first: result.get() gives a default.",
            name=name,
        )

    def __contains__(self, name: object) -> bool:
        return name in self.values

    def __iter__(self) -> Iterator[str]:
        return iter(self.values)

    def keys(self) -> KeysView[str]:
        """Return the names of the outputs."""
        return self.values.keys()

    def items(self) -> ItemsView[str, Any]:
        """Return the names of the outputs with their values."""
        return self.values.items()
