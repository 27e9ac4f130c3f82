"""Runner packages of third parties: built, installed into an empty environment, and found there."""

from pathlib import Path

import pytest

from tests.packaging.environments import Environment, Shelf, build

PYPROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "{distribution}"
version = "{version}"
dependencies = ["hypergraph-core"]

[project.entry-points."hypergraph.runners"]
{name} = "{module}:Runner"

[tool.hatch.build.targets.wheel]
include = ["{module}.py"]
"""
RUNNER = """
from hypergraph import BaseRunner, RunnerCapabilities

class Runner(BaseRunner):
    runner_api = "{api}"
    capabilities = RunnerCapabilities(supports_gates=False)

    def run(self, graph, inputs=None, *, values=None, **options):
        return {{"ran": type(self).__module__}}

    def map(self, graph, inputs=None, *, values=None, map_over, map_mode="zip", **options):
        return []
"""
GOOD = RUNNER.format(api=">=1,<2")


def build_runner(
    place: Path, distribution: str, name: str, code: str, version: str = "1.0"
) -> None:
    """Write a runner package and build its wheel into ``place / "wheels"``."""
    module = distribution.replace("-", "_")
    project = place / distribution
    project.mkdir()
    (project / f"{module}.py").write_text(code)
    (project / "pyproject.toml").write_text(
        PYPROJECT.format(distribution=distribution, version=version, name=name, module=module)
    )
    build(project, place / "wheels", "--wheel")


@pytest.fixture(scope="module")
def environment(shelf: Shelf, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with the core and five runner packages, three of them unfit."""
    place = tmp_path_factory.mktemp("runners")
    wheels = place / "wheels"
    wheels.mkdir()
    build_runner(place, "hyper-good", "good", GOOD)
    build_runner(place, "hyper-broken", "broken", "import no_such_dependency", version="2.5")
    build_runner(place, "hyper-old", "old", RUNNER.format(api="<1"))
    build_runner(place, "hyper-one", "twice", GOOD)
    build_runner(place, "hyper-two", "twice", GOOD)
    return shelf.environment(place / "env", *sorted(wheels.glob("*.whl")))


def test_every_runner_is_listed_with_its_distribution_and_none_is_imported(
    environment: Environment,
) -> None:
    names, imported = environment.answer(
        "import sys\nfrom hypergraph.runners import available\n"
        "found = dict(available()), [name for name in sys.modules if name.startswith('hyper_')]",
    )
    assert names == {
        "broken": "hyper-broken",
        "good": "hyper-good",
        "old": "hyper-old",
        "twice": "hyper-one and hyper-two",
    }
    assert imported == []


def test_a_runner_is_found_by_its_name_and_imported_alone(environment: Environment) -> None:
    result, imported = environment.answer(
        "import sys\nfrom hypergraph import Graph\nfrom hypergraph.runners import create\n"
        "result = create('good').run(Graph([]))\n"
        "found = result, [name for name in sys.modules if name.startswith('hyper_')]",
    )
    assert result == {"ran": "hyper_good"}
    assert imported == ["hyper_good"]


def test_a_nested_graph_may_name_an_installed_runner(environment: Environment) -> None:
    program = (
        "from hypergraph import Graph, node\n"
        "@node(output_name='y')\ndef f(x): return x\n"
        "inner = Graph([f], name='inner')\n"
        "found = type(inner.as_node(runner='good').runner).__module__"
    )
    assert environment.answer(program) == "hyper_good"


def test_inspecting_tells_the_fit_from_the_unfit(environment: Environment) -> None:
    states = environment.answer(
        "from hypergraph.runners import inspect\n"
        "found = {name: [info.state.value, info.version, info.target]"
        " for name, info in inspect().items()}",
    )
    assert states == {
        "broken": ["broken", "2.5", "hyper_broken:Runner"],
        "good": ["ok", "1.0", "hyper_good:Runner"],
        "old": ["incompatible API", "1.0", "hyper_old:Runner"],
        "twice": ["ambiguous", None, "hyper_one:Runner and hyper_two:Runner"],
    }


def test_a_refused_graph_names_the_runner_that_could(environment: Environment) -> None:
    program = (
        "from hypergraph.capabilities import GraphFeatures, RunnerCapabilities\n"
        "class Shape: features = GraphFeatures(cycles='again')\n"
        "try:\n    RunnerCapabilities(supports_cycles=False).validate_graph(Shape())\n"
        "except Exception as error:\n    found = error.alternatives\n"
    )
    assert environment.answer(program) == ["good"]


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        (
            "broken",
            "BrokenRunnerError",
            ["hyper-broken 2.5", "No module named 'no_such_dependency'"],
        ),
        ("old", "RunnerAPIError", ["hyper-old 1.0", "version <1 of the runner contract"]),
        ("twice", "AmbiguousRunnerError", ["hyper-one 1.0", "hyper-two 1.0", "hyper_two:Runner"]),
        ("goood", "RunnerNotFoundError", ["Did you mean 'good'?", "broken, good, old, twice"]),
        ("sync", "RunnerNotInstalledError", ["pip install hypergraph-runner-sync"]),
    ],
)
def test_an_unfit_runner_is_an_error_for_whoever_asks_for_it(
    environment: Environment, name: str, kind: str, words: list[str]
) -> None:
    refused = environment.refusal(f"import hypergraph.runners as r; r.get({name!r})")
    assert refused["kinds"][0] == kind
    for word in words:
        assert word in refused["message"]
