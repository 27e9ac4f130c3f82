"""A runner whose nodes run in other processes passes the conformance kit; bad ones fail."""

from concurrent.futures import Future

import pytest

from hypergraph.testing import RunnerSuite
from hypergraph.testing.suite.distribution import DistributionRules
from tests.core.asked import failures_of, rules
from tests.core.pool_runner import PoolRunner


class TestPoolRunner(RunnerSuite):
    @pytest.fixture
    def runner(self):
        return PoolRunner()


def changed(future, change):
    """Return a future of what ``change`` makes of a result."""
    made = Future()

    def done(_):
        if future.exception() is not None:
            made.set_exception(future.exception())
        else:
            made.set_result(change(future.result()))

    future.add_done_callback(done)
    return made


class Listing(PoolRunner):
    """Sends values in a format that has no tuples."""

    def submit(self, call):
        return changed(super().submit(call), lambda v: list(v) if type(v) is tuple else v)


class Wrapping(PoolRunner):
    """Raises an error of its own where a node has failed."""

    def run(self, *given, **options):
        try:
            return super().run(*given, **options)
        except Exception as error:
            raise RuntimeError("a worker has failed") from error


class Repeating(PoolRunner):
    """Calls again what did not come back, and also what did."""

    def submit(self, call):
        super().submit(call).exception()
        return super().submit(call)


class Hanging(PoolRunner):
    """Waits for a worker that has died."""

    def submit(self, call):
        future, made = super().submit(call), Future()

        def done(_):
            if future.exception() is None:
                made.set_result(future.result())
            elif type(future.exception()).__name__ != "BrokenProcessPool":
                made.set_exception(future.exception())

        future.add_done_callback(done)
        return made


class Impatient(DistributionRules):
    patience = 2.0


NOTICED_BY = {
    Listing: {"test_values_come_back_equal_and_of_their_type"},
    Wrapping: {
        "test_an_exception_keeps_its_type_its_arguments_and_its_note",
        "test_a_worker_that_dies_fails_the_run_and_the_next_run_works",
        "test_an_exception_that_cannot_be_moved_is_told_with_its_node",
        "test_an_output_that_cannot_be_moved_stays_here_or_is_told",
    },
    Repeating: {
        "test_of_many_items_each_is_called_once_and_stands_in_its_place",
        "test_a_failing_item_is_returned_in_its_place",
    },
}


@pytest.mark.parametrize("faulty", NOTICED_BY)
def test_the_kit_notices_what_is_wrong_with_a_runner(faulty):
    assert rules(failures_of(DistributionRules, faulty)) == NOTICED_BY[faulty]


def test_the_kit_notices_a_runner_that_waits_for_the_dead():
    failed = failures_of(Impatient, Hanging, "worker_that_dies_fails")
    assert ["hangs" in message for message in failed.values()] == [True]
