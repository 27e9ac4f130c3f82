"""Every exception of hypergraph.

Rule of this file: an error says *what* happened, *where*, and *how to fix it*, and carries a stable
code whose anchor stands in ``docs/reference/errors.md``. User values never enter a message: names,
types, counts and positions only.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, ClassVar

DOCS_PAGE = "docs/reference/errors.md"


def did_you_mean(name: str, candidates: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the nearest candidate, or an empty string.

    The input ``x`` of a namespaced graph, ``g.x``, is near to ``x``.
    """
    known = list(candidates)
    inside = [candidate for candidate in known if candidate.endswith(f".{name}")]
    match = inside or difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f" Did you mean {match[0]!r}?" if match else ""


class HypergraphError(Exception):
    """Base of every error that hypergraph itself raises.

    Attributes: ``what`` happened, ``where`` (graph, node, parameter), ``fix`` (an imperative), and
    ``code`` (the anchor in the errors page). Errors survive pickling with all their attributes and
    notes.
    """

    code: ClassVar[str] = "error"

    def __init__(self, what: str, *, where: str = "", fix: str = "", **details: Any) -> None:
        self.what = what
        self.where = where
        self.fix = fix
        for key, value in details.items():
            setattr(self, key, value)
        super().__init__(what)

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append(f"  Where: {self.where}")
        if self.fix:
            lines.append(f"  Fix:   {self.fix}")
        lines.append(f"  See:   {DOCS_PAGE}#{self.code}")
        return "\n".join(lines)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.what,), self.__dict__


# --- building a graph -------------------------------------------------------------------------


class GraphConfigError(HypergraphError):
    """The graph is invalid, or was asked for something its structure forbids."""

    code = "graph-config"


# --- giving inputs ----------------------------------------------------------------------------


class InputError(HypergraphError):
    """The inputs of a run do not fit the graph; nothing has run."""

    code = "input"


class MissingInputError(InputError):
    """Inputs that the graph needs were not given. ``missing``: their names."""

    code = "missing-input"
    missing: tuple[str, ...] = ()


class UnknownInputError(InputError):
    """Inputs were given that no node knows. ``unknown``: their names."""

    code = "unknown-input"
    unknown: tuple[str, ...] = ()


# --- during a run -----------------------------------------------------------------------------


class ConflictError(HypergraphError):
    """Two nodes of one generation produced the same output. ``output``, ``nodes``."""

    code = "conflict"
    output: str = ""
    nodes: tuple[str, ...] = ()


class InfiniteLoopError(HypergraphError):
    """A node was due more often than ``max_iterations`` allows. ``node``, ``cycle``."""

    code = "infinite-loop"
    node: str = ""
    cycle: tuple[str, ...] = ()


class OutputCountError(HypergraphError):
    """A node with several outputs returned another number of values. ``expected``, ``actual``."""

    code = "output-count"
    expected: int = 0
    actual: int | None = None


class RouteError(HypergraphError):
    """A gate returned something that is none of its targets. ``targets``."""

    code = "route"
    targets: tuple[str, ...] = ()


# --- runners ----------------------------------------------------------------------------------


class IncompatibleRunnerError(HypergraphError):
    """The runner does not support a feature of the graph.

    ``feature`` (such as ``"cycles"``), ``node`` (the path of one node that needs it), ``runner``,
    ``alternatives`` (installed runners that do support it).
    """

    code = "incompatible-runner"
    feature: str = ""
    node: str = ""
    runner: str = ""
    alternatives: tuple[str, ...] = ()


class RunnerError(HypergraphError):
    """A runner could not be found, loaded or registered. ``name``: the runner asked for."""

    code = "runner"
    name: str | None = None  # as ImportError has it, which some of these are


class RunnerNotFoundError(RunnerError):
    """No installed runner has this name."""

    code = "runner-not-found"


class RunnerNotInstalledError(RunnerError, ImportError):
    """A known runner's package is not installed; the message holds the command that installs it."""

    code = "runner-not-installed"


class BrokenRunnerError(RunnerError):
    """The runner's package is installed and fails to import; ``__cause__`` is its own error."""

    code = "broken-runner"


class AmbiguousRunnerError(RunnerError):
    """Two distributions offer a runner of this name."""

    code = "ambiguous-runner"


class RunnerAPIError(RunnerError):
    """The runner is not a runner, or was written for another version of the runner contract."""

    code = "runner-api"


class MissingOutputError(HypergraphError, KeyError):
    """A result has no such output, for instance because the run paused before. ``name``."""

    code = "missing-output"
    name: str = ""


# --- during a run: answers and time -----------------------------------------------------------


class AnswerError(InputError):
    """An answer fits no interrupt that waits for one, or is not of its type; nothing has changed."""

    code = "answer"


class NodeTimeoutError(HypergraphError, TimeoutError):
    """A node took longer than its ``timeout``. ``node``, ``timeout`` in seconds."""

    code = "node-timeout"
    node: str = ""
    timeout: float = 0.0


# --- checkpoints ------------------------------------------------------------------------------


class CheckpointError(HypergraphError):
    """A store of workflows could not be opened, read or written; what it held is as it was."""

    code = "checkpoint"


class UnstorableValueError(CheckpointError):
    """A value cannot be stored. ``node``, ``output``, ``type_name``."""

    code = "unstorable-value"
    node: str = ""
    output: str = ""
    type_name: str = ""


class WorkflowNotFoundError(CheckpointError):
    """There is no workflow of this id. ``workflow_id``."""

    code = "workflow-not-found"
    workflow_id: str = ""


class WorkflowBusyError(CheckpointError):
    """Another run holds the workflow. ``workflow_id``."""

    code = "workflow-busy"
    workflow_id: str = ""


class VersionMismatchError(CheckpointError):
    """The graph is not the one that the workflow was started with.

    ``stored`` and ``current``: the hashes; ``added``, ``removed`` and ``changed``: paths of nodes.
    """

    code = "version-mismatch"
    stored: str = ""
    current: str = ""
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()


# --- configuration ----------------------------------------------------------------------------


class ConfigError(HypergraphError):
    """The configuration is invalid. ``file``: where it stands; ``key``: as ``runners.local.cache``."""

    code = "config"
    file: str = ""
    key: str = ""


# --- plugins ----------------------------------------------------------------------------------


class PluginError(HypergraphError):
    """A plugin cannot be loaded or used, or keeps to no rule of a hook. ``name``: the plugin."""

    code = "plugin"
    name: str = ""


# --- extras -----------------------------------------------------------------------------------


class MissingExtraError(HypergraphError, ImportError):
    """An optional feature needs an extra that is not installed."""

    code = "missing-extra"


# --- warnings ---------------------------------------------------------------------------------


class HypergraphWarning(UserWarning):
    """Base of every warning that hypergraph itself gives."""


# --- caching ----------------------------------------------------------------------------------


class UnkeyableError(HypergraphError):
    """The content of a value cannot be known for certain. ``type_name``: its type."""

    code = "unkeyable"
    type_name: str = ""


class CacheError(HypergraphError):
    """A cache could not be opened, read or written. It never fails a run."""

    code = "cache"


class UncacheableValueError(CacheError):
    """A result cannot be stored, because it cannot be pickled. ``type_name``: its type."""

    code = "uncacheable-value"
    type_name: str = ""


class InvalidSignatureError(HypergraphError):
    """Stored bytes were not signed with this key for this place; nothing was unpickled."""

    code = "invalid-signature"


class KeyFileError(HypergraphError):
    """The key file that signs stored values cannot be used. ``path``."""

    code = "key-file"
    path: str = ""
