"""What the tests of the configuration share: a place for a file, a runner, components."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import msgspec

from hypergraph import BaseRunner, Graph, RunnerCapabilities, node
from hypergraph.cache import Cache
from hypergraph.events import Event, EventProcessor
from hypergraph.runners.settings import setting

SECRET = "hunter2"


@node(output_name="double")
def twice(x: int) -> int:
    return 2 * x


GRAPH = Graph([twice], name="doubling")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """A setting that is a table."""

    calls: int
    seconds: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnSettings:
    """One setting of every type that a file can hold."""

    url: str | None = setting(None, help="where to connect")
    mode: Literal["fast", "safe"] = setting("safe", help="how")
    workers: Annotated[int, msgspec.Meta(ge=1)] | None = setting(None, help="how many")
    ratio: float = setting(0.5, help="a share")
    home: Path | None = setting(None, help="a directory")
    tags: tuple[str, ...] = setting((), help="words")
    paths: tuple[Path, ...] = setting((), help="directories")
    extra: Mapping[str, int] | None = setting(None, help="numbers by name")
    limits: Limits | None = setting(None, help="a table")
    anything: Any = setting(None, help="not looked at")
    cache: Cache | None = setting(None, help="where results are kept")
    listeners: tuple[EventProcessor, ...] = setting((), help="who is told")


class Own(BaseRunner):
    """A third party's runner, which keeps what it was made with."""

    name: ClassVar[str] = "own"
    capabilities = RunnerCapabilities()
    settings_class = OwnSettings

    def __init__(self, **settings: Any) -> None:
        self.given = settings

    def run(self, graph: Graph, inputs: Any = None, *, values: Any = None, mark: str = "") -> Any:
        return {"double": inputs["x"] * 2, "mark": mark}

    def map(self, graph: Graph, *args: Any, **options: Any) -> Any:
        return []


class Bare(Own):
    """A runner that publishes no settings."""

    name = "bare"
    settings_class = None


@dataclass(frozen=True)
class Needy:
    """Settings that must be given."""

    url: str = setting(help="where to connect")


class Strict(Own):
    """A runner with a setting that must be given."""

    settings_class = Needy


class Listener:
    """An event processor with options."""

    def __init__(self, level: int = 0, *, words: list[str] | None = None) -> None:
        if level < 0:
            raise ValueError(f"a secret reason: {SECRET}")
        self.level, self.words = level, words

    def on_event(self, event: Event) -> None:
        """Take no notice."""


CALLS: list[str] = []


def function(*args: Any, **options: Any) -> Any:
    """Not a class: it is never called."""
    CALLS.append("called")
    return Own()


class Wrong:
    """A class of no kind: it is never called."""

    def __init__(self) -> None:
        CALLS.append("called")
