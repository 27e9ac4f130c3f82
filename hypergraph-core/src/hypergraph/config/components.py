"""Parts of a runner that a configuration names: caches, checkpointers, event processors, serializers.

Rule of this file: a class is imported when it is used, and is one of the right kind before anybody
calls it. What was written instead of a name is never repeated: it may be a secret.
"""

from __future__ import annotations

import importlib
import operator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hypergraph.cache import Cache
from hypergraph.checkpointers import Checkpointer
from hypergraph.configfile import Key
from hypergraph.errors import ConfigError, MissingExtraError, did_you_mean
from hypergraph.events.processor import EventProcessor
from hypergraph.serialization import Serializer


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of component: what one must be able to do, and the short names of ours."""

    protocol: type
    word: str
    names: Mapping[str, str]

    @property
    def fix(self) -> str:
        """How a configuration names one."""
        names = ", ".join(f'"{name}"' for name in self.names)
        return f'write {names} or "package.module:Class", or a table with use = and its options'

    def fits(self, value: Any) -> bool:
        """Say whether a value is such a component already."""
        return isinstance(value, self.protocol) and not isinstance(value, type)

    def find(self, name: str, key: Key) -> type:
        """Return the class of a short name, or of ``"package.module:Class"``. Raises `ConfigError`."""
        path = self.names.get(name, name)
        if ":" not in path:
            hint = did_you_mean(name, self.names)
            raise key.error(f"there is no {self.word} of this name", self.fix, hint)
        found = _imported(path, key)
        if isinstance(found, type) and issubclass(found, self.protocol):
            return found
        methods = [f"{name}()" for name in vars(self.protocol) if not name.startswith("_")]
        problem = f"this is not the class of {_an(self.word)}"
        raise key.error(problem, f"name a class that has {', '.join(methods)}")


KINDS: Mapping[type, Kind] = {
    kind.protocol: kind
    for kind in (
        Kind(
            protocol=Cache,
            word="cache",
            names={
                "memory": "hypergraph.cache:MemoryCache",
                "disk": "hypergraph.cache.disk:DiskCache",
            },
        ),
        Kind(
            protocol=Checkpointer,
            word="checkpointer",
            names={
                "memory": "hypergraph.checkpointers:MemoryCheckpointer",
                "sqlite": "hypergraph.checkpointers:SqliteCheckpointer",
            },
        ),
        Kind(
            protocol=EventProcessor,
            word="event processor",
            names={
                "rich": "hypergraph.extras.rich_progress:RichProgress",
                "otel": "hypergraph.extras.otel:OpenTelemetryProcessor",
            },
        ),
        Kind(
            protocol=Serializer,
            word="serializer",
            names={"json": "hypergraph.serialization:JsonSerializer"},
        ),
    )
}
"""The kinds by the type that a setting has."""


def _imported(path: str, key: Key) -> Any:
    """Return what ``"package.module:Class"`` stands for."""
    module, _, attribute = path.partition(":")
    if not all(part.isidentifier() for part in (*module.split("."), *attribute.split("."))):
        raise key.error("this is not the path of a class", "write it as 'package.module:Class'")
    try:
        loaded = importlib.import_module(module)
    except MissingExtraError:
        raise
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}."):
            raise _absent("module", key) from None
        raise key.error(
            f"the module fails to import ({type(error).__name__})", "see the cause above"
        ) from error
    try:
        return operator.attrgetter(attribute)(loaded)
    except MissingExtraError:
        raise
    except AttributeError:
        raise _absent("class", key) from None


def _absent(what: str, key: Key) -> ConfigError:
    fix = "install the package, or correct the path: it has the form 'package.module:Class'"
    return key.error(f"there is no {what} of this name", fix)


def _an(word: str) -> str:
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"
