"""Reserved for hypergraph's ``AsyncRunner``; this release holds no runner yet."""
