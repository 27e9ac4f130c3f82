"""Answering interrupts inline, while following the run: it goes on without a pause."""

import anyio
import pytest

from hypergraph import END, Graph, InterruptNode, RunStatus, branch, node
from hypergraph.checkpointers import MemoryCheckpointer
from hypergraph.errors import AnswerError
from hypergraph.events import InterruptEvent
from hypergraph_runner_async import AsyncRunner
from hypergraph_runner_async.stream import AHEAD
from tests.async_.support import LONG, steps, turns

pytestmark = pytest.mark.anyio

APPROVAL = InterruptNode("approve", "draft", "approval", response_type=str)


@node(output_name="draft")
async def write(topic):
    await anyio.lowlevel.checkpoint()
    return f"on {topic}"


@node(output_name="final")
def publish(draft, approval):
    return f"{draft}: {approval}"


REVIEW = Graph([write, APPROVAL, publish], name="review")


async def respond_to_all(stream, answers):
    """Follow a run and answer its interrupts by their keys; returns the events."""
    seen = []
    with anyio.fail_after(LONG):
        async for event in stream:
            seen.append(event)
            if type(event) is InterruptEvent and event.response_key in answers:
                answer = answers[event.response_key]
                stream.respond(event.response_key, answer() if callable(answer) else answer)
    return seen


@pytest.mark.parametrize("kept", [False, True])
async def test_an_answer_lets_the_run_go_on(kept):
    runner = AsyncRunner(checkpointer=MemoryCheckpointer() if kept else None)
    stream = runner.iter(REVIEW, {"topic": "cats"})
    seen = await respond_to_all(stream, {"approval": "yes"})
    assert steps(seen) == [
        "RunStart",
        "NodeStart write",
        "NodeEnd write",
        "NodeStart approve",
        "Interrupt approve",
        "NodeEnd approve",
        "NodeStart publish",
        "NodeEnd publish",
        "RunEnd",
    ]
    assert stream.result.status is RunStatus.COMPLETED
    assert stream.result["final"] == "on cats: yes"


@pytest.mark.parametrize("kept", [False, True])
async def test_without_an_answer_the_run_pauses(kept):
    runner = AsyncRunner(checkpointer=MemoryCheckpointer() if kept else None)
    stream = runner.iter(REVIEW, {"topic": "cats"})
    seen = await respond_to_all(stream, {})
    assert steps(seen)[-2:] == ["Interrupt approve", "RunEnd"]
    assert stream.result.paused
    assert stream.result.pause.response_key == "approval"


async def test_a_run_that_paused_while_followed_is_resumed():
    runner = AsyncRunner(checkpointer=MemoryCheckpointer())
    await respond_to_all(runner.iter(REVIEW, {"topic": "cats"}, workflow_id="w"), {})
    stream = runner.iter(REVIEW, {"approval": "yes"}, workflow_id="w")
    seen = await respond_to_all(stream, {})
    assert "NodeStart write" not in steps(seen)
    assert stream.result["final"] == "on cats: yes"


async def test_the_run_waits_for_the_answer_as_long_as_it_takes():
    stream = AsyncRunner().iter(REVIEW, {"topic": "cats"})
    async for event in stream:
        if type(event) is InterruptEvent:
            await turns(100)
            stream.respond("approval", "at last")
    assert stream.result["final"] == "on cats: at last"


TWO = Graph(
    [
        InterruptNode("one", "topic", "a"),
        InterruptNode("two", "topic", "b"),
        node(lambda a, b: (a, b), name="both"),
    ]
)


@pytest.mark.parametrize("answers", [{"a": 1, "b": 2}, {"a": 1}, {"b": 2}, {}])
async def test_several_at_once(answers):
    stream = AsyncRunner().iter(TWO, {"topic": "x"})
    seen = await respond_to_all(stream, answers)
    assert steps(seen).count("NodeStart both") == (len(answers) == 2)
    assert [p.response_key for p in stream.result.pauses] == [k for k in "ab" if k not in answers]
    for key, answer in answers.items():
        assert stream.result[key] == answer


async def test_several_may_be_answered_after_both_were_seen_in_any_order():
    stream, keys = AsyncRunner().iter(TWO, {"topic": "x"}), []
    async for event in stream:
        if type(event) is InterruptEvent:
            keys.append(event.response_key)
            if len(keys) == 2:
                stream.respond("b", 2)
                stream.respond("a", 1)
    assert stream.result["both"] == (1, 2)


@pytest.mark.parametrize(
    ("nested", "key"),
    [
        (REVIEW.as_node(), "approval"),
        (REVIEW.as_node().with_outputs(approval="verdict"), "verdict"),
        (REVIEW.as_node(namespaced=True), "review.approval"),
        (REVIEW.select("final").as_node(), "review.approval"),
        (REVIEW.as_node(runner=AsyncRunner()), "approval"),
        (REVIEW.select("final").as_node(runner=AsyncRunner()), "review.approval"),
    ],
    ids=["plain", "renamed", "namespaced", "selected away", "own runner", "own and selected"],
)
async def test_nested_interrupts_are_answered_by_the_key_of_this_level(nested, key):
    stream = AsyncRunner().iter(Graph([nested], name="main"), {nested.inputs[0]: "cats"})
    await respond_to_all(stream, {key: "yes"})
    assert "on cats: yes" in stream.result.values.values()


@pytest.mark.parametrize("own", [None, AsyncRunner()])
@pytest.mark.parametrize("answered", [("one", "two"), ("one",), ("two",), ()])
async def test_two_nested_graphs_that_wait_at_once(answered, own):
    names = ("one", "two")
    nodes = [REVIEW.as_node(name=name, namespaced=True, runner=own) for name in names]
    stream = AsyncRunner().iter(Graph(nodes), {f"{name}.topic": name for name in names})
    await respond_to_all(stream, {f"{name}.approval": f"yes, {name}" for name in answered})
    for name in answered:
        assert stream.result[f"{name}.final"] == f"on {name}: yes, {name}"
    waiting = [pause.response_key for pause in stream.result.pauses]
    assert waiting == [f"{name}.approval" for name in names if name not in answered]


async def test_a_nested_graph_waits_while_another_goes_on():
    async def slow(topic):
        await turns(50)
        return "slow"

    other = Graph([node(slow)], name="other").as_node()
    stream = AsyncRunner().iter(Graph([REVIEW.as_node(), other]), {"topic": "x"})
    await respond_to_all(stream, {"approval": "yes"})
    assert stream.result["final"] == "on x: yes"
    assert stream.result["slow"] == "slow"


async def test_every_round_of_a_loop_is_answered():
    ask = node(lambda count: count, name="ask", output_name="question")
    add = node(lambda count, answer: count + answer, name="add", output_name="count")
    few = branch(when_true="ask", when_false=END)(_few)
    human = InterruptNode("human", "question", "answer", response_type=int)
    loop = Graph([ask, human, add, few], name="loop", entrypoint="ask")
    given = iter([1, 2, 3, 4])
    stream = AsyncRunner().iter(loop, {"count": 0})
    seen = await respond_to_all(stream, {"answer": lambda: next(given)})
    assert stream.result["count"] == 6
    assert [e.value for e in seen if type(e) is InterruptEvent] == [0, 1, 3]


def _few(count):
    return count < 6


@pytest.mark.parametrize(
    ("key", "answer"), [("approval", 7), ("aproval", "yes"), ("draft", "yes"), ("final", "yes")]
)
async def test_an_answer_that_does_not_fit_is_refused_and_changes_nothing(key, answer):
    stream = AsyncRunner().iter(REVIEW, {"topic": "cats"})
    async for event in stream:
        if type(event) is InterruptEvent:
            with pytest.raises(AnswerError):
                stream.respond(key, answer)
            stream.respond("approval", "yes")
    assert stream.result["final"] == "on cats: yes"


async def test_an_answer_to_what_does_not_wait_is_refused():
    stream = AsyncRunner().iter(REVIEW, {"topic": "cats"})
    with pytest.raises(AnswerError, match="none"):
        stream.respond("approval", "too early")
    await respond_to_all(stream, {"approval": "yes"})
    with pytest.raises(AnswerError):
        stream.respond("approval", "too late")
    assert stream.result["final"] == "on cats: yes"


async def test_an_interrupt_far_behind_what_was_seen_still_waits():
    async def many(topic):
        for i in range(3 * AHEAD):
            yield i

    async def wait_a_little(topic):
        await turns(5)
        return topic

    inner = [node(wait_a_little, output_name="draft"), APPROVAL]
    review = Graph(inner, name="review").as_node()
    stream = AsyncRunner().iter(Graph([node(many), review]), {"topic": "x"})
    await anext(stream)
    await turns(100)
    await respond_to_all(stream, {"approval": "yes"})
    assert stream.result["approval"] == "yes"
    assert len(stream.result["many"]) == 3 * AHEAD


async def test_leaving_while_the_run_waits_for_an_answer():
    with anyio.fail_after(LONG):
        async with AsyncRunner().iter(REVIEW, {"topic": "cats"}) as stream:
            async for event in stream:
                if type(event) is InterruptEvent:
                    await turns(10)
                    break
    with pytest.raises(RuntimeError, match="cancelled"):
        _ = stream.result
