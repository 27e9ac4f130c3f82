"""What needs a package that hypergraph does not require; each module names its own."""
