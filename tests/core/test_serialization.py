import enum
import hmac
import multiprocessing
import os
import pathlib
import pickle
import stat
from hashlib import blake2b, sha256

import pytest
from hypothesis import given, strategies as st

from hypergraph.errors import InvalidSignatureError, KeyFileError
from hypergraph.serialization import (
    JsonSerializer,
    PickleSerializer,
    Serializer,
    default_key_file,
    load_key,
)

KEY = b"k" * 32


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return pathlib.Path.touch, (self.path,)


@given(st.recursive(st.integers() | st.text() | st.binary(), st.lists), st.binary(max_size=50))
def test_values_come_back(value, context):
    serializer: Serializer = PickleSerializer(KEY)
    assert serializer.loads(serializer.dumps(value, context), context) == value


@given(st.integers(0, 200), st.integers(1, 255))
def test_any_changed_byte_is_refused(position, change):
    serializer = PickleSerializer(KEY)
    data = bytearray(serializer.dumps({"a": "value" * 40}, b"here"))
    data[position] ^= change
    with pytest.raises(InvalidSignatureError):
        serializer.loads(bytes(data), b"here")


def test_what_is_cut_short_is_refused():
    serializer = PickleSerializer(KEY)
    data = serializer.dumps([1, 2], b"here")
    for size in range(len(data)):
        with pytest.raises(InvalidSignatureError):
            serializer.loads(data[:size], b"here")


def test_another_key_or_context_is_refused():
    data = PickleSerializer(KEY).dumps(1, b"here")
    for key, context in [(b"x" * 32, b"here"), (KEY, b"there"), (KEY, b"her"), (KEY, b"")]:
        with pytest.raises(InvalidSignatureError):
            PickleSerializer(key).loads(data, context)


def test_context_and_value_cannot_be_shifted_into_each_other():
    serializer = PickleSerializer(KEY)
    data = serializer.dumps(1, b"ab")
    with pytest.raises(InvalidSignatureError):
        serializer.loads(data, b"a")


def test_nothing_is_unpickled_without_its_signature(tmp_path):
    mark = tmp_path / "ran"
    forged = PickleSerializer(b"x" * 32).dumps(Bomb(mark), b"here")
    for data in (forged, pickle.dumps(Bomb(mark)), bytes(32) + pickle.dumps(Bomb(mark))):
        with pytest.raises(InvalidSignatureError):
            PickleSerializer(KEY).loads(data, b"here")
    assert not mark.exists()
    PickleSerializer(b"x" * 32).loads(forged, b"here")
    assert mark.exists()  # so the bomb was a real one


def test_a_short_key_is_refused():
    with pytest.raises(ValueError, match="32 bytes"):
        PickleSerializer(b"short")


def test_the_key_file_is_made_once_and_private(tmp_path):
    path = tmp_path / "deep" / "signing.key"
    key = load_key(path)
    assert len(key) == 32
    assert load_key(path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert os.listdir(path.parent) == ["signing.key"]


def _load(path, barrier, queue):
    barrier.wait()
    queue.put(load_key(path))


def test_processes_that_make_the_key_at_once_get_the_same(tmp_path):
    context = multiprocessing.get_context("spawn")
    barrier, queue = context.Barrier(4), context.Queue()
    args = (tmp_path / "signing.key", barrier, queue)
    workers = [context.Process(target=_load, args=args) for _ in range(4)]
    for worker in workers:
        worker.start()
    keys = {queue.get(timeout=60) for _ in workers}
    for worker in workers:
        worker.join()
    queue.close()
    queue.join_thread()
    assert len(keys) == 1


def test_a_key_file_that_is_not_private_is_refused(tmp_path):
    path = tmp_path / "signing.key"
    load_key(path)
    path.chmod(0o644)
    with pytest.raises(KeyFileError, match="other users") as caught:
        load_key(path)
    assert caught.value.path == str(path)
    path.chmod(0o600)
    link = tmp_path / "link.key"
    link.symlink_to(path)
    with pytest.raises(KeyFileError):
        load_key(link)
    short = tmp_path / "short.key"
    short.touch(mode=0o600)
    with pytest.raises(KeyFileError, match="fewer"):
        load_key(short)
    with pytest.raises(KeyFileError, match="cannot be read"):
        load_key(tmp_path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may chown")
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_as_key_file_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "key", 0o600)
    with pytest.raises(KeyFileError, match="not a plain file"):
        load_key(tmp_path / "key")


def test_a_key_file_of_another_user_is_refused(tmp_path):
    path = tmp_path / "signing.key"
    load_key(path)
    os.chown(path, 12345, -1)
    with pytest.raises(KeyFileError, match="another user"):
        load_key(path)


def test_the_default_key_file_is_in_the_users_data_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("HYPERGRAPH_HOME", str(tmp_path / "home"))
    assert default_key_file() == tmp_path / "home" / "signing.key"
    monkeypatch.delenv("HYPERGRAPH_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_key_file() == tmp_path / "hypergraph" / "signing.key"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("LOCALAPPDATA", raising=False)
    assert default_key_file() == pathlib.Path.home() / ".local/share/hypergraph/signing.key"
    monkeypatch.setattr("sys.platform", "darwin")
    assert "Application Support" in str(default_key_file())


# --- JSON ---------------------------------------------------------------------------------------

texts = st.text(st.characters(exclude_categories=["Cs"]))
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
    max_leaves=20,
)


@given(json_values)
def test_json_comes_back_equal_in_type_and_value(value):
    serializer: Serializer = JsonSerializer()
    data = serializer.dumps(value, b"anything")
    assert repr(serializer.loads(data, b"")) == repr(value)  # tells 1 from 1.0 and 0.0 from -0.0
    assert serializer.loads(memoryview(data), b"") == value


class Text(str):
    __slots__ = ()


class Table(dict):
    pass


class Flag(enum.IntEnum):
    UP = 1


@pytest.mark.parametrize(
    "value",
    [
        (1, 2), {1}, b"x", float("nan"), float("inf"), {1: 2}, {None: 1}, {("a",): 1}, Text("x"),
        Table(), Flag.UP, "\ud800", {"\ud800": 1}, {Text("k"): 1}, object(), 1j, bytearray(b"x"),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_json_refuses_what_would_not_come_back_equal(value):
    for nested in (value, [value], {"a": {"b": [value]}}):
        with pytest.raises((TypeError, ValueError)):
            JsonSerializer().dumps(nested, b"")


def test_json_refuses_what_never_ends():
    endless: list = []
    endless.append(endless)
    with pytest.raises(ValueError, match="200"):
        JsonSerializer().dumps(endless, b"")


@pytest.mark.parametrize(
    "data", [b"NaN", b"[Infinity]", b"-Infinity", b"", b"[1", b"\xff", b"{'a': 1}"]
)
def test_json_that_nobody_wrote_is_a_value_error(data):
    with pytest.raises(ValueError):  # noqa: PT011 - of whichever kind
        JsonSerializer().loads(data, b"")


@given(st.binary(max_size=300), st.binary(max_size=200), st.binary(min_size=32, max_size=200))
def test_small_values_are_signed_by_a_keyed_blake2b_of_context_and_pickle(value, context, key):
    data = PickleSerializer(key).dumps(value, context)
    body = len(context).to_bytes(4, "big") + context + data[32:]
    short = key if len(key) <= 64 else sha256(key).digest()
    assert data[:32] == blake2b(body, key=short, digest_size=32).digest()


def test_large_values_are_signed_by_an_hmac_of_context_and_pickle():
    for size in (8180, 8192, 8193, 100_000):
        data = PickleSerializer(KEY).dumps(bytes(size), b"here")
        body = (4).to_bytes(4, "big") + b"here" + data[32:]
        if len(data) - 32 > 8192:
            assert data[:32] == hmac.digest(KEY, body, "sha256")
        else:
            assert data[:32] == blake2b(body, key=KEY, digest_size=32).digest()
        assert PickleSerializer(KEY).loads(memoryview(data), b"here") == bytes(size)
        with pytest.raises(InvalidSignatureError):
            PickleSerializer(KEY).loads(data, b"there")
