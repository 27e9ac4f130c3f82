"""The reference interpreter passes the kit that it is the measure of."""

import pytest

from hypergraph.testing import ReferenceRunner, RunnerSuite


class TestReferenceRunner(RunnerSuite):
    @pytest.fixture
    def runner(self):
        return ReferenceRunner()
