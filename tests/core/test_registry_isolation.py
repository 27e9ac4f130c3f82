"""Installed runners that misbehave, in processes of their own."""

from pathlib import Path
from typing import Any

import pytest

from tests.core.installed import Site

RUNNER = """
from hypergraph import BaseRunner, RunnerCapabilities
class Mine(BaseRunner):
    capabilities = RunnerCapabilities()
    def run(self, graph, inputs=None, **options):
        return dict(inputs)
    map = run
"""

PRELUDE = """
import hypergraph
from hypergraph import runners

def modules(*names):
    return [name for name in names if name in sys.modules]

def states():
    return {name: info.state.value for name, info in runners.inspect().items() if "_" in name}

def error_of(call, kind=BaseException):
    try:
        return repr(call())
    except kind as error:
        return [type(error).__name__, str(error)]
"""

MISBEHAVING = {
    "crash": "1 / 0",
    "exit": "raise SystemExit(1)",
    "hard": "import sys; sys.exit()",
    "slow": "import time; time.sleep(1)\n" + RUNNER,
    "loud": "print('hello'); import sys; sys.path.insert(0, 'nowhere')\n" + RUNNER,
    "lost": "import no_such_module",
    "text": "this is no Python",
    "warns": "import warnings; warnings.warn('old', DeprecationWarning)\n" + RUNNER,
    "empty": "",
}


class Runners(Site):
    """A site whose distributions offer runners."""

    def __init__(self, place: Path) -> None:
        super().__init__(place, PRELUDE)

    def install(self, distribution: str, code: str = RUNNER, name: str = "") -> None:
        """Install a distribution that offers a runner of its own name, or of another."""
        self.add(distribution, "hypergraph.runners", name or distribution, code, "Mine")


@pytest.fixture
def site(tmp_path: Path) -> Runners:
    return Runners(tmp_path)


def test_runners_that_misbehave_are_not_imported_for_another(site: Runners) -> None:
    site.install("a_good")
    for name, code in MISBEHAVING.items():
        site.install(f"a_{name}", code)
    site.install("z_good")
    found = "[n for n in runners.available() if '_' in n]"
    program = (
        f"[{found}, runners.create('a_good').run(None, {{'x': 1}}), hypergraph.SyncRunner.name, "
        "error_of(lambda: runners.get('a_godo'), Exception)[0], "
        f"modules(*{found})]"
    )
    listed, result, sync, unknown, imported = site.evaluate(program)
    assert listed == sorted(["a_good", "z_good", *(f"a_{name}" for name in MISBEHAVING)])
    assert (result, sync, unknown) == ({"x": 1}, "sync", "RunnerNotFoundError")
    assert imported == ["a_good"]


def test_inspecting_all_says_what_became_of_each(site: Runners) -> None:
    site.install("a_good")
    for name, code in MISBEHAVING.items():
        site.install(f"a_{name}", code)
    site.install("z_good")
    usable = {"slow", "loud", "warns"}
    assert site.evaluate("states()") == {
        "a_good": "ok",
        "z_good": "ok",
        **{f"a_{name}": "ok" if name in usable else "broken" for name in MISBEHAVING},
    }


def test_a_refusal_names_usable_runners_past_those_that_misbehave(site: Runners) -> None:
    for name, code in MISBEHAVING.items():
        site.install(f"a_{name}", code)
    site.install("z_good")
    define = (
        "from hypergraph.capabilities import GraphFeatures\n"
        "class Shape: features = GraphFeatures(cycles='a')\n"
        "able = lambda: runners.supporting(Shape.features)\n"
    )
    assert "z_good" in site.evaluate("able()", define)


def test_ctrl_c_during_an_import_leaves_and_breaks_nothing(site: Runners) -> None:
    once = "import builtins\nif not hasattr(builtins, 'tried'):\n builtins.tried = 1\n"
    site.install("mine", f"{once} raise KeyboardInterrupt\n{RUNNER}")
    program = "[error_of(lambda: runners.get('mine'))[0], runners.get('mine').__name__]"
    assert site.evaluate(program) == ["KeyboardInterrupt", "Mine"]


def test_runners_are_found_by_many_threads_at_once(site: Runners) -> None:
    site.install("mine", "import time; time.sleep(0.1)\n" + RUNNER)
    define = (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "class Own(hypergraph.BaseRunner): run = map = None; capabilities = None\n"
        "def work(i):\n"
        "    cls = runners.get('mine')\n"
        "    try: runners.register('own', type(f'Own{i}', (Own,), {}))\n"
        "    except runners.registry.RunnerError: return id(cls), 0\n"
        "    return id(cls), 1\n"
        "def many():\n"
        "    with ThreadPoolExecutor(8) as pool: found = list(pool.map(work, range(8)))\n"
        "    return len({cls for cls, _ in found}), sum(won for _, won in found)\n"
    )
    assert site.evaluate("many()", define) == [1, 1]


# --- reserved names -----------------------------------------------------------------------------


RESERVE = "from hypergraph.runners import registry; registry.KNOWN['acme'] = 'hyper-ours'"


def test_a_reserved_name_is_not_given_to_another_distribution(site: Runners) -> None:
    site.install("hyper-other", name="acme")
    program = "[runners.available().get('acme'), error_of(lambda: runners.get('acme'))]"
    source, (kind, message) = site.evaluate(program, RESERVE)
    assert (source, kind) == (None, "RunnerNotInstalledError")
    said = "hyper-other 1.0 offers one, but the name is reserved for hyper-ours"
    assert said in message
    assert "pip install hyper-ours\n" in message
    assert "hyper-other" in site.evaluate("runners.available()['acme']")


@pytest.mark.parametrize("other", ["hyper-other", "a-other"])
def test_the_owner_of_a_reserved_name_wins(site: Runners, other: str) -> None:
    site.install(other, "1 / 0", name="acme")
    site.install("hyper-ours", name="acme")
    program = (
        "[runners.available()['acme'], runners.get('acme').__module__, "
        "runners.inspect()['acme'].unused]"
    )
    unused = [f"{other} 1.0 ({other.replace('-', '_')}:Mine)"]
    assert site.evaluate(program, RESERVE) == ["hyper-ours", "hyper_ours", unused]


def test_nobody_takes_the_place_of_sync_runner(site: Runners) -> None:
    site.install("a-other", name="sync")
    assert site.evaluate("hypergraph.SyncRunner.__module__") == "hypergraph_runner_sync.runner"


def info(name: str, *fields: str) -> str:
    wanted = ", ".join(f"i.{field}" for field in fields)
    return f"(lambda i: [i.state.value, {wanted}])(runners.inspect()[{name!r}])"


def test_inspecting_knows_what_a_reserved_name_is_offered_for(site: Runners) -> None:
    site.install("hyper-other", name="acme")
    fields = ("distribution", "target", "capabilities", "runner_api", "error.code", "unused")
    found: list[Any] = site.evaluate(info("acme", *fields), RESERVE)
    code, unused = "runner-not-installed", ["hyper-other 1.0 (hyper_other:Mine)"]
    assert found == ["not installed", "hyper-ours", "", None, None, code, unused]
    assert site.evaluate("hypergraph.runners.get('hyper_other:Mine').__name__") == "Mine"


def test_inspecting_knows_which_versions_a_runner_is_for(site: Runners) -> None:
    site.install("mine")
    fields = ("version", "runner_api", "requires_python", "unused")
    assert site.evaluate(info("mine", *fields)) == ["ok", "1.0", ">=1,<2", ">=3.9", []]
    define = "runners.register('mine', type('Own', (runners.get('mine'),), {}))"
    assert site.evaluate(info("mine", *fields), define) == [
        "ok",
        None,
        ">=1,<2",
        None,
        ["mine 1.0 (mine:Mine)"],
    ]
