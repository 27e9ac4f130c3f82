import pickle
from dataclasses import FrozenInstanceError

import pytest

from hypergraph.errors import MissingInputError
from hypergraph.results import PauseInfo, PauseReason, RunResult, RunStatus, new_run_id


def pause(name: str) -> PauseInfo:
    return PauseInfo(
        reason=PauseReason.HUMAN_INPUT,
        node_name=f"review/{name}",
        response_param="answer",
        response_key="answer",
        value="Is this good?",
    )


def test_a_result_reads_like_the_mapping_of_its_outputs() -> None:
    result = RunResult(values={"x": 1, "y": 2})
    assert result["x"] == 1
    assert "y" in result
    assert "z" not in result
    assert list(result) == list(result.keys()) == ["x", "y"]
    assert list(result.items()) == [("x", 1), ("y", 2)]
    assert dict(result) == {"x": 1, "y": 2}


def test_an_absent_output_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="z"):
        RunResult(values={})["z"]


def test_a_result_without_outputs_is_still_true() -> None:
    assert RunResult(values={})


def test_a_plain_result_is_completed_and_has_nothing_else() -> None:
    result = RunResult(values={})
    assert result.status is RunStatus.COMPLETED
    assert not result.paused
    assert (result.workflow_id, result.pause, result.pauses, result.error) == (None, None, (), None)
    assert result.children == {}


def test_the_first_of_several_pauses_is_the_pause() -> None:
    first, second = pause("a"), pause("b")
    result = RunResult(values={}, status=RunStatus.PAUSED, pauses=(first, second))
    assert result.paused
    assert result.pause is first


def test_a_single_pause_is_also_all_of_them() -> None:
    only = pause("a")
    assert RunResult(values={}, status=RunStatus.PAUSED, pause=only).pauses == (only,)


def test_a_result_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        RunResult(values={}).status = RunStatus.FAILED  # type: ignore[misc]


def test_a_result_survives_pickling() -> None:
    result = RunResult(values={"x": 1}, children={"inner": RunResult(values={"y": 2})})
    assert pickle.loads(pickle.dumps(result)) == result


def test_run_ids_are_unique_and_sort_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    times = [1, 2, 10, 1_700_000_000_000_000_000, 1_800_000_000_000_000_000]
    clock = iter(times)
    monkeypatch.setattr("hypergraph.results.time.time_ns", lambda: next(clock))
    made = [new_run_id() for _ in times]
    assert made == sorted(made)
    monkeypatch.setattr("hypergraph.results.time.time_ns", lambda: 7)
    assert new_run_id() != new_run_id()
    assert made[0].startswith("run-")


def test_an_error_survives_pickling_with_its_attributes_and_notes() -> None:
    error = MissingInputError("what", where="where", fix="fix", missing=("x",))
    error.add_note("a note")
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.missing, copy.__notes__) == (str(error), ("x",), ["a note"])


def test_an_output_that_is_not_there_is_missed_by_name_and_status():
    pause = PauseInfo(
        reason=PauseReason.HUMAN_INPUT, node_name="ask", response_param="go", response_key="go"
    )
    result = RunResult(values={"draft": 1}, status=RunStatus.PAUSED, pause=pause)
    with pytest.raises(KeyError) as caught:
        result["drift"]
    assert caught.value.name == "drift"
    assert "The run is paused at 'ask', and there is no output 'drift'." in str(caught.value)
    assert "Did you mean 'draft'?" in str(caught.value)
    assert (result.get("drift"), result.get("draft")) == (None, 1)
