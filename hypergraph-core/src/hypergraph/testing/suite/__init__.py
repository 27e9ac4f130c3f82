"""The rules that runners, checkpointers and caches keep, by group.

Rule of this package: one file per subject, no pytest; a rule's name says what is promised, its graph
fits on a few lines, and its failure tells an author what to do.
"""

from __future__ import annotations

from hypergraph.testing.kit import Rules
from hypergraph.testing.suite.awaiting import AsyncRules
from hypergraph.testing.suite.base import RunnerRules
from hypergraph.testing.suite.caches import CacheRules
from hypergraph.testing.suite.caching import CachingRules
from hypergraph.testing.suite.cancelling import CancellationRules
from hypergraph.testing.suite.capabilities import CapabilityRules
from hypergraph.testing.suite.checkpointers import CheckpointerRules
from hypergraph.testing.suite.checkpointing import CheckpointRules
from hypergraph.testing.suite.concurrency import ConcurrencyRules
from hypergraph.testing.suite.cycles import CycleRules
from hypergraph.testing.suite.dags import DagRules
from hypergraph.testing.suite.distribution import DistributionRules
from hypergraph.testing.suite.durability import DurabilityRules
from hypergraph.testing.suite.errors import ErrorRules
from hypergraph.testing.suite.gates import GateRules
from hypergraph.testing.suite.generators import GeneratorRules
from hypergraph.testing.suite.interrupting import InterruptRules
from hypergraph.testing.suite.mapping import MapRules
from hypergraph.testing.suite.nested_map import NestedMapRules
from hypergraph.testing.suite.nesting import NestingRules
from hypergraph.testing.suite.observing import EventRules
from hypergraph.testing.suite.packaging import PackagingRules
from hypergraph.testing.suite.registering import RegistrationRules
from hypergraph.testing.suite.storing import StoringRules
from hypergraph.testing.suite.streaming import StreamRules

__all__ = ["CACHE_RULES", "CHECKPOINTER_RULES", "RUNNER_RULES"]

RUNNER_RULES: tuple[type[RunnerRules], ...] = (
    RegistrationRules,
    PackagingRules,
    CapabilityRules,
    DagRules,
    GateRules,
    CycleRules,
    NestingRules,
    NestedMapRules,
    MapRules,
    GeneratorRules,
    ErrorRules,
    EventRules,
    CachingRules,
    ConcurrencyRules,
    AsyncRules,
    CancellationRules,
    InterruptRules,
    StreamRules,
    CheckpointRules,
    DurabilityRules,
    DistributionRules,
)
"""What a runner is asked, in the order in which it is asked."""

CACHE_RULES: tuple[type[Rules], ...] = (CacheRules,)
"""What a cache is asked."""

CHECKPOINTER_RULES: tuple[type[Rules], ...] = (StoringRules, CheckpointerRules)
"""What a store of workflows is asked."""
