"""`hypergraph.run`: one call and one kind of result, whichever runner is configured."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest

import hypergraph
from hypergraph import (
    AsyncRunner,
    BaseRunner,
    CacheHitEvent,
    Graph,
    InterruptNode,
    MissingInputError,
    RunnerCapabilities,
    RunResult,
    RunStatus,
    SyncRunner,
    TypedEventProcessor,
    node,
)
from hypergraph.config import loading
from hypergraph.errors import RunnerAPIError
from hypergraph.runners import registry
from tests.core.configuring import GRAPH, Own

Write = Callable[[str], Path]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory of its own, nothing in the environment, and a runner ``own`` for this test."""
    for variable in ("HYPERGRAPH_CONFIG", "HYPERGRAPH_RUNNER"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(loading, "_kept", {})
    monkeypatch.setattr(registry, "_registered", {"own": Own})


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def writer(text: str) -> Path:
        path = tmp_path / "hypergraph.toml"
        path.write_text(text)
        return path

    return writer


@node(output_name="later")
async def wait(x: int) -> int:
    await asyncio.sleep(0)
    return x + 1


@node(output_name="thread")
def where(x: int) -> int:
    return threading.get_ident()


LATER = Graph([wait], name="waiting")


@pytest.mark.parametrize(
    "runner", [None, "sync", "async", "own", SyncRunner, AsyncRunner, SyncRunner(), AsyncRunner()]
)
@pytest.mark.parametrize("word", ["positional", "inputs", "values"])
def test_every_runner_gives_a_result(runner: Any, word: str) -> None:
    if word == "positional":
        result = hypergraph.run(GRAPH, {"x": 4}, runner=runner)
    else:
        result = hypergraph.run(GRAPH, runner=runner, **{word: {"x": 4}})  # type: ignore[arg-type]
    assert type(result) is RunResult
    assert (result["double"], result.status) == (8, RunStatus.COMPLETED)


def test_the_configured_runner_is_used(write: Write) -> None:
    write('runner = "local"\n[runners.local]\nuse = "async"')
    assert hypergraph.run(LATER, {"x": 1})["later"] == 2
    with pytest.raises(hypergraph.IncompatibleRunnerError):
        hypergraph.run(LATER, {"x": 1}, runner="sync")


def test_it_blocks_inside_a_running_loop() -> None:
    async def main() -> RunResult:
        return hypergraph.run(LATER, {"x": 1}, runner="async")

    assert asyncio.run(main())["later"] == 2


def test_without_a_running_loop_it_stays_in_this_thread() -> None:
    here = threading.get_ident()
    graph = Graph([where])
    assert hypergraph.run(graph, {"x": 1})["thread"] == here
    assert hypergraph.run(graph, {"x": 1}, runner="async")["thread"] == here


def test_nodes_see_the_context_of_the_caller() -> None:
    variable = contextvars.ContextVar("variable", default="unset")

    @node(output_name="seen")
    def see(x: int) -> str:
        return variable.get()

    async def main() -> RunResult:
        return hypergraph.run(Graph([see]), {"x": 1}, runner="async")

    variable.set("set")
    assert hypergraph.run(Graph([see]), {"x": 1}, runner="async")["seen"] == "set"
    assert asyncio.run(main())["seen"] == "set"


def test_options_are_those_of_the_runner() -> None:
    assert hypergraph.run(GRAPH, {"x": 1}, select="double", session_id="s")["double"] == 2
    assert hypergraph.run(GRAPH, {"x": 1}, runner="async", max_concurrency=1)["double"] == 2
    assert hypergraph.run(GRAPH, {"x": 1}, runner="own", mark="m")["mark"] == "m"


class Anything(Own):
    """Takes any option, and does not say which."""

    seen: ClassVar[dict[str, Any]] = {}

    def run(self, graph: Graph, inputs: Any = None, **options: Any) -> Any:
        type(self).seen = options
        return {}


class Plain(Own):
    """Takes its option as a plain parameter."""

    def run(self, graph: Graph, inputs: Any = None, values: Any = None, mark: str = "") -> Any:
        return {"mark": mark}


def test_an_option_that_is_a_plain_parameter_is_one() -> None:
    assert hypergraph.run(GRAPH, {"x": 1}, runner=Plain, mark="m")["mark"] == "m"
    with pytest.raises(TypeError, match=r"no option 'mrak'\. Did you mean 'mark'\?.*: mark\. "):
        hypergraph.run(GRAPH, {"x": 1}, runner=Plain, mrak="m")


@pytest.mark.parametrize(
    ("runner", "option", "message"),
    [
        ("sync", "workflow_id", "SyncRunner, the runner here, takes no option 'workflow_id'"),
        ("sync", "sesion_id", "Did you mean 'session_id'?"),
        (
            "async",
            "sellect",
            "AsyncRunner, the runner here.*Did you mean 'select'.*max_concurrency",
        ),
        ("own", "marc", "Own, the runner here.*Did you mean 'mark'.* Its options: mark"),
    ],
)
def test_an_option_that_the_runner_does_not_take(runner: str, option: str, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        hypergraph.run(GRAPH, {"x": 1}, runner=runner, **{option: "value"})


def test_a_runner_that_takes_any_option_gets_it() -> None:
    hypergraph.run(GRAPH, {"x": 1}, runner=Anything, whatever=3)
    assert Anything.seen == {"whatever": 3}


def test_errors_are_those_of_the_runner() -> None:
    with pytest.raises(MissingInputError):
        hypergraph.run(GRAPH)
    with pytest.raises(MissingInputError):
        hypergraph.run(GRAPH, runner="async")
    with pytest.raises(TypeError, match="give the inputs once"):
        hypergraph.run(GRAPH, {}, values={})
    with pytest.raises(RunnerAPIError, match="not a subclass"):
        hypergraph.run(GRAPH, {"x": 1}, runner=dict)  # type: ignore[arg-type]


def test_an_exception_of_a_node_is_the_same_object() -> None:
    error = LookupError("as it is")

    @node(output_name="never")
    def fail(x: int) -> None:
        raise error

    async def main() -> None:
        hypergraph.run(Graph([fail]), {"x": 1}, runner="async")

    with pytest.raises(LookupError) as plain:
        hypergraph.run(Graph([fail]), {"x": 1})
    with pytest.raises(LookupError) as awaited:
        asyncio.run(main())
    assert plain.value is awaited.value is error


class Strange(BaseRunner):
    """Returns what is no result."""

    capabilities = RunnerCapabilities()

    def run(self, graph: Graph, *args: Any, **options: Any) -> Any:
        return [1]

    map = run


class StrangeLater(Strange):
    capabilities = RunnerCapabilities(returns_coroutine=True)

    async def run(self, graph: Graph, *args: Any, **options: Any) -> Any:
        return 1


@pytest.mark.parametrize("runner", [Strange, StrangeLater])
def test_what_is_no_result_is_the_runners_mistake(runner: type[BaseRunner]) -> None:
    with pytest.raises(RunnerAPIError, match=rf"{runner.__name__}.run\(\) returned (list|int)"):
        hypergraph.run(GRAPH, {"x": 1}, runner=runner)


@node(output_name="kept", cache=True)
def keep(x: int) -> int:
    return x


def test_what_the_configured_runner_keeps_is_there_in_the_next_run(write: Write) -> None:
    hits = []

    class Listener(TypedEventProcessor):
        def on_cache_hit(self, event: CacheHitEvent) -> None:
            hits.append(event.node_name)

    write('runner = "sync"\n[runners.sync]\ncache = "memory"')
    for _ in range(2):
        hypergraph.run(Graph([keep]), {"x": 1}, event_processors=[Listener()])
    assert hits == ["keep"]


def test_a_run_that_pauses_is_gone_on_with(write: Write) -> None:
    write('runner = "local"\n[runners.local]\nuse = "async"\ncheckpointer = "memory"')
    graph = Graph([node(lambda x: x + 1, output_name="draft", name="write"), ASK], name="asking")
    paused = hypergraph.run(graph, {"x": 1}, workflow_id="w")
    assert paused.paused
    assert paused.pause is not None
    assert paused.pause.value == 2
    assert hypergraph.run(graph, {"yes": True}, workflow_id="w")["yes"] is True


ASK = InterruptNode("ask", "draft", "yes", bool)


def test_two_threads_run_on_one_configured_runner(write: Write) -> None:
    write('runner = "local"\n[runners.local]\nuse = "async"\nmax_concurrency = 1')
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(hypergraph.run(LATER, {"x": 1})["later"]))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [2] * 4
