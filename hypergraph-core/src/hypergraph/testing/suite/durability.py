"""Durability: a program that is killed and started anew finishes what it had begun, by itself.

Rule of this file: the program is real, and so is its death; what ran is counted in a file.
"""

from __future__ import annotations

import inspect
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from typing import Any

from hypergraph.runners.base import BaseRunner
from hypergraph.testing import durable_program
from hypergraph.testing.kit import cases, fail, skip
from hypergraph.testing.suite.surroundings import Surroundings

PROGRAM = "import sys; from hypergraph.testing.durable_program import main; main(*sys.argv[1:])"
CALLS = {
    "chain": Counter(prepare=1, measure=1, tell=1),
    "loop": Counter(prepare=1, step=3, more=4, measure=1, tell=1),
}
SIZES = {"chain": 0, "loop": 30}
RUNS = ("prepare", "step", "more", "measure", "tell")


class DurabilityRules(Surroundings):
    """For runners that declare ``supports_durable_execution``.

    Each life of the program makes the runner with ``graphs=[graph]`` and ``path=`` of a file, enters it if
    it is a context manager, sync or async, which must take up what an earlier life left unfinished, and
    calls ``run(graph, inputs, workflow_id=...)``.
    """

    group = "durability"

    def durable_program(self, runner: BaseRunner) -> str:
        """Return ``"package.module:name"`` of what makes a runner, given ``graphs=`` and ``path=``.

        The default is the runner's class. Override it if that takes anything else: name a function of
        a module that another process can import.
        """
        kind = type(runner)
        spec = f"{kind.__module__}:{kind.__qualname__}"
        parameters = inspect.signature(kind).parameters
        open_ended = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
        if "<locals>" in spec or kind.__module__ == "__main__":
            reason = "another process cannot import its class"
        elif not open_ended and not {"graphs", "path"} <= set(parameters):
            reason = "its class does not take graphs= and path="
        else:
            return spec
        fail(
            f"{kind.__name__} declares supports_durable_execution, and {reason}, so the kit cannot start "
            "it in a process of its own. Override durable_program() to return "
            "'package.module:function' of a function(graphs, path) that makes the runner."
        )

    # -- lives of the program ------------------------------------------------------------------------

    def graph_for(self, runner: BaseRunner) -> str:
        """Return the name of the graph to run: a loop where the runner takes it."""
        if not runner.capabilities.supports_durable_execution:
            skip(f"{type(runner).__name__} does not declare supports_durable_execution")
        if not hasattr(signal, "SIGKILL"):
            skip("this system has no SIGKILL")
        loop = durable_program.GRAPHS["loop"].features
        return "loop" if runner.capabilities.unsupported(loop) is None else "chain"

    def live(
        self, runner: BaseRunner, graph: str, life: str, *, kill: str = "", names: str = "w"
    ) -> list[Any]:
        """Start the program once; returns the outputs of its workflows, ``[]`` if it was killed."""
        told = self.journal.lines.count("tell") - int(kill.startswith("tell"))
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
            "HYPERGRAPH_HOME": str(self.tmp / "home"),
            durable_program.HOME: str(self.tmp),
            durable_program.KILL: kill,
            durable_program.TOLD: str(self.told),
        }
        command = [sys.executable, "-c", PROGRAM, self.durable_program(runner), graph, life, names]
        try:
            ended = subprocess.run(  # noqa: S603  our own program
                command,
                env=environment,
                capture_output=True,
                text=True,
                timeout=self.patience,
                check=False,
            )
        except subprocess.TimeoutExpired:
            fail(f"The program hangs: it has not ended within {self.patience:.0f} seconds.")
        return []
