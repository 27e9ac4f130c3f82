"""`hypergraph run` and `hypergraph demo`, with a runner that really runs."""

import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hypergraph import BaseRunner, Graph, RunnerCapabilities, RunResult, node
from hypergraph.cli import main
from hypergraph.cli.demo import library
from hypergraph.cli.progress import PlainProgress, progress
from hypergraph.runners import registry
from hypergraph_runner_sync import SyncRunner
from tests.sync.support import at_work_in

PIPELINE = """
import time
from hypergraph import END, Graph, branch, node

@node(output_name="number")
def parse(text):
    return int(text)

@node(output_name="double")
def double(number):
    return 2 * number

@node(output_name="odd")
def odd(number):
    return {number}

@node(output_name="query")
def fetch(text):
    error = ConnectionError("the line is dead")
    raise error from OSError("unplugged")

@branch(when_true="again", when_false=END)
def always(number):
    return True

@node(output_name="number")
def again(number):
    return number

@node(output_name="waited")
def wait(seconds):
    print("waiting", flush=True)
    time.sleep(seconds)

graph = Graph([parse, double], name="main")
sets = Graph([parse, odd])
mapped = Graph([graph.as_node().map_over("text")], name="outer")
failing = Graph([fetch])
endless = Graph([always, again], name="endless")
waiting = Graph([wait])
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with at_work_in(tmp_path, monkeypatch, PIPELINE) as directory:
        yield directory


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], place: Path) -> Callable[..., tuple[int, str, str]]:
    def call(*arguments: str) -> tuple[int, str, str]:
        code = main(["run", *arguments])
        return code, *capsys.readouterr()

    return call


# --- run --------------------------------------------------------------------------------------


def test_results_are_printed_for_people_or_as_json(run: Any) -> None:
    assert run("steps:graph", "-i", "text=4") == (0, "number: 4\ndouble: 8\n", "")
    code, out, err = run("steps:graph", "-i", "text=4", "--json")
    assert (code, json.loads(out), err) == (0, {"number": 4, "double": 8}, "")


def test_inputs_come_from_a_file_and_outputs_are_selected(run: Any, place: Path) -> None:
    (place / "in.json").write_text('{"text": "21"}')
    assert run("steps.py:graph", "-i", "@in.json", "--select", "double") == (
        0,
        "double: 42\n",
        "",
    )


def test_a_failed_node_ends_with_1_and_shows_the_users_frames_and_the_place(run: Any) -> None:
    code, out, err = run("steps:mapped", "-i", 'text=["1", "x"]')
    assert (code, out) == (1, "")
    lines = err.splitlines()
    assert lines[0].startswith("Traceback (nodes only")
    assert re.fullmatch(r'  File ".*steps\.py", line \d+, in parse', lines[1])
    assert lines[-2] == "ValueError: invalid literal for int() with base 10: 'x'"
    assert lines[-1].startswith("hypergraph: node 'main[1]/parse' of graph 'outer' failed")
    assert "hypergraph_runner_sync" not in err


def test_the_whole_traceback_is_there_for_the_asking(run: Any) -> None:
    code, _, err = run("steps:failing", "-i", "text=x", "--traceback")
    assert code == 1
    assert "hypergraph_runner_sync" in err
    assert "OSError: unplugged" in err


def test_a_failure_in_another_process_shows_the_frames_from_there(run: Any, place: Path) -> None:
    (place / "pooled.py").write_text(
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from concurrent.futures.process import _ExceptionWithTraceback\n"
        "from hypergraph import Graph, node\n"
        "def far():\n"
        "    raise ValueError('not there')\n"
        "def sent():\n"
        "    try:\n"
        "        far()\n"
        "    except ValueError as error:\n"
        "        rebuild, rest = _ExceptionWithTraceback(error, error.__traceback__).__reduce__()\n"
        "        return rebuild(*rest)\n"
        "@node(output_name='x')\n"
        "def local():\n"
        "    with ThreadPoolExecutor(1) as pool:\n"
        "        return pool.submit(here).result()\n"
        "def here():\n"
        "    raise ValueError('near')\n"
        "@node(output_name='y')\n"
        "def remote():\n"
        "    raise sent()\n"
        "near = Graph([local])\n"
        "distant = Graph([remote])\n"
    )
    try:
        code, _, err = run("pooled:distant")
        assert code == 1
        assert "in far\n" in err
        assert "ValueError: not there" in err.splitlines()
        code, _, err = run("pooled:near")
        assert code == 1
        assert "in here\n" in err
        assert "futures" not in err
    finally:
        sys.modules.pop("pooled", None)


def test_a_loop_without_an_end_is_a_failed_run(run: Any) -> None:
    code, _, err = run("steps:endless", "-i", "number=1")
    assert code == 1
    assert "InfiniteLoopError" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["steps:graph"], "Missing input: 'text'"),
        (["steps:graph"], "add -i text=..."),
        (
            ["steps:graph", "-i", "text=1", "-i", "other=1"],
            "hypergraph show steps:graph lists them",
        ),
        (["steps:graph", "-i", "texts=1"], "Did you mean 'text'?"),
        (["steps:graph", "-i", "text=1", "--select", "doubel"], "Did you mean 'double'?"),
        (["steps:graph", "-i", "text=1", "--runner", "snyc"], "Did you mean 'sync'?"),
        (["steps:graph", "-i", "text"], "takes NAME=VALUE or @FILE"),
        (["steps:sets", "-i", "text=1", "--json"], "output 'odd' is a set that JSON cannot hold"),
    ],
)
def test_what_does_not_fit_ends_with_2_and_no_traceback(
    run: Any, arguments: list[str], said: str
) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err


def test_timings_go_to_stderr(run: Any) -> None:
    code, out, err = run("steps:mapped", "-i", "text=[1, 2]", "--timings", "--json")
    assert code == 0
    assert json.loads(out)["double"] == [2, 4]
    assert [line.split()[:2] for line in err.splitlines()] == [
        ["node", "runs"],
        ["main", "1"],
        ["parse", "2"],
        ["double", "2"],
    ]


class Later(BaseRunner):
    """Runs a graph in an event loop, and says so in the way that its options ask for."""

    capabilities = RunnerCapabilities(returns_coroutine=True)
    error: Exception | None = None

    async def run(self, graph: Graph, *args: Any, **options: Any) -> Any:
        return RunResult(values=SyncRunner().run(graph, *args, **options), error=self.error)

    def map(self, graph: Graph, *args: Any, **options: Any) -> Any: ...


class Failing(Later):
    error = ValueError("kept in the result")


class Strange(Later):
    async def run(self, graph: Graph, *args: Any, **options: Any) -> Any:
        return 7


def test_a_runner_that_returns_a_coroutine_is_awaited(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for cls in (Later, Failing, Strange):
        monkeypatch.setitem(registry._registered, cls.__name__.lower(), cls)
    call = ["steps:graph", "-i", "text=4", "--runner"]
    assert run(*call, "later") == (0, "number: 4\ndouble: 8\n", "")
    code, _, err = run(*call, "failing")
    assert (code, err) == (1, "ValueError: kept in the result\n")
    code, _, err = run(*call, "strange")
    assert (code, err) == (2, "hypergraph: the runner returned a int, which cannot be shown\n")


class Choosy(Later):
    """Says of options only when it is called which of them it takes."""

    capabilities = RunnerCapabilities()

    def run(self, graph: Graph, *args: Any, **options: Any) -> Any:  # type: ignore[override]
        if "session_id" in options:
            raise TypeError("unknown option 'session_id'")
        return SyncRunner().run(graph, *args)


def test_what_the_runner_itself_refuses_is_a_wrong_call(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry._registered, "choosy", Choosy)
    call = ["steps:graph", "-i", "text=4", "--runner", "choosy"]
    assert run(*call, "--max-iterations", "3")[0] == 0
    code, out, err = run(*call, "--session-id", "s")
    assert (code, out) == (2, "")
    assert err == (
        "hypergraph: the runner 'Choosy' refused --session-id: unknown option 'session_id'\n"
    )


class Unmade(Later):
    def __init__(self) -> None:
        raise ConnectionError("nobody is there")


def test_a_runner_that_cannot_be_made_is_no_traceback(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry._registered, "unmade", Unmade)
    said = "hypergraph: the runner 'unmade' cannot be made: ConnectionError: nobody is there\n"
    assert run("steps:graph", "-i", "text=4", "--runner", "unmade") == (2, "", said)


def test_options_of_a_run_reach_the_runner(run: Any) -> None:
    code, _, err = run("steps:endless", "-i", "number=1", "--max-iterations", "7")
    assert code == 1
    assert "7" in err
    code, _, err = run("steps:graph", "-i", "text=4", "--max-iterations", "none")
    assert code == 2
    assert "a whole number from 1 on, please" in err


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_an_interruption_ends_with_130(place: Path) -> None:
    command = [sys.executable, "-m", "hypergraph", "run", "steps:waiting", "-i", "seconds=60"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() == "hypergraph: interrupted\n"
        assert process.wait() == 130


# --- progress ---------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@node(output_name="inner")
def inside(item: int) -> int:
    return item


def test_plain_progress_writes_one_line_and_wipes_it() -> None:
    stream = Terminal()
    every = Graph([inside], name="item").as_node("every").map_over("item")
    SyncRunner(event_processors=[PlainProgress(stream)]).run(Graph([every]), {"item": [1]})
    assert stream.getvalue().startswith("\r\x1b[Kevery")
    assert stream.getvalue().endswith("\r\x1b[K")


def test_progress_is_for_terminals_and_plain_without_rich(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert progress() == []
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert [type(one).__name__ for one in progress()] == ["RichProgress"]
    monkeypatch.delitem(sys.modules, "hypergraph.extras.rich_progress")
    monkeypatch.setitem(sys.modules, "rich.console", None)
    assert [type(one).__name__ for one in progress()] == ["PlainProgress"]


# --- demo -------------------------------------------------------------------------------------

KITCHEN = {
    "soup.py": '"""Soup."""\ndef cook():\n    """Cook a soup."""\ndef salt():\n    """Salt it."""\n',
    "pots/__init__.py": "",
    "pots/large.py": '"""Pots."""\nclass Pot:\n    """A pot that is large."""\n',
}


@pytest.fixture
def kitchen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A very small standard library."""
    root = tmp_path / "lib"
    for name, source in KITCHEN.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(source)
    monkeypatch.setattr(library, "LIBRARY", root)
    monkeypatch.setattr(sys, "stdlib_module_names", frozenset({"soup", "pots"}))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    return root


def demo(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["demo", *arguments]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return str(out)


def row(out: str, name: str) -> list[str]:
    (line,) = (line for line in out.splitlines() if line.split()[:1] == [name])
    return line.split()


def test_the_demo_answers_with_sources_and_says_what_each_node_took(
    capsys: pytest.CaptureFixture[str], kitchen: Path
) -> None:
    out = demo(capsys, "--no-cache", "How do I cook a large soup?", "xyzzy")
    assert out.startswith(library.graph.describe())
    assert "  soup.cook  (soup.py:2)\n      Cook a soup.\n" in out
    assert "xyzzy\n  nothing found\n" in out
    assert f"Files are relative to {kitchen}" in out
    assert row(out, "read")[:3] == ["read", "3", "-"]
    assert row(out, "collect")[:3] == ["collect", "2", "-"]
    assert "without a cache" in out


def test_the_second_run_comes_from_the_cache_and_says_so(
    capsys: pytest.CaptureFixture[str], kitchen: Path, tmp_path: Path
) -> None:
    first, second = demo(capsys), demo(capsys)
    assert "Run it again" in first
    assert row(second, "collect")[:3] == ["collect", "2", "2"]
    assert re.search(r"instead of .* s: 2 results came from the cache in .*demo\n", second)
    assert str(tmp_path / "cache" / "hypergraph" / "demo") in second
    answers = [text.partition("\nnode ")[0] for text in (first, second)]
    assert answers[0] == answers[1]


def test_the_demo_looks_again_at_what_has_changed(
    capsys: pytest.CaptureFixture[str], kitchen: Path, tmp_path: Path
) -> None:
    cache = ["--cache", str(tmp_path / "mine")]
    demo(capsys, *cache)
    (kitchen / "soup.py").write_text('def cook():\n    """Boil everything."""\n')
    out = demo(capsys, *cache, "boil")
    assert row(out, "collect")[:3] == ["collect", "2", "1"]
    assert "Boil everything." in out
    assert row(demo(capsys, *cache, "--fresh"), "collect")[:3] == ["collect", "2", "-"]


def test_the_demo_runs_without_the_cache_extra_and_says_so(
    capsys: pytest.CaptureFixture[str], kitchen: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "hypergraph.cache.disk", raising=False)
    monkeypatch.setitem(sys.modules, "diskcache", None)
    assert main(["demo", "cook"]) == 0
    out, err = capsys.readouterr()
    assert "soup.cook" in out
    assert "without a cache" in out
    assert 'pip install "hypergraph-core[cache]"' in err


def test_the_demo_works_on_the_real_library(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    question = "How do I make a temporary directory that is removed afterwards?"
    out = demo(capsys, "--cache", str(tmp_path / "cache"), question)
    assert "  tempfile.TemporaryDirectory  (tempfile.py:" in out
    assert int(row(out, "collect")[1]) > 300
    assert int(row(out, "collect")[1]) < int(row(out, "read")[1])


# --- what nodes and runners may do ------------------------------------------------------------


@pytest.mark.parametrize(
    ("argument", "code", "said"),
    [
        ("3", 3, ""),
        ("'enough'", 1, "enough\n"),
        ("", 1, "hypergraph: a node ended the program by sys.exit()\n"),
    ],
)
def test_a_node_may_end_the_process(
    run: Any, place: Path, argument: str, code: int, said: str
) -> None:
    (place / "ends.py").write_text(
        "import sys\nfrom hypergraph import Graph, node\n"
        f"graph = Graph([node(lambda: sys.exit({argument}), name='end', output_name='x')])\n"
    )
    try:
        assert run("ends:graph") == (code, "", said)
    finally:
        del sys.modules["ends"]


class Deaf(Later):
    capabilities = RunnerCapabilities()

    def run(self, graph: Graph, inputs: Any = None, *, values: Any = None) -> Any:  # type: ignore[override]
        return SyncRunner().run(graph, inputs)


def test_a_runner_that_takes_no_listeners_runs_without_progress(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry._registered, "deaf", Deaf)
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert run("steps:graph", "-i", "text=4", "--runner", "deaf")[0] == 0
    assert sys.stderr.getvalue() == ""  # type: ignore[attr-defined]
