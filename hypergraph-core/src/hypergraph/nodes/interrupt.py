"""``InterruptNode``: the place in a graph where a run waits for somebody's answer."""

from __future__ import annotations

from typing import Any

from hypergraph.errors import GraphConfigError
from hypergraph.nodes.base import HyperNode, check_name

_put = object.__setattr__


class InterruptNode(HyperNode):
    """A pause: shows the value of ``input_param`` and waits for ``response_param``.

    ``response_type``: the class an answer must be an instance of, or ``None`` for any. A runner that
    cannot wait refuses the graph with ``IncompatibleRunnerError``.
    """

    __slots__ = ("response_type",)

    response_type: type | None
    is_interrupt = True

    def __init__(
        self, name: str, input_param: str, response_param: str, response_type: type | None = None
    ) -> None:
        check_name(name, "node name", "InterruptNode")
        check_name(input_param, "input name", f"interrupt {name!r}")
        check_name(response_param, "response name", f"interrupt {name!r}")
        if response_type is not None and not isinstance(response_type, type):
            raise GraphConfigError(
                f"The response type is a {type(response_type).__name__}, not a class.",
                where=f"interrupt {name!r}",
                fix="give the class that answers are instances of, or leave response_type out.",
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

    def _identity(self) -> tuple[Any, ...]:
        kind = self.response_type
        return (f"{kind.__module__}.{kind.__qualname__}" if kind else None,)
