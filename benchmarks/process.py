"""A contender's worker process, asked one question at a time.

Rule of this file: a worker that does not answer in time is ended and started anew; whatever it
prints itself is kept out of the report.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.environments import HERE, environment


class Process:
    """The worker of one contender, started when first asked."""

    def __init__(self, contender: str, python: Path) -> None:
        self.contender = contender
        self.python = python
        self._worker: subprocess.Popen[str] | None = None
        self._directory = tempfile.TemporaryDirectory(prefix="hypergraph-bench-")
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as this

    def ask(self, timeout: float, **question: Any) -> dict[str, Any]:
        """Ask the worker; the answer holds ``cannot`` if there is no result."""
        worker = self._worker or self._start()
        assert worker.stdin is not None
        assert worker.stdout is not None
        late = threading.Event()

        def end() -> None:
            late.set()
            worker.kill()

        timer = threading.Timer(timeout, end)
        timer.start()
        try:
            print(json.dumps(question), file=worker.stdin, flush=True)
            answer = worker.stdout.readline()
        except BrokenPipeError:
            answer = ""
        finally:
            timer.cancel()
        if answer:
            return json.loads(answer)  # type: ignore[no-any-return]
        self.close()
        return {"cannot": f"> {timeout:.0f} s" if late.is_set() else "died", "why": self._told()}

    def close(self) -> None:
        """End the worker. The next question starts another one, in the same directory."""
        worker, self._worker = self._worker, None
        if worker is None:
            return
        assert worker.stdin is not None
        assert worker.stdout is not None
        try:
            worker.stdin.close()
            worker.wait(timeout=5)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            worker.kill()
            worker.wait()
        worker.stdout.close()

    def end(self) -> None:
        """End the worker and remove all that it wrote."""
        self.close()
        self._directory.cleanup()
        self._errors.close()

    def _start(self) -> subprocess.Popen[str]:
        self._worker = worker = subprocess.Popen(
            [self.python, "-m", "benchmarks.worker", self.contender, self._directory.name],
            cwd=HERE.parent,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        assert worker.stdout is not None
        worker.stdout.readline()  # it has imported what it needs
        return worker

    def _told(self) -> str:
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace").strip()[-300:]


@contextmanager
def processes(pythons: dict[str, Path]) -> Iterator[dict[str, Process]]:
    """Give a process per contender, and end them all."""
    made = {contender: Process(contender, python) for contender, python in pythons.items()}
    try:
        yield made
    finally:
        for process in made.values():
            process.end()
