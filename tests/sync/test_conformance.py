"""SyncRunner passes the conformance kit."""

import pytest
from hypergraph_runner_sync import SyncRunner

from hypergraph.testing import RunnerSuite


class TestSyncRunner(RunnerSuite):
    @pytest.fixture
    def runner(self):
        return SyncRunner()
