"""Values as bytes that can be trusted: signed when written, verified before being unpickled.

Rule of this file: a pickle can run code, so `pickle.loads` is reached only with bytes whose signature
was made with our key *for this very place* (the context). The key lives in a file of the user's
own, never beside the data that it signs.

Layout of signed bytes: 32 bytes signature of what follows with the context before it (4 bytes length,
big-endian, then the context itself); the pickle (protocol 5). The context is not stored. The signature
is a keyed BLAKE2b (RFC 7693) of up to 8192 bytes, and an HMAC-SHA256 of more.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import os
import pickle
import secrets
import stat
import sys
from hashlib import blake2b, sha256
from pathlib import Path
from typing import Any, NoReturn, Protocol, runtime_checkable

from hypergraph.errors import InvalidSignatureError, KeyFileError

KEY_SIZE = 32  # bytes
_MAC_SIZE = 32
_SMALL = 8192  # bytes
_JSON_DEPTH = 200


@runtime_checkable
class Serializer(Protocol):
    """Turns values into bytes and back. ``context`` says where the bytes belong."""

    def dumps(self, value: Any, context: bytes) -> bytes:
        """Return bytes for the value, which `loads` accepts only with the same context."""
        ...

    def loads(self, data: bytes | memoryview, context: bytes) -> Any:
        """Return the value, or raise `InvalidSignatureError` if the bytes cannot be trusted."""
        ...


class PickleSerializer:
    """Pickles and signs; never unpickles what this key did not sign for this context."""

    __slots__ = ("_key", "_short_key")

    def __init__(self, key: bytes) -> None:
        if len(key) < KEY_SIZE:
            raise ValueError(f"a signing key has at least {KEY_SIZE} bytes, not {len(key)}")
        self._key = key
        self._short_key = key if len(key) <= blake2b.MAX_KEY_SIZE else sha256(key).digest()

    def dumps(self, value: Any, context: bytes) -> bytes:
        """Return signed bytes. Raises whatever `pickle.dumps` raises for the value."""
        body = pickle.dumps(value, 5)
        return self._sign(context, body) + body

    def loads(self, data: bytes | memoryview, context: bytes) -> Any:
        """Return the value.

        Raises `InvalidSignatureError` before unpickling if the bytes are torn, altered, signed with
        another key or written for another context; afterwards whatever `pickle.loads` raises, for
        instance because a class no longer exists.
        """
        return pickle.loads(self.verified(data, context))  # noqa: S301 - its signature holds

    def signed(self, body: bytes | memoryview, context: bytes) -> bytes:
        """Return a pickle with its signature before it."""
        return self._sign(context, body) + body

    def verified(self, data: bytes | memoryview, context: bytes) -> bytes | memoryview:
        """Return the pickle in signed bytes. Raises `InvalidSignatureError`."""
        if type(data) is not bytes or len(data) > _SMALL:  # parts of small bytes are cheaper copied
            data = memoryview(data)
        body = data[_MAC_SIZE:]
        if not hmac.compare_digest(data[:_MAC_SIZE], self._sign(context, body)):
            raise InvalidSignatureError(
                "Stored bytes were not signed with this key for this place; they were not read.",
                fix="delete the store, or use the key file that it was written with",
            )
        return body

    def _sign(self, context: bytes, body: bytes | memoryview) -> bytes:
        """Return the keyed BLAKE2b of a few bytes, and the HMAC-SHA256 of many: each the faster one."""
        head = len(context).to_bytes(4, "big") + context
        if len(body) > _SMALL:
            mac = hmac.new(self._key, head, "sha256")
            mac.update(body)
            return mac.digest()
        return blake2b(head + body, key=self._short_key, digest_size=_MAC_SIZE).digest()


class JsonSerializer:
    """JSON for interchange: what other programs can read, and nothing that does not come back equal.

    Takes ``None``, ``bool``, ``int``, finite ``float``, ``str``, ``list`` and ``dict`` with ``str``
    keys, nested at most 200 deep; no subclasses. The bytes are *not signed*: whoever can write them
    decides what is read, though reading them never runs code.
    """

    __slots__ = ()

    def dumps(self, value: Any, context: bytes) -> bytes:
        """Return UTF-8 JSON. Raises ``TypeError`` or ``ValueError`` for any other value."""
        _check_json(value, 0)
        return json.dumps(
            value, ensure_ascii=False, allow_nan=False, separators=(",", ":")
        ).encode()

    def loads(self, data: bytes | memoryview, context: bytes) -> Any:
        """Return the value. Raises ``ValueError`` for what `dumps` cannot have written."""
        return json.loads(bytes(data), parse_constant=_refuse_constant)


def _check_json(value: Any, depth: int) -> None:
    kind = type(value)
    if kind is list or kind is dict:
        if depth == _JSON_DEPTH:
            raise ValueError(f"values are nested more than {_JSON_DEPTH} deep")
        if kind is dict:
            if any(type(key) is not str for key in value):
                raise TypeError("a key of a dict is no str")
            value = value.values()
        for item in value:
            _check_json(item, depth + 1)
    elif value is not None and kind not in (bool, int, float, str):
        raise TypeError(f"JSON has no {kind.__qualname__}")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"JSON has no {name}")


_PLACE = "set HYPERGRAPH_HOME to a directory that you may write, or name a file with key_file="


def default_key_file() -> Path:
    """Return where the user's own signing key lives.

    ``$HYPERGRAPH_HOME/signing.key`` if that is set; otherwise in the user's data directory:
    ``$XDG_DATA_HOME/hypergraph``, ``~/Library/Application Support/hypergraph`` on macOS,
    ``%LOCALAPPDATA%\\hypergraph`` on Windows, else ``~/.local/share/hypergraph``.
    """
    if home := os.environ.get("HYPERGRAPH_HOME"):
        return Path(home) / "signing.key"
    if data := os.environ.get("XDG_DATA_HOME"):
        base = Path(data)
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    elif local := os.environ.get("LOCALAPPDATA"):
        base = Path(local)
    else:
        base = Path.home() / ".local" / "share"
    return base / "hypergraph" / "signing.key"


def load_key(path: Path) -> bytes:
    """Return the signing key in this file, which is made (32 random bytes, mode 0600) if missing.

    Processes that make it at once all get the same key. Raises `KeyFileError` if the file is not
    ours, may be read by others, is a link, or holds no key.
    """
    try:
        return _read_key(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise _key_error(path, f"cannot be read ({error.strerror})", _PLACE) from error
    try:
        _create_key(path)
        return _read_key(path)
    except OSError as error:
        raise _key_error(path, f"cannot be made ({error.strerror})", _PLACE) from error


def _create_key(path: Path) -> None:
    """Make the file whole or not at all: written elsewhere, then linked to its name if free."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(KEY_SIZE))
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):  # another process was first: use its key
            os.link(draft, path)
    finally:
        draft.unlink()


def _read_key(path: Path) -> bytes:
    flags = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)  # never wait for a pipe
    descriptor = os.open(path, os.O_RDONLY | flags)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise _key_error(path, "is not a plain file")
        if hasattr(os, "geteuid"):
            if status.st_uid != os.geteuid():
                raise _key_error(path, "belongs to another user")
            if status.st_mode & 0o077:
                problem = "may be read or changed by other users"
                raise _key_error(path, problem, f"make it yours alone: chmod 600 {path.name}")
        key = file.read()
    if len(key) < KEY_SIZE:
        raise _key_error(path, f"holds fewer than {KEY_SIZE} bytes")
    return key


def _key_error(path: Path, problem: str, fix: str = "") -> KeyFileError:
    return KeyFileError(
        f"The key file that signs stored values {problem}.",
        where=str(path),
        fix=fix
        or "put back the file that was made, or name another with key_file=; only if it is lost, remove "
        "this one: a new key is made, and what the old one signed is not read any more",
        path=str(path),
    )
