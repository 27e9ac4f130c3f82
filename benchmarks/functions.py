"""The plain functions that every contender is given, as modules of real source files.

Rule of this file: a function's parameters are the names of what it needs, its own name is that of what
it makes. They are written to files because some contenders read source text or whole modules.
"""

from __future__ import annotations

import importlib.util
import random
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

Function = Callable[..., Any]
MARKS: list[float] = []


def chain(directory: Path, size: int) -> ModuleType:
    """``v1(v0)``, ``v2(v1)``, ...: each adds one. ``by_hand(v0)`` returns all results by name."""
    names = range(1, size + 1)
    lines = [f"def v{i}(v{i - 1}: int) -> int:\n    return v{i - 1} + 1\n" for i in names]
    calls = "".join(f"    x{i} = v{i}(x{i - 1})\n" for i in names)
    lines.append(f"def by_hand(x0):\n{calls}    return {_together('v', 'x', names)}\n")
    return _module(directory, f"chain_{size}", lines)


def wide(directory: Path, size: int) -> ModuleType:
    """One ``source(x)``, ``size`` functions of it, and a ``sink`` that adds them all up."""
    parts = range(size)
    lines = ["def source(x: int) -> int:\n    return x + 1\n"]
    lines += [f"def p{i}(source: int) -> int:\n    return source + {i}\n" for i in parts]
    parameters, listed = ", ".join(f"p{i}: int" for i in parts), ", ".join(f"p{i}" for i in parts)
    lines.append(f"def sink({parameters}) -> int:\n    return sum(({listed}))\n")
    calls = "".join(f"    x{i} = p{i}(s)\n" for i in parts)
    made = ", ".join(f"x{i}" for i in parts)
    lines.append(
        f"def by_hand(x):\n    s = source(x)\n{calls}    t = sink({made})\n"
        f"    return {{'source': s, 'sink': t, **{_together('p', 'x', parts)}}}\n"
    )
    return _module(directory, f"wide_{size}", lines)


def item(directory: Path) -> ModuleType:
    """The three functions of the mapped graph."""
    return _module(
        directory,
        "item",
        [
            "def a(x: int) -> int:\n    return x + 1\n",
            "def b(a: int) -> int:\n    return a * 2\n",
            "def c(a: int, b: int) -> int:\n    return a + b\n",
        ],
    )


def step(directory: Path) -> ModuleType:
    """The body of the loop and what ends it."""
    return _module(
        directory,
        "step",
        [
            "def n(n: int) -> int:\n    return n + 1\n",
            "def again(n: int, stop: int) -> bool:\n    return n < stop\n",
        ],
    )


def large(directory: Path) -> ModuleType:
    """Functions that make ten megabytes, and one that takes them."""
    return _module(
        directory,
        "large",
        [
            "def data(size: int) -> bytes:\n    return bytes(range(250)) * (size // 250)\n",
            "def array(size: int) -> object:\n    import numpy\n    return numpy.arange(size // 8)\n",
            "def length(data: object) -> int:\n    return len(data)\n",
        ],
    )


def async_chain(directory: Path, size: int) -> ModuleType:
    """The same chain of ``async`` functions."""
    names = range(1, size + 1)
    lines = [f"async def v{i}(v{i - 1}: int) -> int:\n    return v{i - 1} + 1\n" for i in names]
    calls = "".join(f"    x{i} = await v{i}(x{i - 1})\n" for i in names)
    lines.append(f"async def by_hand(x0):\n{calls}    return {_together('v', 'x', names)}\n")
    return _module(directory, f"async_chain_{size}", lines)


def async_wide(directory: Path, size: int, seconds: float | None = None) -> ModuleType:
    """``size`` async functions of ``x``, each of which sleeps, if for how long is given."""
    sleep = "" if seconds is None else f"    await asyncio.sleep({seconds})\n"
    lines = ["import asyncio\n"]
    lines += [f"async def p{i}(x: int) -> int:\n{sleep}    return x + {i}\n" for i in range(size)]
    return _module(directory, f"async_wide_{size}", lines)


def async_item(directory: Path) -> ModuleType:
    """The function of the mapped graph, which takes a millisecond."""
    line = "async def y(x: int) -> int:\n    await asyncio.sleep(0.001)\n    return x + 1\n"
    return _module(directory, "async_item", ["import asyncio\n", line])


def stream(directory: Path) -> ModuleType:
    """An async generator and a sync one, which never wait."""
    body = "def {}(size: int) -> str:\n    for _ in range(size):\n        yield 'token '\n"
    lines = ["async " + body.format("text"), body.format("sync_text")]
    return _module(directory, "stream", lines)


def saved_step(directory: Path) -> ModuleType:
    """The body of the loop that is saved, and what ends it. A ``document`` stays as it is; ``MARKS``
    gets the processor time at every 500 rounds."""
    mark = "    if n % 500 == 0:\n        functions.MARKS.append(time.process_time())\n"
    lines = [
        "import time\n\nfrom benchmarks import functions\n",
        f"async def n(n: int, document: str) -> int:\n{mark}    return n + 1\n",
        "def again(n: int, stop: int) -> bool:\n    return n < stop\n",
    ]
    return _module(directory, "saved_step", lines)


def document(size: int) -> str:
    """Text of this length that does not compress to nothing."""
    return random.Random(0).randbytes(size // 2).hex()


def functions_of(module: ModuleType) -> list[Function]:
    """Return the functions of a module in the order they were written, without ``by_hand``."""
    found = [each for name, each in vars(module).items() if callable(each) and name[0] != "_"]
    return [each for each in found if each.__name__ != "by_hand"]


def _together(key: str, variable: str, numbers: Iterable[int]) -> str:
    return "{" + ", ".join(f"'{key}{i}': {variable}{i}" for i in numbers) + "}"


def _module(directory: Path, name: str, lines: list[str]) -> ModuleType:
    """Write a module and import it from its file."""
    path = directory / f"bench_{name}.py"
    if not path.exists():
        path.write_text("\n\n".join(lines), encoding="utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module
