"""The entry points of the group ``hypergraph.runners`` that installed distributions declare.

Rule of this file: metadata is read and nothing is imported; what cannot be read is left out, and
harms nothing else.
"""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from importlib_metadata import EntryPoint, distributions

GROUP = "hypergraph.runners"


class Offer(NamedTuple):
    """One entry point, with the distribution that declares it."""

    distribution: str
    version: str
    entry_point: EntryPoint

    @property
    def source(self) -> str:
        """The distribution with its version."""
        return f"{self.distribution} {self.version}"


@functools.cache
def offers() -> Mapping[str, tuple[Offer, ...]]:
    """Return every offer by the name of the runner: several, where distributions compete for it."""
    found: dict[str, list[Offer]] = {}
    for offer in _offers():
        found.setdefault(offer.entry_point.name, []).append(offer)
    return {name: tuple(sorted(those, key=_order)) for name, those in found.items()}


def installed_version(name: str) -> str | None:
    """Return the version of an installed distribution, or ``None``."""
    for found in distributions(name=name, path=_search_path()):
        return str(found.version)
    return None


def _order(offer: Offer) -> tuple[str, str]:
    return offer.distribution, offer.entry_point.value


def _search_path() -> list[str]:
    entries: list[Any] = sys.path
    return [entry for entry in entries if isinstance(entry, str)]  # the others imports skip, too


def _offers() -> Iterator[Offer]:
    path = _search_path()
    seen: set[str] = set()
    for candidate in distributions(path=path):
        try:
            # Most distributions have nothing to do with this group: their metadata stays unparsed.
            if GROUP not in (candidate.read_text("entry_points.txt") or ""):
                continue
            name = _normalized(candidate.name)
            if name in seen:
                continue
            seen.add(name)
            # Metadata may stand twice on the path: as for imports, the first one is in force.
            found = next(iter(distributions(name=name, path=path)), candidate)
            points = found.entry_points.select(group=GROUP)
            yield from [Offer(name, found.version, point) for point in points]
        except Exception:  # noqa: S112 - whatever is wrong with it is its own affair
            continue


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
