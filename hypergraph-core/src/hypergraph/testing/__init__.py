"""The conformance kit: what a graph means, executable, for authors of runners.

Rule of this package: nothing here is imported before it is asked for, and pytest is never touched
unless it is used: `RunnerSuite` needs pytest, ``strategies`` needs hypothesis, ``reference``
neither.
"""

from typing import TYPE_CHECKING

from hypergraph._deferred import lazy_module

if TYPE_CHECKING:
    from hypergraph.testing.reference_runner import ReferenceRunner
    from hypergraph.testing.suite import RunnerSuite

__all__ = ["ReferenceRunner", "RunnerSuite"]

__getattr__, __dir__ = lazy_module(
    __name__,
    {
        "RunnerSuite": "hypergraph.testing.suite",
        "ReferenceRunner": "hypergraph.testing.reference_runner",
    },
)
