"""The core alone, each runner alone, and everything: installed where nothing was, and tried.

What is expected follows from the projects' own metadata, so a runner that comes is covered.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

import hypergraph
from tests.packaging.environments import (
    CORE,
    EVERYTHING,
    EXTRAS,
    PACKAGES,
    PROJECTS,
    ROOT,
    RUNNERS,
    Environment,
)

CLASSES: Mapping[str, str] = hypergraph._RUNNERS  # their public names, with their registered ones
PROGRAM = """
from hypergraph import Graph, node

@node(output_name="doubled")
def double(x: int) -> int:
    return 2 * x

@node(output_name="answer")
def add(doubled: int) -> int:
    return doubled + 2

graph = Graph([double, add], name="sums")
"""
EXTRA_MODULES = {
    "cache": "hypergraph.cache.disk",
    "otel": "hypergraph.extras.otel",
    "parquet": "hypergraph.extras.parquet",
    "progress": "hypergraph.extras.rich_progress",
    "testing": "hypergraph.testing.strategies",
}


@dataclass(frozen=True, slots=True)
class Installed:
    """What one line of ``pip install`` brings: our distributions, their runners, and the extras."""

    environment: Environment
    distributions: tuple[str, ...]
    extras: tuple[str, ...] = ()

    @property
    def runners(self) -> dict[str, str]:
        """The runners that must be there, with the distribution of each, sorted."""
        offered = {
            name: distribution
            for distribution in self.distributions
            for name in RUNNERS.get(distribution, ())
        }
        return dict(sorted(offered.items()))

    def advice(self, runner: str) -> str:
        """The command that brings a runner which is not there."""
        distribution = f"hypergraph-runner-{runner}"
        upgrade = "--upgrade " if distribution in self.distributions else ""
        return f"pip install {upgrade}{distribution}"


EnvironmentOf = Callable[..., Environment]


@pytest.fixture(scope="session", params=[*PROJECTS, "everything"])
def installed(request: pytest.FixtureRequest, environment_of: EnvironmentOf) -> Installed:
    if request.param == "everything":
        made = Installed(environment_of(*EVERYTHING), tuple(PROJECTS), tuple(EXTRAS))
    else:
        made = Installed(environment_of(request.param), tuple(sorted({CORE, request.param})))
    (made.environment.path / "sums.py").write_text(PROGRAM, encoding="utf-8")
    return made


def test_what_is_declared_is_installed_and_nothing_of_ours_besides(installed: Installed) -> None:
    names = installed.environment.answer(
        "from importlib.metadata import distributions\nfound = [d.name for d in distributions()]"
    )
    assert {name for name in names if name.startswith("hypergraph")} == {*installed.distributions}
    assert {"pip", "setuptools"}.isdisjoint(names)
    assert ("pytest" in names) is ("testing" in installed.extras)


def test_importing_hypergraph_or_a_runner_that_is_there_imports_no_other(
    installed: Installed,
) -> None:
    packages = sorted({*PACKAGES.values()} - {"hypergraph"})
    for module in ("hypergraph", *map(PACKAGES.__getitem__, installed.distributions)):
        loaded = installed.environment.answer(
            f"import sys, {module}\nfound = [name for name in {packages} if name in sys.modules]"
        )
        assert loaded == [name for name in packages if name == module]


def test_the_registry_lists_what_is_there(installed: Installed) -> None:
    listed, states = installed.environment.answer(
        "from hypergraph.runners import available, inspect\n"
        "states = {name: [info.state.value, info.version] for name, info in inspect().items()}\n"
        "found = [dict(available()), states]"
    )
    assert listed == installed.runners
    assert states == {
        name: ["ok", PROJECTS[distribution]["version"]]
        for name, distribution in installed.runners.items()
    }


def test_the_class_of_a_runner_is_there_or_says_how_to_get_it(installed: Installed) -> None:
    statements = {}
    for name, registered in CLASSES.items():
        statements[name] = f"from hypergraph import {name}"
        if registered in installed.runners:
            target = RUNNERS[installed.runners[registered]][registered]
            module, attribute = target.split(":")
            same = f"import {module}; assert {name} is {module}.{attribute}"
            statements[name] += f"; {same}; import hypergraph; assert {name!r} in dir(hypergraph)"
    outcomes = installed.environment.refusals(*statements.values())
    for (name, registered), refused in zip(CLASSES.items(), outcomes, strict=True):
        if registered in installed.runners:
            assert refused is None, name
        else:
            assert refused is not None, name
            assert refused["kinds"][0] == "RunnerNotInstalledError"
            assert "ImportError" in refused["kinds"]
            assert refused["fix"] == installed.advice(registered)
            assert re.search(rf"{refused['fix']}$", refused["message"], re.MULTILINE)


def test_the_command_lists_the_runners(installed: Installed) -> None:
    done = installed.environment.command("hypergraph", "runners", "list", "--json")
    assert done.returncode == 0, done.stderr
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert set(rows) == {*CLASSES.values()}
    for name, row in rows.items():
        if name in installed.runners:
            version = PROJECTS[installed.runners[name]]["version"]
            assert (row["state"], row["version"], row["fix"]) == ("ok", version, None)
        else:
            assert (row["state"], row["fix"]) == ("missing", installed.advice(name))
    shown = installed.environment.command("hypergraph", "runners", "list").stdout
    for name, row in rows.items():
        detail = installed.runners[name] if row["state"] == "ok" else row["fix"]
        assert re.search(rf"^{name}\*? +{row['state']} +{detail}", shown, re.MULTILINE)


def test_the_command_says_which_runners_can_run_a_graph(installed: Installed) -> None:
    done = installed.environment.command("hypergraph", "check", "sums:graph")
    if not installed.runners:
        assert done.returncode == 2
        assert "pip install hypergraph-runner-sync" in done.stdout + done.stderr
        return
    assert done.returncode == 0, done.stderr
    for name in installed.runners:
        assert re.search(rf"^{name} +yes", done.stdout, re.MULTILINE)


def test_the_command_runs_a_graph_with_each_runner_that_is_there(installed: Installed) -> None:
    run = ("hypergraph", "run", "sums:graph", "--input", "x=20", "--json")
    for name in installed.runners:
        done = installed.environment.command(*run, "--runner", name)
        assert done.returncode == 0, done.stderr
        assert '"answer": 42' in done.stdout
    done = installed.environment.command(*run)
    if "sync" in installed.runners:
        assert '"answer": 42' in done.stdout, done.stderr
    else:
        assert done.returncode == 2
        assert "pip install hypergraph-runner-sync" in done.stderr
        assert "Traceback" not in done.stderr


def test_the_module_is_the_command(installed: Installed) -> None:
    done = installed.environment.command("python", "-m", "hypergraph", "--version")
    assert done.returncode == 0, done.stderr
    assert PROJECTS[CORE]["version"] in done.stdout


def test_what_needs_an_extra_says_how_to_get_it(installed: Installed) -> None:
    statements = [f"import {module}" for module in EXTRA_MODULES.values()]
    outcomes = installed.environment.refusals(*statements)
    for extra, refused in zip(EXTRA_MODULES, outcomes, strict=True):
        if extra in installed.extras:
            assert refused is None, extra
        else:
            assert refused is not None, extra
            assert refused["kinds"][0] == "MissingExtraError"
            assert "ImportError" in refused["kinds"]
            assert refused["fix"] == f'pip install "{CORE}[{extra}]"'


def test_every_extra_is_tried() -> None:
    assert sorted(EXTRA_MODULES) == EXTRAS


@pytest.mark.parametrize("extra", EXTRA_MODULES)
def test_an_extra_alone_brings_all_that_it_needs(environment_of: EnvironmentOf, extra: str) -> None:
    environment = environment_of(f"{CORE}[{extra}]")
    assert environment.answer(f"import {EXTRA_MODULES[extra]}\nfound = True") is True


@pytest.mark.parametrize(
    ("name", "extra"),
    [
        ("hypergraph.DiskCache", "cache"),
        ("hypergraph.testing.RunnerSuite", "testing"),
        ("hypergraph.testing.CacheSuite", "testing"),
        ("hypergraph.testing.CheckpointerSuite", "testing"),
    ],
)
def test_a_name_that_needs_an_extra_says_how_to_get_it(
    environment_of: EnvironmentOf, name: str, extra: str
) -> None:
    module, attribute = name.rsplit(".", 1)
    statement = f"from {module} import {attribute}"
    refused = environment_of(CORE).refusal(statement)
    assert refused["kinds"][0] == "MissingExtraError"
    assert refused["fix"].startswith(f'pip install "{CORE}[{extra}]"')
    assert environment_of(f"{CORE}[{extra}]").answer(f"{statement}\nfound = True") is True


def test_the_core_alone_has_what_of_the_kit_needs_no_extra(environment_of: EnvironmentOf) -> None:
    outputs = environment_of(CORE).answer(
        f"from hypergraph.testing import ManualClock, ReferenceRunner\n{PROGRAM}\n"
        "found = ReferenceRunner().run(graph, {'x': 20})"
    )
    assert outputs == {"doubled": 40, "answer": 42}


def test_a_runner_is_validated_without_pytest(environment_of: EnvironmentOf) -> None:
    outcomes = environment_of("hypergraph-runner-sync").answer(
        "from hypergraph import SyncRunner\nfrom hypergraph.testing import validate_runner\n"
        "report = validate_runner(SyncRunner, groups=['DAG'])\n"
        "found = report.ok, sorted({result.outcome for result in report.results})"
    )
    assert outcomes == [True, ["passed"]]


def first_program(page: Path) -> tuple[list[str], str]:
    """Return what a README says to install, and the first program in it."""
    text = page.read_text(encoding="utf-8")
    program = re.search(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    assert program is not None
    installs = re.findall(r"^pip install (.+)$", text, re.MULTILINE)
    return sorted({name for line in installs for name in line.split()}), program[1]


@pytest.mark.parametrize("page", ["README.md", *(f"{name}/README.md" for name in PROJECTS)])
def test_the_first_program_of_a_readme_runs_where_what_it_says_is_installed(
    environment_of: EnvironmentOf, page: str
) -> None:
    installs, program = first_program(ROOT / page)
    assert set(installs) <= set(PROJECTS)
    if len(installs) > 1:  # a runner brings the core
        installs = [name for name in installs if name != CORE]
    done = environment_of(*installs).script(program)
    assert done.returncode == 0, done.stderr


def test_a_run_is_kept_in_a_file_with_the_async_runner_alone(environment_of: EnvironmentOf) -> None:
    outcome = environment_of("hypergraph-runner-async").answer(
        f"import asyncio\nfrom hypergraph import AsyncRunner\n{PROGRAM}\n"
        "from hypergraph.checkpointers import SqliteCheckpointer\n"
        "async def main():\n"
        "    with SqliteCheckpointer('runs.db', key_file='runs.key') as store:\n"
        "        runner = AsyncRunner(checkpointer=store)\n"
        "        result = await runner.run(graph, {'x': 20}, workflow_id='w')\n"
        "        return result['answer'], store.get_workflow('w').status.value\n"
        "found = asyncio.run(main())"
    )
    assert outcome == [42, "completed"]
