"""``python -m hypergraph``: the same as the command ``hypergraph``."""

from hypergraph.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
