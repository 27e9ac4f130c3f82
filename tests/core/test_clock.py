"""The time that a runner goes by: the computer's, and one for tests."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from hypergraph.runners.clock import Clock, SystemClock
from hypergraph.testing import ManualClock


def test_the_clock_of_the_computer_is_that_of_the_standard_library():
    clock = SystemClock()
    assert isinstance(clock, Clock)
    before = (time.perf_counter(), time.time())
    read = (clock.monotonic(), clock.time())
    after = (time.perf_counter(), time.time())
    assert before[0] <= read[0] <= after[0]
    assert before[1] <= read[1] <= after[1]
    assert clock.sleep is time.sleep


def test_a_manual_clock_stands_still():
    clock = ManualClock()
    assert isinstance(clock, Clock)
    assert [clock.monotonic(), clock.monotonic(), clock.time()] == [0, 0, 0]
    assert clock.slept == []


def test_a_manual_clock_starts_where_it_is_told_to():
    clock = ManualClock(monotonic=5.0, time=1000.0)
    clock.advance(2.5)
    assert (clock.monotonic(), clock.time()) == (7.5, 1002.5)
    assert clock.slept == []


def test_to_sleep_moves_a_manual_clock_at_once():
    clock = ManualClock()
    clock.sleep(3600)
    asyncio.run(clock.sleep_async(60))
    clock.sleep(0)
    assert clock.slept == [3600, 60, 0]
    assert clock.monotonic() == clock.time() == 3660


@pytest.mark.parametrize("move", ["advance", "sleep"])
def test_time_does_not_go_back(move):
    clock = ManualClock()
    with pytest.raises(ValueError, match="does not go back"):
        getattr(clock, move)(-1)
    assert (clock.monotonic(), clock.slept) == (0, [])


def test_no_sleep_is_lost_between_threads():
    clock = ManualClock()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(clock.sleep, [1] * 4000))
    assert len(clock.slept) == clock.monotonic() == 4000
