"""`hypergraph run` and `map` on runners that are awaited: pauses, workflows, limits, one event loop."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hypergraph.cli import main

STEPS = """
import asyncio
from hypergraph import Graph, InterruptNode, node

@node(output_name="draft")
def write(topic: str) -> str:
    with open("written", "a") as file:
        file.write("x")
    return f"About {topic}"

@node(output_name="page")
def publish(draft: str, approved: bool) -> str:
    return draft if approved else ""

@node(output_name="shown")
def secretly(topic: str):
    return {topic}

under_way = []
together = 0
loops = set()

@node(output_name="slow")
async def sleep(n: int):
    global together
    loops.add(asyncio.get_running_loop())
    under_way.append(n)
    together = max(together, len(under_way))
    await asyncio.sleep(0.001 * (5 - n % 5))
    under_way.remove(n)
    return n

ask = InterruptNode("ask", "draft", "approved")
pages = Graph([write, ask, publish], name="pages")
changed = Graph([write, ask, publish.with_name("publish_it")], name="pages")
sets = Graph([secretly, InterruptNode("ask", "shown", "approved")]).select("approved")
slow = Graph([sleep], name="slow")
"""

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory with a module ``steps``, and a key to sign workflows with."""
    (tmp_path / "steps.py").write_text(STEPS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    yield tmp_path
    sys.modules.pop("steps", None)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], place: Path) -> Run:
    def call(command: str, *arguments: str) -> tuple[int, str, str]:
        code = main([command, *arguments, "--runner", "async"])
        return code, *capsys.readouterr()

    return call


KEPT = ("--db", "runs.db", "--workflow-id", "page 1")


def test_a_pause_has_an_exit_code_and_a_json_of_its_own(run: Run) -> None:
    code, out, err = run("run", "steps:pages", "-i", "topic=cats", "--json")
    assert code == 3
    assert json.loads(out) == {
        "status": "paused",
        "outputs": {"draft": "About cats"},
        "pauses": [{"node": "ask", "response_key": "approved", "value": "About cats"}],
        "workflow_id": None,
    }
    assert err == (
        "hypergraph: paused at 'ask'; it waits for 'approved'\n"
        "  To answer: run it again with -i approved=... (--db PATH keeps what has been done)\n"
    )
    code, out, _ = run("run", "steps:pages", "-i", "topic=cats")
    assert (code, out) == (3, "draft: About cats\n")
    code, out, _ = run("run", "steps:pages", "-i", "topic=cats", "-i", "approved=true", "--json")
    assert (code, json.loads(out)["page"]) == (0, "About cats")


def test_what_is_shown_and_no_json_is_given_as_text(run: Run) -> None:
    code, out, _ = run("run", "steps:sets", "-i", "topic=cats", "--json")
    assert code == 3
    assert json.loads(out)["pauses"][0]["text"] == "{'cats'}"


def test_a_workflow_is_answered_by_the_command_that_is_printed(run: Run, place: Path) -> None:
    code, _, err = run("run", "steps:pages", "-i", "topic=cats", *KEPT)
    assert code == 3
    command = "hypergraph run steps:pages --runner async --db runs.db --workflow-id 'page 1'"
    assert f"  To answer: {command} -i approved=...\n" in err
    code, out, _ = run("run", "steps:pages", "-i", "approved=true", *KEPT, "--json")
    assert (code, json.loads(out)["page"]) == (0, "About cats")
    assert (place / "written").read_text() == "x"
    assert main(["workflows", "list", "--db", "runs.db"]) == 0


def test_a_changed_graph_is_resumed_only_by_force(run: Run) -> None:
    assert run("run", "steps:pages", "-i", "topic=cats", *KEPT)[0] == 3
    code, _, err = run("run", "steps:changed", "-i", "approved=true", *KEPT)
    assert code == 2
    assert "--force-resume" in err
    code, out, _ = run("run", "steps:changed", "-i", "approved=true", *KEPT, "--force-resume")
    assert (code, "page: About cats" in out) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--db", "runs.db"], "the runner 'sync' keeps no workflows, so it takes no --db"),
        (["--workflow-id", "a"], "the runner 'sync' takes no --workflow-id; use one that does"),
        (["--max-concurrency", "2"], "the runner 'sync' takes no --max-concurrency"),
        (["--force-resume"], "the runner 'sync' takes no --force-resume"),
    ],
)
def test_an_option_that_the_runner_does_not_take_is_refused(
    capsys: pytest.CaptureFixture[str], place: Path, arguments: list[str], said: str
) -> None:
    assert main(["run", "steps:pages", "-i", "topic=cats", *arguments]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert "--runner async" in err
    assert not (place / "written").exists()


def test_a_workflow_without_a_file_is_told_to_name_one(run: Run) -> None:
    call = ["run", "steps:pages", "-i", "topic=cats", "--runner", "async", "--workflow-id", "a"]
    code, out, err = run(*call)
    assert (code, out) == (2, "")
    assert "add --db FILE" in err
    assert "SqliteCheckpointer(" not in err


def test_a_map_keeps_the_order_and_the_limit_in_one_event_loop(run: Run, place: Path) -> None:
    (place / "a.jsonl").write_text("".join(f'{{"n": {n}}}\n' for n in range(40)))
    limits = ["--max-concurrency", "4", "--batch-size", "15"]
    code, out, err = run("map", "steps:slow", "a.jsonl", *limits)
    assert code == 0, err
    assert [json.loads(line) for line in out.splitlines()] == [{"slow": n} for n in range(40)]
    steps = sys.modules["steps"]
    assert (steps.together, len(steps.loops)) == (4, 1)


def test_a_graph_that_waits_for_answers_cannot_be_mapped(run: Run, place: Path) -> None:
    (place / "a.jsonl").write_text('{"topic": "cats"}\n')
    code, out, err = run("map", "steps:pages", "a.jsonl")
    assert (code, out) == (2, "")
    assert "ask" in err


def test_the_default_runner_comes_from_environment_and_file(
    capsys: pytest.CaptureFixture[str], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call: list[Any] = ["run", "steps:slow", "-i", "n=4"]
    monkeypatch.delenv("HYPERGRAPH_RUNNER", raising=False)
    monkeypatch.setenv("HYPERGRAPH_CONFIG", str(place / "hypergraph.toml"))
    (place / "hypergraph.toml").write_text('runner = "mine"\n[runners.mine]\nuse = "async"\n')
    assert main(call) == 0
    monkeypatch.setenv("HYPERGRAPH_RUNNER", "sync")
    assert main(call) == 2
    assert main([*call, "--runner", "mine"]) == 0
    assert capsys.readouterr().out == "slow: 4\nslow: 4\n"


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_an_interruption_keeps_what_is_finished_in_order(place: Path) -> None:
    (place / "stuck.py").write_text(
        "import asyncio\n"
        "from hypergraph import Graph, node\n"
        "@node(output_name='x')\n"
        "async def wait(n):\n"
        "    if n == 3:\n"
        "        open('waiting', 'w').close()\n"
        "        await asyncio.sleep(60)\n"
        "    return n\n"
        "graph = Graph([wait])\n"
    )
    (place / "a.jsonl").write_text("".join(f'{{"n": {n}}}\n' for n in range(8)))
    command = [sys.executable, "-m", "hypergraph", "map", "stuck:graph", "a.jsonl"]
    with subprocess.Popen(
        [*command, "--runner", "async", "--output", "out.jsonl"], stderr=subprocess.PIPE, text=True
    ) as process:
        while not (place / "waiting").exists():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        said = process.stderr.read()
        assert process.wait() == 130
    assert said.endswith("hypergraph: interrupted\n")
    assert "Traceback" not in said
    assert (place / "out.jsonl").read_text() == "".join(f'{{"x": {n}}}\n' for n in range(3))
