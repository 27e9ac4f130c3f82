"""What plugins cost a program that has none: counted, in calls."""

import gc
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pluggy
import pytest

from hypergraph import END, AsyncRunner, Graph, MemoryCache, SyncRunner, hooks, node, route
from hypergraph.hooks import state

HOOKS = str(Path(hooks.__file__).parent)
PLUGGY = str(Path(pluggy.__file__).parent)


@pytest.fixture(autouse=True)
def none_installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As in a process whose first run found no plugin."""
    monkeypatch.setattr(state._Known, "installed", ())
    monkeypatch.setattr(state._Known, "registered", ())
    monkeypatch.setattr(state._Known, "ever", False)
    state._apply()
    yield
    monkeypatch.undo()
    state._apply()


def calls(call: Callable[[], Any]) -> Counter[str]:
    """Count the calls into the hooks and into pluggy."""
    found: Counter[str] = Counter()

    def profile(frame: Any, event: str, argument: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith((HOOKS, PLUGGY)):
            found[frame.f_code.co_qualname] += 1

    call()  # what is made once is made
    outer = sys.getprofile()
    gc.disable()
    sys.setprofile(profile)
    try:
        call()
    finally:
        sys.setprofile(outer)
        gc.enable()
    return found


def graph_of(size: int) -> Graph:
    names: dict[str, Any] = {}
    exec("".join(f"def v{i + 1}(v{i}): return v{i} + 1\n" for i in range(size)), names)
    return Graph([node(names[f"v{i + 1}"]) for i in range(size)], name="chain")


@node(output_name="n")
def step(n: int) -> int:
    return n + 1


@route(targets=["step", END])
def again(n: int, stop: int) -> Any:
    return "step" if n < stop else END


LOOP = Graph([step, again], entrypoint="step")
Make = Callable[[int], Callable[[], Any]]


def chain(size: int) -> Callable[[], Any]:
    graph, runner = graph_of(size), SyncRunner()
    return lambda: runner.run(graph, {"v0": 0})


def heard(size: int) -> Callable[[], Any]:
    class Deaf:
        def on_event(self, event: Any) -> None:
            pass

    graph, runner = graph_of(size), SyncRunner(event_processors=[Deaf()])
    return lambda: runner.run(graph, {"v0": 0})


def remembered(size: int) -> Callable[[], Any]:
    graph, runner = graph_of(size), SyncRunner(cache=MemoryCache())
    return lambda: runner.run(graph, {"v0": 0})


def computed(size: int) -> Callable[[], Any]:
    graph = graph_of(size)
    return lambda: SyncRunner(cache=MemoryCache()).run(graph, {"v0": 0})


def mapped(size: int) -> Callable[[], Any]:
    graph, runner = graph_of(3), SyncRunner()
    return lambda: runner.map(graph, {"v0": range(size)}, map_over="v0")


def loop(size: int) -> Callable[[], Any]:
    runner = SyncRunner()
    return lambda: runner.run(LOOP, {"n": 0, "stop": size}, max_iterations=size + 1)


def awaited(size: int) -> Callable[[], Any]:
    graph, runner = graph_of(size), AsyncRunner()

    def run() -> None:
        with pytest.raises(StopIteration):  # nothing in it waits
            runner.run(graph, {"v0": 0}).send(None)

    return run


@pytest.mark.parametrize("make", [chain, heard, remembered, computed, mapped, loop, awaited])
def test_a_run_makes_no_call_for_plugins_that_are_not_there(make: Make) -> None:
    makes_a_runner = {"Listeners.__init__": 1} if make is computed else {}
    for size in (3, 60):
        assert calls(make(size)) == makes_a_runner


@pytest.mark.parametrize("make", [chain, mapped, loop, awaited])
def test_a_validator_costs_a_run_as_much_whatever_its_size(make: Make) -> None:
    class Validating:
        def hypergraph_validate_graph(self) -> None:
            pass

    hooks.register(Validating)
    small, large = calls(make(3)), calls(make(60))
    assert small["begin_run"] == 1
    assert small == large


def test_a_nested_graph_with_a_runner_of_its_own_costs_its_mark_only() -> None:
    inner = Graph([step], name="inner").as_node(runner=SyncRunner)
    graph, runner = Graph([inner]), SyncRunner()
    found = calls(lambda: runner.run(graph, {"n": 0}))
    assert found == {f"part_of_a_run.{name}": 1 for name in ("__init__", "__enter__", "__exit__")}
