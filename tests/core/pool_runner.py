"""``PoolRunner``: every node in another process of this machine, to prove what the kit asks of such.

One pool serves all of them: processes are slow to start.
"""

import atexit
import multiprocessing
import threading
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import cloudpickle

from hypergraph import RunnerCapabilities
from hypergraph.runners import FuturesRunner

WORKERS = 2


class Pool:
    """A pool of processes that is made when it is needed, and anew when a process has died."""

    def __init__(self):
        self._lock = threading.Lock()
        self._pool = None

    def submit(self, function, *arguments):
        with self._lock:
            try:
                return self._made().submit(function, *arguments)
            except BrokenProcessPool:
                self._pool = None
                return self._made().submit(function, *arguments)

    def _made(self):
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(WORKERS, mp_context=context)
            for _ in range(WORKERS):  # all start now: one that starts while another dies would hang
                self._pool.submit(int)
        return self._pool

    def close(self):
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


POOL = Pool()
atexit.register(POOL.close)


class PoolRunner(FuturesRunner):
    """Sends a node's function and its inputs to a process; what cannot be sent runs here."""

    name = "pool"
    capabilities = RunnerCapabilities(supports_distributed=True)

    def submit(self, call):
        values = tuple(call.inputs.values())
        try:
            job = cloudpickle.dumps((call.function, values))
        except Exception:  # it cannot be sent
            return _done(call.function, values)
        return POOL.submit(_work, job, call.node.name)


def _done(function, values):
    future = Future()
    try:
        future.set_result(function(*values))
    except Exception as error:
        future.set_exception(error)
    return future


class _Packed:
    """Unpacks itself where it arrives."""

    def __init__(self, data):
        self.data = data

    def __reduce__(self):
        return cloudpickle.loads, (self.data,)


def _work(job, name):
    """Make the call in this process, and send back what can be sent."""
    function, values = cloudpickle.loads(job)
    try:
        result = function(*values)
    except BaseException as error:
        try:
            cloudpickle.loads(cloudpickle.dumps(error))
        except Exception:
            raise RuntimeError(f"node {name!r} raised {type(error).__name__}: {error}") from None
        raise
    try:
        data = cloudpickle.dumps(result)
        cloudpickle.loads(data)
    except Exception as error:
        kind = type(result).__name__
        raise TypeError(f"what node {name!r} returned, a {kind}, cannot be sent back") from error
    return _Packed(data)
