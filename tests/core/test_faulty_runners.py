"""The kit fails runners that are wrong on purpose, by the rules that name their fault, and no others."""

from dataclasses import dataclass, field

import pytest

from hypergraph.runners import register, unregister
from hypergraph.testing import AsyncReferenceRunner, ReferenceRunner, validate_runner
from hypergraph.testing.faulty import FAULTY_RUNNERS
from hypergraph.testing.suite import RUNNER_RULES
from tests.core.faulty_async_runners import FAULTY_ASYNC_RUNNERS

RUNNERS = {cls.__name__: cls for cls in (*FAULTY_RUNNERS, *FAULTY_ASYNC_RUNNERS)}


@dataclass(frozen=True)
class Noticed:
    """By which rules of which groups a runner must fail; all other groups that are asked must pass.

    ``says``: what the messages of these rules must contain.
    """

    by: dict[str, list[str]]
    says: str = ""
    passes: tuple[str, ...] = field(default=("DAG", "generators"))


SUPPORTED = "a_feature_is_supported_or_refused"
NESTED = "a_feature_inside_a_nested_graph_is_supported_or_refused"
IN_ORDER = "whichever_ends_first"

NOTICED = {
    # what a graph means
    "ImpatientRunner": Noticed(
        {
            "DAG": ["a_node_waits_even_where_defaults_would_let_it_start"],
            "cycles": ["a_join_inside_a_loop_runs_once_per_round[declared in order 0]"],
        },
        passes=("gates", "generators", "errors"),
    ),
    "UndecidedRunner": Noticed(
        {
            "gates": [
                "only_the_selected_branch_runs[2-expected0]",
                "end_selects_nothing_and_the_rest_goes_on",
            ]
        },
    ),
    "RepeatingRunner": Noticed(
        {"DAG": ["each_node_is_called_once"]}, passes=("gates", "cycles", "generators", "errors")
    ),
    "WritingRunner": Noticed(
        {
            "DAG": ["what_the_caller_gives_is_left_as_it_is"],
            "map": ["what_is_mapped_over_is_left_as_it_is"],
        },
        says="the caller's",
        passes=("gates", "nested map", "generators"),
    ),
    "CopyingRunner": Noticed(
        {"DAG": ["values_are_passed_by_reference"]}, passes=("gates", "map", "generators")
    ),
    "NonelessRunner": Noticed(
        {"DAG": ["none_is_a_value"]}, passes=("gates", "cycles", "map", "generators")
    ),
    "BoundlessRunner": Noticed(
        {
            "cycles": ["one_round_more_is_an_infinite_loop[declared in order 0]"],
            "nesting": ["a_nested_loop_has_the_limit_of_the_run"],
        },
        says="InfiniteLoopError should have been raised",
    ),
    "StubbornRunner": Noticed(
        {"DAG": ["a_node_whose_output_is_given_does_not_run"]},
        passes=("gates", "cycles", "map", "generators"),
    ),
    "UnbindingRunner": Noticed(
        {"nesting": ["inner_defaults_and_bindings_hold"]}, passes=("DAG", "nested map", "events")
    ),
    "SeepingRunner": Noticed(
        {"nesting": ["what_is_bound_outside_stays_outside_a_namespaced_graph"]},
        passes=("DAG", "nested map", "events"),
    ),
    "UnjoinedRunner": Noticed(
        {
            "generators": [
                "chunks_are_joined_if_all_are_text_or_all_bytes[['a', 'b']-'ab']",
                "no_chunk_at_all_gives_what_the_annotation_says",
            ]
        },
        passes=("DAG", "errors", "events"),
    ),
    "ThinningRunner": Noticed(
        {
            "map": ["a_failing_item_can_be_returned_in_its_place"],
            "errors": ["the_note_of_a_mapped_run_names_the_item"],
        },
    ),
    "OverwritingRunner": Noticed(
        {"gates": ["two_selected_writers_of_one_output_conflict"]},
        passes=("DAG", "cycles", "generators"),
    ),
    # what a failure becomes
    "WrappingRunner": Noticed(
        {
            "errors": [
                "the_exception_is_the_very_object_that_was_raised",
                "the_exception_keeps_its_type_and_arguments",
            ],
            "map": ["a_failing_item_stops_the_map"],
        },
        passes=("generators", "cycles"),
    ),
    "SwallowingRunner": Noticed(
        {
            "errors": ["the_exception_keeps_its_type_and_arguments"],
            "map": ["a_failing_item_stops_the_map"],
            "events": ["a_failing_node_is_told_before_the_run_ends_as_failed"],
        },
        says="should have been raised here, and nothing was",
        passes=("generators", "cycles"),
    ),
    "SwallowingOneKindRunner": Noticed(
        {"errors": ["an_exception_of_any_type_ends_the_run[ValueError]"]},
        says="ValueError should have been raised here, and nothing was. It was raised in a node.",
        passes=("DAG", "generators", "cycles", "map", "events"),
    ),
    "CatchingRunner": Noticed(
        {
            "cancellation": [
                "ctrl_c_in_a_node_reaches_the_caller_unchanged[a node]",
                "ctrl_c_is_not_kept_as_the_result_of_an_item",
            ]
        },
        passes=("DAG", "errors", "map"),
    ),
    "ReticentRunner": Noticed(
        {
            "events": ["a_failing_node_is_told_before_the_run_ends_as_failed"],
            "cancellation": ["the_end_of_an_interrupted_run_is_told"],
        },
        passes=("DAG", "errors", "map"),
    ),
    "SessionlessRunner": Noticed(
        {"events": ["every_item_of_a_map_tells_its_session"]},
        says="hand it to the runs",
        passes=("DAG", "errors", "map"),
    ),
    # what is refused
    "UnrefusingRunner": Noticed(
        {"capabilities": [f"{SUPPORTED}[cycles]", f"{SUPPORTED}[gates]", f"{NESTED}[cycles]"]},
        says="It ran it and returned",
    ),
    "TimidRunner": Noticed(
        {"capabilities": [f"{SUPPORTED}[gates]", f"{NESTED}[gates]"]},
        says="TimidRunner doesn't support gates",
    ),
    "RudeRunner": Noticed(
        {"capabilities": [f"{SUPPORTED}[cycles]", f"{SUPPORTED}[interrupts]", f"{NESTED}[gates]"]},
        says="by IncompatibleRunnerError, before anything runs. It raised NotImplementedError",
    ),
    "NamelessRunner": Noticed(
        {"capabilities": [f"{SUPPORTED}[cycles]", f"{NESTED}[async_nodes]"]},
        says="without naming a node",
    ),
    "ShallowRunner": Noticed(
        {
            "capabilities": [f"{NESTED}[cycles]", f"{NESTED}[gates]"],
            "nesting": ["a_nested_loop_is_seeded_from_outside"],
        },
        says="Call self.validate(graph) first",
        passes=("DAG", "gates", "cycles"),
    ),
    "TardyRunner": Noticed(
        {"capabilities": ["a_refused_graph_does_not_run_at_all[gates]"]},
        says="a graph is refused before anything runs",
        passes=("DAG", "gates", "generators"),
    ),
    # what is declared
    "BoastfulRunner": Noticed(
        {
            "capabilities": [f"{SUPPORTED}[interrupts]"],
            "interrupts": ["a_run_pauses_where_no_answer_is_given"],
            "streaming": ["events_come_in_order"],
        },
        passes=("DAG", "cycles", "errors"),
    ),
    "UnawaitingRunner": Noticed(
        {
            "capabilities": [f"{SUPPORTED}[async_nodes]"],
            "async nodes": ["async_nodes_give_what_plain_functions_give[0]"],
        },
        passes=("DAG", "gates", "map"),
    ),
    "UndeclaredCoroutineRunner": Noticed(
        {
            "capabilities": ["returns_coroutine_says_whether_run_must_be_awaited"],
            "DAG": ["a_node_runs_after_the_nodes_whose_outputs_it_takes"],
        },
        says="returns_coroutine=True",
        passes=("registration",),  # nothing can be run
    ),
    "DeclaredCoroutineRunner": Noticed(
        {"capabilities": ["returns_coroutine_says_whether_run_must_be_awaited"]},
        says="make run() an async function",
        passes=("registration",),
    ),
    "OutdatedRunner": Noticed(
        {"capabilities": ["a_runner_fits_this_version_of_the_contract"]},
        passes=("DAG", "generators", "registration"),
    ),
    "FromAnywhereRunner": Noticed(
        {
            "DAG": ["a_node_runs_after_the_nodes_whose_outputs_it_takes"],
            "generators": ["no_chunk_at_all_gives_what_the_annotation_says"],
        },
        says="a mapping of outputs or a RunResult",
        passes=("errors", "registration"),
    ),
    "UnsettledRunner": Noticed(
        {"registration": ["its_settings_are_a_frozen_dataclass_that_is_documented"]},
        says="frozen",
    ),
    # tasks and limits
    "LeakingRunner": Noticed(
        {
            "cancellation": [
                "cancelling_the_caller_ends_every_node_and_leaves_no_task",
                "a_failing_node_cancels_its_siblings",
            ]
        },
        says="left",
        passes=("DAG", "map", "errors"),
    ),
    "UnstoppableRunner": Noticed(
        {
            "cancellation": [
                "cancelling_the_caller_ends_every_node_and_leaves_no_task",
                "a_timeout_around_a_run_ends_it",
            ]
        },
        passes=("DAG", "errors", "async nodes"),
    ),
    "DismissiveRunner": Noticed(
        {"cancellation": ["cancelling_the_caller_ends_every_node_and_leaves_no_task"]},
        says="the run swallowed its cancellation",
        passes=("DAG", "errors", "async nodes"),
    ),
    "SequentialRunner": Noticed(
        {"async nodes": ["async_nodes_of_a_generation_run_together"]},
        says="the nodes of a generation must be started together",
        passes=("DAG", "map", "errors"),
    ),
    "RacingRunner": Noticed(
        {
            "concurrency": [
                f"the_results_of_a_map_are_in_item_order_{IN_ORDER}",
                f"the_lists_of_a_mapped_graph_are_in_item_order_{IN_ORDER}",
            ],
            "async nodes": ["a_map_of_async_nodes_is_in_item_order[1]"],
        },
        passes=("DAG", "map", "nested map", "errors"),
    ),
    "UnlimitedRunner": Noticed(
        {
            "concurrency": [
                "no_more_calls_at_once_than_max_concurrency[independent nodes-3]",
                "no_more_calls_at_once_than_max_concurrency[items of a map-1]",
                "no_more_calls_at_once_than_max_concurrency[its own runner-1]",
            ]
        },
        says="calls ran at once with max_concurrency=",
        passes=("DAG", "map", "async nodes"),
    ),
    "CrowdingRunner": Noticed(
        {"concurrency": ["a_nested_run_keeps_the_limit_of_the_run_around_it[1]"]},
        says="leaf_call_async",
        passes=("DAG", "map", "async nodes"),
    ),
    "SecludingRunner": Noticed(
        {
            "nesting": [
                "listeners_hear_of_a_nested_run_on_another_runner[ReferenceRunner]",
                "a_nested_run_on_another_runner_has_the_limit_of_the_run[AsyncReferenceRunner]",
            ]
        },
        passes=("DAG", "nested map", "events"),
    ),
    "RememberingRunner": Noticed(
        {"concurrency": ["runs_of_one_runner_at_once_do_not_mix"]},
        passes=("DAG", "map", "nesting"),
    ),
    # cache and transport
    "ConfusingRunner": Noticed(
        {"cache": ["nodes_with_equal_inputs_have_results_of_their_own"]},
        says="what the node does is a part of the key",
        passes=("DAG", "cycles", "map"),
    ),
    "StaleRunner": Noticed(
        {"cache": ["other_inputs_are_another_call"]},
        says="the values of the inputs are a part of the key",
        passes=("DAG", "cycles", "map"),
    ),
    "FlatteningRunner": Noticed(
        {
            "distribution": [
                "values_come_back_equal_and_of_their_type[tuple '(1, (2, [3])']",
            ],
            "DAG": ["one_output_is_stored_as_it_is_even_a_tuple"],
        },
        passes=("errors", "events", "map"),
    ),
    "TranscribingRunner": Noticed(
        {
            "distribution": ["an_exception_keeps_its_type_its_arguments_and_its_note[KeyError]"],
            "errors": ["the_exception_keeps_its_type_and_arguments"],
        },
        passes=("DAG", "cycles"),
    ),
    # what is followed and asked
    "OnePauseRunner": Noticed(
        {"interrupts": ["the_rest_of_the_generation_finishes_and_all_pauses_are_told"]},
        passes=("DAG", "streaming"),
    ),
    "LossyRunner": Noticed(
        {"streaming": ["no_chunk_is_lost"]}, passes=("DAG", "interrupts", "events")
    ),
    "LingeringRunner": Noticed(
        {"streaming": ["leaving_early_ends_the_run"]}, passes=("DAG", "interrupts", "events")
    ),
}


def failures(report):
    """Return the messages of the rules that failed, by group and rule."""
    failed = {}
    for result in report.results:
        if result.outcome == "failed":
            rule = result.rule.removeprefix("test_")
            failed.setdefault(result.group, {})[rule] = result.message
    return failed


@pytest.mark.parametrize("name", RUNNERS)
def test_the_kit_notices_what_is_wrong_with_a_runner_and_passes_the_rest(name):
    noticed = NOTICED[name]
    report = validate_runner(RUNNERS[name], groups=[*noticed.by, *noticed.passes], time_limit=30)
    failed = failures(report)
    for group, rules in noticed.by.items():
        assert set(rules) <= set(failed.get(group, ())), "a fault went unnoticed"
        for rule in rules:
            assert noticed.says in failed[group][rule]
    assert {group: failed[group] for group in noticed.passes if group in failed} == {}
    assert sum(report.counts(group).passed for group in noticed.passes) > 0


def test_every_faulty_runner_has_rules_that_must_notice_it():
    assert list(NOTICED) == list(RUNNERS)


def test_every_group_notices_somebody():
    asked = {kind.group for kind in RUNNER_RULES}
    noticing = {group for noticed in NOTICED.values() for group in noticed.by}
    assert asked - noticing == {
        "nested map",  # what is wrong there is wrong in a map or in a nested graph
        "packaging",  # needs a distribution
        "checkpoints",  # its faulty runners keep workflows, and stand with the async runner's tests
        "durability",  # as well
    }


def test_a_name_that_leads_to_another_class_is_noticed():
    register("usurped", ReferenceRunner)
    try:
        report = validate_runner(AsyncReferenceRunner, name="usurped", groups=["registration"])
    finally:
        unregister("usurped")
    assert list(failures(report)["registration"]) == ["the_name_leads_to_the_class"]


@pytest.mark.parametrize("right", [ReferenceRunner, AsyncReferenceRunner])
def test_a_runner_that_is_right_is_found_to_be_right(right):
    report = validate_runner(right)
    assert failures(report) == {}
    assert report.counts().passed > 200
