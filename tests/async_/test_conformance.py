"""AsyncRunner passes the conformance kit, however it is made and on both event loops."""

import anyio
import anyio.lowlevel
import pytest

from hypergraph.checkpointers import MemoryCheckpointer
from hypergraph.testing import RunnerSuite
from hypergraph_runner_async import AsyncRunner
from tests.async_.support import Listener


class TestAsyncRunner(RunnerSuite):
    @pytest.fixture
    def runner(self):
        return AsyncRunner()


class TestOnTrio(RunnerSuite):
    @pytest.fixture
    def runner(self):
        return AsyncRunner()

    def in_event_loop(self, main):
        return anyio.run(main, backend="trio")

    async def pause(self):
        await anyio.lowlevel.checkpoint()


class TestObservedAndKept(RunnerSuite):
    @pytest.fixture
    def runner(self):
        return AsyncRunner(checkpointer=MemoryCheckpointer(), event_processors=[Listener()])
