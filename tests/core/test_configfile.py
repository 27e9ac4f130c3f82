"""Where the configuration is found, how it is read, and what is wrong with one."""

from __future__ import annotations

import errno
import os
import pickle
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from hypergraph import ConfigError, configfile
from hypergraph.configfile import read_config

SECRET = "hunter2"

Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of its own to work in, and nothing in the environment."""
    monkeypatch.delenv(configfile.VARIABLE, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def writer(text: str | bytes, name: str = "hypergraph.toml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return writer


def refused(**expected: str) -> ConfigError:
    """Read the configuration, which is wrong; returns the error."""
    with pytest.raises(ConfigError) as caught:
        read_config()
    for attribute, text in expected.items():
        assert text in getattr(caught.value, attribute)
    assert SECRET not in str(caught.value)
    return caught.value


# --- finding it ---------------------------------------------------------------------------------


def test_without_a_file_nothing_is_configured() -> None:
    config = read_config()
    assert config.path is None
    assert dict(config.table) == dict(config.runners) == {}
    assert (config.runner, config.plugins.allow, config.plugins.deny) == (None, None, ())


def test_the_nearest_file_upwards_counts(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    far = write('runner = "far"')
    near = write('runner = "near"', "a/hypergraph.toml")
    (near.parent / "b" / "c").mkdir(parents=True)
    monkeypatch.chdir(near.parent / "b" / "c")
    assert (read_config().runner, read_config().path) == ("near", near)
    monkeypatch.chdir(near.parent)
    assert read_config().path == near
    monkeypatch.chdir(far.parent)
    assert read_config().path == far


def test_in_one_directory_the_file_of_its_own_goes_before_pyproject(write: Write) -> None:
    write('[tool.hypergraph]\nrunner = "project"', "pyproject.toml")
    assert read_config().runner == "project"
    write('runner = "own"')
    assert read_config().runner == "own"


@pytest.mark.parametrize("text", ["", "[project]\nname = 'x'", "[tool.ruff]", "tool = 1"])
def test_a_pyproject_that_says_nothing_of_hypergraph_is_passed_over(
    write: Write, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    above = write("[tool.hypergraph]", "pyproject.toml")
    inner = write(text, "inner/pyproject.toml")
    monkeypatch.chdir(inner.parent)
    assert read_config().path == above


def test_the_variable_names_the_file(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write('runner = "found"')
    named = write('runner = "named"', "elsewhere/settings.toml")
    monkeypatch.setenv("HYPERGRAPH_CONFIG", "~/elsewhere/settings.toml")
    assert (read_config().runner, read_config().path) == ("named", named)
    monkeypatch.setenv("HYPERGRAPH_CONFIG", "elsewhere/settings.toml")
    assert read_config().path == named
    monkeypatch.setenv("HYPERGRAPH_CONFIG", "")
    assert read_config().runner == "found"
    monkeypatch.setenv("HYPERGRAPH_CONFIG", os.devnull)
    assert read_config().runner is None


def test_a_path_that_is_given_goes_before_the_variable(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYPERGRAPH_CONFIG", "nowhere.toml")
    path = write('runner = "given"', "mine.toml")
    assert read_config(path).runner == "given"
    assert read_config("mine.toml").path == path


def test_a_pyproject_that_is_named_need_not_speak_of_hypergraph(write: Write) -> None:
    path = write("[project]", "pyproject.toml")
    assert (read_config(path).path, dict(read_config(path).table)) == (path, {})


def test_a_file_that_is_named_and_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYPERGRAPH_CONFIG", "nowhere.toml")
    refused(what="no such file; HYPERGRAPH_CONFIG names it", fix="unset HYPERGRAPH_CONFIG")
    with pytest.raises(ConfigError, match="no such file") as caught:
        read_config("nowhere.toml")
    assert "HYPERGRAPH_CONFIG" not in str(caught.value)


def test_a_directory_is_no_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "hypergraph.toml").mkdir()
    assert read_config().path is None
    monkeypatch.setenv("HYPERGRAPH_CONFIG", "hypergraph.toml")
    refused(what="a directory")


def test_a_pipe_is_passed_over(home: Path) -> None:
    os.mkfifo(home / "hypergraph.toml")
    assert read_config().path is None


def test_a_symbolic_link_is_followed_and_a_loop_of_them_is_an_error(
    write: Write, home: Path
) -> None:
    link = home / "hypergraph.toml"
    link.symlink_to(write('runner = "there"', "a/there.toml"))
    assert read_config().runner == "there"
    assert read_config().key.directory == home
    link.unlink()
    link.symlink_to(link)
    refused(what="cannot be read", file=str(link))
    link.unlink()
    link.symlink_to(home / "gone")
    assert read_config().path is None


def test_a_working_directory_that_is_gone_has_no_configuration(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = home / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert read_config().path is None


def test_a_file_that_somebody_else_put_where_everybody_may_is_passed_over(
    write: Write, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write('runner = "planted"')
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    if path.stat().st_uid == 0:
        os.chown(path, 12345, -1)
    assert read_config().runner == "planted"
    home.chmod(home.stat().st_mode | stat.S_IWOTH)
    assert read_config().runner is None
    assert read_config(path).runner == "planted"  # who names it trusts it
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid)
    assert read_config().runner == "planted"


def test_a_link_that_somebody_else_put_where_everybody_may_is_passed_over(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = home / "own.toml"
    own.write_text('runner = "planted"')
    link = home / "hypergraph.toml"
    link.symlink_to(own)
    home.chmod(home.stat().st_mode | stat.S_IWOTH)
    assert read_config().runner == "planted"
    theirs = os.stat_result([*own.stat()[:4], 12345, *own.stat()[5:]])
    monkeypatch.setattr(os, "lstat", lambda path: theirs)
    assert read_config().runner is None


def test_a_directory_that_may_not_be_searched_is_passed_over(
    write: Write, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.stat

    def closed(path: Any, **options: Any) -> os.stat_result:
        if Path(path).parent == home / "inner":
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path, **options)

    above = write("")
    (home / "inner").mkdir()
    monkeypatch.chdir(home / "inner")
    monkeypatch.setattr(os, "stat", closed)
    assert read_config().path == above


# --- reading it -----------------------------------------------------------------------------------


def test_what_it_says() -> None:
    table = {
        "runner": "local",
        "runners": {"local": {"use": "async", "max_concurrency": 3}, "nightly": {}},
        "plugins": {"allow": ["a", "b"], "deny": ["c"]},
    }
    config = configfile.checked(table, configfile.Key(source="test", directory=Path()))
    assert config.runner == "local"
    assert {name: dict(one) for name, one in config.runners.items()} == table["runners"]
    assert config.plugins == configfile.PluginRules(allow=("a", "b"), deny=("c",))


def test_a_file_is_parsed_once_and_again_when_it_has_changed(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write('runner = "one"')
    first = read_config()
    assert read_config() is first
    write('runner = "second"')
    assert read_config().runner == "second"
    write('runner = "third!"')  # as long as the one before, at another time
    os.utime(path, ns=(1, 1))
    assert read_config().runner == "third!"
    path.unlink()
    assert read_config().path is None


def test_a_file_that_was_wrong_is_read_again(write: Write) -> None:
    write("runner = 1")
    refused()
    refused()
    write('runner = "x"')
    assert read_config().runner == "x"


def test_nobody_can_change_what_others_read(write: Write) -> None:
    write('[runners.local]\nuse = "async"\nevent_processors = ["rich", {use = "otel"}]')
    table = read_config().runners["local"]
    with pytest.raises(TypeError):
        table["use"] = "sync"  # type: ignore[index]
    with pytest.raises(TypeError):
        read_config().table["runners"]["local"] = {}
    assert isinstance(table["event_processors"], tuple)
    with pytest.raises(TypeError):
        table["event_processors"][1]["use"] = "x"


def test_values_are_not_in_its_representation(write: Write) -> None:
    write(f'[runners.local]\nurl = "{SECRET}"')
    assert SECRET not in repr(read_config())
    assert "hypergraph.toml" in repr(read_config())


def test_threads_read_the_same(write: Write) -> None:
    write('runner = "one"')
    found: list[str | None] = []
    threads = [
        threading.Thread(target=lambda: found.append(read_config().runner)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["one"] * 8


# --- what is wrong with it ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f'runner = "x"\n\npassword = {SECRET}', "not valid TOML: Invalid value (at line 3"),
        (f'password = "{SECRET}', "not valid TOML"),
        ('runner = "a"\nrunner = "b"\n\n', "at line 2"),
        (f'# caf\xe9\npassword = "{SECRET}"'.encode("latin-1"), "not UTF-8 (at line 1)"),
        ("a = " + "[" * 5000, "not valid TOML"),
        ("a = " + "1" * 5000, "not valid TOML"),
    ],
)
def test_a_file_that_cannot_be_parsed(write: Write, text: str | bytes, problem: str) -> None:
    path = write(text)
    refused(what=problem, file=str(path), where=str(path))


def test_a_file_that_may_not_be_read(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(path: Path) -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied")

    write("")
    monkeypatch.setattr(Path, "read_bytes", closed)
    refused(what="cannot be read (Permission denied)", fix="make it readable")


@pytest.mark.parametrize(
    ("text", "key", "problem"),
    [
        ("runer = 'x'", "runer", "unknown key. Did you mean 'runner'?"),
        ("runner = 3", "runner", "expected str, got int"),
        ("[runner]\na = 1", "runner", "expected str, got table"),
        ("runner = ' '", "runner", "empty"),
        ("runners = ['a']", "runners", "expected table, got list of str"),
        ("runners = []", "runners", "expected table, got empty list"),
        (f"runners.local = '{SECRET}'", "runners.local", "expected table, got str"),
        ("runners.local.use = true", "runners.local.use", "expected str, got bool"),
        ("runners.local.use = ''", "runners.local.use", "empty"),
        ("[runners.'a:b']", 'runners."a:b"', "cannot be the name of a runner"),
        ("[runners.'']", 'runners.""', "cannot be the name of a runner"),
        ("plugins = 'a'", "plugins", "expected table, got str"),
        ("plugins.alow = []", "plugins.alow", "unknown key. Did you mean 'allow'?"),
        ("plugins.allow = 'a'", "plugins.allow", "expected list, got str"),
        ("plugins.deny = ['a', 1979-05-27]", "plugins.deny[1]", "expected str, got date"),
    ],
)
def test_what_is_not_well_formed_is_told_with_its_key(
    write: Write, text: str, key: str, problem: str
) -> None:
    path = write(text)
    error = refused(what=problem, where=str(path))
    assert error.key == key
    assert error.what.startswith(f"{key}: ")


def test_in_a_pyproject_the_table_is_named(write: Write) -> None:
    write("[tool.hypergraph]\nrunner = 1", "pyproject.toml")
    refused(where="pyproject.toml, [tool.hypergraph]", what="runner: expected str")
    write(f"tool.hypergraph = '{SECRET}'", "pyproject.toml")
    refused(what="not a table")


def test_the_error_survives_pickling(write: Write) -> None:
    write("runner = 1")
    error = refused()
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.key, copy.file) == (str(error), error.key, error.file)


SCALARS = st.one_of(st.text(max_size=5), st.integers(), st.booleans(), st.floats())
TABLES = st.recursive(
    SCALARS,
    lambda inside: st.one_of(
        st.lists(inside, max_size=3), st.dictionaries(st.text(max_size=5), inside, max_size=3)
    ),
    max_leaves=8,
)


@given(table=st.dictionaries(st.sampled_from(["runner", "runners", "plugins", "x"]), TABLES))
def test_any_table_is_accepted_or_refused_with_a_key(table: dict[str, Any]) -> None:
    key = configfile.Key(source="test", directory=Path())
    refusal = None
    try:
        config = configfile.checked(table, key)
    except ConfigError as error:
        refusal = error
    if refusal is not None:
        assert refusal.key
        assert refusal.what.startswith(refusal.key)
    else:
        assert config.runner == table.get("runner")
        assert set(config.runners) == set(table.get("runners", {}))
