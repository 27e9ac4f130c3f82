"""Generators: what a node yields becomes one value."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hypergraph.graph import Graph
from hypergraph.nodes import node
from hypergraph.runners.base import BaseRunner
from hypergraph.testing.kit import cases
from hypergraph.testing.suite.base import RunnerRules


@node(output_name="out")
def chunks(items: list[Any]) -> Iterator[Any]:
    yield from items


@node(output_name="out")
def words(items: list[Any]) -> Iterator[str]:
    yield from items


@node(output_name="out")
def blobs(items: list[Any]) -> Iterator[bytes]:
    yield from items


@node(output_name=("first", "second"))
def two(items: list[Any]) -> Iterator[Any]:
    yield from items


class GeneratorRules(RunnerRules):
    """Nodes that yield."""

    group = "generators"

    @cases(
        ("items", "expected"),
        [
            (["a", "b"], "ab"),
            ([b"a", b"b"], b"ab"),
            (["a", 1], ["a", 1]),
            (["a", b"b"], ["a", b"b"]),
            ([1, 2], [1, 2]),
            ([None], [None]),
            ([], []),
        ],
        ids=repr,
    )
    def test_chunks_are_joined_if_all_are_text_or_all_bytes(
        self, runner: BaseRunner, items: list[Any], expected: Any
    ) -> None:
        assert self.run_graph(runner, Graph([chunks]), {"items": items}) == {"out": expected}

    def test_no_chunk_at_all_gives_what_the_annotation_says(self, runner: BaseRunner) -> None:
        assert self.run_graph(runner, Graph([words]), {"items": []}) == {"out": ""}
        assert self.run_graph(runner, Graph([blobs]), {"items": []}) == {"out": b""}

    def test_several_outputs_are_unpacked_from_the_chunks(self, runner: BaseRunner) -> None:
        outputs = self.run_graph(runner, Graph([two]), {"items": [1, 2]})
        assert outputs == {"first": 1, "second": 2}
