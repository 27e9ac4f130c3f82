"""SyncRunner passes the conformance kit."""

import pytest

from hypergraph.testing import RunnerSuite
from hypergraph_runner_sync import SyncRunner


class TestSyncRunner(RunnerSuite):
    @pytest.fixture
    def runner(self):
        return SyncRunner()
