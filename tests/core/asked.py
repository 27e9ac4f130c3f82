"""Which rules of one group of the conformance kit somebody breaks."""

import unittest
import warnings

from hypergraph.testing.asking import Attempt, rules_of

LIMIT = 60.0


def failures_of(kind, make, only=""):
    """Ask what ``make()`` gives for every rule whose name holds ``only``; returns id -> what failed."""
    failed = {}
    for rule in rules_of(kind):
        if only not in rule.method:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            attempt = Attempt(rule, lambda rules: make()).wait(LIMIT)
        assert attempt.finished, f"{rule.id} hangs"
        if attempt.error is not None and not isinstance(attempt.error, unittest.SkipTest):
            failed[rule.id] = str(attempt.error)
    return failed


def rules(failed):
    """Return the names of the rules, without their cases."""
    return {name.partition("[")[0] for name in failed}
