"""When a node is tried again, how long one try may last, and what is refused."""

import asyncio
import copy
import functools
import itertools
import math
import pickle
from datetime import timedelta

import pytest
from hypothesis import given, strategies as st

from hypergraph import (
    END,
    Graph,
    GraphConfigError,
    RetryPolicy,
    TypeRouteNode,
    branch,
    node,
    route,
)
from hypergraph.execution.keys import definition_key

ONCE_MORE = RetryPolicy(maximum_attempts=2)


class RefusedError(ValueError):
    pass


def delays(policy: RetryPolicy, count: int, random: float = 0.0) -> list[float | None]:
    return [policy.delay(attempt, OSError(), random) for attempt in range(1, count + 1)]


# --- delays -----------------------------------------------------------------------------------


def test_without_options_the_delay_doubles_from_a_second_to_a_hundred_and_never_ends():
    assert delays(RetryPolicy(), 9) == [1, 2, 4, 8, 16, 32, 64, 100, 100]
    assert RetryPolicy().delay(10**6, OSError(), 0.0) == 100


def test_the_delays_follow_the_interval_the_coefficient_and_the_maximum():
    policy = RetryPolicy(initial_interval=0.5, backoff_coefficient=3, maximum_interval=10)
    assert delays(policy, 5) == [0.5, 1.5, 4.5, 10, 10]


def test_the_maximum_is_a_hundred_times_the_initial_interval_by_default():
    assert RetryPolicy(initial_interval=3).delay(50, OSError(), 0.0) == 300


def test_a_coefficient_of_one_keeps_the_delay():
    assert delays(RetryPolicy(backoff_coefficient=1), 3) == [1, 1, 1]


def test_an_interval_of_zero_waits_not_at_all():
    assert delays(RetryPolicy(initial_interval=0), 3) == [0, 0, 0]


def test_the_attempts_include_the_first():
    assert delays(RetryPolicy(maximum_attempts=3), 4) == [1, 2, None, None]
    assert delays(RetryPolicy(maximum_attempts=1), 1) == [None]


def test_intervals_may_be_timedeltas_and_are_kept_in_seconds():
    policy = RetryPolicy(
        initial_interval=timedelta(milliseconds=250), maximum_interval=timedelta(minutes=1)
    )
    assert policy == RetryPolicy(initial_interval=0.25, maximum_interval=60)
    assert (policy.initial_interval, policy.maximum_interval) == (0.25, 60.0)


@pytest.mark.parametrize("attempt", [1100, 10_000, 10**9])
def test_a_power_beyond_all_numbers_is_the_maximum(attempt):
    assert RetryPolicy(backoff_coefficient=1e300).delay(attempt, OSError(), 0.0) == 100


@pytest.mark.parametrize(
    ("jitter", "random", "expected"),
    [(0.5, 0.0, 8), (0.5, 0.5, 6), (0.5, 0.999999, 4), (1, 0.75, 2), (0, 0.9, 8)],
)
def test_jitter_takes_up_to_its_fraction_off_a_delay(jitter, random, expected):
    delay = RetryPolicy(jitter=jitter).delay(4, OSError(), random)
    assert delay == pytest.approx(expected, rel=1e-5)


def test_without_options_a_tenth_of_a_delay_is_left_to_chance():
    assert RetryPolicy().delay(1, OSError(), 0.5) == pytest.approx(0.95)


@given(
    initial=st.floats(0, 1e6),
    coefficient=st.floats(1, 1e6),
    spread=st.floats(1, 1e3) | st.none(),
    jitter=st.floats(0, 1),
    attempt=st.integers(1, 10**7),
    random=st.floats(0, 1, exclude_max=True),
)
def test_every_delay_is_between_zero_and_the_maximum(
    initial, coefficient, spread, jitter, attempt, random
):
    policy = RetryPolicy(
        initial_interval=initial,
        backoff_coefficient=coefficient,
        maximum_interval=None if spread is None else initial * spread,
        jitter=jitter,
    )
    most = initial * 100 if policy.maximum_interval is None else policy.maximum_interval
    delay = policy.delay(attempt, OSError(), random)
    assert delay is not None
    assert 0 <= delay <= most
    assert delay <= (policy.delay(attempt, OSError(), 0.0) or 0)
    assert delay >= min(initial, most) * (1 - jitter) * (1 - 1e-9)


# --- which errors -----------------------------------------------------------------------------

HERE = RefusedError.__module__


@pytest.mark.parametrize(
    "listed",
    [
        RefusedError,
        ValueError,
        Exception,
        "RefusedError",
        f"{HERE}.RefusedError",
        "ValueError",
        "builtins.ValueError",
    ],
)
def test_a_listed_error_and_its_subclasses_fail_at_once(listed):
    policy = RetryPolicy(non_retryable_errors=(KeyError, listed))
    assert not policy.retries(RefusedError())
    assert policy.delay(1, RefusedError(), 0.0) is None


@pytest.mark.parametrize(
    "listed", [KeyError, "KeyError", "Ref", "refusederror", "other.RefusedError"]
)
def test_an_error_that_is_not_listed_is_retried(listed):
    policy = RetryPolicy(non_retryable_errors=[listed])
    assert policy.retries(RefusedError())
    assert policy.delay(1, RefusedError(), 0.0) == 1


def test_a_class_inside_another_has_both_names():
    class InnerError(Exception):
        pass

    for name in (
        "InnerError",
        InnerError.__qualname__,
        f"{InnerError.__module__}.{InnerError.__qualname__}",
    ):
        assert not RetryPolicy(non_retryable_errors=(name,)).retries(InnerError())


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), SystemExit(1), GeneratorExit(), asyncio.CancelledError()]
)
def test_what_is_no_exception_is_never_retried(error):
    assert not RetryPolicy().retries(error)
    assert RetryPolicy().delay(1, error, 0.0) is None


def test_a_policy_is_a_value():
    policy = RetryPolicy(
        maximum_attempts=3, non_retryable_errors=[RefusedError, "httpx.InvalidURL"]
    )
    assert policy.non_retryable_errors == (RefusedError, "httpx.InvalidURL")
    same = pickle.loads(pickle.dumps(policy))
    assert same == policy == copy.deepcopy(policy)
    assert hash(same) == hash(policy)
    assert policy != ONCE_MORE
    assert "maximum_attempts=3" in repr(policy)
    with pytest.raises(AttributeError):
        policy.jitter = 0.5


# --- what makes no policy ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "problem", "fix"),
    [
        ({"initial_interval": -1}, "initial_interval is -1.", "give seconds"),
        ({"initial_interval": timedelta(-1)}, "initial_interval is -86400.", "give seconds"),
        ({"initial_interval": math.nan}, "initial_interval is nan.", "give seconds"),
        ({"initial_interval": math.inf}, "initial_interval is inf.", "give seconds"),
        ({"initial_interval": 10**400}, "initial_interval is inf.", "give seconds"),
        ({"initial_interval": "1s"}, "initial_interval is of type str", "timedelta"),
        ({"initial_interval": None}, "initial_interval is of type NoneType", "timedelta"),
        ({"initial_interval": True}, "initial_interval is of type bool", "timedelta"),
        ({"maximum_interval": 0.5}, "maximum_interval is 0.5.", "at least the initial interval"),
        ({"backoff_coefficient": 0.9}, "backoff_coefficient is 0.9.", "from 1 on"),
        ({"backoff_coefficient": timedelta(2)}, "of type timedelta", "from 1 on"),
        ({"maximum_attempts": -1}, "maximum_attempts is -1", "0 for no limit"),
        ({"maximum_attempts": 2.0}, "maximum_attempts is of type float", "0 for no limit"),
        ({"maximum_attempts": True}, "maximum_attempts is of type bool", "0 for no limit"),
        ({"maximum_attempts": None}, "maximum_attempts is of type NoneType", "0 for no limit"),
        ({"jitter": 1.5}, "jitter is 1.5.", "from 0 to 1"),
        ({"jitter": -0.1}, "jitter is -0.1.", "from 0 to 1"),
        ({"jitter": True}, "jitter is of type bool", "from 0 to 1"),
        ({"non_retryable_errors": ValueError}, "the class ValueError", "(ValueError,"),
        ({"non_retryable_errors": "ValueError"}, "given str", "(ValueError,"),
        ({"non_retryable_errors": 5}, "given int", "(ValueError,"),
        ({"non_retryable_errors": (int,)}, "lists <class 'int'>", "(ValueError,"),
        ({"non_retryable_errors": (ValueError(),)}, "lists a ValueError", "(ValueError,"),
        ({"non_retryable_errors": ("Value Error",)}, "lists 'Value Error'", "(ValueError,"),
        ({"non_retryable_errors": ("",)}, "lists ''", "(ValueError,"),
    ],
)
def test_what_makes_no_policy_is_refused_with_advice(options, problem, fix):
    with pytest.raises(GraphConfigError) as caught:
        RetryPolicy(**options)
    assert problem in caught.value.what
    assert caught.value.where == "RetryPolicy"
    assert fix in caught.value.fix


# --- on nodes ---------------------------------------------------------------------------------


async def fetch(url: str) -> str:
    return url


def plain(x: int) -> int:
    return x


def made(kind, func, **options):
    if kind == "node":
        return node(func, **options)
    if kind == "decorator":
        return node(**options)(func)
    if kind == "branch":
        return branch(when_true="a", when_false=END, **options)(func)
    return route(targets=["a", END], **options)(func)


KINDS = ["node", "decorator", "branch", "route"]
every_kind = pytest.mark.parametrize("kind", KINDS)


@every_kind
def test_a_node_keeps_its_policies(kind):
    step = made(kind, fetch, retry=ONCE_MORE, timeout=timedelta(seconds=1.5))
    assert step.retry is ONCE_MORE
    assert step.timeout == 1.5
    assert made(kind, plain, retry=ONCE_MORE).timeout is None


@every_kind
def test_a_node_has_no_policies_unless_they_are_given(kind):
    step = made(kind, fetch)
    assert (step.retry, step.timeout) == (None, None)


def test_a_gate_by_type_has_no_policies():
    gate = TypeRouteNode("kind", "x", routes={int: "a"}, fallback=END)
    assert (gate.retry, gate.timeout) == (None, None)


@every_kind
def test_policies_stay_when_a_node_is_renamed_copied_or_pickled(kind):
    step = made(kind, fetch, retry=ONCE_MORE, timeout=2, rename_inputs={"url": "address"})
    variants = [
        step.with_name("other"),
        step.with_inputs(address="link"),
        copy.copy(step),
        copy.deepcopy(step),
        pickle.loads(pickle.dumps(step)),
    ]
    if step.outputs:
        variants.append(step.with_outputs({step.outputs[0]: "page"}))
    assert [(one.retry, one.timeout) for one in variants] == [(ONCE_MORE, 2.0)] * len(variants)


@every_kind
def test_policies_belong_neither_to_the_definition_nor_to_the_cache_key(kind):
    steps = [
        made(kind, fetch, name="step"),
        made(kind, fetch, name="step", retry=ONCE_MORE),
        made(kind, fetch, name="step", retry=RetryPolicy(), timeout=3),
    ]
    assert len({step.definition_hash for step in steps}) == 1
    assert len({definition_key(step) for step in steps}) == 1


@every_kind
@pytest.mark.parametrize(
    ("retry", "problem", "attempts"),
    [
        (5, "retry is 5, which says how often and not when", 5),
        (0, "retry is of type int", 3),
        (True, "retry is of type bool", 3),
        (2.5, "retry is of type float", 3),
        ({"maximum_attempts": 2}, "retry is of type dict", 3),
        (RetryPolicy, "retry is the class RetryPolicy itself", 3),
    ],
)
def test_a_retry_that_is_no_policy_is_refused_with_advice(kind, retry, problem, attempts):
    with pytest.raises(GraphConfigError) as caught:
        made(kind, plain, retry=retry)
    assert problem in caught.value.what
    assert "node 'plain', plain (" in caught.value.where
    assert caught.value.fix == f"write retry=RetryPolicy(maximum_attempts={attempts})."


def count_to(n):
    yield from range(n)


class Adding:
    def __call__(self, x):
        return x


@every_kind
@pytest.mark.parametrize("func", [plain, functools.partial(plain, x=1), Adding()])
def test_a_timeout_that_cannot_be_enforced_is_refused(kind, func):
    with pytest.raises(GraphConfigError, match="cannot be enforced") as caught:
        made(kind, func, name="step", timeout=1)
    assert "node 'step'" in caught.value.where
    assert caught.value.fix == ("make it async def, or use the timeout of the library it calls.")


def test_a_timeout_on_a_generator_that_is_not_async_is_refused():
    with pytest.raises(GraphConfigError, match="cannot be enforced"):
        node(count_to, timeout=1)


async def stream(n):
    for i in range(n):
        yield i


class AsyncCallable:
    async def __call__(self, x):
        return x


@pytest.mark.parametrize("func", [fetch, stream, functools.partial(fetch, url=""), AsyncCallable()])
def test_whatever_is_async_may_have_a_timeout(func):
    assert node(func, name="step", timeout=0.5).timeout == 0.5


@every_kind
@pytest.mark.parametrize(
    ("timeout", "problem"),
    [
        (0, "timeout is 0."),
        (-1, "timeout is -1."),
        (timedelta(0), "timeout is 0."),
        (math.inf, "timeout is inf."),
        (math.nan, "timeout is nan."),
        ("1s", "timeout is of type str"),
        (True, "timeout is of type bool"),
    ],
)
def test_a_timeout_that_is_no_span_of_time_is_refused_with_advice(kind, timeout, problem):
    with pytest.raises(GraphConfigError) as caught:
        made(kind, fetch, timeout=timeout)
    assert problem in caught.value.what
    assert "node 'fetch', fetch (" in caught.value.where
    assert "more than 0" in caught.value.fix


@every_kind
def test_a_misspelt_option_is_a_type_error(kind):
    with pytest.raises(TypeError, match="retries"):
        made(kind, plain, retries=ONCE_MORE)


# --- what a graph knows of it -----------------------------------------------------------------


def test_a_graph_knows_whether_a_node_in_it_or_below_has_policies():
    quiet = Graph([node(plain)], name="quiet")
    retried = Graph([node(plain, retry=ONCE_MORE)], name="retried")
    timed = Graph([node(fetch, timeout=1)], name="timed")
    gated = Graph([node(plain, name="a"), made("branch", plain, retry=ONCE_MORE, name="gate")])
    for graph, expected in ((quiet, False), (retried, True), (timed, True), (gated, True)):
        assert graph.nesting.has_policies is expected
        outer = Graph([graph.as_node(name="inner")])
        assert outer.nesting.has_policies is expected
        assert Graph([outer.as_node(name="outer")]).nesting.has_policies is expected


def test_policies_are_no_feature_that_a_runner_must_have():
    policies = itertools.product((None, ONCE_MORE), (None, 1))
    features = {Graph([node(fetch, retry=r, timeout=t)]).features for r, t in policies}
    assert len(features) == 1
