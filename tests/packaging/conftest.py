"""What the tests of packages share: wheels built once, and environments made once."""

import shutil
from collections.abc import Callable, Iterator
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
def shelf(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    """Our distributions, and all that they need."""
    others = tmp_path_factory.mktemp("others")
    for installed in third_party().values():
        put_together(installed, others)
    yield Shelf((dist, others))
    shutil.rmtree(others)


@pytest.fixture(scope="session")
def environment_of(
    shelf: Shelf, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Environment]]:
    """Make the environment of some requirements; the same requirements, the same environment."""
    places = tmp_path_factory.mktemp("environments")

    @cache
    def environment_of(*requirements: str) -> Environment:
        place = places / str(environment_of.cache_info().currsize)
        return shelf.environment(place, *requirements)

    yield environment_of
    shutil.rmtree(places)  # pytest would keep them, and they are large
