import asyncio
from collections import UserDict
from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from hypergraph.capabilities import GraphFeatures, RunnerCapabilities
from hypergraph.errors import IncompatibleRunnerError, RunnerAPIError
from hypergraph.graph import Graph
from hypergraph.results import RunResult
from hypergraph.runners import BaseRunner, nested_context
from hypergraph.runners.base import chosen_inputs, supports_runner_api
from hypergraph.runners.strategy import call_from_async, call_from_sync

GRAPH = Graph([])


class Third(BaseRunner):
    """All that a third party has to write."""

    capabilities = RunnerCapabilities(supports_cycles=False)

    def __init__(self, result: Any = None) -> None:
        self.result = result

    def run(
        self,
        graph: Graph,
        inputs: Mapping[str, Any] | None = None,
        *,
        values: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Any:
        given = chosen_inputs(inputs, values)
        return dict(given) if self.result is None else self.result

    def map(self, graph: Graph, *args: Any, map_over: str, **options: Any) -> Any:
        return []


class AsyncThird(Third):
    capabilities = RunnerCapabilities(returns_coroutine=True)

    async def run(self, graph: Graph, *args: Any, **options: Any) -> Any:
        await asyncio.sleep(0)
        return super().run(graph, *args, **options)


@pytest.mark.parametrize("kind", [Third, AsyncThird])
def test_a_runner_that_only_declares_its_capabilities_can_be_nested(kind: type[Third]) -> None:
    assert dict(call_from_sync(kind(), GRAPH, {"x": 1}, nested_context())) == {"x": 1}
    assert dict(asyncio.run(call_from_async(kind(), GRAPH, {"x": 1}, nested_context()))) == {"x": 1}


@pytest.mark.parametrize("kind", [Third, AsyncThird])
def test_a_run_result_is_handed_on_as_it_is(kind: type[Third]) -> None:
    result = RunResult(values={})
    assert call_from_sync(kind(result), GRAPH, {}, nested_context()) is result


@pytest.mark.parametrize("kind", [Third, AsyncThird])
def test_a_result_that_holds_no_outputs_is_refused_with_advice(kind: type[Third]) -> None:
    with pytest.raises(RunnerAPIError, match=r"run\(\) returned list") as caught:
        call_from_sync(kind([1]), GRAPH, {}, nested_context())
    assert f"{kind.__name__}.execute()" in caught.value.fix


def test_a_blocking_runner_that_promises_coroutines_is_refused_with_advice() -> None:
    class Promises(Third):
        capabilities = RunnerCapabilities(returns_coroutine=True)

    with pytest.raises(RunnerAPIError, match="returned dict") as caught:
        call_from_sync(Promises({}), GRAPH, {}, nested_context())
    assert "returns_coroutine=False" in caught.value.fix


def test_a_runner_names_itself_after_its_class_unless_it_says_otherwise() -> None:
    class Named(Third):
        name: ClassVar[str] = "mine"

    class Heir(Named):
        pass

    assert (Third.name, Named.name, Heir.name) == ("Third", "mine", "Heir")


def test_a_runner_without_capabilities_cannot_be_made() -> None:
    class Incomplete(BaseRunner):
        def run(self, graph: Graph, *args: Any, **options: Any) -> Any:
            return {}

        map = run

    with pytest.raises(TypeError, match="capabilities"):
        Incomplete()  # type: ignore[abstract]


def test_capabilities_may_depend_on_how_the_runner_was_made() -> None:
    class Variable(Third):
        @property
        def capabilities(self) -> RunnerCapabilities:  # type: ignore[override]
            return RunnerCapabilities(supports_gates=self.result)

    assert Variable(result=True).capabilities.supports_gates
    assert not Variable(result=False).capabilities.supports_gates


def test_a_runner_refuses_a_graph_in_its_own_name() -> None:
    class Loop:
        features = GraphFeatures(cycles="again")

    with pytest.raises(IncompatibleRunnerError, match="but Third doesn't support cycles"):
        Third().validate(Loop())


@pytest.mark.parametrize(
    ("inputs", "values", "chosen"),
    [
        (None, None, {}),
        ({"x": 1}, None, {"x": 1}),
        (None, {"x": 1}, {"x": 1}),
        ({}, None, {}),
        (UserDict(x=1), None, {"x": 1}),
    ],
)
def test_inputs_go_by_either_word(inputs: Any, values: Any, chosen: dict[str, Any]) -> None:
    assert dict(chosen_inputs(inputs, values)) == chosen


@pytest.mark.parametrize("values", [{"x": 1}, {}])
def test_inputs_under_both_words_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="not both"):
        chosen_inputs({}, values)


@pytest.mark.parametrize("wrong", [[("x", 1)], "x", 3])
def test_inputs_that_are_no_mapping_are_refused_without_showing_them(wrong: Any) -> None:
    with pytest.raises(TypeError, match=f"not {type(wrong).__name__}$"):
        chosen_inputs(wrong, None)


@pytest.mark.parametrize(
    ("specifier", "fits"),
    [
        (">=1,<2", True),
        (">=1", True),
        ("<2", True),
        (">=1.0, <1.1", True),
        (">=1.1", False),
        ("<1", False),
        ("<1.0", False),
        (">=2,<3", False),
        (">=10", False),
        ("<10", True),
        (">=2,<1", False),
    ],
)
def test_a_runner_fits_the_versions_it_was_written_for(specifier: str, fits: bool) -> None:
    assert supports_runner_api(specifier) is fits


@pytest.mark.parametrize("specifier", ["", "1", "==1", ">=1;<2", ">=1.0.0", ">=x", "~=1", ">=1,"])
def test_a_version_range_of_another_form_is_refused(specifier: str) -> None:
    with pytest.raises(ValueError, match=">=1,<2"):
        supports_runner_api(specifier)
