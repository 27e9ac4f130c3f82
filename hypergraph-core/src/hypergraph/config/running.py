"""Running a graph on the configured runner.

Rule of this file: whichever runner it is, the caller waits for the end and gets a `RunResult`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, get_args, get_type_hints

from hypergraph._deferred import deferred
from hypergraph.config.loading import named_runner
from hypergraph.config.resolving import resolve_runner
from hypergraph.errors import did_you_mean
from hypergraph.graph import Graph
from hypergraph.results import RunResult
from hypergraph.runners.base import BaseRunner, chosen_inputs

_NO_OPTIONS = {"self", "graph", "inputs", "values"}

_run_in_own_loop = deferred("hypergraph.runners.loops:run_in_own_loop")


def run(
    graph: Graph,
    inputs: Mapping[str, Any] | None = None,
    *,
    values: Mapping[str, Any] | None = None,
    runner: BaseRunner | type[BaseRunner] | str | None = None,
    **options: Any,
) -> RunResult:
    """Run a graph once on the configured runner, wait for its end, and return the result.

    ``runner`` is another one than the default: an instance, a class, or a name. A runner that awaits
    gets an event loop of its own; inside a running one that is in another thread, and the running one
    stands still meanwhile: there, ``await`` the runner itself. ``options`` are those of the runner.

    Raises `ConfigError`, ``TypeError`` for an option that the runner does not take, and what the runner
    raises.
    """
    chosen = named_runner(None) if runner is None else resolve_runner(runner)
    given = chosen_inputs(inputs, values)
    _check_options(chosen, options)
    if not chosen.capabilities.returns_coroutine:
        return chosen.as_run_result(chosen.run(graph, given, **options))

    async def whole_run() -> RunResult:
        return chosen.as_run_result(await chosen.run(graph, given, **options))

    result: RunResult = _run_in_own_loop(whole_run)
    return result


def _check_options(runner: BaseRunner, options: Mapping[str, Any]) -> None:
    known = option_names(type(runner).run) if options else None
    for name in options:
        if known is not None and name not in known:
            cls = type(runner).__name__
            raise TypeError(
                f"{cls}, the runner here, takes no option {name!r}.{did_you_mean(name, known)} Its "
                f"options: {', '.join(known) or '(none)'}. Choose another with runner=, or in the "
                "configuration."
            )


@functools.cache
def option_names(method: Callable[..., Any]) -> tuple[str, ...] | None:
    """Return the options that the ``run`` or ``map`` of a class of runners takes; ``None`` if it does
    not tell."""
    found: list[str] = []
    for parameter in inspect.signature(method).parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            try:
                (table,) = get_args(get_type_hints(method)[parameter.name])
                found += get_type_hints(table)
            except Exception:  # it takes anything, or does not tell what
                return None
        elif parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            found.append(parameter.name)
    return tuple(name for name in found if name not in _NO_OPTIONS)
