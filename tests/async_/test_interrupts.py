"""Human in the loop: pausing, what a pause tells, answering it, and answers that do not fit."""

import anyio
import pytest

from hypergraph import END, Graph, InterruptNode, RunStatus, branch, node
from hypergraph.checkpointers import MemoryCheckpointer
from hypergraph.errors import AnswerError, GraphConfigError, HypergraphError, InputError
from hypergraph.events import InterruptEvent
from hypergraph.results import PauseReason
from hypergraph_runner_async import AsyncRunner
from hypergraph_runner_sync import SyncRunner
from tests.async_.support import Listener, Peak, steps, turns

pytestmark = pytest.mark.anyio

calls = []


@pytest.fixture(autouse=True)
def _fresh():
    calls.clear()


@node(output_name="draft")
async def write(topic):
    calls.append("write")
    await anyio.lowlevel.checkpoint()
    return f"on {topic}"


@node(output_name="final")
def publish(draft, approval):
    calls.append("publish")
    return f"{draft}: {approval}"


APPROVAL = InterruptNode("approve", "draft", "approval", response_type=str)
REVIEW = Graph([write, APPROVAL, publish], name="review")


async def test_a_run_pauses_where_no_answer_is_there():
    listener = Listener()
    result = await AsyncRunner().run(REVIEW, {"topic": "cats"}, event_processors=[listener])
    assert (result.status, result.paused) == (RunStatus.PAUSED, True)
    assert result.values == {"draft": "on cats"}
    pause = result.pause
    assert (pause.reason, pause.node_name) == (PauseReason.HUMAN_INPUT, "approve")
    assert (pause.response_param, pause.response_key) == ("approval", "approval")
    assert pause.value == "on cats"
    assert result.pauses == (pause,)
    assert listener.steps()[3:] == ["NodeStart approve", "Interrupt approve", "RunEnd"]
    (event,) = listener.of(InterruptEvent)
    assert (event.value, event.response_param, event.response_key) == (
        "on cats",
        "approval",
        "approval",
    )
    assert listener.events[-1].status is RunStatus.PAUSED


async def test_without_a_checkpointer_the_answer_is_an_input_of_a_fresh_run():
    result = await AsyncRunner().run(REVIEW, {"draft": "mine", "approval": "yes"})
    assert result.values == {"final": "mine: yes"}


async def test_with_a_checkpointer_the_run_goes_on_where_it_paused():
    runner = AsyncRunner(checkpointer=MemoryCheckpointer())
    paused = await runner.run(REVIEW, {"topic": "cats"}, workflow_id="w")
    assert paused.workflow_id == "w"
    result = await runner.run(REVIEW, {paused.pause.response_key: "yes"}, workflow_id="w")
    assert result.status is RunStatus.COMPLETED
    assert result["final"] == "on cats: yes"
    assert calls == ["write", "publish"]


async def test_the_others_of_the_generation_finish_before_the_pause():
    async def slow(topic):
        await turns(30)
        return "slow"

    def plain(topic):
        return "plain"

    ask = InterruptNode("ask", "topic", "answer")
    result = await AsyncRunner().run(Graph([ask, node(slow), node(plain)]), {"topic": "x"})
    assert result.paused
    assert result.values == {"slow": "slow", "plain": "plain"}


async def test_a_failure_in_the_generation_comes_before_the_pause():
    async def fail(topic):
        raise LookupError

    ask = InterruptNode("ask", "topic", "answer")
    with pytest.raises(LookupError):
        await AsyncRunner().run(Graph([ask, node(fail)]), {"topic": "x"})


# --- several at once --------------------------------------------------------------------------

TWO = Graph(
    [
        InterruptNode("second", "topic", "b"),
        InterruptNode("first", "topic", "a"),
        node(lambda a, b: (a, b), name="both"),
    ]
)


async def test_all_pauses_are_told_in_declaration_order():
    result = await AsyncRunner().run(TWO, {"topic": "x"})
    assert [pause.node_name for pause in result.pauses] == ["second", "first"]
    assert result.pause is result.pauses[0]


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a"), None])
async def test_several_are_answered_in_one_call_or_one_by_one(order):
    runner = AsyncRunner(checkpointer=MemoryCheckpointer())
    result = await runner.run(TWO, {"topic": "x"}, workflow_id="w")
    if order is None:
        result = await runner.run(TWO, {"a": 1, "b": 2}, workflow_id="w")
    else:
        answers = {"a": 1, "b": 2}
        for name in order:
            assert result.paused
            result = await runner.run(TWO, {name: answers[name]}, workflow_id="w")
            if name == order[0]:
                assert [pause.response_key for pause in result.pauses] == [order[1]]
    assert result["both"] == (1, 2)


async def test_one_that_is_answered_at_once_leaves_the_other_open():
    result = await AsyncRunner().run(TWO, {"topic": "x", "a": 1})
    assert [pause.response_key for pause in result.pauses] == ["b"]


# --- nested -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "key"),
    [
        (REVIEW.as_node, "approval"),
        (lambda: REVIEW.as_node().with_outputs(approval="verdict"), "verdict"),
        (lambda: REVIEW.as_node(namespaced=True), "review.approval"),
        (lambda: REVIEW.select("final").as_node(), "review.approval"),
        (lambda: REVIEW.as_node(name="other").with_outputs(approval="v"), "v"),
    ],
    ids=["plain", "renamed", "namespaced", "selected away", "renamed node"],
)
@pytest.mark.parametrize("own", [False, True], ids=["inherited", "own runner"])
async def test_a_nested_pause_tells_its_path_and_the_key_at_this_level(make, key, own):
    nested = make()
    if own:
        nested = nested.with_runner(AsyncRunner())
    graph = Graph([nested], name="main")
    given = {nested.inputs[0]: "cats"}
    listener = Listener()
    runner = AsyncRunner(checkpointer=MemoryCheckpointer())
    result = await runner.run(graph, given, workflow_id="w", event_processors=[listener])
    assert result.paused
    assert result.pause.node_name == f"{nested.name}/approve"
    assert (result.pause.response_param, result.pause.response_key) == ("approval", key)
    assert [event.response_key for event in listener.of(InterruptEvent)] == [key]
    child = result.children[nested.name]
    assert (child.status, child.pause.response_key) == (RunStatus.PAUSED, "approval")
    result = await runner.run(graph, {key: "yes"}, workflow_id="w")
    assert result.status is RunStatus.COMPLETED
    outer = {inner: outer for outer, inner in nested.inner_outputs.items()}
    assert result[outer["final"]] == "on cats: yes"
    if not own:
        assert calls == ["write", "publish"]


@pytest.mark.parametrize("key", ["outer.review.approval"])
async def test_keys_lead_through_every_level(key):
    middle = Graph([REVIEW.select("final").as_node()], name="middle")
    graph = Graph([middle.as_node(name="outer")], name="main")
    result = await AsyncRunner().run(graph, {"topic": "cats"})
    assert (result.pause.node_name, result.pause.response_key) == ("outer/review/approve", key)
    result = await AsyncRunner().run(graph, {"topic": "cats", key: "yes"})
    assert result["final"] == "on cats: yes"


async def test_two_nested_graphs_may_pause_at_once():
    one = REVIEW.as_node(name="one", namespaced=True)
    two = REVIEW.as_node(name="two", namespaced=True)
    graph = Graph([one, two])
    runner = AsyncRunner(checkpointer=MemoryCheckpointer())
    given = {"one.topic": "a", "two.topic": "b"}
    result = await runner.run(graph, given, workflow_id="w")
    assert [p.response_key for p in result.pauses] == ["one.approval", "two.approval"]
    result = await runner.run(graph, {"two.approval": "no"}, workflow_id="w")
    assert [p.response_key for p in result.pauses] == ["one.approval"]
    result = await runner.run(graph, {"one.approval": "yes"}, workflow_id="w")
    assert (result["one.final"], result["two.final"]) == ("on a: yes", "on b: no")
    assert sorted(calls) == ["publish"] * 2 + ["write"] * 2


# --- in loops ---------------------------------------------------------------------------------


@node(output_name="question")
def ask_again(count):
    return f"again after {count}?"


@node(output_name="count")
def add(count, answer):
    return count + answer


@branch(when_true="ask_again", when_false=END)
def few(count):
    return count < 6


LOOP = Graph(
    [ask_again, InterruptNode("human", "question", "answer", response_type=int), add, few],
    name="loop",
    entrypoint="ask_again",
)


@pytest.mark.parametrize("nested", [False, True])
async def test_a_loop_asks_anew_in_every_round(nested):
    graph = Graph([LOOP.as_node()], name="main") if nested else LOOP
    runner = AsyncRunner(checkpointer=MemoryCheckpointer())
    result = await runner.run(graph, {"count": 0}, workflow_id="w")
    seen = []
    while result.paused:
        seen.append(result.pause.value)
        result = await runner.run(graph, {"answer": 2}, workflow_id="w")
    assert seen == ["again after 0?", "again after 2?", "again after 4?"]
    assert result["count"] == 6


async def test_a_handler_answers_in_every_round():
    asked = []

    async def handle(value):
        asked.append(value)
        return 3

    result = await AsyncRunner().run(LOOP, {"count": 0}, interrupt_handlers={"human": handle})
    assert (result["count"], len(asked)) == (6, 2)


# --- handlers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("nested", [False, True])
async def test_handlers_answer_by_path(kind, nested):
    async def later(value):
        await anyio.lowlevel.checkpoint()
        return f"fine: {value}"

    def at_once(value):
        return f"fine: {value}"

    graph = Graph([REVIEW.as_node()]) if nested else REVIEW
    path = "review/approve" if nested else "approve"
    handlers = {path: later if kind == "async" else at_once}
    listener = Listener()
    result = await AsyncRunner().run(
        graph, {"topic": "cats"}, interrupt_handlers=handlers, event_processors=[listener]
    )
    assert result["final"] == "on cats: fine: on cats"
    assert listener.of(InterruptEvent) == []
    assert "NodeEnd approve" in listener.steps()


async def test_handlers_of_one_generation_leave_the_others_to_people():
    result = await AsyncRunner().run(TWO, {"topic": "x"}, interrupt_handlers={"first": str})
    assert [pause.node_name for pause in result.pauses] == ["second"]


@pytest.mark.parametrize("handlers", [{"aprove": str}, {"review/approve": str}, {"approve": "yes"}])
async def test_handlers_that_fit_nothing_are_refused(handlers):
    with pytest.raises(InputError, match="approve"):
        await AsyncRunner().run(REVIEW, {"topic": "x"}, interrupt_handlers=handlers)
    assert calls == []


async def test_a_handler_that_answers_with_the_wrong_type_fails_the_run():
    with pytest.raises(AnswerError, match="int"):
        await AsyncRunner().run(
            REVIEW, {"topic": "x"}, interrupt_handlers={"approve": lambda value: 7}
        )


async def test_a_handler_takes_a_slot_while_it_answers():
    peak = Peak()

    async def handle(value):
        with peak:
            await turns(5)
        return "yes"

    graph = Graph([REVIEW.as_node(name=n, namespaced=True) for n in ("one", "two", "three")])
    result = await AsyncRunner().run(
        graph,
        {f"{n}.topic": n for n in ("one", "two", "three")},
        interrupt_handlers={f"{n}/approve": handle for n in ("one", "two", "three")},
        max_concurrency=1,
    )
    assert result["two.final"] == "on two: yes"
    assert (peak.most, peak.entered) == (1, 3)


# --- answers that do not fit ------------------------------------------------------------------


@pytest.mark.parametrize("given", [{"approval": 7}, {"aproval": "yes"}, {"review.approval": "yes"}])
async def test_a_wrong_answer_is_refused_and_changes_nothing(given):
    store = MemoryCheckpointer()
    runner = AsyncRunner(checkpointer=store)
    await runner.run(REVIEW, {"topic": "cats"}, workflow_id="w")
    before = store.get_steps("w")
    with pytest.raises((AnswerError, InputError)):
        await runner.run(REVIEW, given, workflow_id="w")
    assert store.get_steps("w") == before
    result = await runner.run(REVIEW, {"approval": "yes"}, workflow_id="w")
    assert result["final"] == "on cats: yes"
    assert calls == ["write", "publish"]


async def test_a_wrong_answer_among_the_inputs_is_refused_before_anything_runs():
    with pytest.raises(AnswerError, match="int, not str"):
        await AsyncRunner().run(REVIEW, {"topic": "cats", "approval": 7})
    graph = Graph([REVIEW.select("final").as_node()])
    with pytest.raises(AnswerError, match="review/approve"):
        await AsyncRunner().run(graph, {"topic": "cats", "review.approval": 7})
    assert calls == []


async def test_an_answer_never_enters_a_message():
    with pytest.raises(AnswerError) as caught:
        await AsyncRunner().run(REVIEW, {"topic": "cats", "approval": 987654})
    assert "987654" not in str(caught.value)


async def test_a_map_refuses_interrupts():
    with pytest.raises(GraphConfigError, match="approve"):
        await AsyncRunner().map(REVIEW, {"topic": ["a"]}, map_over="topic")
    with pytest.raises(GraphConfigError):
        REVIEW.as_node().map_over("topic")


# --- through other runners --------------------------------------------------------------------


def test_a_parent_that_cannot_pause_refuses_a_nested_graph_that_may():
    nested = REVIEW.as_node(runner=AsyncRunner())
    with pytest.raises(HypergraphError, match="interrupt"):
        SyncRunner().run(Graph([nested, node(lambda final: final, name="after")]), {"topic": "x"})


async def test_steps_of_an_answered_interrupt():
    listener = Listener()
    given = {"draft": "mine", "approval": "yes"}
    await AsyncRunner().run(REVIEW, given, event_processors=[listener])
    assert steps(listener.events) == ["RunStart", "NodeStart publish", "NodeEnd publish", "RunEnd"]
