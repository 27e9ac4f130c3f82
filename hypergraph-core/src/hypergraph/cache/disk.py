"""Results kept in a directory, shared by processes, over diskcache.

Rule of this file: diskcache stores *bytes under text* and never pickles; what the bytes mean is
told only by the serializer, which verifies their signature first. Writes go through diskcache's
public API, many at a time; reads through `Reader`.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sqlite3
import threading
import time
import warnings
import weakref
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self

from hypergraph.cache.base import MISS
from hypergraph.cache.directory import private_directory
from hypergraph.cache.reader import (
    DATABASE,
    DATABASE_FILES,
    LOCK_SECONDS,
    Reader,
    drain,
    value_file,
)
from hypergraph.errors import (
    CacheError,
    HypergraphWarning,
    InvalidSignatureError,
    MissingExtraError,
    UncacheableValueError,
)
from hypergraph.serialization import PickleSerializer, default_key_file, load_key

try:
    import diskcache
except ModuleNotFoundError as error:
    if error.name != "diskcache":
        raise  # diskcache is there and broken: its own error says more
    raise MissingExtraError(
        "DiskCache needs the package diskcache, which is not installed.",
        fix='pip install "hypergraph-core[cache]"',
    ) from error

FLUSH_SECONDS = 0.02  # how long a result may wait for others before it is written
FLUSH_ITEMS = 256
FLUSH_BYTES = 8 * 2**20


class DiskCache:
    """Keeps results in a directory that other processes of the same user may share.

    ``path``: the directory, made with mode 0700; ``~`` and ``$NAME`` are expanded. ``size_limit``:
    bytes on disk beyond which the oldest results go. ``key_file``: what signs the results, made if
    missing; default: `hypergraph.serialization.default_key_file`. Processes that share a directory
    need the same key file.

    Results are written together: by the first `put` more than 20 ms after the last writing, by 256
    results or 8 MiB, and by `flush`, which a runner calls at the end of each run. Threads may share
    one; a forked or pickled copy opens the directory anew. Raises `CacheError` if the directory
    cannot be used, `KeyFileError` if the key file cannot.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        size_limit: int = 2**30,
        key_file: str | os.PathLike[str] | None = None,
    ) -> None:
        if not isinstance(path, (str, os.PathLike)):
            raise TypeError(f"the path of a DiskCache is a directory, not {type(path).__name__}")
        if not isinstance(size_limit, int):
            raise TypeError(f"size_limit is a number of bytes, not a {type(size_limit).__name__}")
        if size_limit < 1:
            raise ValueError(f"size_limit must be at least 1 byte, not {size_limit}")
        name = os.path.expandvars(os.path.expanduser(os.fspath(path)))
        self._path = private_directory(Path(name).absolute(), DATABASE_FILES)
        self._size_limit = size_limit
        self._key_file = default_key_file() if key_file is None else Path(key_file)
        self._serializer = PickleSerializer(load_key(self._key_file.expanduser().absolute()))
        self._start()
        _ = self._store  # a directory that cannot be used is told now
        _OPEN.add(self)

    def _start(self) -> None:
        """Set up all that belongs to this process alone."""
        self.__dict__.pop("_store", None)
        self._lock = threading.Lock()
        self._buffer: dict[str, bytes] = {}
        self._buffered = 0  # bytes
        self._flushed = 0.0  # monotonic seconds
        self._readers: list[Reader] = []
        self._warned = False
        self._thread = threading.get_ident()

    @cached_property
    def _store(self) -> Any:
        with self._failures("opened"):
            return _open_store(self._path, self._size_limit)

    @property
    def path(self) -> Path:
        """The directory."""
        return self._path

    @property
    def size_limit(self) -> int:
        """Bytes on disk beyond which the oldest results go."""
        return self._size_limit

    def get(self, key: str) -> Any:
        """Return a new copy of what was put under the key, or `MISS`.

        What is torn, altered or signed with another key is a miss, with one warning per cache.
        Raises `CacheError` if the directory cannot be read, or the value no longer be unpickled.
        """
        data = self._buffer.get(key)
        if data is not None:
            return self._load(key, data)
        reader = self._reader()
        try:
            stored = reader.read(key)
        except Exception:
            reader.close()
            with self._failures("read"):
                raise
        try:
            return MISS if stored is None else self._load(key, stored)
        finally:
            self._readers.append(reader)  # not before: the bytes may lie in its memory

    def put(self, key: str, value: Any) -> None:
        """Keep a pickled copy of the value.

        Raises `UncacheableValueError` if it cannot be pickled or is larger than ``size_limit``,
        `CacheError` if the directory cannot be written.
        """
        try:
            data = self._serializer.dumps(value, key.encode())
        except Exception as error:
            raise _uncacheable(value, "cannot be pickled") from error
        if len(data) > self._size_limit:
            raise _uncacheable(value, "is larger than the cache's size_limit")
        with self._lock:
            self._buffer[key] = data
            self._buffered += len(data)
            full = len(self._buffer) >= FLUSH_ITEMS or self._buffered >= FLUSH_BYTES
            if full or time.monotonic() - self._flushed > FLUSH_SECONDS:
                self._write()

    def flush(self) -> None:
        """Write what is not yet written, and see what others wrote. Raises `CacheError`."""
        with self._lock:
            if self._buffer:
                self._write()
        for reader in drain(self._readers):
            reader.release()
            self._readers.append(reader)

    def clear(self) -> None:
        """Forget everything, on disk too. Raises `CacheError` if that cannot be done."""
        with self._lock:
            self._buffer = {}
            self._buffered = 0
            with self._failures("cleared"):
                self._store.clear()
        self.flush()

    def close(self) -> None:
        """Write what is not yet written and let go of the files. Any later use opens them again."""
        try:
            self.flush()
        finally:
            for reader in drain(self._readers):
                reader.close()
            if "_store" in self.__dict__:
                self._store.close()

    def __len__(self) -> int:
        """Return how many results are kept."""
        self.flush()
        with self._failures("read"):
            return len(self._store)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if "_readers" in self.__dict__:  # not when __init__ raised
            with contextlib.suppress(Exception):
                self.close()

    def __repr__(self) -> str:
        return f"<DiskCache size_limit={self._size_limit}>"

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self._path, "size_limit": self._size_limit, "key_file": self._key_file}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def _reader(self) -> Reader:
        """Take an idle reader, or open one."""
        try:
            return self._readers.pop()
        except IndexError:
            with self._failures("opened"):
                return Reader(self._path)

    def _load(self, key: str, data: bytes | memoryview) -> Any:
        """Verify and unpickle."""
        try:
            return self._serializer.loads(data, key.encode())
        except InvalidSignatureError:
            self._warn()
            return MISS
        except Exception as error:
            raise CacheError(
                f"A cached result can no longer be unpickled ({type(error).__name__}).",
                where=str(self._path),
                fix="nothing to do: it is computed again; clear() the cache to be rid of it",
            ) from error

    def _write(self) -> None:
        """Write the buffer in one transaction, and empty it. Called with the lock held."""
        try:
            with self._failures("written"):
                with self._store.transact():
                    for key, data in self._buffer.items():
                        self._store.set(key, data)
                if self._store.volume() > self._size_limit:
                    self._store.cull()
        finally:
            self._buffer = {}  # only now: until here `get` found them in it
            self._buffered = 0
            self._flushed = time.monotonic()

    @contextlib.contextmanager
    def _failures(self, action: str) -> Iterator[None]:
        """Turn every failure of the store into a `CacheError`."""
        try:
            yield
        except CacheError:
            raise
        except Exception as error:
            raise CacheError(
                f"The cache directory could not be {action} ({type(error).__name__}).",
                where=str(self._path),
                fix="see the cause above; if the directory is damaged, remove it",
            ) from error
        finally:
            if threading.get_ident() != self._thread and "_store" in self.__dict__:
                self._store.close()  # diskcache keeps a connection for every thread

    def _warn(self) -> None:
        if not self._warned:
            self._warned = True
            warnings.warn(
                "A cached result was not signed with this cache's key and was not read: it is "
                "torn, altered, or was written with another key file. It counts as a miss.",
                HypergraphWarning,
                stacklevel=3,
            )


def _uncacheable(value: object, problem: str) -> UncacheableValueError:
    name = f"{type(value).__module__}.{type(value).__qualname__}"
    return UncacheableValueError(
        f"A result of type {name} {problem}, so it is not cached.",
        fix="return something that can be stored, or use @node(cache=False)",
        type_name=name,
    )


# --- diskcache, kept from pickling and from files that are not its own --------------------------

_SETTINGS = {
    **diskcache.DEFAULT_SETTINGS,
    "cull_limit": 0,  # one check for each writing instead of one for each result
    "sqlite_mmap_size": 0,  # a mapped file that another process cuts short kills this one
}


class _BytesDisk(diskcache.Disk):  # type: ignore[misc]
    """Keys are text, values are bytes, and files have the names that diskcache itself gives them.

    The inherited class unpickles rows that say they are pickles, and opens or removes whatever path
    a row names; a database changed by others must achieve neither.
    """

    def put(self, key: Any) -> tuple[str, bool]:
        if type(key) is not str:
            raise TypeError(f"a cache key is text, not {type(key).__name__}")
        return key, True

    def get(self, key: Any, raw: Any) -> str:
        if type(key) is not str or raw != 1:
            raise ValueError("a stored key is not text")
        return key

    def store(self, value: Any, read: bool, key: Any = None) -> Any:
        if type(value) is not bytes or read:
            raise TypeError(f"a stored value is bytes, not {type(value).__name__}")
        return super().store(value, False, key=key)

    def fetch(self, mode: Any, filename: Any, value: Any, read: Any) -> NoReturn:
        raise TypeError("stored values are read by the cache itself, which verifies them")

    def remove(self, file_path: Any) -> None:
        super().remove(value_file(file_path))


def _open_store(path: Path, size_limit: int) -> Any:
    """Return the `diskcache.Cache` of this directory, with our settings whatever it says itself."""
    _check_settings(path / DATABASE)
    settings = {**_SETTINGS, "size_limit": size_limit}
    return diskcache.Cache(str(path), timeout=LOCK_SECONDS, disk=_BytesDisk, **settings)


def _check_settings(database: Path) -> None:
    """Refuse a database whose settings diskcache would set as attributes that we do not know."""
    if not database.exists():
        return
    with contextlib.closing(sqlite3.connect(database, timeout=LOCK_SECONDS)) as connection:
        try:
            names = {name for (name,) in connection.execute("SELECT key FROM Settings")}
        except sqlite3.OperationalError:
            return  # another process is just making the tables
    if not names <= {*diskcache.DEFAULT_SETTINGS, *diskcache.core.METADATA}:
        raise ValueError("the database holds settings that are not the cache's")


# --- the process: its end, and its children -----------------------------------------------------

_OPEN: weakref.WeakSet[DiskCache] = weakref.WeakSet()
_INHERITED: list[Any] = []


def _close_all() -> None:
    for cache in list(_OPEN):
        with contextlib.suppress(Exception):
            cache.close()


def _after_fork() -> None:
    """Give the child its own connections; what waits to be written is the parent's to write."""
    for cache in list(_OPEN):
        # SQLite connections must not be used across a fork, closing them included: keep them open.
        _INHERITED.append((cache.__dict__.get("_store"), cache._readers))
        cache._start()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
