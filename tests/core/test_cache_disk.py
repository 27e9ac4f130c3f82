import contextlib
import gc
import multiprocessing
import os
import pathlib
import pickle
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
import warnings

import pytest

from hypergraph.cache import MISS, Cache
from hypergraph.cache.disk import DiskCache
from hypergraph.errors import (
    CacheError,
    HypergraphWarning,
    KeyFileError,
    MissingExtraError,
    UncacheableValueError,
)

POSIX = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="users and modes are POSIX's")
ROOT = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs chown")


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HYPERGRAPH_HOME", str(tmp_path / "home"))
    return tmp_path


@pytest.fixture
def make(home):
    with contextlib.ExitStack() as stack:
        yield lambda name="cache", **options: stack.enter_context(DiskCache(home / name, **options))


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return pathlib.Path.touch, (self.path,)


def sql(cache, statement, *values):
    with contextlib.closing(sqlite3.connect(cache.path / "cache.db")) as connection, connection:
        return connection.execute(statement, values).fetchall()


# --- keeping ------------------------------------------------------------------------------------


def test_what_was_put_is_there_in_a_later_cache(make):
    cache: Cache = make()
    values = {"none": None, "small": [1, 2.5, "x"], "big": b"x" * 10**6, "text": "é" * 50_000}
    assert cache.get("small") is MISS
    for key, value in values.items():
        cache.put(key, value)
    assert {key: cache.get(key) for key in values} == values
    cache.flush()
    later = make()
    assert {key: later.get(key) for key in values} == values
    assert len(later) == 4


def test_a_hit_is_a_new_copy(make):
    cache = make()
    cache.put("k", [1])
    cache.get("k").append(2)
    cache.flush()
    cache.get("k").append(2)
    assert cache.get("k") == [1]


def test_arrays_come_back_equal_and_writable(make):
    np = pytest.importorskip("numpy")
    cache, arrays = make(), [np.arange(300_000.0).reshape(3, -1), np.arange(3)]
    for i, array in enumerate(arrays):
        cache.put(str(i), array)
    cache.flush()
    first = cache.get("0")
    for i, array in enumerate(arrays):
        found = cache.get(str(i))
        assert found.dtype == array.dtype
        assert (found == array).all()
        found[0] = 7
    assert (first == arrays[0]).all()  # what was read later did not change what was read before


def test_a_later_value_replaces_an_earlier_one(make):
    cache = make()
    for value in (1, b"x" * 100_000, "z"):
        cache.put("k", value)
        cache.flush()
        assert make().get("k") == value
    assert len(cache) == 1
    assert not list(cache.path.rglob("*.val"))


def test_the_result_of_a_slow_node_is_written_at_once(make):
    cache, other = make(), make()
    cache.put("a", 1)
    time.sleep(0.05)
    cache.put("b", 2)
    assert other.get("b") == 2


def test_fast_results_are_written_together(make):
    cache, other = make(), make()
    for i in range(2000):
        cache.put(str(i), i)
    assert [cache.get(str(i)) for i in range(2000)] == list(range(2000))
    assert other.get("1000") == 1000  # the buffer is bounded
    cache.flush()
    assert [other.get(str(i)) for i in range(2000)] == list(range(2000))


def test_what_is_not_flushed_is_written_when_the_cache_goes_or_the_process_ends(home, make):
    cache = DiskCache(home / "cache")
    cache.put("a", 1)
    cache.put("b", 2)
    del cache
    gc.collect()
    assert make().get("b") == 2
    code = (
        "import sys; from hypergraph.cache.disk import DiskCache\n"
        "cache = DiskCache(sys.argv[1]); cache.put('c', 3); cache.put('d', 4)"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code, home / "cache"], check=True)
    assert make().get("d") == 4


def test_clear_forgets_everything(make):
    cache = make()
    for i in range(300):
        cache.put(str(i), b"x" * 40_000 if i == 7 else i)
    cache.clear()
    assert cache.get("7") is MISS
    assert cache.get("299") is MISS
    assert len(make()) == 0
    assert not list(cache.path.rglob("*.val"))


def test_a_closed_cache_opens_again_when_used(make):
    cache = make()
    cache.put("k", 1)
    cache.close()
    assert cache.get("k") == 1
    cache.put("l", 2)
    cache.close()
    cache.close()
    assert make().get("l") == 2


def test_the_oldest_results_go_beyond_the_size_limit(make):
    cache = make(size_limit=2_000_000)
    for i in range(60):
        cache.put(str(i), os.urandom(100_000))
        cache.flush()
    kept = [i for i in range(60) if cache.get(str(i)) is not MISS]
    assert 5 <= len(kept) < 25
    assert kept == list(range(60 - len(kept), 60))
    assert sum(file.stat().st_size for file in cache.path.rglob("*.val")) <= 2_000_000
    with pytest.raises(UncacheableValueError, match="size_limit"):
        cache.put("huge", bytes(3_000_000))
    assert cache.get("59") is not MISS
    with pytest.raises(ValueError, match="size_limit"):
        make("other", size_limit=0)


def test_what_cannot_be_pickled_is_refused_and_the_rest_is_kept(make):
    cache = make()
    cache.put("a", 1)
    with pytest.raises(UncacheableValueError) as caught:
        cache.put("b", threading.Lock())
    assert "lock" in caught.value.type_name
    cache.flush()
    assert (cache.get("a"), cache.get("b")) == (1, MISS)


def test_what_can_no_longer_be_unpickled_is_a_cache_error(make, monkeypatch):
    cache = make()
    cache.put("k", Bomb("unused"))
    monkeypatch.delattr(pathlib.Path, "touch")
    with pytest.raises(CacheError, match="AttributeError"):
        cache.get("k")


# --- trusting nothing ---------------------------------------------------------------------------


def test_a_pickle_planted_in_the_database_does_not_run(make, home):
    cache, mark = make(), home / "ran"
    for key in "abcd":
        cache.put(key, 1 if key != "d" else bytes(10**5))
    cache.flush()
    bomb = pickle.dumps(Bomb(mark))
    for mode in (0, 1, 2, 3, 4):
        sql(cache, "UPDATE Cache SET value = ?, mode = ?, filename = NULL", bomb, mode)
        with pytest.warns(HypergraphWarning, match="not signed"):
            assert make().get("a") is MISS
    sql(cache, "INSERT INTO Cache(key, raw, value, mode) VALUES (?, 0, ?, 4)", bomb, bomb)
    other = make()
    assert other.get("zzz") is MISS
    other.put("a", 5)
    other.flush()
    assert make().get("a") == 5
    other.clear()
    assert not mark.exists()


def test_a_pickle_planted_in_a_value_file_does_not_run(make, home):
    cache, mark = make(), home / "ran"
    cache.put("k", bytes(10**5))
    cache.flush()
    (file,) = cache.path.rglob("*.val")
    file.write_bytes(pickle.dumps(Bomb(mark)))
    sql(cache, "UPDATE Cache SET mode = 4")
    with pytest.warns(HypergraphWarning, match="not signed"):
        assert cache.get("k") is MISS
    assert cache.get("k") is MISS  # one warning is enough
    assert not mark.exists()
    cache.put("k", 2)
    cache.flush()
    assert make().get("k") == 2


def test_entries_cannot_be_swapped(make):
    cache = make()
    cache.put("a", "yes")
    cache.put("b", "no")
    cache.flush()
    ((value,),) = sql(cache, "SELECT value FROM Cache WHERE key = 'a'")
    sql(cache, "UPDATE Cache SET value = ? WHERE key = 'b'", value)
    with pytest.warns(HypergraphWarning):
        assert make().get("b") is MISS


@pytest.mark.parametrize("size", [0, 1, 31, 50, 100_000])
def test_a_torn_file_is_a_miss(make, size):
    cache = make()
    cache.put("k", bytes(10**6))
    cache.flush()
    (file,) = cache.path.rglob("*.val")
    os.truncate(file, size)
    with pytest.warns(HypergraphWarning):
        assert make().get("k") is MISS
    file.unlink()
    assert make().get("k") is MISS


@pytest.mark.parametrize("value", [None, 5, 1.5, "text"])
def test_a_value_of_another_type_is_a_miss(make, value):
    cache = make()
    cache.put("k", 1)
    cache.flush()
    sql(cache, "UPDATE Cache SET value = ?", value)
    with pytest.warns(HypergraphWarning):
        assert make().get("k") is MISS


def test_a_row_cannot_make_us_read_or_remove_other_files(make, home):
    victim = home / "victim.txt"
    victim.write_text("precious")
    cache = make()
    for name in (str(victim), "../victim.txt", "ab/cd/../../../victim.txt"):
        cache.put("k", 1)
        cache.flush()
        sql(cache, "UPDATE Cache SET filename = ?, value = NULL, mode = 2", name)
        with pytest.raises(CacheError):
            make().get("k")
        with contextlib.suppress(CacheError):
            other = make()
            other.put("k", 2)
            other.flush()
        with contextlib.suppress(CacheError):
            make().clear()
        assert victim.read_text() == "precious"
        sql(cache, "DELETE FROM Cache")


def test_settings_that_are_not_ours_are_refused_and_ours_win(make):
    cache = make()
    sql(cache, "UPDATE Settings SET value = 'x' WHERE key = 'disk_min_file_size'")
    sql(cache, "UPDATE Settings SET value = 'no such' WHERE key = 'eviction_policy'")
    other = make()
    other.put("k", bytes(10**5))
    other.flush()
    assert len(list(other.path.rglob("*.val"))) == 1
    sql(cache, "INSERT INTO Settings VALUES ('get', 'x')")
    with pytest.raises(CacheError, match="opened"):
        make()


def test_another_key_reads_nothing(make, home):
    one = make(key_file=home / "one.key")
    one.put("k", 1)
    one.flush()
    two = make(key_file=home / "two.key")
    with pytest.warns(HypergraphWarning):
        assert two.get("k") is MISS
    assert one.get("k") == 1


def test_the_key_is_not_in_the_cache_directory(make, home):
    cache = make()
    cache.put("k", 1)
    cache.flush()
    key = (home / "home" / "signing.key").read_bytes()
    assert all(key not in file.read_bytes() for file in cache.path.rglob("*") if file.is_file())


@POSIX
def test_directory_and_key_are_private(make, home):
    before = os.umask(0)
    try:
        cache = make()
        inner = make("new/inner")
    finally:
        os.umask(before)
    assert stat.S_IMODE(cache.path.stat().st_mode) == 0o700
    assert stat.S_IMODE(inner.path.stat().st_mode) == 0o700
    assert stat.S_IMODE((home / "home" / "signing.key").stat().st_mode) == 0o600
    cache.close()
    cache.path.chmod(0o755)
    assert stat.S_IMODE(make().path.stat().st_mode) == 0o700
    (home / "empty").mkdir(mode=0o755)
    assert stat.S_IMODE(make("empty").path.stat().st_mode) == 0o700


@POSIX
def test_a_directory_that_is_not_the_caches_is_refused_and_left_alone(make, home):
    (home / "mine").mkdir()
    (home / "mine").chmod(0o755)
    (home / "mine" / "thesis.txt").touch()
    with pytest.raises(CacheError, match="holds other files"):
        make("mine")
    assert stat.S_IMODE((home / "mine").stat().st_mode) == 0o755
    (home / "file").touch()
    with pytest.raises(CacheError, match="not a directory"):
        make("file")


@POSIX
def test_a_database_that_is_a_link_is_refused(make, home):
    target = home / "elsewhere"
    target.write_text("precious")
    (home / "cache").mkdir(mode=0o700)
    (home / "cache" / "cache.db").symlink_to(target)
    with pytest.raises(CacheError, match="plain file"):
        make()
    assert target.read_text() == "precious"


@POSIX
def test_ones_own_link_to_a_directory_is_followed(make, home):
    (home / "real").mkdir(mode=0o700)
    (home / "link").symlink_to(home / "real")
    assert make("link").path == (home / "real").resolve()


@ROOT
def test_what_belongs_to_another_user_is_refused(make, home):
    (home / "theirs").mkdir(mode=0o700)
    os.chown(home / "theirs", 12345, -1)
    with pytest.raises(CacheError, match="another user"):
        make("theirs")
    (home / "real").mkdir(mode=0o700)
    (home / "link").symlink_to(home / "real")
    os.chown(home / "link", 12345, -1, follow_symlinks=False)
    with pytest.raises(CacheError, match="another user"):
        make("link")
    (home / "real" / "cache.db").touch()
    os.chown(home / "real" / "cache.db", 12345, -1)
    with pytest.raises(CacheError, match="plain file of this user"):
        make("real")
    cache = make()
    os.chown(home / "home" / "signing.key", 12345, -1)
    with pytest.raises(KeyFileError, match="another user"):
        make()
    cache.put("k", 1)  # what is open goes on


def test_a_damaged_database_is_a_cache_error_that_says_where(make, home):
    cache = make()
    cache.put("k", 1)
    cache.close()
    (cache.path / "cache.db").write_bytes(b"no database" * 1000)
    for name in ("cache.db-wal", "cache.db-shm"):
        (cache.path / name).unlink(missing_ok=True)
    with pytest.raises(CacheError) as caught:
        make()
    assert str(cache.path) in str(caught.value)


# --- many at once -------------------------------------------------------------------------------


def _hammer(path, seed, count, barrier):
    warnings.simplefilter("error")
    cache = DiskCache(path)
    barrier.wait()
    for i in range(count):
        key = f"{seed}-{i}"
        assert cache.get(key) is MISS
        cache.put(key, bytes(40_000) if i % 50 == 0 else (seed, i))
        shared = cache.get(f"shared-{i % 10}")
        assert shared is MISS or shared == i % 10
        cache.put(f"shared-{i % 10}", i % 10)
        if i % 97 == 0:
            cache.flush()
    cache.close()


def test_processes_that_write_at_once_lose_nothing(make, home):
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(3)
    workers = [
        context.Process(target=_hammer, args=(home / "cache", seed, 600, barrier))
        for seed in range(3)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    cache = make()
    for seed in range(3):
        for i in range(600):
            expected = bytes(40_000) if i % 50 == 0 else (seed, i)
            assert cache.get(f"{seed}-{i}") == expected
    assert len(cache) == 1810


def _write_for_ever(path, ready):
    cache = DiskCache(path)
    for i in range(10**9):
        cache.put(str(i), (i, b"x" * (i % 60_000)))
        if i == 400:
            ready.set()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kill -9 is POSIX's")
def test_a_writer_killed_in_mid_write_leaves_only_whole_entries(make, home):
    context = multiprocessing.get_context("spawn")
    for _ in range(3):
        ready = context.Event()
        worker = context.Process(target=_write_for_ever, args=(home / "cache", ready))
        worker.start()
        assert ready.wait(60)
        os.kill(worker.pid, signal.SIGKILL)
        worker.join()
        cache = make()
        found = [cache.get(str(i)) for i in range(800)]
        assert all(v is MISS or v == (i, b"x" * (i % 60_000)) for i, v in enumerate(found))
        assert sum(v is not MISS for v in found) > 200
        cache.put("after", 1)
        cache.flush()
        assert make().get("after") == 1


def test_threads_share_a_cache(make):
    cache, errors = make(), []

    def work(seed):
        try:
            for i in range(400):
                cache.put(f"{seed}-{i}", (seed, i))
                assert cache.get(f"{seed}-{i}") == (seed, i)
                if i % 100 == 0:
                    cache.flush()
        except (AssertionError, CacheError) as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    cache.flush()
    assert len(make()) == 1600


def _in_child(cache, queue):
    first = cache.get("before"), cache.get("waiting")
    cache.put("child", 3)
    cache.flush()
    queue.put(first)
    queue.close()
    queue.join_thread()


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
def test_a_forked_child_uses_connections_of_its_own(make):
    cache = make()
    cache.put("before", 1)
    cache.put("waiting", 2)  # still in the buffer, which is the parent's to write
    assert cache.get("before") == 1
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_in_child, args=(cache, queue))
    child.start()
    assert queue.get(timeout=60) == (1, MISS)
    child.join()
    queue.close()
    queue.join_thread()
    assert child.exitcode == 0
    assert (cache.get("before"), cache.get("waiting"), cache.get("child")) == (1, 2, 3)
    cache.flush()
    assert make().get("waiting") == 2


def test_a_pickled_cache_opens_the_same_directory(make, home):
    cache = make(size_limit=10**7, key_file=home / "own.key")
    cache.put("k", 1)
    cache.flush()
    with pickle.loads(pickle.dumps(cache)) as other:
        assert other.get("k") == 1
        assert other.size_limit == 10**7


def test_a_directory_that_cannot_be_written_is_a_cache_error_and_reading_goes_on(make, monkeypatch):
    cache = make()
    cache.put("k", 1)
    cache.flush()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(cache._store), "set", full)
    time.sleep(0.05)  # so that the next result is written at once
    with pytest.raises(CacheError, match="written"):
        cache.put("l", 1)
    assert cache.get("k") == 1
    monkeypatch.undo()
    cache.put("l", 2)
    cache.flush()
    assert cache.get("l") == 2


def test_reads_rely_on_these_columns_of_diskcache(make):
    cache = make()
    cache.put("small", 1)
    cache.put("large", bytes(10**5))
    cache.flush()
    rows = dict(sql(cache, "SELECT key, filename FROM Cache WHERE raw = 1"))
    assert rows["small"] is None
    assert (cache.path / rows["large"]).stat().st_size > 10**5


def test_paths_expand_home_and_variables(home, monkeypatch):
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("WHERE", "here")
    with DiskCache("~/$WHERE") as cache:
        assert cache.path == (home / "here").resolve()


# --- the extra ----------------------------------------------------------------------------------


def _import_with(tmp_path, text):
    if text is not None:
        (tmp_path / "diskcache.py").write_text(text)
        block = ""
    else:
        block = "sys.modules['diskcache'] = None\n"
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{block}import hypergraph.cache.disk"
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    ).stderr


def test_without_diskcache_the_error_says_what_to_install(tmp_path):
    stderr = _import_with(tmp_path, None)
    assert MissingExtraError.__name__ in stderr
    assert 'pip install "hypergraph-core[cache]"' in stderr


def test_a_broken_diskcache_shows_its_own_error(tmp_path):
    stderr = _import_with(tmp_path, "import no_such_dependency")
    assert "No module named 'no_such_dependency'" in stderr
    assert MissingExtraError.__name__ not in stderr
