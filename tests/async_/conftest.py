import pytest


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """What a test marked ``anyio`` runs on: both."""
    backend: str = request.param
    return backend
