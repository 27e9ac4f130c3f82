"""The kit fails runners that keep their runs badly, by the rules that name their fault."""

import contextlib

import pytest

from hypergraph.checkpointers import MemoryCheckpointer
from hypergraph.errors import CheckpointError, VersionMismatchError, WorkflowBusyError
from hypergraph.testing.suite.checkpointing import CheckpointRules
from hypergraph_runner_async import AsyncRunner
from tests.core.asked import failures_of, rules


class Other:
    """A checkpointer that does what another does, but for what a subclass says."""

    def __init__(self, store):
        self.store = store

    def __getattr__(self, name):
        return getattr(self.store, name)


for method in ("begin", "put", "save", "end", "get_workflow", "list_workflows", "get_steps",
               "get_state", "fork", "delete"):  # fmt: skip
    setattr(Other, method, lambda self, *given, _name=method, **options:
            getattr(self.store, _name)(*given, **options))  # fmt: skip


class Late(Other):
    """Keeps steps when the run is over."""

    def __init__(self, store):
        super().__init__(store)
        self.steps = []

    def save(self, workflow_id, step):
        self.steps.append((workflow_id, step))

    def end(self, workflow_id):
        while self.steps:
            self.store.save(*self.steps.pop(0))
        return self.store.end(workflow_id)


class Careless(Other):
    """Goes on when a step could not be kept."""

    def save(self, workflow_id, step):
        with contextlib.suppress(CheckpointError):
            return self.store.save(workflow_id, step)


class Rude(Other):
    """Takes workflows away from others."""

    def begin(self, workflow_id):
        try:
            return self.store.begin(workflow_id)
        except WorkflowBusyError:
            self.store.end(workflow_id)
            return self.store.begin(workflow_id)


def on(store):
    """Return a runner that keeps its runs by way of ``store``."""

    class Runner(AsyncRunner):
        def __init__(self, checkpointer=None):
            super().__init__(checkpointer=checkpointer and store(checkpointer))

    return Runner


class Forgetting(AsyncRunner):
    """Begins every workflow anew."""

    async def run(self, graph, inputs=None, *, workflow_id=None, **options):
        if workflow_id is not None and self.checkpointer is not None:
            with contextlib.suppress(CheckpointError):
                self.checkpointer.delete(workflow_id)
        return await super().run(graph, inputs, workflow_id=workflow_id, **options)


class Trusting(AsyncRunner):
    """Goes on with whatever graph it is given."""

    async def run(self, graph, inputs=None, **options):
        try:
            return await super().run(graph, inputs, **options)
        except VersionMismatchError:
            return await super().run(graph, inputs, **{**options, "force_resume": True})


class Clinging(AsyncRunner):
    """Holds the workflow of a run that has failed."""

    async def run(self, graph, inputs=None, **options):
        try:
            return await super().run(graph, inputs, **options)
        except LookupError:
            self.checkpointer.begin(options["workflow_id"])
            raise


CRASH = "test_after_a_crash_only_what_was_not_recorded_runs"
NOTICED_BY = {
    "late": (on(Late), {"test_a_step_is_kept_before_what_waits_for_it_begins"}),
    "careless": (on(Careless), {"test_a_run_does_not_go_on_when_a_step_cannot_be_kept"}),
    "rude": (on(Rude), {"test_a_workflow_that_is_held_is_refused_and_left_alone"}),
    "forgetting": (Forgetting, {CRASH, "test_history_is_only_added_to"}),
    "trusting": (Trusting, {"test_another_graph_is_refused_with_what_changed"}),
    "clinging": (Clinging, {"test_after_a_failure_only_what_was_not_recorded_runs"}),
}


@pytest.mark.parametrize("fault", NOTICED_BY)
def test_the_kit_notices_what_is_wrong_with_a_runner(fault):
    runner, expected = NOTICED_BY[fault]
    failed = rules(failures_of(CheckpointRules, runner))
    assert expected <= failed
    assert "test_a_finished_workflow_runs_nothing_when_nothing_is_given" not in failed or (
        fault == "forgetting"
    )


def test_what_they_stand_on_is_without_fault():
    assert failures_of(CheckpointRules, on(Other)) == {}
    assert (
        failures_of(CheckpointRules, lambda: AsyncRunner(checkpointer=MemoryCheckpointer())) == {}
    )
