"""How large the source may grow, and what `import hypergraph` may load.

Counted, never timed: lines, parameters, names and modules are the same on every machine.
"""

import ast
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import hypergraph

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(ROOT.glob("hypergraph-*/src/**/*.py"))
DISTRIBUTIONS = 5

MODULE_LINES = 400
MEDIAN_MODULE_LINES = 150
FUNCTION_LINES = 50
PARAMETERS = 8
PUBLIC_NAMES = 45

# The rooms of the core that a statement may load in a fresh interpreter, and nothing besides them:
# no runner, no engine, no optional package.
ROOMS = {
    "import hypergraph": {"_deferred"},
    "from hypergraph import Graph, node": {
        "_deferred",
        "capabilities",
        "errors",
        "graph",
        "nodes",
    },
}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(source: str) -> Iterator[Function]:
    for item in ast.walk(ast.parse(source)):
        if isinstance(item, Function):
            yield item


def lines_of(function: Function) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


def parameters_of(function: Function) -> int:
    given = function.args
    positional = [*given.posonlyargs, *given.args]
    if positional and positional[0].arg in {"self", "cls"}:
        positional = positional[1:]
    collectors = [one for one in (given.vararg, given.kwarg) if one is not None]
    return len(positional) + len(given.kwonlyargs) + len(collectors)


def at(path: Path, function: Function) -> str:
    return f"{path.relative_to(ROOT)}:{function.lineno} {function.name}"


def test_every_distribution_is_measured() -> None:
    assert len({path.relative_to(ROOT).parts[0] for path in MODULES}) == DISTRIBUTIONS


def test_no_module_is_too_long() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in MODULES
    }
    assert {name: count for name, count in lengths.items() if count > MODULE_LINES} == {}
    assert statistics.median(lengths.values()) <= MEDIAN_MODULE_LINES


def test_no_function_is_too_long() -> None:
    too_long = {
        at(path, function): lines_of(function)
        for path in MODULES
        for function in functions(path.read_text(encoding="utf-8"))
        if lines_of(function) > FUNCTION_LINES
    }
    assert too_long == {}


def test_no_function_takes_too_many_parameters() -> None:
    too_many = {
        at(path, function): parameters_of(function)
        for path in MODULES
        for function in functions(path.read_text(encoding="utf-8"))
        if parameters_of(function) > PARAMETERS
    }
    assert too_many == {}


@pytest.mark.parametrize(
    ("source", "lines", "parameters"),
    [
        ("def f(): pass", 1, 0),
        ("class C:\n  def f(self, a, /, b, *, c): pass", 1, 3),
        ("class C:\n  @classmethod\n  async def f(cls, *a, **k):\n    x = 1\n    return x", 3, 2),
    ],
)
def test_the_measure_counts_what_a_reader_would(source: str, lines: int, parameters: int) -> None:
    (function,) = functions(source)
    assert (lines_of(function), parameters_of(function)) == (lines, parameters)


def test_the_public_names_stay_few_and_all_exist() -> None:
    names = hypergraph.__all__
    assert len(names) <= PUBLIC_NAMES
    assert len(set(names)) == len(names)
    assert [name for name in names if not hasattr(hypergraph, name)] == []


def loaded_by(statement: str) -> set[str]:
    """Return the names of the modules that `statement` adds to a fresh interpreter."""
    program = (
        "import json, sys; before = set(sys.modules); "
        f"{statement}; print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    answer = subprocess.run(
        [sys.executable, "-I", "-c", program], check=False, capture_output=True, text=True
    )
    assert answer.returncode == 0, answer.stderr
    return set(json.loads(answer.stdout))


@pytest.mark.parametrize("statement", ROOMS)
def test_a_statement_loads_only_the_rooms_it_needs(statement: str) -> None:
    loaded = loaded_by(statement)
    rooms = {name.split(".")[1] for name in loaded if name.startswith("hypergraph.")}
    assert rooms == ROOMS[statement]


@pytest.mark.parametrize("statement", ROOMS)
def test_a_statement_loads_no_other_package(statement: str) -> None:
    packages = {name.split(".")[0] for name in loaded_by(statement)}
    assert packages - set(sys.stdlib_module_names) == {"hypergraph"}


def test_asking_for_one_runner_loads_that_runner_only() -> None:
    packages = {name.split(".")[0] for name in loaded_by("from hypergraph import SyncRunner")}
    runners = {name for name in packages if name.startswith("hypergraph_runner_")}
    assert runners == {"hypergraph_runner_sync"}
