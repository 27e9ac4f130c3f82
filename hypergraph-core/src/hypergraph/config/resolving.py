"""What may stand wherever a runner is accepted.

Rule of this file: an instance costs nothing; only a name reads the configuration.
"""

from __future__ import annotations

from hypergraph._deferred import deferred
from hypergraph.runners.base import BaseRunner

_named_runner = deferred("hypergraph.config.loading:named_runner")
_runner_class = deferred("hypergraph.runners.registry:runner_class")


def resolve_runner(spec: BaseRunner | type[BaseRunner] | str) -> BaseRunner:
    """Return the runner that ``spec`` stands for.

    An instance is returned as it is, a class is called without arguments, and a name is that of a
    configured runner, of a registered one, or ``"package.module:Class"``. Whoever names a configured
    runner gets the same one, until its configuration changes. Raises `ConfigError`, what
    `hypergraph.runners.get` raises, and `RunnerAPIError` for anything else.
    """
    if isinstance(spec, BaseRunner):
        return spec
    if isinstance(spec, str):
        named: BaseRunner = _named_runner(spec)
        return named
    name = getattr(spec, "__name__", type(spec).__name__)
    made: BaseRunner = _runner_class(spec, name, "runner=")()
    return made
