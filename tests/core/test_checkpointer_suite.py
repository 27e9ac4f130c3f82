"""Every store of ours does what the suite asks of any."""

import pytest

from hypergraph.checkpointers import MemoryCheckpointer, SqliteCheckpointer
from hypergraph.serialization import JsonSerializer
from hypergraph.testing import CheckpointerSuite


class TestMemoryCheckpointer(CheckpointerSuite):
    @pytest.fixture
    def checkpointer(self):
        return MemoryCheckpointer()


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
class TestSqliteCheckpointer(CheckpointerSuite):
    @pytest.fixture
    def checkpointer(self, tmp_path, durability):
        key = tmp_path / "key"
        path = tmp_path / "runs.db"
        with SqliteCheckpointer(path, durability=durability, key_file=key) as checkpointer:
            yield checkpointer


class TestSqliteCheckpointerWithJson(CheckpointerSuite):
    @pytest.fixture
    def checkpointer(self, tmp_path):
        with SqliteCheckpointer(tmp_path / "runs.db", serializer=JsonSerializer()) as checkpointer:
            yield checkpointer
