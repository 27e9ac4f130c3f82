"""What the tests of packages share: wheels built once, and environments made once."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.packaging.environments import (
    Environment,
    Shelf,
    build_everything,
    put_together,
    third_party,
)


@pytest.fixture(scope="session")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every distribution of the workspace, built as it would be for a release."""
    target = tmp_path_factory.mktemp("dist")
    build_everything(target)
    return target


@pytest.fixture(scope="session")
def shelf(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """Our distributions, and all that they need."""
    others = tmp_path_factory.mktemp("others")
    for installed in third_party().values():
        put_together(installed, others)
    return Shelf((dist, others))


@pytest.fixture(scope="session")
def environment_of(
    shelf: Shelf, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Environment]:
    """Make the environment of some requirements; the same requirements, the same environment."""

    @cache
    def environment_of(*requirements: str) -> Environment:
        return shelf.environment(tmp_path_factory.mktemp("environment"), *requirements)

    return environment_of
