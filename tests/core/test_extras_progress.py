"""Progress drawn by rich: what it shows, that it leaves a clean terminal, and that it can be silent."""

import io
import re
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console
from rich.live import Live

from hypergraph import Graph, node
from hypergraph.events import (
    Event,
    InterruptEvent,
    NodeEndEvent,
    NodeRetryEvent,
    NodeStartEvent,
    RunEndEvent,
    RunStartEvent,
    StreamingChunkEvent,
)
from hypergraph.extras.rich_progress import SHOWN, RichProgress
from hypergraph.results import RunStatus
from hypergraph_runner_sync import SyncRunner

SHOW, HIDE = "\x1b[?25h", "\x1b[?25l"


def terminal(**options: Any) -> Console:
    return Console(
        **{
            "file": io.StringIO(),
            "force_terminal": True,
            "force_interactive": True,
            "width": 100,
            "color_system": None,
            **options,
        }
    )


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def frame(shown: RichProgress) -> list[str]:
    """What would be drawn now, without the sign that turns."""
    with Console(file=io.StringIO(), width=100, color_system=None) as console:
        console.print(shown._drawing())
    return [line[2:].rstrip() for line in written(console).splitlines()]


def lines(shown: RichProgress) -> list[str]:
    """The same without bars and times."""
    bare = [re.sub(r"[━╸╺]|\d:\d\d:\d\d", "", line).rstrip() for line in frame(shown)]
    return [re.sub(r"(\S) +", r"\1 ", line) for line in bare]


class Frames:
    """Draws after each event, where a terminal would every tenth of a second."""

    def __init__(self, shown: RichProgress) -> None:
        self.shown = shown
        self.seen: list[list[str]] = []

    def on_event(self, event: object) -> None:
        now = lines(self.shown)
        if now and now not in self.seen[-1:]:
            self.seen.append(now)


def drawn(action: Callable[[SyncRunner], Any]) -> tuple[list[list[str]], str]:
    """The frames of a run, and what stays on the terminal."""
    console = terminal()
    shown = RichProgress(console)
    frames = Frames(shown)
    action(SyncRunner(event_processors=[shown, frames]))
    assert_clean(shown)
    return frames.seen, written(console)


def assert_clean(shown: RichProgress) -> None:
    """Nothing is left: no line, no display, no hidden cursor."""
    assert (shown._lines, shown._outermost, shown._live) == ({}, {}, None)
    text = written(shown._console)
    assert text.count(HIDE) == text.count(SHOW)
    assert text.rfind(SHOW) >= text.rfind(HIDE)


@node(output_name="inner")
def inside(item: int) -> int:
    if item < 0:
        raise ValueError("negative")
    return item


@node(output_name="total")
def total(inner: list[int]) -> int:
    return sum(inner)


def mapped() -> Graph:
    inner = Graph([inside], name="item")
    every = inner.as_node("every").with_inputs(item="items").map_over("items")
    return Graph([every, total], name="outer")


# --- what it shows ----------------------------------------------------------------------------


def test_it_shows_runs_nodes_and_items_indented() -> None:
    frames, _ = drawn(lambda runner: runner.run(mapped(), {"items": [1, 2]}))
    assert frames == [
        ["outer"],
        ["outer", "  every"],
        ["outer", "  every 0/2", "    [0]"],
        ["outer", "  every 0/2", "    [0]", "      inside"],
        ["outer 1 node", "  every 0/2", "    [0]"],
        ["outer 1 node", "  every 1/2"],
        ["outer 1 node", "  every 1/2", "    [1]"],
        ["outer 1 node", "  every 1/2", "    [1]", "      inside"],
        ["outer 2 nodes", "  every 1/2", "    [1]"],
        ["outer 2 nodes", "  every 2/2"],
        ["outer 3 nodes"],
        ["outer 3 nodes", "  total"],
        ["outer 4 nodes"],
    ]


def test_a_nested_graph_shares_the_line_of_its_node() -> None:
    graph = Graph([Graph([inside], name="inner").as_node("step")], name="outer")
    frames, _ = drawn(lambda runner: runner.run(graph, {"item": 1}))
    assert ["outer", "  step", "    inside"] in frames


def test_a_map_as_a_whole_has_a_bar() -> None:
    graph = Graph([inside], name="alone")
    frames, text = drawn(lambda runner: runner.map(graph, {"item": [1, 2]}, map_over="item"))
    assert frames[0] == ["alone 0/2"]
    assert frames[-1] == ["alone 2/2 2 nodes"]
    assert re.search(r"alone: completed, 2/2  2 nodes, \d+\.\d s\n", text)


def test_a_bar_is_as_full_as_the_map() -> None:
    shown = RichProgress(terminal())
    shown.on_event(RunStartEvent("m", 1, None, 0.0, "g", {}, 0.0, map_size=4))
    for index in range(3):
        shown.on_event(RunStartEvent(f"i{index}", 2, 1, 0.0, "g", {}, 0.0, None, "m", index, 4))
        shown.on_event(RunEndEvent(f"i{index}", 2, 1, 0.0, "g", RunStatus.COMPLETED, {}, 0.0))
    (line,) = frame(shown)
    assert line.count("━") == 24 * 3 // 4
    assert " 3/4 " in line
    shown.on_event(RunEndEvent("m", 1, None, 0.0, "g", RunStatus.COMPLETED, {}, 0.0))
    assert_clean(shown)


# --- events by hand ---------------------------------------------------------------------------


def start(run_id: str = "r", name: str | None = "g") -> RunStartEvent:
    return RunStartEvent(run_id, 1, None, 0.0, name, {}, 0.0)


def begin(span: int, name: str, run_id: str = "r") -> NodeStartEvent:
    return NodeStartEvent(run_id, span, 1, 0.0, name, "g", {})


def done(span: int, name: str, run_id: str = "r") -> NodeEndEvent:
    return NodeEndEvent(run_id, span, 1, 0.0, name, "g", {}, 1.0)


def end(status: RunStatus = RunStatus.COMPLETED, run_id: str = "r") -> RunEndEvent:
    return RunEndEvent(run_id, 1, None, 0.0, "g", status, {}, 1500.0)


def test_long_lists_of_nodes_collapse() -> None:
    shown = RichProgress(terminal())
    shown.on_event(start())
    for span in range(2, 102):
        shown.on_event(begin(span, f"node{span}"))
    assert lines(shown) == ["g", *(f"  node{n}" for n in range(2, 2 + SHOWN)), "  and 94 more"]
    shown.on_event(end(RunStatus.FAILED))
    assert_clean(shown)


def test_chunks_retries_and_questions_are_noted() -> None:
    shown = RichProgress(terminal())
    for event in (
        start(),
        begin(2, "talk"),
        StreamingChunkEvent("r", 2, 1, 0.0, "talk", "g", "secret", 0),
        StreamingChunkEvent("r", 2, 1, 0.0, "talk", "g", "secret", 1),
        begin(3, "ask"),
        NodeRetryEvent("r", 3, 1, 0.0, "ask", "g", 1, 0.5, ValueError("secret")),
        begin(4, "review"),
        InterruptEvent("r", 4, 1, 0.0, "review", "g", "secret", "ok", "review.ok"),
    ):
        shown.on_event(event)
    assert lines(shown) == [
        "g",
        "  talk 2 chunks",
        "  ask attempt 2 in 0.5 s",
        "  review waits for review.ok",
    ]
    shown.on_event(end(RunStatus.PAUSED))
    assert_clean(shown)
    assert "g: paused, no nodes, 1.5 s\n" in written(shown._console)


@pytest.mark.parametrize("status", list(RunStatus))
def test_each_run_leaves_a_line_that_tells_how_it_ended(status: RunStatus) -> None:
    shown = RichProgress(terminal())
    for event in (start(), begin(2, "a"), done(2, "a"), begin(3, "left open"), end(status)):
        shown.on_event(event)
    assert f"g: {status.value}, 1 node, 1.5 s\n" in written(shown._console)
    assert_clean(shown)


def test_a_transient_one_leaves_nothing() -> None:
    shown = RichProgress(terminal(), transient=True)
    for event in (start(), begin(2, "a"), done(2, "a"), end()):
        shown.on_event(event)
    assert_clean(shown)
    assert "completed" not in written(shown._console)


def test_several_runs_are_shown_at_once_and_names_are_no_markup() -> None:
    shown = RichProgress(terminal())
    for event in (start("r", "[red]a"), start("s", None), begin(2, "[b]", "s")):
        shown.on_event(event)
    assert lines(shown) == ["[red]a", "run", "  [b]"]
    shown.on_event(end(run_id="r"))
    assert lines(shown) == ["run", "  [b]"]
    assert shown._live is not None
    shown.on_event(end(run_id="s"))
    assert_clean(shown)
    assert "[red]a: completed" in written(shown._console)


def test_events_of_unknown_runs_are_passed_over() -> None:
    shown = RichProgress(terminal())
    for event in (
        begin(2, "late"),
        StreamingChunkEvent("r", 2, 1, 0.0, "late", "g", "x", 0),
        done(2, "late"),
        end(),
    ):
        shown.on_event(event)
    assert_clean(shown)
    assert written(shown._console) == ""


# --- a clean terminal -------------------------------------------------------------------------


def test_a_failed_run_leaves_a_clean_terminal() -> None:
    def run(runner: SyncRunner) -> None:
        with pytest.raises(ValueError, match="negative"):
            runner.run(mapped(), {"items": [1, -1, 3]})

    frames, text = drawn(run)
    assert ["outer 1 node", "  every 1/3", "    [1]", "      inside"] in frames
    assert "outer: failed" in text


def test_an_interrupted_run_leaves_a_clean_terminal() -> None:
    @node(output_name="y")
    def stop(x: int) -> int:
        raise KeyboardInterrupt

    def run(runner: SyncRunner) -> None:
        with pytest.raises(KeyboardInterrupt):
            runner.run(Graph([stop], name="g"), {"x": 1})

    _, text = drawn(run)
    assert "g: failed" in text


def test_it_draws_while_a_node_runs() -> None:
    console = terminal()
    seen = threading.Event()

    class Watched(RichProgress):
        def _drawing(self) -> Any:
            if any(line.name == "wait" for line in self._lines.values()):
                seen.set()
            return super()._drawing()

    @node(output_name="y")
    def wait(x: int) -> bool:
        return seen.wait(30)

    shown = Watched(console)
    runner = SyncRunner(event_processors=[shown])
    assert runner.run(Graph([wait], name="g"), {"x": 1}) == {"y": True}
    assert_clean(shown)


def test_runs_in_many_threads_share_one() -> None:
    shown = RichProgress(terminal(), transient=True)
    runner = SyncRunner(event_processors=[shown])

    def work() -> None:
        for _ in range(20):
            runner.run(mapped(), {"items": [1, 2, 3]})

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert caught == []
    assert_clean(shown)


def test_another_display_on_the_same_console_is_no_error() -> None:
    console = terminal()
    shown = RichProgress(console)
    with Live("mine", console=console, auto_refresh=False):
        assert SyncRunner(event_processors=[shown]).run(mapped(), {"items": [1]})["total"] == 1
    assert_clean(shown)


# --- silence ----------------------------------------------------------------------------------


def silent(shown: RichProgress) -> None:
    threads = threading.active_count()

    class Check:
        def on_event(self, event: Event) -> None:
            assert threading.active_count() == threads
            assert (shown._lines, shown._live) == ({}, None)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SyncRunner(event_processors=[shown, Check()]).run(mapped(), {"items": [1]})


def test_without_a_terminal_there_is_no_output_and_no_thread() -> None:
    console = Console(file=io.StringIO())
    silent(RichProgress(console))
    assert written(console) == ""


@pytest.mark.parametrize("stream", [io.StringIO(), None])
def test_colours_forced_by_the_environment_make_no_terminal(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO | None
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr(sys, "stderr", stream)
    silent(RichProgress())
    assert stream is None or stream.getvalue() == ""


def test_a_terminal_that_cannot_be_drawn_on_gets_the_last_line_only() -> None:
    console = terminal(force_interactive=False)
    shown = RichProgress(console)
    threads = threading.active_count()
    shown.on_event(start())
    assert (threading.active_count(), written(console)) == (threads, "")
    shown.on_event(end())
    assert written(console) == "g: completed, no nodes, 1.5 s\n"


def test_a_notebook_without_widgets_gets_the_last_line_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    printed: list[str] = []
    console = terminal(force_jupyter=True)
    monkeypatch.setattr(console, "print", lambda text, **_: printed.append(str(text)))
    shown = RichProgress(console)
    shown.on_event(start())
    assert shown._live is None
    shown.on_event(end())
    assert printed == ["g: completed, no nodes, 1.5 s"]


def test_what_is_piped_away_is_not_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    @node(output_name="y")
    def say(x: int) -> int:
        sys.stdout.write("said\n")
        return x

    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    _, text = drawn(lambda runner: runner.run(Graph([say], name="g"), {"x": 1}))
    assert out.getvalue() == "said\n"
    assert "said" not in text


def test_a_line_that_a_node_has_not_ended_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    @node(output_name="y")
    def say(x: int) -> int:
        sys.stdout.write("half a line")
        return x

    monkeypatch.setattr(sys, "stdout", Terminal())
    _, text = drawn(lambda runner: runner.run(Graph([say], name="g"), {"x": 1}))
    assert "half a line" in text


def test_without_the_package_the_extra_is_named() -> None:
    program = (
        "import sys; sys.modules['rich'] = None\n"
        "try:\n    import hypergraph.extras.rich_progress\n"
        "except ImportError as error:\n    print(type(error).__name__, error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert done.stdout.startswith("MissingExtraError")
    assert 'pip install "hypergraph-core[progress]"' in done.stdout
