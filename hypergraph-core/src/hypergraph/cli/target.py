"""From ``MODULE:GRAPH`` to a graph.

Rule of this file: whatever is wrong with the module is the user's to see in one line, and with
``--traceback`` in full.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import inspect
import os
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from hypergraph.cli.aside import aside
from hypergraph.cli.errors import UsageError
from hypergraph.errors import HypergraphError, did_you_mean
from hypergraph.graph import Graph

TARGET_HELP = (
    "a module (my_package.pipeline) or a file (pipeline.py), and in it a Graph or a function without "
    "arguments that returns one"
)


def add_target(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that name a graph."""
    parser.add_argument("target", metavar="MODULE:GRAPH", help=TARGET_HELP)
    parser.add_argument(
        "--traceback", action="store_true", help="show the full traceback of whatever is raised"
    )


def find_modules_in(folder: str) -> None:
    """Let modules of a directory be imported, before those of the same name elsewhere."""
    if folder not in sys.path:
        sys.path.insert(0, folder)


def load_graph(target: str, *, full_traceback: bool = False) -> Graph:
    """Return the graph that ``target`` names. Raises ``UsageError`` and ``GraphConfigError``."""
    module_name, colon, attribute = target.rpartition(":")
    if not colon or not attribute:
        module_name, attribute = target.rstrip(":"), ""
    if not module_name:
        raise UsageError(f"{target!r} names no module; write MODULE:GRAPH, such as pipeline:graph")
    find_modules_in(os.getcwd())
    module = _guarded(_module, module_name, full_traceback, f"module {module_name!r}")
    if not attribute:
        raise UsageError(f"say which graph of module {module_name!r}{_graphs(module, module_name)}")
    found = _attribute(module, module_name, attribute)
    if not isinstance(found, Graph) and callable(found) and _needs_nothing(found):
        found = _guarded(lambda _: found(), "", full_traceback, f"{target!r}")
    if not isinstance(found, Graph):
        raise UsageError(
            f"{target!r} is of type {type(found).__name__}, not a Graph or a function without arguments "
            f"that returns one{_graphs(module, module_name)}"
        )
    return found


def _module(name: str) -> ModuleType:
    if name.endswith(".py") or "/" in name or os.sep in name:
        return _from_file(Path(name))
    if not all(part.isidentifier() for part in name.split(".")):
        raise UsageError(f"{name!r} is not the name of a module")
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        near = [path.stem for path in Path.cwd().glob("*.py")]
        near += [path.parent.name for path in Path.cwd().glob("*/__init__.py")]
        raise UsageError(
            f"there is no module {error.name!r}.{did_you_mean(name, near)} "
            "Modules are looked for in the working directory and among those installed"
        ) from None


def _from_file(path: Path) -> ModuleType:
    if not path.is_file():
        near = [str(one) for one in path.parent.glob("*.py")] if path.parent.is_dir() else []
        raise UsageError(f"there is no file {str(path)!r}.{did_you_mean(str(path), near)}")
    folder = str(path.parent.resolve())
    find_modules_in(folder)
    name = path.stem if path.stem not in sys.modules else f"hypergraph_target_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{str(path)!r} is not a Python file")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


@aside()
def _guarded(load: Any, argument: str, full_traceback: bool, what: str) -> Any:
    """Call user code, and turn whatever it raises into a usage error."""
    try:
        return load(argument)
    except (UsageError, HypergraphError, KeyboardInterrupt):
        raise
    except SystemExit:
        raise UsageError(f"{what} exits when it is loaded; guard it by __name__") from None
    except BaseException as error:
        if full_traceback:
            traceback.print_exception(error)
        kind = type(error).__name__
        said = f"{kind}: {error.msg if isinstance(error, SyntaxError) else error}".strip(": ")
        frames = traceback.extract_tb(error.__traceback__)
        place = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
        if isinstance(error, SyntaxError):
            place = f" ({error.filename}:{error.lineno})"
        raise UsageError(f"{what} cannot be loaded: {said}{place}") from None


def _attribute(module: ModuleType, module_name: str, path: str) -> Any:
    found: Any = module
    for name in path.split("."):
        if not hasattr(found, name):
            hint = did_you_mean(name, [one for one in dir(found) if not one.startswith("__")])
            where = f"module {module_name!r}" if found is module else f"{type(found).__name__}"
            more = _graphs(module, module_name)
            raise UsageError(f"{where} has no {name!r}.{hint}{more}")
        found = getattr(found, name)
    return found


def _graphs(module: ModuleType, module_name: str) -> str:
    """Say what could have been named instead."""
    found = [
        f"  {module_name}:{name}"
        for name, value in vars(module).items()
        if isinstance(value, Graph)
        or (inspect.isfunction(value) and value.__annotations__.get("return") in (Graph, "Graph"))
    ]
    if not found:
        return "\nThis module holds no graph"
    return "\n".join(["\nGraphs in this module:", *found])


def _needs_nothing(function: Any) -> bool:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    required = [
        p
        for p in parameters
        if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    return not required and not hasattr(function, "outputs")
