"""What may be tried again, when, and for how long one try may last.

Rule of this file: a policy is a value and only computes. Who waits, by which clock, and where the
random numbers come from is the runner's affair.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from hypergraph.errors import GraphConfigError

_WHERE: Final = "RetryPolicy"
_SECONDS: Final = "seconds (0 or more) or a timedelta"
_INTERVALS_TO_MAXIMUM: Final = 100


@dataclass(frozen=True, slots=True, init=False)
class RetryPolicy:
    """How often, and after which delays, a node that raised is called again.

    Before the second attempt ``initial_interval`` passes, and before each later one
    ``backoff_coefficient`` times as much as before, up to ``maximum_interval`` (by default 100 times
    the initial one). ``maximum_attempts`` counts the first attempt too: 1 is no retry, 0 no limit.
    ``jitter``, from 0 to 1, is the fraction of a delay that is left to chance: each delay is shortened
    by up to that much, so that nodes that fail together do not all come back together.

    ``non_retryable_errors`` fail at once. A class counts with its subclasses; so does a string, the
    name of a class with or without its module. Only an ``Exception`` is ever retried: never
    ``KeyboardInterrupt``, ``SystemExit`` or a cancellation of asyncio or trio.

    Intervals are given in seconds or as ``timedelta``, and kept in seconds. Raises
    ``GraphConfigError`` for what makes no policy. Names, defaults and meanings are those of Temporal's
    retry policy; ``jitter`` is an addition.
    """

    initial_interval: float
    backoff_coefficient: float
    maximum_interval: float | None
    maximum_attempts: int
    non_retryable_errors: tuple[type[BaseException] | str, ...]
    jitter: float

    def __init__(
        self,
        *,
        initial_interval: float | timedelta = 1.0,
        backoff_coefficient: float = 2.0,
        maximum_interval: float | timedelta | None = None,
        maximum_attempts: int = 0,
        non_retryable_errors: Iterable[type[BaseException] | str] = (),
        jitter: float = 0.1,
    ) -> None:
        put = object.__setattr__
        initial = _number("initial_interval", _seconds(initial_interval), _SECONDS)
        maximum = None
        if maximum_interval is not None:
            allowed = f"at least the initial interval, in {_SECONDS}"
            maximum = _number("maximum_interval", _seconds(maximum_interval), allowed, initial)
        coefficient = _number("backoff_coefficient", backoff_coefficient, "a number from 1 on", 1)
        put(self, "initial_interval", initial)
        put(self, "backoff_coefficient", coefficient)
        put(self, "maximum_interval", maximum)
        put(self, "maximum_attempts", _attempts(maximum_attempts))
        put(self, "non_retryable_errors", _errors(non_retryable_errors))
        put(self, "jitter", _number("jitter", jitter, "a fraction from 0 to 1", most=1))

    def delay(self, attempt: int, error: BaseException, random: float) -> float | None:
        """Return the seconds to wait after a failed attempt, or ``None`` when it was the last one.

        ``attempt`` counts from 1. ``random``, from 0 to below 1, is the chance in the jitter: 0 gives
        the whole delay.
        """
        if 0 < self.maximum_attempts <= attempt or not self.retries(error):
            return None
        most = self.maximum_interval
        if most is None:
            most = self.initial_interval * _INTERVALS_TO_MAXIMUM
        try:
            grown = self.initial_interval * self.backoff_coefficient ** (attempt - 1)
        except OverflowError:
            grown = most
        return min(grown, most) * (1 - self.jitter * random)

    def retries(self, error: BaseException) -> bool:
        """Say whether an error of this class is retried at all."""
        if not isinstance(error, Exception):
            return False
        names = {name for cls in type(error).__mro__ for name in _names(cls)}
        return not any(
            listed in names if isinstance(listed, str) else isinstance(error, listed)
            for listed in self.non_retryable_errors
        )


def checked_retry(retry: Any, where: str) -> RetryPolicy:
    """Return what was given as ``retry=``. Raises ``GraphConfigError`` unless it is a policy."""
    if isinstance(retry, RetryPolicy):
        return retry
    attempts = 3
    if type(retry) is int and retry > 0:
        attempts, problem = retry, f"retry is {retry}, which says how often and not when."
    elif isinstance(retry, type):
        problem = f"retry is the class {retry.__name__} itself, and not a policy."
    else:
        problem = f"retry is of type {type(retry).__name__}, and not a RetryPolicy."
    fix = f"write retry=RetryPolicy(maximum_attempts={attempts})."
    raise GraphConfigError(problem, where=where, fix=fix)


def checked_timeout(timeout: Any, is_async: bool, where: str) -> float:
    """Return what was given as ``timeout=``, in seconds.

    Raises ``GraphConfigError`` for what is no span of time, and for a function that nothing can stop.
    """
    if not is_async:
        raise GraphConfigError(
            "The timeout cannot be enforced: nothing can stop a function that is not async.",
            where=where,
            fix="make it async def, or use the timeout of the library it calls.",
        )
    allowed = "the seconds that one attempt may take (more than 0), or a timedelta"
    return _number("timeout", _seconds(timeout), allowed, math.ulp(0.0), where=where)


def _seconds(given: Any) -> Any:
    return given.total_seconds() if isinstance(given, timedelta) else given


def _number(
    what: str,
    given: Any,
    allowed: str,
    least: float = 0.0,
    most: float = math.inf,
    *,
    where: str = _WHERE,
) -> float:
    """Return a finite number from ``least`` to ``most``; ``allowed`` says that in words."""
    problem = f"{what} is of type {type(given).__name__}, and not a number."
    if isinstance(given, (int, float)) and not isinstance(given, bool):
        try:
            number = float(given)
        except OverflowError:
            number = math.inf
        problem = f"{what} is {number:g}."
        if math.isfinite(number) and least <= number <= most:
            return number
    raise GraphConfigError(problem, where=where, fix=f"give {allowed}.")


def _attempts(given: Any) -> int:
    if type(given) is int and given >= 0:
        return given
    kind = f"of type {type(given).__name__}" if type(given) is not int else str(given)
    raise GraphConfigError(
        f"maximum_attempts is {kind}, and not a number of attempts.",
        where=_WHERE,
        fix="give an integer that counts the first attempt too, or 0 for no limit.",
    )


def _errors(given: Any) -> tuple[type[BaseException] | str, ...]:
    fix = (
        "write non_retryable_errors=(ValueError, 'httpx.InvalidURL'), with classes or their names."
    )
    if isinstance(given, (str, type)) or not isinstance(given, Iterable):
        kind = f"the class {given.__name__}" if isinstance(given, type) else type(given).__name__
        raise GraphConfigError(
            f"non_retryable_errors takes several errors, and was given {kind}.",
            where=_WHERE,
            fix=fix,
        )
    errors = tuple(given)
    for error in errors:
        if (
            isinstance(error, str)
            and error.replace(".<locals>", "").replace(".", "_").isidentifier()
        ):
            continue
        if not isinstance(error, type) or not issubclass(error, BaseException):
            kind = repr(error) if isinstance(error, (str, type)) else f"a {type(error).__name__}"
            raise GraphConfigError(
                f"non_retryable_errors lists {kind}, which is no exception class.",
                where=_WHERE,
                fix=fix,
            )
    return errors


def _names(cls: type) -> tuple[str, str, str]:
    """Return what a class may be called: alone, with what encloses it, and with its module."""
    return cls.__name__, cls.__qualname__, f"{cls.__module__}.{cls.__qualname__}"
