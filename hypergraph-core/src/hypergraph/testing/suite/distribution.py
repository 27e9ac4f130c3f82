"""Distribution: nodes that run in other processes give what they give here, or fail where they stand."""

from __future__ import annotations

import datetime as dt
import os
import threading
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from typing import Any, NamedTuple

from hypergraph.errors import InputError
from hypergraph.graph import Graph
from hypergraph.nodes import node
from hypergraph.runners.base import BaseRunner
from hypergraph.testing.kit import cases, fail, skip
from hypergraph.testing.suite.base import notes_of
from hypergraph.testing.suite.surroundings import SAME, Surroundings, names_it

MANY = 200


class Colour(Enum):
    """An enumeration of the user's own."""

    RED = "red"


class Pair(NamedTuple):
    """A tuple of the user's own."""

    left: int
    right: str


@dataclass(frozen=True)
class Point:
    """A class of the user's own."""

    x: int
    y: float


class RefusedError(Exception):
    """An exception of the user's own, with arguments and an attribute."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code


class AwkwardError(Exception):
    """An exception that can be sent and cannot be received: it is not made from its ``args``."""

    def __init__(self, *, why: str) -> None:
        super().__init__(f"because {why}")


VALUES = [
    None, True, 1, 1.5, "é\U0001f600", b"\0\xff", 2**100, (1, (2, [3])), [1, 2.0, True],
    {"a": {"b": (1,)}, 3: None}, {1, 2}, frozenset({1}), range(3), 1 + 2j, Decimal("1.10"),
    Fraction(1, 3), dt.datetime(2020, 1, 2, 3, 4, 5, 6, tzinfo=dt.UTC), Colour.RED,
    Pair(1, "x"), Point(1, 2.5), int, LookupError("a value", 1), b"x" * 5_000_000,
]  # fmt: skip
ERRORS: dict[str, Exception] = {
    "LookupError": LookupError("a problem of the user's own", 7),
    "KeyError": KeyError("missing"),
    "OSError": FileNotFoundError(2, "No such file", "name"),
    "a class of the user's own": RefusedError(7, "no"),
    "an error of hypergraph": InputError("It does not fit.", where="here", fix="give another"),
}


@node(output_name="echoed")
def echo(value: Any) -> Any:
    return value


@node(output_name="raised")
def fail_with(error: Exception) -> None:
    raise error


@node(output_name="raised")
def fail_awkwardly(x: int) -> None:
    raise AwkwardError(why="the user said so")


@node(output_name="place")
def die(x: int, home: int) -> str:
    if os.getpid() == home:
        return "here"
    os._exit(13)


@node(output_name="handle")
def open_handle(x: int) -> Any:
    return threading.Lock()


@node(output_name="kind")
def kind_of(handle: Any) -> str:
    return type(handle).__name__


class DistributionRules(Surroundings):
    """For runners that declare ``supports_distributed``."""

    group = "distribution"

    def only_distributed(self, runner: BaseRunner) -> None:
        if not runner.capabilities.supports_distributed:
            skip(f"{type(runner).__name__} does not declare supports_distributed")

    def failure_of(self, runner: BaseRunner, graph: Graph, **inputs: Any) -> Exception | None:
        """Return the exception that a run raised, if it did."""
        try:
            self.in_time(lambda: self.run_graph(runner, graph, inputs))
        except Exception as error:
            return error
        return None

    def serves_on(self, runner: BaseRunner) -> None:
        outputs = self.in_time(lambda: self.run_graph(runner, SAME, {"x": 1}))
        assert outputs == {"same": 1}

    def here_or_told(self, runner: BaseRunner, graph: Graph, name: str, **inputs: Any) -> Any:
        """Return the outputs of a graph that cannot run elsewhere, or ``None`` if it failed well."""
        try:
            outputs = self.in_time(lambda: self.run_graph(runner, graph, inputs))
        except Exception as error:
            if not names_it(error, name):
                fail(
                    f"{type(error).__name__} does not say that it was node {name!r} that could not be "
                    f"sent to another process, or its result not back: {error}"
                )
            self.serves_on(runner)
            return None
        self.serves_on(runner)
        return outputs

    # -- values --------------------------------------------------------------------------------------

    @cases("value", VALUES, ids=lambda value: f"{type(value).__name__} {str(value)[:12]!a}")
    def test_values_come_back_equal_and_of_their_type(self, runner: BaseRunner, value: Any) -> None:
        self.only_distributed(runner)
        again = echo.with_name("again").with_inputs(value="echoed").with_outputs(echoed="twice")
        outputs = self.run_graph(runner, Graph([echo, again]), {"value": value})
        for found in outputs.values():
            assert type(found) is type(value)
            same = found.args == value.args if isinstance(value, Exception) else found == value
            assert same, f"a {type(value).__name__} came back as another"
            assert repr(found) == repr(value)

    def test_of_many_items_each_is_called_once_and_stands_in_its_place(
        self, runner: BaseRunner
    ) -> None:
        self.only_distributed(runner)
        journal = self.journal

        def square(x: int) -> int:
            journal.note(x)
            return x * x

        graph = Graph([node(square)], name="main")
        items = {"x": range(MANY)}
        rows = self.in_time(lambda: self.map_graph(runner, graph, items, map_over="x"))
        assert rows == [{"square": x * x} for x in range(MANY)]
        assert sorted(map(int, journal.lines)) == list(range(MANY)), "each item is called once"

    def test_lists_of_a_mapped_graph_are_in_item_order(self, runner: BaseRunner) -> None:
        self.only_distributed(runner)
        graph = Graph([SAME.as_node().map_over("x")], name="main")
        outputs = self.in_time(lambda: self.run_graph(runner, graph, {"x": range(MANY)}))
        assert outputs == {"same": list(range(MANY))}

    def test_a_function_takes_along_what_it_needs(self, runner: BaseRunner) -> None:
        self.only_distributed(runner)
        by = 3
        times = node(lambda x, *, plus=1: by * x + plus, name="times", output_name="y")
        outputs = self.here_or_told(runner, Graph([times]), "times", x=2)
        assert outputs in ({"y": 7}, None)

    # -- exceptions ----------------------------------------------------------------------------------

    @cases("name", ERRORS)
    def test_an_exception_keeps_its_type_its_arguments_and_its_note(
        self, runner: BaseRunner, name: str
    ) -> None:
        self.only_distributed(runner)
        expected = ERRORS[name]
        inner = Graph([fail_with], name="inner")
        error = self.failure_of(runner, Graph([inner.as_node()], name="main"), error=expected)
        assert error is not None, "a node raised, and the run returned"
        assert (type(error), error.args, str(error)) == (
            type(expected),
            expected.args,
            str(expected),
        )
        shared = {k: v for k, v in vars(error).items() if k in vars(expected) and k != "__notes__"}
        assert shared == {k: v for k, v in vars(expected).items() if k != "__notes__"}
        assert len(notes_of(error)) == 1, f"one note says where it was, not {notes_of(error)}"
        assert names_it(error, "fail_with")

    def test_an_exception_that_cannot_be_moved_is_told_with_its_node(
        self, runner: BaseRunner
    ) -> None:
        self.only_distributed(runner)
        error = self.failure_of(runner, Graph([fail_awkwardly], name="main"), x=1)
        assert error is not None, "a node raised, and the run returned"
        assert names_it(error, "fail_awkwardly")
        said = [str(error), str(error.__cause__), *getattr(error, "__notes__", ())]
        assert any("AwkwardError" in text or "because" in text for text in said), (
            f"{type(error).__name__} says nothing of what the node raised: send its type and text "
            "where the exception itself cannot be sent"
        )
        self.serves_on(runner)

    def test_a_failing_item_is_returned_in_its_place(self, runner: BaseRunner) -> None:
        self.only_distributed(runner)
        journal = self.journal

        def check(x: int) -> int:
            journal.note(x)
            if x == 3:
                raise LookupError("three")
            return x

        rows = self.in_time(
            lambda: self.map_graph(
                runner, Graph([node(check)]), {"x": range(6)}, map_over="x", on_error="return"
            )
        )
        assert isinstance(rows.pop(3), LookupError)
        assert rows == [{"check": x} for x in (0, 1, 2, 4, 5)]
        assert sorted(journal.lines) == [str(x) for x in range(6)]

    # -- what cannot be moved ------------------------------------------------------------------------

    def test_a_function_that_cannot_be_moved_runs_here_or_is_told(self, runner: BaseRunner) -> None:
        self.only_distributed(runner)
        lock = threading.Lock()

        def locked(x: int) -> int:
            with lock:
                return x + 1

        graph = Graph([node(locked, output_name="y")], name="main")
        assert self.here_or_told(runner, graph, "locked", x=1) in ({"y": 2}, None)

    def test_an_input_that_cannot_be_moved_runs_here_or_is_told(self, runner: BaseRunner) -> None:
        self.only_distributed(runner)
        graph = Graph([kind_of], name="main")
        outputs = self.here_or_told(runner, graph, "kind_of", handle=threading.Lock())
        assert outputs in ({"kind": "lock"}, None)

    def test_an_output_that_cannot_be_moved_stays_here_or_is_told(self, runner: BaseRunner) -> None:
        self.only_distributed(runner)
        outputs = self.here_or_told(runner, Graph([open_handle], name="main"), "open_handle", x=1)
        assert outputs is None or type(outputs["handle"]) is type(threading.Lock())

    # -- workers that die ----------------------------------------------------------------------------

    def test_a_worker_that_dies_fails_the_run_and_the_next_run_works(
        self, runner: BaseRunner
    ) -> None:
        self.only_distributed(runner)
        inputs = {"x": 1, "home": os.getpid()}
        graph = Graph([die], name="main")
        try:
            outputs = self.in_time(lambda: self.run_graph(runner, graph, inputs))
        except Exception as error:
            if not names_it(error, "die"):
                fail(f"{type(error).__name__} does not name the node whose process died: {error}")
            self.serves_on(runner)
            return
        if outputs == {"place": "here"}:
            skip(f"{type(runner).__name__} ran the node in the caller's process")
        fail(f"the process of a node died, and the run returned {outputs!r}")

    def test_a_worker_that_dies_in_a_map_does_not_hang_it(self, runner: BaseRunner) -> None:
        self.only_distributed(runner)
        graph, items = Graph([die], name="main"), {"x": range(5), "home": os.getpid()}
        rows = self.in_time(
            lambda: self.map_graph(runner, graph, items, map_over="x", on_error="return")
        )
        assert len(rows) == 5
        assert all(isinstance(row, Exception) or row == {"place": "here"} for row in rows)
        self.serves_on(runner)
