"""What goes to the package index: what every wheel and sdist holds, and what it says of itself."""

import email
import email.message
import re
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from tests.packaging.environments import CORE, PACKAGES, PROJECTS, ROOT, RUNNERS, succeed

PYTHONS = ["3.11", "3.12", "3.13"]
COMMANDS = {"hypergraph": "hypergraph.cli:main"}
MAKE_WHEEL = "import sys; from hatchling.build import build_wheel; build_wheel(sys.argv[1])"


def stem(name: str) -> str:
    return f"{name.replace('-', '_')}-{PROJECTS[name]['version']}"


def wheel(dist: Path, name: str) -> Path:
    return dist / f"{stem(name)}-py3-none-any.whl"


def contents(file: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def metadata(dist: Path, name: str) -> email.message.Message:
    held = contents(wheel(dist, name))
    return email.message_from_bytes(held[f"{stem(name)}.dist-info/METADATA"])


def requirements(dist: Path, name: str) -> dict[str, Requirement]:
    """What a distribution needs, without its extras."""
    lines = metadata(dist, name).get_all("Requires-Dist", failobj=[])
    needed = [one for one in map(Requirement, lines) if "extra" not in str(one.marker)]
    return {one.name: one for one in needed}


@pytest.mark.parametrize("name", PROJECTS)
def test_a_wheel_holds_its_package_the_typing_marker_and_the_license_only(
    dist: Path, name: str
) -> None:
    package = PACKAGES[name]
    source = ROOT / name / "src" / package
    expected = {
        f"{package}/{file.relative_to(source).as_posix()}"
        for file in source.rglob("*")
        if file.is_file()
        and not any(
            part.startswith((".", "__pycache__")) for part in file.relative_to(source).parts
        )
    }
    held = contents(wheel(dist, name))
    info = f"{stem(name)}.dist-info"
    assert {one for one in held if not one.startswith(info)} == expected
    assert f"{package}/py.typed" in held
    assert held[f"{info}/licenses/LICENSE"] == (ROOT / "LICENSE").read_bytes()


@pytest.mark.parametrize("name", PROJECTS)
def test_an_sdist_holds_what_builds_the_wheel_only(dist: Path, name: str) -> None:
    with tarfile.open(dist / f"{stem(name)}.tar.gz") as archive:
        top = {member.split("/")[1] for member in archive.getnames()}
    assert top - {".gitignore"} == {"LICENSE", "PKG-INFO", "README.md", "pyproject.toml", "src"}


@pytest.mark.parametrize("name", PROJECTS)
def test_the_checkout_builds_the_wheel_that_the_sdist_builds(
    dist: Path, name: str, tmp_path: Path
) -> None:
    succeed([sys.executable, "-c", MAKE_WHEEL, tmp_path], ROOT / name)
    assert contents(wheel(tmp_path, name)) == contents(wheel(dist, name))


@pytest.mark.parametrize("name", PROJECTS)
def test_the_metadata_is_complete_and_its_page_is_the_readme(dist: Path, name: str) -> None:
    page = metadata(dist, name)
    assert page["Name"] == name
    assert page["Version"] == PROJECTS[name]["version"]
    assert page["License-Expression"] == "MIT"
    assert page["Summary"]
    assert page["Keywords"]
    assert page["Description-Content-Type"] == "text/markdown"
    assert page.get_payload() == (ROOT / name / "README.md").read_text(encoding="utf-8")
    assert f"pip install {name}" in str(page.get_payload())


@pytest.mark.parametrize("name", PROJECTS)
def test_the_classifiers_say_what_the_metadata_says(dist: Path, name: str) -> None:
    page = metadata(dist, name)
    classifiers = page.get_all("Classifier", failobj=[])
    named = [
        re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", one) for one in classifiers
    ]
    assert [match[1] for match in named if match] == PYTHONS
    allowed = SpecifierSet(str(page["Requires-Python"]))
    assert [one for one in PYTHONS if one not in allowed] == []
    assert "3.10" not in allowed
    assert "Typing :: Typed" in classifiers
    statuses = [one for one in classifiers if one.startswith("Development Status")]
    reserved = name in RUNNERS and not RUNNERS[name]
    assert statuses == [f"Development Status :: {'1 - Planning' if reserved else '4 - Beta'}"]


@pytest.mark.parametrize("name", PROJECTS)
def test_a_page_on_the_package_index_has_a_title_and_links_to_no_file_of_the_checkout(
    dist: Path, name: str
) -> None:
    parsed = MarkdownIt().parse(str(metadata(dist, name).get_payload()))
    titles = [parsed[at + 1].content for at, token in enumerate(parsed) if token.tag == "h1"]
    assert titles[0] == name
    links = [
        str(child.attrs["href"])
        for token in parsed
        for child in token.children or ()
        if child.type == "link_open"
    ]
    assert [link for link in links if not link.startswith(("https://", "#"))] == []


@pytest.mark.parametrize("name", PROJECTS)
def test_a_distribution_offers_its_entry_points_and_no_others(dist: Path, name: str) -> None:
    if name == CORE:
        lines = ["[console_scripts]", *(f"{key} = {value}" for key, value in COMMANDS.items())]
    elif RUNNERS[name]:
        lines = ["[hypergraph.runners]", *(f"{k} = {v}" for k, v in RUNNERS[name].items())]
        assert all(target.startswith(f"{PACKAGES[name]}:") for target in RUNNERS[name].values())
    else:
        lines = []
    text = contents(wheel(dist, name)).get(f"{stem(name)}.dist-info/entry_points.txt", b"")
    assert text.decode().split("\n") == [*lines, ""]


@pytest.mark.parametrize("name", RUNNERS)
def test_a_runner_requires_the_core_of_its_own_minor_version(dist: Path, name: str) -> None:
    required = requirements(dist, name)
    major, minor, _ = map(int, PROJECTS[CORE]["version"].split("."))
    accepted = required[CORE].specifier
    assert PROJECTS[name]["version"].startswith(f"{major}.{minor}.")
    assert f"{major}.{minor}.0" in accepted
    assert f"{major}.{minor}.99" in accepted
    assert f"{major}.{minor + 1}.0" not in accepted
    assert f"{major}.{minor - 1}.99" not in accepted
    assert f"{major + 1}.0.0" not in accepted
    for other in required.values():  # a lower bound, so that no ancient version is taken
        assert {one.operator for one in other.specifier} & {">=", "~="}, other


def test_the_core_requires_little_and_no_runner(dist: Path) -> None:
    assert set(requirements(dist, CORE)) == {"beartype", "importlib-metadata", "msgspec", "pluggy"}
    lines = metadata(dist, CORE).get_all("Requires-Dist", failobj=[])
    assert [one for one in lines if one.startswith("hypergraph")] == []
    extras = metadata(dist, CORE).get_all("Provides-Extra", failobj=[])
    assert sorted(extras) == ["cache", "otel", "parquet", "progress", "testing"]
    page = str(metadata(dist, CORE).get_payload())
    assert [one for one in extras if f"`{CORE}[{one}]`" not in page] == []
