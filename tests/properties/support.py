"""What the properties of async runs stand on: every failure a run may end with, and its events as a
tree that does not depend on the order in which nodes finish."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, settings

from hypergraph.errors import HypergraphError
from hypergraph.events import Event, NodeEndEvent, NodeErrorEvent, NodeStartEvent, RunEndEvent
from hypergraph.execution.answers import response_keys
from hypergraph.graph import Graph, GraphNode
from hypergraph.testing.reference import Interpreter
from hypergraph.testing.reference_runner import ObservedInterpreter
from hypergraph.testing.strategies import Case, describe_value
from hypergraph.testing.values import finish, items_of


def examples(count: int) -> settings:
    return settings(max_examples=count, deadline=None, suppress_health_check=list(HealthCheck))


# -- answers -------------------------------------------------------------------------------------


def answer(path: str, value: Any) -> int:
    """Answer by what is asked, so that the order of asking does not matter."""
    return zlib.crc32(repr((path, value)).encode()) % 100


def gives_no_nested_answer(case: Case) -> bool:
    """Say that no input answers an interrupt inside a nested graph: to the reference it would be an
    output that is given."""
    keys, inputs = response_keys(case.graph), case.graph.inputs.all
    answers = [name for name in case.inputs if name in keys and name not in inputs]
    return not any("/" in keys[name][0] for name in answers)


# -- what a run may end with ---------------------------------------------------------------------


class Failures(Exception):  # noqa: N818  several of them
    """All the exceptions that one generation raised."""

    def __init__(self, errors: Iterable[Exception]) -> None:
        self.errors = tuple(errors)


class Thorough(Interpreter):
    """Runs every node of a generation and every item of a map, though others fail: any of these
    failures is the first one in some order."""

    async def run_generation(self, generation: Sequence[str]) -> None:
        self.failures: list[Exception] = []
        await super().run_generation(generation)

    async def execute(self, name: str, inputs: dict[str, Any]) -> Any:
        try:
            return await super().execute(name, inputs)
        except Failures as several:
            self.failures += several.errors
        except Exception as error:
            self.failures.append(error)
        return {}

    def commit(self, results: list[tuple[str, Any]]) -> None:
        if self.failures:
            raise Failures(self.failures)
        super().commit(results)

    async def nest_mapped(self, node: GraphNode, inputs: dict[str, Any]) -> dict[str, Any]:
        results: list[dict[str, Any]] = []
        errors: list[Exception] = []
        items = items_of(inputs, node.map_params, node.map_mode)
        for index, item in enumerate(items):
            try:
                results.append(await self.nest(node, item, (index, len(items))))
            except Failures as several:
                errors += several.errors
            except Exception as error:
                errors.append(error)
        if errors:
            raise Failures(errors)
        return {name: [result.get(name) for result in results] for name in node.outputs}


_DETAILS = ("missing", "unknown", "output", "nodes", "node", "expected", "actual", "targets")


def told(error: Exception) -> tuple[str, str]:
    """Return what can be said of an error apart from its identity and its words."""
    if not isinstance(error, HypergraphError):
        return type(error).__name__, repr(error.args)
    return type(error).__name__, repr([getattr(error, name, None) for name in _DETAILS])


@dataclass(frozen=True, kw_only=True)
class Possible:
    """What a case may come to: its result, or else one of ``errors``; the calls on the way, and what
    is asked of whom."""

    result: Any
    errors: set[tuple[str, str]]
    calls: Counter[str]
    asked: Counter[str]

    @classmethod
    def of(cls, case: Case) -> Possible:
        """Find out by the reference."""
        case.record.clear()
        options = dict(case.options)
        limit = options.pop("max_iterations", 1000)
        interpreter = Thorough(max_iterations=limit, where="")
        interpreter.answer = answer
        result, errors = None, set()
        try:
            found = finish(interpreter.run(case.graph, dict(case.inputs), **options))
            result = describe_value(found.outputs)
        except Failures as several:
            errors = {told(error) for error in several.errors}
        except Exception as error:
            errors = {told(error)}
        asked = Counter(map(repr, interpreter.asked))
        return cls(result=result, errors=errors, calls=calls_of(case), asked=asked)


def calls_of(case: Case) -> Counter[str]:
    """Return the calls that were noted, in whatever order."""
    return Counter(map(repr, case.record.calls))


# -- events as a tree ----------------------------------------------------------------------------


class Listener:
    """Keeps all events."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def on_event(self, event: Event) -> None:
        self.events.append(event)


_PASSING = {"run_id", "span_id", "parent_span_id", "parent_run_id", "time", "started_at"}
_PASSING |= {"duration_ms", "key", "workflow_id"}


def shown(event: Event) -> tuple[Any, ...]:
    """Return an event without its ids and times."""
    values = [type(event).__name__]
    for name in event.__struct_fields__:
        value = getattr(event, name)
        if name not in _PASSING:
            seen = type(value).__name__ if name == "error" else repr(describe_value(value))
            values.append(f"{name}={seen}")
    return tuple(values)


def trace(events: Iterable[Event]) -> list[tuple[Any, ...]]:
    """Return the events in order, with numbers for their spans."""
    numbers: dict[Any, int] = {None: -1}
    return [
        (
            numbers.setdefault(event.parent_span_id, len(numbers)),
            numbers.setdefault(event.span_id, len(numbers)),
            *shown(event),
        )
        for event in events
    ]


@dataclass
class Span:
    """A run or a node: its own events, what lies inside, and from where to where it goes."""

    events: list[Event] = field(default_factory=list)
    inside: list[Span] = field(default_factory=list)
    first: int = -1
    last: int = -1

    @property
    def name(self) -> str:
        return self.events[0].node_name  # type: ignore[attr-defined, no-any-return]

    @property
    def place(self) -> int:
        """The position of an item in its map."""
        return self.events[0].map_index or 0  # type: ignore[attr-defined, no-any-return]

    def runs(self) -> Iterator[Span]:
        """Yield this run and those inside it, in the order in which they started."""
        yield self
        for node in self.inside:
            for run_inside in node.inside:
                yield from run_inside.runs()


def tree(events: Sequence[Event]) -> Span:
    """Return the span of the whole run."""
    spans: dict[int, Span] = {}
    for number, event in enumerate(events):
        if event.span_id not in spans:
            span = spans[event.span_id] = Span(first=number)
            if event.parent_span_id is not None:
                spans[event.parent_span_id].inside.append(span)
        spans[event.span_id].events.append(event)
        spans[event.span_id].last = number
    assert {e.parent_span_id for e in events} <= {None, *spans}
    return spans[events[0].span_id]


class Generational(ObservedInterpreter):
    """Notes the generations of every run, by the order in which the runs started."""

    found: list[list[tuple[str, ...]]]

    async def run(self, *args: Any, **kwargs: Any) -> Any:
        self.own: list[tuple[str, ...]] = []
        self.found.append(self.own)
        return await super().run(*args, **kwargs)

    async def run_generation(self, generation: Sequence[str]) -> None:
        self.own.append(tuple(generation))
        await super().run_generation(generation)

    def child(self, node: GraphNode, item: tuple[int, int] | None = None) -> Interpreter:
        child = super().child(node, item)
        assert isinstance(child, Generational)
        child.found = self.found
        return child


def generations_of(case: Case) -> list[list[tuple[str, ...]]]:
    """Return the generations of each run of a case, nested ones in the order of their start."""
    options = dict(case.options)
    interpreter = Generational(max_iterations=options.pop("max_iterations", 1000), where="")
    interpreter.found = []
    finish(interpreter.run(case.graph, dict(case.inputs), **options))
    return interpreter.found


def assert_same_but_for_order(
    expected: Span, actual: Span, graph: Graph, generations: Iterator[list[tuple[str, ...]]]
) -> None:
    """See that two runs tell the same, generation by generation, node by node."""
    assert [shown(e) for e in actual.events] == [shown(e) for e in expected.events]
    before, after = iter(expected.inside), iter(actual.inside)
    reached = actual.first
    for names in next(generations):
        ones = [next(before) for _ in names]
        others = [next(after) for _ in names]
        assert [span.name for span in ones] == list(names)
        assert {span.name for span in others} == set(names)
        assert_ordered(others, names, graph)
        assert reached < others[0].first, "a generation begins when the one before it has ended"
        reached = max(span.last for span in others)
        by_name = {span.name: span for span in others}
        for one in ones:
            other = by_name[one.name]
            assert [shown(e) for e in other.events] == [shown(e) for e in one.events]
            assert len(other.inside) == len(one.inside)
            inner = graph.nodes[one.name]
            for run_before, run_after in zip(
                one.inside, sorted(other.inside, key=lambda span: span.place), strict=True
            ):
                assert isinstance(inner, GraphNode)
                assert_same_but_for_order(run_before, run_after, inner.graph, generations)
    assert next(before, None) is next(after, None) is None


def assert_ordered(spans: Sequence[Span], names: Sequence[str], graph: Graph) -> None:
    """See that async nodes start together, and the others run after them one by one as declared."""
    together = [span for span in spans if graph.nodes[span.name].is_async]
    alone = [span for span in spans if not graph.nodes[span.name].is_async]
    assert [span.name for span in alone] == [n for n in names if not graph.nodes[n].is_async]
    ends = max([span.last for span in together], default=-1)
    for span in alone:
        assert ends < span.first
        ends = span.last


def assert_paired(events: Sequence[Event]) -> None:
    """See that every run starts and ends, that a node ends once at most, and that nothing is told
    before the start or after the end."""
    whole = tree(events)
    assert (whole.first, whole.last) == (0, len(events) - 1)
    for run_span in whole.runs():
        kinds = [type(event).__name__ for event in run_span.events]
        assert kinds == ["RunStartEvent", "RunEndEvent"]
        end = run_span.events[-1]
        assert isinstance(end, RunEndEvent)
        for node in run_span.inside:
            assert run_span.first < node.first <= node.last < run_span.last
            assert isinstance(node.events[0], NodeStartEvent)
            ended = [e for e in node.events if isinstance(e, (NodeEndEvent, NodeErrorEvent))]
            assert ended in ([], node.events[-1:])
            assert ended or end.error is not None
            for inner in node.inside:
                assert node.first < inner.first <= inner.last
                assert not ended or inner.last < node.last
