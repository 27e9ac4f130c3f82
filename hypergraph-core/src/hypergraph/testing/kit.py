"""What a rule of the conformance kit is written with: `Rules`, `cases`, `raises`, `skip`, `fail`.

Rule of this file: a rule needs nothing but the standard library to run, so that a kit without pytest
and a kit under pytest are one kit.
"""

from __future__ import annotations

import itertools
import os
import re
import unittest
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Generic, NamedTuple, NoReturn, Self, TypeVar

from hypergraph.runners.base import RUNNER_API_VERSION

KIT_VERSION = (RUNNER_API_VERSION[0], 0)
"""The version of these rules. A runner for one major version of the contract is asked by its rules."""

E = TypeVar("E", bound=BaseException)
F = TypeVar("F", bound=Callable[..., Any])
Ids = Callable[[Any], object] | Sequence[str] | None


class BrokenRuleError(AssertionError):
    """A promise was not kept; the message says what happened and what to do."""


def fail(message: str) -> NoReturn:
    """End the rule as failed: say what the runner did, and what its author should do."""
    __tracebackhide__ = True
    raise BrokenRuleError(message)


def skip(reason: str) -> NoReturn:
    """End the rule: it does not apply, for this reason."""
    __tracebackhide__ = True
    raise unittest.SkipTest(reason)


class raises(Generic[E]):  # noqa: N801  it reads as a word: with raises(InputError)
    """Ends the rule as failed unless the block raises one of ``kinds``; ``value`` is what it raised.

    ``match`` is a regular expression that its text must contain; ``advice`` is told if nothing is
    raised.
    """

    value: E

    def __init__(self, *kinds: type[E], match: str | None = None, advice: str = "") -> None:
        self.kinds = kinds
        self.match = match
        self.advice = advice

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        __tracebackhide__ = True
        names = " or ".join(one.__name__ for one in self.kinds)
        if error is None:
            fail(f"{names} should have been raised here, and nothing was. {self.advice}".strip())
        if isinstance(error, (unittest.SkipTest, BrokenRuleError)) or not isinstance(
            error, self.kinds
        ):
            return False
        if self.match is not None and not re.search(self.match, str(error)):
            fail(f"The text of {names} should match {self.match!r}; it is: {error}")
        self.value = error
        return True


class warns:  # noqa: N801  as above
    """Ends the rule as failed unless the block gives a warning of ``kind``; others are let pass.

    ``match`` is a regular expression that its text must contain. ``messages`` are the texts of all
    warnings of that kind. No warning given in the block is shown.
    """

    def __init__(self, kind: type[Warning], match: str = "") -> None:
        self.kind = kind
        self.match = match
        self.messages: list[str] = []
        self._catch = warnings.catch_warnings(record=True)

    def __enter__(self) -> Self:
        self._caught = self._catch.__enter__()
        warnings.simplefilter("always")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        __tracebackhide__ = True
        self._catch.__exit__(kind, error, trace)
        given = self._caught or []
        self.messages = [str(w.message) for w in given if issubclass(w.category, self.kind)]
        if error is None and not any(re.search(self.match, text) for text in self.messages):
            about = f" that matches {self.match!r}" if self.match else ""
            others = "; ".join(f"{w.category.__name__}: {w.message}" for w in given) or "none"
            fail(f"A {self.kind.__name__}{about} should have been given. What was given: {others}")


# -- cases ---------------------------------------------------------------------------------------


class Case(NamedTuple):
    """One way to call a rule: its id, and the arguments besides the runner."""

    id: str
    values: Mapping[str, Any]


def cases(names: str | Sequence[str], values: Iterable[Any], ids: Ids = None) -> Callable[[F], F]:
    """Run the rule once per value, or per combination where several of these are stacked.

    ``names`` is the parameter, or several with a tuple of values for each case. ``ids`` are the names
    of the cases, or a function that gives one for a value.
    """
    wanted = [n.strip() for n in names.split(",")] if isinstance(names, str) else list(names)
    listed = list(values)
    rows = [(value,) for value in listed] if len(wanted) == 1 else [tuple(v) for v in listed]
    made = []
    for index, (value, row) in enumerate(zip(listed, rows, strict=True)):
        if isinstance(ids, Sequence):
            label = ids[index]
        elif ids is not None:
            label = "-".join(str(ids(part)) for part in row)
        else:
            label = "-".join(_label(n, part, index) for n, part in zip(wanted, row, strict=True))
        made.append(Case(label, dict(zip(wanted, row, strict=True))))

    def decorate(rule: F) -> F:
        rule.__dict__["cases"] = (*rule.__dict__.get("cases", ()), tuple(made))
        return rule

    return decorate


def cases_of(rule: Callable[..., Any]) -> Iterator[Case]:
    """Yield every case of a rule: one with an empty id if it has no `cases`."""
    stacked: tuple[tuple[Case, ...], ...] = getattr(rule, "cases", ())
    for row in itertools.product(*stacked):
        values = {name: value for case in row for name, value in case.values.items()}
        yield Case("-".join(case.id for case in row), values)


def _label(name: str, value: Any, index: int) -> str:
    if value is None or isinstance(value, (bool, int, float)):
        return str(value)
    if isinstance(value, str):
        return value if len(value) < 40 else f"{name}{index}"
    return str(getattr(value, "__name__", f"{name}{index}"))


# -- rules ---------------------------------------------------------------------------------------


class Journal:
    """Lines that are noted by any thread and any process, in the order in which they are noted.

    It may be sent to another process; a node that notes there what it does is seen here.
    """

    def __init__(self, file: Path) -> None:
        self.file = file

    def note(self, line: object) -> None:
        """Append a line."""
        opened = os.open(self.file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(opened, f"{line}\n".encode())
        finally:
            os.close(opened)

    @property
    def lines(self) -> list[str]:
        """What was noted so far."""
        return self.file.read_text("utf-8").splitlines() if self.file.exists() else []


class Rules:
    """A group of rules: every method ``test_*(self, thing, **case)`` is a promise, named by its name.

    ``thing`` is what is tested, such as a runner. A rule is kept if it returns. Each is called on an
    object of its own, whose ``tmp`` is a private directory that is removed afterwards.
    """

    group: ClassVar[str] = ""
    tmp: Path

    @property
    def journal(self) -> Journal:
        """What nodes note, wherever they run: lines of a file in ``tmp``."""
        return Journal(self.tmp / "journal")
