"""What a user gets from the package index: every wheel and sdist, tried in empty environments.

Only pip reaches outside, for the dependencies and at the versions that the constraints pin.
"""

import email
import email.message
import os
import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
VERSION = "0.1.0"
PACKAGES = {
    "hypergraph-core": "hypergraph",
    "hypergraph-runner-async": "hypergraph_runner_async",
    "hypergraph-runner-daft": "hypergraph_runner_daft",
    "hypergraph-runner-dbos": "hypergraph_runner_dbos",
    "hypergraph-runner-sync": "hypergraph_runner_sync",
}
ENTRY_POINTS = {
    "hypergraph-core": "[console_scripts]\nhypergraph = hypergraph.cli:main\n",
    "hypergraph-runner-async": "[hypergraph.runners]\nasync = hypergraph_runner_async:AsyncRunner\n",
    "hypergraph-runner-sync": "[hypergraph.runners]\nsync = hypergraph_runner_sync:SyncRunner\n",
}


def run(command: Sequence[str | Path], cwd: Path) -> "subprocess.CompletedProcess[str]":
    """Run `command` where neither the checkout nor the surrounding environment can be imported."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "HYPERGRAPH"))}
    clean["PIP_USER"] = "0"
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=clean,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def succeed(command: Sequence[str | Path], cwd: Path) -> str:
    done = run(command, cwd)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every distribution, built as it would be for a release."""
    target = tmp_path_factory.mktemp("dist")
    for name in PACKAGES:
        command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", target, ROOT / name]
        succeed(command, target)
    return target


def wheel(dist: Path, name: str) -> Path:
    return dist / f"{name.replace('-', '_')}-{VERSION}-py3-none-any.whl"


def sdist(dist: Path, name: str) -> Path:
    return dist / f"{name.replace('-', '_')}-{VERSION}.tar.gz"


def metadata(dist: Path, name: str) -> email.message.Message:
    with zipfile.ZipFile(wheel(dist, name)) as archive:
        inside = f"{name.replace('-', '_')}-{VERSION}.dist-info/METADATA"
        return email.message_from_bytes(archive.read(inside))


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment that held nothing before the given distributions came."""

    path: Path

    @property
    def python(self) -> Path:
        return self.path / "bin" / "python"

    def install(self, *what: str | Path) -> None:
        constraints = ROOT / "constraints.txt"
        options = ["--quiet", "--no-input", "--constraint", constraints]
        # The pip that runs the tests does it: the new environment stays without one.
        pip = [sys.executable, "-m", "pip", "--python", self.python]
        succeed([*pip, "install", *options, *what], self.path)

    def succeed(self, *arguments: str) -> str:
        return succeed([self.path / "bin" / arguments[0], *arguments[1:]], self.path)

    def script(self, source: str) -> "subprocess.CompletedProcess[str]":
        file = self.path / "script.py"
        file.write_text(source, encoding="utf-8")
        return run([self.python, file], self.path)


def empty_environment(path: Path) -> Environment:
    venv.create(path, with_pip=False, symlinks=True)
    return Environment(path)


@pytest.fixture(scope="session")
def core_alone(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    environment = empty_environment(tmp_path_factory.mktemp("core"))
    environment.install(wheel(dist, "hypergraph-core"))
    return environment


@pytest.fixture(scope="session")
def core_and_sync(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    environment = empty_environment(tmp_path_factory.mktemp("sync"))
    environment.install(wheel(dist, "hypergraph-core"), wheel(dist, "hypergraph-runner-sync"))
    return environment


@pytest.fixture(scope="session")
def core_and_async(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    environment = empty_environment(tmp_path_factory.mktemp("async"))
    environment.install(wheel(dist, "hypergraph-core"), wheel(dist, "hypergraph-runner-async"))
    return environment


@pytest.mark.parametrize("name", PACKAGES)
def test_a_wheel_holds_its_package_the_typing_marker_and_the_license_only(
    dist: Path, name: str
) -> None:
    package = PACKAGES[name]
    source = ROOT / name / "src" / package
    expected = {
        f"{package}/{file.relative_to(source).as_posix()}"
        for file in source.rglob("*")
        if file.is_file()
        and not any(
            part.startswith((".", "__pycache__")) for part in file.relative_to(source).parts
        )
    }
    with zipfile.ZipFile(wheel(dist, name)) as archive:
        held = set(archive.namelist())
        info = f"{name.replace('-', '_')}-{VERSION}.dist-info"
        license_text = archive.read(f"{info}/licenses/LICENSE").decode()
    assert {one for one in held if not one.startswith(info)} == expected
    assert f"{package}/py.typed" in held
    assert license_text == (ROOT / "LICENSE").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PACKAGES)
def test_an_sdist_holds_what_builds_the_wheel_only(dist: Path, name: str) -> None:
    with tarfile.open(sdist(dist, name)) as archive:
        top = {member.split("/")[1] for member in archive.getnames()}
    assert top - {".gitignore"} == {"LICENSE", "PKG-INFO", "README.md", "pyproject.toml", "src"}


@pytest.mark.parametrize("name", PACKAGES)
def test_the_metadata_is_complete_and_its_page_is_the_readme(dist: Path, name: str) -> None:
    page = metadata(dist, name)
    assert page["Name"] == name
    assert page["Version"] == VERSION
    assert page["Requires-Python"] == ">=3.11"
    assert page["License-Expression"] == "MIT"
    assert page["Summary"]
    assert page["Description-Content-Type"] == "text/markdown"
    assert page.get_payload() == (ROOT / name / "README.md").read_text(encoding="utf-8")
    assert f"pip install {name}" in str(page.get_payload())


@pytest.mark.parametrize("name", PACKAGES)
def test_a_page_on_the_package_index_links_to_no_file_of_the_checkout(
    dist: Path, name: str
) -> None:
    links = re.findall(r"\]\(([^)]+)\)", str(metadata(dist, name).get_payload()))
    assert [link for link in links if not link.startswith(("https://", "#"))] == []


@pytest.mark.parametrize("name", PACKAGES)
def test_a_distribution_offers_its_entry_points_and_no_others(dist: Path, name: str) -> None:
    with zipfile.ZipFile(wheel(dist, name)) as archive:
        inside = f"{name.replace('-', '_')}-{VERSION}.dist-info/entry_points.txt"
        text = archive.read(inside).decode() if inside in archive.namelist() else None
    assert text == ENTRY_POINTS.get(name)


def test_a_runner_requires_the_core_and_the_core_requires_no_runner(dist: Path) -> None:
    required = {
        name: metadata(dist, name).get_all("Requires-Dist", failobj=[]) for name in PACKAGES
    }
    core = required.pop("hypergraph-core")
    assert [one for one in core if one.startswith("hypergraph")] == []
    anyio, *others = required.pop("hypergraph-runner-async")
    assert anyio.startswith("anyio>=")
    assert {tuple(one) for one in (others, *required.values())} == {("hypergraph-core<0.2,>=0.1",)}


def test_every_optional_dependency_of_the_core_is_an_extra(dist: Path) -> None:
    page = metadata(dist, "hypergraph-core")
    assert set(page.get_all("Provides-Extra", failobj=[])) == {
        "cache",
        "otel",
        "progress",
        "testing",
    }
    needed = {
        re.split(r"[<>=\[; ]", one)[0]
        for one in page.get_all("Requires-Dist", failobj=[])
        if "extra ==" not in one
    }
    assert needed == {"beartype", "importlib-metadata", "msgspec"}


def test_the_core_alone_can_be_imported(core_alone: Environment) -> None:
    done = core_alone.script("import hypergraph; print(hypergraph.__name__)")
    assert (done.returncode, done.stdout) == (0, "hypergraph\n"), done.stderr


def test_the_core_alone_says_how_to_install_a_runner(core_alone: Environment) -> None:
    done = core_alone.script(
        "try:\n"
        "    from hypergraph import SyncRunner\n"
        "except ImportError as error:\n"
        "    print(error)\n"
    )
    assert done.returncode == 0, done.stderr
    assert "pip install hypergraph-runner-sync" in done.stdout


@pytest.mark.parametrize(
    ("module", "extra"),
    [
        ("hypergraph.cache.disk", "cache"),
        ("hypergraph.extras.otel", "otel"),
        ("hypergraph.extras.rich_progress", "progress"),
    ],
)
def test_the_core_alone_says_how_to_install_an_extra(
    core_alone: Environment, module: str, extra: str
) -> None:
    done = core_alone.script(
        f"try:\n    import {module}\nexcept ImportError as error:\n    print(error)\n"
    )
    assert done.returncode == 0, done.stderr
    assert f'pip install "hypergraph-core[{extra}]"' in done.stdout


def test_the_core_alone_lists_no_installed_runner(core_alone: Environment) -> None:
    listed = core_alone.succeed("hypergraph", "runners", "list")
    assert "hypergraph_runner_sync:SyncRunner" not in listed


def test_the_core_alone_builds_and_describes_a_graph(core_alone: Environment) -> None:
    done = core_alone.script(
        "from hypergraph import Graph, node\n"
        "@node(output_name='total')\n"
        "def add(a: int, b: int) -> int:\n"
        "    return a + b\n"
        "print(Graph([add]).inputs.required)\n"
    )
    assert (done.returncode, done.stdout) == (0, "('a', 'b')\n"), done.stderr


def test_core_and_sync_run_a_graph(core_and_sync: Environment) -> None:
    done = core_and_sync.script(
        "from hypergraph import Graph, SyncRunner, node\n"
        "@node(output_name='doubled')\n"
        "def double(x: int) -> int:\n"
        "    return 2 * x\n"
        "@node(output_name='answer')\n"
        "def add(doubled: int) -> int:\n"
        "    return doubled + 2\n"
        "print(SyncRunner().run(Graph([double, add]), {'x': 20})['answer'])\n"
    )
    assert (done.returncode, done.stdout) == (0, "42\n"), done.stderr


def test_core_and_async_run_a_graph_and_keep_it(core_and_async: Environment) -> None:
    done = core_and_async.script(
        "import asyncio\n"
        "from hypergraph import AsyncRunner, Graph, node\n"
        "from hypergraph.checkpointers import SqliteCheckpointer\n"
        "@node(output_name='doubled')\n"
        "async def double(x: int) -> int:\n"
        "    return 2 * x\n"
        "@node(output_name='answer')\n"
        "def add(doubled: int) -> int:\n"
        "    return doubled + 2\n"
        "async def main():\n"
        "    with SqliteCheckpointer('runs.db', key_file='runs.key') as store:\n"
        "        runner = AsyncRunner(checkpointer=store)\n"
        "        result = await runner.run(Graph([double, add]), {'x': 20}, workflow_id='w')\n"
        "        print(result['answer'], store.get_workflow('w').status.value)\n"
        "asyncio.run(main())\n"
    )
    assert (done.returncode, done.stdout) == (0, "42 completed\n"), done.stderr


def test_core_and_async_list_the_runner(core_and_async: Environment) -> None:
    listed = core_and_async.succeed("hypergraph", "runners", "list")
    assert re.search(r"^async +ok ", listed, re.MULTILINE)


def test_core_and_sync_list_the_runner(core_and_sync: Environment) -> None:
    assert "sync" in core_and_sync.succeed("hypergraph", "runners", "list").split()


def test_core_and_sync_offer_the_demo(core_and_sync: Environment) -> None:
    assert "usage" in core_and_sync.succeed("hypergraph", "demo", "--help").lower()


def test_the_module_is_the_command(core_and_sync: Environment) -> None:
    assert "usage" in core_and_sync.succeed("python", "-m", "hypergraph", "--help").lower()


def test_a_distribution_that_reserves_its_name_installs_beside_the_core(
    dist: Path, core_alone: Environment, tmp_path: Path
) -> None:
    environment = empty_environment(tmp_path / "env")
    reserved = ["hypergraph-runner-daft", "hypergraph-runner-dbos"]
    environment.install(wheel(dist, "hypergraph-core"), *(wheel(dist, name) for name in reserved))
    done = environment.script(
        "import hypergraph_runner_daft, hypergraph_runner_dbos\n"
        "from importlib.metadata import entry_points\n"
        "print(list(entry_points(group='hypergraph.runners')))\n"
    )
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
