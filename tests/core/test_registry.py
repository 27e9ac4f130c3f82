"""The registry over real metadata: directories as pip writes them, put on the path."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

import hypergraph
from hypergraph import runners
from hypergraph.capabilities import GraphFeatures, RunnerCapabilities
from hypergraph.config import resolve_runner
from hypergraph.errors import (
    AmbiguousRunnerError,
    BrokenRunnerError,
    IncompatibleRunnerError,
    RunnerAPIError,
    RunnerError,
    RunnerNotFoundError,
    RunnerNotInstalledError,
)
from hypergraph.runners import BaseRunner, RunnerState, registry

Install = Callable[..., Path]

RUNNER = """
from hypergraph import BaseRunner, RunnerCapabilities

class {name}(BaseRunner):
    capabilities = RunnerCapabilities({capabilities})

    def __init__(self, **options):
        self.options = options

    def run(self, graph, *args, **options):
        return {{}}

    map = run
"""


def source(name: str = "Mine", capabilities: str = "") -> str:
    return RUNNER.format(name=name, capabilities=capabilities)


class Own(BaseRunner):
    capabilities = RunnerCapabilities(supports_interrupts=True)

    def run(self, graph: hypergraph.Graph, *args: object, **options: object) -> dict[str, object]:
        return {}

    map = run


class Other(Own):
    pass


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Only what a test installs, and nothing of it afterwards."""
    before = set(sys.modules)
    monkeypatch.setattr(sys, "path", [one for one in sys.path if "site-packages" not in one])
    monkeypatch.setattr(registry, "_registered", {})
    runners.refresh()
    yield
    for name in set(sys.modules) - before:
        if name.startswith("plug_"):
            del sys.modules[name]
    monkeypatch.undo()
    runners.refresh()


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Install a distribution: entry points by name, and the source of its one module."""

    def installer(
        distribution: str,
        entry_points: dict[str, str] | str,
        code: str = "",
        *,
        version: str = "1.0",
        site: str = "site",
    ) -> Path:
        module = "plug_" + distribution.replace("-", "_").lower()
        place = tmp_path / site
        info = place / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
        )
        if isinstance(entry_points, dict):
            lines = [f"{name} = {module}:{target}" for name, target in entry_points.items()]
            entry_points = "\n".join(["[hypergraph.runners]", *lines])
        (info / "entry_points.txt").write_text(entry_points)
        if code:
            (place / f"{module}.py").write_text(code)
        if str(place) not in sys.path:
            monkeypatch.setattr(sys, "path", [str(place), *sys.path])
        runners.refresh()
        return place

    return installer


def test_an_installed_runner_is_found_by_its_name(install: Install) -> None:
    install("hyper-mine", {"mine": "Mine"}, source())
    cls = runners.get("mine")
    assert cls.__name__ == "Mine"
    assert runners.get("mine") is cls
    assert issubclass(cls, BaseRunner)


def test_what_is_available_is_known_without_importing_any(install: Install) -> None:
    install("hyper-a", {"a": "Mine"}, source())
    install("hyper-b", {"b": "Mine", "c": "Other"}, "raise SystemExit")
    assert dict(runners.available()) == {"a": "hyper-a", "b": "hyper-b", "c": "hyper-b"}
    assert [name for name in sys.modules if name.startswith("plug_")] == []


def test_getting_one_runner_imports_that_one_only(install: Install) -> None:
    install("hyper-a", {"a": "Mine"}, source())
    install("hyper-b", {"b": "Mine"}, source())
    runners.get("a")
    assert [name for name in sys.modules if name.startswith("plug_")] == ["plug_hyper_a"]


def test_what_is_installed_is_read_once_until_refreshed(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = install("hyper-a", {"a": "Mine"}, source())
    assert list(runners.available()) == ["a"]
    monkeypatch.setattr(sys, "path", [one for one in sys.path if one != str(place)])
    assert list(runners.available()) == ["a"]
    runners.refresh()
    assert list(runners.available()) == []


def test_creating_passes_the_options_on(install: Install) -> None:
    install("hyper-mine", {"mine": "Mine"}, source())
    assert vars(runners.create("mine", cache=3)) == {"options": {"cache": 3}}


# --- what is missing ----------------------------------------------------------------------------


def test_an_unknown_name_says_what_is_installed_and_what_is_near(install: Install) -> None:
    install("hyper-mine", {"mine": "Mine"}, source())
    with pytest.raises(RunnerNotFoundError) as caught:
        runners.get("mime")
    assert "'mine'" in caught.value.what
    assert caught.value.where == "registered runners: mine"
    assert caught.value.name == "mime"


def test_an_unknown_name_may_be_near_to_a_runner_that_is_not_installed() -> None:
    with pytest.raises(RunnerNotFoundError, match="Did you mean 'dbos'"):
        runners.get("dbso")


@pytest.mark.parametrize("name", ["sync", "async", "dbos", "daft"])
def test_a_missing_runner_of_this_project_says_how_to_install_it(name: str) -> None:
    with pytest.raises(RunnerNotInstalledError) as caught:
        runners.get(name)
    assert caught.value.fix == f"pip install hypergraph-runner-{name}"
    assert "none" in caught.value.where


def test_a_distribution_that_registers_no_runner_is_to_be_upgraded(install: Install) -> None:
    install("hypergraph-runner-daft", "", version="0.1.0")
    with pytest.raises(RunnerNotInstalledError) as caught:
        runners.get("daft")
    assert "hypergraph-runner-daft 0.1.0 is installed and registers none" in caught.value.what
    assert caught.value.fix == "pip install --upgrade hypergraph-runner-daft"


# --- what is broken -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "cause", "words"),
    [
        ("import no_such_module", ModuleNotFoundError, "No module named 'no_such_module'"),
        ("1 / 0", ZeroDivisionError, "division by zero"),
        ("raise SystemExit(3)", SystemExit, "SystemExit: 3"),
        ("def broken(:", SyntaxError, "SyntaxError"),
        ("x = 1", AttributeError, "has no attribute 'Mine'"),
        ("", ModuleNotFoundError, "No module named 'plug_hyper_bad'"),
    ],
)
def test_a_runner_that_fails_to_import_shows_its_own_error(
    install: Install, code: str, cause: type[BaseException], words: str
) -> None:
    install("hyper-bad", {"bad": "Mine"}, code, version="2.5")
    with pytest.raises(BrokenRunnerError, match=words) as caught:
        runners.get("bad")
    assert isinstance(caught.value.__cause__, cause)
    assert "hyper-bad 2.5" in caught.value.where
    assert not isinstance(caught.value, ImportError)


def test_ctrl_c_during_an_import_is_not_taken_for_a_broken_runner(install: Install) -> None:
    install("hyper-bad", {"bad": "Mine"}, "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        runners.inspect()


def test_a_runner_that_was_repaired_is_imported_by_the_next_call(install: Install) -> None:
    place = install("hyper-bad", {"bad": "Mine"}, "1 / 0")
    with pytest.raises(BrokenRunnerError):
        runners.get("bad")
    (place / "plug_hyper_bad.py").write_text(source() + "# and of another length\n")
    assert runners.get("bad").__name__ == "Mine"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("class Mine: pass", "not a subclass of hypergraph.BaseRunner, but: Mine"),
        ("Mine = 3", "not a subclass of hypergraph.BaseRunner, but: int"),
        (source() + "    runner_api = '>=2,<3'", "written for version >=2,<3"),
        (source() + "    runner_api = '1'", "not of the form '>=1,<2'"),
        (source() + "    runner_api = None", "not of the form '>=1,<2'"),
    ],
)
def test_a_class_that_does_not_fit_the_contract_is_refused(
    install: Install, code: str, words: str
) -> None:
    install("hyper-bad", {"bad": "Mine"}, code)
    with pytest.raises(RunnerAPIError, match=words):
        runners.get("bad")


def test_two_distributions_with_one_name_are_an_error_for_that_name_only(install: Install) -> None:
    install("hyper-a", {"twice": "Mine", "once": "Mine"}, source())
    install("hyper-b", {"twice": "Mine"}, source())
    assert runners.get("once").__name__ == "Mine"
    assert runners.available()["twice"] == "hyper-a and hyper-b"
    with pytest.raises(AmbiguousRunnerError) as caught:
        runners.get("twice")
    assert "hyper-a 1.0" in caught.value.what
    assert "hyper-b 1.0" in caught.value.what
    assert runners.get("plug_hyper_a:Mine").__module__ == "plug_hyper_a"


@pytest.mark.parametrize("spelling", ["Hyper-Mine", "hyper_mine", "hyper.mine"])
def test_metadata_that_stands_twice_is_one_distribution(install: Install, spelling: str) -> None:
    install(spelling, {"mine": "Mine", "gone": "Mine"}, version="0.9", site="old")
    install("hyper-mine", {"mine": "Mine"}, source())
    (egg := Path(sys.path[0]) / "hyper_mine.egg-info").mkdir()
    (egg / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: hyper-mine\nVersion: 1.0\n")
    (egg / "entry_points.txt").write_text("[hypergraph.runners]\nmine = plug_hyper_mine:Mine\n")
    runners.refresh()
    assert dict(runners.available()) == {"mine": "hyper-mine"}
    assert runners.inspect()["mine"].state is RunnerState.OK


def test_unreadable_metadata_harms_no_other_runner(install: Install) -> None:
    place = install("hyper-mine", {"mine": "Mine"}, source())
    install("hyper-garbled", "[hypergraph.runners]\nthis is no entry point\n= :\n[[[")
    (place / "hyper_bytes-1.0.dist-info").mkdir()
    (place / "hyper_bytes-1.0.dist-info" / "entry_points.txt").write_bytes(
        b"[hypergraph.runners]\nbytes = \xff\xfe:X\n"
    )
    (place / "hyper_empty-1.0.dist-info").mkdir()
    (place / "hyper_nameless-1.0.dist-info").mkdir()
    (place / "hyper_nameless-1.0.dist-info" / "entry_points.txt").write_text(
        "[hypergraph.runners]\nnameless = x:X\n"
    )
    runners.refresh()
    assert runners.get("mine").__name__ == "Mine"
    assert runners.inspect()["mine"].state is RunnerState.OK


def test_a_path_with_entries_of_every_kind_is_searched_to_its_end(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("hyper-mine", {"mine": "Mine"}, source())
    archive = tmp_path / "broken.zip"
    archive.write_bytes(b"PK\x03\x04 and no more")
    odd = ["", str(tmp_path / "nowhere"), str(archive), str(archive / "in"), "x" * 5000, __file__]
    searched = SimpleNamespace(
        path=[*odd, tmp_path, None, b"bytes", *sys.path], meta_path=sys.meta_path
    )
    monkeypatch.setattr("hypergraph.discovery.sys", searched)
    runners.refresh()
    assert runners.get("mine").__name__ == "Mine"


def test_inspecting_reports_what_became_of_each(install: Install) -> None:
    install("hyper-good", {"good": "Mine"}, source(capabilities="supports_gates=False"))
    install("hyper-bad", {"bad": "Mine", "twice": "Mine"}, "1 / 0", version="3.1")
    install("hyper-old", {"old": "Mine", "twice": "Mine"}, source() + "    runner_api = '<1'")
    runners.register("own", Own)

    found = runners.inspect()

    assert {name: info.state for name, info in found.items()} == {
        "bad": RunnerState.BROKEN,
        "good": RunnerState.OK,
        "old": RunnerState.INCOMPATIBLE,
        "own": RunnerState.OK,
        "twice": RunnerState.AMBIGUOUS,
    }
    good, bad, twice, own = (found[name] for name in ("good", "bad", "twice", "own"))
    assert good.capabilities == RunnerCapabilities(supports_gates=False)
    assert (good.distribution, good.version, good.target) == (
        "hyper-good",
        "1.0",
        "plug_hyper_good:Mine",
    )
    assert good.error is None
    assert (bad.version, bad.capabilities) == ("3.1", None)
    assert isinstance(bad.error, BrokenRunnerError)
    assert isinstance(bad.error.__cause__, ZeroDivisionError)
    assert (twice.distribution, twice.version) == ("hyper-bad and hyper-old", None)
    assert (own.distribution, own.version) == ("(registered in this process)", None)
    assert own.target.endswith(":Own")


@pytest.mark.parametrize("name", ["odd:name", "bad name!", "1st", "my.runner"])
def test_what_is_offered_under_no_name_is_not_available_and_inspected_as_broken(
    install: Install, name: str
) -> None:
    install("hyper-odd", {name: "Mine", "mine": "Mine"}, source())
    assert dict(runners.available()) == {"mine": "hyper-odd"}
    found = runners.inspect()
    assert found["mine"].state is RunnerState.OK
    odd = found[name]
    assert odd.state is RunnerState.BROKEN
    assert odd.error is not None
    assert odd.error.what == f"{name!r} cannot be the name of a runner."
    assert odd.error.where == "hyper-odd 1.0, plug_hyper_odd:Mine"
    assert (odd.distribution, odd.unused) == (
        "hyper-odd",
        (odd.error.where.replace(", ", " (") + ")",),
    )
    with pytest.raises(RunnerError):
        runners.get(name)
    assert runners.supporting(GraphFeatures()) == ("mine",)


@pytest.mark.parametrize(
    ("version", "fix"),
    [
        ("'banana'", 'correct the class attribute: runner_api = ">=1,<2"'),
        ("3", 'correct the class attribute: runner_api = ">=1,<2"'),
        ("'>=2,<3'", "install versions of hypergraph-core and of the runner that fit together"),
    ],
)
def test_what_to_do_about_a_version_that_does_not_fit(
    install: Install, version: str, fix: str
) -> None:
    install("hyper-bad", {"bad": "Mine"}, source() + f"    runner_api = {version}")
    with pytest.raises(RunnerAPIError) as caught:
        runners.get("bad")
    assert caught.value.fix == fix


def test_a_class_that_is_named_without_a_colon_is_shown_with_it() -> None:
    with pytest.raises(RunnerNotFoundError) as caught:
        runners.get("my.package.Mine")
    assert caught.value.fix == "a class is named with a colon: 'my.package:Mine'"


# --- in-process registration --------------------------------------------------------------------


def test_a_registered_runner_goes_before_an_installed_one(install: Install) -> None:
    install("hyper-mine", {"mine": "Mine"}, source())
    runners.register("mine", Own)
    assert runners.get("mine") is Own
    assert dict(runners.available()) == {"mine": "(registered in this process)"}
    runners.unregister("mine")
    assert runners.get("mine").__name__ == "Mine"


def test_a_registered_name_is_replaced_only_on_request() -> None:
    runners.register("own", Own)
    runners.register("own", Own)
    with pytest.raises(RunnerError, match="already registered"):
        runners.register("own", Other)
    assert runners.get("own") is Own
    runners.register("own", Other, replace=True)
    assert runners.get("own") is Other


@pytest.mark.parametrize(
    "name", ["", " own", "a:b", "a b", "-own", "a.b", "1", "\u00e9", "own\n", "a/b"]
)
def test_a_name_that_could_not_be_asked_for_is_refused(name: str) -> None:
    with pytest.raises(RunnerError, match="cannot be the name"):
        runners.register(name, Own)


def test_what_is_no_text_is_no_name() -> None:
    with pytest.raises(RunnerError, match="A value of type int cannot be the name of a runner"):
        runners.register(3, Own)  # type: ignore[arg-type]


def test_only_a_runner_class_can_be_registered() -> None:
    with pytest.raises(RunnerAPIError, match="not a subclass"):
        runners.register("own", dict)  # type: ignore[arg-type]
    assert dict(runners.available()) == {}


def test_forgetting_a_runner_that_was_never_registered_is_an_error(install: Install) -> None:
    install("hyper-mine", {"mine": "Mine"}, source())
    with pytest.raises(RunnerNotFoundError, match="was registered in this process"):
        runners.unregister("mine")


# --- wherever a runner is accepted --------------------------------------------------------------


def test_a_runner_is_accepted_in_four_forms(install: Install) -> None:
    install("hyper-mine", {"mine": "Mine"}, source())
    instance = Own()
    assert resolve_runner(instance) is instance
    assert type(resolve_runner(Own)) is Own
    assert type(resolve_runner("mine")) is runners.get("mine")
    assert type(resolve_runner("plug_hyper_mine:Mine")) is runners.get("mine")


@pytest.mark.parametrize("wrong", [3, None, dict, object()])
def test_anything_else_is_refused(wrong: object) -> None:
    with pytest.raises(RunnerAPIError, match="not a subclass"):
        resolve_runner(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("path", "error", "words"),
    [
        ("no_such_package.module:Class", RunnerNotFoundError, "no module 'no_such_package'"),
        ("plug_hyper_bad.sub:Class", RunnerNotFoundError, "no module 'plug_hyper_bad.sub'"),
        ("plug_hyper_bad:Absent", BrokenRunnerError, "has no attribute 'Absent'"),
        ("plug_hyper_worse:Mine", BrokenRunnerError, "No module named 'no_such_module'"),
        ("plug_hyper_bad:", RunnerError, "package.module:Class"),
        (":Mine", RunnerError, "package.module:Class"),
        ("json:dumps", RunnerAPIError, "not a subclass"),
    ],
)
def test_a_path_that_leads_to_no_runner_says_where_it_ends(
    install: Install, path: str, error: type[RunnerError], words: str
) -> None:
    install("hyper-bad", {}, source())
    install("hyper-worse", {}, "import no_such_module")
    with pytest.raises(error, match=words) as caught:
        runners.get(path)
    assert caught.value.name == path


# --- which runners could ------------------------------------------------------------------------


def test_the_runners_that_support_a_graph_are_those_that_work(install: Install) -> None:
    install("hyper-good", {"good": "Mine"}, source())
    install("hyper-few", {"few": "Mine"}, source(capabilities="supports_cycles=False"))
    install("hyper-bad", {"bad": "Mine"}, "1 / 0")
    assert runners.supporting(GraphFeatures(cycles="a")) == ("good",)
    assert runners.supporting(GraphFeatures()) == ("few", "good")


def test_a_refusal_finds_installed_runners_past_a_broken_one(install: Install) -> None:
    install("hyper-bad", {"bad": "Mine"}, "raise SystemExit")
    runners.register("own", Own)

    class Shape:
        features = GraphFeatures(interrupts="ask")

    with pytest.raises(IncompatibleRunnerError) as caught:
        RunnerCapabilities().validate_graph(Shape(), runner="SyncRunner")
    assert caught.value.alternatives == ("own",)


def test_capabilities_of_a_property_are_unknown_before_the_runner_is_made() -> None:
    class Variable(Own):
        @property
        def capabilities(self) -> RunnerCapabilities:  # type: ignore[override]
            return RunnerCapabilities()

    runners.register("variable", Variable)
    assert runners.inspect()["variable"].capabilities is None
    assert runners.supporting(GraphFeatures()) == ()


# --- from hypergraph import ... -----------------------------------------------------------------


def test_a_missing_runner_is_an_import_error_that_says_how_to_install_it() -> None:
    with pytest.raises(ImportError, match="pip install hypergraph-runner-daft") as caught:
        from hypergraph import DaftRunner  # noqa: F401, PLC0415
    assert type(caught.value) is RunnerNotInstalledError


def test_a_registered_runner_is_importable_by_its_class_name() -> None:
    runners.register("daft", Own, replace=True)
    assert hypergraph.DaftRunner is Own
    assert "DaftRunner" in dir(hypergraph)
    runners.unregister("daft")
    assert "DaftRunner" not in dir(hypergraph)


def test_a_broken_runner_is_not_hidden_behind_an_import_error(install: Install) -> None:
    install("hypergraph-runner-daft", {"daft": "DaftRunner"}, "import no_such_module")
    with pytest.raises(BrokenRunnerError, match="no_such_module"):
        _ = hypergraph.DaftRunner


# --- reserved names -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sync", "async", "dbos", "daft"])
def test_a_reserved_name_is_registered_only_on_request(name: str) -> None:
    with pytest.raises(RunnerError, match=f"is hypergraph-runner-{name}'s"):
        runners.register(name, Own)
    assert dict(runners.available()) == {}
    runners.register(name, Own, replace=True)
    runners.register(name, Own)
    assert runners.get(name) is Own


@pytest.mark.parametrize(
    ("asked", "near"),
    [("SyncRunner", "sync"), ("DaftRunner", "daft"), ("Async", "async"), ("DBOS", "dbos")],
)
def test_the_name_of_a_class_is_near_to_that_of_its_runner(asked: str, near: str) -> None:
    with pytest.raises(RunnerNotFoundError, match=f"Did you mean '{near}'"):
        runners.get(asked)
