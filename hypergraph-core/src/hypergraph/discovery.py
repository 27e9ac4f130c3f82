"""The entry points that installed distributions declare for hypergraph, by group.

Rule of this file: metadata is read and nothing is imported; what cannot be read is left out, and
harms nothing else.

That no distribution mentions a group is what most programs need to know, so it is found out by
listing directories. The library that reads metadata is imported when one does.
"""

from __future__ import annotations

import functools
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING, Any, NamedTuple

from hypergraph._deferred import deferred

if TYPE_CHECKING:
    from importlib_metadata import EntryPoint

_distributions = deferred("importlib_metadata:distributions")
_METADATA = (".dist-info", ".egg-info")


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
def offers(group: str) -> Mapping[str, tuple[Offer, ...]]:
    """Return every offer of a group by its name: several, where distributions compete for it.

    What is installed is read once; `forget` makes the next call read it again.
    """
    found: dict[str, list[Offer]] = {}
    if _mentioned(group):
        for offer in _offers(group):
            found.setdefault(offer.entry_point.name, []).append(offer)
    return {name: tuple(sorted(those, key=_order)) for name, those in found.items()}


def forget() -> None:
    """Read again, when it is next asked for, what is installed."""
    offers.cache_clear()


def installed_version(name: str) -> str | None:
    """Return the version of an installed distribution, or ``None``."""
    for found in _distributions(name=name, path=_search_path()):
        return str(found.version)
    return None


def requires_python(name: str) -> str | None:
    """Return the versions of Python that an installed distribution declares, such as ``>=3.11``."""
    for found in _distributions(name=name, path=_search_path()):
        try:
            return found.metadata.get("Requires-Python")  # type: ignore[no-any-return]
        except Exception:
            return None
    return None


def _order(offer: Offer) -> tuple[str, str]:
    return offer.distribution, offer.entry_point.value


def _search_path() -> list[str]:
    entries: list[Any] = sys.path
    return [entry for entry in entries if isinstance(entry, str)]  # the others imports skip, too


def _offers(group: str) -> Iterator[Offer]:
    path = _search_path()
    seen: set[str] = set()
    for candidate in _distributions(path=path):
        try:
            # Most distributions have nothing to do with this group: their metadata stays unparsed.
            if group not in (candidate.read_text("entry_points.txt") or ""):
                continue
            name = normalized(candidate.name)
            if name in seen:
                continue
            seen.add(name)
            # Metadata may stand twice on the path: as for imports, the first one is in force.
            found = next(iter(_distributions(name=name, path=path)), candidate)
            points = found.entry_points.select(group=group)
            yield from [Offer(name, found.version, point) for point in points]
        except Exception:  # noqa: S112 - whatever is wrong with it is its own affair
            continue


def normalized(name: str) -> str:
    """Return the one spelling of a distribution's name: ``My.Runner`` is ``my-runner``."""
    return re.sub(r"[-_.]+", "-", name).lower()


# --- whether anybody mentions a group -----------------------------------------------------------


def _mentioned(group: str) -> bool:
    """Say whether metadata on the path may mention a group: false only where none does."""
    if not all(map(_known, sys.meta_path)):
        return True
    sought = group.encode()
    for entry in dict.fromkeys(_search_path()):
        try:
            names = os.listdir(entry or ".")
        except NotADirectoryError:
            return True  # an archive
        except (OSError, ValueError):
            continue
        if any(sought in _read(file) for file in _files(entry, names)):
            return True
    return False


def _known(finder: object) -> bool:
    """Say whether a finder finds no distributions but those in the directories of the path."""
    if finder is PathFinder or not hasattr(finder, "find_distributions"):
        return True
    return type(finder).__module__ == "importlib_metadata"


def _files(entry: str, names: Iterable[str]) -> Iterator[str]:
    """Yield where a directory of the path may hold entry points."""
    egg = entry.lower().endswith(".egg")
    for name in names:
        low = name.lower()
        if low.endswith(_METADATA) or (egg and low == "egg-info"):
            yield os.path.join(entry, name, "entry_points.txt")


def _read(file: str) -> bytes:
    try:
        with open(file, "rb", buffering=0) as opened:
            return opened.read()
    except (OSError, ValueError):
        return b""
