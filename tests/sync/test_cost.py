"""What a run costs, in calls of Python functions and in instructions.

Counted, never timed: both are the same on every machine. Calls tell what a node costs besides its own
call; instructions also see a loop that calls nothing, so they tell whether a cost stays flat.
"""

import gc
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from hypergraph import END, Event, Graph, MemoryCache, SyncRunner, node, route

FLAT = 1.3  # cost per unit at a larger size over that at a smaller one
OF_A_RUN = 25  # calls that do not depend on the size

Call = Callable[[], Any]
Make = Callable[[int], Call]


def calls(call: Call) -> int:
    """Count the calls of Python functions; each resumption of a generator is one."""
    count = 0

    def profile(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event == "call"

    call()  # plans, programs and definitions are made once, on first use
    outer = sys.getprofile()
    gc.collect()
    gc.disable()  # or what other tests left behind is finalised, and counted, in between
    sys.setprofile(profile)
    try:
        call()
    finally:
        sys.setprofile(outer)
        gc.enable()
    return count


def instructions(call: Call) -> int:
    """Count the instructions of the interpreter."""
    call()
    return (_traced if sys.version_info < (3, 12) else _monitored)(call)


def _monitored(call: Call) -> int:
    """From Python 3.12 on, tracing instructions is not reliable and monitoring them is."""
    count, monitoring, tool = 0, sys.monitoring, 4  # type: ignore[attr-defined, unused-ignore]

    def step(code: Any, offset: int) -> None:
        nonlocal count
        count += 1

    monitoring.use_tool_id(tool, "instructions")
    monitoring.register_callback(tool, monitoring.events.INSTRUCTION, step)
    monitoring.set_events(tool, monitoring.events.INSTRUCTION)
    try:
        call()
    finally:
        monitoring.set_events(tool, 0)
        monitoring.free_tool_id(tool)
    return count


def _traced(call: Call) -> int:
    count = 0

    def enter(frame: Any, event: str, argument: Any) -> Any:
        frame.f_trace_opcodes = True
        return step

    def step(frame: Any, event: str, argument: Any) -> Any:
        nonlocal count
        count += event == "opcode"
        return step

    outer = sys.gettrace()
    sys.settrace(enter)
    try:
        call()
    finally:
        sys.settrace(outer)
    return count


def growth(count: Callable[[Call], int], make: Make, smaller: int, larger: int) -> float:
    """Return the cost per unit at the larger size over that at the smaller one."""
    return (count(make(larger)) / larger) / (count(make(smaller)) / smaller)


# --- graphs of any size -----------------------------------------------------------------------


def functions(size: int) -> list[Callable[..., Any]]:
    """Return ``v1(v0)``, ``v2(v1)``, ..., each adding one."""
    names: dict[str, Any] = {}
    exec("".join(f"def v{i + 1}(v{i}): return v{i} + 1\n" for i in range(size)), names)
    return [names[f"v{i + 1}"] for i in range(size)]


def chain(size: int, runner: SyncRunner | None = None) -> Call:
    graph, runner = built(size)(), runner or SyncRunner()
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
    graph, runner, items = built(3)(), SyncRunner(), list(range(size))
    return lambda: runner.map(graph, {"v0": items}, map_over="v0")


def nested_map(size: int) -> Call:
    item = Graph([node(function) for function in functions(3)], name="item")
    graph = Graph([item.as_node().map_over("v0")])
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


# --- the measures themselves --------------------------------------------------------------------


def scanning(size: int) -> Call:
    """What looks at everything for each unit, without a call."""

    def run() -> None:
        for _ in range(size):
            for _ in range(size):
                pass

    return run


def calling(size: int) -> Call:
    """What calls something for everything for each unit."""

    def run() -> None:
        for number in range(size):
            for each in range(size):
                called(number + each)

    def called(number: int) -> int:
        return number

    return run


def test_a_cost_that_grows_is_seen() -> None:
    assert growth(instructions, scanning, 10, 50) > FLAT
    assert growth(calls, calling, 10, 50) > FLAT
    assert calls(calling(10)) == 101


# --- runs that nobody observes -------------------------------------------------------------------


@pytest.mark.parametrize(("make", "size"), [(chain, 1000), (wide, 1000), (nested, 40)])
def test_a_plain_graph_costs_one_call_per_node_and_a_few_per_run(make: Make, size: int) -> None:
    assert size <= calls(make(size)) <= size + OF_A_RUN


@pytest.mark.parametrize("make", [chain, wide])
def test_the_cost_of_a_node_does_not_grow_with_the_graph(make: Make) -> None:
    assert growth(calls, make, 100, 1000) < FLAT
    assert growth(instructions, make, 100, 1000) < FLAT


def test_the_cost_of_a_level_does_not_grow_with_the_depth() -> None:
    assert growth(instructions, nested, 10, 40) < FLAT


def test_a_round_through_a_gate_costs_at_most_twelve_calls_however_many_there_are() -> None:
    assert calls(loop(1000)) <= 12 * 1000 + OF_A_RUN
    assert growth(instructions, loop, 100, 2000) < FLAT


@pytest.mark.parametrize("make", [mapped, nested_map])
def test_an_item_of_three_nodes_costs_at_most_seven_calls_however_many_there_are(
    make: Make,
) -> None:
    assert calls(make(1000)) <= 7 * 1000 + 2 * OF_A_RUN
    assert growth(instructions, make, 100, 2000) < FLAT


# --- what is paid for when it is used ------------------------------------------------------------


def test_a_node_costs_at_most_eighteen_calls_when_somebody_listens() -> None:
    assert calls(heard(1000)) <= 18 * 1000 + 2 * OF_A_RUN
    assert growth(instructions, heard, 100, 1000) < FLAT


def test_a_node_costs_at_most_seven_calls_when_its_result_is_in_memory() -> None:
    assert calls(remembered(1000)) <= 7 * 1000 + 2 * OF_A_RUN
    assert growth(instructions, remembered, 100, 1000) < FLAT


def test_building_costs_at_most_nine_calls_per_node_whatever_the_size() -> None:
    assert calls(built(10)) <= 9 * 10 + OF_A_RUN
    assert calls(built(1000)) <= 9 * 1000 + OF_A_RUN
    assert calls(built(10_000)) <= 9 * 10_000 + OF_A_RUN
    assert growth(instructions, built, 100, 1000) < FLAT


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count the events that are made, by type."""
    count: Counter[str] = Counter()

    def counted(kind: Callable[..., Event]) -> Callable[..., Event]:
        def make(*arguments: Any, **more: Any) -> Event:
            count[kind.__name__] += 1
            return kind(*arguments, **more)

        return make

    for module, name, kind in list(names_of_events()):
        monkeypatch.setattr(module, name, counted(kind))
    return count


def names_of_events() -> Iterable[tuple[Any, str, type[Event]]]:
    """Find the names by which the engine and the runner know types of events."""
    rooms = ("hypergraph.execution", "hypergraph_runner_sync")
    for module in [module for name, module in sys.modules.items() if name.startswith(rooms)]:
        for name, value in vars(module).items():
            if isinstance(value, type) and issubclass(value, Event):
                yield module, name, value


@pytest.mark.parametrize("make", [chain, wide, loop, mapped, nested, nested_map, remembered])
def test_no_event_is_made_when_nobody_listens(make: Make, made: Counter[str]) -> None:
    call = make(10)
    call()
    call()
    assert made == {}


def test_every_event_that_is_made_is_heard(made: Counter[str]) -> None:
    heard(10)()
    assert made == {
        "RunStartEvent": 1,
        "NodeStartEvent": 10,
        "NodeEndEvent": 10,
        "RunEndEvent": 1,
    }
