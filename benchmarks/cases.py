"""What is measured: every case with its unit and its target.

Rule of this file: a case says what is done and what the answer must be; how a contender does it is
written in `contenders`. Only the standard library, because it is read in every environment.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One row. The measured figure of one call is divided by ``units`` and shown in ``unit``.

    ``kind`` and ``size`` say what a contender prepares, ``target`` what hypergraph may need at most
    in ``unit``, ``against_hand`` how many times what hand-written Python needs. ``figure``: what is
    measured, one of ``FIGURES``. ``peers``: whether the others are asked too, and with what
    ``peer_size`` where the same would take them minutes. ``start_call``: which call of a new process
    counts, if not those of a running one. ``quick``: whether it is part of a quick look.
    """

    name: str
    title: str
    kind: str
    size: int
    units: int = 1
    unit: str = "µs"
    target: float | None = None
    against_hand: float | None = None
    figure: str = "seconds"
    peers: bool = True
    peer_size: int | None = None
    start_call: int = 0
    quick: bool = True


FIGURES = {
    "seconds": "time that passed",
    "cpu": "time on processors, of all threads",
    "lengthening": "how many times the processor time of its first half the second half of a call took",
    "held": "bytes that the result holds",
    "peak": "bytes held at most while it ran",
    "file": "bytes that each unit more adds to the files",
}
ONCE = ("held", "peak", "file")

ITEMS = 10_000
HIT = 100

SYNC = (
    Case(name="chain-1", title="run of one node, per run", kind="chain", size=1, target=5.4),
    Case(name="chain-10", title="chain of 10, per run", kind="chain", size=10, target=9.0),
    Case(name="chain-100", title="chain of 100, per run", kind="chain", size=100, target=45.0),
    Case(name="chain-1000", title="chain of 1000, per run", kind="chain", size=1000, target=405.0),
    Case(name="wide", title="1000 in parallel, per node", kind="wide",
         size=1000, units=1002, target=0.4),
    Case(name="listener-100", title="chain of 100, one listener, per node", kind="listener",
         size=100, units=100, target=2.0, quick=False),
    Case(name="listener", title="chain of 1000, one listener, per node", kind="listener",
         size=1000, units=1000, target=2.0),
    Case(name="loop-1000", title="loop of 1000 rounds, per round", kind="loop",
         size=1000, units=1000, target=1.5),
    Case(name="loop-10000", title="loop of 10000 rounds, per round", kind="loop",
         size=10_000, units=10_000, target=1.5, quick=False),
    Case(name="map-10k", title="map over 10k items, per item", kind="map",
         size=ITEMS, units=ITEMS, target=1.5, peer_size=1000),
    Case(name="map-100k", title="map over 100k items, per item", kind="map",
         size=100_000, units=100_000, target=1.5, peers=False, quick=False),
    Case(name="nested", title="nested 10 deep, per level", kind="nested", size=10, units=10, target=2.0),
    Case(name="nested-map", title="nested map of 1000, per item", kind="nested-map",
         size=1000, units=1000, target=1.5),
    Case(name="hit-memory", title="cache hit in memory, per node", kind="hit-memory",
         size=HIT, units=HIT, target=1.5),
    Case(name="hit-disk", title="cache hit on disk, per node", kind="hit-disk",
         size=HIT, units=HIT, target=10.0),
    Case(name="hit-disk-other", title="the same, put there by another process", kind="hit-disk",
         size=HIT, units=HIT, target=10.0, start_call=2, quick=False),
    Case(name="hit-disk-first", title="and its first run, reading the functions", kind="hit-disk",
         size=HIT, units=HIT, start_call=1, quick=False),
    Case(name="miss-disk", title="cache miss on disk, per node", kind="miss-disk",
         size=HIT, units=HIT, target=60.0),
    Case(name="array-out", title="disk hit that returns 10 MB of numpy", kind="array-out",
         size=10_000_000, unit="ms", target=10.0),
    Case(name="bytes-out", title="disk hit that returns 10 MB of bytes", kind="bytes-out",
         size=10_000_000, unit="ms", target=10.0),
    Case(name="array-in", title="memory hit keyed by 10 MB of numpy", kind="array-in",
         size=10_000_000, unit="ms", target=10.0),
    Case(name="bytes-in", title="memory hit keyed by 10 MB of bytes", kind="bytes-in",
         size=10_000_000, unit="ms", target=10.0),
    Case(name="build-10", title="building a graph of 10, per node", kind="build",
         size=10, units=10, target=6.0),
    Case(name="build-1000", title="building a graph of 1000, per node", kind="build",
         size=1000, units=1000, target=6.0),
    Case(name="build-10000", title="building a graph of 10000, per node", kind="build",
         size=10_000, units=10_000, target=6.0, peers=False),
    Case(name="map-held", title="map over 10k items, bytes held per item", kind="map",
         size=ITEMS, units=ITEMS, unit="B", target=400.0, figure="held", peers=False, quick=False),
    Case(name="map-peak", title="map over 10k items, peak bytes per item", kind="map",
         size=ITEMS, units=ITEMS, unit="B", figure="peak", peers=False, quick=False),
)  # fmt: skip

# A step is one call of a function; a round of the loop has two, what it does and whether it goes on.
ASYNC = (
    Case(name="async-chain", title="chain of 100 async nodes, per node", kind="async-chain",
         size=100, units=100, target=1.5),
    Case(name="async-wide", title="1000 async nodes in parallel, per node", kind="async-wide",
         size=1000, units=1000, against_hand=1.5),
    Case(name="async-limit", title="200 nodes of 10 ms, at most 50 at once", kind="async-limit",
         size=200, unit="ms", target=46.0),
    Case(name="async-map", title="10k items of 1 ms, 100 at once, per item", kind="async-map",
         size=ITEMS, units=ITEMS, against_hand=1.15, peer_size=1000),
    Case(name="async-map-peak", title="the same, peak bytes per item", kind="async-map",
         size=ITEMS, units=ITEMS, unit="B", target=1024.0, figure="peak", peer_size=1000),
    Case(name="stream", title="stream of an async generator, per chunk", kind="stream",
         size=100_000, units=100_000, target=1.0, peer_size=10_000),
    Case(name="stream-sync", title="stream of a sync generator, per chunk", kind="stream-sync",
         size=100_000, units=100_000, target=1.0, peer_size=10_000),
    Case(name="saved-sync", title="loop, each step on disk before the next", kind="saved-sync",
         size=100, units=200, against_hand=1.3),
    Case(name="saved-async", title="loop, saved by a writer thread, per step", kind="saved-async",
         size=500, units=1000, peer_size=50),
    Case(name="saved-cpu", title="the same, processor time per step", kind="saved-async",
         size=500, units=1000, target=40.0, figure="cpu", peer_size=50),
    Case(name="saved-file", title="file per step, beside a state of 1 MB", kind="saved-file",
         size=1000, units=2000, unit="B", target=200.0, figure="file", peer_size=30),
    Case(name="saved-long", title="10k steps: second half against the first", kind="saved-long",
         size=5001, unit="x", target=1.25, figure="lengthening", peers=False, quick=False),
    Case(name="resume", title="resume of 1000 steps, per step", kind="resume",
         size=500, units=1000, target=5.0),
)  # fmt: skip

CASES = SYNC + ASYNC


def case(name: str, size: int | None = None) -> Case:
    """Return the case of this name, of another size if one is given. Raises `KeyError`."""
    for found in CASES:
        if found.name == name:
            if size is None or size == found.size:
                return found
            return replace(found, size=size, units=found.units * size // found.size)
    raise KeyError(f"no case {name!r}; there are: {', '.join(each.name for each in CASES)}")
