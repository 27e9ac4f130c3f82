"""What the kit found out about a runner: `Report`, for a person to read and for a catalogue to keep.

Rule of this file: plain frozen values; nothing here runs anything.
"""

from __future__ import annotations

import dataclasses
import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from hypergraph.capabilities import RunnerCapabilities

Outcome = Literal["passed", "failed", "skipped"]
WIDTH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleResult:
    """What became of one rule, or of one case of it.

    ``rule`` is its id, the same as under pytest. ``message`` says why it failed or was skipped.
    """

    group: str
    rule: str
    outcome: Outcome
    message: str = ""
    seconds: float = 0.0

    @property
    def promise(self) -> str:
        """The rule in words: ``a gate behind a gate decides only when it is selected``."""
        name, bracket, case = self.rule.removeprefix("test_").partition("[")
        return name.replace("_", " ") + (f" {bracket}{case}" if bracket else "")


class Counts(NamedTuple):
    """How many rules of a group passed, failed and were skipped."""

    passed: int
    failed: int
    skipped: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The outcome of `validate_runner`.

    ``runner`` is the path of its class, ``name`` that of its entry point, if it was given.
    ``versions``: of the ``kit``, of ``core``, of the runner contract that it has (``runner_api``), of
    the contract that the runner was written for (``written_for``), of ``python``, and the
    ``distribution`` that brings the runner, with its version (``runner``); ``None`` what is not known.
    ``capabilities`` is ``None`` if the runner could not be made. ``unfinished`` counts the rules that
    took longer than they may, and are still running in threads of this process.
    """

    runner: str
    name: str | None
    results: tuple[RuleResult, ...]
    versions: Mapping[str, str | None]
    capabilities: RunnerCapabilities | None
    unfinished: int = 0

    @property
    def ok(self) -> bool:
        """Whether no rule failed."""
        return all(result.outcome != "failed" for result in self.results)

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups that were asked, in order."""
        return tuple(dict.fromkeys(result.group for result in self.results))

    def counts(self, group: str | None = None) -> Counts:
        """Count the rules of a group, or all of them, by outcome."""
        found = Counter(r.outcome for r in self.results if group in (None, r.group))
        return Counts(found["passed"], found["failed"], found["skipped"])

    # -- telling -----------------------------------------------------------------------------

    def text(self) -> str:
        """Return what a person reads: a line per group, why rules were skipped, and every failure."""
        return "\n".join([*self._head(), "", *self._table(), *self._failures()]) + "\n"

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON has it."""
        return {
            "runner": self.runner,
            "name": self.name,
            "ok": self.ok,
            "versions": dict(self.versions),
            "capabilities": self.capabilities and dataclasses.asdict(self.capabilities),
            "counts": self.counts()._asdict(),
            "groups": {group: self.counts(group)._asdict() for group in self.groups},
            "unfinished": self.unfinished,
            "results": [dataclasses.asdict(result) for result in self.results],
        }

    def _head(self) -> Iterator[str]:
        version = self.versions
        verdict = "conforms to" if self.ok else "does not conform to"
        named = f"{self.name!r}, {self.runner}," if self.name else self.runner
        yield f"{named} {verdict} version {version['kit']} of the conformance kit."
        if version["distribution"]:
            yield f"  {version['distribution']} {version['runner']}"
        yield (
            f"  hypergraph-core {version['core']}, runner contract {version['runner_api']} "
            f"(the runner was written for {version['written_for']}), Python {version['python']}"
        )
        if self.capabilities is not None:
            declared = [n for n, v in dataclasses.asdict(self.capabilities).items() if v]
            yield f"  declares {', '.join(declared) or 'no capability'}"

    def _table(self) -> Iterator[str]:
        rows = [(group, self.counts(group)) for group in self.groups]
        rows.append(("in all", self.counts()))
        width = max(len(name) for name, _ in rows)
        yield f"  {'':<{width}}  passed  failed  skipped"
        for name, (passed, failed, skipped) in rows:
            yield f"  {name:<{width}}  {passed:>6}  {failed or '-':>6}  {skipped or '-':>7}"
            reasons = Counter(
                r.message for r in self.results if r.group == name and r.outcome == "skipped"
            )
            for reason, count in reasons.items():
                times = f"{count} skipped: " if count < skipped else "skipped: "
                yield _indented(times + reason, 4)

    def _failures(self) -> Iterator[str]:
        failed = [result for result in self.results if result.outcome == "failed"]
        together: dict[str, list[RuleResult]] = {}
        for result in failed:
            together.setdefault(result.message, []).append(result)
        if failed:
            yield ""
            yield f"{len(failed)} {'rule' if len(failed) == 1 else 'rules'} failed:"
        for message, results in together.items():
            yield ""
            for result in results[:5]:
                yield f"{result.group}: {result.promise}"
            if len(results) > 5:
                yield f"and {len(results) - 5} more, in the same way"
            yield textwrap.indent(message, "    ")


def _indented(text: str, depth: int) -> str:
    margin = " " * depth
    return textwrap.fill(text, WIDTH, initial_indent=margin, subsequent_indent=margin + "  ")
