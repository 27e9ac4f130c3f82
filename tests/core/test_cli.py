"""The command line, as far as it needs no runner to run."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from hypergraph import node
from hypergraph.cli import main
from hypergraph.cli.errors import UsageError
from hypergraph.cli.target import load_graph
from hypergraph.cli.timing import Timings
from hypergraph.cli.values import as_json, as_text, read_inputs
from hypergraph.events import NodeEndEvent, NodeStartEvent, RunEndEvent, RunStartEvent
from hypergraph.results import RunStatus

PIPELINE = """
from hypergraph import Graph, node

@node(output_name="tokens")
def split(text: str) -> list[str]:
    return text.split()

@node(output_name="answer")
async def answer(tokens):
    return tokens

graph = Graph([split], name="pipeline")
waiting = Graph([split, answer], name="waiting")

class Holder:
    inner = graph

def make() -> Graph:
    return graph

def needs(something) -> int:
    return 1

def fails() -> "Graph":
    raise RuntimeError("no such luck")
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory with a module ``pipeline`` that is forgotten afterwards."""
    (tmp_path / "pipeline.py").write_text(PIPELINE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None)
        if file and str(tmp_path) in file:
            del sys.modules[name]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def call(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        return code, *capsys.readouterr()

    return call


# --- the command as a whole -------------------------------------------------------------------


def test_the_version_is_the_one_installed(run: Any) -> None:
    assert run("--version") == (0, f"hypergraph {version('hypergraph-core')}\n", "")


@pytest.mark.parametrize("arguments", [[], ["frobnicate"], ["run"], ["show", "a:b", "--nope"]])
def test_a_wrong_call_fails_with_2_and_the_usage(run: Any, arguments: list[str]) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("usage: hypergraph")


@pytest.mark.parametrize(
    "command", ["run", "map", "check", "show", "runners", "plugins", "workflows", "demo"]
)
def test_every_command_explains_itself(run: Any, command: str) -> None:
    code, out, err = run(command, "--help")
    assert (code, err) == (0, "")
    assert out.startswith(f"usage: hypergraph {command}")


def test_the_module_can_be_run(place: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hypergraph", "show", "pipeline:graph"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0
    assert done.stdout.startswith("Graph 'pipeline', 1 node\n")


@pytest.mark.skipif(os.name != "posix", reason="pipes")
def test_a_reader_that_has_gone_ends_the_command_quietly(place: Path) -> None:
    (place / "large.py").write_text(
        "from hypergraph import Graph, node\n"
        "graph = Graph([node(lambda a: a, name='n%d' % i + 'x' * 2000, output_name='o%d' % i)\n"
        "               for i in range(200)])\n"
    )
    command = [sys.executable, "-m", "hypergraph", "show", "large:graph"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(1)
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 141


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is full")
def test_a_full_disk_is_no_traceback(place: Path) -> None:
    (place / "rows.jsonl").write_text('{"text": "a b"}\n')
    for command in (["show", "pipeline:graph"], ["map", "pipeline:graph", "rows.jsonl"]):
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(
                [sys.executable, "-m", "hypergraph", *command],
                check=False,
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
            )
        assert done.returncode == 2
        assert done.stderr.splitlines()[-1].endswith("No space left on device")
        assert "Traceback" not in done.stderr


def test_an_interruption_ends_with_130(run: Any, place: Path) -> None:
    (place / "stopped.py").write_text("raise KeyboardInterrupt")
    assert run("show", "stopped:graph") == (130, "", "hypergraph: interrupted\n")


def test_an_interruption_while_the_command_is_loaded_ends_with_130(place: Path) -> None:
    program = (
        "import sys\n"
        "class Interrupts:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'hypergraph.graph':\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupts())\n"
        "from hypergraph.cli import main\n"
        "sys.exit(main(['show', 'pipeline:graph']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "hypergraph: interrupted\n"


def test_what_a_module_prints_is_not_among_the_results(run: Any, place: Path) -> None:
    (place / "noisy.py").write_text(
        "from pipeline import graph\nprint('loading')\n"
        "def made():\n    print('making')\n    return graph\n"
    )
    code, out, err = run("show", "noisy:made", "--json")
    assert (code, err) == (0, "loading\nmaking\n")
    assert json.loads(out)["name"] == "pipeline"


@pytest.mark.parametrize("arguments", [["runners", "--jso"], ["runners", "list", "--jso"]])
def test_options_are_taken_by_their_whole_names(run: Any, arguments: list[str]) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert "unrecognized arguments: --jso" in err


def test_a_warning_is_shown_without_our_source(place: Path) -> None:
    (place / "warns.py").write_text(
        "import warnings\nfrom hypergraph.errors import HypergraphWarning\n"
        "from pipeline import graph\n"
        "warnings.warn('Look out.', HypergraphWarning)\nwarnings.warn('Theirs.', UserWarning)\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "hypergraph", "show", "warns:graph"],
        check=True,
        capture_output=True,
        text=True,
    )
    first, second, *_ = done.stderr.splitlines()
    assert first == "hypergraph: Look out."
    assert second.endswith("warns.py:5: UserWarning: Theirs.")


# --- the target -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        "pipeline:graph",
        "pipeline.py:graph",
        "./pipeline.py:graph",
        "pipeline:make",
        "pipeline:Holder.inner",
    ],
)
def test_a_target_may_be_a_module_or_a_file_and_a_graph_or_what_returns_one(
    place: Path, target: str
) -> None:
    assert load_graph(target).name == "pipeline"


def test_a_file_may_be_elsewhere_and_import_its_neighbours(
    place: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "neighbour_of_main.py").write_text(PIPELINE)
    (elsewhere / "json.py").write_text("from neighbour_of_main import graph")
    try:
        assert load_graph(f"{elsewhere / 'json.py'}:graph").name == "pipeline"
        assert sys.modules["json"] is json
    finally:
        sys.modules.pop("neighbour_of_main", None)
        sys.modules.pop("hypergraph_target_json", None)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("pipelin:graph", "there is no module 'pipelin'. Did you mean 'pipeline'?"),
        ("pipeline.py.py:graph", "there is no file 'pipeline.py.py'. Did you mean 'pipeline.py'?"),
        ("pipeline:grpah", "module 'pipeline' has no 'grpah'. Did you mean 'graph'?\nGraphs in"),
        (
            "pipeline",
            "say which graph of module 'pipeline'\nGraphs in this module:\n  pipeline:gra",
        ),
        ("pipeline:", "say which graph of module 'pipeline'"),
        (":graph", "names no module"),
        ("..:graph", "'..' is not the name of a module"),
        ("pipeline:split", "'pipeline:split' is of type FunctionNode, not a Graph"),
        ("pipeline:needs", "'pipeline:needs' is of type function, not a Graph"),
        ("pipeline:fails", "'pipeline:fails' cannot be loaded: RuntimeError: no such luck ("),
        ("broken:graph", "module 'broken' cannot be loaded: ZeroDivisionError: division by zero ("),
        ("needy:graph", "'needy' cannot be loaded: ModuleNotFoundError: No module named 'absent_m"),
        ("syntax:graph", "cannot be loaded: SyntaxError"),
        ("noted:graph", "module 'noted' cannot be loaded: ValueError: no such luck ("),
        ("exits:graph", "module 'exits' exits when it is loaded"),
        ("invalid:graph", "Two nodes are both called 'f'."),
    ],
)
def test_a_wrong_target_is_explained_without_a_traceback(
    run: Any, place: Path, target: str, said: str
) -> None:
    (place / "broken.py").write_text("1 / 0")
    (place / "needy.py").write_text("import absent_module")
    (place / "syntax.py").write_text("def (")
    (place / "exits.py").write_text("raise SystemExit(0)")
    (place / "noted.py").write_text(
        "error = ValueError('no such luck')\nerror.add_note('a note')\nraise error"
    )
    (place / "invalid.py").write_text(
        "from hypergraph import Graph, node\nf = node(lambda: 1, name='f', output_name='x')\n"
        "graph = Graph([f, f])"
    )
    code, out, err = run("show", target)
    assert (code, out) == (2, "")
    assert err.startswith("hypergraph: ")
    assert said in err
    assert "Traceback" not in err


def test_the_whole_traceback_is_there_for_the_asking(run: Any, place: Path) -> None:
    (place / "broken.py").write_text("1 / 0")
    code, _, err = run("show", "broken:graph", "--traceback")
    assert code == 2
    assert err.startswith("Traceback (most recent call last)")


# --- show -------------------------------------------------------------------------------------


def test_show_prints_text_or_mermaid_or_writes_a_page(run: Any, place: Path) -> None:
    graph = load_graph("pipeline:graph")
    assert run("show", "pipeline:graph") == (0, graph.describe() + "\n", "")
    assert run("show", "pipeline:graph", "--mermaid") == (0, graph.to_mermaid(), "")
    assert run("show", "pipeline:graph", "--html", "o.html") == (0, "wrote o.html\n", "")
    assert (place / "o.html").read_text(encoding="utf-8") == graph.visualize()


def test_show_says_when_the_page_cannot_be_written(run: Any, place: Path) -> None:
    code, _, err = run("show", "pipeline:graph", "--html", "absent/o.html")
    assert (code, err) == (2, "hypergraph: --html absent/o.html: No such file or directory\n")


def test_a_graph_as_json_has_every_node_and_edge(run: Any, place: Path) -> None:
    (place / "outer.py").write_text(
        "from hypergraph import END, Graph, branch, node\n"
        "from pipeline import graph\n"
        "@branch(when_true='split_all', when_false=END)\n"
        "def more(text, limit=3): return False\n"
        "inner = graph.as_node('split_all').map_over('text')\n"
        "graph = Graph([more, inner], name='outer')\n"
    )
    code, out, err = run("show", "outer:graph", "--json")
    found = json.loads(out)
    assert (code, err) == (0, "")
    assert found["inputs"] == [
        {"name": "text", "state": "required"},
        {"name": "limit", "state": "optional"},
    ]
    assert found["needs"] == {"gates": "more"}
    more, inner = found["nodes"]
    assert (more["kind"], more["defaults"]) == ("branch", ["limit"])
    assert [choice["target"] for choice in more["choices"]] == ["split_all", None]
    assert (inner["maps"], inner["graph"]["nodes"][0]["outputs"]) == (["text"], ["tokens"])
    assert {(edge["source"], edge["target"], edge["kind"]) for edge in found["edges"]} == {
        ("more", "split_all", "control"),
        ("more", None, "control"),
    }
    assert found["definition_hash"] == load_graph("outer:graph").definition_hash


@pytest.mark.skipif(os.name != "posix", reason="a shell")
@pytest.mark.parametrize(
    "command", ["show pipeline:graph", "runners", "plugins", "check pipeline:graph"]
)
def test_a_closed_stdout_is_no_error(place: Path, command: str) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "$0" -m hypergraph {command} >&-', sys.executable],
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_names_that_stdout_cannot_encode_are_escaped(place: Path) -> None:
    (place / "accents.py").write_text(
        "from hypergraph import Graph, node\n"
        "graph = Graph([node(lambda: 'naïve', name='größe', output_name='x')])\n",
        encoding="utf-8",
    )
    for command in (["show", "accents:graph"], ["show", "accents:graph", "--json"]):
        done = subprocess.run(
            [sys.executable, "-m", "hypergraph", *command],
            check=False,
            capture_output=True,
            env={**os.environ, "PYTHONIOENCODING": "ascii"},
        )
        assert (done.returncode, done.stderr) == (0, b"")
        assert b"gr\\" in done.stdout


# --- values -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("x=hello", "hello"),
        ("x=3", 3),
        ("x=true", True),
        ("x=", ""),
        ("x=a=b", "a=b"),
        ('x="3"', "3"),
        ("x=[1, 2]", [1, 2]),
        ("x=007", "007"),
        ("x=@file", "@file"),
        ("x=NaN", "NaN"),
        ("x=Infinity", "Infinity"),
        ("x=" + "[" * 100_000, "[" * 100_000),
    ],
)
def test_a_value_is_json_or_text(argument: str, value: object) -> None:
    assert read_inputs([argument]) == {"x": value}


def test_a_file_of_inputs_is_merged_and_the_last_one_counts(tmp_path: Path) -> None:
    (tmp_path / "in.json").write_text('{"x": 1, "y": 2}')
    file = f"@{tmp_path / 'in.json'}"
    assert read_inputs(["x=0", file, "y=3"]) == {"x": 1, "y": 3}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[1]", "a JSON list, not an object"),
        (b"{", "not JSON"),
        (b'{"x": NaN}', "not JSON: NaN"),
        (b"\xff", "not UTF-8"),
    ],
)
def test_a_wrong_file_of_inputs_is_explained(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "in.json").write_bytes(content)
    with pytest.raises(UsageError, match=said):
        read_inputs([f"@{tmp_path / 'in.json'}"])
    with pytest.raises(UsageError, match="No such file"):
        read_inputs([f"@{tmp_path / 'absent.json'}"])


@pytest.mark.parametrize("argument", ["secret", "=secret", ""])
def test_an_input_without_a_name_or_value_is_refused_and_not_shown(argument: str) -> None:
    with pytest.raises(UsageError, match="takes NAME=VALUE or @FILE") as caught:
        read_inputs([argument])
    assert "secret" not in str(caught.value)


def test_an_output_is_named_with_its_article() -> None:
    with pytest.raises(UsageError, match=r"output 'o' is an object that JSON cannot hold"):
        as_json({"o": object()})


def test_outputs_as_json() -> None:
    assert json.loads(as_json({"a": (1, None), "b": "é"})) == {"a": [1, None], "b": "é"}
    looped: list[object] = []
    looped.append(looped)
    for value, kind in [({1}, "set"), (float("nan"), "float"), (looped, "list"), (object, "type")]:
        with pytest.raises(UsageError, match=rf"output 'x' is a {kind} that JSON cannot hold"):
            as_json({"fine": 1, "x": value})


class Unprintable:
    def __repr__(self) -> str:
        raise ValueError("a secret")


def test_outputs_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert as_text({}) == "(no outputs)"
    assert as_text({"n": 3, "text": "plain"}) == "n: 3\ntext: plain"
    assert as_text({"poem": "one\ntwo\n"}) == "poem:\n  one\n  two"
    assert as_text({"x": Unprintable()}) == "x: <a Unprintable whose repr() raises ValueError>"
    lines = as_text({"x": list(range(10_000))}).splitlines()
    assert len(lines) == 41
    assert lines[-1].endswith("more lines; --json prints them all")


# --- timings ----------------------------------------------------------------------------------


def test_timings_add_up_runs_under_the_node_they_belong_to() -> None:
    timings = Timings()
    assert not timings
    run = {"run_id": "r", "parent_span_id": None, "time": 0.0}
    timings.on_event(RunStartEvent(**run, span_id=1, graph_name=None, inputs={}, started_at=0))
    nested: dict[str, Any] = {"run_id": "r", "span_id": 2, "parent_span_id": 1, "time": 0.0}
    named: dict[str, Any] = {"node_name": "map", "graph_name": None}
    timings.on_event(NodeStartEvent(**nested, **named, inputs={}))
    for item in (10, 20):
        # Spans are unique within a run only, so these may well be the same numbers again.
        within: dict[str, Any] = {"run_id": f"item{item}", "span_id": 1, "time": 0.0}
        timings.on_event(
            RunStartEvent(**within, parent_span_id=2, parent_run_id="r", graph_name=None,
                          inputs={}, started_at=0, map_index=0, map_size=2)
        )  # fmt: skip
        step: dict[str, Any] = {**within, "span_id": 2, "parent_span_id": 1, "node_name": "step"}
        timings.on_event(NodeStartEvent(**step, graph_name=None, inputs={}))
        timings.on_event(
            NodeEndEvent(**step, graph_name=None, outputs={}, duration_ms=item, cached=item == 20)
        )
        timings.on_event(
            RunEndEvent(**within, parent_span_id=2, graph_name=None, outputs={}, duration_ms=item,
                        status=RunStatus.COMPLETED)
        )  # fmt: skip
    timings.on_event(NodeEndEvent(**nested, **named, outputs={}, duration_ms=1500))
    assert timings.table().splitlines() == [
        "node    runs  cached     time",
        "map        1           1.50 s",
        "  step     2       1  30.0 ms",
    ]
    assert (timings.runs, timings.cached) == (2, 1)


def test_the_command_line_loads_no_optional_package_and_no_runner() -> None:
    program = (
        "import hypergraph.cli.command, sys; print(*{m.partition('.')[0] for m in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    loaded = set(done.stdout.split())
    assert not {"rich", "diskcache", "hypergraph_runner_sync"} & loaded


def test_a_node_is_not_taken_for_a_function_that_makes_a_graph() -> None:
    called = []
    sys.modules["made_here"] = type(sys)("made_here")
    sys.modules["made_here"].step = node(lambda: called.append(1), name="step")  # type: ignore[attr-defined]
    try:
        with pytest.raises(UsageError, match="is of type FunctionNode"):
            load_graph("made_here:step")
    finally:
        del sys.modules["made_here"]
    assert called == []
