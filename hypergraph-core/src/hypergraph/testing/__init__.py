"""The conformance kit: what a graph means, executable, for authors of runners.

Rule of this package: nothing here is imported before it is asked for, and pytest is never touched
unless it is used: the suites need pytest, ``strategies`` needs hypothesis, the others
neither.
"""

from typing import TYPE_CHECKING

from hypergraph._deferred import lazy_module

if TYPE_CHECKING:
    from hypergraph.testing.async_reference_runner import AsyncReferenceRunner
    from hypergraph.testing.asynchrony import as_async
    from hypergraph.testing.clock import ManualClock
    from hypergraph.testing.crash import (
        Crash,
        CrashingCheckpointer,
        Executions,
        kill_process,
        recorded,
    )
    from hypergraph.testing.pytest_suites import CacheSuite, CheckpointerSuite, RunnerSuite
    from hypergraph.testing.reference_runner import ReferenceRunner
    from hypergraph.testing.report import Report, RuleResult
    from hypergraph.testing.validating import validate_runner

__all__ = [
    "AsyncReferenceRunner",
    "CacheSuite",
    "CheckpointerSuite",
    "Crash",
    "CrashingCheckpointer",
    "Executions",
    "ManualClock",
    "ReferenceRunner",
    "Report",
    "RuleResult",
    "RunnerSuite",
    "as_async",
    "kill_process",
    "recorded",
    "validate_runner",
]

__getattr__, __dir__ = lazy_module(
    __name__,
    {
        "Crash": "hypergraph.testing.crash",
        "CrashingCheckpointer": "hypergraph.testing.crash",
        "Executions": "hypergraph.testing.crash",
        "kill_process": "hypergraph.testing.crash",
        "recorded": "hypergraph.testing.crash",
        "as_async": "hypergraph.testing.asynchrony",
        "ManualClock": "hypergraph.testing.clock",
        "CacheSuite": "hypergraph.testing.pytest_suites",
        "CheckpointerSuite": "hypergraph.testing.pytest_suites",
        "RunnerSuite": "hypergraph.testing.pytest_suites",
        "AsyncReferenceRunner": "hypergraph.testing.async_reference_runner",
        "ReferenceRunner": "hypergraph.testing.reference_runner",
        "Report": "hypergraph.testing.report",
        "RuleResult": "hypergraph.testing.report",
        "validate_runner": "hypergraph.testing.validating",
    },
)
