"""Where a run lies in a workflow, and what the workflow has recorded so far.

Rule of this file: a `Trail` is one run's place among the graphs nested in each other, a `Journal` the
history of the whole workflow. A run of a nested graph has a scope of its own, ``"review#0/"``, counted
by the runs of its node that have ended, so that a later process finds its steps again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from hypergraph.checkpointers import StepKind, StepRecord
from hypergraph.execution.answers import outward, taken_inside
from hypergraph.graph import GraphNode


class Journal:
    """The history of one workflow, by scope; it numbers the steps that are added."""

    __slots__ = ("workflow_id", "scopes", "length", "_ended", "_begun", "_wall")

    def __init__(
        self, workflow_id: str, steps: Iterable[StepRecord], wall: Callable[[], float]
    ) -> None:
        self.workflow_id = workflow_id
        self.scopes: dict[str, list[StepRecord]] = {}
        self.length = 0
        self._ended: Counter[str] = Counter()
        self._wall = wall
        self._begun: set[str] = set()
        for step in steps:
            self.scopes.setdefault(step.scope, []).append(step)
            self.length += 1
            if step.kind is StepKind.GRAPH:
                self._ended[step.scope + step.node_name] += 1
        self._begun.update(map(_run_of, self.scopes))

    def add(self, step: StepRecord) -> StepRecord:
        """Add a step that a run is still to be brought to, such as new inputs."""
        self.scopes.setdefault(step.scope, []).append(step)
        return step

    def scope_of(self, scope: str, node: str) -> str:
        """Return the scope of the run of a nested graph that is open, or comes next."""
        return f"{scope}{node}#{self._ended[scope + node]}"

    def holds(self, scope: str, node: str) -> bool:
        """Say whether the open run of a nested graph has steps of its own."""
        return self.scope_of(scope, node) in self._begun

    def step(
        self, place: tuple[str, int, int], name: str, kind: StepKind, values: Any
    ) -> StepRecord:
        """Return the next step of the history; ``place``: see `Trail.place`."""
        scope, generation, superstep = place
        if kind is StepKind.GRAPH:
            self._ended[scope + name] += 1
        if scope:
            self._begun.add(_run_of(scope))
        index = self.length
        self.length += 1
        return StepRecord(index, superstep, scope, generation, name, kind, values, self._wall())

    def forget(self, step: StepRecord) -> None:
        """Take back the last step, which could not be stored: another node's comes in its place."""
        self.length = step.index


def _run_of(scope: str) -> str:
    """Return the scope of a nested graph's run, without the item if it is one of a map."""
    return scope[: scope.rindex("[")] if scope.endswith("]/") else scope[:-1]


class Trail(msgspec.Struct, frozen=True):
    """One run's place in a workflow, or in a run that may pause or be stopped.

    ``nodes``: the nested graphs around it, outermost first. ``answers`` to interrupts by response key,
    each taken out when it is used. ``finishing``: it goes on when the whole is stopped.
    ``keeps_error``: it ends as failed where others raise. ``superstep``: the generation of the whole
    graph in which it lies. ``earlier``: the inputs that the steps of its scope were made with, where
    these have changed.
    """

    nodes: tuple[GraphNode, ...] = ()
    scope: str = ""
    answers: dict[str, Any] = {}
    finishing: bool = False
    keeps_error: bool = False
    superstep: int | None = None
    journal: Journal | None = None
    earlier: Mapping[str, Any] | None = None

    def place(self, generation: int) -> tuple[str, int, int]:
        """Return where a step of this run stands: scope, generation and superstep."""
        superstep = generation if self.superstep is None else self.superstep
        return self.scope, generation, superstep

    @property
    def workflow_id(self) -> str | None:
        """The workflow that the run is kept as, if it is."""
        return None if self.journal is None else self.journal.workflow_id

    def inside(self, node: GraphNode, generation: int, earlier: Mapping[str, Any] | None) -> Trail:
        """Return the place of a nested graph's run, which the answers that are meant for it follow."""
        journal = self.journal
        return Trail(
            (*self.nodes, node),
            "" if journal is None else journal.scope_of(self.scope, node.name) + "/",
            taken_inside(node, self.answers),
            self.finishing or node.complete_on_stop,
            False,
            generation if self.superstep is None else self.superstep,
            journal,
            earlier,
        )

    def item(self, index: int) -> Trail:
        """Return the place of one item of a mapped graph."""
        scope = f"{self.scope[:-1]}[{index}]/" if self.journal is not None else ""
        return msgspec.structs.replace(self, scope=scope)

    def path(self, name: str) -> str:
        """Return the path of a node of this run."""
        return "/".join((*(node.name for node in self.nodes), name))

    def key(self, response_param: str) -> str:
        """Return the name by which the run as a whole is given an answer."""
        for node in reversed(self.nodes):
            response_param = outward(node, response_param)
        return response_param
