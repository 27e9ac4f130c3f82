"""``AsyncRunner``: runs a hypergraph on an event loop, asyncio's or trio's."""

from hypergraph_runner_async.options import AsyncOptions
from hypergraph_runner_async.runner import AsyncRunner
from hypergraph_runner_async.settings import AsyncSettings
from hypergraph_runner_async.stream import EventStream

__all__ = ["AsyncOptions", "AsyncRunner", "AsyncSettings", "EventStream"]
