"""Who cancels the caller cancels the run: no task is left, its end is told, finished steps are kept."""

import asyncio
import signal
import subprocess
import sys
import textwrap

import anyio
import pytest

from hypergraph import Graph, RunStatus, node
from hypergraph.checkpointers import MemoryCheckpointer
from hypergraph.events import NodeErrorEvent, RunEndEvent
from hypergraph_runner_async import AsyncRunner
from hypergraph_runner_sync import SyncRunner
from tests.async_.support import LONG, Listener, NoTaskLeft, in_every_lane, turns
from tests.sync.support import UNCACHED_IS_FINE

pytestmark = UNCACHED_IS_FINE
both = pytest.mark.anyio


class Story:
    """A graph whose nodes wait, side by side, nested and mapped; it knows who began and who ended."""

    def __init__(self):
        self.begun, self.cleaned = [], []
        waits = [node(self._wait(f"w{i}"), name=f"w{i}", output_name=f"o{i}") for i in range(3)]
        inner = Graph(
            [node(self._wait("inner"), name="deep", output_name="d")], name="inner"
        ).as_node()
        mapped = Graph(
            [node(self._wait("item"), name="item_", output_name="i")], name="mapped"
        ).as_node()
        mapped = mapped.with_inputs(done="xs").map_over("xs")
        done = node(self._done, name="done", output_name="done")
        xs = node(lambda x: [1, 2], name="make_xs", output_name="xs")
        self.graph = Graph([done, xs, *waits, inner, mapped], name="story")
        self.all_begun = None

    async def _done(self, x):
        self.all_begun = self.all_begun or anyio.Event()
        return x

    def _wait(self, name):
        async def wait(done):
            self.begun.append(name)
            if len(self.begun) == 6:
                self.all_begun.set()
            try:
                await anyio.sleep(LONG)
            finally:
                self.cleaned.append(name)

        return wait

    async def ready(self):
        with anyio.fail_after(LONG):
            while self.all_begun is None:
                await anyio.lowlevel.checkpoint()
            await self.all_begun.wait()

    def check(self):
        assert len(self.begun) == 6
        assert sorted(self.cleaned) == sorted(self.begun)


@both
@in_every_lane
async def test_a_cancel_scope_around_a_run(runner):
    story = Story()
    async with NoTaskLeft(), anyio.create_task_group() as group:
        group.start_soon(runner.run, story.graph, {"x": 1})
        await story.ready()
        group.cancel_scope.cancel()
    story.check()


@both
@in_every_lane
async def test_a_deadline_around_a_run(runner):
    story = Story()
    async with NoTaskLeft():
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(_expire, scope, story)
                await runner.run(story.graph, {"x": 1})
        assert scope.cancelled_caught
        story.check()


async def _expire(scope, story):
    await story.ready()
    scope.deadline = anyio.current_time()


@in_every_lane
def test_task_cancel(runner):
    async def main():
        story = Story()
        async with NoTaskLeft():
            task = asyncio.create_task(runner.run(story.graph, {"x": 1}))
            await story.ready()
            task.cancel("reason")
            with pytest.raises(asyncio.CancelledError):
                await task
            story.check()

    asyncio.run(main())


@in_every_lane
def test_asyncio_timeout(runner):
    async def main():
        story = Story()
        async with NoTaskLeft():
            with pytest.raises(TimeoutError):
                await _timed_out(runner, story)
            story.check()
            assert asyncio.current_task().cancelling() == 0

    asyncio.run(main())


async def _timed_out(runner, story):
    async with asyncio.timeout(None) as timeout:
        waiter = asyncio.create_task(_expire_soon(timeout, story))
        await runner.run(story.graph, {"x": 1})
    await waiter


async def _expire_soon(timeout, story):
    await story.ready()
    timeout.reschedule(asyncio.get_running_loop().time())


@pytest.mark.parametrize("method", ["run", "map", "iter"])
@both
async def test_the_end_of_the_run_is_told(method):
    listener, story = Listener(), Story()
    runner = AsyncRunner(event_processors=[listener])

    async def call():
        if method == "run":
            await runner.run(story.graph, {"x": 1})
        elif method == "map":
            await runner.map(story.graph, {"x": [1]}, map_over="x")
        else:
            async with runner.iter(story.graph, {"x": 1}) as stream:
                async for _ in stream:
                    pass

    async with NoTaskLeft(), anyio.create_task_group() as group:
        group.start_soon(call)
        await story.ready()
        group.cancel_scope.cancel()
    story.check()
    last = listener.events[-1]
    assert type(last) is RunEndEvent
    assert last.status is RunStatus.FAILED
    assert isinstance(last.error, anyio.get_cancelled_exc_class())
    steps = listener.steps()
    starts = [step for step in steps if step.startswith("NodeStart")]
    ends = [step for step in steps if step.startswith(("NodeEnd", "NodeError"))]
    assert len(starts) == len(ends)
    assert len([step for step in steps if step == "RunStart"]) == steps.count("RunEnd")


@both
async def test_finished_steps_are_kept():
    store, story = MemoryCheckpointer(), Story()
    runner = AsyncRunner(checkpointer=store)

    async def run():
        await runner.run(story.graph, {"x": 1}, workflow_id="w")

    async with NoTaskLeft(), anyio.create_task_group() as group:
        group.start_soon(run)
        await story.ready()
        group.cancel_scope.cancel()
    names = [step.node_name for step in store.get_steps("w")]
    assert sorted(names) == ["", "done", "make_xs"]


@both
@pytest.mark.parametrize("observed", [False, True])
async def test_a_step_that_finished_before_its_generation_was_cancelled_is_kept(observed):
    store, begun = MemoryCheckpointer(), anyio.Event()
    calls = []

    async def quick(x):
        calls.append("quick")
        return x

    async def slow(x):
        begun.set()
        await anyio.sleep(0 if "again" in calls else LONG)
        return x

    graph = Graph([node(quick), node(slow)])
    runner = AsyncRunner(checkpointer=store, event_processors=[Listener()] * observed)
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: runner.run(graph, {"x": 1}, workflow_id="w"))
        await begun.wait()
        await turns()
        group.cancel_scope.cancel()
    assert [step.node_name for step in store.get_steps("w")][1:] == ["quick"]
    calls.append("again")
    result = await runner.run(graph, workflow_id="w")
    assert (result["slow"], calls) == (1, ["quick", "again"])


@both
async def test_a_workflow_that_was_cancelled_is_not_held():
    store, story = MemoryCheckpointer(), Story()
    runner = AsyncRunner(checkpointer=store)

    async def run():
        await runner.run(story.graph, {"x": 1}, workflow_id="w")

    for _ in range(2):
        story.begun.clear()
        story.all_begun = anyio.Event()
        async with anyio.create_task_group() as group:
            group.start_soon(run)
            await story.ready()
            group.cancel_scope.cancel()


@both
async def test_a_run_that_is_cancelled_before_it_begins_ends_where_it_first_waits():
    story = Story()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await AsyncRunner().run(story.graph, {"x": 1})
    assert scope.cancelled_caught
    assert sorted(story.cleaned) == sorted(story.begun)


@both
@pytest.mark.parametrize("nested", [AsyncRunner, SyncRunner])
async def test_a_nested_run_of_another_runner_does_not_outlive_its_parent(nested):
    begun, released, log = anyio.Event(), [], []

    async def wait(x):
        begun.set()
        try:
            await anyio.sleep(LONG)
        finally:
            log.append("ended")

    def block(x):
        anyio.from_thread.run_sync(begun.set)
        while not released:
            pass
        log.append("ended")

    inner = Graph([node(wait if nested is AsyncRunner else block)], name="inner")
    graph = Graph([inner.as_node(runner=nested())])
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: AsyncRunner().run(graph, {"x": 1}))
        await begun.wait()
        released.append(True)
        group.cancel_scope.cancel()
    assert log == ["ended"]


@both
async def test_a_node_that_was_cancelled_says_so():
    listener, begun = Listener(), anyio.Event()

    async def wait(x):
        begun.set()
        await anyio.sleep(LONG)

    async with anyio.create_task_group() as group:
        runner = AsyncRunner(event_processors=[listener])
        group.start_soon(lambda: runner.run(Graph([node(wait)]), {"x": 1}))
        await begun.wait()
        group.cancel_scope.cancel()
    (error,) = listener.of(NodeErrorEvent)
    assert isinstance(error.error, anyio.get_cancelled_exc_class())
    assert getattr(error.error, "__notes__", []) == []


PROGRAM = """
import asyncio, sys
from hypergraph import Graph, node
from hypergraph_runner_async import AsyncRunner

class Tell:
    def on_event(self, event):
        print(type(event).__name__, getattr(event, "node_name", ""), flush=True)

@node(output_name="a")
async def quick(x):
    return x

@node(output_name="b")
async def wait(a):
    print("ready", flush=True)
    try:
        await asyncio.sleep(60)
    finally:
        print("cleaned up", flush=True)

@node(output_name="c")
async def endless(a):
    while True:
        yield a
        await asyncio.sleep(0.01)

async def main():
    runner = AsyncRunner(event_processors=[Tell()] if sys.argv[1] != "quiet" else [])
    graph = Graph([quick, wait] if sys.argv[1] != "iter" else [quick, wait, endless])
    try:
        if sys.argv[1] == "iter":
            async with runner.iter(graph, {"x": 1}) as stream:
                async for event in stream:
                    pass
        else:
            await runner.run(graph, {"x": 1})
    finally:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        print("left behind", len(others), flush=True)

try:
    asyncio.run(main())
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
@pytest.mark.parametrize("kind", ["quiet", "run", "iter"])
def test_ctrl_c(kind):
    command = [sys.executable, "-c", textwrap.dedent(PROGRAM), kind]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        lines = []
        for line in process.stdout:
            lines.append(line.strip())
            if line.strip() == "ready":
                process.send_signal(signal.SIGINT)
        errors = process.stderr.read()
        process.wait(LONG)
    assert errors == ""
    assert "cleaned up" in lines
    assert lines[-2:] == ["left behind 0", "interrupted"]
    if kind != "quiet":
        assert lines[-3] == "RunEndEvent"
