"""The options of ``AsyncRunner``, checked before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from hypergraph.errors import InputError, did_you_mean
from hypergraph.execution.answers import response_keys
from hypergraph.graph import Graph
from hypergraph.runners.options import Options, RunOptions, read_options

OnError = Literal["raise", "return", "group"]


class AsyncMapOptions(RunOptions, total=False):
    """The options of ``map``, for type checkers; see `AsyncOptions`."""

    max_concurrency: int | None


class AsyncRunOptions(AsyncMapOptions, total=False):
    """The options of ``run`` and ``iter``, for type checkers; see `AsyncOptions`."""

    workflow_id: str | None
    force_resume: bool
    interrupt_handlers: Mapping[str, Callable[[Any], Any]] | None
    on_error: OnError


@dataclass(frozen=True, slots=True, kw_only=True)
class AsyncOptions(Options):
    """How a graph is run, besides its inputs and what every runner's `Options` say.

    ``max_concurrency``: how many node calls may be in flight over the whole run (no limit by default).
    ``workflow_id``: under which id the checkpointer keeps the run, to resume it and for further turns.
    ``force_resume`` goes on although the graph has changed. ``interrupt_handlers`` answer interrupts, by
    path: functions, sync or async, from what is shown to the answer. ``on_error``: ``"raise"`` the first
    failure, ``"return"`` a result with status ``FAILED`` and the values of the generations before (a
    map: the exception in the item's place), or raise several failures of one generation as a
    ``"group"``.
    """

    max_concurrency: int | None = None
    workflow_id: str | None = None
    force_resume: bool = False
    interrupt_handlers: Mapping[str, Callable[[Any], Any]] | None = None
    on_error: OnError = "raise"


ASYNC_DEFAULTS = AsyncOptions()


def read_async_options(options: Mapping[str, Any], graph: Graph, *, keeps: bool) -> AsyncOptions:
    """Return the options given to a run. ``keeps``: there is a checkpointer.

    Raises ``TypeError`` for one that does not exist, ``InputError`` for a value that does not fit.
    """
    read = read_options(options, graph, AsyncOptions)
    limit = read.max_concurrency
    if limit is not None and (type(limit) is not int or limit < 1):
        raise InputError(
            "max_concurrency is not a positive integer.",
            where=graph.where,
            fix="pass how many calls may be in flight, such as max_concurrency=10, or None.",
        )
    if read.on_error not in ("raise", "return", "group"):
        raise TypeError('on_error must be "raise", "return" or "group"')
    if read.workflow_id is not None:
        _check_workflow_id(read.workflow_id, graph, keeps)
    if read.interrupt_handlers:
        _check_handlers(read.interrupt_handlers, graph)
    return read


def _check_workflow_id(workflow_id: Any, graph: Graph, keeps: bool) -> None:
    if not isinstance(workflow_id, str) or not workflow_id.strip() or not _is_text(workflow_id):
        raise InputError(
            "The workflow_id is not a name.", where=graph.where, fix='write workflow_id="order-1".'
        )
    if not keeps:
        raise InputError(
            "A workflow_id was given, and there is no checkpointer to keep the workflow.",
            where=graph.where,
            fix="make the runner with AsyncRunner(checkpointer=SqliteCheckpointer(path)).",
        )


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:  # half a character
        return False
    return True


def _check_handlers(handlers: Mapping[str, Any], graph: Graph) -> None:
    paths = [path for path, _ in response_keys(graph).values()]
    for path, handler in handlers.items():
        if path not in paths:
            raise InputError(
                f"interrupt_handlers names {path!r}, which is no interrupt."
                f"{did_you_mean(str(path), paths)}",
                where=graph.where,
                fix=f"name one of: {', '.join(paths) or '(the graph has no interrupts)'}.",
            )
        if not callable(handler):
            raise InputError(
                f"The handler of {path!r} cannot be called.",
                where=graph.where,
                fix="give a function from the value that is shown to the answer.",
            )
