"""Running a graph: plans, the state of a run, and its life as flows of effects."""
