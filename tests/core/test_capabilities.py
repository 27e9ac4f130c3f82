from dataclasses import FrozenInstanceError, dataclass, fields

import pytest

import hypergraph.capabilities
from hypergraph.capabilities import FEATURES, Feature, GraphFeatures, RunnerCapabilities
from hypergraph.errors import IncompatibleRunnerError

NOTHING = RunnerCapabilities(supports_cycles=False, supports_gates=False)


@dataclass
class Shape:
    features: GraphFeatures


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> dict[str, RunnerCapabilities]:
    """The runners that the messages find, by name."""
    runners: dict[str, RunnerCapabilities] = {}

    def supporting(features: GraphFeatures) -> tuple[str, ...]:
        return tuple(n for n, c in runners.items() if c.unsupported(features) is None)

    monkeypatch.setattr(hypergraph.capabilities, "_installed_runners_supporting", supporting)
    return runners


def refusal(features: GraphFeatures, capabilities: RunnerCapabilities) -> IncompatibleRunnerError:
    with pytest.raises(IncompatibleRunnerError) as caught:
        capabilities.validate_graph(Shape(features), runner="DaftRunner")
    return caught.value


def test_the_defaults_are_those_of_the_simplest_runner() -> None:
    declared = {field.name: field.default for field in fields(RunnerCapabilities)}
    assert {name for name, value in declared.items() if value} == {
        "supports_cycles",
        "supports_gates",
    }
    assert len(declared) == 8


def test_the_table_covers_every_feature_of_a_graph() -> None:
    assert [row.name for row in FEATURES] == [field.name for field in fields(GraphFeatures)]


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (
            GraphFeatures(cycles="a"),
            "This graph has cycles, but DaftRunner doesn't support cycles.",
        ),
        (
            GraphFeatures(gates="a"),
            "This graph has gates (@route/@branch), but DaftRunner doesn't support gates.",
        ),
        (
            GraphFeatures(interrupts="a"),
            "This graph has interrupts (InterruptNode), but DaftRunner doesn't support interrupts.",
        ),
        (
            GraphFeatures(async_nodes="a"),
            "This graph has async nodes (async def), but DaftRunner doesn't support async nodes.",
        ),
    ],
)
def test_a_refusal_names_the_feature_in_words(features: GraphFeatures, message: str) -> None:
    assert refusal(features, NOTHING).what == message


@pytest.mark.parametrize("row", FEATURES, ids=lambda row: row.name)
def test_each_feature_needs_its_own_capability_and_no_other(row: Feature) -> None:
    graph = Shape(GraphFeatures(**{row.name: "inner/node"}))
    only_this = RunnerCapabilities(
        **{other.capability: other is row for other in FEATURES}  # type: ignore[arg-type]
    )
    all_but_this = RunnerCapabilities(
        **{other.capability: other is not row for other in FEATURES}  # type: ignore[arg-type]
    )
    only_this.validate_graph(graph)
    error = refusal(graph.features, all_but_this)
    assert (error.feature, error.node, error.runner) == (row.name, "inner/node", "DaftRunner")
    assert "inner/node" in str(error)


def test_a_graph_without_features_fits_every_runner() -> None:
    NOTHING.validate_graph(Shape(GraphFeatures()))


def test_the_first_feature_of_the_table_is_reported() -> None:
    error = refusal(GraphFeatures(interrupts="c", gates="b"), NOTHING)
    assert (error.feature, error.node) == ("gates", "b")


def test_a_refusal_names_the_installed_runners_that_could(
    installed: dict[str, RunnerCapabilities],
) -> None:
    installed["loops"] = RunnerCapabilities(supports_gates=False)
    installed["both"] = RunnerCapabilities()
    error = refusal(GraphFeatures(cycles="a", gates="b"), NOTHING)
    assert error.alternatives == ("both",)
    assert "'both'" in error.fix
    assert "loops" not in str(error)


def test_a_refusal_without_alternatives_says_what_the_graph_needs() -> None:
    error = refusal(GraphFeatures(cycles="a"), NOTHING)
    assert error.alternatives == ()
    assert error.fix.startswith("no installed runner can run this graph")
    assert "supports cycles" in error.fix
    assert "leave 'a' out" in error.fix


def test_a_runner_without_a_name_is_still_refused_in_a_sentence() -> None:
    with pytest.raises(IncompatibleRunnerError, match="but this runner doesn't support gates"):
        NOTHING.validate_graph(Shape(GraphFeatures(gates="a")))


def test_capabilities_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        NOTHING.supports_cycles = True  # type: ignore[misc]
