"""Configured runners: a file says which runner is used, and how it is made.

Rule of this room: what a file names is checked before it is called, and the file runs no code of its
own. Nothing here is imported by a program that names its runners itself.
"""

from typing import TYPE_CHECKING

from hypergraph._deferred import lazy_module

if TYPE_CHECKING:
    from hypergraph.config.choice import Chosen, chosen_runner, configured
    from hypergraph.config.loading import load_runner
    from hypergraph.config.resolving import resolve_runner
    from hypergraph.config.running import run

__all__ = [
    "Chosen",
    "chosen_runner",
    "configured",
    "load_runner",
    "resolve_runner",
    "run",
]

__getattr__, __dir__ = lazy_module(
    __name__,
    {
        "Chosen": "hypergraph.config.choice",
        "chosen_runner": "hypergraph.config.choice",
        "configured": "hypergraph.config.choice",
        "load_runner": "hypergraph.config.loading",
        "resolve_runner": "hypergraph.config.resolving",
        "run": "hypergraph.config.running",
    },
)
