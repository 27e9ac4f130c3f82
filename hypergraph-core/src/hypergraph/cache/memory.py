"""Results kept in this process.

Rule of this file: values are kept by reference, so a hit is the very object that was computed.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

from hypergraph.cache.base import MISS


class MemoryCache:
    """Keeps results in this process, by reference, for as long as the cache lives.

    ``max_items``: how many results to keep; beyond it, the least recently used goes first. ``None``
    keeps all. Threads may share one. Raises `ValueError` if ``max_items`` is less than 1.
    """

    def __init__(self, max_items: int | None = None) -> None:
        if max_items is not None and not isinstance(max_items, int):
            raise TypeError(f"max_items is a number of results, not a {type(max_items).__name__}")
        if max_items is not None and max_items < 1:
            raise ValueError(f"max_items must be at least 1 or None, not {max_items}")
        self._max_items = max_items
        self._items: OrderedDict[str, Any] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def max_items(self) -> int | None:
        """How many results are kept at most; ``None``: all."""
        return self._max_items

    def get(self, key: str) -> Any:
        """Return the object that was put under the key, or `MISS`."""
        if self._max_items is None:
            return self._items.get(key, MISS)  # one dict operation: needs no lock
        with self._lock:
            value = self._items.get(key, MISS)
            if value is not MISS:
                self._items.move_to_end(key)
            return value

    def put(self, key: str, value: Any) -> None:
        """Keep the object itself, not a copy."""
        if self._max_items is None:
            self._items[key] = value
            return
        with self._lock:
            self._items[key] = value
            self._items.move_to_end(key)
            if len(self._items) > self._max_items:
                self._items.popitem(last=False)

    def flush(self) -> None:
        """Do nothing: everything is kept already."""

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._items.clear()

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return f"<MemoryCache max_items={self._max_items}, {len(self)} kept>"
