"""AsyncRunner passes the conformance kit, however it is made and on both event loops."""

import pytest

from hypergraph.checkpointers import MemoryCheckpointer
from hypergraph.testing import RunnerSuite
from hypergraph_runner_async import AsyncRunner
from tests.async_.on_trio import OnTrio
from tests.async_.support import Listener


class TestAsyncRunner(RunnerSuite):
    @pytest.fixture
    def runner(self):
        return AsyncRunner()


class TestOnTrio(OnTrio, RunnerSuite):
    @pytest.fixture
    def runner(self):
        return AsyncRunner()


class TestInThreads(RunnerSuite):
    @pytest.fixture
    def runner(self):
        return self.with_options(None)

    def with_options(self, runner, **options):
        return AsyncRunner(sync_nodes="thread", **options)


class TestObservedAndKept(RunnerSuite):
    @pytest.fixture
    def runner(self):
        return AsyncRunner(checkpointer=MemoryCheckpointer(), event_processors=[Listener()])
