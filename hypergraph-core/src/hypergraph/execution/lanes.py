"""The fast lanes: runs that nobody observes, without effects.

Rule of this file: a certain schedule runs as a program (straight lane), any other is driven by its
``Execution`` (dynamic lane). Both give exactly what the flows give; property tests hold them to it. All
nodes are plain functions here: a runner that has to await takes the flows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hypergraph.execution.execution import Execution
from hypergraph.execution.mapping import map_rows
from hypergraph.execution.places import place_error
from hypergraph.execution.plan import Plan, Schedule, plan_of
from hypergraph.execution.program import Program
from hypergraph.execution.records import NESTED_GRAPH
from hypergraph.graph import GraphNode

Row = dict[str, Any]

_DEEPEST = 50  # a lane calls itself for each nested graph that is not part of one program


def lane_fits(plan: Plan, given: tuple[str, ...]) -> bool:
    """Say whether a fast lane may take a run: no node has a policy, all nested graphs inherit the
    runner, and they are one program or not nested too deeply for Python's stack."""
    nesting = plan.graph.nesting
    if nesting.has_runners or nesting.has_policies:
        return False
    return nesting.depth <= _DEEPEST or plan.schedule(given).certain


def run_plan(plan: Plan, inputs: Mapping[str, Any], limit: int) -> Row:
    """Run a plan and return the outputs of every node that ran."""
    schedule = plan.schedules.get(tuple(inputs)) or plan.schedule(tuple(inputs))
    if schedule.certain:
        program = program_of(schedule)
        values = program.start(inputs, limit)
        program.run(values)
        return program.result(values)
    return run_dynamic(schedule, inputs, limit)


def program_of(schedule: Schedule) -> Program:
    """Return the program of a certain schedule, made on first use and kept on it."""
    program = schedule.__dict__.get("program")
    if program is None:
        program = schedule.__dict__["program"] = Program(schedule, _run_mapped)
    return program


def run_dynamic(schedule: Schedule, inputs: Mapping[str, Any], limit: int) -> Row:
    """Run a schedule with gates or cycles."""
    execution = Execution(schedule, inputs, limit)
    values, tables = execution.values, execution.tables
    calls, nodes, kinds = tables.calls, tables.nodes, tables.kinds
    graph_name = schedule.plan.graph.name
    take, commit, commit_one = execution.take, execution.commit, execution.commit_one
    number = 0
    while batch := take():
        results = []
        try:
            for number in batch:
                if kinds[number] == NESTED_GRAPH:
                    given = execution.inputs(number)
                    results.append(_run_nested(nodes[number], given, limit, graph_name))
                else:
                    results.append(calls[number](values))
        except Exception as error:
            if kinds[number] != NESTED_GRAPH:
                place_error(error, graph_name, nodes[number].name, nodes[number].inputs)
            raise
        if len(batch) == 1:
            commit_one(number, results[0])
        else:
            commit(batch, results)
    return execution.result()


def _run_nested(node: GraphNode, inputs: Row, limit: int, graph_name: str | None) -> Row:
    """Run an inherited nested graph once or per item; inputs and outputs by outer name."""
    if node.map_params:
        return _run_mapped(node, inputs, limit, graph_name, node.name)
    try:
        inner = node.inside(inputs)
        outputs = run_plan(plan_of(node.graph), inner, limit)
    except Exception as error:
        place_error(error, graph_name, node.name, inputs, outer=True)
        raise
    return node.outside(outputs)


def _run_mapped(
    node: GraphNode, inputs: Mapping[str, Any], limit: int, graph_name: str | None, path: str
) -> Row:
    """Run a mapped nested graph; its outputs are lists in item order."""
    index = -1
    try:
        size, rows = map_rows(node.map_params, inputs, node.map_mode, f"nested graph {node.name!r}")
        inner = node.inside(inputs)
        names = node.mapped_inside
        columns: dict[str, list[Any]] = {outer: [] for outer in node.outputs}
        wanted = [(columns[outer].append, name) for outer, name in node.inner_outputs.items()]
        run = item_runner(plan_of(node.graph), inner, names, limit) if size else None
        for index, row in enumerate(rows):
            assert run is not None
            outputs = run(row)
            for append, name in wanted:
                append(outputs.get(name))
    except Exception as error:
        segment = path if index < 0 else f"{path}[{index}]"
        place_error(error, graph_name, segment, inputs, outer=True)
        raise
    return columns


def item_runner(
    plan: Plan, inputs: Mapping[str, Any], names: tuple[str, ...], limit: int
) -> Callable[[Sequence[Any]], Row]:
    """Return a function that runs a plan for one item, given the values of ``names``; the other inputs
    are broadcast."""
    schedule = plan.schedule(tuple(inputs))
    if not schedule.certain:
        return lambda row: run_dynamic(schedule, {**inputs, **dict(zip(names, row))}, limit)
    program = program_of(schedule)
    base, slots = program.start(inputs, limit), [program.input_slots[name] for name in names]
    run, result = program.run, program.result
    if len(slots) == 1:
        slot = slots[0]

        def run_one(row: Sequence[Any]) -> Row:
            values = base.copy()
            values[slot] = row[0]
            run(values)
            return result(values)

        return run_one

    def run_row(row: Sequence[Any]) -> Row:
        values = base.copy()
        for slot, value in zip(slots, row):
            values[slot] = value
        run(values)
        return result(values)

    return run_row
