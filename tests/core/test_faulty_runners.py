"""The kit fails runners that are wrong on purpose, by the tests that name their fault."""

import pytest

from hypergraph.testing.faulty import FAULTY_RUNNERS

pytest_plugins = ["pytester"]

NOTICED_BY = {
    "ImpatientRunner": {
        "test_a_join_inside_a_loop_runs_once_per_round[declared in order 0]",
        "test_a_node_waits_even_where_defaults_would_let_it_start",
    },
    "WrappingRunner": {
        "test_the_exception_is_the_very_object_that_was_raised",
        "test_the_exception_keeps_its_type_and_arguments",
        "test_a_failing_item_stops_the_map",
    },
    "UnrefusingRunner": {
        "test_a_feature_is_supported_or_refused[cycles]",
        "test_a_feature_is_supported_or_refused[gates]",
        "test_a_feature_inside_a_nested_graph_is_supported_or_refused[cycles]",
        "test_a_refused_graph_does_not_run_at_all[gates]",
        "test_a_map_refuses_what_a_run_refuses[cycles]",
    },
    "UndecidedRunner": {
        "test_only_the_selected_branch_runs[2-expected0]",
        "test_end_selects_nothing_and_the_rest_goes_on",
        "test_a_loop_runs_until_its_gate_says_end[declared in order 0]",
    },
}


@pytest.mark.parametrize("faulty", FAULTY_RUNNERS, ids=lambda cls: cls.__name__)
def test_the_kit_notices_what_is_wrong_with_a_runner(faulty, pytester):
    pytester.makepyfile(
        f"""
        import pytest
        from hypergraph.testing import RunnerSuite
        from hypergraph.testing.faulty import {faulty.__name__}

        class TestFaulty(RunnerSuite):
            @pytest.fixture
            def runner(self):
                return {faulty.__name__}()
        """
    )
    result = pytester.inline_run("-p", "no:cacheprovider", "-p", "no:terminal")
    passed, _, failed = (
        {report.nodeid.split("::")[-1] for report in reports} for reports in result.listoutcomes()
    )
    assert NOTICED_BY[faulty.__name__] <= failed, "a fault went unnoticed"
    assert "test_several_outputs_are_unpacked" in passed, "and what is right about it passes"


def test_every_faulty_runner_has_tests_that_must_notice_it():
    assert set(NOTICED_BY) == {cls.__name__ for cls in FAULTY_RUNNERS}
