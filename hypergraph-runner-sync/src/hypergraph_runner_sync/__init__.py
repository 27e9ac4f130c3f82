"""``SyncRunner``: runs a hypergraph in the calling thread and returns a dict."""

from hypergraph_runner_sync.runner import SyncRunner

__all__ = ["SyncRunner"]
