"""The command ``hypergraph``.

Rule of this file: it imports next to nothing before `main` is called, so that Ctrl-C is answered the
same way from the first moment on. `hypergraph.cli.command` does the work.
"""

import sys
from collections.abc import Sequence

from hypergraph._deferred import deferred

INTERRUPTED = 130

_parser = deferred("hypergraph.cli.command:parser_of")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with these arguments (by default the process's) and return its exit code."""
    try:
        from hypergraph.cli.command import carry_out

        return carry_out(sys.argv[1:] if argv is None else list(argv))
    except KeyboardInterrupt:
        print("hypergraph: interrupted", file=sys.stderr)
        return INTERRUPTED
