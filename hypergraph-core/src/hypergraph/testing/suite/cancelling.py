"""Cancellation: who cancels the caller cancels the run, Ctrl-C passes through, nothing is left."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from hypergraph.events import NodeErrorEvent, RunEndEvent, RunStartEvent
from hypergraph.graph import Graph
from hypergraph.nodes import HyperNode, node
from hypergraph.results import RunStatus
from hypergraph.runners.base import BaseRunner
from hypergraph.testing.kit import cases, fail, raises, skip
from hypergraph.testing.suite.surroundings import SAME, Surroundings, Told, names_it

PATIENCE = 3_000  # turns of the event loop after which a waiting node gives up
WAITING = 5  # nodes of `CancellationRules.waits_everywhere` that wait at once


class CancellationRules(Surroundings):
    """Tasks are cancelled for runners with ``returns_coroutine``; the others are interrupted."""

    group = "cancellation"

    def node_that_waits(self, name: str) -> Any:
        """Return a node that waits until it is cancelled, and notes its begin and its end."""
        journal, pause = self.journal, self.pause

        async def wait(x: int) -> None:
            journal.note(f"in {name} {x}")
            try:
                for _ in range(PATIENCE):
                    await pause()
                journal.note(f"tired {name} {x}")
            finally:
                journal.note(f"out {name} {x}")

        return node(wait, name=name, output_name=f"of_{name}")

    def waits_everywhere(self) -> tuple[Graph, dict[str, Any]]:
        """Return a graph of which five nodes wait at once: side by side, nested, and in a map."""
        deep = Graph([Graph([self.node_that_waits("deep")], name="inner").as_node()], name="middle")
        items = Graph([self.node_that_waits("item")], name="items").as_node().with_inputs(x="xs")
        nodes = [
            self.node_that_waits("a"),
            deep.as_node(),
            items.map_over("xs"),
            self.node_that_waits("b"),
        ]
        return Graph(nodes, name="main"), {"x": 1, "xs": [1, 2]}

    def when_begun(self, count: int = WAITING) -> Callable[[], bool]:
        journal = self.journal
        return lambda: sum(line.startswith("in") for line in journal.lines) == count

    def all_are_out(self) -> None:
        lines = self.journal.lines
        tired = [line for line in lines if line.startswith("tired")]
        assert tired == [], "the run waited for nodes to end by themselves: cancel them"
        begun = sorted(line[3:] for line in lines if line.startswith("in"))
        ended = sorted(line[4:] for line in lines if line.startswith("out"))
        assert ended == begun, (
            "a run is over when its caller is told so: await the nodes that you cancel"
        )

    # -- runners that are awaited ------------------------------------------------------------------

    def cancelled_run(self, runner: BaseRunner, **options: Any) -> BaseException | None:
        """Run a graph that waits everywhere, cancel its caller, and return what the run raised."""
        graph, inputs = self.waits_everywhere()
        self.refused_unless_declared(runner, graph, inputs)
        self.shares_the_loop(runner)

        async def main() -> BaseException | None:
            before = self.living_tasks()
            raised = await self.cancelled_when(
                self.when_begun(), lambda: runner.run(graph, inputs, **options)
            )
            left = self.living_tasks() - before
            assert left == 0, f"the cancelled run left {left} tasks behind"
            return raised

        raised: BaseException | None = self.in_time(lambda: self.in_event_loop(main))
        return raised

    def test_cancelling_the_caller_ends_every_node_and_leaves_no_task(
        self, runner: BaseRunner
    ) -> None:
        raised = self.cancelled_run(runner)
        assert raised is not None, "the run swallowed its cancellation: raise it again"
        assert not isinstance(raised, Exception), f"{type(raised).__name__} is not a cancellation"
        self.all_are_out()

    def test_the_end_of_a_cancelled_run_is_told(self, runner: BaseRunner) -> None:
        self.needs_option(runner, event_processors=[])
        told = Told()
        raised = self.cancelled_run(runner, event_processors=[told])
        begun, ended = told.of(RunStartEvent), told.of(RunEndEvent)
        assert sorted(e.run_id for e in begun) == sorted(e.run_id for e in ended), (
            "every run that began must end, nested ones too"
        )
        assert type(told.events[-1]) is RunEndEvent
        assert ended[-1].status is RunStatus.FAILED
        assert type(ended[-1].error) is type(raised)
        cancelled = [e.node_name for e in told.of(NodeErrorEvent)]
        assert {"a", "b", "deep", "item"} <= set(cancelled), (
            f"of the nodes that were cancelled only {cancelled} were told as failed"
        )

    def test_a_runner_serves_on_after_a_cancelled_run(self, runner: BaseRunner) -> None:
        self.cancelled_run(runner)
        assert self.in_time(lambda: self.run_graph(runner, SAME, {"x": 1})) == {"same": 1}

    @cases("on_error", ["raise", "return"])
    def test_a_cancelled_map_ends_its_items(self, runner: BaseRunner, on_error: str) -> None:
        graph = Graph([self.node_that_waits("a")], name="main")
        self.refused_unless_declared(runner, graph, {"x": 1})
        self.shares_the_loop(runner)

        def call() -> Awaitable[Any]:
            items = {"x": range(3)}
            mapped: Awaitable[Any] = runner.map(graph, items, map_over="x", on_error=on_error)
            return mapped

        async def main() -> None:
            before = self.living_tasks()
            raised = await self.cancelled_when(self.when_begun(3), call)
            assert raised is not None, (
                "on_error is about Exception; the map swallowed its cancellation"
            )
            assert self.living_tasks() == before, "the cancelled map left tasks behind"

        self.in_time(lambda: self.in_event_loop(main))
        self.all_are_out()

    def test_a_timeout_around_a_run_ends_it(self, runner: BaseRunner) -> None:
        graph, inputs = self.waits_everywhere()
        self.refused_unless_declared(runner, graph, inputs)
        self.shares_the_loop(runner)
        begun = self.when_begun()

        async def expire(timeout: asyncio.Timeout) -> None:
            while not begun():
                await asyncio.sleep(0)
            timeout.reschedule(asyncio.get_running_loop().time())

        async def main() -> None:
            try:
                this = asyncio.current_task()
            except RuntimeError:
                this = None
            if this is None:
                skip("the runner is tested on another event loop than asyncio's")
            waiter = None
            with raises(TimeoutError):
                async with asyncio.timeout(None) as timeout:
                    waiter = asyncio.create_task(expire(timeout))
                    await runner.run(graph, inputs)
            assert waiter is not None
            await waiter
            assert this.cancelling() == 0, "raise the cancellation again, and uncancel nothing"

        self.in_time(lambda: self.in_event_loop(main))
        self.all_are_out()

    def test_a_failing_node_cancels_its_siblings(self, runner: BaseRunner) -> None:
        journal, begun, pause = self.journal, self.when_begun(), self.pause

        async def fail_when_all_wait(x: int) -> None:
            for _ in range(PATIENCE):
                if begun():
                    break
                await pause()
            journal.note("failed")
            raise LookupError("a problem of the user's own")

        graph, inputs = self.waits_everywhere()
        whole = Graph([*graph.nodes.values(), node(fail_when_all_wait)], name="main")
        self.refused_unless_declared(runner, whole, inputs)
        self.shares_the_loop(runner)

        async def main() -> None:
            before = self.living_tasks()
            with raises(LookupError) as caught:
                await runner.run(whole, inputs)
            assert self.living_tasks() == before, "the failed run left tasks behind"
            assert names_it(caught.value, "fail_when_all_wait")

        self.in_time(lambda: self.in_event_loop(main))
        lines = self.journal.lines
        assert "failed" in lines
        ended = [line for line in lines[: lines.index("failed")] if line.startswith("out")]
        assert ended == [], "the nodes must all wait when one fails, or nothing is shown"
        self.all_are_out()

    # -- runners that block --------------------------------------------------------------------------

    @cases("nested", [False, True], ids=["a node", "a nested node"])
    def test_ctrl_c_in_a_node_reaches_the_caller_unchanged(
        self, runner: BaseRunner, nested: bool
    ) -> None:
        graph = self.with_ctrl_c(runner, nested)
        with raises(KeyboardInterrupt) as caught:
            self.in_time(lambda: self.run_graph(runner, graph, {"x": 1}))
        assert caught.value.args == ("pressed",)
        assert self.journal.lines == ["interrupted"], "nothing else runs, and nothing is retried"

    def test_the_end_of_an_interrupted_run_is_told(self, runner: BaseRunner) -> None:
        graph, told = self.with_ctrl_c(runner, nested=True), Told()
        self.needs_option(runner, event_processors=[])
        options = {"event_processors": [told]}
        with raises(KeyboardInterrupt):
            self.in_time(lambda: self.run_graph(runner, graph, {"x": 1}, **options))
        ended = told.of(RunEndEvent)
        assert len(ended) == 2, "the nested run and the run both end; tell it in a finally"
        assert [type(e.error) for e in ended] == [KeyboardInterrupt] * 2
        assert {e.status for e in ended} == {RunStatus.FAILED}

    def test_ctrl_c_is_not_kept_as_the_result_of_an_item(self, runner: BaseRunner) -> None:
        graph = self.with_ctrl_c(runner, nested=False)
        options = {"map_over": "x", "on_error": "return"}
        try:
            rows = self.in_time(lambda: self.map_graph(runner, graph, {"x": [1, 2]}, **options))
        except KeyboardInterrupt:
            return
        fail(f"on_error='return' is about Exception; Ctrl-C was caught, and {rows!r} returned.")

    def with_ctrl_c(self, runner: BaseRunner, nested: bool) -> Graph:
        """Return a graph with a node in which somebody presses Ctrl-C."""
        if runner.capabilities.returns_coroutine:
            skip("Ctrl-C reaches a run that is awaited as a cancellation, through its event loop")
        journal = self.journal

        def press(x: int) -> int:
            journal.note("interrupted")
            raise KeyboardInterrupt("pressed")

        def after(pressed: int) -> None:
            journal.note("after")

        nodes: list[HyperNode] = [
            node(press, output_name="pressed"),
            node(after, output_name=None),
        ]
        graph = Graph(nodes, name="inner")
        return Graph([graph.as_node()], name="main") if nested else graph

    # -- everybody -------------------------------------------------------------------------------------

    def test_runs_leave_no_threads_behind(self, runner: BaseRunner) -> None:
        self.run_graph(runner, SAME, {"x": 1})
        before = threading.active_count()
        for x in range(20):
            self.run_graph(runner, SAME, {"x": x})
        more = threading.active_count() - before
        assert more < 10, f"20 runs left {more} threads behind"

    def test_runs_leave_no_tasks_behind(self, runner: BaseRunner) -> None:
        self.shares_the_loop(runner)

        async def main() -> None:
            await runner.run(SAME, {"x": 1})
            before = self.living_tasks()
            for x in range(10):
                await runner.run(SAME, {"x": x})
            with raises(Exception):
                await runner.run(Graph([node(_fail)]), {"x": 1})
            assert self.living_tasks() <= before, "each run leaves tasks behind"

        self.in_time(lambda: self.in_event_loop(main))


def _fail(x: int) -> None:
    raise LookupError("a problem of the user's own")
