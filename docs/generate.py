"""Write into the pages what the code says: tables, signatures, the source of the demo.

Rule of this file: a page holds ``<!-- generated: NAME -->`` and ``<!-- end -->``; whatever stands
between is replaced by what the function of that name in `PARTS` returns. The tests fail when a page
is behind the code.

    python docs/generate.py
"""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import re
from argparse import _SubParsersAction
from collections.abc import Callable, Iterable
from dataclasses import fields
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any, get_overloads, get_type_hints

import hypergraph
from hypergraph import (
    cache,
    checkpointers,
    cli,
    errors,
    events,
    hooks,
    runners,
    serialization,
    testing,
)
from hypergraph.cache import disk
from hypergraph.capabilities import FEATURES, RunnerCapabilities
from hypergraph.cli import scaffold
from hypergraph.cli.demo import library
from hypergraph.cli.scaffold.names import names_for
from hypergraph.config import values
from hypergraph.config.components import KINDS
from hypergraph.execution import effects
from hypergraph.execution.explain import CacheExplanation
from hypergraph.graph.inputs import InputSpec
from hypergraph.hooks import specs
from hypergraph.hooks.plugins import HOOKS
from hypergraph.runners import clock
from hypergraph.runners.options import Options
from hypergraph.runners.registry import KNOWN
from hypergraph.runners.strategy import STRATEGIES
from hypergraph.testing.asking import rules_of
from hypergraph.testing.suite import RUNNER_RULES
from hypergraph_runner_async import AsyncOptions, EventStream

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
BLOCK = re.compile(
    r"(?<=<!-- generated: )(?P<name>[\w-]+) -->\n(?P<body>.*?)(?=<!-- end -->)", re.DOTALL
)

SIGNATURE_WIDTH = 100


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table in Markdown."""
    names = list(head)
    lines = [names, ["---"] * len(names), *map(list, rows)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def first_words(thing: Any) -> str:
    """Return the first paragraph of a docstring on one line, its code marked as Markdown does."""
    paragraph = (inspect.getdoc(thing) or "").partition("\n\n")[0]
    return re.sub(r"\s+", " ", paragraph).replace("``", "`")


# --- tables -----------------------------------------------------------------------------------


def installed_runners() -> dict[str, type[hypergraph.BaseRunner]]:
    """Return the runners of this project that this release has, by name."""
    return {name: runners.get(name) for name in KNOWN if name in runners.available()}


def capabilities() -> str:
    """What each runner can do."""
    found = list(installed_runners().values())
    names = RunnerCapabilities.__dataclass_fields__
    return table(
        ["Capability", *(f"`{runner.__name__}`" for runner in found)],
        (
            [
                f"`{name}`",
                *("yes" if getattr(runner.capabilities, name) else "no" for runner in found),
            ]
            for name in names
        ),
    )


def features() -> str:
    """Which feature of a graph needs which capability."""
    return table(
        ["A graph with", "`graph.features`", "needs"],
        ([f"{row.has}", f"`{row.name}`", f"`{row.capability}`"] for row in FEATURES),
    )


def strategies() -> str:
    """How one runner calls another."""
    words = {True: "yes", False: "no"}
    return table(
        ["Parent `returns_coroutine`", "Nested `returns_coroutine`", "Strategy"],
        (
            [words[parent], words[nested], strategy.value]
            for (parent, nested), strategy in STRATEGIES.items()
        ),
    )


def distributions() -> str:
    """Which runner each distribution brings, and whether this release has it."""
    classes = {name: cls for cls, name in hypergraph._RUNNERS.items()}
    here = installed_runners()
    return table(
        ["Name", "Class", "Distribution", "In this release"],
        (
            [f"`{name}`", f"`{classes[name]}`", f"`{package}`", "yes" if name in here else "no"]
            for name, package in KNOWN.items()
        ),
    )


def settings() -> str:
    """What can be configured of each runner."""
    rows = []
    for runner in installed_runners().values():
        types = get_type_hints(runner.settings_class, include_extras=True)
        for field in fields(runner.settings_class):
            default = "" if field.default in (None, ()) else f"`{json.dumps(field.default)}`"
            words = values.described(types[field.name]).replace("|", "\\|")
            rows.append(
                [
                    f"`{runner.__name__}`",
                    f"`{field.name}`",
                    words,
                    default,
                    field.metadata["help"],
                ]
            )
    return table(["Runner", "Setting", "Type", "Default", "Meaning"], rows)


def components() -> str:
    """The names of components, and what each takes."""
    rows = []
    for kind in KINDS.values():
        for name, target in kind.names.items():
            module, _, attribute = target.partition(":")
            cls = getattr(importlib.import_module(module), attribute)
            types = values.types_of(cls)
            options = [f"`{one}`: {values.described(types[one])}" for one in values.options(cls)]
            rows.append([kind.word, f'`"{name}"`', f"`{cls.__name__}`", ", ".join(options)])
    return table(["Type", "Name", "Class", "Options and their types"], rows)


def hook_table() -> str:
    """The hooks of plugins, by the paragraphs of their docstrings."""
    rows = []
    for name in HOOKS:
        hook = getattr(specs, name)
        paragraphs = re.split(r"\n\s*\n", inspect.getdoc(hook) or "")
        words = [re.sub(r"\s+", " ", one).replace("``", "`") for one in paragraphs]
        called = f"`{name}({', '.join(inspect.signature(hook).parameters)})`"
        rows.append([called, words[0], words[1], " ".join(words[2:])])
    return table(["Hook", "What for", "An error", "Besides"], rows)


def kit_groups() -> str:
    """The groups of the conformance kit, and how many rules each has."""
    rows = []
    for kind in RUNNER_RULES:
        asked = list(rules_of(kind))
        rules = len({rule.method for rule in asked})
        rows.append([f"`{kind.group}`", first_words(kind), str(rules), str(len(asked))])
    return table(["Group", "About", "Rules", "With their cases"], rows)


def effect_table() -> str:
    """What a flow asks of a runner."""
    found = [
        thing
        for thing in vars(effects).values()
        if isinstance(thing, type) and thing.__module__ == effects.__name__
    ]
    return table(["Effect", "Meaning"], ([f"`{one.__name__}`", first_words(one)] for one in found))


def error_classes() -> list[type[Exception]]:
    """Return every exception and warning of hypergraph, in the order of their file."""
    return [
        thing
        for thing in vars(errors).values()
        if isinstance(thing, type)
        and issubclass(thing, Exception)
        and thing.__module__ == errors.__name__
    ]


def code_of(error: type[Exception]) -> str:
    """Return the anchor of an exception; a warning has the one of its name."""
    return getattr(error, "code", None) or error.__name__.removeprefix("Hypergraph").lower()


def error_table() -> str:
    """Every exception: what it means, and what catches it too."""
    return table(
        ["Exception", "is a", "Meaning"],
        (
            [
                f"[`{error.__name__}`](#{code_of(error)})",
                ", ".join(f"`{base.__name__}`" for base in error.__bases__),
                re.sub(r" `\w+`: .*$| `\w+`(, `\w+`)*\.$", "", first_words(error)),
            ]
            for error in error_classes()
        ),
    )


# --- signatures -------------------------------------------------------------------------------


def parameter(given: inspect.Parameter) -> str:
    """Return a parameter as it is written in a signature."""
    text = given.name
    if given.annotation is not given.empty:
        text += f": {annotation(given.annotation)}"
    if given.default is not given.empty:
        written = repr(given.default)
        default = "..." if written.startswith("<") or given.default is ... else written
        text += f" = {default}" if ":" in text else f"={default}"
    stars = {given.VAR_POSITIONAL: "*", given.VAR_KEYWORD: "**"}.get(given.kind, "")
    return stars + text


def annotation(given: Any) -> str:
    """Return an annotation without the modules that its names come from."""
    text = given if isinstance(given, str) else inspect.formatannotation(given)
    return re.sub(r"\b(?:\w+\.)+(?=[A-Z])", "", text)


def signature(name: str, thing: Any) -> str:
    """Return the signature of a callable, over several lines where one would be too long."""
    read = inspect.signature(thing)
    parts: list[str] = []
    given = [one for one in read.parameters.values() if one.name != "self"]
    for position, one in enumerate(given):
        before = given[position - 1].kind if position else None
        if before is one.POSITIONAL_ONLY and one.kind is not one.POSITIONAL_ONLY:
            parts.append("/")
        if one.kind is one.KEYWORD_ONLY and before not in {one.KEYWORD_ONLY, one.VAR_POSITIONAL}:
            parts.append("*")
        parts.append(parameter(one))
    if given and given[-1].kind is inspect.Parameter.POSITIONAL_ONLY:
        parts.append("/")
    end = ")"
    if read.return_annotation is not read.empty and not isinstance(thing, type):
        end += f" -> {annotation(read.return_annotation)}"
    short = f"{name}({', '.join(parts)}{end}"
    if len(short) <= SIGNATURE_WIDTH:
        return short
    lines = "".join(f"    {part},\n" for part in parts)
    return f"{name}(\n{lines}{end}"


def entry(name: str, thing: Any) -> str:
    """Return the entry of one name: its signature and the first words of its docstring."""
    stated = get_overloads(thing) if inspect.isfunction(thing) else ()
    if stated:
        shown = "\n".join(signature(name, one) for one in stated)
    elif isinstance(thing, type) and issubclass(thing, Enum):
        shown = f"{name}: " + ", ".join(member.name for member in thing)
    elif callable(thing) and not getattr(thing, "_is_protocol", False):
        shown = signature(name, thing)
    else:
        shown = name
    words = first_words(thing) if callable(thing) else ""
    return f"```text\n{shown}\n```\n\n{words}\n\n"


def methods(cls: type, prefix: str, besides: type = object) -> str:
    """Return the entries of the public methods and properties that a class defines itself.

    Those that it has ``besides`` another one, if that is given.
    """
    text = ""
    for name, thing in vars(cls).items():
        if name.startswith("_") or hasattr(besides, name):
            continue
        if isinstance(thing, property):
            text += f"- `{prefix}.{name}`: {first_words(thing)}\n"
        elif inspect.isfunction(thing):
            method = behind(thing)
            text += f"- `{one_line(f'{prefix}.{name}', method)}`: {first_words(method)}\n"
    return text + "\n"


def behind(function: Any) -> Any:
    """Return the function that a `deferred` one imports when it is called."""
    target = re.fullmatch(r"Call ``([\w.]+):(\w+)``.*", function.__doc__ or "")
    return getattr(importlib.import_module(target[1]), target[2]) if target else function


def one_line(name: str, thing: Any) -> str:
    """Return a signature without annotations, on one line."""
    read = inspect.signature(thing)
    given = list(read.parameters.values())
    mine = given[0].name in {"self", "graph"} if given else False
    bare = [one.replace(annotation=one.empty) for one in given[mine:]]
    return name + str(read.replace(parameters=bare, return_annotation=read.empty))


def api_build() -> str:
    """What a graph is built with."""
    text = "".join(entry(name, getattr(hypergraph, name)) for name in ("node", "branch", "route"))
    for name in ("Graph", "InterruptNode", "TypeRouteNode"):
        text += entry(name, getattr(hypergraph, name))
        if name == "Graph":
            text += methods(hypergraph.Graph, "graph")
    text += entry("RetryPolicy", hypergraph.RetryPolicy)
    text += methods(hypergraph.RetryPolicy, "policy")
    return text + entry("InputSpec", InputSpec)


def api_nodes() -> str:
    """The types of nodes."""
    names = ("HyperNode", "FunctionNode", "GateNode", "BranchNode", "RouteNode", "GraphNode")
    lines = "".join(f"- `{name}`: {first_words(getattr(hypergraph, name))}\n" for name in names)
    every, nested = (
        methods(hypergraph.HyperNode, "node"),
        methods(hypergraph.GraphNode, "graph_node"),
    )
    return f"{lines}\nEvery node has:\n\n{every}A nested graph has besides:\n\n{nested}"


def api_run() -> str:
    """What runs a graph, and what comes back."""
    text = ""
    for runner in installed_runners().values():
        text += entry(runner.__name__, runner)
        text += "".join(
            entry(f"{runner.__name__}.{name}", inspect.unwrap(getattr(runner, name)))
            for name in ("run", "iter", "map", "explain_cache")
            if hasattr(runner, name)
        )
    for owner, options in (("SyncRunner", Options), ("AsyncRunner", AsyncOptions)):
        text += entry("options", options).replace("options(", f"{owner}: **options = (")
    for name in ("run", "load_runner"):
        text += entry(f"hypergraph.{name}", getattr(hypergraph, name))
    text += entry("EventStream", EventStream) + methods(EventStream, "stream")
    text += entry("CacheExplanation", CacheExplanation)
    for name in ("RunResult", "RunStatus", "PauseInfo", "PauseReason"):
        text += entry(name, getattr(hypergraph, name))
    text += entry("BaseRunner", hypergraph.BaseRunner) + methods(hypergraph.BaseRunner, "runner")
    text += entry("RunnerCapabilities", RunnerCapabilities)
    text += methods(RunnerCapabilities, "capabilities")
    return text + entry("Clock", clock.Clock) + methods(clock.Clock, "clock")


def api_runners() -> str:
    """The registry of runners."""
    named = {name: getattr(runners, name) for name in runners.__all__}
    return "".join(
        entry(name, thing)
        for name, thing in named.items()
        if callable(thing) and thing is not hypergraph.BaseRunner
    )


def api_plugins() -> str:
    """What registers and lists plugins."""
    names = ("register", "unregister", "installed", "refresh", "PluginInfo", "PluginState")
    return "".join(entry(name, getattr(hooks, name)) for name in (*names, "Command"))


def api_cache() -> str:
    """What keeps results."""
    text = entry("Cache", cache.Cache) + methods(cache.Cache, "cache")
    for name, cls in (("MemoryCache", cache.MemoryCache), ("DiskCache", disk.DiskCache)):
        text += entry(name, cls) + methods(cls, "cache")
    return text + entry("PickleSerializer", serialization.PickleSerializer)


def api_checkpointers() -> str:
    """What keeps workflows."""
    text = entry("Checkpointer", checkpointers.Checkpointer)
    text += methods(checkpointers.Checkpointer, "checkpointer")
    for cls in (checkpointers.SqliteCheckpointer, checkpointers.MemoryCheckpointer):
        text += entry(cls.__name__, cls)
        text += methods(cls, "checkpointer", besides=checkpointers.Checkpointer)
    names = ("Retention", "Workflow", "WorkflowStatus", "StepRecord", "StepKind", "PendingAnswer")
    text += "".join(entry(name, getattr(checkpointers, name)) for name in names)
    return text + entry("JsonSerializer", serialization.JsonSerializer)


def api_events() -> str:
    """What is told to listeners."""
    names = [name for name in events.__all__ if name[0].isupper()]
    return "".join(entry(name, getattr(events, name)) for name in names)


def api_testing() -> str:
    """The conformance kit."""
    return "".join(
        f"- `hypergraph.testing.{name}`: {first_words(getattr(testing, name))}\n"
        for name in testing.__all__
    )


# --- the command line, and the demo -----------------------------------------------------------


def command_line() -> str:
    """Every command with its arguments."""
    return table(["Command", "Meaning"], command_rows(cli._parser(), "hypergraph"))


def command_rows(parser: Any, name: str) -> Iterable[list[str]]:
    """Yield a row for each command below one, followed by those of its arguments and commands."""
    for action in parser._actions:
        if isinstance(action, _SubParsersAction):
            for choice in action._choices_actions:
                yield [f"**`{name} {choice.dest}`**", f"**{choice.help}**"]
                yield from command_rows(action.choices[choice.dest], f"{name} {choice.dest}")
        elif name != "hypergraph" and "--help" not in action.option_strings:
            names = [*action.option_strings] or [str(action.metavar or action.dest)]
            words = re.sub(r"\s+", " ", action.help or "").replace("|", "\\|")
            yield [", ".join(f"`{one}`" for one in names), words or "what to do"]


DEMO_PIECES = {
    "demo-begin": None,
    "demo-words": "words_of",
    "demo-module": "read",
    "demo-library": "list_files",
    "demo-lookup": "ask",
    "demo-graphs": "module",
}
"""The parts of the tutorial, each with the first name that it defines."""


def demo(part: str) -> str:
    """A piece of the source of the demo: from its first name to that of the next piece."""
    source = inspect.getsource(library)
    tree = ast.parse(source)
    starts = {name: first_line(node) for node in tree.body for name in names_defined(node)}
    docstring = tree.body[0].end_lineno or 0
    bounds = [starts[name] if name else docstring + 1 for name in DEMO_PIECES.values()]
    position = list(DEMO_PIECES).index(part)
    ends = [*(bound - 1 for bound in bounds[1:]), None]
    lines = source.splitlines()[bounds[position] - 1 : ends[position]]
    while lines and (not lines[-1].strip() or lines[-1].startswith("#")):
        lines.pop()  # a comment above the next piece
    return "```python\n" + "\n".join(lines).strip("\n") + "\n```\n"


def first_line(node: ast.stmt) -> int:
    """Return the line on which a statement begins, its decorators included."""
    return min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", ()))])


def names_defined(node: ast.stmt) -> list[str]:
    """Return the names that a statement defines."""
    if isinstance(node, ast.Assign):
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    return [node.name] if isinstance(node, ast.FunctionDef | ast.ClassDef) else []


# --- the package of a new runner --------------------------------------------------------------

SCAFFOLDED = {
    f"scaffold-{source.partition('.')[0]}": path for source, path in scaffold.FILES.items()
}
LANGUAGES = {".md": "markdown", ".py": "python", ".toml": "toml"}


def scaffolded(part: str) -> str:
    """One file of what ``hypergraph runners new my-runner`` makes."""
    names = names_for("my-runner")
    path = SCAFFOLDED[part].replace("$module", names.module)
    text = scaffold.contents_for(names)[path]
    fence = "````" if "```" in text else "```"
    words = f"{LANGUAGES[Path(path).suffix]} file={names.name}/{path}"
    return f"{fence}{words}\n{text}{fence}\n"


PARTS: dict[str, Callable[[], str]] = {
    "api-build": api_build,
    "api-cache": api_cache,
    "api-checkpointers": api_checkpointers,
    "api-events": api_events,
    "api-nodes": api_nodes,
    "api-plugins": api_plugins,
    "api-run": api_run,
    "api-runners": api_runners,
    "api-testing": api_testing,
    "capabilities": capabilities,
    "command-line": command_line,
    "components": components,
    "distributions": distributions,
    "effects": effect_table,
    "errors": error_table,
    "features": features,
    "groups": kit_groups,
    "hooks": hook_table,
    "settings": settings,
    "strategies": strategies,
    **{name: partial(demo, name) for name in DEMO_PIECES},
    **{name: partial(scaffolded, name) for name in SCAFFOLDED if name != "scaffold-py"},
}


def pages() -> list[Path]:
    """Return every page that may hold generated parts."""
    return [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]


def rendered(text: str) -> str:
    """Return a page with its generated parts made anew. Raises ``KeyError`` for an unknown part."""
    return BLOCK.sub(
        lambda found: f"{found['name']} -->\n{PARTS[found['name']]().rstrip()}\n", text
    )


if __name__ == "__main__":
    for page in pages():
        old = page.read_text(encoding="utf-8")
        new = rendered(old)
        if new != old:
            page.write_text(new, encoding="utf-8")
            print(f"wrote {page.relative_to(ROOT)}")
