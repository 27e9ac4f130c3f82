"""Caches: what was put under a key is what comes back, or nothing does."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, ClassVar

from hypergraph.cache import MISS, Cache
from hypergraph.errors import CacheError, HypergraphWarning, UncacheableValueError
from hypergraph.testing.kit import Rules, cases, fail, skip

VALUES = [
    None, 0, False, "", b"", [], {}, (), 1, 1.0, True, "é \U0001f600", (1, [2.5, None]),
    {"a": {"b": (1,)}}, {1, 2}, "x" * 100_000, b"\0" * 300_000, list(range(5000)),
]  # fmt: skip
KEYS = ["a", "A", "a ", "a|", "a/b", "../a", "a\\b", "%61", "a" * 300, "a" * 299 + "b"]
THREADS = 8


class CacheRules(Rules):
    """For every cache. ``cache`` is new and empty.

    A cache may forget whatever it likes, but not at once: what was put last is there.
    """

    group = "cache"
    copies: ClassVar[bool] = False
    """Whether the cache promises that a value does not change with the object that was put or got."""

    def reopened(self, cache: Cache) -> Cache:
        """Return a new cache over what this one keeps, as a later process would open it.

        ``cache`` was flushed and is not used again. Override it for a cache that outlives its process.
        """
        skip(
            f"{type(cache).__name__} is not said to outlive its process: reopened() is not overridden"
        )

    def tear(self, cache: Cache, key: str) -> None:
        """Damage what is kept under a key, as a full disk or a dying process would.

        ``cache`` was flushed. Override it for a cache that keeps files or rows.
        """
        skip(f"{type(cache).__name__} keeps nothing that could be torn: tear() is not overridden")

    # -- keeping -------------------------------------------------------------------------------------

    def test_it_is_a_cache(self, cache: Cache) -> None:
        assert isinstance(cache, Cache), "a cache has get, put and flush"

    def test_what_was_not_put_is_a_miss(self, cache: Cache) -> None:
        assert cache.get("a") is MISS
        cache.put("a", 1)
        assert cache.get("b") is MISS
        assert cache.get("") is MISS

    @cases("value", VALUES, ids=lambda value: f"{type(value).__name__} {str(value)[:12]!a}")
    def test_what_was_put_comes_back_equal_and_of_its_type(self, cache: Cache, value: Any) -> None:
        cache.put("k", value)
        for _ in range(2):
            found = cache.get("k")
            assert found is not MISS, "a value that is false or None is kept like any other"
            assert found == value
            assert type(found) is type(value)
            cache.flush()

    def test_a_later_value_replaces_an_earlier_one(self, cache: Cache) -> None:
        for value in (1, "x" * 100_000, None, (2,)):
            cache.put("k", value)
            assert cache.get("k") == value
            cache.flush()
            assert cache.get("k") == value

    def test_keys_are_told_apart_whatever_they_are_made_of(self, cache: Cache) -> None:
        for number, key in enumerate(KEYS):
            cache.put(key, number)
        cache.flush()
        assert {key: cache.get(key) for key in KEYS} == {key: n for n, key in enumerate(KEYS)}

    def test_flushing_changes_nothing(self, cache: Cache) -> None:
        cache.flush()
        cache.put("a", 1)
        for _ in range(3):
            cache.flush()
        cache.put("b", 2)
        assert (cache.get("a"), cache.get("b"), cache.get("c")) == (1, 2, MISS)

    def test_of_many_keys_each_gives_its_own_value_or_nothing(self, cache: Cache) -> None:
        for number in range(3000):
            cache.put(f"k{number}", [number])
        assert cache.get("k2999") == [2999], "what was put last is there"
        cache.flush()
        for number in range(3000):
            assert cache.get(f"k{number}") in ([number], MISS)

    def test_a_value_does_not_change_with_the_object(self, cache: Cache) -> None:
        if not self.copies:
            skip(f"{type(cache).__name__} does not promise copies: copies = False")
        items = [1]
        cache.put("k", items)
        items.append(2)
        cache.get("k").append(3)
        assert cache.get("k") == [1]
        cache.flush()
        cache.get("k").append(4)
        assert cache.get("k") == [1]

    # -- what cannot be kept -------------------------------------------------------------------------

    def test_a_value_that_cannot_be_kept_is_refused_and_nothing_else_is_lost(
        self, cache: Cache
    ) -> None:
        cache.put("before", 1)
        door = threading.Lock()
        try:
            cache.put("k", door)
        except UncacheableValueError as error:
            if "lock" not in error.type_name:
                fail(
                    "The error does not name the type of the value: UncacheableValueError(type_name=)."
                )
            assert cache.get("k") is MISS
        except Exception as error:
            fail(
                f"put() raised {type(error).__name__} for a value that it cannot keep. "
                "Raise UncacheableValueError(..., type_name=...)."
            )
        else:
            assert cache.get("k") is door, (
                "put() took a value that cannot be stored, and get() gave another: refuse it by "
                "UncacheableValueError"
            )
        cache.put("after", 2)
        cache.flush()
        assert (cache.get("before"), cache.get("after")) == (1, 2)

    # -- threads -------------------------------------------------------------------------------------

    def test_threads_share_it(self, cache: Cache) -> None:
        barrier = threading.Barrier(THREADS)

        def work(seed: int) -> list[Any]:
            barrier.wait(60)
            wrong = []
            for i in range(150):
                key = f"k{i * (2 * seed + 1) % 40}"
                found = cache.get(key)
                if found is not MISS and found != [key]:
                    wrong.append(found)
                cache.put(key, [key])
                if i % 50 == 0:
                    cache.flush()
            return wrong

        with ThreadPoolExecutor(THREADS) as pool:
            assert list(pool.map(work, range(THREADS))) == [[]] * THREADS
        assert cache.get("k0") == ["k0"]

    # -- caches that outlive their process -----------------------------------------------------------

    def test_what_was_flushed_is_there_for_a_later_process(self, cache: Cache) -> None:
        for number, value in enumerate(VALUES):
            cache.put(f"k{number}", value)
        cache.flush()
        later = self.reopened(cache)
        assert [later.get(f"k{number}") for number in range(len(VALUES))] == VALUES
        later.put("k0", "new")
        later.flush()
        assert self.reopened(later).get("k0") == "new"

    @cases("value", ["small", b"x" * 300_000], ids=["a small value", "a large value"])
    def test_a_torn_entry_is_a_miss_and_can_be_put_again(self, cache: Cache, value: Any) -> None:
        cache.put("whole", 1)
        cache.put("torn", value)
        cache.flush()
        with _warnings_are_fine():
            self.tear(cache, "torn")
            later = self.reopened(cache)
            try:
                found = later.get("torn")
            except CacheError:  # as good as a miss to a runner
                found = MISS
            assert found is MISS, "what is not whole must not be given: check what is read"
            assert later.get("whole") == 1, "one torn entry says nothing of the others"
            later.put("torn", value)
            later.flush()
            assert self.reopened(later).get("torn") == value


@contextmanager
def _warnings_are_fine() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HypergraphWarning)
        yield
