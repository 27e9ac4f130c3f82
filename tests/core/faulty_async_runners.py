"""Runners on top of ``AsyncRunner`` that are wrong on purpose, each in one way."""

import dataclasses

from hypergraph.events import StreamingChunkEvent
from hypergraph_runner_async import AsyncRunner
from hypergraph_runner_async.stream import EventStream


class OnePauseRunner(AsyncRunner):
    """Tells of one answer that it waits for, though there are more."""

    async def run(self, *given, **options):
        result = await super().run(*given, **options)
        return dataclasses.replace(result, pauses=result.pauses[:1])


class _Thinned(EventStream):
    async def __anext__(self):
        while True:
            event = await super().__anext__()
            if not isinstance(event, StreamingChunkEvent) or event.index % 100 != 99:
                return event


class LossyRunner(AsyncRunner):
    """Drops a chunk now and then."""

    def iter(self, *given, **options):
        stream = super().iter(*given, **options)
        stream.__class__ = _Thinned
        return stream


class _Forgotten(EventStream):
    async def __aexit__(self, *raised):
        pass


class LingeringRunner(AsyncRunner):
    """Lets a run go on whose stream has been left."""

    def iter(self, *given, **options):
        stream = super().iter(*given, **options)
        stream.__class__ = _Forgotten
        return stream


FAULTY_ASYNC_RUNNERS = (OnePauseRunner, LossyRunner, LingeringRunner)
