"""Packaging: what the distribution of a runner says of itself, and what importing it does."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from importlib_metadata import distribution, packages_distributions

from hypergraph.discovery import normalized, offers
from hypergraph.runners.base import BaseRunner
from hypergraph.runners.registry import GROUP
from hypergraph.testing.kit import fail, skip
from hypergraph.testing.suite.base import RunnerRules

CORE = "hypergraph-core"
PATIENCE = 45  # seconds for an import
LOADED = """
import json, sys, threading
import hypergraph.runners
__import__(sys.argv[1])
print(json.dumps([[t.name for t in threading.enumerate()][1:], sorted(sys.modules)]))
"""


class PackagingRules(RunnerRules):
    """For a runner that comes in a distribution: metadata, types, and a quiet import."""

    group = "packaging"

    def distribution_of(self, runner: BaseRunner) -> Any:
        """Return the distribution that brings the runner's class; skip if there is none."""
        cls = type(runner)
        name = find_distribution(cls, self.registered)
        if name is None:
            skip(f"{cls.__name__} comes in no installed distribution: {cls.__module__}")
        if name == CORE:
            skip(f"{cls.__name__} comes with {CORE} itself")
        return distribution(name)

    def test_its_types_are_published(self, runner: BaseRunner) -> None:
        self.distribution_of(runner)
        package = type(runner).__module__.partition(".")[0]
        spec = importlib.util.find_spec(package)
        places = (spec.submodule_search_locations if spec is not None else None) or ()
        assert any(Path(place, "py.typed").is_file() for place in places), (
            f"put an empty file py.typed into the package {package}, and into its wheel"
        )

    def test_it_requires_the_core_and_says_which_versions(self, runner: BaseRunner) -> None:
        required = [_parts(one) for one in self.distribution_of(runner).requires or ()]
        versions = [rest for name, rest in required if name == CORE]
        assert versions, f'add "{CORE}>=0.1" to the dependencies: the runner imports it'
        assert any(re.search(r"[<>=~]", rest) for rest in versions), (
            f"say with which versions of {CORE} the runner works, such as >=0.1"
        )

    def test_it_says_for_which_python_it_is(self, runner: BaseRunner) -> None:
        metadata = self.distribution_of(runner).metadata
        assert metadata.get("Requires-Python"), 'add requires-python = ">=3.11" to the project'

    def test_it_says_under_which_licence_it_is(self, runner: BaseRunner) -> None:
        metadata = self.distribution_of(runner).metadata
        classifiers = metadata.get_all("Classifier") or []
        said = [metadata.get("License-Expression"), metadata.get("License"), *classifiers]
        assert any(text for text in said[:2]) or any(
            c.startswith("License ::") for c in said[2:]
        ), 'add license = "MIT", or whatever it is, to the project'

    # -- importing -----------------------------------------------------------------------------

    def loaded(self, runner: BaseRunner) -> tuple[list[str], set[str]]:
        """Import the class's package in a fresh interpreter; return its threads and modules."""
        self.distribution_of(runner)
        command = [sys.executable, "-c", LOADED, type(runner).__module__]
        try:
            answer = subprocess.run(  # noqa: S603  our own interpreter
                command, check=False, capture_output=True, text=True, timeout=PATIENCE
            )
        except subprocess.TimeoutExpired:
            fail(f"Importing {type(runner).__module__} has not ended within {PATIENCE} seconds.")
        assert answer.returncode == 0, f"it cannot be imported by itself:\n{answer.stderr}"
        threads, modules = json.loads(answer.stdout.splitlines()[-1])
        return threads, set(modules)

    def test_importing_it_starts_no_thread(self, runner: BaseRunner) -> None:
        threads, _ = self.loaded(runner)
        assert threads == [], "start threads when a runner is made or runs, not when it is imported"

    def test_importing_it_imports_no_runner_that_it_does_not_require(
        self, runner: BaseRunner
    ) -> None:
        own = self.distribution_of(runner)
        _, modules = self.loaded(runner)
        required = {own.name, *(_parts(one)[0] for one in own.requires or ())}
        others = {
            offer.entry_point.module
            for offered in offers(GROUP).values()
            for offer in offered
            if offer.distribution not in {normalized(name) for name in required}
        }
        assert sorted(others & modules) == [], (
            "import other runners when they are needed, or require their distributions"
        )


def find_distribution(cls: Any, name: str | None) -> str | None:
    """Return the distribution that brings a runner class, if it is known.

    ``name``: that of its entry point, if it has one.
    """
    package = cls.__module__.partition(".")[0]
    registered = offers(GROUP)
    found = registered.get(name, ()) if name is not None else ()
    if not found:
        everyone = [offer for offered in registered.values() for offer in offered]
        found = tuple(o for o in everyone if o.entry_point.module.partition(".")[0] == package)
    if found:
        return found[0].distribution
    return next(iter(packages_distributions().get(package, ())), None)


def _parts(requirement: str) -> tuple[str, str]:
    """Return the name of what is required, and the rest: its versions, and when."""
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    name = match[0] if match else ""
    return normalized(name), requirement[len(name) :].partition(";")[0]
