"""Caches: results of nodes, by what the node is and what it was given.

Rule of this room: `MISS` is the only way to say "not here"; `DiskCache` lives in
`hypergraph.cache.disk`, the one module that imports diskcache, and is imported from there.
"""

from hypergraph.cache.base import MISS, Cache
from hypergraph.cache.memory import MemoryCache

__all__ = ["MISS", "Cache", "MemoryCache"]
