"""The kit fails caches that are wrong on purpose, by the rules that name their fault, and no others."""

import pickle

import pytest

from hypergraph import MemoryCache
from hypergraph.cache import MISS
from hypergraph.testing.suite.caches import CacheRules
from tests.core.asked import failures_of, rules


class Noneless(MemoryCache):
    """Takes None for nothing."""

    def get(self, key):
        value = super().get(key)
        return MISS if value is None else value


class Firm(MemoryCache):
    """Keeps what was put first."""

    def put(self, key, value):
        if self.get(key) is MISS:
            super().put(key, value)


class Filing(MemoryCache):
    """Makes names of files of its keys, which are short and know no case."""

    def get(self, key):
        return super().get(key.lower()[:64])

    def put(self, key, value):
        super().put(key.lower()[:64], value)


class Listing(MemoryCache):
    """Keeps values in a format that has no tuples."""

    def put(self, key, value):
        super().put(key, list(value) if type(value) is tuple else value)


class Pickling(MemoryCache):
    """Lets an error of its format out."""

    def put(self, key, value):
        super().put(key, pickle.loads(pickle.dumps(value)))


class Small(MemoryCache):
    """Drops what was put last when it is full."""

    def put(self, key, value):
        if len(self) < 100:
            super().put(key, value)


class Slow(MemoryCache):
    """Has what was put only after a flush."""

    def __init__(self):
        super().__init__()
        self.waiting = {}

    def put(self, key, value):
        self.waiting[key] = value

    def flush(self):
        for key, value in self.waiting.items():
            super().put(key, value)


EQUAL = "test_what_was_put_comes_back_equal_and_of_its_type"
NOTICED_BY = {
    Noneless: {EQUAL, "test_a_later_value_replaces_an_earlier_one"},
    Firm: {"test_a_later_value_replaces_an_earlier_one"},
    Filing: {"test_keys_are_told_apart_whatever_they_are_made_of"},
    Listing: {EQUAL, "test_a_later_value_replaces_an_earlier_one"},
    Pickling: {"test_a_value_that_cannot_be_kept_is_refused_and_nothing_else_is_lost"},
    Small: {"test_of_many_keys_each_gives_its_own_value_or_nothing"},
}


@pytest.mark.parametrize("faulty", NOTICED_BY)
def test_the_kit_notices_what_is_wrong_with_a_cache(faulty):
    assert rules(failures_of(CacheRules, faulty)) == NOTICED_BY[faulty]


def test_what_is_there_only_after_a_flush_is_noticed():
    assert EQUAL in rules(failures_of(CacheRules, Slow))


class Persistent(CacheRules):
    """Asks for copies, and for what later processes find."""

    copies = True

    def reopened(self, cache):
        return cache.later()

    def tear(self, cache, key):
        cache.kept[key] = cache.kept[key][: len(cache.kept[key]) // 2] + b"."


class Trusting:
    """Keeps pickles, and believes them."""

    def __init__(self, kept=None):
        self.kept = {} if kept is None else kept
        self.fresh = {}

    def get(self, key):
        if key in self.fresh:
            return self.fresh[key]
        try:
            return pickle.loads(self.kept[key])
        except KeyError:
            return MISS
        except Exception:
            return None

    def put(self, key, value):
        self.fresh[key] = value
        self.kept[key] = pickle.dumps(value)

    def flush(self):
        self.fresh.clear()

    def later(self):
        return Trusting(self.kept)


class Forgetting(Trusting):
    def later(self):
        return Forgetting()


def test_promises_of_persistent_caches_are_asked_for():
    noticed = rules(failures_of(Persistent, Trusting))
    assert noticed == {
        "test_a_value_does_not_change_with_the_object",
        "test_a_torn_entry_is_a_miss_and_can_be_put_again",
        "test_a_value_that_cannot_be_kept_is_refused_and_nothing_else_is_lost",
    }
    assert "test_what_was_flushed_is_there_for_a_later_process" in rules(
        failures_of(Persistent, Forgetting)
    )
