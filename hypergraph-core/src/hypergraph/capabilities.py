"""What a graph needs and what a runner offers.

Rule of this file: one table, `FEATURES`, says which feature needs which capability. A runner is
compatible with a graph exactly when it has the capability of every feature that the graph has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from hypergraph._deferred import deferred
from hypergraph.errors import IncompatibleRunnerError

_installed_runners_supporting = deferred("hypergraph.runners.registry:supporting")


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphFeatures:
    """What a graph asks of a runner, nested graphs included.

    Each feature is ``None``, or the path of one node that needs it, such as ``"inner/decide"``.
    """

    cycles: str | None = None
    gates: str | None = None
    interrupts: str | None = None
    async_nodes: str | None = None


class HasFeatures(Protocol):
    """Anything with the features of a graph."""

    @property
    def features(self) -> GraphFeatures:
        """What the graph asks of a runner."""
        ...


class Feature(NamedTuple):
    """One row of the table: a field of `GraphFeatures` and the capability that it needs."""

    name: str
    capability: str
    words: str  # "DaftRunner doesn't support <words>"
    has: str  # "This graph has <has>"


FEATURES = (
    Feature("cycles", "supports_cycles", "cycles", "cycles"),
    Feature("gates", "supports_gates", "gates", "gates (@route/@branch)"),
    Feature("interrupts", "supports_interrupts", "interrupts", "interrupts (InterruptNode)"),
    Feature("async_nodes", "supports_async_nodes", "async nodes", "async nodes (async def)"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerCapabilities:
    """What a runner can do. The first four are about graphs; the others describe its interface.

    ``returns_coroutine`` says whether the result of ``run()`` must be awaited. From it alone
    follows how a runner is called from inside a graph that another runner runs.
    """

    supports_cycles: bool = True
    supports_gates: bool = True
    supports_interrupts: bool = False
    supports_async_nodes: bool = False
    supports_streaming: bool = False
    supports_distributed: bool = False
    supports_durable_execution: bool = False
    returns_coroutine: bool = False

    def unsupported(self, features: GraphFeatures) -> Feature | None:
        """Return the first feature that is needed and not offered, or ``None``."""
        for feature in FEATURES:
            if getattr(features, feature.name) is not None and not getattr(
                self, feature.capability
            ):
                return feature
        return None

    def validate_graph(self, graph: HasFeatures, *, runner: str = "this runner") -> None:
        """Return if a runner with these capabilities can run the graph.

        ``runner`` is the name that the message gives to it. Raises `IncompatibleRunnerError` with
        the ``feature``, one ``node`` that needs it and the installed runners that could run the
        whole graph.
        """
        features = graph.features
        feature = self.unsupported(features)
        if feature is not None:
            raise _incompatible(features, feature, runner, getattr(graph, "where", "graph"))


def _incompatible(
    features: GraphFeatures, feature: Feature, runner: str, where: str
) -> IncompatibleRunnerError:
    node = getattr(features, feature.name)
    alternatives: tuple[str, ...] = _installed_runners_supporting(features)
    if alternatives:
        names = ", ".join(repr(name) for name in alternatives)
        fix = f"use an installed runner that can run this graph: {names}"
        if "/" in node and feature.name != "interrupts":  # a pause passes through every graph
            inner = node.rsplit("/", 1)[0]
            fix += (
                f"; or give the nested graph {inner!r} its own: as_node(runner={alternatives[0]!r})"
            )
    else:
        fix = (
            f"no installed runner can run this graph: install one that supports {feature.words}, "
            f"or leave {node!r} out of the graph"
        )
    return IncompatibleRunnerError(
        f"This graph has {feature.has}, but {runner} doesn't support {feature.words}.",
        where=f"{where}, node {node!r}",
        fix=fix,
        feature=feature.name,
        node=node,
        runner=runner,
        alternatives=alternatives,
    )
