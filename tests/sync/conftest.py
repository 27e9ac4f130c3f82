import pytest

from hypergraph_runner_sync import SyncRunner


@pytest.fixture
def runner(request: pytest.FixtureRequest) -> SyncRunner:
    """A fresh runner; of the lane that `in_every_lane` asks for."""
    make = getattr(request, "param", SyncRunner)
    return make()
