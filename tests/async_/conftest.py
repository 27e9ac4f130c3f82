import pytest

from hypergraph_runner_async import AsyncRunner


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """What a test marked ``anyio`` runs on: both."""
    backend: str = request.param
    return backend


@pytest.fixture
def runner(request: pytest.FixtureRequest) -> AsyncRunner:
    """A fresh runner; of the lane that `in_every_lane` asks for."""
    make = getattr(request, "param", AsyncRunner)
    runner: AsyncRunner = make()
    return runner
