"""What every node is: a name, inputs, outputs, and renames that keep their history.

Rule of this file: nodes are immutable; every ``with_*`` returns a new node that remembers what it was
called before, so that an error can say so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Self, TypeVar

from hypergraph.errors import GraphConfigError, did_you_mean

_put = object.__setattr__

N = TypeVar("N", bound="HyperNode")


class Rename(NamedTuple):
    """One rename of a node: ``kind`` is ``"name"``, ``"input"`` or ``"output"``."""

    kind: str
    old: str
    new: str


def check_name(name: Any, what: str, where: str = "") -> None:
    """Refuse a name that is not an identifier (``-`` is allowed; ``.`` and ``/`` are reserved)."""
    if isinstance(name, str) and (name.isidentifier() or _is_dashed(name)):
        return
    if not isinstance(name, str):
        problem = f"The {what} must be a string, not {type(name).__name__}."
        fix = "give a name in quotes."
    elif "." in name or "/" in name:
        problem = f"The {what} {name!r} contains a reserved character."
        fix = "leave out '.' and '/': they address what lies inside nested graphs."
    else:
        problem = f"The {what} {name!r} is not a name."
        fix = "use letters, digits, '_' and '-', not starting with a digit."
    raise GraphConfigError(problem, where=where, fix=fix)


def _is_dashed(name: str) -> bool:
    """Say whether a name is an identifier but for dashes, none of them in front."""
    return name[:1] != "-" and name.replace("-", "_").isidentifier()


class HyperNode:
    """A named step of a graph. ``inputs`` and ``outputs`` are the names it is wired by."""

    __slots__ = ("name", "inputs", "outputs", "rename_history")

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    rename_history: tuple[Rename, ...]

    is_async: bool = False
    is_generator: bool = False
    is_gate: bool = False
    is_interrupt: bool = False

    def __setattr__(self, key: str, value: Any) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable; with_name(), with_inputs() and "
                             f"with_outputs() return a changed copy.")  # fmt: skip

    def __delattr__(self, key: str) -> None:
        self.__setattr__(key, None)

    # -- what an input falls back to ---------------------------------------------------------

    def has_default(self, name: str) -> bool:
        """Say whether the node can run without a value for this input."""
        return False

    def default(self, name: str) -> Any:
        """Return the value an input takes when nothing provides one. Raises ``KeyError``."""
        raise KeyError(name)

    # -- identity ----------------------------------------------------------------------------

    @property
    def definition_hash(self) -> str:
        """Hex digest of what the node does and how it is wired, stable across machines."""
        parts = (type(self).__name__, self.name, self.inputs, self.outputs, *self._identity())
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    def _identity(self) -> tuple[Any, ...]:
        """Return what distinguishes this node besides its kind, name and ports."""
        raise NotImplementedError

    # -- renames -----------------------------------------------------------------------------

    def with_name(self, name: str) -> Self:
        """Return the node under another name."""
        check_name(name, "node name", f"node {self.name!r}")
        return self._copy(
            name=name, rename_history=(*self.rename_history, Rename("name", self.name, name))
        )

    def with_inputs(self, renames: Mapping[str, str] | None = None, /, **more: str) -> Self:
        """Return the node with inputs renamed: ``node.with_inputs(old="new")``.

        Raises ``GraphConfigError`` for an input the node does not have and for two inputs of one name.
        """
        return self._renamed("input", {**(renames or {}), **more})

    def with_outputs(self, renames: Mapping[str, str] | None = None, /, **more: str) -> Self:
        """Return the node with outputs renamed: ``node.with_outputs(old="new")``.

        Raises ``GraphConfigError`` for an output the node does not have and for two of one name.
        """
        return self._renamed("output", {**(renames or {}), **more})

    def _renamed(self, kind: str, renames: dict[str, str]) -> Self:
        names = self.inputs if kind == "input" else self.outputs
        where = f"node {self.name!r}"
        for old, new in renames.items():
            if old not in names:
                raise GraphConfigError(
                    f"Node {self.name!r} has no {kind} {old!r}.{self._hint(kind, old, names)}",
                    where=where,
                    fix=f"rename one of its {kind}s: {', '.join(names) or '(none)'}.",
                )
            check_name(new, f"{kind} name", where)
        changed = tuple(renames.get(name, name) for name in names)
        refuse_twice(changed, kind, where)
        history = tuple(Rename(kind, old, new) for old, new in renames.items())
        return self._with_ports(kind, renames, changed, (*self.rename_history, *history))

    def _with_ports(
        self,
        kind: str,
        renames: dict[str, str],
        changed: tuple[str, ...],
        history: tuple[Rename, ...],
    ) -> Self:
        """Return the copy; node types that keep more per port translate it here."""
        if kind == "input":
            return self._copy(inputs=changed, rename_history=history)
        return self._copy(outputs=changed, rename_history=history)

    def _hint(self, kind: str, old: str, names: Iterable[str]) -> str:
        """Say what became of an old name, or which present one is nearest."""
        return hint((self,), kind, old, names)

    def renamed_to(self, kind: str, old: str) -> str | None:
        """Return the present name of what was once called ``old``, or ``None`` if nothing was."""
        current = old
        for rename in self.rename_history:
            if rename.kind == kind and rename.old == current:
                current = rename.new
        return current if current != old else None

    def _copy(self, **changes: Any) -> Self:
        new = object.__new__(type(self))
        for cls in type(self).__mro__:
            for slot in getattr(cls, "__slots__", ()):
                if slot not in changes and hasattr(self, slot):
                    _put(new, slot, getattr(self, slot))
        for key, value in changes.items():
            _put(new, key, value)
        return new

    def __copy__(self) -> Self:
        return self

    def __getstate__(self) -> dict[str, Any]:
        slots = (slot for cls in type(self).__mro__ for slot in getattr(cls, "__slots__", ()))
        state = {slot: getattr(self, slot) for slot in slots if hasattr(self, slot)}
        return {k: dict(v) if type(v) is MappingProxyType else v for k, v in state.items()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for key, value in state.items():
            _put(self, key, MappingProxyType(value) if type(value) is dict else value)

    def __repr__(self) -> str:
        arrow = f"({', '.join(self.inputs)}) -> {', '.join(self.outputs) or 'nothing'}"
        return f"{type(self).__name__} {self.name!r} {arrow}"


def hint(nodes: Iterable[HyperNode], kind: str, old: str, names: Iterable[str]) -> str:
    """Say what became of an old name of one of ``nodes``, or which of ``names`` is nearest to it."""
    present = list(names)
    for node in nodes:
        current = node.renamed_to(kind, old)
        if current in present:
            return f" It was renamed to {current!r}."
    return did_you_mean(str(old), present)


def refuse_twice(names: tuple[str, ...], kind: str, where: str) -> None:
    """Refuse a name that stands twice among a node's inputs, or among its outputs."""
    if len(set(names)) != len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise GraphConfigError(
            f"Two {kind}s of one node are both called {', '.join(map(repr, twice))}.",
            where=where,
            fix=f"give each {kind} a name of its own.",
        )
