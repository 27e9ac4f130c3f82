"""Node functions for random graphs: real signatures, deterministic results, a record of every call.

Rule of this file: what a function returns depends only on its name and its arguments, and stays
small however often a loop goes round, so that two runners can be compared value by value and call
by call.
"""

from __future__ import annotations

import linecache
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from hypergraph.content import register_key

Kind = Literal["number", "text", "list", "none", "pair", "wrong count", "raise", "yield", "choose"]


class Refused(Exception):  # noqa: N818  it stands for any exception of a user's own
    """What a node of a random graph raises."""


@dataclass(slots=True)
class Record:
    """What happened in one run: every call with its arguments, and every exception raised."""

    calls: list[tuple[str, tuple[Any, ...]]] = field(default_factory=list)
    raised: list[Exception] = field(default_factory=list)

    def clear(self) -> None:
        """Forget everything, before the next run."""
        self.calls.clear()
        self.raised.clear()


register_key(Record, lambda record: ())  # what it notes does not change what a function returns


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How a node's function answers: its kind, and for a gate what it chooses from."""

    kind: Kind = "number"
    choices: tuple[Any, ...] = ()

    def answer(self, name: str, arguments: tuple[Any, ...], record: Record) -> Any:
        """Return what the function ``name`` returns for these arguments."""
        number = zlib.crc32(repr((name, arguments)).encode())
        match self.kind:
            case "number":
                return number % 1000
            case "text":
                return f"{name}{number % 100}"
            case "list" | "yield":
                return [f"{name}{i}" if number % 2 else i for i in range(number % 4)]
            case "none":
                return None
            case "pair":
                return number % 1000, f"{name}{number % 100}"
            case "wrong count":
                return (number, name, None)[: number % 4] if number % 5 else name
            case "choose":
                return self.choices[number % len(self.choices)]
            case "raise":
                if number % 3:
                    return number % 1000
                record.raised.append(Refused(name))
                raise record.raised[-1]


def make_function(
    name: str,
    params: tuple[str, ...],
    defaults: Mapping[str, Any],
    behaviour: Behaviour,
    record: Record,
) -> Callable[..., Any]:
    """Return ``def name(params)`` that notes its call in ``record`` and answers by ``behaviour``.

    Parameters with a default stand last, keyword-only if there are others before them.
    """

    def answer(*arguments: Any) -> Any:
        record.calls.append((name, arguments))
        return behaviour.answer(name, arguments, record)

    plain = [p for p in params if p not in defaults]
    defaulted = [f"{p}={defaults[p]!r}" for p in params if p in defaults]
    result = "yield from" if behaviour.kind == "yield" else "return"
    star = ["*"] if plain and defaulted else []
    source = (
        f"def {name}({', '.join([*plain, *star, *defaulted])}):\n"
        f"    {result} answer({', '.join(sorted(params))})\n"
    )
    namespace: dict[str, Any] = {"answer": answer, "__name__": __name__}
    filename = f"<random node {zlib.crc32(source.encode())}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    exec(compile(source, filename, "exec"), namespace)  # noqa: S102  a signature of chosen names
    function: Callable[..., Any] = namespace[name]
    return function
