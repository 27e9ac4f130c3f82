"""Whatever becomes of a run, its workflow is free afterwards and stands where the steps say."""

import asyncio
import gc
from concurrent.futures import Future

import pytest

from hypergraph import Graph, node
from hypergraph.checkpointers import MemoryCheckpointer, WorkflowStatus
from hypergraph.errors import UnstorableValueError
from hypergraph_runner_async import AsyncRunner
from tests.async_.support import LONG


class Pending(MemoryCheckpointer):
    """Its headers of failed runs are safe when the test says so."""

    def __init__(self):
        super().__init__()
        self.safe = Future()
        self.asked = False

    def put(self, workflow, steps=()):
        super().put(workflow, steps)
        if workflow.status is WorkflowStatus.FAILED:
            self.asked = True
            return self.safe
        return None


@node(output_name="answer")
async def fail(question):
    raise LookupError("no answer")


@node(output_name="answer")
async def hang(question):
    await asyncio.sleep(LONG)


@node(output_name="reply")
def respond(said, messages):
    return f"reply {len(messages)}"


@node(output_name="messages")
def remember(messages, said, reply):
    return [*messages, said, reply]


def test_a_run_that_is_cancelled_while_its_failure_is_stored_lets_go_of_the_workflow():
    store = Pending()

    async def cancel():
        task = asyncio.create_task(_run(AsyncRunner(checkpointer=store), Graph([fail])))
        while not store.asked:
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)
        store.safe.set_result(None)
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert not store.get_workflow("w").held


async def _run(runner, graph):
    await runner.run(graph, {"question": 1}, workflow_id="w")


def test_a_run_whose_event_loop_is_gone_lets_go_of_the_workflow():
    store = MemoryCheckpointer()
    runner = AsyncRunner(checkpointer=store)

    async def begin():
        running = _run(runner, Graph([hang]))
        task = asyncio.ensure_future(running)
        while not store.list_workflows():
            await asyncio.sleep(0.001)
        task._log_destroy_pending = False
        return running

    loop = asyncio.new_event_loop()
    running = loop.run_until_complete(begin())
    loop.close()
    assert store.get_workflow("w").held
    running.close()
    gc.collect()
    assert not store.get_workflow("w").held


@pytest.mark.anyio
async def test_inputs_that_cannot_be_stored_leave_the_workflow_to_take_its_next_turn():
    store = MemoryCheckpointer()
    runner, chat = AsyncRunner(checkpointer=store), Graph([respond, remember])
    await runner.run(chat, {"said": "hi", "messages": []}, workflow_id="w")
    with pytest.raises(UnstorableValueError):
        await runner.run(chat, {"said": lambda: None}, workflow_id="w")
    assert store.get_workflow("w").status is WorkflowStatus.COMPLETED
    result = await runner.run(chat, {"said": "hi"}, workflow_id="w")
    assert result["messages"] == ["hi", "reply 0", "hi", "reply 2"]


@pytest.mark.anyio
async def test_a_graph_that_has_lost_an_input_goes_on_with_force_resume():
    @node(output_name="total")
    def add(first, second):
        return first + second

    @node(output_name="total")
    def take(first):
        return first

    @node(output_name="answer")
    def crash(total):
        raise LookupError("no answer")

    @node(output_name="answer")
    def tell(total):
        return f"total {total}"

    runner = AsyncRunner(checkpointer=MemoryCheckpointer())
    with pytest.raises(LookupError):
        await runner.run(Graph([add, crash]), {"first": 1, "second": 2}, workflow_id="w")
    result = await runner.run(Graph([take, tell]), workflow_id="w", force_resume=True)
    assert result["answer"].startswith("total ")


def test_what_finishes_beside_a_result_that_cannot_be_stored_is_kept_and_hides_no_error():
    @node(output_name="slow")
    async def finish_when_cancelled(question):
        try:
            await asyncio.sleep(LONG)
        except asyncio.CancelledError:
            return "finished"

    @node(output_name="handle")
    async def open_something(question):
        return lambda: None

    store = MemoryCheckpointer()
    run = AsyncRunner(checkpointer=store).run(
        Graph([finish_when_cancelled, open_something]), {"question": 1}, workflow_id="w"
    )
    with pytest.raises(UnstorableValueError):
        asyncio.run(run)
    assert [step.values for step in store.get_steps("w")] == [{"question": 1}, {"slow": "finished"}]
