"""Reserved for hypergraph's ``DBOSAsyncRunner``; this release holds no runner yet."""
