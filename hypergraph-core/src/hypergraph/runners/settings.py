"""What a runner can be told by a configuration.

Rule of this file: settings are a frozen dataclass, from which keys and types are checked and the
reference is written; they hold values and do nothing.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from hypergraph.cache import Cache
from hypergraph.events.processor import EventProcessor


def setting(default: Any = dataclasses.MISSING, *, help: str) -> Any:  # noqa: A002 - as argparse has it
    """Return a field of a settings class. ``help``: what it means, for the reference.

    A setting without a default must be given. None is shown in the representation of the settings:
    its value may be a secret.
    """
    return dataclasses.field(default=default, repr=False, metadata={"help": help})


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """The settings of every runner that carries out the flows of the engine."""

    cache: Cache | None = setting(None, help="where results of nodes are kept")
    event_processors: tuple[EventProcessor, ...] = setting((), help="what is told of every event")
