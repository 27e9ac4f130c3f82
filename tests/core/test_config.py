"""Runners made from a configuration: which one, with what, and what is refused."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st
from rich.console import Console

from hypergraph import (
    AsyncRunner,
    ConfigError,
    MemoryCache,
    MissingExtraError,
    SyncRunner,
    hooks,
    load_runner,
    runners,
)
from hypergraph.cache.disk import DiskCache
from hypergraph.checkpointers import MemoryCheckpointer, Retention, SqliteCheckpointer
from hypergraph.config import chosen_runner, configured, loading, resolve_runner
from hypergraph.config.choice import Given
from hypergraph.config.values import fitted, made
from hypergraph.configfile import Key, checked
from hypergraph.errors import (
    BrokenRunnerError,
    PluginError,
    RunnerAPIError,
    RunnerError,
    RunnerNotFoundError,
    RunnerNotInstalledError,
)
from hypergraph.extras.otel import OpenTelemetryProcessor
from hypergraph.extras.rich_progress import RichProgress
from hypergraph.runners import registry
from hypergraph.serialization import JsonSerializer
from tests.core import configuring
from tests.core.configuring import CALLS, GRAPH, SECRET, Bare, Listener, Own, Strict

HERE = "tests.core.configuring"
Write = Callable[[str], Path]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A directory of its own, nothing in the environment, and a runner ``own`` for this test."""
    for variable in ("HYPERGRAPH_CONFIG", "HYPERGRAPH_RUNNER"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HYPERGRAPH_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(loading, "_kept", {})
    monkeypatch.setattr(registry, "_registered", {"own": Own})
    CALLS.clear()
    yield
    assert CALLS == []


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def writer(text: str) -> Path:
        path = tmp_path / "hypergraph.toml"
        path.write_text(text)
        return path

    return writer


def settings_of(runner: object) -> dict[str, Any]:
    assert isinstance(runner, Own)
    return runner.given


# --- which runner ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argument", "variable", "file", "expected", "origin"),
    [
        ("bare", "async", "own", Bare, ""),
        ("bare", "async", None, Bare, ""),
        ("bare", None, "own", Bare, ""),
        ("bare", None, None, Bare, ""),
        (None, "async", "own", AsyncRunner, "HYPERGRAPH_RUNNER"),
        (None, " async ", None, AsyncRunner, "HYPERGRAPH_RUNNER"),
        (None, None, "own", Own, "hypergraph.toml"),
        (None, "", "own", Own, "hypergraph.toml"),
        (None, None, None, SyncRunner, "the default"),
    ],
)
def test_the_first_that_says_something_is_believed(
    write: Write,
    monkeypatch: pytest.MonkeyPatch,
    argument: str | None,
    variable: str | None,
    file: str | None,
    expected: type,
    origin: str,
) -> None:
    write((f'runner = "{file}"\n' if file else "") + f'[runners.bare]\nuse = "{HERE}:Bare"')
    if variable is not None:
        monkeypatch.setenv("HYPERGRAPH_RUNNER", variable)
    assert type(load_runner(argument)) is expected
    if argument is None:
        assert chosen_runner().origin.endswith(origin)


def test_a_name_is_of_a_configured_runner_before_a_registered_one(write: Write) -> None:
    write('[runners.own]\nuse = "async"\n[runners.sync]\n[runners.mine]\nuse = "own"')
    assert type(load_runner("own")) is AsyncRunner
    assert type(load_runner("sync")) is SyncRunner
    assert type(load_runner("mine")) is Own  # use= names what is registered
    assert type(load_runner("async")) is AsyncRunner
    assert type(load_runner(f"{HERE}:Bare")) is Bare
    assert dict(configured()) == {"mine": "own", "own": "async", "sync": "sync"}


def test_the_working_directory_decides(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write('runner = "own"')
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "hypergraph.toml").write_text('runner = "async"')
    assert type(load_runner()) is Own
    monkeypatch.chdir(inner)
    assert type(load_runner()) is AsyncRunner
    monkeypatch.chdir("/")
    assert type(load_runner()) is SyncRunner


@pytest.mark.parametrize(
    ("name", "kind", "message", "where"),
    [
        ("lokal", RunnerNotFoundError, "configured or registered. Did you mean 'local'?", "local"),
        ("asinc", RunnerNotFoundError, "Did you mean 'async'?", "registered runners: async, own"),
        ("daft", RunnerNotInstalledError, "No runner named 'daft'", "registered runners"),
        ("lost", RunnerNotFoundError, "'nowhere'", "hypergraph.toml; runners.lost.use"),
        ("chain", RunnerNotFoundError, "'local'", "hypergraph.toml; runners.chain.use"),
        ("unsaid", RunnerNotFoundError, "'unsaid'", "hypergraph.toml; runners.unsaid;"),
        ("call", RunnerAPIError, "not a subclass", "hypergraph.toml; runners.call.use"),
        ("module", RunnerAPIError, "not a subclass", "hypergraph.toml; runners.module.use"),
        ("class", RunnerAPIError, "not a subclass", "hypergraph.toml; runners.class.use"),
        ("gone", RunnerNotFoundError, "no module", "hypergraph.toml; runners.gone.use"),
        ("absent", BrokenRunnerError, "fails to import", "hypergraph.toml; runners.absent.use"),
    ],
)
def test_a_name_that_leads_to_no_runner(
    write: Write, name: str, kind: type[RunnerError], message: str, where: str
) -> None:
    write(
        f"""
        [runners]
        local = {{ use = "own" }}
        lost = {{ use = "nowhere" }}
        chain = {{ use = "local" }}
        unsaid = {{}}
        call = {{ use = "os:system" }}
        module = {{ use = "os:path" }}
        class = {{ use = "{HERE}:Wrong" }}
        gone = {{ use = "no_such_package.x:Runner" }}
        absent = {{ use = "{HERE}:Absent" }}
        """
    )
    for use in (load_runner, resolve_runner, lambda name: GRAPH.as_node(runner=name)):
        with pytest.raises(kind) as caught:
            use(name)
        assert message in str(caught.value)
        assert where in caught.value.where


def test_a_class_that_is_named_without_a_colon_is_no_table(write: Write) -> None:
    write('[runners.local]\nuse = "own"')
    with pytest.raises(RunnerNotFoundError) as caught:
        load_runner("mine.Mine")
    assert caught.value.fix == "a class is named with a colon: 'mine:Mine'"
    with pytest.raises(RunnerNotFoundError) as caught:
        load_runner("")
    assert "[runners" not in caught.value.fix
    with pytest.raises(RunnerNotFoundError) as caught:
        load_runner("lokal")
    assert "[runners.lokal]" in caught.value.fix


def test_what_is_no_name_is_refused() -> None:
    with pytest.raises(TypeError, match="named by text, not by the class SyncRunner"):
        load_runner(SyncRunner)  # type: ignore[arg-type]


def test_the_error_of_a_default_says_what_chose_it(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write('runner = "nowhere"')
    with pytest.raises(RunnerNotFoundError) as caught:
        load_runner()
    assert caught.value.where.startswith(str(path))
    monkeypatch.setenv("HYPERGRAPH_RUNNER", "elsewhere")
    with pytest.raises(RunnerNotFoundError) as caught:
        load_runner()
    assert caught.value.where.startswith("HYPERGRAPH_RUNNER")


def test_a_configuration_that_is_wrong_is_an_error_for_every_name(write: Write) -> None:
    write("runners = 1")
    with pytest.raises(ConfigError):
        load_runner("sync")
    with pytest.raises(ConfigError):
        GRAPH.as_node(runner="sync")
    assert type(load_runner(f"{HERE}:Own")) is Own  # which nobody can configure
    assert GRAPH.as_node(runner=SyncRunner).runner is not None


# --- with what ------------------------------------------------------------------------------------


def test_settings_are_the_arguments_of_the_runner(write: Write, tmp_path: Path) -> None:
    write(
        """
        [runners.own]
        url = "x"
        mode = "fast"
        workers = 3
        ratio = 1
        home = "data"
        tags = ["a", "b"]
        paths = ["~/x", "/y"]
        extra = { one = 1 }
        anything = { a = [1, { b = 2 }] }
        limits = { calls = 5 }
        """
    )
    given = settings_of(load_runner("own"))
    assert given == {
        "url": "x",
        "mode": "fast",
        "workers": 3,
        "ratio": 1.0,
        "home": tmp_path / "data",
        "tags": ("a", "b"),
        "paths": (Path.home() / "x", Path("/y")),
        "extra": {"one": 1},
        "anything": {"a": [1, {"b": 2}]},
        "limits": configuring.Limits(calls=5),
    }
    assert isinstance(given["ratio"], float)


def test_components_are_made_by_name_or_by_table(write: Write, tmp_path: Path) -> None:
    write(
        f"""
        [runners.local]
        use = "async"
        cache = {{ use = "disk", path = ".cache/results", size_limit = 1_000_000 }}
        checkpointer = {{ use = "sqlite", path = "runs.db", retention = {{ max_workflows = 9 }} }}
        event_processors = ["rich", "otel", {{ use = "{HERE}:Listener", level = 2, words = ["a"] }}]
        sync_nodes = "thread"
        max_concurrency = 20
        [runners.small]
        use = "sync"
        cache = {{ use = "memory", max_items = 10 }}
        [runners.plain]
        use = "async"
        cache = "memory"
        checkpointer = "memory"
        """
    )
    local = load_runner("local")
    assert isinstance(local, AsyncRunner)
    assert isinstance(local.cache, DiskCache)
    assert (local.cache.path, local.cache.size_limit) == (tmp_path / ".cache/results", 1_000_000)
    assert isinstance(local.checkpointer, SqliteCheckpointer)
    assert local.checkpointer.path == tmp_path / "runs.db"
    rich, otel, listener = local.event_processors
    assert isinstance(rich, RichProgress)
    assert isinstance(otel, OpenTelemetryProcessor)
    assert isinstance(listener, Listener)
    assert (listener.level, listener.words) == (2, ["a"])
    assert (local.sync_nodes, local.max_concurrency) == ("thread", 20)
    small, plain = load_runner("small"), load_runner("plain")
    assert isinstance(small, SyncRunner)
    assert isinstance(plain, AsyncRunner)
    assert isinstance(small.cache, MemoryCache)
    assert small.cache.max_items == 10
    assert isinstance(plain.checkpointer, MemoryCheckpointer)


def test_the_options_of_a_component_may_be_objects_too() -> None:
    retention, console = Retention(max_workflows=3), Console()
    runner = load_runner(
        "async",
        checkpointer={
            "use": "sqlite",
            "path": "runs.db",
            "retention": retention,
            "serializer": JsonSerializer(),
        },
        event_processors=[{"use": "rich", "console": console}],
    )
    assert isinstance(runner, AsyncRunner)
    assert isinstance(runner.checkpointer, SqliteCheckpointer)
    assert isinstance(runner.event_processors[0], RichProgress)
    checkpointer = {"use": "sqlite", "path": "runs.db", "serializer": "jsn"}
    with pytest.raises(ConfigError, match=r"no serializer of this name\. Did you mean \'json\'\?"):
        load_runner("async", checkpointer=checkpointer)


def test_paths_are_relative_to_the_file_wherever_one_works(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write('[runners.own]\nhome = "data"')
    (tmp_path / "inner").mkdir()
    monkeypatch.chdir("inner")
    assert settings_of(load_runner("own"))["home"] == tmp_path / "data"
    assert settings_of(load_runner("own", home="data"))["home"] == tmp_path / "inner" / "data"
    assert settings_of(load_runner("own", home=Path("data")))["home"] == Path("data")


def test_overrides_go_before_the_file_and_may_be_objects(write: Write) -> None:
    write('[runners.own]\nmode = "fast"\nworkers = 2\ncache = "memory"\nurl = "x"')
    cache, listener = MemoryCache(), Listener()
    given = settings_of(
        load_runner("own", workers=5, cache=cache, listeners=[listener, "rich"], url=None)
    )
    assert (given["mode"], given["workers"], given["cache"]) == ("fast", 5, cache)
    assert given["listeners"][0] is listener
    assert isinstance(given["listeners"][1], RichProgress)
    assert "url" not in given  # at its default, it is left to the constructor
    assert settings_of(load_runner("own", cache={"use": "memory"}))["cache"] is not cache
    assert isinstance(load_runner("sync", cache=cache), SyncRunner)


@pytest.mark.parametrize(
    ("line", "key", "problem", "fix"),
    [
        ("wrkers = 3", "wrkers", "unknown key. Did you mean 'workers'?", "Own takes: url, mode"),
        ("workers = '3'", "workers", "expected int >= 1, got str", "give it as: int >= 1"),
        ("workers = 0", "workers", "expected int >= 1, got another int", ""),
        ("workers = true", "workers", "expected int >= 1, got bool", ""),
        ("ratio = '1'", "ratio", "expected float, got str", ""),
        ("url = 5", "url", "expected str, got int", ""),
        (f"mode = '{SECRET}'", "mode", 'expected "fast" or "safe", got another str.', ""),
        ("mode = 'saf'", "mode", "got another str. Did you mean 'safe'?", ""),
        ("home = 1", "home", "expected path, got int", ""),
        (f"tags = '{SECRET}'", "tags", "expected list of str, got str", ""),
        ("tags = ['a', 1]", "tags[1]", "expected str, got int", ""),
        ("extra = { a = 'b' }", "extra", "expected table, got another table", ""),
        ("limits = { calls = 'x' }", "limits.calls", "expected int, got str", ""),
        ("limits = {}", "limits.calls", "this is missing", "Limits needs it"),
        ("limits = { cals = 1 }", "limits.cals", "Did you mean 'calls'?", "Limits takes: calls"),
        ("limits = 3", "limits", "expected table, got int", ""),
        ("cache = 'dsk'", "cache", "no cache of this name. Did you mean 'disk'?", '"memory"'),
        (f"cache = '{SECRET}'", "cache", "no cache of this name.", '"package.module:Class"'),
        (f"cache = 'redis://u:{SECRET}@h'", "cache", "not the path of a class", "package.module"),
        ("cache = 3", "cache", "expected cache, got int", '"memory", "disk"'),
        ("cache = ['disk']", "cache", "expected cache, got list of str", ""),
        ("cache = {}", "cache", "'use' is missing", '"memory", "disk"'),
        ("cache = { use = 3 }", "cache.use", "expected str, got int", ""),
        ("cache = { use = 'disk' }", "cache.path", "this is missing", "DiskCache needs it"),
        ("cache = { use = 'disk', path = 1 }", "cache.path", "expected path, got int", ""),
        (
            "cache = { use = 'memory', max_itms = 1 }",
            "cache.max_itms",
            "unknown key. Did you mean 'max_items'?",
            "MemoryCache takes: max_items",
        ),
        ("cache = { use = 'memory', max_items = 0 }", "cache", "refuses what is given", "cause"),
        ("cache = 'os:system'", "cache", "not the class of a cache", "get(), put(), flush()"),
        ("cache = { use = 'os:path' }", "cache.use", "not the class of a cache", ""),
        (f"cache = '{HERE}:function'", "cache", "not the class of a cache", ""),
        (f"cache = '{HERE}:Wrong'", "cache", "not the class of a cache", ""),
        (f"cache = '{HERE}:Absent'", "cache", "no class of this name", "correct the path"),
        ("cache = 'no_such_package:A'", "cache", "no module of this name", "install"),
        ("listeners = 'rich'", "listeners", "expected list of event processors, got str", ""),
        (
            f"listeners = ['rich', '{HERE}:Wrong']",
            "listeners[1]",
            "not the class of an event processor",
            "on_event()",
        ),
        (
            f"listeners = [{{ use = '{HERE}:Listener', level = 'x' }}]",
            "listeners[0].level",
            "expected int, got str",
            "",
        ),
        (
            f"listeners = [{{ use = '{HERE}:Listener', words = [1] }}]",
            "listeners[0].words[0]",
            "expected str, got int",
            "",
        ),
    ],
)
def test_what_does_not_fit_is_told_with_its_key_and_without_its_value(
    write: Write, line: str, key: str, problem: str, fix: str
) -> None:
    path = write(f"[runners.own]\n{line}")
    with pytest.raises(ConfigError) as caught:
        load_runner("own")
    error = caught.value
    assert error.key == f"runners.own.{key}"
    assert error.what.startswith(f"{error.key}: ")
    assert problem in error.what
    assert fix in error.fix
    assert error.file == error.where == str(path)
    assert SECRET not in str(error)


def test_overrides_are_checked_as_the_file_is() -> None:
    for overrides, key, problem in (
        ({"wrkers": 3}, "wrkers", "unknown key. Did you mean 'workers'?"),
        ({"workers": "3"}, "workers", "expected int"),
        ({"cache": Listener()}, "cache", "expected cache, got Listener"),
        ({"cache": MemoryCache}, "cache", "expected cache, got the class MemoryCache"),
        ({"listeners": [Listener]}, "listeners[0]", "got the class Listener"),
        ({"mode": None}, "mode", "got NoneType"),
    ):
        with pytest.raises(ConfigError) as caught:
            load_runner("own", **overrides)  # type: ignore[arg-type]
        assert caught.value.where == "load_runner()"
        assert caught.value.what.startswith(f"{key}: ")
        assert problem in caught.value.what


def test_what_a_class_refuses_is_the_cause_and_not_repeated(write: Write) -> None:
    write(f"[runners.own]\nlisteners = [{{ use = '{HERE}:Listener', level = -1 }}]")
    with pytest.raises(ConfigError) as caught:
        load_runner("own")
    assert "Listener refuses what is given here (ValueError)" in caught.value.what
    assert SECRET not in str(caught.value)
    assert SECRET in str(caught.value.__cause__)


def test_a_runner_without_settings_takes_none(write: Write) -> None:
    write(f'[runners.bare]\nuse = "{HERE}:Bare"')
    assert settings_of(load_runner("bare")) == {}
    write(f'[runners.bare]\nuse = "{HERE}:Bare"\nurl = "x"')
    with pytest.raises(ConfigError, match="Bare takes no settings"):
        load_runner("bare")
    with pytest.raises(ConfigError, match="url: unknown key"):
        load_runner(f"{HERE}:Bare", url="x")


def test_a_setting_that_must_be_given(write: Write) -> None:
    write(f'[runners.strict]\nuse = "{HERE}:Strict"')
    with pytest.raises(ConfigError, match=r"runners\.strict\.url: this is missing"):
        load_runner("strict")
    assert settings_of(load_runner("strict", url="x")) == {"url": "x"}
    with pytest.raises(ConfigError, match="url: this is missing"):
        load_runner(f"{HERE}:Strict")
    assert isinstance(resolve_runner(Strict), Strict)  # a class is just called


def test_settings_that_are_no_dataclass_are_the_runners_mistake() -> None:
    class Mistaken(Own):
        settings_class = dict

    runners.register("own", Mistaken, replace=True)
    with pytest.raises(RunnerAPIError, match="settings_class of Mistaken is not a dataclass"):
        load_runner("own")


def test_settings_may_be_made_into_a_runner_in_another_way() -> None:
    class Making(Own):
        @classmethod
        def from_settings(cls, settings: Any) -> Any:
            return cls(where=f"{settings.url}/{settings.mode}")

    runners.register("own", Making, replace=True)
    assert settings_of(load_runner("own", url="x")) == {"where": "x/safe"}


def test_a_missing_extra_says_what_to_install(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write('[runners.own]\ncache = { use = "disk", path = "x" }')
    monkeypatch.delitem(sys.modules, "hypergraph.cache.disk")
    monkeypatch.setitem(sys.modules, "diskcache", None)
    with pytest.raises(MissingExtraError, match=r"hypergraph-core\[cache\]"):
        load_runner("own")


@pytest.mark.parametrize("failure", ["raise SystemExit", "1 / 0", "import no_such_package_either"])
def test_a_module_that_fails_to_import_is_told(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: str
) -> None:
    (tmp_path / "broken_component.py").write_text(failure)
    monkeypatch.syspath_prepend(tmp_path)
    write('[runners.own]\ncache = "broken_component:Cache"')
    with pytest.raises(ConfigError, match="the module fails to import") as caught:
        load_runner("own")
    assert caught.value.__cause__ is not None


# --- a file is data -------------------------------------------------------------------------------


def test_nothing_that_a_file_names_is_imported_before_it_is_used(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "named_by_file.py").write_text("raise SystemExit('it was imported')")
    monkeypatch.syspath_prepend(tmp_path)
    write(
        """
        runner = "evil"
        [runners.evil]
        use = "named_by_file:Runner"
        [runners.own]
        [runners.sync]
        cache = "named_by_file:Cache"
        """
    )
    assert chosen_runner().name == "evil"
    assert dict(configured())["evil"] == "named_by_file:Runner"
    load_runner("own")
    assert "named_by_file" not in sys.modules


def test_a_function_is_never_called(write: Write) -> None:
    write(f'[runners.own]\nuse = "{HERE}:function"')
    with pytest.raises(RunnerAPIError):
        load_runner("own")
    assert CALLS == []


def test_text_is_text(write: Write) -> None:
    write('[runners.own]\nurl = "${HOME} $HOME {0} %s `id` $(id)"')
    assert settings_of(load_runner("own"))["url"] == "${HOME} $HOME {0} %s `id` $(id)"


def test_tables_and_lists_within_a_table_are_dicts_and_lists(tmp_path: Path) -> None:
    key = Key(source="file", directory=tmp_path)
    table = checked({"runners": {"own": {"extra": {"a": [1, {"b": 2}]}}}}, key).runners["own"]
    found = fitted(table["extra"], dict[str, object], key)
    assert found == {"a": [1, {"b": 2}]}
    assert [type(inside) for inside in found["a"]] == [int, dict]


# --- the same runner for whoever names it -----------------------------------------------------------


def test_who_names_a_configured_runner_gets_the_same_until_it_changes(write: Write) -> None:
    write('[runners.local]\nuse = "own"\ncache = "memory"')
    first = resolve_runner("local")
    assert GRAPH.as_node(runner="local").runner is first
    assert load_runner("local") is not first
    write('[runners.local]\nuse = "own"\ncache = "memory"\n[runners.other]')
    assert resolve_runner("local") is first
    write('[runners.local]\nuse = "own"\ncache = "memory"\nurl = "x"')
    second = resolve_runner("local")
    assert second is not first
    assert settings_of(second)["url"] == "x"


def test_a_configured_runner_without_settings_is_the_same_for_all_too(write: Write) -> None:
    write('[runners.bare]\nuse = "own"')
    assert resolve_runner("bare") is resolve_runner("bare")
    assert resolve_runner("own") is not resolve_runner("own")  # it is not configured


def test_a_class_that_is_registered_anew_makes_a_new_runner(write: Write) -> None:
    class Newer(Own):
        pass

    write('[runners.local]\nuse = "own"\nurl = "x"')
    assert type(resolve_runner("local")) is Own
    runners.register("own", Newer, replace=True)
    assert type(resolve_runner("local")) is Newer


def test_threads_get_the_same_runner(write: Write) -> None:
    write('[runners.own]\nurl = "x"')
    found: list[object] = []
    begin = threading.Barrier(8)

    def name_it() -> None:
        begin.wait()
        found.append(resolve_runner("own"))

    threads = [threading.Thread(target=name_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(map(id, found))) == 1


# --- plugins --------------------------------------------------------------------------------------


@pytest.fixture
def plugin() -> Iterator[Callable[..., None]]:
    """Register a plugin that gives settings; it is gone after the test."""
    registered = []

    def register(settings: Any, name: str = "sites") -> None:
        class Plugin:
            @staticmethod
            @hooks.hookimpl
            def hypergraph_configure(config: Any) -> Any:
                return settings(config) if callable(settings) else settings

        hooks.register(Plugin, name)
        registered.append(Plugin)

    yield register
    for one in registered:
        hooks.unregister(one)


def test_a_plugin_that_fails_is_an_error_of_the_configuration(plugin: Callable[..., None]) -> None:
    def fail(config: Any) -> Any:
        raise RuntimeError(configuring.SECRET)

    plugin(fail)
    for use in (chosen_runner, configured, load_runner):
        with pytest.raises(PluginError) as caught:
            use()
        assert "'sites'" in caught.value.what
        assert isinstance(caught.value.__cause__, RuntimeError)
        assert configuring.SECRET not in str(caught.value)


def test_a_plugin_gives_what_the_file_does_not(
    write: Write, plugin: Callable[..., None], tmp_path: Path
) -> None:
    plugin(
        {
            "runner": "site",
            "runners": {
                "site": {"use": "own", "mode": "fast", "home": "x"},
                "own": {"mode": "fast", "cache": {"use": "disk", "path": "x"}},
            },
        }
    )
    assert chosen_runner().name == "site"
    assert "plugin 'sites'" in chosen_runner().origin
    assert settings_of(load_runner()) == {"mode": "fast", "home": tmp_path / "x"}
    write('runner = "own"\n[runners.own]\ncache = { use = "memory", max_items = 1 }')
    given = settings_of(load_runner())
    assert given["mode"] == "fast"
    assert isinstance(given["cache"], MemoryCache)  # a component is one value
    assert set(configured()) == {"own", "site"}


def test_the_settings_of_another_class_are_not_mixed_in(
    write: Write, plugin: Callable[..., None]
) -> None:
    plugin({"runners": {"local": {"use": "own", "url": "x"}}})
    write('[runners.local]\nuse = "async"\nmax_concurrency = 2')
    assert type(load_runner("local")) is AsyncRunner


def test_a_plugin_is_asked_once_for_all_that_is_configured(
    write: Write, plugin: Callable[..., None]
) -> None:
    asked: list[Any] = []
    plugin(asked.append)
    write("[runners.a]\nuse = 'own'\n[runners.b]\nuse = 'own'")
    assert configured() == {"a": "own", "b": "own"}
    assert len(asked) == 1


def test_a_plugin_sees_the_file_and_cannot_change_it(
    write: Write, plugin: Callable[..., None]
) -> None:
    def settings(config: Any) -> Any:
        with pytest.raises(TypeError):
            config["runner"] = "evil"
        return {"runners": {config["runner"]: {"url": "x"}}}

    plugin(settings)
    write('runner = "own"')
    assert settings_of(load_runner()) == {"url": "x"}


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"runers": {}}, "runers: unknown key. Did you mean 'runners'?"),
        ({"runners": {"own": {"workers": "3"}}}, "runners.own.workers: expected int"),
    ],
)
def test_what_is_wrong_in_a_plugin_names_it(
    plugin: Callable[..., None], settings: Any, what: str
) -> None:
    plugin(settings)
    with pytest.raises(ConfigError) as caught:
        load_runner("own")
    assert what in caught.value.what
    assert "plugin 'sites'" in caught.value.where


# --- what is free ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "program",
    [
        "SyncRunner().run(Graph([twice]), {'x': 1})",
        "Graph([Graph([twice], name='g').as_node(runner=SyncRunner())])",
        "AsyncRunner(max_concurrency=3)",
    ],
)
def test_a_program_that_names_its_runners_reads_no_configuration(program: str) -> None:
    code = (
        "import sys\n"
        "from hypergraph import AsyncRunner, Graph, SyncRunner, node\n"
        "twice = node(lambda x: 2 * x, output_name='double', name='twice')\n"
        f"{program}\n"
        "rooms = ('tomllib', 'hypergraph.config.loading', 'hypergraph.configfile')\n"
        "print([name for name in rooms if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr


# --- any value against any type -------------------------------------------------------------------

VALUES = st.recursive(
    st.one_of(st.text(max_size=3), st.integers(), st.booleans(), st.floats(), st.dates()),
    lambda inside: st.one_of(
        st.lists(inside, max_size=3),
        st.dictionaries(st.sampled_from(["use", "calls", "x"]), inside, max_size=2),
    ),
    max_leaves=5,
)
NAMES = [field.name for field in fields(configuring.OwnSettings)]


@given(value=VALUES, name=st.sampled_from(NAMES))
def test_any_value_fits_or_is_refused_with_its_key(value: Any, name: str) -> None:
    key = Key(source="test", directory=Path("/base"))
    told = name
    try:
        made(configuring.OwnSettings, {name: Given(value=value, key=key.at(name))}, key)
    except ConfigError as error:
        told = error.key
    assert told.startswith(name)


@given(value=VALUES)
def test_a_value_that_nobody_looks_at_stays_as_it_is(value: Any) -> None:
    key = Key(source="test", directory=Path())
    file = checked({"runners": {"own": {"anything": value}}}, key)
    frozen = file.runners["own"]["anything"]
    assert repr(fitted(frozen, Any, key)) == repr(value)
