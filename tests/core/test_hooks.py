"""What plugins may do, each hook, with plugins that are registered in the process."""

import copy
import pickle
import threading
import types
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import pytest

from hypergraph import (
    AsyncRunner,
    BaseRunner,
    ConfigError,
    Event,
    Graph,
    GraphConfigError,
    HypergraphWarning,
    IncompatibleRunnerError,
    MemoryCache,
    PluginError,
    RunnerCapabilities,
    RunStartEvent,
    SyncRunner,
    hooks,
    node,
)
from hypergraph.execution.keys import definition_key
from hypergraph.hooks import PluginState, hookimpl, in_force, state
from hypergraph.runners.engine import EngineRunner


@node(output_name="double")
def twice(x: int) -> int:
    return 2 * x


GRAPH = Graph([twice], name="doubling")


class Wrapping(BaseRunner):
    """A third party's runner, which leaves the running to another."""

    capabilities = RunnerCapabilities()

    def run(self, graph: Graph, *args: Any, **options: Any) -> Any:
        self.validate(graph)
        return SyncRunner().run(graph, *args, **options)

    def map(self, graph: Graph, *args: Any, **options: Any) -> Any:
        self.validate(graph)
        return SyncRunner().map(graph, *args, **options)


class Own(BaseRunner):
    """A third party's runner with a machinery of its own."""

    capabilities = RunnerCapabilities(supports_cycles=False)

    def run(self, graph: Graph, inputs: Any = None, **options: Any) -> Any:
        self.validate(graph)
        return {"double": 2 * inputs["x"]}

    def map(self, graph: Graph, *args: Any, **options: Any) -> Any:
        self.validate(graph)
        return []


class Heard:
    """Keeps the events that it is told."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def on_event(self, event: Event) -> None:
        self.events.append(event)

    @property
    def runs(self) -> int:
        return sum(isinstance(event, RunStartEvent) for event in self.events)


@pytest.fixture(autouse=True)
def no_plugins(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """None before a test, and none after it."""
    monkeypatch.setattr(state._Known, "installed", ())
    monkeypatch.setattr(state._Known, "registered", ())
    monkeypatch.setattr(state._Known, "ever", False)
    state._apply()
    yield
    monkeypatch.undo()
    state._apply()


def plugged(name: str = "plugin", **functions: Any) -> types.SimpleNamespace:
    """Register a plugin that has these hooks, named without their prefix."""
    module = types.ModuleType(name)
    for hook, function in functions.items():
        setattr(module, f"hypergraph_{hook}", function)
    hooks.register(module)
    return types.SimpleNamespace(module=module)


def run_async(call: Callable[[], Any]) -> Any:
    async def main() -> Any:
        return await call()

    return anyio.run(main)


# --- what a plugin may be -----------------------------------------------------------------------


class Plugin:
    """Hooks of every kind of method; only looking at its property would raise."""

    made = 0

    def __init__(self) -> None:
        type(self).made += 1

    @property
    def other(self) -> None:
        raise RuntimeError("evaluated")

    def hypergraph_configure(self, config: Any) -> Any:
        return {"runner": "a"}

    @staticmethod
    def hypergraph_cache_key(node: Any) -> str:
        return "b"

    @classmethod
    def hypergraph_event_processors(cls) -> Any:
        return ()

    hypergraph_version = "1.0"


ALL_OF_IT = ("hypergraph_cache_key", "hypergraph_configure", "hypergraph_event_processors")


def test_a_class_is_made_once_and_its_methods_are_hooks() -> None:
    Plugin.made = 0
    hooks.register(Plugin)
    (info,) = hooks.installed()
    assert (info.name, info.hooks) == ("Plugin", ALL_OF_IT)
    assert (info.state, info.error, info.version) == (PluginState.ACTIVE, None, None)
    assert info.distribution == hooks.IN_PROCESS
    assert info.target.endswith("test_hooks:Plugin")
    assert hooks.configure({}) == (("Plugin", {"runner": "a"}),)
    assert Plugin.made == 1


def test_an_instance_is_a_plugin() -> None:
    hooks.register(Plugin(), "mine")
    assert [(info.name, info.hooks) for info in hooks.installed()] == [("mine", ALL_OF_IT)]


def test_a_module_is_a_plugin_and_what_it_imports_is_no_hook() -> None:
    module = types.ModuleType("package.extra")
    exec(
        "from hypergraph.hooks import hookimpl, Command\n"
        "def hypergraph_cache_key(node): return 'x'\n"
        "def helper(): pass\n",
        vars(module),
    )
    hooks.register(module)
    (info,) = hooks.installed()
    assert (info.name, info.target) == ("package.extra", "package.extra")
    assert info.hooks == ("hypergraph_cache_key",)


def test_a_hook_takes_as_many_of_its_arguments_as_it_likes() -> None:
    seen: list[Any] = []
    plugged("a", validate_graph=lambda: seen.append("nothing"))
    plugged("b", validate_graph=lambda runner: seen.append(type(runner)))
    plugged("c", validate_graph=lambda runner, graph: seen.append(graph))
    SyncRunner().run(GRAPH, {"x": 1})
    assert seen == ["nothing", SyncRunner, GRAPH]


def function(text: str) -> Any:
    names: dict[str, Any] = {"hookimpl": hookimpl}
    exec(text, names)
    return next(names[name] for name in names if name.startswith("hyper") or name == "check")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def hypergraph_validate(graph): pass", "Did you mean 'hypergraph_validate_graph'?"),
        ("def hypergraph_validate_grahp(graph): pass", "hypergraph_validate_grahp is no hook"),
        ("@hookimpl\ndef check(graph): pass", "check is no hook"),
        ("@hookimpl(specname='hypergraph_x')\ndef check(): pass", "hypergraph_x is no hook"),
        ("def hypergraph_validate_graph(grahp): pass", "'hypergraph_validate_graph'.*grahp"),
        ("async def hypergraph_validate_graph(graph): pass", "is no plain function"),
        ("def hypergraph_event_processors(): yield 1", "is no plain function"),
        ("@hookimpl(wrapper=True)\ndef hypergraph_cache_key(): yield", "is no plain function"),
    ],
)
def test_a_function_that_fits_no_hook_makes_its_plugin_unusable(text: str, words: str) -> None:
    made = function(text)
    plugin = types.SimpleNamespace(**{made.__name__: made})
    with pytest.raises(PluginError, match=words) as caught:
        hooks.register(plugin, "mine")
    assert caught.value.name == "mine"
    assert "'mine'" in caught.value.what
    assert hooks.installed() == ()
    assert not in_force.validate_graph


@pytest.mark.parametrize("value", [print, "text", property(lambda self: 1 / 0), int])
def test_a_hook_that_is_no_function_makes_its_plugin_unusable(value: Any) -> None:
    kind = type("Odd", (Plugin,), {"hypergraph_validate_graph": value})
    with pytest.raises(PluginError, match="hypergraph_validate_graph is no plain function"):
        hooks.register(kind)


@pytest.mark.parametrize("nothing", [3, "text", None, object(), types.ModuleType("empty"), int])
def test_what_has_no_hook_is_no_plugin(nothing: Any) -> None:
    with pytest.raises(PluginError, match="without a function that is named as a hook"):
        hooks.register(nothing)


def test_a_function_may_be_marked_and_named_otherwise() -> None:
    class Marked:
        @hookimpl(specname="hypergraph_cache_key")
        def key(self) -> str:
            return "k"

        @hookimpl(optionalhook=True)
        def hypergraph_of_a_later_version(self, unknown: Any) -> None:
            raise AssertionError

    hooks.register(Marked)
    assert hooks.cache_keys(twice) == (("Marked", "k"),)


def test_one_hook_is_there_once() -> None:
    class Twice:
        def hypergraph_cache_key(self) -> str:
            return "a"

        @hookimpl(specname="hypergraph_cache_key")
        def key(self) -> str:
            return "b"

    with pytest.raises(PluginError, match="twice"):
        hooks.register(Twice)


def test_what_a_class_raises_when_it_is_made_is_raised() -> None:
    class Failing:
        def __init__(self) -> None:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        hooks.register(Failing)
    assert hooks.installed() == ()


# --- registering --------------------------------------------------------------------------------


def test_a_plugin_is_registered_once_and_a_name_too() -> None:
    plugin = Plugin()
    hooks.register(plugin)
    with pytest.raises(PluginError, match="already registered"):
        hooks.register(plugin, "other")
    with pytest.raises(PluginError, match="already registered"):
        hooks.register(Plugin)
    hooks.register(Plugin, "second")
    assert [info.name for info in hooks.installed()] == ["Plugin", "second"]


@pytest.mark.parametrize("how", ["plugin", "name"])
def test_a_plugin_is_taken_out_of_force(how: str) -> None:
    seen: list[Any] = []

    def note(graph: Graph) -> None:
        seen.append(graph)

    plugin = plugged("mine", validate_graph=note)
    SyncRunner().run(GRAPH, {"x": 1})
    hooks.unregister(plugin.module if how == "plugin" else "mine")
    SyncRunner().run(GRAPH, {"x": 1})
    assert seen == [GRAPH]
    assert hooks.installed() == ()


def test_taking_out_what_is_not_there_is_an_error() -> None:
    hooks.register(Plugin)
    with pytest.raises(PluginError, match="Did you mean 'Plugin'"):
        hooks.unregister("Plugni")
    with pytest.raises(PluginError, match="No plugin 'Plugin' was registered"):
        hooks.unregister(Plugin())


def test_plugins_are_called_in_order_unless_they_ask_for_another() -> None:
    seen: list[str] = []
    plugged("b", validate_graph=lambda: seen.append("b"))
    plugged("last", validate_graph=hookimpl(lambda: seen.append("last"), trylast=True))
    plugged("a", validate_graph=lambda: seen.append("a"))
    plugged("first", validate_graph=hookimpl(lambda: seen.append("first"), tryfirst=True))
    SyncRunner().run(GRAPH, {"x": 1})
    assert seen == ["first", "b", "a", "last"]


# --- validating graphs --------------------------------------------------------------------------


@pytest.fixture
def seen() -> list[tuple[Any, Any]]:
    """Register a validator, and return what it is asked."""
    found: list[tuple[Any, Any]] = []
    plugged("seeing", validate_graph=lambda graph, runner: found.append((graph, runner)))
    return found


def test_a_validator_is_asked_once_for_each_run_and_map(seen: list[tuple[Any, Any]]) -> None:
    runner = SyncRunner()
    for _ in range(2):
        runner.run(GRAPH, {"x": 1})
    runner.map(GRAPH, {"x": [1, 2, 3]}, map_over="x")
    runner.explain_cache(GRAPH, {"x": 1})
    assert seen == [(GRAPH, runner)] * 4


def test_a_validator_is_asked_once_for_each_run_of_an_async_runner(
    seen: list[tuple[Any, Any]],
) -> None:
    runner = AsyncRunner()
    run_async(lambda: runner.run(GRAPH, {"x": 1}))
    run_async(lambda: runner.map(GRAPH, {"x": [1, 2]}, map_over="x"))

    async def followed() -> None:
        async with runner.iter(GRAPH, {"x": 1}) as stream:
            async for _ in stream:
                pass

    run_async(followed)
    assert seen == [(GRAPH, runner)] * 3


@pytest.mark.parametrize("nested", [None, SyncRunner, AsyncRunner, Own, Wrapping])
@pytest.mark.parametrize("outer", [SyncRunner, AsyncRunner])
def test_a_nested_graph_is_part_of_the_run_around_it(
    seen: list[tuple[Any, Any]], nested: Any, outer: Any
) -> None:
    inner = GRAPH.as_node(runner=nested)
    mapped = inner.with_name("many").with_inputs(x="all").with_outputs(double="each")
    graph = Graph([inner, mapped.map_over("all")], name="outer")
    runner = outer()
    result = runner.run(graph, {"x": 2, "all": [3, 4]})
    if outer is AsyncRunner:
        result = run_async(lambda: result)
    assert (result["double"], result["each"]) == (4, [6, 8])
    assert seen == [(graph, runner)]


def test_a_graph_that_ran_nested_is_seen_again_when_it_runs_by_itself(
    seen: list[tuple[Any, Any]],
) -> None:
    runner = SyncRunner()
    outer = Graph([GRAPH.as_node(runner=runner)], name="outer")
    runner.run(outer, {"x": 2})
    runner.run(GRAPH, {"x": 2})
    assert [graph for graph, _ in seen] == [outer, GRAPH]


def test_a_run_that_a_node_starts_is_a_run_of_its_own(seen: list[tuple[Any, Any]]) -> None:
    @node(output_name="y")
    def start(x: int) -> int:
        return int(SyncRunner().run(GRAPH, {"x": x})["double"])

    inner = Graph([start], name="inner")
    outer = Graph([inner.as_node(runner=Wrapping)], name="outer")
    assert SyncRunner().run(outer, {"x": 2}) == {"y": 4}
    assert [graph for graph, _ in seen] == [outer, GRAPH]


def test_a_runner_that_checks_again_asks_no_more(seen: list[tuple[Any, Any]]) -> None:
    class Careful(SyncRunner):
        def run(self, graph: Graph, *args: Any, **options: Any) -> Any:
            self.validate(graph)
            return super().run(graph, *args, **options)

    Careful().run(GRAPH, {"x": 1})
    assert [graph for graph, _ in seen] == [GRAPH]


def test_a_runner_of_a_third_party_asks_when_it_validates(seen: list[tuple[Any, Any]]) -> None:
    runner = Own()
    runner.run(GRAPH, {"x": 1})
    runner.map(GRAPH, {"x": 1})
    assert seen == [(GRAPH, runner)] * 2


@pytest.mark.parametrize(
    "start",
    [
        lambda: SyncRunner().run(GRAPH, {"x": 1}),
        lambda: SyncRunner().map(GRAPH, {"x": [1]}, map_over="x"),
        lambda: SyncRunner(cache=MemoryCache()).explain_cache(GRAPH, {"x": 1}),
        lambda: run_async(lambda: AsyncRunner().run(GRAPH, {"x": 1})),
        lambda: AsyncRunner().iter(GRAPH, {"x": 1}),
        lambda: Own().run(GRAPH, {"x": 1}),
    ],
)
def test_what_a_validator_raises_reaches_the_caller_as_it_is(start: Callable[[], Any]) -> None:
    error = GraphConfigError("no", fix="name it otherwise")

    def refuse(graph: Graph) -> None:
        raise error

    plugged("strict", validate_graph=refuse)
    for _ in range(2):
        with pytest.raises(GraphConfigError) as caught:
            start()
        assert caught.value is error
    assert error.where == "plugin 'strict', hypergraph_validate_graph"
    assert (error.what, error.fix) == ("no", "name it otherwise")


def test_an_error_says_where_it_was_raised_and_by_which_plugin() -> None:
    def refuse(graph: Graph) -> None:
        raise GraphConfigError("no", where="node 'a'")

    plugged("strict", validate_graph=refuse)
    with pytest.raises(GraphConfigError) as caught:
        SyncRunner().run(GRAPH, {"x": 1})
    assert caught.value.where == "node 'a'; plugin 'strict', hypergraph_validate_graph"


def test_an_error_of_the_validators_own_carries_a_note() -> None:
    error = ZeroDivisionError()

    def refuse(graph: Graph) -> None:
        raise error

    plugged("strict", validate_graph=refuse)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError) as caught:
            SyncRunner().run(GRAPH, {"x": 1})
        assert caught.value is error
    note = "hypergraph: raised by plugin 'strict' in hypergraph_validate_graph"
    assert error.__notes__ == [note]


def test_nothing_runs_and_nobody_hears_of_a_graph_that_is_refused() -> None:
    called: list[int] = []

    @node(output_name="y")
    def call(x: int) -> int:
        called.append(x)
        return x

    def refuse(graph: Graph) -> None:
        raise GraphConfigError("no")

    heard = Heard()
    plugged("strict", validate_graph=refuse, event_processors=lambda: [heard])
    plugged("later", validate_graph=lambda: called.append(0))
    with pytest.raises(GraphConfigError):
        SyncRunner(event_processors=[heard]).run(Graph([call]), {"x": 1})
    assert (called, heard.events) == ([], [])


def test_a_runner_that_cannot_run_the_graph_says_so_first(seen: list[tuple[Any, Any]]) -> None:
    @node(output_name="x")
    def again(x: int) -> int:
        return x

    class Plain(SyncRunner):
        capabilities = RunnerCapabilities(supports_cycles=False)

    for runner in (Plain(), Own()):
        with pytest.raises(IncompatibleRunnerError):
            runner.run(Graph([again]), {"x": 1})
    assert seen == []


# --- listening ----------------------------------------------------------------------------------


def test_a_plugin_listens_after_the_listeners_of_the_user() -> None:
    order: list[str] = []

    class Noting:
        def __init__(self, name: str) -> None:
            self.name = name

        def on_event(self, event: Event) -> None:
            if isinstance(event, RunStartEvent):
                order.append(self.name)

    plugged("a", event_processors=lambda: [Noting("plugin")])
    runner = SyncRunner(event_processors=[Noting("runner")])
    runner.run(GRAPH, {"x": 1}, event_processors=[Noting("run")])
    assert order == ["runner", "run", "plugin"]


@pytest.mark.parametrize("kind", [SyncRunner, AsyncRunner])
def test_a_plugin_hears_runs_and_maps_that_nobody_else_listens_to(kind: Any) -> None:
    heard = Heard()
    plugged("a", event_processors=lambda runner: [heard])
    runner = kind()

    def done(result: Any) -> Any:
        return run_async(lambda: result) if kind is AsyncRunner else result

    done(runner.run(GRAPH, {"x": 1}))
    assert [type(event).__name__ for event in heard.events] == [
        "RunStartEvent",
        "NodeStartEvent",
        "NodeEndEvent",
        "RunEndEvent",
    ]
    heard.events.clear()
    done(runner.map(GRAPH, {"x": [1, 2]}, map_over="x"))
    assert heard.runs == 3


def test_a_plugin_is_asked_for_listeners_once_for_each_runner() -> None:
    asked: list[Any] = []

    def processors(runner: Any) -> None:
        asked.append(runner)

    plugged("a", event_processors=processors)
    runners = [SyncRunner(), AsyncRunner(), Own()]
    for _ in range(2):
        runners[0].run(GRAPH, {"x": 1})
        run_async(lambda: runners[1].run(GRAPH, {"x": 1}))
        runners[2].run(GRAPH, {"x": 1})
    assert asked == runners[:2]


def test_a_runner_in_many_threads_is_asked_about_once() -> None:
    asked: list[Any] = []
    heard = Heard()
    together = threading.Barrier(8)

    def processors(runner: Any) -> list[Heard]:
        asked.append(runner)
        return [heard]

    plugged("a", event_processors=processors)
    runner = SyncRunner()

    def run(_: int) -> None:
        together.wait()
        runner.run(GRAPH, {"x": 1})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(run, range(8)))
    assert asked == [runner]
    assert heard.runs == 8


def test_a_plugin_that_runs_a_graph_when_it_is_asked_does_not_hear_that_run() -> None:
    heard = Heard()

    def processors(runner: SyncRunner) -> list[Heard]:
        runner.run(GRAPH, {"x": 1})
        return [heard]

    plugged("a", event_processors=processors)
    SyncRunner().run(GRAPH, {"x": 1})
    assert heard.runs == 1


def test_a_plugin_that_comes_or_goes_is_heard_of_at_the_next_run() -> None:
    first, second = Heard(), Heard()
    made = iter([first, Heard()])
    runner = SyncRunner()
    plugged("a", event_processors=lambda: [next(made)])
    runner.run(GRAPH, {"x": 1})
    plugged("b", event_processors=lambda: [second])
    runner.run(GRAPH, {"x": 1})
    hooks.unregister("a")
    runner.run(GRAPH, {"x": 1})
    assert (first.runs, second.runs) == (2, 2)
    hooks.unregister("b")
    runner.run(GRAPH, {"x": 1})
    assert (first.runs, second.runs) == (2, 2)


@pytest.mark.parametrize("nested", [None, SyncRunner(), AsyncRunner(), Wrapping()])
@pytest.mark.parametrize("outer", [SyncRunner, AsyncRunner])
def test_a_nested_run_is_heard_once(nested: Any, outer: Any) -> None:
    made: list[Heard] = []

    def processors() -> list[Heard]:
        made.append(Heard())
        return made[-1:]

    plugged("a", event_processors=processors)
    if isinstance(nested, SyncRunner):
        nested.run(GRAPH, {"x": 1})  # the runner has a listener of its own by now
    before = len(made)
    runner = outer()
    result = runner.run(Graph([GRAPH.as_node(runner=nested)], name="outer"), {"x": 1})
    if outer is AsyncRunner:
        run_async(lambda: result)
    assert [heard.runs for heard in made[before:] if heard.events] == [2]
    assert [heard.runs for heard in made[:before]] == [1] * before


def test_a_listener_that_is_there_already_is_told_once() -> None:
    heard = Heard()
    plugged("a", event_processors=lambda: [heard])
    plugged("b", event_processors=lambda: [heard])
    SyncRunner().run(GRAPH, {"x": 1})
    SyncRunner(event_processors=[heard]).run(GRAPH, {"x": 1})
    assert heard.runs == 2


def failing(*_: Any) -> Any:
    raise ZeroDivisionError("a secret")


@pytest.mark.parametrize(
    ("result", "problem"),
    [
        (failing, " raised ZeroDivisionError: it is left out here."),
        (
            lambda runner: runner,
            ": it returned SyncRunner, which is no list of listeners; return [listener].",
        ),
        (lambda: [3], ": a listener is left out: int has no on_event(event)."),
    ],
)
def test_a_plugin_that_fails_to_listen_is_warned_of_and_harms_nothing(
    result: Callable[[], Any], problem: str
) -> None:
    heard = Heard()
    plugged("bad", event_processors=result)
    plugged("good", event_processors=lambda: [heard])
    runner = SyncRunner()
    with pytest.warns(HypergraphWarning) as caught:
        assert runner.run(GRAPH, {"x": 1}) == {"double": 2}
    (told,) = [str(one.message) for one in caught]
    assert told.startswith(f"Plugin 'bad', hypergraph_event_processors{problem}")
    assert runner.run(GRAPH, {"x": 1}) == {"double": 2}
    assert heard.runs == 2


def test_one_listener_that_cannot_listen_harms_not_the_others() -> None:
    heard = Heard()
    plugged("half", event_processors=lambda: [3, heard])
    with pytest.warns(HypergraphWarning, match="int has no on_event"):
        SyncRunner().run(GRAPH, {"x": 1})
    assert heard.runs == 1


def test_a_listener_of_a_plugin_that_fails_is_contained_as_any_other() -> None:
    class Failing:
        def on_event(self, event: Event) -> None:
            raise ValueError

    plugged("bad", event_processors=lambda: [Failing()])
    with pytest.warns(HypergraphWarning, match="Failing raised ValueError"):
        assert SyncRunner().run(GRAPH, {"x": 1}) == {"double": 2}


def test_a_runner_with_listeners_of_plugins_travels_without_them() -> None:
    heard: list[Heard] = []

    def processors() -> list[Heard]:
        class Local(Heard):  # cannot be pickled
            pass

        heard.append(Local())
        return heard[-1:]

    plugged("a", event_processors=processors)
    runner = SyncRunner()
    runner.run(GRAPH, {"x": 1})
    for other in (pickle.loads(pickle.dumps(runner)), copy.deepcopy(runner)):
        other.run(GRAPH, {"x": 1})
    copy.copy(runner).run(GRAPH, {"x": 1})
    assert [one.runs for one in heard] == [2, 1, 1]


# --- keys of the cache --------------------------------------------------------------------------


@pytest.fixture
def counted() -> tuple[list[int], Graph]:
    CALLED.clear()
    return CALLED, Graph([counting])


CALLED: list[int] = []


@node(output_name="y")
def counting(x: int) -> int:
    _note(x)
    return x


_note = type("Noting", (), {"__call__": lambda self, x: CALLED.append(x)})()


def test_another_text_is_another_key(counted: tuple[list[int], Graph]) -> None:
    called, graph = counted
    texts: list[Any] = ["v1"]
    runner = SyncRunner(cache=MemoryCache())
    runner.run(graph, {"x": 1})
    plugin = plugged("model", cache_key=lambda node: texts[-1])
    for texts[-1] in ("v1", "v1", "v2", "v1", "v2", None, ""):
        runner.run(graph, {"x": 1})
    hooks.unregister(plugin.module)
    runner.run(graph, {"x": 1})
    assert len(called) == 4  # without a text, v1, v2 and the empty text


def test_a_plugin_chooses_by_the_node(counted: tuple[list[int], Graph]) -> None:
    keys = {"twice": "a"}
    plugged("model", cache_key=lambda node: keys.get(node.name))
    before = hooks.cache_keys(counting), hooks.cache_keys(twice)
    assert before == ((), (("model", "a"),))


def test_texts_of_several_plugins_are_not_confused() -> None:
    texts = {"a": "x", "b": "yz"}
    plugged("a", cache_key=lambda: texts["a"])
    plugged("b", cache_key=lambda: texts["b"])
    first = definition_key(twice)
    texts.update(a="xy", b="z")
    second = definition_key(twice)
    texts.update(a="x\n|\u20ac" * 1000)
    third = definition_key(twice)
    assert len({first, second, third, twice.definition_hash}) == 4
    assert third.isascii()
    assert third.isprintable()
    assert len(third) < 200


@pytest.mark.parametrize("result", [failing, lambda: 3, lambda: b"x"])
def test_a_node_whose_key_fails_is_not_cached_and_a_run_warns_once(
    counted: tuple[list[int], Graph], result: Callable[[], Any]
) -> None:
    called, graph = counted
    plugged("model", cache_key=result)
    runner = SyncRunner(cache=MemoryCache())
    words = "Node 'counting' is not cached.*plugin 'model', hypergraph_cache_key"
    for _ in range(2):
        with pytest.warns(HypergraphWarning, match=words) as caught:
            results = runner.map(graph, {"x": [1, 1]}, map_over="x")
        assert results == [{"y": 1}] * 2
        assert len(caught) == 1
    assert called == [1] * 4


def test_explaining_says_which_plugin_has_no_key(counted: tuple[list[int], Graph]) -> None:
    plugged("model", cache_key=failing)
    (line,) = SyncRunner(cache=MemoryCache()).explain_cache(counted[1], {"x": 1})
    assert not line.hit
    assert "plugin 'model', hypergraph_cache_key" in line.why


def test_explaining_knows_the_keys_of_plugins(counted: tuple[list[int], Graph]) -> None:
    runner = SyncRunner(cache=MemoryCache())
    plugged("model", cache_key=lambda: "v1")
    runner.run(counted[1], {"x": 1})
    assert [line.hit for line in runner.explain_cache(counted[1], {"x": 1})] == [True]


# --- configuration and command line -------------------------------------------------------------


def test_settings_of_plugins_come_in_order_with_their_names() -> None:
    seen: list[Any] = []
    table = {"runner": "sync"}
    plugged("b", configure=lambda config: seen.append(config) or {"runner": "b"})
    plugged("none", configure=lambda: None)
    plugged("a", configure=lambda config: {"runner": "a"})
    assert hooks.configure(table) == (("b", {"runner": "b"}), ("a", {"runner": "a"}))
    assert seen[0] is table


def test_settings_that_fail_are_an_error_that_names_the_plugin() -> None:
    plugged("bad", configure=failing)
    with pytest.raises(PluginError) as caught:
        hooks.configure({})
    error = caught.value
    assert error.what == "The plugin 'bad' gives no settings: ZeroDivisionError."
    assert (error.where, error.name) == ("hypergraph_configure", "bad")
    assert "HYPERGRAPH_DISABLE_PLUGINS=bad" in error.fix
    assert isinstance(error.__cause__, ZeroDivisionError)
    assert "secret" not in str(error)


def test_settings_that_are_refused_are_the_error_of_the_plugin() -> None:
    refusal = ConfigError("no", where="the vault")

    def refuse() -> Any:
        raise refusal

    plugged("bad", configure=refuse)
    for _ in range(2):
        with pytest.raises(ConfigError) as caught:
            hooks.configure({})
        assert caught.value is refusal
    assert refusal.where == "the vault; plugin 'bad', hypergraph_configure"


def test_settings_are_a_mapping() -> None:
    plugged("bad", configure=lambda: [1])
    with pytest.raises(PluginError, match="'bad' gives settings as list"):
        hooks.configure({})


def command(name: str, add: Any = lambda parser: None) -> hooks.Command:
    return hooks.Command(name=name, help="what it does", add=add, run=lambda arguments: 0)


def test_commands_are_added_in_order_and_shadow_none() -> None:
    plugged("a", cli_commands=lambda: [command("one"), command("run")])
    plugged("b", cli_commands=lambda: [command("one"), command("two")])
    with pytest.warns(HypergraphWarning, match="there is one of that name") as caught:
        found = hooks.cli_commands(taken=["run", "map"])
    assert [one.name for one in found] == ["one", "two"]
    assert [str(one.message).split(",")[0] for one in caught] == ["Plugin 'a'", "Plugin 'b'"]


@pytest.mark.parametrize(
    ("result", "problem"),
    [
        (failing, " raised ZeroDivisionError: it is left out here"),
        (
            lambda: 3,
            ": it returned int, which is no list of commands; return [command]. It is left",
        ),
        (lambda: command("one"), ": it returned Command, which is no list of commands"),
    ],
)
def test_commands_that_fail_are_left_out(result: Callable[[], Any], problem: str) -> None:
    plugged("bad", cli_commands=result)
    plugged("good", cli_commands=lambda: [command("two")])
    with pytest.warns(HypergraphWarning) as caught:
        found = hooks.cli_commands()
    assert [one.name for one in found] == ["two"]
    (told,) = [str(one.message) for one in caught]
    assert told.startswith(f"Plugin 'bad', hypergraph_cli_commands{problem}")


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        (3, "a command is left out: int is no hypergraph.hooks.Command"),
        (command("a b"), "its command 'a b' is left out: a name is of small letters"),
        (command(3), "a command is left out: its name is no text, but int"),  # type: ignore[arg-type]
        (command("x", add=None), "its command 'x' is left out: add is no function, but NoneType"),
        (command("run"), "its command 'run' is left out: there is one of that name"),
    ],
)
def test_one_wrong_command_is_left_out_and_no_other(wrong: Any, problem: str) -> None:
    plugged("half", cli_commands=lambda: [command("one"), wrong, command("two")])
    with pytest.warns(HypergraphWarning) as caught:
        found = hooks.cli_commands(taken=["run"])
    assert [one.name for one in found] == ["one", "two"]
    (told,) = [str(one.message) for one in caught]
    assert told.startswith(f"Plugin 'half', hypergraph_cli_commands: {problem}")


def test_a_command_that_cannot_add_its_arguments_is_warned_of() -> None:
    plugged("bad", cli_commands=lambda: [command("one", failing)])
    (one,) = hooks.cli_commands()
    with pytest.warns(HypergraphWarning, match="the arguments of its command 'one'"):
        one.add(None)  # type: ignore[arg-type]


# --- what the engine promises to its own runners ------------------------------------------------


def test_every_runner_of_the_engine_has_listeners_of_its_own() -> None:
    assert isinstance(SyncRunner(), EngineRunner)
    assert SyncRunner().plugin_listeners is not SyncRunner().plugin_listeners


def test_warnings_that_are_errors_leave_the_plugins_as_they_are() -> None:
    heard = Heard()
    plugged("bad", event_processors=failing)
    plugged("good", event_processors=lambda: [heard])
    runner = SyncRunner()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(HypergraphWarning):
            runner.run(GRAPH, {"x": 1})
        runner.run(GRAPH, {"x": 1})
    assert heard.runs == 1
