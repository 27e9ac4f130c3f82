"""An environment per peer, made on first use and again when its versions change.

Rule of this file: this project and hand-written Python run in the environment that runs the
benchmarks; no two peers share one, since their dependencies exclude each other.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ENVIRONMENTS = HERE / ".envs"
OURS = ("hypergraph", "hand")
PEERS = ("pipefunc", "hamilton", "langgraph", "burr", "pydantic_graph")

QUIET = {
    "BURR_TELEMETRY_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "HAMILTON_TELEMETRY_ENABLED": "false",
    "LANGCHAIN_TRACING_V2": "false",
    "LANGSMITH_TRACING": "false",
}


def environment() -> dict[str, str]:
    """Return the variables a contender's process gets: no tracing, a fixed hash seed."""
    return {**os.environ, **QUIET, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": ""}


def python_of(contender: str) -> Path:
    """Return the interpreter of a contender, whose environment is made if it has to be.

    Raises `subprocess.CalledProcessError` if the packages cannot be installed.
    """
    if contender in OURS:
        return Path(sys.executable)
    place = ENVIRONMENTS / contender
    python = place / ("Scripts" if os.name == "nt" else "bin") / "python"
    requirements = HERE / "requirements" / f"{contender}.txt"
    made_from = f"{sys.version}\n{requirements.read_text(encoding='utf-8')}"
    ready = place / ".ready"
    if ready.exists() and ready.read_text(encoding="utf-8") == made_from:
        return python
    print(f"making the environment of {contender} (once) ...", file=sys.stderr, flush=True)
    shutil.rmtree(place, ignore_errors=True)
    _call(sys.executable, "-m", "venv", str(place))
    _call(str(python), "-m", "pip", "install", "--quiet", "--requirement", str(requirements))
    ready.write_text(made_from, encoding="utf-8")
    return python


def _call(*command: str) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        print(done.stdout, done.stderr, sep="", file=sys.stderr)
        done.check_returncode()
