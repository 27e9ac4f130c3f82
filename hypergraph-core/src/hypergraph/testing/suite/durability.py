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
    "loop": Counter(prepare=1, step=3, more=3, measure=1, tell=1),
}
SIZES = {"chain": 0, "loop": 30}


class DurabilityRules(Surroundings):
    """For runners that declare ``supports_durable_execution``.

    Each life of the program makes the runner with ``graphs=[graph]`` and ``path=`` of a file, enters it
    if it is a context manager, sync or async, which must take up what an earlier life left unfinished,
    and calls ``run(graph, inputs, workflow_id=...)``.
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
        return fail(
            f"{kind.__name__} declares supports_durable_execution, and {reason}, so the kit cannot "
            "start it in a process of its own. Override durable_program() to return "
            "'package.module:function' of a function(graphs, path) that makes the runner."
        )

    # -- lives of the program ------------------------------------------------------------------------

    def durable_graph(self, runner: BaseRunner) -> str:
        """Return the name of the graph to run: a loop where the runner takes it."""
        if not runner.capabilities.supports_durable_execution:
            skip(f"{type(runner).__name__} does not declare supports_durable_execution")
        if not hasattr(signal, "SIGKILL"):
            skip("this system has no SIGKILL")
        loop = durable_program.GRAPHS["loop"].features
        return "loop" if runner.capabilities.unsupported(loop) is None else "chain"

    def one_life(
        self, runner: BaseRunner, graph: str, life: str, *, kill: str = "", names: str = "w"
    ) -> list[Any]:
        """Start the program once; returns the outputs of its workflows, ``[]`` if it was killed."""
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
            "HYPERGRAPH_HOME": str(self.tmp / "home"),
            durable_program.HOME: str(self.tmp),
            durable_program.KILL: kill,
            durable_program.PATIENCE: str(self.patience / 2),
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
        if kill and ended.returncode == -signal.SIGKILL:
            return []
        if ended.returncode == durable_program.NOT_RECOVERED:
            fail(
                "The program was started anew, and the workflow that was cut off was not taken up. "
                f"Calls so far: {self.journal.lines}.\nResume unfinished workflows of the given graphs "
                "when the runner is entered, and let them run without being asked for."
            )
        if kill or ended.returncode:
            wish = f"be killed at {kill!r}" if kill else "end well"
            fail(f"The program should {wish}; it ended with {ended.returncode}.\n{ended.stderr}")
        results: list[Any] = json.loads((self.tmp / "results.json").read_text())
        return results

    def calls_of_all_lives(self) -> Counter[str]:
        """Return how often each node was called, by all lives together."""
        return Counter(line for line in self.journal.lines if line in CALLS["loop"])

    def killed_and_finished(self, runner: BaseRunner, graph: str, *kills: str) -> None:
        """Kill the program at each of these calls, one life after another, and see the end right."""
        life = "start"
        for kill in kills:
            self.one_life(runner, graph, life, kill=kill)
            life = "recover"
        (outputs,) = self.one_life(runner, graph, "recover")
        assert outputs["told"] == f"{SIZES[graph]} by nobody"
        twice = Counter(kill.split(" ")[0] for kill in kills)
        more = self.calls_of_all_lives() - CALLS[graph] - twice
        assert not more, (
            f"a step whose record was stored must not run again, and {dict(more)} did, beyond the calls "
            f"in which the program was killed. Store a step before what waits for it begins. "
            f"Calls: {self.journal.lines}"
        )
        assert self.calls_of_all_lives() == CALLS[graph] + twice, (
            f"calls are missing: {self.journal.lines}"
        )

    # -- rules ---------------------------------------------------------------------------------------

    @cases("step", ["first", "middle", "nested", "last"])
    def test_a_workflow_that_was_cut_off_finishes_by_itself(
        self, runner: BaseRunner, step: str
    ) -> None:
        graph = self.durable_graph(runner)
        middle = "step 2" if graph == "loop" else "measure 1"
        kills = {"first": "prepare 1", "middle": middle, "nested": "measure 1", "last": "tell 1"}
        self.killed_and_finished(runner, graph, kills[step])

    def test_a_workflow_that_is_cut_off_again_and_again_finishes(self, runner: BaseRunner) -> None:
        graph = self.durable_graph(runner)
        first = ["step 1", "step 3"] if graph == "loop" else ["prepare 1"]
        self.killed_and_finished(runner, graph, *first, "measure 1", "tell 1")

    def test_workflows_that_were_under_way_together_all_finish(self, runner: BaseRunner) -> None:
        graph = self.durable_graph(runner)
        self.one_life(runner, graph, "start", kill="tell 1", names="v,w")
        results = self.one_life(runner, graph, "recover", names="v,w")
        assert [outputs["told"] for outputs in results] == [f"{SIZES[graph]} by nobody"] * 2
        assert self.calls_of_all_lives()["tell"] == 3, (
            "each once, and the one in which the program was killed"
        )

    def test_a_finished_workflow_does_not_run_again(self, runner: BaseRunner) -> None:
        graph = self.durable_graph(runner)
        (first,) = self.one_life(runner, graph, "start")
        before = self.calls_of_all_lives()
        (second,) = self.one_life(runner, graph, "look")
        assert second == first
        assert self.calls_of_all_lives() == before == CALLS[graph]

    def test_a_workflow_that_waits_for_an_answer_still_waits_after_a_crash(
        self, runner: BaseRunner
    ) -> None:
        self.durable_graph(runner)
        asking = durable_program.GRAPHS["asking"].features
        missing = runner.capabilities.unsupported(asking)
        if missing is not None:
            skip(f"{type(runner).__name__} does not declare {missing.capability}")
        self.one_life(runner, "asking", "start", kill="waiting 1")
        assert self.calls_of_all_lives() == Counter(prepare=1, measure=1)
        (outputs,) = self.one_life(runner, "asking", "answer")
        assert outputs["told"] == "0 by me"
        assert self.calls_of_all_lives() == Counter(prepare=1, measure=1, tell=1)
