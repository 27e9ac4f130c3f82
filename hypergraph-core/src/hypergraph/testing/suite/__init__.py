"""`RunnerSuite`: what every runner must do, as one class to inherit from; `CheckpointerSuite` likewise.

Rule of this package: one file per subject; a test's name says what is promised, its graph fits on
a few lines, and its failure tells a runner's author what to do.
"""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite(*(f"{__name__}.{part}" for part in (
    "base", "capabilities", "checkpointers", "cycles", "dags", "errors", "gates", "generators",
    "mapping", "nesting", "observing", "storing",
)))  # fmt: skip

from hypergraph.testing.suite.awaiting import AsyncRules  # noqa: E402
from hypergraph.testing.suite.capabilities import CapabilityRules  # noqa: E402
from hypergraph.testing.suite.checkpointers import CheckpointerSuite  # noqa: E402
from hypergraph.testing.suite.cycles import CycleRules  # noqa: E402
from hypergraph.testing.suite.dags import DagRules  # noqa: E402
from hypergraph.testing.suite.errors import ErrorRules  # noqa: E402
from hypergraph.testing.suite.gates import GateRules  # noqa: E402
from hypergraph.testing.suite.generators import GeneratorRules  # noqa: E402
from hypergraph.testing.suite.interrupting import InterruptRules  # noqa: E402
from hypergraph.testing.suite.mapping import MapRules  # noqa: E402
from hypergraph.testing.suite.nesting import NestingRules  # noqa: E402
from hypergraph.testing.suite.observing import EventRules  # noqa: E402
from hypergraph.testing.suite.streaming import StreamRules  # noqa: E402

__all__ = ["CheckpointerSuite", "RunnerSuite"]


class RunnerSuite(
    CapabilityRules,
    DagRules,
    GateRules,
    CycleRules,
    NestingRules,
    MapRules,
    GeneratorRules,
    ErrorRules,
    EventRules,
    AsyncRules,
    InterruptRules,
    StreamRules,
):
    """Inherit, and give the class a fixture ``runner``; pytest does the rest.

    ```python
    class TestMyRunner(RunnerSuite):
        @pytest.fixture
        def runner(self):
            return MyRunner()
    ```
    """
