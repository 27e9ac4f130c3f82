"""What foreign code prints while it is loaded.

Rule of this file: stdout is for results, so whatever imports or makes something that others wrote (the
module of a graph, a runner, a plugin) does it within `aside`.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def aside() -> Iterator[None]:
    """Let what is printed meanwhile go to stderr; also a decorator."""
    with contextlib.redirect_stdout(sys.stderr):
        yield
