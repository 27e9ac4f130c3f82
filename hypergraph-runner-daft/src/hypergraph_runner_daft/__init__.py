"""Reserved for hypergraph's ``DaftRunner``; this release holds no runner yet."""
