"""Type checkers see hypergraph as its users do: from outside, through `py.typed`."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def check(*command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=HERE, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("file", ["usage.py", "mistakes.py"])
def test_mypy_finds_the_mistakes_and_nothing_else(file: str, tmp_path: Path) -> None:
    check("mypy", "--config-file", "mypy.ini", "--cache-dir", str(tmp_path), file)


def test_pyright_finds_the_mistakes_and_nothing_else() -> None:
    check("pyright", "--project", ".", "--pythonpath", sys.executable)


def test_what_the_checkers_accept_also_runs() -> None:
    runpy.run_path(str(HERE / "usage.py"), run_name="__main__")
