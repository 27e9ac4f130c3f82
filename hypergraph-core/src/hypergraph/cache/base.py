"""What a runner asks of a cache.

Rule of this file: a cache may forget anything at any time, but never answers with something else
than was put under that key.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Final, Protocol, runtime_checkable


class Missing(Enum):
    """The type of `MISS`."""

    MISS = "miss"

    def __repr__(self) -> str:
        return "MISS"


MISS: Final = Missing.MISS
"""What `Cache.get` returns for a key it does not hold; no result is ever equal to it."""


@runtime_checkable
class Cache(Protocol):
    """A store of results by key. Used by many threads at once."""

    def get(self, key: str) -> Any:
        """Return what was put under the key, or `MISS`. May raise `CacheError`: then a miss."""
        ...

    def put(self, key: str, value: Any) -> None:
        """Keep the value. May raise `CacheError`: then it is not kept."""
        ...

    def flush(self) -> None:
        """Make all that was put last. Called at the end of each run."""
        ...
