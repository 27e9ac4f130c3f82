"""One module per contender: ``PREPARE`` maps a kind of case to a function that sets it up.

Rule of this package: a preparation takes an empty directory and a size, and returns a call without
arguments, which does the work once and returns the answer. Each contender is set up as its own
documentation does it, in its fastest sensible configuration within one process and without
telemetry. A kind that a contender cannot express is left out.
"""
