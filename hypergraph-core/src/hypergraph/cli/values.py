"""Inputs from the command line, and outputs to it.

Rule of this file: a value is JSON where it reads as JSON, and text where it does not, on the way in and
on the way out.
"""

from __future__ import annotations

import json
import pprint
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hypergraph.cli.errors import UsageError

INPUT_HELP = (
    "an input of the graph; VALUE is read as JSON if it is JSON (n=3, flag=true, names='[\"a\"]') and "
    "as text otherwise (to give digits as text: n='\"3\"'). @FILE reads a JSON object of inputs; "
    "may be repeated, the last one counts"
)
LINES = 40  # of one output, for a reader


def read_inputs(arguments: Iterable[str]) -> dict[str, Any]:
    """Return the inputs given by ``NAME=VALUE`` and ``@FILE`` arguments. Raises ``UsageError``."""
    inputs: dict[str, Any] = {}
    for argument in arguments:
        if argument.startswith("@"):
            inputs |= _from_file(argument[1:])
            continue
        name, equals, text = argument.partition("=")
        if not equals or not name.strip():
            # Not shown: it may be a value whose name was forgotten.
            raise UsageError("--input takes NAME=VALUE or @FILE; one of them has no NAME=")
        try:
            inputs[name.strip()] = read_json(text)
        except (ValueError, RecursionError):
            inputs[name.strip()] = text
    return inputs


def _from_file(name: str) -> dict[str, Any]:
    try:
        read = read_json(Path(name).read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"--input @{name}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise UsageError(f"--input @{name}: the file is not UTF-8 text") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--input @{name}: not JSON: {error}") from None
    if not isinstance(read, dict):
        raise UsageError(
            f"--input @{name}: the file holds a JSON {type(read).__name__}, not an object of inputs"
        )
    return read


def read_json(text: str) -> Any:
    """Return what the text says as JSON. Python's own ``NaN`` and ``Infinity`` are no JSON."""
    return json.loads(text, parse_constant=_refuse_constant)


def _refuse_constant(word: str) -> Any:
    raise ValueError(f"{word} is not a JSON value")


def as_json(outputs: Mapping[str, Any]) -> str:
    """Return the outputs as a JSON object. Raises ``UsageError`` naming one that JSON cannot hold."""
    checked_json(outputs)
    return json.dumps(dict(outputs), indent=2)


def checked_json(outputs: Mapping[str, Any], advice: str = "leave out --json") -> None:
    """Return if JSON can hold the outputs. Raises ``UsageError`` naming one that it cannot."""
    for name, value in outputs.items():
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            kind = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
            article = "an" if kind[0].lower() in "aeiou" else "a"
            raise UsageError(
                f"output {name!r} is {article} {kind} that JSON cannot hold ({error}); "
                f"--select other outputs, or {advice}"
            ) from None


def as_text(outputs: Mapping[str, Any]) -> str:
    """Return the outputs for a reader: ``name: value``, or the value indented below its name."""
    if not outputs:
        return "(no outputs)"
    width = shutil.get_terminal_size().columns
    blocks = []
    for name, value in outputs.items():
        text = value if isinstance(value, str) else pretty(value, width - 4)
        if "\n" not in text and len(name) + 2 + len(text) <= max(width, 80):
            blocks.append(f"{name}: {text}")
            continue
        lines = text.splitlines()
        if len(lines) > LINES:
            lines[LINES - 1 :] = [
                f"... {len(lines) - LINES + 1} more lines; --json prints them all"
            ]
        blocks.append("\n".join([f"{name}:", *(f"  {line}".rstrip() for line in lines)]))
    return "\n".join(blocks)


def pretty(value: Any, width: int = 80) -> str:
    """Return a value over as many lines as it needs."""
    try:
        return pprint.pformat(value, width=max(width, 40), sort_dicts=False)
    except Exception as error:  # the value's own repr may raise anything
        return f"<a {type(value).__name__} whose repr() raises {type(error).__name__}>"
