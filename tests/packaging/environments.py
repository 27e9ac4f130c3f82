"""Empty virtual environments, and wheels to install into them: without network, without the checkout.

Our own wheels are built from the checkout. Those of other projects are put together again from what
set-up has installed into the environment of the tests: the files that the record of a distribution
lists are what its wheel held. (Not its manual pages and the like, which lie outside of the place
for packages and which nothing imports.)
"""

from __future__ import annotations

import email
import json
import os
import subprocess
import sys
import tempfile
import tomllib
import venv
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import Distribution, PackagePath, distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
CORE = "hypergraph-core"
PROJECTS = {
    file.parent.name: tomllib.loads(file.read_text(encoding="utf-8"))["project"]
    for file in sorted(ROOT.glob("hypergraph-*/pyproject.toml"))
}
"""The metadata of every distribution of the workspace, by name."""
PACKAGES = {name: "hypergraph" if name == CORE else name.replace("-", "_") for name in PROJECTS}
"""The package that each distribution brings."""
RUNNERS = {
    name: dict(project.get("entry-points", {}).get("hypergraph.runners", {}))
    for name, project in PROJECTS.items()
    if name != CORE
}
"""The runners that each distribution offers: names and targets. None, where one reserves a name."""
EXTRAS = sorted(PROJECTS[CORE]["optional-dependencies"])
EVERYTHING = (*RUNNERS, f"{CORE}[{','.join(EXTRAS)}]")
MADE_BY_PIP = {"INSTALLER", "RECORD", "REQUESTED", "direct_url.json"}


def run(command: Sequence[str | Path], cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run `command` where neither the checkout nor the surrounding environment can be imported."""
    ours = ("PYTHON", "HYPERGRAPH", "PIP_")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    clean["PIP_CONFIG_FILE"] = os.devnull
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
    """Run `command` and return what it prints; it must succeed."""
    done = run(command, cwd)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def build(project: Path, target: Path, *options: str) -> None:
    """Build a project into `target`: its sdist and, from that, its wheel."""
    command = [sys.executable, "-m", "build", "--no-isolation", *options]
    succeed([*command, "--outdir", target, project], target)


def build_everything(target: Path) -> None:
    """Build every distribution of the workspace as it would be for a release."""
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda name: build(ROOT / name, target), PROJECTS))


def put_together(installed: Distribution, target: Path) -> None:
    """Make the wheel of an installed distribution again."""
    kept = [
        file
        for file in installed.files or ()
        if ".." not in file.parts and file.suffix != ".pyc" and file.name not in MADE_BY_PIP
    ]
    (info,) = {file.parent for file in kept if file.name == "WHEEL"}
    description = email.message_from_string(installed.read_text("WHEEL") or "")
    tags = [tag.split("-") for tag in description.get_all("Tag", failobj=[])]
    tag = "-".join(".".join(dict.fromkeys(part)) for part in zip(*tags))
    wheel = target / f"{info.name.removesuffix('.dist-info')}-{tag}.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for file in kept:
            archive.write(str(file.locate()), str(file))
        record = [f"{file},{_hash(file)},{file.size}" for file in kept]
        archive.writestr(f"{info}/RECORD", "\n".join([*record, f"{info}/RECORD,,", ""]))


def _hash(file: PackagePath) -> str:
    return "" if file.hash is None else f"{file.hash.mode}={file.hash.value}"


def third_party(*more: str) -> dict[str, Distribution]:
    """Return all that our distributions need, with every extra, and all that this needs in turn.

    ``more``: others to begin with.
    """
    waiting = [Requirement(line) for line in more]
    waiting += [
        Requirement(line)
        for project in PROJECTS.values()
        for lines in (project["dependencies"], *project.get("optional-dependencies", {}).values())
        for line in lines
    ]
    found: dict[str, Distribution] = {}
    seen = set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in PROJECTS or str(requirement) in seen:
            continue
        seen.add(str(requirement))
        found[name] = distribution(name)
        waiting += [
            one
            for one in map(Requirement, found[name].requires or ())
            if one.marker is None
            or any(one.marker.evaluate({"extra": extra}) for extra in ("", *requirement.extras))
        ]
    return found


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment that held nothing, not even pip, before something was installed."""

    path: Path

    @property
    def python(self) -> Path:
        return self.path / "bin" / "python"

    def script(self, source: str) -> subprocess.CompletedProcess[str]:
        """Run a program."""
        with tempfile.TemporaryDirectory(dir=self.path) as place:
            file = Path(place) / "script.py"
            file.write_text(source, encoding="utf-8")
            return run([self.python, file], Path(place))

    def answer(self, source: str) -> Any:
        """Run a program that leaves what it finds out in ``found``, and return that."""
        program = f"import json\n{source}\nprint(json.dumps(found))"
        done = self.script(program)
        assert done.returncode == 0, f"{program}\n{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout)

    def refusals(self, *statements: str) -> list[dict[str, Any] | None]:
        """Run statements: for each the kinds of its exception, the message and the fix, or None."""
        program = [
            "def told(error):",
            "    kinds = [kind.__name__ for kind in type(error).__mro__]",
        ]
        program += ["    fix = getattr(error, 'fix', None)"]
        program += ["    return dict(kinds=kinds, message=str(error), fix=fix)", "found = []"]
        for statement in statements:
            program += ["try:", f"    {statement}", "except Exception as error:"]
            program += ["    found.append(told(error))", "else:", "    found.append(None)"]
        return list(self.answer("\n".join(program)))

    def refusal(self, statement: str) -> dict[str, Any]:
        """Run a statement that must raise one of our errors: its kinds, its message, and its fix."""
        (refused,) = self.refusals(statement)
        assert refused is not None, statement
        return refused

    def command(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run what was installed to be typed, in the directory of the environment."""
        return run([self.path / "bin" / arguments[0], *arguments[1:]], self.path)


@dataclass(frozen=True, slots=True)
class Shelf:
    """What can be installed: directories of wheels, and no index."""

    wheels: tuple[Path, ...]

    def environment(self, place: Path, *requirements: str | Path) -> Environment:
        """Make an environment of nothing but the requirements and what they declare."""
        venv.create(place, with_pip=False, symlinks=True)
        made = Environment(place)
        # The pip that runs the tests does it: the new environment stays without one.
        pip = [
            sys.executable,
            "-m",
            "pip",
            "--python",
            made.python,
            "install",
            "--quiet",
            "--no-compile",
        ]
        places = [option for directory in self.wheels for option in ("--find-links", directory)]
        succeed([*pip, "--no-input", "--no-index", *places, *requirements], place)
        return made
