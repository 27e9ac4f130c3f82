"""One rule is asked: on an object of its own, in a thread of its own, for a limited time.

Rule of this file: a rule is kept if its method returns, and nothing that it does or starts gets out
of here, except a thread that never ends.
"""

from __future__ import annotations

import contextlib
import gc
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from hypergraph.testing.explaining import explain
from hypergraph.testing.kit import Case, Rules, cases_of

GRACE = 1.0  # seconds that threads are given to end after a rule


class Rule(NamedTuple):
    """One case of one rule."""

    kind: type[Rules]
    method: str
    case: Case

    @property
    def id(self) -> str:
        """Its name, the same as under pytest."""
        case = self.case.id.encode("unicode_escape").decode()
        return f"{self.method}[{case}]" if case else self.method


def rules_of(kind: type[Rules]) -> Iterator[Rule]:
    """Yield every case of every rule of a class, in the order in which they are written."""
    names = [name for base in reversed(kind.__mro__) for name in vars(base)]
    for name in dict.fromkeys(names):
        if name.startswith("test_"):
            for case in cases_of(getattr(kind, name)):
                yield Rule(kind, name, case)


class Attempt:
    """One call of a rule. ``finished`` is whether it ended in time.

    ``error`` is what it raised, and ``message`` that in words: written while all that the rule made is
    still there.
    """

    def __init__(self, rule: Rule, prepare: Callable[[Rules], Any]) -> None:
        self.rule = rule
        self.prepare = prepare
        self.error: BaseException | None = None
        self.message = ""
        self.finished = False
        self.seconds = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=rule.id, daemon=True)

    def wait(self, limit: float) -> Attempt:
        """Call the rule, and return when it has ended or ``limit`` seconds are over."""
        started = time.perf_counter()
        self._thread.start()
        self.finished = self._ended.wait(limit)  # join() would not let a second Ctrl-C through
        self.seconds = time.perf_counter() - started
        return self

    @property
    def frame(self) -> FrameType | None:
        """Where the thread is, if it has not ended."""
        return sys._current_frames().get(self._thread.ident or 0)

    def _run(self) -> None:
        try:
            with contextlib.ExitStack() as stack:
                rules = self.rule.kind()
                place = tempfile.TemporaryDirectory(prefix="kit-", ignore_cleanup_errors=True)
                rules.tmp = Path(stack.enter_context(place))
                self._call(rules, stack)
        except BaseException as error:
            self.error = error
            self.message = self.message or explain(error, self.rule.kind)
        finally:
            self._ended.set()

    def _call(self, rules: Rules, stack: contextlib.ExitStack) -> None:
        try:
            tested = _entered(stack, self.prepare(rules))
            getattr(rules, self.rule.method)(tested, **self.rule.case.values)
        except BaseException as error:
            self.message = explain(error, self.rule.kind)
            raise


def _entered(stack: contextlib.ExitStack, made: Any) -> Any:
    """Return what was made, opened if it can be opened; it is closed when the rule is over."""
    if hasattr(type(made), "__enter__"):
        return stack.enter_context(made)
    if callable(getattr(made, "close", None)):
        stack.callback(made.close)
    return made


def threads_left(before: set[threading.Thread]) -> list[threading.Thread]:
    """Return the new threads if there are more than before, after a while in which they may end."""
    if not _more(before):
        return []
    gc.collect()
    deadline = time.monotonic() + GRACE
    while (left := _more(before)) and time.monotonic() < deadline:
        left[0].join(0.01)
    return left


def _more(before: set[threading.Thread]) -> list[threading.Thread]:
    now = threading.enumerate()  # what took the place of a thread that has ended is no leak
    new = [thread for thread in now if thread not in before]
    return new if len(now) > len(before) else []
