"""`validate_runner`: every rule of the kit for one runner, without pytest.

Rule of this file: whatever a rule or a runner does, the next rule is asked all the same. Only
``KeyboardInterrupt`` ends it all.
"""

from __future__ import annotations

import platform
import threading
import unittest
import warnings
from collections.abc import Callable, Iterable
from typing import Any

from hypergraph.capabilities import RunnerCapabilities
from hypergraph.discovery import installed_version
from hypergraph.errors import did_you_mean
from hypergraph.runners.base import RUNNER_API_VERSION, BaseRunner
from hypergraph.testing.asking import Attempt, Rule, rules_of, threads_left
from hypergraph.testing.explaining import where_is
from hypergraph.testing.kit import KIT_VERSION, Rules
from hypergraph.testing.report import Outcome, Report, RuleResult
from hypergraph.testing.suite import RUNNER_RULES
from hypergraph.testing.suite.base import RunnerRules
from hypergraph.testing.suite.packaging import find_distribution

TIME_LIMIT = 60.0  # seconds for a rule
GIVE_UP = 3  # rules that never end: then the others are not asked
LEAKS = 3  # rules that leave threads behind: then the others are not asked for that

Factory = Callable[[], BaseRunner]


def validate_runner(
    factory: Factory,
    *,
    name: str | None = None,
    groups: Iterable[str] | None = None,
    on_result: Callable[[RuleResult], object] | None = None,
    time_limit: float = TIME_LIMIT,
) -> Report:
    """Ask a runner for everything that the conformance kit promises, and report what it keeps.

    ``factory`` makes a runner; each rule gets a fresh one, in a thread of its own. One that is a
    context manager, or has ``close()``, is entered before and closed after the rule. ``name`` is that
    of its entry point: without it, what concerns registration is skipped. ``groups`` are the groups
    to ask for (default: all). ``on_result`` is called after each rule, in the calling thread. A rule
    that takes longer than ``time_limit`` seconds has failed; its thread cannot be ended and is left
    behind, and after the third one nothing more is asked.

    Whatever the runner raises, ``SystemExit`` included, is in the report. Raises ``ValueError`` for an
    unknown group; ``KeyboardInterrupt`` goes through.
    """
    kinds = _chosen(groups)
    validation = _Validation(factory, name, time_limit)
    results = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for kind in kinds:
            for rule in rules_of(kind):
                results.append(validation.result_of(rule))
                if on_result is not None:
                    on_result(results[-1])
    cls = type(validation.made) if validation.made is not None else factory
    return Report(
        runner=f"{cls.__module__}:{getattr(cls, '__qualname__', type(cls).__qualname__)}",
        name=name,
        results=tuple(results),
        versions=_versions(cls, name),
        capabilities=_capabilities(validation.made),
        unfinished=validation.unfinished,
    )


def _chosen(groups: Iterable[str] | None) -> tuple[type[RunnerRules], ...]:
    known = [kind.group for kind in RUNNER_RULES]
    wanted = known if groups is None else [groups] if isinstance(groups, str) else list(groups)
    for group in wanted:
        if group not in known:
            raise ValueError(
                f"The conformance kit has no group {group!r}.{did_you_mean(group, known)} "
                f"There are: {', '.join(known)}."
            )
    return tuple(kind for kind in RUNNER_RULES if kind.group in wanted)


class _Validation:
    """The rules are asked one after another; what is known of the runner is gathered on the way."""

    def __init__(self, factory: Factory, name: str | None, limit: float) -> None:
        self.factory = factory
        self.name = name
        self.limit = limit
        self.unfinished = 0
        self.leaks = 0
        self.made: BaseRunner | None = None

    def prepare(self, rules: Rules) -> BaseRunner:
        """Tell the rules what is known, and return a fresh runner."""
        if isinstance(rules, RunnerRules):
            rules.make, rules.registered = self.factory, self.name
        runner = self.factory()
        self.made = self.made or runner
        return runner

    def result_of(self, rule: Rule) -> RuleResult:
        """Ask, and return what became of it."""
        if self.unfinished >= GIVE_UP:
            why = f"not asked: {GIVE_UP} rules before it took longer than {self.limit:g} seconds"
            return RuleResult(group=rule.kind.group, rule=rule.id, outcome="skipped", message=why)
        before = set(threading.enumerate())
        attempt = Attempt(rule, self.prepare).wait(self.limit)
        outcome, message = self._outcome(attempt)
        if outcome == "passed" and self.leaks < LEAKS and threads_left(before):
            outcome, message = self._again(rule)
        return RuleResult(
            group=rule.kind.group,
            rule=rule.id,
            outcome=outcome,
            message=message,
            seconds=round(attempt.seconds, 6),
        )

    def _outcome(self, attempt: Attempt) -> tuple[Outcome, str]:
        error = attempt.error
        if not attempt.finished:
            self.unfinished += 1
            frame = attempt.frame
            where = "" if frame is None else "\n" + where_is(frame, attempt.rule.kind)
            return (
                "failed",
                f"It took longer than {self.limit:g} seconds, and has not ended.{where}",
            )
        if error is None:
            return "passed", ""
        if isinstance(error, unittest.SkipTest):
            return "skipped", str(error)
        if isinstance(error, KeyboardInterrupt):
            raise error
        return "failed", attempt.message

    def _again(self, rule: Rule) -> tuple[Outcome, str]:
        """Ask again: threads that are kept for later are started once, those that leak each time."""
        before = set(threading.enumerate())
        outcome, message = self._outcome(Attempt(rule, self.prepare).wait(self.limit))
        left = threads_left(before)
        if outcome != "passed" or not left:
            return outcome, message
        self.leaks += 1
        names = ", ".join(sorted(thread.name for thread in left))
        return "failed", (
            f"Each time, {len(left)} threads are left behind when everything has returned: {names}.\n"
            "Join them, or shut down their pool, before run() and map() return."
        )


# -- what is known of the runner -----------------------------------------------------------------


def _capabilities(runner: Any) -> RunnerCapabilities | None:
    declared = getattr(runner, "capabilities", None)
    return declared if isinstance(declared, RunnerCapabilities) else None


def _versions(cls: Any, name: str | None) -> dict[str, str | None]:
    distribution = find_distribution(cls, name)
    return {
        "kit": ".".join(map(str, KIT_VERSION)),
        "core": installed_version("hypergraph-core"),
        "runner_api": ".".join(map(str, RUNNER_API_VERSION)),
        "written_for": str(getattr(cls, "runner_api", "")) or None,
        "python": platform.python_version(),
        "distribution": distribution,
        "runner": distribution and installed_version(distribution),
    }
