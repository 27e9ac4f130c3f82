import threading

import pytest

from hypergraph.cache import MISS, Cache, MemoryCache


def test_it_is_a_cache_and_starts_empty():
    cache: Cache = MemoryCache()
    assert cache.get("k") is MISS
    assert repr(MISS) == "MISS"


def test_a_hit_is_the_very_object():
    cache, value = MemoryCache(), [1]
    cache.put("k", value)
    cache.flush()
    assert cache.get("k") is value


@pytest.mark.parametrize("value", [None, 0, "", False, []])
def test_a_false_value_is_a_hit(value):
    for cache in (MemoryCache(), MemoryCache(2)):
        cache.put("k", value)
        assert cache.get("k") is value


def test_the_least_recently_used_goes_first():
    cache = MemoryCache(max_items=2)
    cache.put("a", 1)
    cache.put("b", 2)
    assert cache.get("a") == 1
    cache.put("c", 3)
    assert cache.get("b") is MISS
    cache.put("a", 4)
    cache.put("d", 5)
    assert (cache.get("a"), cache.get("c"), cache.get("d")) == (4, MISS, 5)
    assert len(cache) == cache.max_items == 2


def test_without_a_limit_all_is_kept_until_cleared():
    cache = MemoryCache()
    for i in range(1000):
        cache.put(str(i), i)
    assert len(cache) == 1000
    cache.clear()
    assert len(cache) == 0
    assert cache.get("1") is MISS


def test_a_limit_below_one_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        MemoryCache(max_items=0)


@pytest.mark.parametrize("limit", [None, 50])
def test_threads_share_it(limit):
    cache, wrong = MemoryCache(limit), []

    def work(seed):
        for i in range(3000):
            key = str((i * seed) % 100)
            found = cache.get(key)
            if found is not MISS and found != key:
                wrong.append(found)
            cache.put(key, key)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in (3, 7, 11, 13)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(cache) == (limit or 100)


def test_a_limit_that_is_no_number_is_refused():
    with pytest.raises(TypeError, match="max_items is a number of results, not a str"):
        MemoryCache(max_items="many")
