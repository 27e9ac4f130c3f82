"""What a run costs, in Python-level calls.

Counted, never timed: calls are the same on every machine. Calls of the nodes themselves count too,
so a chain of trivial nodes costs at least one call per node.
"""

import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from hypergraph import END, Graph, MemoryCache, SyncRunner, TypedEventProcessor, node, route
from hypergraph.events import types as events

FLAT = 1.3  # cost per unit at the larger size over that at the smaller one
OF_A_RUN = 30  # calls that do not depend on the size

Call = Callable[[], Any]


def calls(call: Call) -> int:
    """Count the calls of Python functions (each resumption of a generator is one) and of C functions."""
    return sum(calls_by_name(call).values())


def python_calls(call: Call) -> int:
    """Count the calls of Python functions; each resumption of a generator is one."""
    return sum(count for (kind, _), count in calls_by_name(call).items() if kind == "call")


def calls_by_name(call: Call) -> Counter[tuple[str, str]]:
    seen: Counter[tuple[str, str]] = Counter()

    def profile(frame: Any, event: str, argument: Any) -> None:
        if event == "call":
            seen[event, frame.f_code.co_name] += 1
        elif event == "c_call":
            seen[event, getattr(argument, "__name__", repr(argument))] += 1

    call()  # plans, programs and definitions are made once, on first use
    outer = sys.getprofile()
    sys.setprofile(profile)
    try:
        call()
    finally:
        sys.setprofile(outer)
    return seen


def per_unit(make: Callable[[int], Call], size: int) -> float:
    return calls(make(size)) / size


def stays_flat(make: Callable[[int], Call], smaller: int, larger: int) -> bool:
    return per_unit(make, larger) / per_unit(make, smaller) < FLAT


# --- graphs of any size -----------------------------------------------------------------------


def functions(size: int) -> list[Callable[..., Any]]:
    """Return ``v1(v0)``, ``v2(v1)``, ..., each adding one."""
    names: dict[str, Any] = {}
    exec("".join(f"def v{i + 1}(v{i}): return v{i} + 1\n" for i in range(size)), names)
    return [names[f"v{i + 1}"] for i in range(size)]


def chain_graph(size: int) -> Graph:
    return Graph([node(function) for function in functions(size)])


def chain(size: int, runner: SyncRunner | None = None) -> Call:
    graph, runner = chain_graph(size), runner or SyncRunner()
    return lambda: runner.run(graph, {"v0": 0})


def wide(size: int) -> Call:
    """One source, ``size`` nodes in parallel, and a sink for all of them."""
    names: dict[str, Any] = {}
    parts = [f"p{i}" for i in range(size)]
    exec(
        "def source(x): return x\n"
        + "".join(f"def {part}(source): return source\n" for part in parts)
        + f"def sink({', '.join(parts)}): return {parts[0]}\n",
        names,
    )
    graph = Graph([node(names[name]) for name in ("source", *parts, "sink")])
    runner = SyncRunner()
    return lambda: runner.run(graph, {"x": 0})


def loop(size: int) -> Call:
    @node(output_name="n")
    def step(n: int) -> int:
        return n + 1

    @route(targets=["step", END])
    def again(n: int, stop: int) -> Any:
        return "step" if n < stop else END

    graph, runner = Graph([step, again], entrypoint="step"), SyncRunner()
    return lambda: runner.run(graph, {"n": 0, "stop": size}, max_iterations=size + 1)


def mapped(size: int) -> Call:
    graph, runner, items = chain_graph(3), SyncRunner(), list(range(size))
    return lambda: runner.map(graph, {"v0": items}, map_over="v0")


def nested_map(size: int) -> Call:
    graph = Graph([Graph(chain_graph(3).nodes.values(), name="item").as_node().map_over("v0")])
    runner, items = SyncRunner(), list(range(size))
    return lambda: runner.run(graph, {"v0": items})


def nested(size: int) -> Call:
    graph: Graph | None = None
    for number, function in reversed(list(enumerate(functions(size)))):
        inner = [graph.as_node()] if graph is not None else []
        graph = Graph([node(function), *inner], name=f"level{number}")
    whole, runner = graph, SyncRunner()
    assert whole is not None
    return lambda: runner.run(whole, {"v0": 0})


def heard(size: int) -> Call:
    return chain(size, SyncRunner(event_processors=[Listener()]))


def remembered(size: int) -> Call:
    return chain(size, SyncRunner(cache=MemoryCache()))


def built(size: int) -> Call:
    plain = functions(size)
    return lambda: Graph([node(function) for function in plain])


class Listener:
    """Hears every event."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    def on_event(self, event: object) -> None:
        self.heard.append(event)

    def close(self) -> None:
        pass


# --- the fast lanes ---------------------------------------------------------------------------


@pytest.mark.parametrize("make", [chain, wide, nested])
def test_a_run_that_nobody_observes_calls_the_nodes_and_nothing_else_per_node(
    make: Callable[[int], Call],
) -> None:
    assert calls(make(100)) <= 100 + OF_A_RUN


@pytest.mark.parametrize("make", [chain, wide, heard, remembered])
def test_the_cost_of_a_node_does_not_grow_with_the_graph(make: Callable[[int], Call]) -> None:
    assert stays_flat(make, 100, 1000)


def test_the_cost_of_a_level_does_not_grow_with_the_depth() -> None:
    assert stays_flat(nested, 10, 40)


def test_the_cost_of_a_round_does_not_grow_with_the_rounds() -> None:
    assert stays_flat(loop, 100, 2000)


def test_a_round_through_a_gate_costs_few_calls() -> None:
    assert per_unit(loop, 1000) <= LOOP


@pytest.mark.parametrize("make", [mapped, nested_map])
def test_the_cost_of_an_item_does_not_grow_with_the_items(make: Callable[[int], Call]) -> None:
    assert stays_flat(make, 100, 2000)


@pytest.mark.parametrize("make", [mapped, nested_map])
def test_an_item_costs_its_nodes_and_few_calls_more(make: Callable[[int], Call]) -> None:
    assert per_unit(make, 1000) <= ITEM


# --- what is paid for when it is used -----------------------------------------------------------


def test_a_listener_costs_a_bounded_number_of_calls_per_node() -> None:
    assert per_unit(heard, 1000) <= HEARD


def test_a_hit_in_memory_costs_a_bounded_number_of_calls_per_node() -> None:
    assert per_unit(remembered, 1000) <= REMEMBERED
