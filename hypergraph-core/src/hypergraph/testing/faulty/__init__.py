"""Runners that are wrong on purpose, each in one way that a runner's author could get wrong.

Rule of this package: the kit must fail each of them by the rules that name its fault, and pass what is
right about it, or it tests nothing.
"""

from hypergraph.runners.base import BaseRunner
from hypergraph.testing.faulty.meaning import MISREADING
from hypergraph.testing.faulty.promising import PROMISING
from hypergraph.testing.faulty.surroundings import SURROUNDED

__all__ = ["FAULTY_RUNNERS"]

FAULTY_RUNNERS: tuple[type[BaseRunner], ...] = (*MISREADING, *PROMISING, *SURROUNDED)
