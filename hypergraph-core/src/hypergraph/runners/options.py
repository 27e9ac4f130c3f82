"""The options that every runner of a plan takes, checked before anything runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final, TypedDict, TypeVar

from hypergraph.errors import InputError, did_you_mean
from hypergraph.events.dispatch import check_processors
from hypergraph.events.processor import EventProcessor
from hypergraph.execution.given import refuse_missing, skipped_nodes
from hypergraph.graph import Graph


class RunOptions(TypedDict, total=False):
    """The options of ``run`` and ``map``, for type checkers; see `Options`."""

    select: Sequence[str] | str | None
    session_id: str | None
    max_iterations: int
    event_processors: Sequence[EventProcessor]
    allow_extra: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a graph is run, besides its inputs.

    ``select``: names of the outputs to return, all by default. ``session_id`` groups runs that belong
    together. ``max_iterations``: how often any one node may run. ``event_processors`` listen in
    addition to the runner's own. ``allow_extra`` lets pass inputs that no node knows.
    """

    select: Sequence[str] | str | None = None
    session_id: str | None = None
    max_iterations: int = 1000
    event_processors: Sequence[EventProcessor] = ()
    allow_extra: bool = False

    def narrow(self, outputs: dict[str, Any]) -> dict[str, Any]:
        """Return the selected ones of a run's outputs, in the order of the graph's outputs."""
        if self.select is None:
            return outputs
        names = {self.select} if isinstance(self.select, str) else set(self.select)
        return {name: value for name, value in outputs.items() if name in names}


DEFAULTS: Final = Options()
Kind = TypeVar("Kind", bound=Options)


def read_options(options: Mapping[str, Any], graph: Graph, kind: type[Kind] = Options) -> Kind:  # type: ignore[assignment]
    """Return the options given to ``run`` or ``map``, of a runner's own kind.

    Raises ``TypeError`` for one that does not exist and for what cannot listen, ``InputError`` for a
    limit that is not a positive integer and for a selected name that is no output.
    """
    known = [field.name for field in fields(kind)]
    for name in options:
        if name not in known:
            raise TypeError(f"unknown option {name!r}.{did_you_mean(name, known)}")
    read = kind(**options)
    limit = read.max_iterations
    if type(limit) is not int or limit < 1:
        raise InputError(
            "max_iterations is not a positive integer.",
            where=graph.where,
            fix="pass how often one node may run, such as max_iterations=100.",
        )
    if read.session_id is not None and not isinstance(read.session_id, str):
        raise InputError(
            f"The session_id is a {type(read.session_id).__name__}, not text.",
            where=graph.where,
            fix="pass session_id=str(...).",
        )
    if read.event_processors:
        read = replace(read, event_processors=check_processors(read.event_processors))
    if read.select is None:
        return read
    if not isinstance(read.select, Iterable):
        raise InputError(
            "select is not a list of names.", where=graph.where, fix='write select=["answer"].'
        )
    names = (read.select,) if isinstance(read.select, str) else tuple(read.select)
    outputs = graph.outputs if len(names) == 1 else frozenset(graph.outputs)
    for name in names:
        if name not in outputs:
            raise InputError(
                f"select names {name!r}, which is no output.{did_you_mean(str(name), graph.outputs)}",
                where=graph.where,
                fix=f"select among: {', '.join(graph.outputs) or '(the graph has no outputs)'}.",
            )
    return replace(read, select=names)


def known_inputs(graph: Graph, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the given inputs without those that no node knows.

    Raises ``MissingInputError`` here, where a left out name that is nearly a missing one can be told.
    """
    wiring = graph.wiring
    known = {n: v for n, v in given.items() if n in wiring.consumers or n in wiring.producers}
    if len(known) < len(given):
        refuse_missing(graph, frozenset(given), skipped_nodes(graph, known.keys()))
    return known
