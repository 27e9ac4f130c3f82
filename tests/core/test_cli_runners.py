"""`hypergraph check` and `hypergraph runners`: what runners there are, and what they can run."""

import io
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from importlib_metadata import EntryPoint

from hypergraph import BaseRunner, Graph, GraphConfigError, RunnerCapabilities, hooks
from hypergraph.cli import main
from hypergraph.discovery import Offer
from hypergraph.hooks import hookimpl
from hypergraph.runners import registry
from hypergraph.runners.settings import setting
from hypergraph.testing import ReferenceRunner

STEPS = """
from hypergraph import END, Graph, InterruptNode, branch, node

@node(output_name="tokens")
def split(text: str) -> list[str]:
    return text.split()

@node(output_name="answer")
async def answer(tokens):
    return tokens

@node(output_name="text")
def again(text):
    return text

@branch(when_true="again", when_false=END)
def long(text):
    return False

graph = Graph([split], name="main")
waiting = Graph([split, answer], name="waiting")
nested = Graph([waiting.as_node("inner")], name="outer")
loop = Graph([again, long], name="loop")
asking = Graph([split, InterruptNode("ask", "tokens", "approved")])
"""

Run = Callable[..., tuple[int, str, str]]


class Limited(BaseRunner):
    """Runs no loops, and takes no settings."""

    capabilities = RunnerCapabilities(supports_cycles=False)

    def run(self, graph: Graph, *args: Any, **options: Any) -> Any: ...

    def map(self, graph: Graph, *args: Any, **options: Any) -> Any: ...


@dataclass(frozen=True, kw_only=True)
class AbleSettings:
    size: int = setting(3, help="how large")
    label: str = setting("", help="what to call it")


class Able(Limited):
    capabilities = RunnerCapabilities(supports_async_nodes=True)
    settings_class = AbleSettings

    def __init__(self, size: int = 3, label: str = "") -> None:
        if size == 13:
            raise RuntimeError("an unlucky size")


class Late(Limited):
    """Knows what it can do once it is made."""

    @property
    def capabilities(self) -> RunnerCapabilities:  # type: ignore[override]
        return RunnerCapabilities(supports_gates=False)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory with a module ``steps``, and a configuration to write."""
    (tmp_path / "steps.py").write_text(STEPS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("HYPERGRAPH_CONFIG", str(tmp_path / "hypergraph.toml"))
    monkeypatch.delenv("HYPERGRAPH_RUNNER", raising=False)
    (tmp_path / "hypergraph.toml").touch()
    yield tmp_path
    sys.modules.pop("steps", None)


@pytest.fixture
def only_these(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runners and no installed ones."""
    monkeypatch.setattr("hypergraph.runners.registry.offers", lambda group: {})
    for name, cls in {"able": Able, "limited": Limited}.items():
        monkeypatch.setitem(registry._registered, name, cls)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], place: Path, only_these: None) -> Run:
    def call(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        return code, *capsys.readouterr()

    return call


def cells(out: str) -> list[list[str]]:
    return [line.split() for line in out.splitlines()]


# --- check ------------------------------------------------------------------------------------


def test_a_runner_whose_configuration_is_wrong_runs_nothing(run: Run, place: Path) -> None:
    (place / "hypergraph.toml").write_text('[runners.mine]\nuse = "able"\nsise = 4\n')
    code, out, _ = run("check", "steps:graph", "--json")
    (mine,) = [one for one in json.loads(out)["runners"] if one["name"] == "mine"]
    assert (mine["can_run"], code) == (False, 0)
    assert "sise" in mine["problems"][0]["message"]
    _, out, _ = run("runners", "list", "--json")
    (mine,) = [one for one in json.loads(out) if one["name"] == "mine"]
    assert mine["state"] == "broken"


def test_check_says_who_can_what_stops_the_others_and_what_would_help(run: Run) -> None:
    code, out, err = run("check", "steps:waiting", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == {
        "graph": "waiting",
        "features": {"cycles": None, "gates": None, "interrupts": None, "async_nodes": "answer"},
        "default": "sync",
        "runners": [
            {"name": "able", "can_run": True, "problems": []},
            {
                "name": "limited",
                "can_run": False,
                "problems": [
                    {
                        "message": "no async nodes: node 'answer' is async def",
                        "fix": "make 'answer' a def, or nest it in a graph with a runner of its own: "
                        "as_node(runner='able')",
                        "feature": "async_nodes",
                        "node": "answer",
                    }
                ],
            },
        ],
    }


@pytest.mark.parametrize(
    ("graph", "said"),
    [
        ("nested", "node 'inner/answer' is async def"),
        (
            "nested",
            "make 'answer' a def, or give graph 'inner' a runner of its own: as_node(runner='able')",
        ),
        ("loop", "no cycles: node 'again' is in a cycle"),
        ("loop", "nest it in a graph with a runner of its own: as_node(runner='able')"),
        ("asking", "node 'ask' waits for an answer"),
        ("asking", "put a plain node in the place of 'ask'"),
    ],
)
def test_the_node_is_named_by_its_path_and_the_way_out_fits_the_feature(
    run: Run, graph: str, said: str
) -> None:
    _, out, _ = run("check", f"steps:{graph}")
    assert said in out


def test_check_ends_with_2_when_nobody_can_and_tells_what_run_would_take(
    run: Run, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYPERGRAPH_RUNNER", "limited")
    code, out, _ = run("check", "steps:graph")
    assert (code, cells(out)[:3]) == (
        0,
        [["runner", "runs", "it", "because", "what", "would", "change", "that"],
         ["able", "yes"], ["limited", "yes"]],
    )  # fmt: skip
    assert out.endswith("\nhypergraph run takes 'limited' (HYPERGRAPH_RUNNER).\n")
    code, out, _ = run("check", "steps:waiting")
    assert code == 0
    assert out.endswith("takes 'limited' (HYPERGRAPH_RUNNER), which cannot: add --runner able\n")
    monkeypatch.delitem(registry._registered, "able")
    code, out, _ = run("check", "steps:waiting")
    assert (code, out.splitlines()[-1]) == (2, "No runner here can run it.")
    monkeypatch.delitem(registry._registered, "limited")
    code, out, _ = run("check", "steps:waiting")
    assert (code, out) == (2, "No runner is installed: pip install hypergraph-runner-sync\n")


def test_configured_runners_and_those_that_say_late_are_checked_too(
    run: Run, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry._registered, "late", Late)
    (place / "hypergraph.toml").write_text('runner = "mine"\n[runners.mine]\nuse = "able"\n')
    code, out, _ = run("check", "steps:loop", "--json")
    found = {row["name"]: row["can_run"] for row in json.loads(out)["runners"]}
    assert (code, found) == (0, {"mine": True, "able": True, "late": False, "limited": False})
    assert json.loads(out)["default"] == "mine"


class Strict:
    @hookimpl
    def hypergraph_validate_graph(self, graph: Any, runner: Any) -> None:
        if isinstance(runner, Limited) and not isinstance(runner, Able):
            raise GraphConfigError("Not on a Monday.", fix="wait for Tuesday")


def test_what_plugins_have_against_a_graph_is_told(run: Run) -> None:
    plugin = Strict()
    hooks.register(plugin, "strict")
    try:
        code, out, _ = run("check", "steps:graph", "--json")
    finally:
        hooks.unregister(plugin)
    able, limited = json.loads(out)["runners"]
    assert (code, able["can_run"], limited["can_run"]) == (0, True, False)
    assert limited["problems"] == [
        {"message": "Not on a Monday.", "fix": "wait for Tuesday", "feature": None, "node": None}
    ]


# --- list and show ----------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [["runners"], ["runners", "list"]])
def test_runners_lists_what_is_there_and_how_to_get_the_rest(
    run: Run, arguments: list[str]
) -> None:
    code, out, err = run(*arguments)
    assert (code, err) == (0, "")
    rows = cells(out)
    assert rows[:4] == [
        ["runner", "cycles", "gates", "interrupts", "async", "streaming", "distributed", "durable"],
        ["able", "yes", "yes", "no", "yes", "no", "no", "no"],
        ["limited", "no", "yes", "no", "no", "no", "no", "no"],
        [],
    ]
    assert [row[:2] for row in rows[4:11]] == [
        ["runner", "state"],
        ["able", "ok"],
        ["limited", "ok"],
        ["sync*", "missing"],
        ["async", "missing"],
        ["dbos", "missing"],
        ["daft", "missing"],
    ]
    assert "pip install" in out.splitlines()[10]
    assert out.endswith("* what runs a graph when no runner is named (the default)\n")
    assert max(map(len, out.splitlines()[:4])) <= 80


def test_runners_as_json(run: Run, place: Path) -> None:
    (place / "hypergraph.toml").write_text(
        'runner = "mine"\n[runners.mine]\nuse = "able"\n[runners.far]\nuse = "absent"\n'
    )
    code, out, err = run("runners", "list", "--json")
    assert (code, err) == (0, "")
    assert run("runners", "--json")[1] == out
    found = {row["name"]: row for row in json.loads(out)}
    assert list(found) == ["far", "mine", "able", "limited", "sync", "async", "dbos", "daft"]
    assert (found["mine"]["configured"], found["mine"]["default"]) == ("able", True)
    assert found["mine"]["capabilities"]["supports_async_nodes"] is True
    assert found["far"]["state"] == "broken"
    assert "absent" in found["far"]["problem"]
    assert found["able"]["default"] is False


def test_show_tells_what_a_runner_can_be_told(run: Run) -> None:
    code, out, err = run("runners", "show", "able")
    assert (code, err) == (0, "")
    assert ["awaited", "no"] in cells(out)
    assert ["async", "yes"] in cells(out)
    assert ["size", "int", "3", "how", "large"] in cells(out)
    assert ["label", "str", "''", "what", "to", "call", "it"] in cells(out)
    _, out, _ = run("runners", "show", "able", "--json")
    assert json.loads(out)["settings"][1] == {
        "name": "label",
        "type": "str",
        "default": "''",
        "help": "what to call it",
    }
    code, out, _ = run("runners", "show", "limited")
    assert (code, out.endswith("\nIt takes no settings.\n")) == (0, True)


def test_show_takes_a_path_and_explains_what_it_does_not_find(run: Run, place: Path) -> None:
    (place / "own.py").write_text(
        "from hypergraph.testing import ReferenceRunner\nclass Own(ReferenceRunner): ...\n"
    )
    try:
        assert run("runners", "show", "own:Own")[0] == 0
    finally:
        sys.modules.pop("own", None)
    code, out, err = run("runners", "show", "abel")
    assert (code, out) == (2, "")
    assert "Did you mean 'able'?" in err
    code, out, _ = run("runners", "show", "daft")
    assert code == 2
    assert "hypergraph-runner-daft" in out


def offering(name: str, target: str, distribution: str) -> Offer:
    entry_point = EntryPoint(name, target, "hypergraph.runners")
    return Offer(distribution=distribution, version="1.0", entry_point=entry_point)


def test_a_runner_that_cannot_be_imported_is_listed_with_the_reason_and_keeps_quiet(
    run: Run, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "wrecked.py").write_text("print('NOISE')\nraise RuntimeError('no licence')\n")
    found = {"wreck": (offering("wreck", "wrecked:Runner", "theirs"),)}
    monkeypatch.setattr("hypergraph.runners.registry.offers", lambda group: found)
    code, out, err = run("runners", "list")
    (row,) = [line for line in out.splitlines() if line.startswith("wreck ")]
    assert code == 0
    assert "RuntimeError: no licence" in row
    assert "NOISE" not in out
    assert "NOISE" in err
    for command in (["runners", "list"], ["runners", "doctor"], ["check", "steps:graph"]):
        _, out, err = run(*command, "--json")
        json.loads(out)
        assert "NOISE" in err


def test_what_is_offered_under_a_reserved_name_and_not_used_is_told(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {
        "sync": (
            offering("sync", "hypergraph_runner_sync:SyncRunner", "hypergraph-runner-sync"),
            offering("sync", "thief:Runner", "thief"),
        )
    }
    monkeypatch.setattr("hypergraph.runners.registry.offers", lambda group: found)
    _, rows = doctor(run)
    assert "not used: thief" in rows["runner sync"]["detail"]
    _, out, _ = run("runners", "show", "sync")
    assert ["not", "used", "thief"] in [row[:3] for row in cells(out)]


# --- doctor -----------------------------------------------------------------------------------


def doctor(run: Run) -> tuple[int, dict[str, dict[str, Any]]]:
    code, out, _ = run("runners", "doctor", "--json")
    found = json.loads(out)
    assert found["ok"] is (code == 0)
    return code, {f"{row['area']} {row['name']}": row for row in found["findings"]}


def test_doctor_finds_nothing_where_nothing_is_wrong(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYPERGRAPH_RUNNER", "able")
    code, out, err = run("runners", "doctor")
    assert (code, err) == (0, "")
    assert out.endswith("\nNothing is broken.\n")
    code, found = doctor(run)
    assert code == 0
    assert found["core hypergraph-core"]["state"] == "ok"
    assert found["runner able"]["state"] == "ok"
    assert found["runner daft"]["state"] == "missing"
    assert found["extra cache"]["state"] == "ok"
    assert found["configuration runner"]["detail"] == "able (HYPERGRAPH_RUNNER)"


@pytest.mark.parametrize("name", ["sync", "nosuch", "absent.module:Class"])
def test_doctor_misses_the_runner_that_graphs_are_to_run_on(
    run: Run, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("HYPERGRAPH_RUNNER", name)
    code, found = doctor(run)
    assert code == 1
    assert found[f"runner {name}"]["state"] == "broken"
    assert found[f"runner {name}"]["fix"]


def test_doctor_makes_what_is_configured_and_says_what_is_wrong_with_it(
    run: Run, place: Path
) -> None:
    (place / "hypergraph.toml").write_text(
        'runner = "able"\n[runners.typo]\nuse = "able"\nlabl = "x"\n'
        '[runners.unlucky]\nuse = "able"\nlabel = "x"\nsize = 13\n'
        '[runners.gone]\nuse = "limted"\n'
    )
    code, found = doctor(run)
    assert code == 1
    assert found["runner typo"]["state"] == "broken"
    assert "Did you mean 'label'?" in found["runner typo"]["detail"]
    assert found["runner unlucky"]["state"] == "broken"
    assert "RuntimeError" in found["runner unlucky"]["detail"]
    assert found["runner gone"]["fix"]
    assert found["runner limited"]["state"] == "ok"
    code, out, _ = run("runners", "doctor")
    assert (code, out.splitlines()[-1]) == (1, "3 broken.")
    assert "runner typo: " in out


def test_doctor_survives_a_file_that_cannot_be_read(run: Run, place: Path) -> None:
    (place / "hypergraph.toml").write_text("runner = \n")
    code, found = doctor(run)
    assert code == 1
    (broken,) = [row for row in found.values() if row["state"] == "broken"]
    assert broken["area"] == "configuration"
    assert broken["name"].endswith("hypergraph.toml")
    assert "extra cache" in found


# --- check NAME -------------------------------------------------------------------------------


def test_a_runner_is_asked_for_what_every_runner_promises(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry._registered, "reference", ReferenceRunner)
    code, out, err = run("runners", "check", "reference", "--group", "gates")
    assert (code, err) == (0, "")
    assert "conforms to version" in out
    code, out, _ = run("runners", "check", "reference", "--group", "gates", "--json")
    report = json.loads(out)
    assert (code, report["ok"], list(report["groups"])) == (0, True, ["gates"])


def test_a_runner_that_breaks_a_promise_ends_with_1(run: Run) -> None:
    code, out, _ = run("runners", "check", "limited", "--group", "errors")
    assert code == 1
    assert "does not conform to version" in out


def test_unknown_runners_and_groups_are_explained(run: Run) -> None:
    code, _, err = run("runners", "check", "limted")
    assert code == 2
    assert "Did you mean 'limited'?" in err
    code, _, err = run("runners", "check", "limited", "--group", "gate")
    assert code == 2
    assert "Did you mean 'gates'?" in err


class Needy(ReferenceRunner):
    """Cannot be made without settings."""

    settings_class = AbleSettings

    def __init__(self, label: str, size: int = 3) -> None:
        super().__init__()


def test_a_runner_that_needs_settings_is_made_as_it_is_configured(
    run: Run, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry._registered, "needy", Needy)
    monkeypatch.setattr(Needy, "from_settings", classmethod(lambda cls, given: cls(given.label)))
    (place / "hypergraph.toml").write_text('[runners.mine]\nuse = "needy"\nlabel = "x"\n')
    assert run("runners", "check", "mine", "--group", "errors")[0] == 0
    (place / "hypergraph.toml").write_text('[runners.mine]\nuse = "needy"\nlabl = "x"\n')
    code, _, err = run("runners", "check", "mine", "--group", "errors")
    assert code == 2
    assert "Did you mean 'label'?" in err
    monkeypatch.setattr(Needy, "from_settings", classmethod(lambda cls, given: cls()))
    code, _, err = run("runners", "check", "needy", "--group", "errors")
    assert code == 2
    assert err.startswith("hypergraph: TypeError: Needy.__init__() missing 1 required")
    assert "runner 'needy'" in err


class Watched(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_somebody_who_watches_sees_each_group(
    capsys: pytest.CaptureFixture[str], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry._registered, "reference", ReferenceRunner)
    stream = Watched()
    monkeypatch.setattr(sys, "stderr", stream)
    groups = ["--group", "gates", "--group", "errors"]
    assert main(["runners", "check", "reference", *groups]) == 0
    ended = [line.rpartition("\x1b[K")[2] for line in stream.getvalue().split("\n")]
    assert [line.partition(":")[0] for line in ended] == ["gates", "errors", ""]
    assert all(" passed" in line for line in ended[:2])
