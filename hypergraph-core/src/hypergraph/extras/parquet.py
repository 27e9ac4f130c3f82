"""Rows of Parquet files.

Rule of this file: rows are read in batches, as plain Python values.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

from hypergraph.errors import MissingExtraError

_arrow: Any
_parquet: Any
try:
    _arrow = importlib.import_module("pyarrow")
    _parquet = importlib.import_module("pyarrow.parquet")
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "pyarrow":
        raise  # pyarrow is there and broken: its own error says more
    raise MissingExtraError(
        "Parquet files need the package pyarrow, which is not installed.",
        fix='pip install "hypergraph-core[parquet]"',
    ) from error


class UnreadableError(Exception):
    """The file is not Parquet, or is damaged."""


def open_parquet(path: str, stack: ExitStack, batch: int) -> tuple[int, Iterator[dict[str, Any]]]:
    """Return how many rows a file has, and the rows; it is closed when the stack is left.

    Raises `UnreadableError`, also while it is read.
    """
    try:
        file = stack.enter_context(_parquet.ParquetFile(path))
    except (OSError, _arrow.ArrowException) as error:
        raise UnreadableError(_said(error)) from None
    return file.metadata.num_rows, _rows(file, batch)


def _rows(file: Any, batch: int) -> Iterator[dict[str, Any]]:
    try:
        for some in file.iter_batches(batch_size=batch):
            yield from some.to_pylist()
    except (OSError, _arrow.ArrowException) as error:
        raise UnreadableError(_said(error)) from None


def _said(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno is not None:
        return error.strerror or "it cannot be read"
    return "not a Parquet file, or a damaged one"
