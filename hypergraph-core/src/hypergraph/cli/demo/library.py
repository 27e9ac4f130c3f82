"""A search engine for the documentation of the Python standard library on this machine.

Every step is a plain function, and parameters say by their names where their values come from. One
graph reads a module, and is mapped over all. One looks a question up, in a loop that refines the query.
"""

from __future__ import annotations

import ast
import math
import re
import sys
import sysconfig
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from hypergraph import END, Graph, branch, node

LIBRARY = Path(sysconfig.get_path("stdlib"))
SKIPPED = re.compile(r"(^|/)(_(?!_init__)|tests?/|idlelib/|antigravity|this)")
DEFINITIONS = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
COMMON = re.compile(
    "an?|are|as|at|be|by|can|do|does|for|from|has|how|in|is|its?|my|of|on|or|that|the|to|what|when|which"
)
Query = dict[str, float]  # words, and how much each counts


class Entry(NamedTuple):
    """A documented function or class, and how often each word occurs in what is said of it."""

    name: str
    place: str
    text: str
    words: dict[str, int]


class Index(NamedTuple):
    """All entries, and for each word how well it describes which of them."""

    entries: list[Entry]
    postings: dict[str, dict[int, float]]


def words_of(text: str) -> list[str]:
    """Split a text into the words to search for: in lower case, without their endings."""
    words = re.findall("[a-z]+", re.sub("([a-z])([A-Z])", r"\1 \2", text).lower())
    return [re.sub("(?<=...)(ing|ed|es|s|e)$", "", w) for w in words if not COMMON.fullmatch(w)]


def documented(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, int, str]]:
    """Yield name, line and docstring of every public function and class in a body of code."""
    for item in body:
        if isinstance(item, DEFINITIONS) and not item.name.startswith("_"):
            if text := ast.get_docstring(item):
                yield f"{prefix}.{item.name}", item.lineno, text
            if isinstance(item, ast.ClassDef):
                yield from documented(item.body, f"{prefix}.{item.name}")


@node(output_name="source", cache=False)  # reading a file is as quick as asking the cache for it
def read(file: Path) -> str:
    """Read a module."""
    return (LIBRARY / file).read_text(encoding="utf-8", errors="replace")


@branch(when_true="collect", when_false=END)
def has_text(source: str) -> bool:
    """Leave a module out if it has no docstrings."""
    return '"""' in source


@node(output_name="entries")
def collect(file: Path, source: str) -> list[Entry]:
    """Parse a module and collect what it documents."""
    tree = ast.parse(source)
    module = ".".join(part for part in file.with_suffix("").parts if part != "__init__")
    topic = words_of((ast.get_docstring(tree) or "").partition("\n\n")[0])
    return [
        Entry(name, f"{file}:{line}", text, Counter(words_of(text) + 2 * words_of(name) + topic))
        for name, line, text in documented(tree.body, module)
    ]


module = Graph([read, has_text, collect], name="module").select("entries")


@node(output_name="files", cache=False)  # the files may have changed
def list_files() -> list[Path]:
    """List the modules of the standard library."""
    files = [file.relative_to(LIBRARY) for file in LIBRARY.glob("*.py")]
    for folder in sys.stdlib_module_names:
        files += [file.relative_to(LIBRARY) for file in (LIBRARY / folder).rglob("*.py")]
    return sorted(file for file in files if not SKIPPED.search(file.as_posix()))


@node(output_name="index", cache=False)  # weighing is as quick as asking the cache
def weigh(entries: list[list[Entry] | None]) -> Index:
    """Weigh each word of each entry (Okapi BM25); modules that were left out have no entries."""
    found = [entry for of_module in entries if of_module for entry in of_module]
    spread = Counter(word for entry in found for word in entry.words)
    length = sum(sum(entry.words.values()) for entry in found) / (len(found) or 1)
    postings: dict[str, dict[int, float]] = {word: {} for word in spread}
    for number, entry in enumerate(found):
        penalty = 0.3 + 0.9 * sum(entry.words.values()) / length
        for word, count in entry.words.items():
            rarity = math.log(1 + len(found) / spread[word])
            postings[word][number] = rarity * count * 2.2 / (count + penalty)
    return Index(found, postings)


@node(output_name=("query", "rounds"), cache=False)
def ask(question: str, index: Index) -> tuple[Query, int]:
    """Turn a question into a first query."""
    return {word: 1.0 for word in words_of(question) if word in index.postings}, 0


@node(output_name="hits", cache=False)  # searching an index is quicker than comparing it
def search(query: Query, index: Index) -> list[Entry]:
    """Find the five entries that fit the query best."""
    scores: Counter[int] = Counter()
    for word, weight in query.items():
        scores.update({n: weight * score for n, score in index.postings[word].items()})
    return [index.entries[number] for number, _ in scores.most_common(5)]


@branch(when_true=END, when_false="refine")
def good_enough(hits: list[Entry], rounds: int) -> bool:
    """Be content when three of the five hits lie in one module, or after four rounds."""
    modules = Counter(hit.name.partition(".")[0] for hit in hits)
    return rounds == 4 or not hits or max(modules.values()) >= 3


@node(output_name=("query", "rounds"), cache=False)
def refine(query: Query, rounds: int, hits: list[Entry], index: Index) -> tuple[Query, int]:
    """Add two words that are typical of the best hits, and trust words less that are in none."""
    shared = Counter(word for hit in hits[:3] for word in hit.words)
    typical = sorted(shared, key=lambda word: len(index.postings[word]) / shared[word] ** 3)
    added = [word for word in typical if word not in query and len(index.postings[word]) > 2][:2]
    kept = {word: weight if word in shared else weight / 2 for word, weight in query.items()}
    return kept | dict.fromkeys(added, 0.5), rounds + 1


lookup = Graph([ask, search, good_enough, refine], name="lookup").select("hits", "rounds")
modules = module.as_node().with_inputs(file="files").map_over("files")
lookups = lookup.as_node().with_inputs(question="questions").map_over("questions")
graph = Graph([list_files, modules, weigh, lookups], name="library")
