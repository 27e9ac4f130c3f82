"""The contract between hypergraph and a runner.

Rule of this file: a runner declares its capabilities and offers `run` and `map`; everything else
that hypergraph asks of it has a default here that is built on these three.
"""

from __future__ import annotations

import inspect
import re
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import fields
from typing import Any, ClassVar, Self

from hypergraph.capabilities import HasFeatures, RunnerCapabilities
from hypergraph.errors import RunnerAPIError
from hypergraph.execution.context import Context
from hypergraph.graph import Graph
from hypergraph.hooks import begin_run, in_force
from hypergraph.results import RunResult

RUNNER_API_VERSION = (1, 0)
"""The version of this contract: the major number grows when a runner has to change."""

_HANDED_DOWN = {"event_processors": (), "session_id": None, "max_iterations": 1000}
_CLAUSE = re.compile(r"(>=|<)(\d+)(?:\.(\d+))?")


def chosen_inputs(
    inputs: Mapping[str, Any] | None, values: Mapping[str, Any] | None
) -> Mapping[str, Any]:
    """Return the inputs of a run, which go by both words: ``inputs`` and ``values``.

    Neither is the same as an empty mapping. Raises ``TypeError`` for both at once and for anything
    that is not a mapping.
    """
    if values is not None:
        if inputs is not None:
            raise TypeError("give the inputs once: as inputs= or as values=, not both")
        inputs = values
    elif inputs is None:
        return {}
    if type(inputs) is dict or isinstance(inputs, Mapping):
        return inputs
    raise TypeError(f"inputs must be a mapping of names to values, not {type(inputs).__name__}")


def supports_runner_api(specifier: str) -> bool:
    """Tell whether a runner that declares ``specifier`` fits this version of the contract.

    A specifier is one or more of ``>=N``, ``>=N.M``, ``<N`` and ``<N.M``, separated by commas; all
    of them must hold. Raises ``ValueError`` for any other text.
    """
    fits = True
    for text in specifier.split(","):
        clause = _CLAUSE.fullmatch(text.strip())
        if clause is None:
            raise ValueError(f"{specifier!r} is not of the form '>=1,<2'")
        reached = (int(clause[2]), int(clause[3] or 0)) <= RUNNER_API_VERSION
        fits = fits and reached is (clause[1] == ">=")
    return fits


def _taken(run: Callable[..., Any], context: Context) -> dict[str, Any]:
    """Return the options of the outer run, as far as they say something, that a nested ``run`` takes."""
    parameters = inspect.signature(run).parameters
    takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    return {
        name: value
        for name, default in _HANDED_DOWN.items()
        if (takes_all or name in parameters) and (value := getattr(context, name)) != default
    }


def _abstract_attribute() -> Any:
    """Return a value that every concrete subclass must replace, by an attribute or a property."""

    def missing(self: Any) -> Any:
        raise NotImplementedError

    return property(abstractmethod(missing))


class BaseRunner(ABC):
    """Base of every runner. A subclass says what it can do, and implements `run` and `map`.

    ``name`` is what the runner calls itself (default: the name of the class). ``runner_api`` is the
    range of contract versions that it was written for; its default stays ``">=1,<2"`` for ever, so
    that a runner that says nothing is never taken for a newer one. ``capabilities`` is a class
    attribute, or a property where it depends on how the runner was made. ``settings_class`` is a frozen
    dataclass of what a configuration may say, or ``None`` if that is nothing.
    """

    name: ClassVar[str]
    runner_api: ClassVar[str] = ">=1,<2"
    capabilities: RunnerCapabilities = _abstract_attribute()
    settings_class: ClassVar[type | None] = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "name" not in cls.__dict__:
            cls.name = cls.__name__

    @classmethod
    def from_settings(cls, settings: Any) -> Self:
        """Return a runner made from settings, an instance of ``settings_class``.

        This default hands every field that is not at its default to the constructor, by name.
        """
        given = {field.name: getattr(settings, field.name) for field in fields(settings)}
        defaults = {field.name: field.default for field in fields(settings)}
        return cls(**{name: v for name, v in given.items() if v is not defaults[name]})

    @abstractmethod
    def run(self, graph: Graph, *args: Any, **options: Any) -> Any:
        """Run the graph once. The type of the result varies by runner.

        Every runner takes the inputs as ``run(graph, inputs=None, *, values=None, **options)`` and
        chooses between the two words with `chosen_inputs`; options are its own.
        """

    @abstractmethod
    def map(self, graph: Graph, *args: Any, **options: Any) -> Any:
        """Run the graph once per item. The type of the result varies by runner.

        Every runner takes ``map(graph, inputs=None, *, values=None, map_over, map_mode="zip",
        **options)``, where ``map_over`` is the name, or the names, of the inputs to iterate.
        """

    def validate(self, graph: HasFeatures) -> None:
        """Return if this runner can run the graph, and all plugins accept it.

        To be called when a run begins. Raises `IncompatibleRunnerError`, and what a plugin raises.
        """
        self.capabilities.validate_graph(graph, runner=type(self).__name__)
        if in_force.asks:
            begin_run(graph, self)

    def execute(
        self,
        graph: Graph,
        values: Mapping[str, Any],
        context: Context,
    ) -> RunResult | Awaitable[RunResult]:
        """Run a nested graph on behalf of another runner.

        ``context`` is what the outer run hands down, a `Context`. This default goes through the public
        ``run()``, with those of the outer run's options that it takes (``event_processors``,
        ``session_id``, ``max_iterations``; all of them where it takes ``**options``). Its result may be
        a `RunResult` or a mapping of outputs, awaited if the capabilities say so. Raises
        `RunnerAPIError` for any other result.
        """
        options = _taken(self.run, context)
        result = self.run(graph, {**values, **context.answers}, **options)
        if self.capabilities.returns_coroutine:
            return self._awaited(result)
        return self.as_run_result(result)

    async def _awaited(self, result: Any) -> RunResult:
        if not isinstance(result, Awaitable):
            raise self._unusable(result, "declare returns_coroutine=False, or make run() async")
        return self.as_run_result(await result)

    def as_run_result(self, result: Any) -> RunResult:
        """Return what ``run()`` gave as a `RunResult`; raises `RunnerAPIError` if it has no outputs."""
        if isinstance(result, RunResult):
            return result
        if isinstance(result, Mapping):
            return RunResult(values=dict(result))
        raise self._unusable(
            result, f"return a mapping or a RunResult, or override {type(self).__name__}.execute()"
        )

    def _unusable(self, result: Any, fix: str) -> RunnerAPIError:
        runner = type(self).__name__
        return RunnerAPIError(
            f"{runner}.run() returned {type(result).__name__}, which holds no outputs.",
            where=f"runner {self.name!r}",
            fix=fix,
            name=self.name,
        )
