"""What ``hypergraph map`` does.

Rule of this file: rows go to the runner in batches, whose size bounds what is held; a batch is a run of
rows that give the same inputs.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import shlex
import sys
import time
from collections.abc import Awaitable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from hypergraph.cli.errors import UsageError
from hypergraph.cli.mapping.cells import hints_of, name_of, read_cell
from hypergraph.cli.mapping.lines import Lines
from hypergraph.cli.mapping.meter import Meter
from hypergraph.cli.mapping.rows import STDIN, Row, Rows, open_rows, shown
from hypergraph.cli.mapping.sink import ERROR, Finished, Item, Sink
from hypergraph.cli.running import (
    is_usage,
    names,
    nodes_at_work,
    opened,
    option_names,
    options_of,
    refused,
    report,
    say_how_to_fix_it_here,
)
from hypergraph.cli.target import load_graph
from hypergraph.cli.values import read_inputs
from hypergraph.errors import InputError, MissingInputError, UnknownInputError, did_you_mean
from hypergraph.execution.places import place_item
from hypergraph.graph import Graph
from hypergraph.runners import BaseRunner

_OPTIONS = ("max_concurrency", "max_iterations")
_ITEM = re.compile(r"\bmap item (\d+)\b")


@dataclass(slots=True, kw_only=True)
class _Job:
    """One call of the command."""

    arguments: argparse.Namespace
    graph: Graph
    shared: Mapping[str, Any]  # the inputs that are the same for every item
    over: list[str] | None
    rows: Rows
    hints: Mapping[str, Any]
    runner: BaseRunner
    options: Mapping[str, Any]
    loop: asyncio.Runner
    sink: Sink
    meter: Meter

    @property
    def tolerant(self) -> bool:
        """Whether the map goes on past failures."""
        return bool(self.arguments.on_error == "return")


def map_file(arguments: argparse.Namespace) -> int:
    """Run the graph for each row; returns the exit code."""
    graph = load_graph(arguments.target, full_traceback=arguments.traceback)
    shared = read_inputs(arguments.input)
    errors = _errors_file(arguments)
    _refuse_same_file(arguments.file, arguments.output, errors)
    if errors is not None and not _may_hold_errors(errors):
        raise UsageError(
            f"{errors} is there and holds no failed items; name another file by --errors"
        )
    with ExitStack() as stack:
        rows = open_rows(arguments.file, arguments.format, stack, arguments.batch_size)
        runner = stack.enter_context(opened(arguments.runner))
        options = options_of(arguments, runner, "map", _OPTIONS)
        select = None
        if arguments.select is not None:
            options["select"] = select = names(arguments.select)
        if errors is not None:
            options_of(arguments, runner, "map", ("on_error",))
            options["on_error"] = "return"
        output, failures = Lines(arguments.output), None if errors is None else Lines(errors)
        in_the_way = arguments.output is None and sys.stdout is not None and sys.stdout.isatty()
        meter = Meter(rows.fraction, hidden=in_the_way)
        keep = names(arguments.keep or "")
        sink = Sink(
            output,
            failures,
            unit=rows.unit,
            shared=shared,
            select=select,
            keep=keep,
            meter=meter,
        )
        job = _Job(
            arguments=arguments,
            graph=graph,
            shared=shared,
            over=None if arguments.over is None else names(arguments.over),
            rows=rows,
            hints=hints_of(graph, graph.inputs.all),
            runner=runner,
            options=options,
            loop=stack.enter_context(asyncio.Runner()),
            sink=sink,
            meter=meter,
        )
        return _carried_out(job, output, failures)


def _errors_file(arguments: argparse.Namespace) -> str | None:
    """Return where failed items go, if the map goes on past them."""
    if arguments.on_error != "return":
        if arguments.errors is not None:
            raise UsageError("--errors is for maps that go on past failures: add --on-error return")
        return None
    return str(arguments.errors or f"{shown(arguments.file)}.errors.jsonl")


def _may_hold_errors(path: str) -> bool:
    """Say whether a file is missing, empty, or one that an earlier map has written."""
    try:
        with open(path, "rb") as file:
            first = file.readline()
    except OSError:  # opening it to write will say why
        return True
    return not first or f'"{ERROR}"'.encode() in first


def _refuse_same_file(source: str, *targets: str | None) -> None:
    """Refuse to write where rows are read, or two things to one file. Raises ``UsageError``."""
    used = [] if source == STDIN else [source]
    for target in targets:
        if target is None:
            continue
        for other in used:
            same = os.path.abspath(other) == os.path.abspath(target)
            if same or (
                os.path.exists(other) and os.path.exists(target) and os.path.samefile(other, target)
            ):
                raise UsageError(f"{target} is read or written already; name another file")
        used.append(target)


def _carried_out(job: _Job, output: Lines, failures: Lines | None) -> int:
    """Map all batches, and close the files whatever happens; returns the exit code."""
    code, done = 1, False
    try:
        for columns, items, wrong in _batches(job):
            if wrong is not None:
                job.sink.begin(items)
                job.sink.add(0, wrong)
                continue
            if not job.sink.done:
                _look_at_first(job, columns, items)
            if not _map_batch(job, columns, items):
                break
        else:
            code, done = (1 if job.sink.failed else 0), True
    finally:
        job.meter.wipe()
        if failures is not None:
            failures.close(done=done, keep_empty=False)
        if not isinstance(job.sink.broken, OSError):  # of stdout, whose reader has gone
            output.close(done=done)
        if done or job.sink.done:
            print(_summary(job, failures), file=sys.stderr)
    return code


def _look_at_first(job: _Job, columns: tuple[str, ...], items: list[Item]) -> None:
    """Refuse to keep a column that is not there; say which cells are handed on as text because nothing
    says what else they are. Raises ``UsageError``."""
    _, row, _ = items[0]
    for name in names(job.arguments.keep or ""):
        if name not in row:
            raise UsageError(f"--keep: there is no column {name!r}.{did_you_mean(name, row)}")
    unknown = [name for name in columns if name not in job.hints and name in job.graph.inputs.all]
    if job.rows.cells and unknown:
        listed = ", ".join(map(repr, unknown))
        print(
            f"hypergraph: the cells of {listed} are text: the graph has no annotation for "
            f"{'it' if len(unknown) == 1 else 'them'}",
            file=sys.stderr,
        )


def _summary(job: _Job, failures: Lines | None) -> str:
    sink, seconds = job.sink, time.monotonic() - job.meter.began
    written = f"hypergraph: {sink.done:,} item{'' if sink.done == 1 else 's'} in {seconds:.1f} s"
    if failures is None or failures.path is None or not sink.failed:
        return written
    given = {name: getattr(job.arguments, name) for name in ("runner", "select", "keep")}
    more = [part for name, text in given.items() if text for part in (f"--{name}", text)]
    again = shlex.join(["hypergraph", "map", job.arguments.target, failures.path, *more])
    return (
        f"{written}, {sink.failed:,} of them failed: {failures.path} holds them with their errors.\n"
        f"  To map them again: {again}"
    )


# --- one batch --------------------------------------------------------------------------------


def _map_batch(job: _Job, columns: tuple[str, ...], items: list[Item]) -> bool:
    """Map some rows, which give these inputs. Returns whether to go on."""
    sink, arguments = job.sink, job.arguments
    sink.begin(items)
    inputs = {**job.shared, **{name: [given[name] for *_, given in items] for name in columns}}
    options = dict(job.options)
    known = option_names(type(job.runner).map)
    if known is None or "event_processors" in known:
        options["event_processors"] = [Finished(sink)]
    try:
        with nodes_at_work(results_only=arguments.output is None):
            result = job.runner.map(job.graph, inputs, map_over=list(columns), **options)
            if isinstance(result, Awaitable):
                result = job.loop.run(_awaited(result))
        sink.add_all(result)
    except KeyboardInterrupt:
        if sink.broken is not None:
            raise sink.broken from None
        raise
    except UsageError:
        raise
    except Exception as error:
        if is_usage(error):
            if isinstance(error, InputError) and job.tolerant and sink.done:
                sink.add_all([error] * len(items))  # these rows lack something that others have
                return True
            say_how_to_fix_it_here(error, arguments.target)
            _say_how_columns_fit(error, columns)
            if isinstance(error, InputError):
                error.where += f", {shown(arguments.file)} {job.rows.unit} {items[0][0]}"
            raise
        if (refusal := refused(error, job.runner, options)) is not None:
            raise refusal from None
        job.meter.wipe()
        _report(job, error, items)
        return False
    return True


async def _awaited(result: Awaitable[Any]) -> Any:
    return await result


def _say_how_columns_fit(error: Exception, columns: tuple[str, ...]) -> None:
    if isinstance(error, UnknownInputError) and not set(error.unknown).isdisjoint(columns):
        known = [name for name in columns if name not in error.unknown]
        error.fix = f"name the columns to use, and no others: --over {','.join(known) or 'A,B'}"
    elif isinstance(error, MissingInputError):
        error.fix = (
            f"add a column for it, or the same for every item: {error.fix.removeprefix('add ')}"
        )


def _report(job: _Job, error: Exception, items: list[Item]) -> None:
    """Show the error of the item that ended the map."""
    found = [_ITEM.search(note) for note in getattr(error, "__notes__", ())]
    positions = [int(one[1]) for one in found if one is not None]
    where = ""
    if positions and positions[-1] < len(items):
        number, _, given = items[positions[-1]]
        first = job.meter.read - len(items)
        place_item(error, first + positions[-1], job.graph.name, [*job.shared, *given])
        where = f" at {shown(job.arguments.file)} {job.rows.unit} {number}"
    report(error, job.runner, full=job.arguments.traceback)
    print(f"hypergraph: stopped{where}; --on-error return goes on past failures", file=sys.stderr)


# --- batches ----------------------------------------------------------------------------------


def _batches(job: _Job) -> Iterator[tuple[tuple[str, ...], list[Item], UsageError | None]]:
    """Yield runs of rows that give the same inputs: the names, and number, row and inputs of each.

    What is wrong with a row is raised when those before it have been mapped; or it is yielded with the
    row alone, where the map goes on past failures.
    """
    columns: tuple[str, ...] = ()
    batch: list[Item] = []
    wrong: UsageError | None = None
    rows = iter(job.rows.rows)
    while wrong is None:
        number, row = 0, None
        try:
            number, row = next(rows)
            given = _given(job, number, row)
        except StopIteration:
            break
        except UsageError as error:
            if row is None or not job.tolerant:
                wrong = error
                break
            if batch:
                yield columns, batch, None
                batch = []
            job.meter.read += 1
            yield (), [(number, row, _unread(job, row))], error
            continue
        if batch and (tuple(given) != columns or len(batch) >= job.arguments.batch_size):
            yield columns, batch, None
            batch = []
        columns = tuple(given)
        batch.append((number, row, given))
        job.meter.read += 1
    if batch:
        yield columns, batch, None
    if wrong is not None:
        raise wrong


def _given(job: _Job, number: int, row: Row) -> Row:
    """Return the inputs that a row gives, in an order that all rows share. Raises ``UsageError``."""
    where = f"{shown(job.arguments.file)} {job.rows.unit} {number}"
    told = row.get(ERROR)  # of an item that failed before
    texts = told.get("text", ()) if isinstance(told, dict) else ()
    given: Row = {}
    for name in _columns(job, row, told):
        if name not in row:
            raise UsageError(f"{where}: there is no {name!r}")
        if name in job.shared:
            if told is not None:
                continue
            raise UsageError(
                f"{where}: {name!r} is given by -i too; --over A,B names the columns to use"
            )
        if name in texts and name not in job.hints:
            raise UsageError(
                f"{where}: {name!r} held a value that JSON cannot, and the graph does not say what to "
                "make of it; annotate the input, or map the original file"
            )
        if not (job.rows.cells or name in texts):
            given[name] = row[name]
        elif not _left_out(job, row[name], name):
            given[name] = _value(job, row[name], name, where)
    if not given:
        raise UsageError(f"{where}: no input is given")
    return given


def _unread(job: _Job, row: Row) -> Row:
    """Return the inputs of a row that does not fit, ``None`` for each cell that was to be read."""
    told = row.get(ERROR)
    texts = told.get("text", ()) if isinstance(told, dict) else ()
    read = {name for name in job.hints if job.rows.cells or name in texts}
    columns = _columns(job, row, told)
    return {name: None if name in read else row[name] for name in columns if name in row}


def _left_out(job: _Job, text: Any, name: str) -> bool:
    """Say whether a cell leaves its input to the default: it is empty, which the input cannot be."""
    if text != "" or name not in job.hints or name not in job.graph.inputs.optional:
        return False
    try:
        read_cell(text, job.hints[name])
    except (ValueError, RecursionError):
        return True
    return False


def _columns(job: _Job, row: Row, told: Any) -> list[str]:
    """Return which columns of a row are inputs."""
    if job.over is not None:
        return job.over
    if isinstance(told, dict) and isinstance(told.get("over"), list):
        return sorted(told["over"])
    return sorted(name for name in row if name != ERROR)


def _value(job: _Job, text: Any, name: str, where: str) -> Any:
    if name not in job.hints or not isinstance(text, str):
        return text
    try:
        return read_cell(text, job.hints[name])
    except (ValueError, RecursionError):
        kind = name_of(job.hints[name])
        said = "which the cell does not say" if text else "and the cell is empty"
        raise UsageError(f"{where}: {name!r} is annotated {kind}, {said}") from None
