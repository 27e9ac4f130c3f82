"""``hypergraph runners new``: a package for a runner, ready to be tested and published.

Rule of this file: nothing is overwritten. What is written stands in ``template/``, as text with names
to fill in; `names` says which names there are.
"""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from string import Template

from hypergraph.cli.errors import UsageError
from hypergraph.cli.scaffold.names import Names, names_for

FILES = {
    "pyproject.toml.txt": "pyproject.toml",
    "README.md.txt": "README.md",
    "init.py.txt": "src/$module/__init__.py",
    "py.typed.txt": "src/$module/py.typed",
    "runner.py.txt": "src/$module/runner.py",
    "test_conformance.py.txt": "tests/test_conformance.py",
}
"""The files of the template, and where each goes."""


def run(arguments: argparse.Namespace) -> int:
    """Make the package ``arguments.name`` in ``arguments.directory``; returns the exit code."""
    names = names_for(arguments.name)
    directory = Path(names.name if arguments.directory is None else arguments.directory)
    contents = contents_for(names)
    write(directory, contents)
    made = [str(directory / file) for file in contents]
    place = directory.as_posix() if directory.is_absolute() else f"./{directory.as_posix()}"
    following = [
        f"python -m pip install -e {shlex.quote(f'{place}[test]')}",
        f"python -m pytest {shlex.quote(str(directory))}",
        f"hypergraph runners check {names.name}",
    ]
    if arguments.json:
        told = {"name": names.name, "class": names.class_name, "files": made, "next": following}
        print(json.dumps(told, indent=2))
        return 0
    print(f"Made the package {names.name}, with {names.class_name} in it:\n")
    print("\n".join(f"  {file}" for file in made))
    print("\nNext:\n")
    print("\n".join(f"  {command}" for command in following))
    return 0


def contents_for(names: Names) -> dict[str, str]:
    """Return the text of every file of the package, by its path in it."""
    template, values = files("hypergraph.cli.scaffold") / "template", names.values()
    return {
        Template(path).substitute(values): Template(
            (template / source).read_text(encoding="utf-8")
        ).substitute(values)
        for source, path in FILES.items()
    }


def write(directory: Path, contents: Mapping[str, str]) -> None:
    """Write files into a directory that is new or empty. Raises ``UsageError`` if it is neither."""
    try:
        if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
            raise UsageError(
                f"{str(directory)!r} is there already, and nothing is overwritten; "
                "choose another --directory"
            )
        for path, text in contents.items():
            file = directory / path
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("x", encoding="utf-8", newline="\n") as opened:
                opened.write(text)
    except OSError as error:
        raise UsageError(
            f"{str(directory)!r} cannot be written: {error.strerror or type(error).__name__}"
        ) from None
