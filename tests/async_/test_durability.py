"""What the kit asks of durable runners can be done, and is noticed where it is not."""

from dataclasses import replace

import pytest

from hypergraph.testing import validate_runner
from hypergraph.testing.suite.durability import DurabilityRules
from hypergraph_runner_async import AsyncRunner
from tests.async_.durable_runner import DurableRunner, IdleRunner, LazyRunner, RestartingRunner
from tests.core.asked import failures_of, rules

CUT_OFF = "test_a_workflow_that_was_cut_off_finishes_by_itself"


def test_a_runner_that_takes_up_what_was_cut_off_passes():
    report = validate_runner(DurableRunner, groups=["durability"])
    assert report.ok, report.text()
    assert {result.outcome for result in report.results} == {"passed"}


def test_a_runner_that_declares_nothing_is_asked_nothing():
    report = validate_runner(AsyncRunner, groups=["durability"])
    assert {result.outcome for result in report.results} == {"skipped"}
    assert "does not declare supports_durable_execution" in report.results[0].message


class Impatient(DurabilityRules):
    patience = 4.0


@pytest.mark.parametrize(
    ("faulty", "said"),
    [
        (IdleRunner, "was not taken up"),
        (RestartingRunner, "must not run again, and {'prepare': 1, 'step': 1, 'more': 1} did"),
        (LazyRunner, "was not taken up"),
    ],
)
def test_the_kit_notices_what_is_wrong_with_a_runner(faulty, said):
    class OneCase(Impatient):
        def test_a_workflow_that_was_cut_off_finishes_by_itself(self, runner):
            super().test_a_workflow_that_was_cut_off_finishes_by_itself(runner, "middle")

    (message,) = failures_of(OneCase, faulty, "cut_off_finishes").values()
    assert said in message


class Promising(AsyncRunner):
    """Declares what nobody can try."""

    capabilities = replace(AsyncRunner.capabilities, supports_durable_execution=True)


def make_durable_runner(graphs, path):
    return DurableRunner(graphs=graphs, path=path)


class WithAProgram(DurabilityRules):
    def durable_program(self, runner):
        return f"{__name__}:make_durable_runner"


def test_a_runner_that_is_made_in_another_way_needs_a_program():
    failed = failures_of(DurabilityRules, Promising)
    assert CUT_OFF in rules(failed)
    assert all("Override durable_program()" in message for message in failed.values())
    assert failures_of(WithAProgram, Promising, "does_not_run_again") == {}
