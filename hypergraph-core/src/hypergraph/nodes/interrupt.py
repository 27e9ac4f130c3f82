"""``InterruptNode``: the place in a graph where a run waits for somebody's answer."""

from __future__ import annotations

from functools import reduce
from operator import or_
from types import UnionType
from typing import Any, TypeAlias, get_args

from hypergraph.errors import GraphConfigError
from hypergraph.nodes.base import HyperNode, check_name

_put = object.__setattr__

ResponseType: TypeAlias = type | UnionType


class InterruptNode(HyperNode):
    """A pause: shows the value of ``input_param`` and waits for ``response_param``.

    ``response_type``: the class an answer must be an instance of, a union or a tuple of classes, or
    ``None`` for any; an ``int`` is a ``float`` too, and a ``bool`` is neither. A runner that
    cannot wait refuses the graph with ``IncompatibleRunnerError``.
    """

    __slots__ = ("response_type",)

    response_type: ResponseType | None
    is_interrupt = True

    def __init__(
        self,
        name: str,
        input_param: str,
        response_param: str,
        response_type: ResponseType | tuple[type, ...] | None = None,
    ) -> None:
        check_name(name, "node name", "InterruptNode")
        check_name(input_param, "input name", f"interrupt {name!r}")
        check_name(response_param, "response name", f"interrupt {name!r}")
        if isinstance(response_type, tuple) and all(isinstance(t, type) for t in response_type):
            response_type = reduce(or_, response_type) if response_type else None
        if not all(isinstance(kind, type) for kind in _classes(response_type)):
            raise GraphConfigError(
                f"The response type is a {type(response_type).__name__}, not a class.",
                where=f"interrupt {name!r}",
                fix="give the class of the answers, such as str or str | int, or leave it out.",
            )
        if input_param == response_param:
            raise GraphConfigError(
                f"The answer would replace what is shown: both are called {input_param!r}.",
                where=f"interrupt {name!r}",
                fix="give the response a name of its own.",
            )
        _put(self, "name", name)
        _put(self, "inputs", (input_param,))
        _put(self, "outputs", (response_param,))
        _put(self, "rename_history", ())
        _put(self, "response_type", response_type)

    @property
    def input_param(self) -> str:
        """The name of the value that is shown."""
        return self.inputs[0]

    @property
    def response_param(self) -> str:
        """The name under which the answer is given."""
        return self.outputs[0]

    def accepts(self, answer: Any) -> bool:
        """Say whether an answer is of the response type."""
        kinds = _classes(self.response_type)
        if type(answer) is bool:  # an int to Python, and not to who answers
            kinds = tuple(kind for kind in kinds if kind is not int)
        elif float in kinds:
            kinds = (*kinds, int)
        return self.response_type is None or isinstance(answer, kinds)

    @property
    def response_words(self) -> str:
        """The response type in words, such as ``str or int``."""
        return " or ".join(kind.__name__ for kind in _classes(self.response_type)) or "anything"

    def _identity(self) -> tuple[Any, ...]:
        kinds = _classes(self.response_type)
        return (*(f"{kind.__module__}.{kind.__qualname__}" for kind in kinds),)


def _classes(kind: Any) -> tuple[Any, ...]:
    """Return the classes that a response type is made of."""
    if kind is None:
        return ()
    return get_args(kind) if isinstance(kind, UnionType) else (kind,)
