"""This project against hand-written Python and against its peers: `make bench`.

Rule of this package: every contender does the same work on the same plain functions, in its own
process and environment, and is asked for one round after another, so that a slow moment of the
machine hits all of them. What is reported are medians over the rounds.
"""
