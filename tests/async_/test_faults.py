"""What is left when a process is killed, when many write at once, and when there is no space."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("resource", reason="needs fork and limits, which Windows does not have")

from tests.async_ import faults

ROOT = Path(__file__).resolve().parents[2]


def program(*arguments: object) -> str:
    """Run a program of `faults` and return what it prints; it fails the test if it finds a fault."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.async_.faults", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("kind", faults.KINDS)
def test_a_run_survives_its_process_being_killed_at_any_point(kind, seed, tmp_path):
    deaths = int(program("kill", kind, seed, tmp_path))
    assert deaths > 10


@pytest.mark.parametrize("processes", [1, 5])
def test_fifty_workflows_at_once_share_one_file(processes, tmp_path):
    program("crowd", tmp_path / "runs.db", processes, 0)


def test_processes_that_share_a_file_may_be_killed_whenever(tmp_path):
    assert int(program("crowd", tmp_path / "runs.db", 5, 4)) > 0


@pytest.mark.parametrize("durability", ["sync", "async"])
def test_a_full_disk_fails_the_run_and_loses_nothing_that_was_stored(durability, tmp_path):
    assert "disk" in program("full", tmp_path / "runs.db", durability)
