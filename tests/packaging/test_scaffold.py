"""What `hypergraph runners new` makes: a package that is built, installed, tested and used by its name.

And the tutorial that makes the same by hand, followed to the letter.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, Block, blocks
from tests.docs.test_snippets import same
from tests.packaging.environments import Environment, Shelf, build, put_together, third_party

TUTORIAL = ROOT / "docs" / "extending" / "write-a-runner.md"
TOOLS = ("build", "cloudpickle", "editables", "hatchling", "pip")
SQUARES = """
import os
from hypergraph import Graph, node

@node(output_name="square")
def square(x: int) -> int:
    return x * x

@node(output_name="elsewhere")
def look(home: int) -> bool:
    return os.getpid() != home

graph = Graph([square, look], name="squares")
"""
CONFIG = """
runner = "local"

[runners.local]
use = "my-runner"
workers = 2
"""


@dataclass(frozen=True, slots=True)
class Shell:
    """A directory, and an environment whose commands are found; pip finds what stands on the shelf."""

    place: Path
    environment: Environment
    shelf: Shelf

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        ours = ("PYTHON", "HYPERGRAPH", "PIP_")
        clean = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        paths = [str(self.environment.path / "bin"), "/usr/bin", "/bin"]
        clean |= {
            "PATH": os.pathsep.join(paths),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_FIND_LINKS": " ".join(map(str, self.shelf.wheels)),
            "PIP_NO_INDEX": "1",
        }
        return subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=self.place,
            env=clean,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def succeed(self, command: str) -> str:
        done = self.run(command)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def write(self, path: str, text: str) -> None:
        file = self.place / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def tools(shelf: Shelf, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    """Everything that a package needs to be built and installed, without network."""
    more = tmp_path_factory.mktemp("tools")
    for installed in third_party(*TOOLS).values():
        put_together(installed, more)
    yield Shelf((*shelf.wheels, more))
    shutil.rmtree(more)


@pytest.fixture(scope="module")
def shell_with(
    tools: Shelf, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Shell]]:
    """Make an environment of some requirements, and an empty directory to work in."""
    made = []

    def shell_with(*requirements: str | Path) -> Shell:
        places = tmp_path_factory.mktemp("scaffold")
        made.append(places)
        (places / "work").mkdir()
        return Shell(places / "work", tools.environment(places / "env", *requirements), tools)

    yield shell_with
    for places in made:
        shutil.rmtree(places)


@pytest.fixture(scope="module")
def project(shell_with: Callable[..., Shell]) -> Path:
    """A package made by the command that comes with the core's wheel."""
    shell = shell_with("hypergraph-core")
    said = shell.succeed("hypergraph runners new my-runner")
    project = shell.place / "my-runner"
    files = {file.relative_to(shell.place).as_posix() for file in project.rglob("*.*")}
    assert {line.strip() for line in said.splitlines() if line.startswith("  my-runner/")} == files
    return project


@pytest.fixture(scope="module")
def installed(
    project: Path, shell_with: Callable[..., Shell], tmp_path_factory: pytest.TempPathFactory
) -> Shell:
    """Where the wheel of that package is installed, and what it requires for its tests."""
    dist = tmp_path_factory.mktemp("my-runner")
    build(project, dist)
    (wheel,) = dist.glob("*.whl")
    shell = shell_with(f"{wheel}[test]")
    shell.write("squares.py", SQUARES)
    shell.write("hypergraph.toml", CONFIG)
    return shell


def test_the_package_passes_its_own_tests(installed: Shell, project: Path) -> None:
    tests = shlex.quote(str(project / "tests"))
    said = installed.succeed(f"python -m pytest -q -p no:cacheprovider {tests}")
    assert re.search(r"^\d{3} passed", said.splitlines()[-1]), said


def test_it_declares_what_it_needs_and_nothing_else(installed: Shell) -> None:
    names, python = installed.environment.answer(
        "from importlib.metadata import metadata, requires\n"
        "found = requires('my-runner'), metadata('my-runner')['Requires-Python']"
    )
    required = sorted(names)
    assert required[:2] == ["cloudpickle>=3", "hypergraph-core<0.2,>=0.1"]
    assert [re.split(r" *;", name)[0] for name in required[2:]] == ["hypergraph-core[testing]"]
    assert python == ">=3.11"


def test_it_is_listed_and_conforms(installed: Shell) -> None:
    listed = installed.succeed("hypergraph runners list")
    assert re.search(r"^local\* +ok +configured: my-runner$", listed, re.MULTILINE), listed
    assert re.search(r"^my-runner +ok +my-runner 0\.1\.0$", listed, re.MULTILINE), listed
    groups = " ".join(
        f"--group {one}" for one in ("registration", "packaging", "capabilities", "distribution")
    )
    report = installed.succeed(f"hypergraph runners check my-runner {groups}")
    assert "conforms" in report.splitlines()[0]


def test_it_runs_graphs_by_the_name_in_a_file(installed: Shell) -> None:
    said = installed.succeed("hypergraph run squares:graph --input x=12 --input home=0")
    assert "square: 144" in said.splitlines()
    program = (
        "import os, hypergraph\n"
        "from squares import graph\n"
        "if __name__ == '__main__':\n"
        "    result = hypergraph.run(graph, {'x': 12, 'home': os.getpid()})\n"
        "    runner = hypergraph.load_runner()\n"
        "    print(result['square'], result['elsewhere'], type(runner).__name__, runner.workers)\n"
    )
    installed.write("main.py", program)
    assert installed.succeed("python main.py") == "144 True MyRunner 2\n"


def test_a_setting_that_is_wrong_is_refused_by_its_place(installed: Shell) -> None:
    installed.write("wrong/hypergraph.toml", CONFIG.replace("2", '"two"'))
    done = installed.run("cd wrong && hypergraph run ../squares.py:graph --input x=1")
    assert done.returncode == 2
    assert "runners.local.workers" in done.stderr


# --- the tutorial -------------------------------------------------------------------------------


def commands(block: Block) -> Iterator[tuple[str, str]]:
    """Yield each command of a console block, with what it is said to print."""
    for part in re.split(r"^\$ ", block.code, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


def test_the_tutorial_makes_what_the_command_makes(project: Path) -> None:
    shown = {block.file: block.code for block in blocks(TUTORIAL) if block.file is not None}
    made = {
        file.relative_to(project.parent).as_posix(): file.read_text(encoding="utf-8")
        for file in project.rglob("*.*")
        if file.is_file() and file.suffix not in {".pyc", ".typed"}
    }
    assert {path: text for path, text in shown.items() if path.startswith("my-runner/")} == made


def test_the_tutorial_can_be_followed_to_the_letter(shell_with: Callable[..., Shell]) -> None:
    shell = shell_with("hypergraph-core", "pip")
    followed = 0
    for block in blocks(TUTORIAL):
        if block.file is not None:
            shell.write(block.file, block.code)
        elif block.language == "console":
            for command, expected in commands(block):
                said = shell.succeed(command)
                followed += 1
                assert same(said, expected), f"{TUTORIAL}:{block.line}: {command} prints\n{said}"
    assert followed > 5


# --- what the command writes --------------------------------------------------------------------


def test_nobody_complains_about_what_is_written(project: Path, tmp_path: Path) -> None:
    bin_ = Path(sys.executable).parent
    checks = [
        [
            bin_ / "ruff",
            "check",
            "--isolated",
            "--no-cache",
            "--select",
            "A,B,E,F,I,N,RUF,SIM,UP,W",
        ],
        [bin_ / "ruff", "format", "--isolated", "--no-cache", "--check"],
        [bin_ / "mypy", "--cache-dir", tmp_path],
    ]
    for check in checks:
        done = subprocess.run(
            [*check, "src", "tests"], cwd=project, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_runner_is_less_than_sixty_lines(project: Path) -> None:
    text = (project / "src" / "my_runner" / "runner.py").read_text(encoding="utf-8")
    assert len(text.splitlines()) < 60
