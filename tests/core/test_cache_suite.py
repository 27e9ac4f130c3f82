"""Every cache of ours does what the suite asks of any."""

import contextlib
import os
import sqlite3

import pytest

from hypergraph import MemoryCache
from hypergraph.cache.disk import DiskCache
from hypergraph.testing import CacheSuite


class TestMemoryCache(CacheSuite):
    @pytest.fixture(params=[None, 100], ids=["all is kept", "100 are kept"])
    def cache(self, request):
        return MemoryCache(request.param)


class TestDiskCache(CacheSuite):
    copies = True

    @pytest.fixture
    def opened(self):
        with contextlib.ExitStack() as stack:
            yield stack

    @pytest.fixture
    def cache(self, tmp_path, opened):
        self.opened = opened
        return opened.enter_context(DiskCache(tmp_path / "cache", key_file=tmp_path / "key"))

    def reopened(self, cache):
        cache.close()
        key_file = cache.path.with_name("key")
        return self.opened.enter_context(DiskCache(cache.path, key_file=key_file))

    def tear(self, cache, key):
        with contextlib.closing(sqlite3.connect(cache.path / "cache.db")) as rows, rows:
            where = "WHERE key = ?", (key,)
            ((name,),) = rows.execute(f"SELECT filename FROM Cache {where[0]}", where[1])
            if name is None:
                rows.execute(f"UPDATE Cache SET value = substr(value, 1, 40) {where[0]}", where[1])
                return
        os.truncate(cache.path / name, 50_000)
