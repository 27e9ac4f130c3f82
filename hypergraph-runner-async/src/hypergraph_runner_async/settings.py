"""What a configuration may say of an ``AsyncRunner``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec

from hypergraph.checkpointers import Checkpointer
from hypergraph.runners.settings import EngineSettings, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class AsyncSettings(EngineSettings):
    """The settings of an ``AsyncRunner``: arguments of its constructor, by the same names."""

    checkpointer: Checkpointer | None = setting(None, help="where runs are kept, to be resumed")
    sync_nodes: Literal["inline", "thread"] = setting(
        "inline", help="where plain functions run: on the event loop, or each in a worker thread"
    )
    max_concurrency: Annotated[int, msgspec.Meta(ge=1)] | None = setting(
        None, help="how many functions of nodes are under way at once in a run, if it does not say"
    )
