"""The program of the demo, function by function: nodes are plain functions, so no runner is needed."""

import sysconfig
from pathlib import Path

import pytest

from hypergraph import END
from hypergraph.cli import main
from hypergraph.cli.demo import library
from hypergraph.cli.demo.library import Entry, collect, has_text, refine, search, weigh, words_of

SOURCE = '''
"""Pots for soup.

And a second paragraph."""

class Pot:
    """Keep soup warm."""

    def stir(self):
        """Stir the soup."""

    def _hidden(self):
        """Not public."""

    def untold(self): ...

async def pourSlowly():
    """Pour."""

if True:
    def conditional():
        """Not at the top."""
'''


def entries() -> list[Entry]:
    return collect(Path("kitchen/pots.py"), SOURCE)


def test_the_program_is_short_enough_to_be_a_tutorial() -> None:
    lines = Path(str(library.__file__)).read_text(encoding="utf-8").splitlines()
    assert len(lines) < 150


def test_the_graph_has_a_mapped_graph_a_gate_and_a_loop() -> None:
    features = library.graph.features
    assert (features.cycles, features.gates) == ("lookup/search", "module/has_text")
    assert library.graph.inputs.required == ("questions",)
    assert library.graph.nodes["module"].map_params == ("files",)
    assert library.module.nodes["has_text"].targets == ("collect", END)


def test_public_functions_and_classes_with_a_docstring_are_collected() -> None:
    assert [(entry.name, entry.place) for entry in entries()] == [
        ("kitchen.pots.Pot", "kitchen/pots.py:6"),
        ("kitchen.pots.Pot.stir", "kitchen/pots.py:9"),
        ("kitchen.pots.pourSlowly", "kitchen/pots.py:17"),
    ]
    assert entries()[0].text == "Keep soup warm."


def test_an_entry_is_found_by_its_text_its_name_and_the_topic_of_its_module() -> None:
    words = entries()[2].words
    assert words["pour"] == 3
    assert words["slowly"] == 2
    assert words["soup"] == 1
    assert "paragraph" not in words


def test_a_package_is_called_by_its_folder() -> None:
    found = collect(Path("kitchen/__init__.py"), 'def cook():\n    """Cook."""')
    assert found[0].name == "kitchen.cook"


@pytest.mark.parametrize(("source", "kept"), [(SOURCE, True), ("x = 1", False), ("", False)])
def test_the_gate_leaves_out_what_has_no_text(source: str, kept: bool) -> None:
    assert has_text.decide(has_text(source)) == (("collect",) if kept else (END,))


def test_words_lose_case_endings_and_what_is_too_common() -> None:
    assert words_of("How do I read the ZipFiles?") == ["i", "read", "zip", "fil"]
    assert words_of("") == []


def test_a_search_finds_what_fits_best_first() -> None:
    index = weigh([entries(), None])
    assert [hit.name for hit in search({"stir": 1.0, "soup": 0.1}, index)][:1] == [
        "kitchen.pots.Pot.stir"
    ]
    assert search({}, index) == []


def test_nothing_is_found_where_nothing_is_documented() -> None:
    index = weigh([None, []])
    assert library.ask("What is soup?", index) == ({}, 0)
    assert search({}, index) == []


def test_a_refined_query_holds_what_the_hits_share_and_doubts_what_they_lack() -> None:
    index = weigh([entries()])
    query, rounds = refine({"pour": 1.0, "stir": 1.0}, 0, entries()[2:], index)
    assert rounds == 1
    assert (query["pour"], query["stir"]) == (1.0, 0.5)
    assert {word: weight for word, weight in query.items() if word not in ("pour", "stir")} == {
        "kitchen": 0.5,
        "pot": 0.5,
    }


def test_the_loop_ends_when_the_hits_agree_or_after_four_rounds() -> None:
    agreed, single = entries(), entries()[:1]
    assert library.good_enough(agreed, 0)
    assert not library.good_enough(single, 3)
    assert library.good_enough(single, 4)
    assert library.good_enough([], 0)


def test_the_modules_of_the_library_are_listed_without_its_tests_and_private_ones() -> None:
    files = {file.as_posix() for file in library.list_files()}
    assert {"json/__init__.py", "json/decoder.py", "functools.py"} <= files
    private = [
        file
        for file in files
        if any(part.startswith("_") and part != "__init__.py" for part in file.split("/"))
    ]
    assert private == []
    folders = {part for file in files for part in file.split("/")[:-1]}
    assert not {"test", "tests", "site-packages", "dist-packages"} & folders
    assert Path(sysconfig.get_path("stdlib"), "json/decoder.py").exists()


def test_the_demo_says_how_to_install_the_runner_it_needs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hypergraph.runners.registry.offers", lambda group: {})
    monkeypatch.setattr("hypergraph.runners.registry.installed_version", lambda name: None)
    assert main(["demo", "--no-cache"]) == 2
    assert "pip install hypergraph-runner-sync" in capsys.readouterr().err
