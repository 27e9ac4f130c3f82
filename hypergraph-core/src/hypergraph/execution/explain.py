"""Which nodes of a run the cache would answer, and why not the others.

Rule of this file: nothing is called and nothing is stored. A run is followed as far as stored results
lead; what depends on a value that would have to be computed is said to wait for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from hypergraph.cache.base import MISS, Cache
from hypergraph.errors import UnkeyableError
from hypergraph.execution.execution import Execution
from hypergraph.execution.keys import call_key
from hypergraph.execution.mapping import map_rows
from hypergraph.execution.plan import Plan, plan_of
from hypergraph.execution.records import GATE, SEVERAL_OUTPUTS
from hypergraph.graph import GraphNode
from hypergraph.nodes import CallableNode

UNKNOWN: Final = object()
"""Stands for a value that would have to be computed."""


class CacheExplanation(NamedTuple):
    """What the cache would do for one node: its path, whether it is a hit, and why."""

    node: str
    hit: bool
    why: str

    def __str__(self) -> str:
        return f"{self.node}: {'hit' if self.hit else 'miss'} ({self.why})"


def explain_plan(
    plan: Plan, inputs: Mapping[str, Any], cache: Cache | None, limit: int
) -> list[CacheExplanation]:
    """Return an explanation per call of a node, in the order of the run.

    Raises ``InputError`` as the run itself would.
    """
    report: list[CacheExplanation] = []
    _follow(plan, inputs, cache, limit, "", report)
    return report


def _follow(
    plan: Plan,
    inputs: Mapping[str, Any],
    cache: Cache | None,
    limit: int,
    path: str,
    report: list[CacheExplanation],
) -> dict[str, Any]:
    execution = Execution(plan.schedule(tuple(inputs)), inputs, limit)
    tables, visited = execution.tables, set(execution.schedule.skipped)
    while batch := execution.take():
        results = []
        for number in batch:
            visited.add(number)
            node, given = tables.nodes[number], execution.inputs(number)
            if isinstance(node, GraphNode):
                results.append(_nested(node, given, cache, limit, path, report))
                continue
            assert isinstance(node, CallableNode)
            value, why = _look_up(node, given, cache)
            report.append(CacheExplanation(path + node.name, value is not UNKNOWN, why))
            results.append(_decoded(execution, number, value))
        execution.commit(batch, results)
    for number, node in enumerate(tables.nodes):
        if number not in visited:
            why = "it does not run, or what comes before it has to run first"
            report.append(CacheExplanation(path + node.name, False, why))
    return execution.result()


def _look_up(node: CallableNode, given: Mapping[str, Any], cache: Cache | None) -> tuple[Any, str]:
    """Return the stored value or ``UNKNOWN``, and why."""
    waits = [name for name, value in given.items() if value is UNKNOWN]
    if waits:
        return UNKNOWN, f"waits for {', '.join(map(repr, waits))}, which has to be computed"
    if not node.cache:
        return UNKNOWN, "a gate without cache=True" if node.is_gate else "cache=False"
    if cache is None:
        return UNKNOWN, "the runner has no cache"
    try:
        value = cache.get(call_key(node, dict(given)))
    except UnkeyableError as error:
        return UNKNOWN, f"{error.what.rstrip('.')}: {error.where}"
    except Exception as error:
        return UNKNOWN, f"the cache raised {type(error).__name__}"
    if value is MISS:
        return UNKNOWN, "nothing is stored for this code and these inputs"
    return value, "stored for this code and these inputs"


def _decoded(execution: Execution, number: int, value: Any) -> Any:
    tables = execution.tables
    if value is UNKNOWN:
        if tables.kinds[number] == GATE:
            return ()
        if tables.kinds[number] == SEVERAL_OUTPUTS:
            return (UNKNOWN,) * len(tables.outputs[number])
        return UNKNOWN
    decode = tables.records[number].decode
    return value if decode is None else decode(value)


def _nested(
    node: GraphNode,
    given: dict[str, Any],
    cache: Cache | None,
    limit: int,
    path: str,
    report: list[CacheExplanation],
) -> dict[str, Any]:
    """Follow a nested graph, once or per item; returns its outputs by outer name."""
    here = path + node.name
    unknown = dict.fromkeys(node.outputs, UNKNOWN)
    waits = [name for name, value in given.items() if value is UNKNOWN]
    if waits or node.runner is not None:
        why = f"waits for {', '.join(map(repr, waits))}" if waits else "it has a runner of its own"
        report.append(CacheExplanation(here, False, why))
        return unknown
    plan = plan_of(node.graph)
    inner = node.inside(given)
    if not node.map_params:
        outputs = _follow(plan, inner, cache, limit, f"{here}/", report)
        return node.outside(outputs)
    names = node.mapped_inside
    _, rows = map_rows(node.map_params, given, node.map_mode, f"nested graph {here!r}")
    results = [
        _follow(plan, {**inner, **dict(zip(names, row))}, cache, limit, f"{here}[{i}]/", report)
        for i, row in enumerate(rows)
    ]
    columns = node.columns(results)
    return {o: UNKNOWN if any(v is UNKNOWN for v in c) else c for o, c in columns.items()}
