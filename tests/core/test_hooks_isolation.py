"""Installed plugins, in processes of their own: directories as pip writes them, put on the path."""

import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.core.installed import Site

PRELUDE = """
import threading, warnings
warnings.simplefilter("always")
told = []
warnings.showwarning = lambda message, *_: told.append(str(message))

def modules(*names):
    return [name for name in names if name in sys.modules]

def run():
    import seen
    from hypergraph import Graph, node
    from hypergraph_runner_sync import SyncRunner

    @node(output_name="y")
    def double(x):
        return 2 * x

    assert SyncRunner().run(Graph([double]), {"x": 1}) == {"y": 2}
    return list(seen.SEEN)

def infos():
    from hypergraph import hooks
    return [
        [i.name, i.distribution, i.state.value, i.reason or list(i.hooks)]
        for i in hooks.installed()
    ]

def errors():
    from hypergraph import hooks
    return [i.error for i in hooks.installed()]
"""

PLUGIN = """
import seen
seen.SEEN.append("import {name}")

class Plugin:
    def __init__(self):
        seen.SEEN.append("make {name}")

    def hypergraph_validate_graph(self, graph):
        seen.SEEN.append("ask {name}")
"""


def loads(*names: str) -> list[str]:
    return [f"{what} {name}" for name in names for what in ("import", "make")]


def asks(*names: str) -> list[str]:
    return [f"ask {name}" for name in names]


class Plugins(Site):
    """A site whose distributions offer plugins, which note in ``seen`` what becomes of them."""

    def __init__(self, place: Path) -> None:
        super().__init__(place, PRELUDE)
        (self.place / "seen.py").write_text("SEEN = []\n")

    def install(self, distribution: str, code: str | None = None, name: str = "") -> None:
        """Install a distribution that offers a plugin of its own name, or of another."""
        text = PLUGIN.format(name=distribution) if code is None else code
        self.add(distribution, "hypergraph.plugins", name or distribution, text, "Plugin")


@pytest.fixture
def site(tmp_path: Path) -> Plugins:
    return Plugins(tmp_path)


def test_a_program_without_plugins_loads_nothing_for_them(site: Plugins) -> None:
    libraries = "modules('pluggy', 'importlib_metadata', 'tomllib', 'hypergraph.hooks.plugins')"
    assert site.evaluate(f"run(), {libraries}") == [[], []]


def test_a_configuration_is_not_read_for_plugins_that_are_not_there(site: Plugins) -> None:
    (site.home / "hypergraph.toml").write_text("no toml")
    assert site.evaluate("run()") == []


def test_plugins_are_loaded_by_the_first_run_in_the_order_of_their_names(site: Plugins) -> None:
    for name in ("b", "c", "a"):
        site.install(name)
    before = "__import__('hypergraph') and modules('a', 'b', 'c')"
    once = [*loads("a", "b", "c"), *asks("a", "b", "c")]
    twice = [*once, *asks("a", "b", "c")]
    assert site.evaluate(f"{before}, run(), run(), told") == [[], once, twice, []]


def test_listing_plugins_loads_them_once(site: Plugins) -> None:
    site.install("a")
    listed = [["a", "a", "active", ["hypergraph_validate_graph"]]]
    assert site.evaluate("infos(), infos(), run()") == [listed, listed, [*loads("a"), *asks("a")]]


def test_one_name_may_be_used_by_two_distributions(site: Plugins) -> None:
    site.install("z", name="same")
    site.install("y", name="same")
    assert site.evaluate("run()") == [*loads("y", "z"), *asks("y", "z")]
    off = site.evaluate("run(), infos()", HYPERGRAPH_DISABLE_PLUGINS="same")
    because = "HYPERGRAPH_DISABLE_PLUGINS"
    assert off == [[], [["same", "y", "disabled", because], ["same", "z", "disabled", because]]]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("raise ValueError('why')", "fails to import: ValueError: why."),
        ("raise SystemExit(3)", "fails to import: SystemExit: 3."),
        ("import no_such_module", "No module named 'no_such_module'"),
        ("def broken(:", "SyntaxError"),
        ("x = 1", "has no attribute 'Plugin'"),
        ("Plugin = 3", "an instance of int without a function"),
        ("class Plugin:\n def __init__(self): raise SystemExit", "fails to import: SystemExit"),
        ("class Plugin:\n def hypergraph_validate(self): 0", "Did you mean 'hypergraph_validate_"),
        ("class Plugin:\n def hypergraph_cache_key(self, x): 0", "'hypergraph_cache_key'"),
    ],
)
def test_a_broken_plugin_is_warned_of_once_and_harms_no_other(
    site: Plugins, code: str, words: str
) -> None:
    site.install("a")
    site.install("bad", code)
    site.install("c")
    seen, told, listed = site.evaluate("(run(), run())[1], told, infos()")
    assert seen == [*loads("a", "c"), *asks("a", "c", "a", "c")]
    (warning,) = told
    assert "'bad'" in warning
    assert words in warning
    assert "It is left out" in warning
    assert [one[2] for one in listed] == ["active", "broken", "active"]
    assert site.evaluate("run() and str(errors()[1])").startswith("The plugin 'bad' ")


def test_warnings_that_are_errors_leave_the_other_plugins_in_force(site: Plugins) -> None:
    site.install("a")
    site.install("bad", "1 / 0")
    define = (
        "def attempt():\n"
        " warnings.simplefilter('error')\n"
        " try: run()\n"
        " except Warning as e: return type(e).__name__, type(e.__cause__).__name__\n"
    )
    assert site.evaluate("[attempt(), run()]", define) == [
        ["HypergraphWarning", "ZeroDivisionError"],
        [*loads("a"), *asks("a")],
    ]


INTERRUPTED = """
import seen
seen.SEEN.append("try")
if seen.SEEN.count("try") == 1:
    raise KeyboardInterrupt
class Plugin:
    def hypergraph_validate_graph(self):
        seen.SEEN.append("ask")
"""


def test_ctrl_c_leaves_and_the_next_run_loads_again(site: Plugins) -> None:
    site.install("slow", INTERRUPTED)
    define = "def attempt():\n try: run()\n except KeyboardInterrupt: return 'interrupted'"
    assert site.evaluate("[attempt(), run(), told]", define) == [
        "interrupted",
        ["try", "try", "ask"],
        [],
    ]


def test_runs_in_many_threads_load_once_and_wait_for_it(site: Plugins) -> None:
    site.install("slow", "import time; time.sleep(0.2)" + PLUGIN.format(name="slow"))
    define = (
        "def many():\n"
        " together = threading.Barrier(8)\n"
        " threads = [threading.Thread(target=lambda: (together.wait(), run())) for _ in range(8)]\n"
        " [thread.start() for thread in threads]\n"
        " [thread.join() for thread in threads]\n"
        " return sorted(__import__('seen').SEEN)\n"
    )
    assert site.evaluate("many()", define) == [
        *["ask slow"] * 8,
        "import slow",
        "make slow",
    ]


def test_a_plugin_may_run_a_graph_while_it_is_imported(site: Plugins) -> None:
    site.install("early", "import __main__; __main__.run()\n" + PLUGIN.format(name="early"))
    assert site.evaluate("run()") == [*loads("early"), *asks("early")]


# --- switching off ------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["1", "all", "ALL", " true "])
def test_the_environment_switches_all_off(site: Plugins, value: str) -> None:
    site.install("a", "raise SystemExit")
    site.install("b")
    seen, told, loaded, listed = site.evaluate(
        "run(), told, modules('pluggy', 'importlib_metadata'), infos()",
        HYPERGRAPH_DISABLE_PLUGINS=value,
    )
    assert (seen, told, loaded) == ([], [], [])
    assert listed == [[n, n, "disabled", "HYPERGRAPH_DISABLE_PLUGINS"] for n in ("a", "b")]


@pytest.mark.parametrize(
    ("value", "left"), [("", "abc"), ("0", "abc"), ("b, c", "a"), ("a,", "bc")]
)
def test_the_environment_switches_those_off_that_it_names(
    site: Plugins, value: str, left: str
) -> None:
    for name in "abc":
        site.install(name)
    assert site.evaluate("run()", HYPERGRAPH_DISABLE_PLUGINS=value) == [*loads(*left), *asks(*left)]


@pytest.mark.parametrize("spelling", ["my-rules", "my_rules", "My.Rules", "MY--RULES"])
def test_names_that_are_switched_off_may_be_spelled_otherwise(site: Plugins, spelling: str) -> None:
    site.install("a", name="My_rules")
    site.install("b", name="my-rules")
    site.install("c", name="myrules")
    left = [*loads("c"), *asks("c")]
    assert site.evaluate("run(), told", HYPERGRAPH_DISABLE_PLUGINS=spelling) == [left, []]
    file = site.home / "hypergraph.toml"
    file.write_text(f'[plugins]\ndeny = ["{spelling}"]\n')
    assert site.evaluate("run(), told") == [left, []]
    file.write_text(f'[plugins]\nallow = ["myrules"]\ndeny = ["{spelling}"]\n')
    assert site.evaluate("run(), told") == [left, []]
    file.write_text(f'[plugins]\nallow = ["{spelling}"]\n')
    assert site.evaluate("run()") == [*loads("a", "b"), *asks("a", "b")]


def test_names_that_no_plugin_has_are_warned_of_once(site: Plugins) -> None:
    site.install("company-rules")
    site.install("other")
    (site.home / "hypergraph.toml").write_text(
        '[plugins]\nallow = ["company-rules", "far"]\ndeny = ["company-rule"]\n'
    )
    ends = ", and no plugin of that name is installed."
    told = [
        f"HYPERGRAPH_DISABLE_PLUGINS names 'othr'{ends} Did you mean 'other'?",
        f"[plugins] allow names 'far'{ends}",
        f"[plugins] deny names 'company-rule'{ends} Did you mean 'company-rules'?",
    ]
    found = site.evaluate("run() and run() and told", HYPERGRAPH_DISABLE_PLUGINS="othr,")
    assert found == told


def test_names_are_not_warned_of_where_there_are_no_plugins(site: Plugins) -> None:
    (site.home / "hypergraph.toml").write_text('[plugins]\nallow = ["far"]\ndeny = ["near"]\n')
    assert site.evaluate("run(), told", HYPERGRAPH_DISABLE_PLUGINS="b") == [[], []]


@pytest.mark.parametrize(
    ("rules", "left", "reasons"),
    [
        ('deny = ["b"]', "ac", {"b": "[plugins] deny"}),
        ('allow = ["a", "b"]', "ab", {"c": "[plugins] allow"}),
        ("allow = []", "", dict.fromkeys("abc", "[plugins] allow")),
        (
            'allow = ["a", "b"]\ndeny = ["b"]',
            "a",
            {"b": "[plugins] deny", "c": "[plugins] allow"},
        ),
    ],
)
def test_the_configuration_says_which_may_be_loaded(
    site: Plugins, rules: str, left: str, reasons: dict[str, str]
) -> None:
    for name in "abc":
        site.install(name)
    (site.home / "hypergraph.toml").write_text(f"[plugins]\n{rules}\n")
    seen, listed = site.evaluate("run(), infos()")
    assert seen == [*loads(*left), *asks(*left)]
    assert {one[0]: one[3] for one in listed if one[2] == "disabled"} == reasons


def test_a_configuration_that_cannot_be_read_loads_no_plugin(site: Plugins) -> None:
    site.install("a")
    (site.home / "hypergraph.toml").write_text("[plugins]\nalow = []\n")
    define = "def attempt():\n try: run()\n except Exception as e: return type(e).__name__"
    assert site.evaluate("[attempt(), __import__('seen').SEEN]", define) == ["ConfigError", []]


# --- refreshing ---------------------------------------------------------------------------------


def test_what_is_installed_later_is_found_after_a_refresh(site: Plugins) -> None:
    site.install("a")
    site.install("b")
    hidden = site.place / "b-1.0.dist-info"
    hidden.rename(site.place / "b.hidden")
    program = (
        "[list(run()), __import__('os').rename('../site/b.hidden', '../site/b-1.0.dist-info'), "
        "list(run()), __import__('hypergraph.runners').runners.refresh(), run()]"
    )
    first, _, second, _, third = site.evaluate(program)
    assert first == [*loads("a"), *asks("a")]
    assert second == [*first, *asks("a")]
    assert third == [*second, *loads("b"), *asks("a", "b")]


# --- knowing that there is none -----------------------------------------------------------------

OFFERS = """
[
    sorted(__import__('hypergraph.discovery').discovery.offers('hypergraph.plugins')),
    modules('importlib_metadata'),
]
"""
Layout = Callable[[Path], list[str]]


def _archive(place: Path) -> list[str]:
    with zipfile.ZipFile(place / "all.zip", "w") as archive:
        archive.writestr("z-1.0.dist-info/METADATA", "Name: z\nVersion: 1.0\n")
        archive.writestr("z-1.0.dist-info/entry_points.txt", "[hypergraph.plugins]\nz=z:Z\n")
    return [str(place / "all.zip")]


def _egg(place: Path) -> list[str]:
    info = place / "z-1.0.egg" / "EGG-INFO"
    info.mkdir(parents=True)
    (info / "PKG-INFO").write_text("Name: z\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[hypergraph.plugins]\nz=z:Z\n")
    return [str(info.parent)]


def _develop(place: Path) -> list[str]:
    info = place / "src" / "z.egg-info"
    info.mkdir(parents=True)
    (info / "PKG-INFO").write_text("Name: z\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[hypergraph.plugins]\nz=z:Z\n")
    return [str(info.parent)]


def _finder(place: Path) -> list[str]:
    (place / "sitecustomize.py").write_text(
        "import sys\n"
        "from pathlib import Path\n"
        "class Finder:\n"
        "    def find_spec(self, *a): return None\n"
        "    def find_distributions(self, context):\n"
        "        from importlib_metadata import PathDistribution\n"
        f"        yield PathDistribution(Path({str(place / 'elsewhere')!r}))\n"
        "sys.meta_path.append(Finder())\n"
    )
    (place / "elsewhere").mkdir()
    (place / "elsewhere" / "METADATA").write_text("Name: z\nVersion: 1.0\n")
    (place / "elsewhere" / "entry_points.txt").write_text("[hypergraph.plugins]\nz=z:Z\n")
    return [str(place)]


@pytest.mark.parametrize("layout", [_archive, _egg, _develop, _finder])
def test_a_plugin_is_found_however_it_is_installed(site: Plugins, layout: Layout) -> None:
    path = os.pathsep.join([str(site.place), *layout(site.place)])
    found, _ = site.evaluate(OFFERS, PYTHONPATH=path)
    assert found == ["z"]


def test_metadata_without_plugins_is_not_parsed(site: Plugins) -> None:
    (site.place / "x-1.0.dist-info").mkdir()
    (site.place / "x-1.0.dist-info" / "entry_points.txt").write_text("[console_scripts]\nx=x:x\n")
    (site.place / "y.egg-info").write_text("Name: y\nVersion: 1.0\n")
    path = os.pathsep.join([str(site.place), "nowhere", "\u20ac", ""])
    assert site.evaluate(OFFERS, PYTHONPATH=path) == [[], []]
