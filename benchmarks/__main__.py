"""``python -m benchmarks``: measure, and print the tables."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import measure
from benchmarks.cases import ASYNC, CASES, SYNC, Case
from benchmarks.environments import OURS, PEERS, python_of
from benchmarks.process import Process, processes
from benchmarks.report import Row, as_text, machine, write_json

IMPORTS = {
    "import hypergraph, over bare Python": ("import hypergraph", 40.0),
    "import of what a first graph needs": ("from hypergraph import Graph, SyncRunner, node", None),
}
PEER_IMPORTS = {
    "pipefunc": "from pipefunc import PipeFunc, Pipeline",
    "hamilton": "from hamilton import driver",
    "langgraph": "from langgraph.graph import StateGraph",
    "burr": "from burr.core import ApplicationBuilder, action",
    "pydantic_graph": "from pydantic_graph import GraphBuilder",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks; returns the exit status."""
    options = _options(arguments)
    contenders = [name for name in (*OURS, *PEERS) if name in options.only]
    pythons = {}
    for name in contenders:
        try:
            pythons[name] = python_of(name)
        except subprocess.CalledProcessError:
            print(f"{name} could not be installed and is left out", file=sys.stderr)
    effort = measure.QUICK if options.quick else measure.Effort()
    wanted = [case for case in CASES if _wanted(case, options)]
    with processes(pythons) as workers:
        rows = {case: _measured(case, workers, effort) for case in wanted}
    tables = [[rows[case] for case in group if case in rows] for group in (SYNC, ASYNC)]
    if not options.case:
        tables.append(_imports(pythons, effort))
    print("\n\n".join(as_text(table, list(pythons)) for table in tables if table))
    modules = []
    if "hypergraph" in pythons:
        modules = measure.loaded_modules(pythons["hypergraph"], "import hypergraph")
        print(f"\n`import hypergraph` loads: {', '.join(modules)}")
    print(
        f"{machine()}; medians of {effort.rounds} interleaved rounds; cpu: what of it was spent on a "
        "processor; (x2): takes twice as long as hypergraph, by the rounds one after the other"
    )
    if options.json:
        write_json(options.json, [row for table in tables for row in table], modules)
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=main.__doc__)
    everybody = [*OURS, *PEERS]
    parser.add_argument("--only", nargs="+", choices=everybody, default=everybody, metavar="NAME",
                        help=f"measure only these: {', '.join(everybody)}")  # fmt: skip
    parser.add_argument("--case", nargs="+", choices=[case.name for case in CASES], metavar="NAME",
                        help=f"only these cases: {', '.join(c.name for c in CASES)}")  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every round to a file")
    return parser.parse_args(arguments)


def _wanted(case: Case, options: argparse.Namespace) -> bool:
    if options.case:
        return case.name in options.case
    return case.quick or not options.quick


def _measured(case: Case, workers: dict[str, Process], effort: measure.Effort) -> Row:
    print(f"measuring: {case.title}", file=sys.stderr, flush=True)
    results = measure.measure(case, workers, effort)
    for name, result in results.items():
        if result.why:
            print(f"    {name}: {result.cannot}: {result.why}", file=sys.stderr, flush=True)
    return Row(
        title=case.title,
        unit=case.unit,
        target=case.target,
        against_hand=case.against_hand,
        results=results,
    )


def _imports(pythons: dict[str, Path], effort: measure.Effort) -> list[Row]:
    print("measuring: imports", file=sys.stderr, flush=True)
    peers = {n: (python, PEER_IMPORTS[n]) for n, python in pythons.items() if n in PEER_IMPORTS}
    asked = dict(peers)
    if "hypergraph" in pythons:
        asked |= {t: (pythons["hypergraph"], statement) for t, (statement, _) in IMPORTS.items()}
    found = measure.measure_starts(asked, effort)
    rows = []
    for title, (_, target) in IMPORTS.items():
        results = {"hypergraph": found[title]} if title in found else {}
        if target is None:
            results |= {name: found[name] for name in peers}
        rows.append(Row(title=title, unit="ms", target=target, results=results))
    return rows


if __name__ == "__main__":
    sys.exit(main())
