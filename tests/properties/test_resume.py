"""A run that was cut off goes on where it was: the same result, and no finished node runs again.

However a run ends early, what a later call executes is what an uninterrupted run executes and the
history does not hold.
"""

from __future__ import annotations

import contextlib
from collections import Counter

import anyio
import anyio.lowlevel
import pytest
from hypothesis import assume, given, strategies as st

from hypergraph import Graph, InterruptNode, node
from hypergraph.checkpointers import MemoryCheckpointer, StepKind, WorkflowStatus
from hypergraph.errors import InfiniteLoopError
from hypergraph.graph import GraphNode
from hypergraph.testing import (
    Crash,
    CrashingCheckpointer,
    Executions,
    as_async,
    recorded,
    reference,
)
from hypergraph.testing.shape import closure
from hypergraph.testing.strategies import (
    Shapes,
    acyclic_cases,
    asking_cases,
    cases,
    describe_value,
    looping_cases,
    value_of,
)
from hypergraph_runner_async import AsyncRunner
from hypergraph_runner_sync import SyncRunner
from tests.properties.support import Possible, answer, examples, gives_no_nested_answer

WORKING = cases(Shapes(failures=False)) | looping_cases()
ASKING = asking_cases().filter(gives_no_nested_answer)
MAPPED = acyclic_cases().filter(
    lambda case: any(getattr(n, "map_params", ()) for n in case.graph.nodes.values())
)
KINDS = {"any": WORKING, "asking": ASKING, "mapped": MAPPED}
SEEDS = st.integers(0, 999)
LIMITS = st.sampled_from([None, 1, 2])
LONGEST = 40  # steps, of the runs that are cut off after each of them


class Job:
    """A case as a workflow: its graph, counted and async, and what an uninterrupted run comes to."""

    def __init__(self, case, seed, limit=None, *, backend="asyncio", threads=False):
        self.inputs = case.inputs
        self.backend = backend
        self.threads = "thread" if threads else "inline"
        self.options = {**case.options, "max_concurrency": limit, "workflow_id": "w"}
        self.before = None
        self.executions = Executions(before=lambda path: self.before and self.before(path))
        asynchronous = as_async(case.graph, seed, pause=anyio.lowlevel.checkpoint)
        self.graph = self.executions.watch(asynchronous)
        self.is_flat = not any(isinstance(n, GraphNode) for n in case.graph.nodes.values())
        possible = Possible.of(case)
        kinds = {kind for kind, _ in possible.errors}
        assume(kinds <= {"InfiniteLoopError"})  # the others are inputs that do not fit
        self.fails, self.expected = bool(kinds), possible.result
        self.store = MemoryCheckpointer()
        self.asked = []
        self.see_it_end(self.store, self.inputs)
        assert self.fails or Counter(self.asked) == possible.asked
        self.calls = self.executions.counts
        self.steps = len(self.store.get_steps("w"))
        assume(self.steps <= LONGEST)

    async def run(self, checkpointer, inputs):
        """Run until it ends, answering whatever is asked."""
        runner = AsyncRunner(checkpointer=checkpointer, sync_nodes=self.threads)
        result = await runner.run(self.graph, inputs, **self.options)
        while result.paused:
            answers = {p.response_key: answer(p.node_name, p.value) for p in result.pauses}
            self.asked += [repr((p.node_name, p.value)) for p in result.pauses]
            result = await runner.run(self.graph, answers, **self.options)
        return result

    def see_it_end(self, store, inputs):
        """Run to the end and see that it is the one of an uninterrupted run."""
        try:
            result = anyio.run(self.run, store, inputs, backend=self.backend)
        except InfiniteLoopError:
            assert self.fails
            assert store.get_workflow("w").status is WorkflowStatus.FAILED
        else:
            assert not self.fails
            assert describe_value(result.values) == self.expected
            assert store.get_workflow("w").status is WorkflowStatus.COMPLETED
        assert not store.get_workflow("w").held
        steps = store.get_steps("w")
        assert [step.index for step in steps] == list(range(len(steps)))

    def resume(self, store, inputs):
        """Run what is left to its end, and see that nothing else was executed."""
        done, before = recorded(store.get_steps("w")), self.executions.counts
        if store.get_workflow("w").status is WorkflowStatus.COMPLETED:
            inputs = {}  # any input would be the next turn
        self.see_it_end(store, inputs)
        if self.is_flat or not self.fails:  # else siblings of a nested graph are cancelled
            assert self.executions.counts - before == self.calls - done
            assert recorded(store.get_steps("w")) == self.calls


# -- ways to end early ---------------------------------------------------------------------------


def crash_after(job, store, k, inputs=None):
    """End as if the process had died once step k was safe."""
    given = job.inputs if inputs is None else inputs
    with contextlib.suppress(Crash, InfiniteLoopError):
        anyio.run(job.run, CrashingCheckpointer(store, k), given, backend=job.backend)


class Broken(Exception):  # noqa: N818  whatever a node raises
    pass


def at_call(job, k, act):
    """Let something happen when the k-th function is called from now on."""
    calls = iter(range(k + 1))

    def before(path):
        if next(calls, None) == k:
            act()

    job.before = before


def fail_at(job, store, k):
    """Fail in the k-th call."""

    def act():
        raise Broken

    at_call(job, k, act)
    with contextlib.suppress(Broken, InfiniteLoopError):
        anyio.run(job.run, store, job.inputs)
    job.before = None


def cancel_at(job, store, k):
    """Cancel the caller during the k-th call."""

    async def main():
        with anyio.CancelScope() as scope:
            at_call(job, k, scope.cancel)
            await job.run(store, job.inputs)

    with contextlib.suppress(InfiniteLoopError):
        anyio.run(main)
    job.before = None


def stop_at(job, store, k):
    """Ask the run to stop during the k-th call."""

    async def main():
        runner = AsyncRunner(checkpointer=store)
        async with runner.iter(job.graph, job.inputs, **job.options) as stream:
            at_call(job, k, stream.stop)
            async for _ in stream:
                pass

    with contextlib.suppress(InfiniteLoopError):
        anyio.run(main)
    job.before = None


def streams(graph):
    """Say whether there are generators in a graph."""
    nodes = graph.nodes.values()
    return any(streams(n.graph) if isinstance(n, GraphNode) else n.is_generator for n in nodes)


# -- going on -----------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("kind", KINDS)
@examples(30)
@given(st.data(), SEEDS, LIMITS, st.booleans())
def test_a_crash_after_any_step_changes_no_result(backend, kind, data, seed, limit, again):
    job = Job(
        data.draw(KINDS[kind]), seed, limit, backend=backend, threads=data.draw(st.booleans())
    )
    for k in range(job.steps):
        store = MemoryCheckpointer()
        crash_after(job, store, k)
        assert len(store.get_steps("w")) > k, "several may be stored at once"
        job.resume(store, job.inputs if again else {})


@examples(30)
@given(WORKING | ASKING, SEEDS, st.lists(st.integers(0, 6), min_size=2, max_size=5))
def test_crash_after_crash_changes_no_result(case, seed, distances):
    job = Job(case, seed)
    store = MemoryCheckpointer()
    crash_after(job, store, 0)
    for distance in distances:
        if store.get_workflow("w").status is WorkflowStatus.RUNNING:
            crash_after(job, store, len(store.get_steps("w")) + distance)
    job.resume(store, job.inputs)


@pytest.mark.parametrize("end_early", [fail_at, cancel_at, stop_at])
@examples(40)
@given(st.data(), SEEDS, LIMITS, st.booleans())
def test_a_run_that_ends_early_goes_on_where_it_was(end_early, data, seed, limit, again):
    job = Job(data.draw(WORKING), seed, limit)
    calls = job.calls.total()
    assume(calls)
    assume(end_early is not stop_at or not streams(job.graph))  # what is cut short stays so
    store = MemoryCheckpointer()
    end_early(job, store, data.draw(st.integers(0, calls - 1)))
    job.resume(store, job.inputs if again else {})


@examples(30)
@given(WORKING, SEEDS)
def test_a_fork_of_any_superstep_ends_as_the_whole(case, seed):
    job = Job(case, seed)
    assume(not job.fails)
    for superstep in range(job.store.get_workflow("w").supersteps):
        fork = job.store.fork("w", superstep=superstep)
        kept = recorded(job.store.get_steps(fork))
        before = job.executions.counts
        runner = AsyncRunner(checkpointer=job.store)
        options = {**job.options, "workflow_id": fork}
        result = anyio.run(lambda: runner.run(job.graph, **options))  # noqa: B023
        assert describe_value(result.values) == job.expected
        assert job.executions.counts - before == job.calls - kept
    assert recorded(job.store.get_steps("w")) == job.calls, "what was forked is as it was"


# -- other inputs --------------------------------------------------------------------------------


def free_inputs(case):
    """Return the given inputs of a case in which no output is given."""
    produced = {name for n in case.graph.nodes.values() for name in n.outputs}
    assume(produced.isdisjoint(case.inputs))
    return set(case.inputs) - {"unheard"}


def reached_from(graph, name):
    """Return the nodes of a DAG that depend on an input."""
    edges = closure({(producer, consumer) for producer, consumer, _ in graph.data_edges})
    heads = {n.name for n in graph.nodes.values() if name in n.inputs}
    return heads | {v for u, v in edges if u in heads}


def untouched(counts, again):
    """Return the counts of all that lies in none of these nodes."""
    return {path: count for path, count in counts.items() if path.split("/")[0] not in again}


def flat(graph, counts, again):
    """Return the counts of those of these nodes that are functions of the graph itself."""
    functions = [name for name in again if not isinstance(graph.nodes[name], GraphNode)]
    return {name: counts[name] for name in functions if counts[name]}


@examples(50)
@given(acyclic_cases() | MAPPED, SEEDS, st.data())
def test_at_a_resume_only_what_depends_on_a_changed_input_runs_again(case, seed, data):
    job = Job(case, seed)
    names = sorted(free_inputs(case))
    assume(names and job.steps > 1)
    name = data.draw(st.sampled_from(names))
    store = MemoryCheckpointer()
    crash_after(job, store, data.draw(st.integers(0, job.steps - 2)))
    changed = {**case.inputs, name: data.draw(value_of(name))}
    try:
        outputs = reference.run(case.graph, changed, **case.options).outputs
    except Exception:
        assume(False)  # lists that no longer fit each other
    before = job.executions.counts
    done = recorded(store.get_steps("w"))
    same = describe_value(changed) == describe_value(case.inputs)
    again = set() if same else reached_from(case.graph, name)
    result = anyio.run(job.run, store, {name: changed[name]})
    assert describe_value(result.values) == describe_value(outputs)
    ran = job.executions.counts - before
    assert untouched(ran, again) == untouched(job.calls - done, again)
    assert flat(job.graph, ran, again) == flat(job.graph, job.calls, again)


@examples(50)
@given(acyclic_cases() | MAPPED, SEEDS, st.data())
def test_after_a_finished_run_all_that_is_given_counts_as_new(case, seed, data):
    job = Job(case, seed)
    names = sorted(free_inputs(case))
    assume(names)
    name = data.draw(st.sampled_from(names))
    changed = {**case.inputs, name: data.draw(st.just(case.inputs[name]) | value_of(name))}
    try:
        outputs = reference.run(case.graph, changed, **case.options).outputs
    except Exception:
        assume(False)  # lists that no longer fit each other
    before = job.executions.counts
    result = anyio.run(job.run, job.store, {name: changed[name]})
    assert describe_value(result.values) == describe_value(outputs)
    ran = job.executions.counts - before
    again = reached_from(case.graph, name)
    assert untouched(ran, again) == {}
    assert flat(job.graph, ran, again) == flat(job.graph, job.calls, again)
    before = job.executions.counts
    result = anyio.run(job.run, job.store, {})
    assert describe_value(result.values) == describe_value(outputs)
    assert job.executions.counts == before, "nothing is new, nothing runs"


@examples(30)
@given(WORKING | ASKING, SEEDS, st.data(), st.booleans())
def test_a_crash_in_a_later_turn_changes_no_result(case, seed, data, again):
    job = Job(case, seed)
    names = sorted(set(case.inputs) - {"unheard"})
    assume(names and not job.fails)
    given = {name: data.draw(value_of(name)) for name in data.draw(st.sets(st.sampled_from(names)))}
    try:
        whole = anyio.run(job.run, job.store, given)
    except Exception:
        assume(False)  # lists that no longer fit each other, or loops that no longer end
    calls = job.executions.counts - job.calls
    steps = len(job.store.get_steps("w"))
    assume(steps < LONGEST)
    for k in range(job.steps, steps):
        store = MemoryCheckpointer()
        anyio.run(job.run, store, job.inputs)
        crash_after(job, store, k, given)
        before, done = job.executions.counts, recorded(store.get_steps("w")) - job.calls
        result = anyio.run(job.run, store, given if again else {})
        assert describe_value(result.values) == describe_value(whole.values)
        assert job.executions.counts - before == calls - done


@node(output_name="response")
async def respond(messages: list[str], user_input: str) -> str:
    return f"{len(messages)}: {user_input}"


@node(output_name="messages")
def remember(messages: list[str], user_input: str, response: str) -> list[str]:
    return [*messages, user_input, response]


CHAT = Graph([respond, remember], name="chat")


def test_a_chat_takes_one_turn_per_call_even_for_the_same_message():
    runner = AsyncRunner(checkpointer=MemoryCheckpointer())

    async def main():
        said = {"messages": [], "user_input": "hello"}
        turns = [await runner.run(CHAT, said, workflow_id="talk")]
        for message in ("hello", "hello", "bye"):
            given = {"user_input": message}
            turns.append(await runner.run(CHAT, given, workflow_id="talk"))
        return turns

    turns = anyio.run(main)
    assert [turn["response"] for turn in turns] == ["0: hello", "2: hello", "4: hello", "6: bye"]
    assert len(turns[-1]["messages"]) == 8


def test_an_answer_that_was_stored_is_not_asked_for_again():
    ask = InterruptNode("approve", "response", "approved")

    @node(output_name="sent")
    async def send(response: str, approved: bool) -> str:
        return f"{response} {approved}"

    executions = Executions()
    graph = executions.watch(Graph([respond, ask, send], name="mail"))
    store = MemoryCheckpointer()

    async def call(checkpointer, given):
        return await AsyncRunner(checkpointer=checkpointer).run(graph, given, workflow_id="m")

    paused = anyio.run(call, store, {"messages": [], "user_input": "hi"})
    assert paused.paused
    answered = len(store.get_steps("m"))
    with pytest.raises(Crash):
        anyio.run(call, CrashingCheckpointer(store, answered), {"approved": True})
    assert store.get_steps("m")[-1].kind is StepKind.ANSWER
    assert anyio.run(call, store, {})["sent"] == "0: hi True"
    assert executions.counts == {"respond": 1, "send": 1}


def test_a_nested_graph_on_a_runner_that_keeps_no_steps_is_one_step():
    @node(output_name="a")
    def one(x: int) -> int:
        return x + 1

    @node(output_name="b")
    def two(a: list[int]) -> int:
        return sum(a)

    inner = Graph([one], name="inner").as_node(runner=SyncRunner()).map_over("x")
    executions = Executions()
    graph = executions.watch(Graph([inner, two], name="outer"))
    store = MemoryCheckpointer()

    async def call(checkpointer, given):
        return await AsyncRunner(checkpointer=checkpointer).run(graph, given, workflow_id="n")

    with pytest.raises(Crash):
        anyio.run(call, CrashingCheckpointer(store, 1), {"x": [1, 2]})
    assert [step.kind for step in store.get_steps("n")] == [StepKind.INPUTS, StepKind.GRAPH]
    assert anyio.run(call, store, {}).values == {"a": [2, 3], "b": 5}
    assert executions.counts == {"inner/one": 2, "two": 1}
