"""Errors: a node's exception reaches the caller as the same object, with one note saying where."""

from __future__ import annotations

import re
from concurrent.futures import CancelledError
from typing import Any

from hypergraph.errors import MissingInputError
from hypergraph.graph import Graph
from hypergraph.nodes import node, route
from hypergraph.runners.base import BaseRunner
from hypergraph.testing.kit import cases, raises
from hypergraph.testing.suite.base import RunnerRules, notes_of
from hypergraph.testing.values import as_raised

PRIVATE = "a-value-that-must-stay-private"
PROBLEM = LookupError("a problem of the user's own")
GROUP = ExceptionGroup("several", [LookupError("one"), ValueError("two")])


class OwnError(Exception):
    """An exception that nobody but its author knows."""


_KINDS: list[type[Exception]] = [
    ValueError,
    KeyError,
    IndexError,
    LookupError,
    RuntimeError,
    NotImplementedError,
    TypeError,
    AttributeError,
    ZeroDivisionError,
    OSError,
    ImportError,
    AssertionError,
    OwnError,
]
ERRORS = {kind.__name__: kind("of the user's own") for kind in _KINDS}
EACH_KIND = cases("kind", ERRORS)
LET_THROUGH = "A node raised it: let it reach the caller, whatever its type."


@node(output_name="parsed")
def parse(text: str, strict: bool = True) -> str:
    raise PROBLEM


@node(output_name="counted")
def count(x: int) -> int:
    return x


@node(output_name="never")
def after(parsed: str) -> str:
    return parsed


@node(output_name="checked")
def check(kind: str) -> str:
    if kind in ERRORS:
        raise ERRORS[kind]
    return kind


CHECK = Graph([check], name="check")
CHECKS = {
    "a node": CHECK,
    "a node of a nested graph": Graph([CHECK.as_node("inner")], name="main"),
}


@route(targets=["count"])
def failing_gate(text: str) -> str:
    raise PROBLEM


class ErrorRules(RunnerRules):
    """Exceptions raised by nodes, and inputs that do not fit."""

    group = "errors"

    def failure(self, runner: BaseRunner, graph: Graph, **inputs: object) -> BaseException:
        """Run a graph that must fail with ``PROBLEM``, and return what was raised."""
        PROBLEM.__notes__ = []
        PROBLEM.__cause__ = PROBLEM.__context__ = PROBLEM.__traceback__ = None
        with raises(Exception, advice="A node raised it: let it reach the caller.") as caught:
            self.run_graph(runner, graph, inputs)
        return caught.value

    def test_the_exception_is_the_very_object_that_was_raised(self, runner: BaseRunner) -> None:
        self.stays_here(runner)
        error = self.failure(runner, Graph([parse], name="main"), text=PRIVATE)
        assert error is PROBLEM, (
            f"the node raised one {type(PROBLEM).__name__} object, the caller got another object: "
            f"{type(error).__name__}. Neither wrap nor copy a node's exception; raise it again."
        )

    def test_the_exception_keeps_its_type_and_arguments(self, runner: BaseRunner) -> None:
        error = self.failure(runner, Graph([parse], name="main"), text=PRIVATE)
        assert (type(error), error.args) == (type(PROBLEM), PROBLEM.args)

    @EACH_KIND
    def test_an_exception_of_any_type_ends_the_run(self, runner: BaseRunner, kind: str) -> None:
        for place, graph in CHECKS.items():
            with self.raises_kind(kind, place) as caught:
                self.run_graph(runner, graph, {"kind": kind})
            self.is_that_error(runner, caught.value, kind)

    @EACH_KIND
    def test_an_exception_of_any_type_ends_a_map(self, runner: BaseRunner, kind: str) -> None:
        with self.raises_kind(kind, "an item of a map") as caught:
            self.map_graph(runner, CHECK, {"kind": ["fine", kind]}, map_over="kind")
        self.is_that_error(runner, caught.value, kind)
        mapped = Graph([CHECK.as_node("inner").map_over("kind")], name="main")
        with self.raises_kind(kind, "an item of a mapped graph") as caught:
            self.run_graph(runner, mapped, {"kind": ["fine", kind]})
        self.is_that_error(runner, caught.value, kind)

    @EACH_KIND
    def test_an_exception_of_any_type_is_returned_by_a_map_that_goes_on(
        self, runner: BaseRunner, kind: str
    ) -> None:
        inputs = {"kind": [kind, "fine"]}
        failed, fine = self.map_graph(runner, CHECK, inputs, map_over="kind", on_error="return")
        self.is_that_error(runner, failed, kind)
        assert fine == {"checked": "fine"}

    def raises_kind(self, kind: str, place: str) -> raises[Exception]:
        """Return a block that must raise such an exception; ``place`` is told if it does not."""
        error = ERRORS[kind]
        error.__notes__ = []
        error.__cause__ = error.__context__ = error.__traceback__ = None
        return raises(type(error), advice=f"It was raised in {place}. {LET_THROUGH}")

    def is_that_error(self, runner: BaseRunner, found: Any, kind: str) -> None:
        """Return if that is what the node raised: the very object, where nodes run in this process."""
        raised = ERRORS[kind]
        assert (type(found), getattr(found, "args", None)) == (type(raised), raised.args), (
            LET_THROUGH
        )
        assert found is raised or runner.capabilities.supports_distributed, (
            "Neither wrap nor copy a node's exception; raise it again."
        )

    @cases("error", [StopIteration(7), TimeoutError("late"), CancelledError(), GROUP], ids=repr)
    def test_exceptions_that_mean_something_to_python_are_errors_like_others(
        self, runner: BaseRunner, error: Exception
    ) -> None:
        def fail_so(x: int) -> None:
            raise error

        error.__notes__ = []
        with raises(Exception, advice="A node raised it: let it reach the caller.") as caught:
            self.run_graph(runner, Graph([node(fail_so)], name="main"), {"x": 1})
        found = as_raised(caught.value)
        assert type(found) is type(error)
        assert len({*notes_of(caught.value), *notes_of(found)}) == 1, "one note says where it was"

    def test_one_note_names_the_node_the_graph_and_the_inputs(self, runner: BaseRunner) -> None:
        error = self.failure(runner, Graph([parse], name="main"), text=PRIVATE)
        notes = notes_of(error)
        assert len(notes) == 1, f"expected one note that starts with 'hypergraph:', got {notes}"
        for word in ("'parse'", "'main'", "text", "strict"):
            assert word in notes[0], f"{word} is not in the note: {notes[0]}"

    def test_no_value_enters_the_note(self, runner: BaseRunner) -> None:
        error = self.failure(runner, Graph([parse], name="main"), text=PRIVATE)
        assert PRIVATE not in "".join(notes_of(error))

    def test_the_note_of_a_nested_node_holds_its_path(self, runner: BaseRunner) -> None:
        inner = Graph([parse], name="inner")
        error = self.failure(runner, Graph([inner.as_node()], name="main"), text=PRIVATE)
        notes = notes_of(error)
        assert len(notes) == 1, f"expected one note, not one per level: {notes}"
        assert "'inner/parse'" in notes[0]

    def test_the_note_of_a_mapped_node_names_the_item(self, runner: BaseRunner) -> None:
        inner = Graph([parse], name="inner").as_node().map_over("text")
        error = self.failure(runner, Graph([inner], name="main"), text=[PRIVATE])
        assert re.search(r"item 0\b|\[0\]", notes_of(error)[0])

    def test_the_note_of_a_mapped_run_names_the_item(self, runner: BaseRunner) -> None:
        graph = Graph([parse], name="main")
        results = self.map_graph(
            runner, graph, {"text": [PRIVATE]}, map_over="text", on_error="return"
        )
        assert re.search(r"item 0\b|\[0\]", notes_of(results[0])[0])

    def test_what_depends_on_a_failed_node_does_not_run(self, runner: BaseRunner) -> None:
        self.failure(runner, self.watched(Graph([after, parse], name="main")), text=PRIVATE)
        assert "after" not in self.calls

    def test_a_failing_gate_is_like_any_failing_node(self, runner: BaseRunner) -> None:
        graph = self.watched(Graph([failing_gate, count], name="main"))
        error = self.failure(runner, graph, text=PRIVATE, x=1)
        assert isinstance(error, LookupError)
        assert self.calls == ["failing_gate"]

    def test_nothing_runs_when_an_input_is_missing(self, runner: BaseRunner) -> None:
        with raises(MissingInputError):
            self.run_graph(runner, self.watched(Graph([count, parse])), {"x": 1})
        assert self.calls == [], "inputs are checked before anything runs"

    def test_an_input_that_is_no_mapping_is_a_type_error(self, runner: BaseRunner) -> None:
        with raises(TypeError):
            self.run_graph(runner, Graph([count]), [("x", 1)])

    def test_inputs_given_by_both_words_are_a_type_error(self, runner: BaseRunner) -> None:
        with raises(TypeError):
            self.run_graph(runner, Graph([count]), {"x": 1}, values={"x": 1})
