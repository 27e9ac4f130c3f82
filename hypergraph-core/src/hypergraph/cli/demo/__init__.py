"""``hypergraph demo``: run the graph of `hypergraph.cli.demo.library`, and say what it took.

Rule of this file: the graph is made when the demo runs, since the command line loads this for its help.
"""

from __future__ import annotations

import argparse
import os
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

from hypergraph._deferred import deferred
from hypergraph.cache import MISS
from hypergraph.cli.progress import progress
from hypergraph.cli.timing import Timings
from hypergraph.errors import CacheError, KeyFileError, MissingExtraError
from hypergraph.runners import create

QUESTIONS = [
    "How do I make a temporary directory that is removed afterwards?",
    "Which function caches results, so that a slow call is made only once?",
    "How do I measure how long a small piece of code takes?",
    "How do I compare two files line by line?",
    "How do I split a shell command line into words?",
]
_LAST = "hypergraph demo: seconds without the cache"
_import_module = deferred("importlib:import_module")


def add(commands: Any) -> None:
    """Add the command's arguments."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "demo",
        help="search the documentation of the Python standard library",
        description="Build a search index over the documentation of the Python standard library "
        "on this machine, and answer questions from it. A second run comes from the cache.",
    )
    parser.add_argument("question", nargs="*", help="what to look up; default: a few examples")
    parser.add_argument("--cache", metavar="DIR", help="where to keep results")
    parser.add_argument("--no-cache", action="store_true", help="keep no results, and use none")
    parser.add_argument("--fresh", action="store_true", help="forget the results that are kept")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the demo; returns the exit code."""
    library = _import_module("hypergraph.cli.demo.library")
    cache = None if arguments.no_cache else _cache(arguments.cache)
    if cache is not None and arguments.fresh:
        cache.clear()
    timings = Timings()
    runner = create("sync", cache=cache, event_processors=[timings, *progress()])
    print(library.graph.describe(), end="\n\n", flush=True)

    started = time.perf_counter()
    questions = arguments.question or QUESTIONS
    outputs = runner.run(library.graph, {"questions": questions})
    seconds = time.perf_counter() - started

    for question, hits, rounds in zip(questions, outputs["hits"], outputs["rounds"]):
        print(_answer(question, hits[:3], rounds))
    print(f"Files are relative to {library.LIBRARY}\n")
    print(timings.table())
    print(f"\n{_summary(timings, seconds, cache)}")
    return 0


def _cache(directory: str | None) -> Any:
    """Open the cache, or say why there is none."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    try:
        disk = _import_module("hypergraph.cache.disk")
        return disk.DiskCache(directory or home / "hypergraph" / "demo")
    except (MissingExtraError, CacheError, KeyFileError) as error:
        print(f"hypergraph: the demo runs without a cache. {error}", file=sys.stderr)
        return None


def _answer(question: str, entries: list[Any], rounds: int) -> str:
    lines = [f"{question}  (query refined {rounds}x)" if rounds else question]
    for entry in entries:
        summary = textwrap.shorten(entry.text.partition("\n\n")[0], 90, placeholder=" ...")
        lines += [f"  {entry.name}  ({entry.place})", f"      {summary}"]
    return "\n".join(lines if entries else [*lines, "  nothing found"]) + "\n"


def _summary(timings: Timings, seconds: float, cache: Any) -> str:
    """Say what came from the cache, and what a run took that found nothing there."""
    took = f"{timings.runs:,} nodes in {seconds:.1f} s"
    if cache is None:
        return f"{took}, without a cache."
    if not timings.cached:
        cache.put(_LAST, seconds)
        cache.flush()
        return f"{took}. Run it again: the next run comes from the cache in {cache.path}"
    before = cache.get(_LAST)
    saved = f" instead of {before:.1f} s" if before is not MISS else ""
    return f"{took}{saved}: {timings.cached:,} results came from the cache in {cache.path}"
