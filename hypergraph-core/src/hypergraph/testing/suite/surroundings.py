"""What the rules about a runner's surroundings stand on: options, time limits, several runs at once.

Rule of this file: helpers only. What is waited for has a limit of time, and no rule depends on how long
anything takes: a wait that ends early makes a rule less strict, never wrong.
"""

from __future__ import annotations

import asyncio
import inspect
import re
import threading
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, ClassVar

from hypergraph.content import register_key
from hypergraph.events import Event
from hypergraph.graph import Graph
from hypergraph.nodes import node
from hypergraph.runners.base import BaseRunner
from hypergraph.testing.kit import Journal, fail, skip
from hypergraph.testing.suite.base import RunnerRules

register_key(Journal, lambda journal: ())  # what it notes does not change what a function returns

TURNS = 300  # of the event loop, after which nobody else will come
GLANCE = 0.05  # seconds that a blocking node waits for others, which may never come


@node(output_name="same")
def same(x: int) -> int:
    return x


SAME = Graph([same], name="same")


class Surroundings(RunnerRules):
    """Helpers. Override the methods about event loops for a runner that needs another than asyncio's."""

    patience: ClassVar[float] = 45.0
    """Seconds after which something that should have ended hangs."""

    # -- options -------------------------------------------------------------------------------

    def with_options(self, runner: BaseRunner, **options: Any) -> BaseRunner:
        """Return a runner such as this one, made with these options.

        Override it for a class that needs more than these, or is of no use before it is entered. A
        class that does not take them ends the rule as skipped.
        """
        kind = type(runner)
        taken = inspect.signature(kind).parameters
        open_ended = any(p.kind is p.VAR_KEYWORD for p in taken.values())
        for name in options:
            if name not in taken and not open_ended:
                skip(f"{kind.__name__} is not made with {name}=")
        try:
            return kind(**options)
        except TypeError as error:
            for name in options:
                if name not in taken and f"'{name}'" in str(error):
                    skip(f"{kind.__name__} is not made with {name}=")
            raise

    def needs_option(self, runner: BaseRunner, **options: Any) -> None:
        """Return if ``run()`` takes these options; else end the rule as skipped."""
        for name, value in options.items():
            try:
                self.called(runner, runner.run, SAME, {"x": 1}, **{name: value})
            except TypeError as error:
                if f"'{name}'" not in str(error):
                    raise
                skip(f"{type(runner).__name__}.run() takes no {name}=")

    def shares_the_loop(self, runner: BaseRunner) -> None:
        """Skip what only makes sense where nodes run on the event loop of the caller."""
        if not runner.capabilities.returns_coroutine:
            skip(f"{type(runner).__name__} is not awaited: returns_coroutine is not declared")
        self.stays_here(runner)

    # -- time ----------------------------------------------------------------------------------

    def in_time(self, call: Callable[[], Any]) -> Any:
        """Return what ``call()`` returns, or raise what it raises; fail if it hangs."""
        ended: list[Any] = []

        def work() -> None:
            try:
                ended.append((call(), None))
            except BaseException as error:
                ended.append((None, error))

        thread = threading.Thread(target=work, daemon=True, name="kit")
        thread.start()
        thread.join(self.patience)
        if not ended:
            fail(f"The run hangs: it has not ended within {self.patience:.0f} seconds.")
        result, error = ended[0]
        if error is not None:
            raise error
        return result

    # -- several at once, in one event loop ------------------------------------------------------

    async def together(self, *calls: Callable[[], Awaitable[Any]]) -> list[Any]:
        """Await all of these calls at once, and return what they return."""
        return await asyncio.gather(*(call() for call in calls))

    async def cancelled_when(
        self, ready: Callable[[], object], call: Callable[[], Awaitable[Any]]
    ) -> BaseException | None:
        """Begin a call in a task of its own, cancel that as soon as ``ready()`` is true, and wait for
        its end. Returns what it raised; fails if it was over before."""

        async def body() -> None:
            await call()

        task = asyncio.create_task(body())
        while not ready():
            if task.done():
                fail(f"The run ended before it could be cancelled: {task!r}")
            await self.pause()
        task.cancel()
        (raised,) = await asyncio.gather(task, return_exceptions=True)
        return raised

    def living_tasks(self) -> int:
        """Return how many tasks there are in this event loop."""
        return len(asyncio.all_tasks())

    # -- nodes that wait for each other ----------------------------------------------------------

    def node_at_work(
        self, name: str, ready: Callable[[list[str], int], object], awaits: bool
    ) -> Any:
        """Return a node ``x -> of_<name>`` that notes ``in <name> <x>``, waits, notes ``out <name> <x>``
        and returns x. It waits until ``ready(lines of the journal, x)``, and not for ever."""
        journal, pause = self.journal, self.pause

        def work(x: int) -> int:
            journal.note(f"in {name} {x}")
            until = time.monotonic() + GLANCE
            while time.monotonic() < until and not ready(journal.lines, x):
                time.sleep(GLANCE / 20)
            journal.note(f"out {name} {x}")
            return x

        async def work_and_wait(x: int) -> int:
            journal.note(f"in {name} {x}")
            for _ in range(TURNS):
                if ready(journal.lines, x):
                    break
                await pause()
            journal.note(f"out {name} {x}")
            return x

        return node(work_and_wait if awaits else work, name=name, output_name=f"of_{name}")


class Told:
    """A listener that keeps all events."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def on_event(self, event: Event) -> None:
        """Keep the event."""
        self.events.append(event)

    def of(self, *kinds: type[Event]) -> list[Any]:
        """Return the events of these types."""
        return [event for event in self.events if type(event) in kinds]


def never(lines: list[str], x: int) -> bool:
    """Wait as long as there is patience."""
    return False


def most_inside(lines: Iterable[str]) -> int:
    """Return how many were between their ``in`` and their ``out`` at once."""
    now = most = 0
    for line in lines:
        now += {"in": 1, "out": -1}.get(line.split(" ", 1)[0], 0)
        most = max(most, now)
    return most


def names_it(error: BaseException, name: str) -> bool:
    """Say whether an exception or one of its notes names a node or a value."""
    notes = getattr(error, "__notes__", ())
    return any(re.search(rf"'([^' ]*/)?{re.escape(name)}'", text) for text in (str(error), *notes))
