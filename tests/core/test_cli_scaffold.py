"""`hypergraph runners new`: which names it takes, what it refuses, and that it overwrites nothing."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from hypergraph.cli import main, scaffold
from hypergraph.cli.errors import UsageError
from hypergraph.cli.scaffold import names
from hypergraph.cli.scaffold.names import Names, names_for
from hypergraph.discovery import Offer

TEMPLATE = Path(scaffold.__file__).parent / "template"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def new(*arguments: str) -> int:
    return main(["runners", "new", *arguments])


def files_in(directory: Path) -> set[str]:
    return {
        file.relative_to(directory).as_posix() for file in directory.rglob("*") if file.is_file()
    }


# --- names --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "name", "module", "class_name"),
    [
        ("my-runner", "my-runner", "my_runner", "MyRunner"),
        ("My_Runner", "my-runner", "my_runner", "MyRunner"),
        ("acme.pool", "acme-pool", "acme_pool", "AcmePoolRunner"),
        ("acme--pool", "acme-pool", "acme_pool", "AcmePoolRunner"),
        ("x", "x", "x", "XRunner"),
        ("pool2", "pool2", "pool2", "Pool2Runner"),
        ("none", "none", "none", "NoneRunner"),
    ],
)
def test_every_name_is_made_from_one(given: str, name: str, module: str, class_name: str) -> None:
    assert names_for(given) == Names(
        name=name, module=module, class_name=class_name, core=">=0.1,<0.2"
    )


@pytest.mark.parametrize(
    ("given", "words"),
    [
        *[(bad, "cannot be the name of a package") for bad in
          ("", "my runner", "x-", "-x", ".x", "_x", "a/b", "../x", "é", "x\n", "a:b", "$module")],
        ("2nd", "begin with a digit"),
        ("class", "a word of Python"),
        ("sync", "keeps that for itself"),
        ("ASYNC", "keeps that for itself"),
        ("dbos-runner", "keeps that for itself"),
        ("hypergraph", "keeps that for itself"),
        ("hypergraph.core", "keeps that for itself"),
        ("hypergraph-runner-daft", "keeps that for itself"),
        ("futures", "its class would be FuturesRunner"),
        ("base-runner", "its class would be BaseRunner"),
        ("json", "there is a module 'json' already"),
        ("winreg", "there is a module 'winreg' already"),
        ("cloudpickle", "there is a module 'cloudpickle' already"),
        ("hypergraph_runner_sync", "keeps that for itself"),
    ],
)  # fmt: skip
def test_a_name_that_is_in_the_way_is_refused(given: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        names_for(given)


def test_the_name_of_a_runner_that_is_installed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    offer = Offer("acme-runners", "1.0", None)
    monkeypatch.setattr(names, "offers", lambda group: {"acme": (offer,)})
    with pytest.raises(UsageError, match="'acme-runners', which is installed, has a runner"):
        names_for("acme")
    assert names_for("acme-two").name == "acme-two"


@pytest.mark.parametrize(
    ("version", "range_"),
    [
        ("0.1.0", ">=0.1,<0.2"),
        ("0.12.3rc1", ">=0.12,<0.13"),
        ("0.2rc1", ">=0.2,<0.3"),
        ("2.5.1", ">=2.5,<3"),
        (None, ">=0.1,<0.2"),
    ],
)
def test_the_versions_of_the_core_follow_from_the_one_that_is_there(
    monkeypatch: pytest.MonkeyPatch, version: str | None, range_: str
) -> None:
    monkeypatch.setattr(names, "installed_version", lambda name: version)
    assert names_for("my-runner").core == range_


# --- files --------------------------------------------------------------------------------------


def test_it_says_the_same_as_json(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert new("acme", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["name"], told["class"]) == ("acme", "AcmeRunner")
    assert set(told["files"]) == files_in(place)
    assert told["next"][-1] == "hypergraph runners check acme"


def test_it_says_what_it_made_and_what_comes_next(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert new("acme") == 0
    said = capsys.readouterr().out.splitlines()
    made = files_in(place)
    assert made == {
        "acme/README.md",
        "acme/pyproject.toml",
        "acme/src/acme/__init__.py",
        "acme/src/acme/py.typed",
        "acme/src/acme/runner.py",
        "acme/tests/test_conformance.py",
    }
    assert {line.strip() for line in said if line.startswith("  acme/")} == made
    assert said[-3:] == [
        "  python -m pip install -e './acme[test]'",
        "  python -m pytest acme",
        "  hypergraph runners check acme",
    ]


def test_nothing_is_left_to_fill_in(place: Path) -> None:
    new("acme-pool")
    for file in files_in(place):
        text = (place / file).read_text(encoding="utf-8")
        assert "$" not in text, file
        assert "my_runner" not in text, file


def test_every_file_of_the_template_is_used() -> None:
    assert {file.name for file in TEMPLATE.iterdir()} == set(scaffold.FILES)


@pytest.mark.parametrize("directory", ["deep/er/here", "with space", "empty"])
def test_it_goes_where_it_is_told(
    place: Path, capsys: pytest.CaptureFixture[str], directory: str
) -> None:
    (place / "empty").mkdir()
    assert new("acme", "--directory", directory) == 0
    assert "pyproject.toml" in files_in(place / directory)
    words = capsys.readouterr().out.splitlines()[-3:-1]
    assert f"'./{directory}[test]'" in words[0]
    assert words[1].split("pytest ")[1].strip("'") == directory


def test_an_absolute_directory_stays_one(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert new("acme", "--directory", str(place / "there")) == 0
    assert f"-e '{place}/there[test]'" in capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], arguments: Sequence[str]) -> str:
    assert new(*arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err


def test_what_is_there_is_not_overwritten(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert new("acme") == 0
    changed = place / "acme" / "README.md"
    changed.write_text("mine")
    capsys.readouterr()
    assert "'acme' is there already, and nothing is overwritten" in refused(capsys, ["acme"])
    assert changed.read_text() == "mine"


def test_a_directory_with_anything_in_it_is_left_alone(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "acme").mkdir()
    (place / "acme" / ".hidden").touch()
    assert "there already" in refused(capsys, ["acme"])
    assert files_in(place) == {"acme/.hidden"}


@pytest.mark.parametrize("directory", ["file", "file/below", "dangling"])
def test_what_is_no_directory_is_refused(
    place: Path, capsys: pytest.CaptureFixture[str], directory: str
) -> None:
    (place / "file").write_text("mine")
    (place / "dangling").symlink_to(place / "nowhere" / "x")
    said = refused(capsys, ["acme", "--directory", directory])
    assert f"'{directory}'" in said
    assert (place / "file").read_text() == "mine"
    assert not (place / "nowhere").exists()


def test_a_name_that_is_too_long_for_a_file_is_refused(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "cannot be written" in refused(capsys, ["a" * 300])


def test_a_refused_name_leaves_nothing_behind(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "keeps that for itself" in refused(capsys, ["sync"])
    assert list(place.iterdir()) == []
