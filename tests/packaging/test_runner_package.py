"""Runner packages of third parties: built, installed into an empty environment, and found there."""

import json
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONSTRAINTS = ROOT / "constraints.txt"

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


def done(*command: str | Path, cwd: Path) -> str:
    """Run a command where nothing of the checkout can be imported, and return what it prints."""
    result = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    return result.stdout


def build(project: Path, target: Path) -> None:
    options = ["--no-isolation", "--wheel", "--outdir", target]
    done(sys.executable, "-I", "-m", "build", *options, project, cwd=target)


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
    build(project, place / "wheels")


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the core and five runner packages, three of them unfit."""
    place = tmp_path_factory.mktemp("runners")
    wheels = place / "wheels"
    wheels.mkdir()
    build(ROOT / "hypergraph-core", wheels)
    build_runner(place, "hyper-good", "good", GOOD)
    build_runner(place, "hyper-broken", "broken", "import no_such_dependency", version="2.5")
    build_runner(place, "hyper-old", "old", RUNNER.format(api="<1"))
    build_runner(place, "hyper-one", "twice", GOOD)
    build_runner(place, "hyper-two", "twice", GOOD)
    venv.create(place / "env", symlinks=True)
    python = place / "env" / "bin" / "python"
    pip = [sys.executable, "-I", "-m", "pip", "--python", python, "install", "--quiet"]
    done(*pip, "--constraint", CONSTRAINTS, *sorted(wheels.glob("*.whl")), cwd=place)
    return python


def answer(python: Path, program: str) -> Any:
    """Run a program in the environment; it leaves what it found in ``found``."""
    program = f"import json, sys\nfrom hypergraph import *\n{program}\nprint(json.dumps(found))"
    return json.loads(done(python, "-I", "-c", program, cwd=python.parent))


def refusal(python: Path, statement: str) -> tuple[list[str], str]:
    """Return the classes of the exception that a statement raises, and its message."""
    kinds, message = answer(
        python,
        f"try:\n    {statement}\nexcept Exception as error:\n"
        "    found = [kind.__name__ for kind in type(error).__mro__], str(error)\n",
    )
    return kinds, message


def test_every_runner_is_listed_with_its_distribution_and_none_is_imported(
    environment: Path,
) -> None:
    names, imported = answer(
        environment,
        "from hypergraph.runners import available\n"
        "found = dict(available()), [name for name in sys.modules if name.startswith('hyper_')]",
    )
    assert names == {
        "broken": "hyper-broken",
        "good": "hyper-good",
        "old": "hyper-old",
        "twice": "hyper-one and hyper-two",
    }
    assert imported == []


def test_a_runner_is_found_by_its_name_and_imported_alone(environment: Path) -> None:
    result, imported = answer(
        environment,
        "from hypergraph.runners import create\n"
        "result = create('good').run(Graph([]))\n"
        "found = result, [name for name in sys.modules if name.startswith('hyper_')]",
    )
    assert result == {"ran": "hyper_good"}
    assert imported == ["hyper_good"]


def test_a_nested_graph_may_name_an_installed_runner(environment: Path) -> None:
    program = (
        "@node(output_name='y')\ndef f(x): return x\n"
        "inner = Graph([f], name='inner')\n"
        "found = type(inner.as_node(runner='good').runner).__module__"
    )
    assert answer(environment, program) == "hyper_good"


def test_inspecting_tells_the_fit_from_the_unfit(environment: Path) -> None:
    states = answer(
        environment,
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


def test_a_refused_graph_names_the_runner_that_could(environment: Path) -> None:
    program = (
        "from hypergraph.capabilities import GraphFeatures\n"
        "class Shape: features = GraphFeatures(cycles='again')\n"
        "try:\n    RunnerCapabilities(supports_cycles=False).validate_graph(Shape())\n"
        "except Exception as error:\n    found = error.alternatives\n"
    )
    assert answer(environment, program) == ["good"]


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
    environment: Path, name: str, kind: str, words: list[str]
) -> None:
    kinds, message = refusal(environment, f"import hypergraph.runners as r; r.get({name!r})")
    assert kinds[0] == kind
    for word in words:
        assert word in message


def test_importing_the_class_of_a_missing_runner_says_how_to_install_it(environment: Path) -> None:
    kinds, message = refusal(environment, "from hypergraph import DaftRunner")
    assert kinds[0] == "RunnerNotInstalledError"
    assert "ImportError" in kinds
    assert "pip install hypergraph-runner-daft" in message
