"""What becomes of the items.

Rule of this file: a line is written as soon as its item and all before it are finished, in their order;
what has been written is not held. Listeners may call from any thread.
"""

from __future__ import annotations

import _thread
import json
import threading
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from hypergraph.cli.errors import UsageError
from hypergraph.cli.mapping.lines import Lines
from hypergraph.cli.mapping.meter import Meter
from hypergraph.cli.mapping.rows import Row
from hypergraph.cli.values import checked_json
from hypergraph.events import RunEndEvent, RunStartEvent, TypedEventProcessor
from hypergraph.execution.places import Place
from hypergraph.results import RunResult, RunStatus

ERROR = "$error"  # no input can have this name

Item = tuple[int, Row, Row]  # the number of the row, all of it, and the inputs of the item
Outcome = Mapping[str, Any] | Exception


class Sink:
    """Takes the outcomes of items in any order, and writes them in that of the items.

    ``errors`` takes what failed; without it a failed item ends the lines. ``shared``: inputs that all
    items have. ``select``: the outputs to write, ``keep``: the columns of the row to write before them.
    """

    def __init__(
        self,
        output: Lines,
        errors: Lines | None,
        *,
        unit: str,
        shared: Row,
        select: Collection[str] | None,
        keep: Sequence[str],
        meter: Meter,
    ) -> None:
        self.done = self.failed = 0  # items, of which failed
        self.broken: Exception | None = None  # why no more can be written
        self._output, self._errors, self._unit = output, errors, unit
        self._shared, self._select, self._keep, self._meter = shared, select, keep, meter
        self._lock = threading.RLock()
        self._first = 0
        self._items: Sequence[Item] = ()
        self._waiting: dict[int, Outcome] = {}

    def begin(self, items: Sequence[Item]) -> None:
        """Expect the outcomes of these items, by their position."""
        self._first, self._items, self._waiting = self.done, items, {}

    def add(self, position: int, outcome: Outcome) -> None:
        """Take the outcome of an item, once; write what can be written."""
        with self._lock:
            if self._first + position < self.done or self.broken is not None:
                return
            self._waiting.setdefault(position, outcome)
            while (following := self.done - self._first) in self._waiting:
                if self._errors is None and isinstance(self._waiting[following], Exception):
                    return
                self._write(following, self._waiting.pop(following))
                self.done += 1
                self._meter.show(self.done, self.failed)

    def add_all(self, outcomes: Any) -> None:
        """Take the outcomes of all items, as a map returns them."""
        if not isinstance(outcomes, Sequence) or len(outcomes) != len(self._items):
            raise UsageError(
                f"the runner's map() returned a {type(outcomes).__name__}, not a list with a result "
                "for each item"
            )
        for position, outcome in enumerate(outcomes):
            values = outcome.values if isinstance(outcome, RunResult) else outcome
            if not isinstance(values, Mapping | Exception):
                raise UsageError(f"the runner returned a {type(values).__name__}, not outputs")
            self.add(position, values)
        if self.broken is not None:
            raise self.broken

    def stop(self, error: Exception) -> None:
        """Keep why nothing more can be written, and end the run as Ctrl-C would."""
        with self._lock:
            self.broken = self.broken or error
        _thread.interrupt_main()

    def _write(self, position: int, outcome: Outcome) -> None:
        number, row, given = self._items[position]
        if isinstance(outcome, Exception):
            assert self._errors is not None
            told = {"index": self._first + position, self._unit: number, **failure(outcome)}
            self._errors.write(again({**row, **self._shared}, {**given, **self._shared}, told))
            self._output.write("null")
            self.failed += 1
            return
        outputs = dict(outcome)
        if self._select is not None:
            outputs = {name: value for name, value in outputs.items() if name in self._select}
        kept = {name: _jsonable(row[name]) for name in self._keep if name in row}
        try:
            self._output.write(json.dumps({**kept, **outputs}, allow_nan=False))
        except (TypeError, ValueError, RecursionError):
            checked_json(outputs, "leave them out")
            raise


class Finished(TypedEventProcessor):
    """Tells the sink of each item of a map as it ends."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._map: str | None = None
        self._open: dict[tuple[str, int], int] = {}

    def on_run_start(self, event: RunStartEvent) -> None:
        """Note the map, which is the first run, and its items."""
        if self._map is None:
            self._map = event.run_id
        elif event.map_index is not None and event.parent_run_id == self._map:
            self._open[event.run_id, event.span_id] = event.map_index

    def on_run_end(self, event: RunEndEvent) -> None:
        """Hand on what an item has come to."""
        position = self._open.pop((event.run_id, event.span_id), None)
        if position is None:
            return
        outcome: Any = None
        if event.status is RunStatus.COMPLETED:
            outcome = event.outputs
        elif event.status is RunStatus.FAILED and isinstance(event.error, Exception):
            outcome = event.error
        if outcome is not None:
            try:
                self._sink.add(position, outcome)
            except Exception as error:  # a listener's error is nobody's business but ours
                self._sink.stop(error)


def failure(error: Exception) -> Row:
    """Return what is told of an exception."""
    places = [note for note in getattr(error, "__notes__", ()) if isinstance(note, Place)]
    try:
        message = str(error)
    except Exception as another:  # an exception class may raise anything
        message = f"(its str() raises {type(another).__name__})"
    return {
        "type": f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins."),
        "message": message,
        "node": places[-1].path if places else None,
    }


def again(row: Row, given: Row, told: Row) -> str:
    """Return the line from which a failed item can be mapped again: its row, and what happened.

    ``over`` names what of the row are inputs. ``text`` names the values to be read by annotation again:
    the cells that have been, and what JSON cannot hold, which is written as text.
    """
    values = {name: value for name, value in row.items() if name != ERROR}
    plain = {name: _jsonable(value) for name, value in values.items()}
    texts = [
        name
        for name, value in values.items()
        if plain[name] is not value or given.get(name, value) is not value
    ]
    more: Row = {"over": list(given)}
    if texts:
        more["text"] = texts
    return json.dumps({**plain, ERROR: {**told, **more}}, allow_nan=False)


def _jsonable(value: Any) -> Any:
    """Return the value, or where JSON cannot hold it what stands for it there."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return msgspec.to_builtins(value, enc_hook=repr, str_keys=True)
    return value
