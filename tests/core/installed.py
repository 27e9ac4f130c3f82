"""Distributions installed as pip writes them, and fresh processes that find them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


class Site:
    """A directory of installed distributions. ``prelude``: what each program begins with."""

    def __init__(self, place: Path, prelude: str) -> None:
        self.place = place / "site"
        self.home = place / "home"
        self.prelude = prelude
        self.home.mkdir()
        self.place.mkdir()

    def add(self, distribution: str, group: str, name: str, code: str, target: str) -> None:
        """Install a distribution of one module, which offers ``target`` of it under a name."""
        module = distribution.replace("-", "_")
        info = self.place / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\nRequires-Python: >=3.9\n"
        )
        (info / "entry_points.txt").write_text(f"[{group}]\n{name}={module}:{target}\n")
        (self.place / f"{module}.py").write_text(code)

    def evaluate(self, expression: str, define: str = "", **variables: str) -> Any:
        """Return what an expression is in a fresh process, which begins by these definitions."""
        program = (
            f"import json, sys\n{self.prelude}\n{define}\n"
            "print(json.dumps(eval(sys.argv[1].strip())))\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", program, expression],
            check=False,
            capture_output=True,
            text=True,
            cwd=self.home,
            env={**os.environ, "PYTHONPATH": str(self.place), **variables},
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])
