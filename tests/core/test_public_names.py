import ast
import importlib
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import hypergraph
from hypergraph import errors

SOURCE = ast.parse(Path(str(hypergraph.__file__)).read_text(encoding="utf-8"))
BUILD = ["END", "Graph", "InterruptNode", "TypeRouteNode", "branch", "node", "route"]
RUNNERS = {"AsyncRunner", "DBOSAsyncRunner", "DaftRunner", "SyncRunner"}


def homes() -> dict[str, set[str]]:
    return {module: set(names.split()) for module, names in hypergraph._HOMES.items()}


def names_for_type_checkers() -> dict[str, set[str]]:
    """What the block that only type checkers read imports, by module."""
    (block,) = (
        one for one in SOURCE.body if isinstance(one, ast.If) and isinstance(one.test, ast.Name)
    )
    found: dict[str, set[str]] = {}
    for statement in block.body:
        if isinstance(statement, ast.ImportFrom):
            module = str(statement.module)
            found.setdefault(module, set()).update(alias.name for alias in statement.names)
    return found


def run(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-I", "-c", program], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.mark.parametrize("module", homes())
def test_every_name_is_the_object_of_its_module(module: str) -> None:
    home = importlib.import_module(module)
    for name in homes()[module]:
        assert getattr(hypergraph, name) is getattr(home, name)
        assert name in dir(hypergraph)


def test_type_checkers_see_the_same_names() -> None:
    seen = names_for_type_checkers()
    for runner in ("hypergraph_runner_async", "hypergraph_runner_sync"):
        seen.pop(runner)
    for module, names in homes().items():
        if seen[module] == {"*"}:
            public = vars(importlib.import_module(module))
            seen[module] = {name for name in names if name in public}
    assert seen == homes()


def test_every_exception_and_every_event_is_a_public_name() -> None:
    raised = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, Exception)
    }
    assert homes()["hypergraph.errors"] == raised
    events = importlib.import_module("hypergraph.events")
    assert homes()["hypergraph.events"] <= set(events.__all__)
    assert {name for name in events.__all__ if name.endswith("Event")} <= (
        homes()["hypergraph.events"]
    )


def test_star_import_brings_what_does_not_depend_on_the_environment() -> None:
    everything = set().union(*homes().values())
    families = homes()["hypergraph.errors"] | homes()["hypergraph.events"]
    assert set(hypergraph.__all__) == everything - families - {"DiskCache"}
    assert set(hypergraph.__all__).isdisjoint(RUNNERS)
    assert set(BUILD) <= set(hypergraph.__all__)


def test_every_listed_name_can_be_read_without_the_optional_packages() -> None:
    program = (
        "import sys; sys.modules['diskcache'] = None\n"
        "import inspect, hypergraph\n"
        "from hypergraph import *\n"
        "names = {name for name, _ in inspect.getmembers(hypergraph)}\n"
        "print({'Graph', 'SyncRunner', 'RunStartEvent'} <= names, 'DiskCache' in names)\n"
        "try:\n    hypergraph.DiskCache\n"
        "except ImportError as error:\n    print(error)\n"
    )
    listed, *message = run(program).splitlines()
    assert listed == "True False"
    assert 'pip install "hypergraph-core[cache]"' in "".join(message)


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    assert not hasattr(hypergraph, "Grpah")
    with pytest.raises(ImportError, match="cannot import name 'Grpah'"):
        from hypergraph import Grpah  # type: ignore[attr-defined]  # noqa: F401, PLC0415


def test_the_version_is_the_one_installed() -> None:
    assert hypergraph.__version__ == version("hypergraph-core")
    assert "__version__" in dir(hypergraph)


def test_a_name_is_imported_when_it_is_first_read() -> None:
    program = (
        "import sys, hypergraph; loaded = lambda: 'hypergraph.results' in sys.modules\n"
        "print(loaded(), 'RunResult' in vars(hypergraph))\n"
        "hypergraph.RunResult\n"
        "print(loaded(), 'RunResult' in vars(hypergraph))\n"
    )
    assert run(program).splitlines() == ["False False", "True True"]


@pytest.mark.parametrize("module", ["errors", "events", "runners"])
def test_a_module_of_public_names_is_there_without_an_import_of_its_own(module: str) -> None:
    assert run(f"import hypergraph; print(hypergraph.{module}.__name__)") == f"hypergraph.{module}"


def test_the_registry_is_imported_when_a_runner_is_looked_for() -> None:
    program = (
        "import sys, hypergraph.runners; print('importlib_metadata' in sys.modules)\n"
        "hypergraph.runners.available; print('importlib_metadata' in sys.modules)\n"
    )
    assert run(program).splitlines() == ["False", "True"]


def test_the_installed_runner_is_importable_and_pickles_by_its_own_module() -> None:
    assert run("from hypergraph import SyncRunner; print(SyncRunner.__module__)").startswith(
        "hypergraph_runner_sync"
    )


def test_a_program_that_blocks_imports_no_event_loop() -> None:
    program = "from hypergraph import SyncRunner; import sys; print('asyncio' in sys.modules)"
    assert run(program) == "False"
