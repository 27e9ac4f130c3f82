"""What is wrong with how the command was called."""

from __future__ import annotations


class UsageError(Exception):
    """The arguments cannot be carried out; the message says what is wrong and what to write."""
