"""Values as bytes that can be trusted: signed when written, verified before being unpickled.

Rule of this file: a pickle can run code, so `pickle.loads` is reached only with bytes whose HMAC
was made with our key *for this very place* (the context). The key lives in a file of the user's
own, never beside the data that it signs.

Layout of signed bytes: 32 bytes HMAC-SHA256 of all that follows, 4 bytes length of the context
(big-endian), the context, the pickle (protocol 5).
"""

from __future__ import annotations

import contextlib
import hmac
import os
import pickle
import secrets
import stat
import sys
from pathlib import Path
from typing import Any, Protocol

from hypergraph.errors import InvalidSignatureError, KeyFileError

KEY_SIZE = 32  # bytes
_MAC_SIZE = 32
_HEADER = _MAC_SIZE + 4


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

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        if len(key) < KEY_SIZE:
            raise ValueError(f"a signing key has at least {KEY_SIZE} bytes, not {len(key)}")
        self._key = key

    def dumps(self, value: Any, context: bytes) -> bytes:
        """Return signed bytes. Raises whatever `pickle.dumps` raises for the value."""
        head = len(context).to_bytes(4, "big") + context
        body = b"".join((head, pickle.dumps(value, 5)))
        return b"".join((hmac.digest(self._key, body, "sha256"), body))

    def loads(self, data: bytes | memoryview, context: bytes) -> Any:
        """Return the value.

        Raises `InvalidSignatureError` before unpickling if the bytes are torn, altered, signed with
        another key or written for another context; afterwards whatever `pickle.loads` raises, for
        instance because a class no longer exists.
        """
        view = memoryview(data)
        body = view[_MAC_SIZE:]
        start = _HEADER + len(context)
        if (
            not hmac.compare_digest(view[:_MAC_SIZE], hmac.digest(self._key, body, "sha256"))
            or view[_MAC_SIZE:start] != len(context).to_bytes(4, "big") + context
        ):
            raise InvalidSignatureError(
                "Stored bytes were not signed with this key for this place; they were not read.",
                fix="delete the store, or use the key file that it was written with",
            )
        return pickle.loads(view[start:])  # noqa: S301 - its signature holds


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
        raise _key_error(path, f"cannot be read ({error.strerror})") from error
    try:
        _create_key(path)
        return _read_key(path)
    except OSError as error:
        raise _key_error(path, f"cannot be made ({error.strerror})") from error


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
                raise _key_error(path, "may be read or changed by other users")
        key = file.read()
    if len(key) < KEY_SIZE:
        raise _key_error(path, f"holds fewer than {KEY_SIZE} bytes")
    return key


def _key_error(path: Path, problem: str) -> KeyFileError:
    return KeyFileError(
        f"The key file that signs stored values {problem}.",
        where=str(path),
        fix="remove the file, so that a new key is made (what the old one signed is then unread), "
        "or name another with key_file=",
        path=str(path),
    )
