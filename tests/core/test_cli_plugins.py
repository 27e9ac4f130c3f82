"""`hypergraph plugins`, and the commands that plugins add."""

import json
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hypergraph import hooks
from hypergraph.cli import main
from hypergraph.hooks import Command, hookimpl

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Run:
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        return code, *capsys.readouterr()

    return call


class Greeting:
    """Adds a command, and would like to replace another."""

    asked = 0

    @hookimpl
    def hypergraph_cli_commands(self) -> list[Command]:
        type(self).asked += 1
        return [
            Command(name="greet", help="greet 100% of them", add=self.add, run=self.greet),
            Command(name="run", help="run away", add=self.add, run=self.greet),
        ]

    def add(self, parser: ArgumentParser) -> None:
        parser.add_argument("name")

    def greet(self, arguments: Namespace) -> int:
        sys.stdout.write(f"hello {arguments.name}\n")
        return 7


@pytest.fixture
def greeting() -> Iterator[None]:
    plugin = Greeting()
    Greeting.asked = 0
    hooks.register(plugin, "greeting")
    yield
    hooks.unregister(plugin)


def test_plugins_are_listed_with_what_each_hooks(run: Run, greeting: None) -> None:
    code, out, err = run("plugins")
    assert (code, err) == (0, "")
    assert out.splitlines()[0].split() == ["plugin", "state", "from", "hooks"]
    assert "greeting" in out
    assert "hypergraph_cli_commands" in out
    code, out, _ = run("plugins", "--json")
    (row,) = [one for one in json.loads(out) if one["name"] == "greeting"]
    assert (row["state"], row["hooks"]) == ("active", ["hypergraph_cli_commands"])


def test_without_plugins_there_is_nothing_to_list(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hypergraph.hooks.state._read_installed", lambda off: ())
    hooks.refresh()
    assert run("plugins") == (0, "No plugin is installed.\n", "")
    assert run("plugins", "--json") == (0, "[]\n", "")


@pytest.mark.filterwarnings("ignore::hypergraph.errors.HypergraphWarning")
def test_a_plugin_adds_commands_and_replaces_none(run: Run, greeting: None) -> None:
    assert run("greet", "world") == (7, "hello world\n", "")
    code, out, _ = run("--help")
    assert code == 0
    assert "greet 100% of them" in out
    assert "run away" not in out
    code, out, _ = run("greet", "--help")
    assert (code, out.startswith("usage: hypergraph greet")) == (0, True)


def test_our_own_commands_ask_no_plugin(run: Run, greeting: None) -> None:
    assert run("run", "--help")[0] == 0
    assert run("--version")[0] == 0
    assert Greeting.asked == 0


def test_a_wrong_configuration_keeps_no_help_away(
    run: Run, greeting: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(taken: Any) -> Any:
        raise hooks.state.PluginError("The plugin cannot be used.")

    monkeypatch.setattr("hypergraph.hooks.cli_commands", refuse)
    monkeypatch.setattr("hypergraph.cli.command._plugin_commands", refuse)
    code, out, err = run("--help")
    assert code == 0
    assert "run a graph and print its outputs" in out
    assert err.startswith("hypergraph: The plugin cannot be used.")


def test_the_help_of_a_command_loads_no_plugin_manager() -> None:
    program = (
        "import sys; from hypergraph.cli import main; main(['run', '--help']); "
        "print([name for name in ('pluggy', 'rich', 'pyarrow', 'asyncio') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
