"""The framework of the conformance kit: how rules are written, asked and reported."""

import ast
import asyncio
import contextlib
import json
import subprocess
import sys
import threading
import unittest
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

import hypergraph.testing
from hypergraph import BaseRunner, RunnerCapabilities
from hypergraph.errors import HypergraphError, HypergraphWarning, InputError
from hypergraph.runners import RUNNER_API_VERSION
from hypergraph.runners.settings import setting
from hypergraph.testing import AsyncReferenceRunner, ReferenceRunner, asking, validate_runner
from hypergraph.testing.asking import rules_of
from hypergraph.testing.kit import (
    KIT_VERSION,
    BrokenRuleError,
    Journal,
    Rules,
    cases,
    fail,
    raises,
    skip,
    warns,
)
from hypergraph.testing.suite import CACHE_RULES, CHECKPOINTER_RULES, RUNNER_RULES
from hypergraph_runner_sync import SyncRunner

pytest_plugins = ["pytester"]

KIT = Path(hypergraph.testing.__file__).parent
SETS = {"runner": RUNNER_RULES, "checkpointer": CHECKPOINTER_RULES, "cache": CACHE_RULES}
each_set = pytest.mark.parametrize("kinds", SETS.values(), ids=list(SETS))


def failures(report):
    return {result.rule: result.message for result in report.results if result.outcome == "failed"}


# -- what rules are written with ---------------------------------------------------------------


class Numbers(Rules):
    group = "numbers"

    @cases("factor", [2, 3])
    @cases(("x", "expected"), [(1, [1]), ("s", None)], ids=["one", "text"])
    def test_stacked(self, tested, x, expected, factor):
        pass

    @cases("value", [None, True, 1.5, "a\n", int, [1]])
    def test_ids(self, tested, value):
        pass

    def test_plain(self, tested):
        pass


def test_every_combination_of_cases_is_a_rule_with_an_id():
    ids = [rule.id for rule in rules_of(Numbers)]
    stacked = ["one-2", "one-3", "text-2", "text-3"]
    values = ["None", "True", "1.5", "a\\n", "int", "value5"]
    assert ids == [
        *(f"test_stacked[{case}]" for case in stacked),
        *(f"test_ids[{case}]" for case in values),
        "test_plain",
    ]
    first = next(iter(rules_of(Numbers)))
    assert first.case.values == {"x": 1, "expected": [1], "factor": 2}


def test_raises_gives_what_was_raised():
    with raises(KeyError, ValueError, match="good") as caught:
        raise ValueError("a good reason")
    assert caught.value.args == ("a good reason",)


@pytest.mark.parametrize(
    ("raised", "message"),
    [
        (None, "KeyError or ValueError should have been raised here, and nothing was. Do it."),
        (ValueError("bad"), "The text of KeyError or ValueError should match 'good'; it is: bad"),
    ],
)
def test_raises_says_what_should_have_been_raised(raised, message):
    def act():
        with raises(KeyError, ValueError, match="good", advice="Do it."):
            if raised is not None:
                raise raised

    with pytest.raises(BrokenRuleError) as caught:
        act()
    assert str(caught.value) == message


@pytest.mark.parametrize("other", [TypeError("x"), unittest.SkipTest("x"), BrokenRuleError("x")])
def test_raises_lets_anything_else_pass(other):
    kind = KeyError if isinstance(other, TypeError) else Exception
    with pytest.raises(type(other)) as caught, raises(kind):
        raise other
    assert caught.value is other


def test_warns_keeps_the_warnings_of_the_block():
    with warns(HypergraphWarning, "late") as told:
        warnings.warn("too late", HypergraphWarning, stacklevel=1)
        warnings.warn("another", UserWarning, stacklevel=1)
    assert told.messages == ["too late"]
    with (
        pytest.raises(BrokenRuleError, match=r"'early' should have been given.*UserWarning: x"),
        warns(HypergraphWarning, "early"),
    ):
        warnings.warn("x", UserWarning, stacklevel=1)


def test_skip_and_fail_end_a_rule():
    with pytest.raises(unittest.SkipTest, match="for a reason"):
        skip("for a reason")
    with pytest.raises(AssertionError, match="do this"):
        fail("do this")


def test_a_journal_is_written_by_many_at_once(tmp_path):
    journal = Journal(tmp_path / "journal")
    assert journal.lines == []
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(journal.note, range(200)))
    assert sorted(map(int, journal.lines)) == list(range(200))


# -- the rules themselves ------------------------------------------------------------------------


def test_the_kit_is_as_old_as_the_contract():
    assert KIT_VERSION[0] == RUNNER_API_VERSION[0]


@each_set
def test_no_two_groups_give_one_name_to_two_things(kinds):
    """Under pytest they are one class."""
    homes = {}
    for kind in kinds:
        for base in kind.__mro__:
            for name in vars(base):
                homes.setdefault(name, set()).add(base)
    shared = {"group", "__module__", "__doc__", "__annotations__", *vars(object), *vars(Rules)}
    bases = {base for kind in kinds for base in kind.__mro__[1:]}
    clashes = {
        name: found
        for name, found in homes.items()
        if name not in shared and len(found - bases) + bool(found & bases) > 1
    }
    assert clashes == {}


def test_every_group_has_a_name_of_its_own_and_says_what_it_is_about():
    groups = [kind.group for kind in RUNNER_RULES]
    assert len(set(groups)) == len(groups)
    assert all(groups)
    assert [kind for kind in RUNNER_RULES if not kind.__dict__["__doc__"]] == []


def test_only_the_adapters_know_pytest():
    importing = set()
    for path in KIT.rglob("*.py"):
        for item in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in getattr(item, "names", ()) if hasattr(alias, "name")]
            names.append(getattr(item, "module", None) or "")
            if isinstance(item, ast.Import | ast.ImportFrom) and "pytest" in names:
                importing.add(path.name)
    assert importing == {"pytest_suites.py"}


def test_pytest_collects_what_the_kit_asks_under_the_same_names(pytester):
    pytester.makepyfile(
        """
        import pytest
        from hypergraph.testing import CacheSuite, CheckpointerSuite, RunnerSuite

        class TestRunner(RunnerSuite): pass
        class TestCache(CacheSuite): pass
        class TestCheckpointer(CheckpointerSuite): pass
        """
    )
    items, _ = pytester.inline_genitems("-p", "no:cacheprovider")
    collected = {(item.cls.__name__.removeprefix("Test").lower(), item.name) for item in items}
    asked = {
        (name, rule.id) for name, kinds in SETS.items() for kind in kinds for rule in rules_of(kind)
    }
    assert collected == asked


def test_a_suite_without_a_runner_says_what_to_write(pytester):
    pytester.makepyfile(
        """
        from hypergraph.testing import RunnerSuite

        class TestMine(RunnerSuite): pass
        """
    )
    result = pytester.runpytest("-x", "-p", "no:cacheprovider")
    result.stdout.fnmatch_lines(["*TestMine has no runner to test. Give it a fixture:*"])


# -- the report ------------------------------------------------------------------------------------


def test_a_report_has_a_result_for_every_rule():
    told = []
    report = validate_runner(SyncRunner, groups=["DAG", "streaming"], on_result=told.append)
    assert report.ok
    assert tuple(told) == report.results
    assert report.groups == ("DAG", "streaming")
    kinds = [kind for kind in RUNNER_RULES if kind.group in report.groups]
    asked = [(kind.group, rule.id) for kind in kinds for rule in rules_of(kind)]
    assert [(result.group, result.rule) for result in report.results] == asked
    assert report.counts("DAG") == (sum(group == "DAG" for group, _ in asked), 0, 0)
    assert report.counts("streaming").skipped == report.counts().skipped
    assert report.runner == "hypergraph_runner_sync.runner:SyncRunner"
    assert report.capabilities == SyncRunner.capabilities


def test_a_report_names_the_versions_of_everything():
    versions = validate_runner(SyncRunner, groups=["generators"]).versions
    assert versions["kit"] == ".".join(map(str, KIT_VERSION))
    assert versions["runner_api"] == ".".join(map(str, RUNNER_API_VERSION))
    assert versions["written_for"] == SyncRunner.runner_api
    assert versions["distribution"] == "hypergraph-runner-sync"
    assert versions["python"] == ".".join(map(str, sys.version_info[:3]))
    assert versions["core"]
    assert versions["runner"]


def test_a_report_can_be_kept_as_json():
    report = validate_runner(Backwards, groups=["map", "interrupts"])
    kept = json.loads(json.dumps(report.as_dict()))
    assert kept["ok"] is False
    assert kept["groups"]["map"] == report.counts("map")._asdict()
    assert kept["results"][0] == {
        "group": "map",
        "rule": report.results[0].rule,
        "outcome": report.results[0].outcome,
        "message": report.results[0].message,
        "seconds": report.results[0].seconds,
    }


def test_a_report_is_read_at_a_glance():
    text = validate_runner(Backwards, groups=["map", "streaming"]).text()
    head, table, *rest = text.split("\n\n", 2)
    assert f"{__name__}:Backwards does not conform to version 1.0" in head
    assert "declares supports_cycles, supports_gates" in head
    lines = table.splitlines()
    assert lines[0].split() == ["passed", "failed", "skipped"]
    assert [line.split()[0] for line in lines if " skipped: " not in line][1:] == [
        "map", "streaming", "in",
    ]  # fmt: skip
    assert table.count("skipped: Backwards does not declare supports_streaming") == 1
    assert "map: a map gives one result per item in order" in rest[0]


def test_the_groups_can_be_chosen():
    assert validate_runner(SyncRunner, groups="gates").groups == ("gates",)
    with pytest.raises(ValueError, match=r"no group 'gate'\. Did you mean 'gates'"):
        validate_runner(SyncRunner, groups=["DAG", "gate"])


# -- failures --------------------------------------------------------------------------------------


class Backwards(SyncRunner):
    def map(self, graph, inputs=None, **options):
        return super().map(graph, inputs, **options)[::-1]


def test_a_failed_assert_shows_its_source_and_the_values_in_it():
    message = failures(validate_runner(Backwards, groups=["map"]))[
        "test_a_map_gives_one_result_per_item_in_order"
    ]
    source, values = message.splitlines()[-2:]
    assert source == '  > assert [r["total"] for r in results] == [15, 5, 10]'
    assert values.startswith("  results = [{'total': 10")


def test_a_failed_assert_about_a_run_shows_what_the_run_gave():
    message = failures(validate_runner(Backwards, groups=["map"]))[
        "test_each_result_is_that_of_a_run_of_its_own"
    ]
    assert "  expected = [{'total': 0" in message
    assert "  the run gave [{'total': 20" in message


class Wrapping(SyncRunner):
    def run(self, graph, inputs=None, **options):
        try:
            return super().run(graph, inputs, **options)
        except HypergraphError as error:
            raise RuntimeError("something went wrong") from error


RAISING = 'raise RuntimeError("something went wrong") from error'


def test_an_unexpected_error_shows_where_it_came_from_and_what_was_expected():
    message = failures(validate_runner(Wrapping, groups=["DAG"]))[
        "test_an_unknown_input_is_refused"
    ]
    assert message.splitlines() == [
        "RuntimeError: something went wrong",
        f"  raised at {__name__}, line {_line_of(RAISING)}, in run: {RAISING}",
        "  > with raises(UnknownInputError) as caught:",
        '  >     self.run_graph(runner, DIAMOND, {"x": 1, "no_such_input": 1})',
    ]


def _line_of(source):
    lines = Path(__file__).read_text("utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.strip() == source)


class Lenient(SyncRunner):
    def run(self, graph, inputs=None, **options):
        return super().run(graph, inputs, **{**options, "allow_extra": True})


def test_an_error_that_is_missing_is_told_with_the_rule():
    message = failures(validate_runner(Lenient, groups=["DAG"]))["test_an_unknown_input_is_refused"]
    assert message.startswith("UnknownInputError should have been raised here, and nothing was.\n")
    assert "  > with raises(UnknownInputError)" in message


class Leaving(SyncRunner):
    def run(self, graph, inputs=None, **options):
        raise self.error


def test_whatever_a_runner_raises_is_in_the_report():
    Leaving.error = SystemExit(3)
    report = validate_runner(Leaving, groups=["generators"])
    assert report.counts().failed == 9
    assert all(message.startswith("SystemExit: 3\n") for message in failures(report).values())
    assert "and 4 more, in the same way" in report.text() or report.text().count("SystemExit") > 1


def test_ctrl_c_ends_the_validation():
    Leaving.error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        validate_runner(Leaving, groups=["generators"])


def test_a_runner_that_cannot_be_made_fails_every_rule():
    def factory():
        raise OSError("no such server")

    report = validate_runner(factory, groups=["generators"])
    assert report.counts() == (0, 9, 0)
    assert report.capabilities is None
    assert report.text().count("OSError: no such server") == 1


def test_a_rule_that_never_ends_has_failed_and_the_third_one_is_the_last():
    release = threading.Event()

    class Hanging(SyncRunner):
        def run(self, graph, inputs=None, **options):
            release.wait()

    try:
        report = validate_runner(Hanging, groups=["generators"], time_limit=0.1)
    finally:
        release.set()
    assert report.counts() == (0, 3, 6)
    assert report.unfinished == 3
    messages = list(failures(report).values())
    assert all("It took longer than 0.1 seconds, and has not ended." in m for m in messages)
    assert all("in run: release.wait()" in m for m in messages)
    assert all("  > assert self.run_graph(runner, Graph([chunks])" in m for m in messages[:3])
    assert "not asked: 3 rules before it took longer than 0.1 seconds" in report.text()


# -- what is left behind ---------------------------------------------------------------------------


def test_each_rule_gets_a_fresh_runner_that_is_entered_and_closed():
    events = []

    class Opened(SyncRunner):
        def __enter__(self):
            events.append(("open", id(self)))
            return self

        def __exit__(self, *_):
            events.append(("close", id(self)))

    report = validate_runner(Opened, groups=["generators"])
    assert report.ok
    assert [what for what, _ in events] == ["open", "close"] * 9
    assert all(one == two for (_, one), (_, two) in zip(events[::2], events[1::2], strict=True))


def test_a_runner_that_has_only_close_is_closed():
    closed = []

    class Closing(SyncRunner):
        def close(self):
            closed.append(self)

    validate_runner(Closing, groups=["generators"])
    assert len(closed) == 9


def test_threads_that_are_left_behind_each_time_are_a_failure(monkeypatch):
    monkeypatch.setattr(asking, "GRACE", 0.05)
    release = threading.Event()

    class Leaking(SyncRunner):
        def run(self, graph, inputs=None, **options):
            threading.Thread(target=release.wait, name="left").start()
            return super().run(graph, inputs, **options)

    try:
        report = validate_runner(Leaking, groups=["generators"])
    finally:
        release.set()
    assert report.counts().failed == 3, "the same complaint again and again helps nobody"
    assert all("threads are left behind" in message for message in failures(report).values())
    assert all("left" in message for message in failures(report).values())


def test_a_pool_that_is_kept_for_later_is_no_leak():
    with ThreadPoolExecutor(1) as pool:

        class Pooled(SyncRunner):
            def run(self, graph, inputs=None, **options):
                return pool.submit(super().run, graph, inputs, **options).result()

        assert validate_runner(Pooled, groups=["generators"]).ok


def test_tasks_that_are_left_behind_are_a_failure():
    class Leaking(AsyncReferenceRunner):
        async def run(self, graph, inputs=None, **options):
            self.task = asyncio.create_task(asyncio.sleep(60))
            return await super().run(graph, inputs, **options)

    report = validate_runner(Leaking, groups=["generators"])
    assert report.counts().failed == 9
    assert "asyncio tasks were left behind by what has returned: sleep" in report.text()


def test_warnings_of_a_runner_are_not_shown(recwarn):
    class Talkative(SyncRunner):
        def run(self, graph, inputs=None, **options):
            warnings.warn("old", DeprecationWarning, stacklevel=1)
            return super().run(graph, inputs, **options)

    assert validate_runner(Talkative, groups=["generators"]).ok
    assert not recwarn.list


# -- capabilities ----------------------------------------------------------------------------------


class Plain(SyncRunner):
    capabilities = RunnerCapabilities(supports_cycles=False, supports_gates=False)


def test_less_is_a_runner_too():
    report = validate_runner(Plain)
    assert report.ok, report.text()
    assert report.counts("cycles").passed < 10


class Vague(Plain):
    """Refuses with words of its own."""

    def accepted(self, graph):
        with contextlib.suppress(HypergraphError):
            return super().accepted(graph)
        raise InputError("this graph is too hard")


class Nameless(Plain):
    """Refuses, and does not say which node it is."""

    def accepted(self, graph):
        try:
            return super().accepted(graph)
        except HypergraphError as error:
            error.node = ""
            raise


@pytest.mark.parametrize(
    ("runner", "told"),
    [
        (Vague, "so it must refuse a graph with gates by IncompatibleRunnerError"),
        (Nameless, "was refused without naming a node that needs them, such as 'is_even'"),
    ],
)
def test_a_refusal_that_says_too_little_is_a_failure(runner, told):
    found = failures(validate_runner(runner, groups=["capabilities"]))
    assert told in found["test_a_feature_is_supported_or_refused[gates]"]
    assert "test_a_map_refuses_what_a_run_refuses[gates]" in found
    assert "test_a_refusal_names_the_path_to_a_nested_node[cycles]" in found


# -- registration and packaging --------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sync", "async"])
def test_our_runners_are_registered_and_packaged_well(name):
    factory = hypergraph.runners.get(name)
    report = validate_runner(factory, name=name, groups=["registration", "packaging"])
    assert report.counts().passed == len(report.results), report.text()


def test_a_name_that_leads_elsewhere_is_a_failure():
    found = failures(validate_runner(ReferenceRunner, name="sync", groups=["registration"]))
    assert set(found) == {"test_the_name_leads_to_the_class"}
    assert "hypergraph_runner_sync" in found["test_the_name_leads_to_the_class"]


def test_a_name_that_nobody_offers_is_a_failure():
    found = failures(validate_runner(SyncRunner, name="No such", groups=["registration"]))
    assert set(found) == {
        "test_the_name_leads_to_the_class",
        "test_one_distribution_offers_the_name",
        "test_the_name_is_a_short_word",
    }


@dataclass
class Changeable:
    workers: int = 1


@dataclass(frozen=True)
class Demanding:
    workers: int = setting(help="how many processes")


def test_settings_are_frozen_and_documented():
    class Undocumented(ReferenceRunner):
        settings_class = Changeable

    found = failures(validate_runner(Undocumented, groups=["registration"]))
    assert "must be frozen" in found["test_its_settings_are_a_frozen_dataclass_that_is_documented"]


def test_a_setting_may_be_needed():
    class Needy(ReferenceRunner):
        settings_class = Demanding

    report = validate_runner(Needy, groups=["registration"])
    assert report.ok
    assert "Needy needs settings: workers" in report.text()


# -- without pytest --------------------------------------------------------------------------------

ALONE = """
import json, sys
sys.modules["pytest"] = sys.modules["hypothesis"] = sys.modules["_pytest"] = None
from hypergraph.errors import MissingExtraError
from hypergraph.testing import ManualClock, ReferenceRunner, validate_runner
report = validate_runner(ReferenceRunner, groups=["DAG", "gates"])
missing = []
for name in ("RunnerSuite", "CacheSuite", "CheckpointerSuite", "strategies"):
    try:
        exec(f"from hypergraph.testing import {name}")
    except MissingExtraError as error:
        missing.append(error.fix)
print(json.dumps([report.ok, len(report.results), missing]))
"""


def test_no_pytest_is_needed():
    answer = subprocess.run(
        [sys.executable, "-c", ALONE], check=True, capture_output=True, text=True
    )
    ok, asked, missing = json.loads(answer.stdout)
    assert (ok, answer.stderr) == (True, "")
    groups = [kind for kind in RUNNER_RULES if kind.group in ("DAG", "gates")]
    assert asked == sum(1 for kind in groups for _ in rules_of(kind))
    assert len(missing) == 4
    assert all('pip install "hypergraph-core[testing]"' in fix for fix in missing)


def test_the_kit_is_asked_inside_a_running_event_loop():
    async def main():
        return validate_runner(AsyncReferenceRunner, groups=["generators"])

    assert asyncio.run(main()).ok


def test_a_runner_of_any_kind_is_reported():
    class Strange(BaseRunner):
        capabilities = RunnerCapabilities()

        def run(self, graph, *args, **options):
            return 7

        def map(self, graph, *args, **options):
            return [7]

    report = validate_runner(Strange, groups=["generators", "map"])
    assert report.counts().failed > 10
    assert (
        "run() must give a mapping of outputs or a RunResult; it gave an object: int"
        in report.text()
    )
