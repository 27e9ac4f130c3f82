"""What ``hypergraph runners check`` does."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Callable

from hypergraph.cli.aside import aside
from hypergraph.cli.errors import UsageError
from hypergraph.cli.running import loaded
from hypergraph.cli.target import find_modules_in
from hypergraph.config import configured
from hypergraph.runners import BaseRunner, available, get
from hypergraph.testing import validate_runner


def check_runner(arguments: argparse.Namespace) -> int:
    """Ask the conformance kit, and print its report; returns the exit code."""
    find_modules_in(os.getcwd())
    name = arguments.name
    with aside():
        use = configured().get(name, name)
        factory = _factory(name, get(use))
    progress = _Progress()
    try:
        with aside():
            report = validate_runner(
                factory,
                name=use if use in available() else None,
                groups=arguments.group,
                on_result=lambda result: progress.add(result.group, result.outcome),
            )
    except ValueError as error:  # an unknown group
        raise UsageError(str(error)) from None
    finally:
        progress.end()
    print(json.dumps(report.as_dict(), indent=2) if arguments.json else report.text().rstrip())
    code = 0 if report.ok else 1
    if (
        report.unfinished
    ):  # their threads, and what those wait for, would keep the process from ending
        sys.stdout.flush()
        os._exit(code)
    return code


def _factory(name: str, cls: type[BaseRunner]) -> Callable[[], BaseRunner]:
    """Return what makes the runner: without settings, so that the rules leave nothing in the caches and
    stores of the configuration; or as configured, if it cannot be made without."""
    try:
        cls()
    except Exception:
        loaded(name)  # raises what is wrong with the settings
        return lambda: loaded(name)
    return cls


class _Progress:
    """A line for each group on stderr, where somebody watches."""

    def __init__(self) -> None:
        self._stream = sys.stderr if sys.stderr is not None and sys.stderr.isatty() else None
        self._group: str | None = None
        self._counts: Counter[str] = Counter()

    def add(self, group: str, outcome: str) -> None:
        """Count the outcome of a rule."""
        if self._stream is None:
            return
        if group != self._group:
            self.end()
            self._group, self._counts = group, Counter()
        self._counts[outcome] += 1
        told = ", ".join(f"{count} {word}" for word, count in self._counts.items())
        self._stream.write(f"\r\x1b[K{group}: {told}")
        self._stream.flush()

    def end(self) -> None:
        """End the line of a group."""
        if self._stream is not None and self._group is not None:
            self._stream.write("\n")
            self._stream.flush()
            self._group = None
