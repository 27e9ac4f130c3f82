"""A directory that only its owner can enter.

Rule of this file: we tighten what is ours and refuse what is not. Stored values are signed, so this
is the outer wall: it keeps results from being read, and other users from making us write elsewhere.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection
from pathlib import Path

from hypergraph.errors import CacheError


def private_directory(path: Path, database: Collection[str]) -> Path:
    """Return the real path of a directory with mode 0700, made if missing.

    ``database`` names the files that must be plain files of ours if they exist. A directory of ours
    that others can enter is tightened if it is empty or already holds such a file. Raises
    `CacheError` for one that belongs to another user, is reached through another user's link, or
    holds other things and is open to others.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:
            _check_link(path)
        path = path.resolve(strict=True)
        if not path.is_dir():
            raise _refusal(path, "is not a directory")
        if hasattr(os, "geteuid"):
            _make_private(path, database)
    except OSError as error:
        raise _refusal(path, f"cannot be used ({error.strerror})") from error
    return path


def _check_link(path: Path) -> None:
    status = path.lstat()
    if not stat.S_ISLNK(status.st_mode) or not hasattr(os, "geteuid"):
        return
    if status.st_uid not in (0, os.geteuid()):
        raise _refusal(path, "is a link that belongs to another user")


def _make_private(path: Path, database: Collection[str]) -> None:
    status = path.stat()
    if status.st_uid != os.geteuid():
        raise _refusal(path, "belongs to another user")
    names = set(os.listdir(path))
    if status.st_mode & 0o077:
        if names and names.isdisjoint(database):
            raise _refusal(path, "is open to other users and holds other files")
        path.chmod(0o700)
    for name in names.intersection(database):
        status = (path / name).lstat()
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
            raise _refusal(path / name, "is not a plain file of this user")


def _refusal(path: Path, problem: str) -> CacheError:
    return CacheError(
        f"The cache directory {problem}.",
        where=str(path),
        fix="give the cache a directory of its own, such as '.cache/hypergraph'",
    )
