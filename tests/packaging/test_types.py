"""What type checkers know of names that are there only where something is installed.

Where it is: exactly its class. Where it is not: nothing, and it is no error; the program says so itself,
when it runs. Both checkers read the installed packages, as they do for whoever uses them.
"""

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.packaging.environments import CORE, EVERYTHING, RUNNERS, Environment, run
from tests.packaging.test_combinations import CLASSES, EnvironmentOf

# What it takes to be used: as a type, by making one, and by calling it in ways that it may have.
PROGRAM = """
from hypergraph import DiskCache, Graph, {names}

reveal_type(DiskCache("cache"))
cache: DiskCache = DiskCache("cache", size_limit=10)
"""
USE = """
reveal_type({name}())

def run_{name}(runner: {name} | None = None) -> object:
    return (runner or {name}(event_processors=())).run(Graph([]), {{}}, max_iterations=3)
"""
MISTAKE = "from hypergraph import SyncRunner\nSyncRunner(cahce=None)\n"
KNOWN = sorted(name for name, key in CLASSES.items() if RUNNERS.get(f"hypergraph-runner-{key}"))
ENVIRONMENTS = [CORE, *(name for name, offered in RUNNERS.items() if offered), "everything"]
UNKNOWN = {"mypy": "Any", "pyright": "Unknown"}


def check(
    checker: str, environment: Environment, program: str, place: Path
) -> subprocess.CompletedProcess[str]:
    """Check a program against what is installed in an environment."""
    (place / "program.py").write_text(program, encoding="utf-8")
    options = {
        "mypy": ["--strict", "--cache-dir", environment.path / ".mypy", "--python-executable"],
        "pyright": ["--pythonpath"],
    }
    command = [sys.executable, "-m", checker, *options[checker], environment.python, "program.py"]
    return run(command, place)


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_a_runner_is_its_class_where_it_is_installed_and_no_error_where_it_is_not(
    environment_of: EnvironmentOf, tmp_path: Path, name: str
) -> None:
    what = EVERYTHING if name == "everything" else (name,)
    present = [one for one in KNOWN if f"hypergraph-runner-{CLASSES[one]}" in what]
    program = PROGRAM.format(names=", ".join(CLASSES))
    program += "".join(USE.format(name=one) for one in KNOWN)
    environment = environment_of(*what)
    with ThreadPoolExecutor() as pool:
        results = pool.map(lambda one: check(one, environment, program, tmp_path), UNKNOWN)
    for (checker, unknown), done in zip(UNKNOWN.items(), results, strict=True):
        assert done.returncode == 0, f"{checker}\n{done.stdout}{done.stderr}"
        shown = re.findall(r'(?:Revealed type is|Type of ".*" is) "(?:.+\.)?(.+)"', done.stdout)
        assert shown == ["DiskCache", *(one if one in present else unknown for one in KNOWN)]


@pytest.mark.parametrize("checker", UNKNOWN)
def test_a_mistake_is_found_where_the_runner_is_installed(
    environment_of: EnvironmentOf, tmp_path: Path, checker: str
) -> None:
    done = check(checker, environment_of("hypergraph-runner-sync"), MISTAKE, tmp_path)
    assert done.returncode == 1
    assert "cahce" in done.stdout
