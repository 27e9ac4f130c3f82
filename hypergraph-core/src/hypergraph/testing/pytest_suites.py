"""The rules of the kit as classes for pytest: `RunnerSuite`, `CacheSuite`, `CheckpointerSuite`.

Rule of this file: it is the only one of the kit that knows pytest, and it adds no rule.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypergraph.cache import Cache
from hypergraph.checkpointers import Checkpointer
from hypergraph.errors import MissingExtraError
from hypergraph.runners.base import BaseRunner
from hypergraph.testing.kit import Rules

try:
    import pytest
except ModuleNotFoundError as error:
    if error.name != "pytest":
        raise  # pytest is there and broken: its own error says more
    raise MissingExtraError(
        "The suites of the conformance kit need pytest, which is not installed.",
        where=__name__,
        fix='pip install "hypergraph-core[testing]", or call validate_runner(), which needs none',
    ) from error

if "hypergraph.testing.suite" not in sys.modules:  # or they are plain asserts, and pytest warns
    pytest.register_assert_rewrite("hypergraph.testing.suite")

from hypergraph.testing.suite import CACHE_RULES, CHECKPOINTER_RULES, RUNNER_RULES

if TYPE_CHECKING:
    from hypergraph.testing.suite.caches import CacheRules as _CacheRules
    from hypergraph.testing.suite.checkpointers import CheckpointerRules as _CheckpointerRules
    from hypergraph.testing.suite.durability import DurabilityRules as _RunnerRules
else:
    _RunnerRules = type("_RunnerRules", RUNNER_RULES, {})
    _CacheRules = type("_CacheRules", CACHE_RULES, {})
    _CheckpointerRules = type("_CheckpointerRules", CHECKPOINTER_RULES, {})


class _Collected(Rules):
    """What pytest needs to run rules: their cases, and a directory for each."""

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Make a test of every case."""
        for cases in getattr(metafunc.function, "cases", ()):
            names = list(cases[0].values)
            rows = [[case.values[name] for name in names] for case in cases]
            metafunc.parametrize(names, rows, ids=[case.id for case in cases])

    @pytest.fixture(autouse=True)
    def _private_directory(self, tmp_path: Path) -> None:
        self.tmp = tmp_path


class RunnerSuite(_Collected, _RunnerRules):
    """Inherit, and give the class a fixture ``runner``; pytest does the rest.

    ```python
    class TestMyRunner(RunnerSuite):
        registered = "mine"  # the name of its entry point, if it has one

        @pytest.fixture
        def runner(self):
            return MyRunner()
    ```
    Override ``values_of`` or ``rows_of`` for a runner with results of its own kind, ``in_event_loop``
    and ``pause`` for one that needs another event loop than asyncio's.
    """

    @pytest.fixture
    def runner(self) -> BaseRunner:
        """Return the runner under test."""
        raise _missing(self, "runner", "MyRunner()")


class CacheSuite(_Collected, _CacheRules):
    """Inherit, and give the class a fixture ``cache``; pytest does the rest.

    ```python
    class TestMyCache(CacheSuite):
        @pytest.fixture
        def cache(self):
            return MyCache()
    ```
    """

    @pytest.fixture
    def cache(self) -> Cache:
        """Return the cache under test, empty."""
        raise _missing(self, "cache", "MyCache()")


class CheckpointerSuite(_Collected, _CheckpointerRules):
    """Inherit, and give the class a fixture ``checkpointer``; pytest does the rest.

    ```python
    class TestMyCheckpointer(CheckpointerSuite):
        @pytest.fixture
        def checkpointer(self):
            return MyCheckpointer()
    ```
    """

    @pytest.fixture
    def checkpointer(self) -> Checkpointer:
        """Return the checkpointer under test, empty."""
        raise _missing(self, "checkpointer", "MyCheckpointer()")


def _missing(suite: Any, fixture: str, example: str) -> BaseException:
    return pytest.fail.Exception(
        f"{type(suite).__name__} has no {fixture} to test. Give it a fixture:\n"
        f"    @pytest.fixture\n    def {fixture}(self): return {example}",
        pytrace=False,
    )
