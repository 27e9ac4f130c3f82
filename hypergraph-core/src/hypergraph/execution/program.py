"""The straight lane: a plain DAG that nobody observes, as a list of steps over slots.

Rule of this file: everything that can be decided before a run is decided here. Inherited nested graphs
are written into the program of the outer one, a mapped one is one step. Slot 0 holds
``max_iterations``, for the loops inside mapped graphs, so that 0 can mean "no slot".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from itertools import chain
from operator import itemgetter
from typing import Any, NamedTuple

from hypergraph.cache.base import MISS, Cache
from hypergraph.execution.calls import collected, unpack
from hypergraph.execution.keys import definition_key, values_key
from hypergraph.execution.places import place_error
from hypergraph.execution.plan import Schedule, plan_of
from hypergraph.graph import GraphNode
from hypergraph.nodes import CallableNode, HyperNode

Values = list[Any]
Move = Callable[[Values], None]
# (function, slot, slot or 0, output slot, place) | (move, 0, 0, 0, place)
Step = tuple[Callable[..., Any], int, int, int, "tuple[str, tuple[str, ...]] | None"]
Nested = Callable[[GraphNode, Mapping[str, Any], int, "str | None", str], dict[str, Any]]


class _Frame(NamedTuple):
    """A graph that is being written into the program: ``node`` is what stands for it outside."""

    nodes: Iterator[HyperNode]
    env: dict[str, int]
    path: str
    node: GraphNode | None


class Program:
    """The steps of a certain schedule, and where its inputs and outputs lie.

    ``nested`` runs a mapped graph: it is called with the node, its inputs by outer name, the limit of
    iterations, and the names of graph and path for the place of an error.
    """

    def __init__(self, schedule: Schedule, nested: Nested) -> None:
        self.graph_name = schedule.plan.graph.name
        self.template: Values = [None]
        self.steps: list[Step] = []
        self.calls: list[
            tuple[CallableNode, Callable[[Values], tuple[Any, ...]], tuple[int, ...]]
        ] = []
        self.answerable = True  # until something is not a cached call
        self._nested = nested
        env = {name: self._slot(None) for name in schedule.given}
        self.input_slots = dict(env)
        self._write(schedule, env)
        self.output_names = schedule.written_outputs
        self.output_slots = tuple(env[name] for name in self.output_names)

    # -- running -----------------------------------------------------------------------------

    def start(self, inputs: Mapping[str, Any], limit: int) -> Values:
        """Return the values a run begins with."""
        values = self.template.copy()
        values[0] = limit
        slots = self.input_slots
        for name in inputs:
            values[slots[name]] = inputs[name]
        return values

    def run(self, values: Values) -> None:
        """Run every step. An exception of a node leaves as it is, with its place noted."""
        place = None
        try:
            for function, first, second, out, place in self.steps:
                if second:
                    values[out] = function(values[first], values[second])
                elif first:
                    values[out] = function(values[first])
                else:
                    function(values)
        except Exception as error:
            if place is not None:
                place_error(error, self.graph_name, *place)
            raise

    def answer(self, values: Values, cache: Cache) -> bool:
        """Fill in every value from the cache, and say whether all were there.

        Nothing is called, stored or reported here: a run that lacks one result is left to the flows,
        which know what to do about a miss, or about whatever the cache raised.
        """
        get = cache.get
        try:
            for node, read, outs in self.calls:
                value = get(values_key(definition_key(node), read(values)))
                if value is MISS:
                    return False
                if len(outs) == 1:
                    values[outs[0]] = value
                elif outs:
                    for out, part in zip(outs, unpack(node, value)):
                        values[out] = part
        except Exception:
            return False
        return True

    @cached_property
    def result(self) -> Callable[[Values], dict[str, Any]]:
        """A function that reads the outputs from the values of a finished run."""
        names, slots = self.output_names, self.output_slots
        if not names:
            return lambda values: {}
        if len(names) == 1:
            name, slot = names[0], slots[0]
            return lambda values: {name: values[slot]}
        read = itemgetter(*slots)
        return lambda values: dict(zip(names, read(values)))

    # -- writing the program -----------------------------------------------------------------

    def _slot(self, value: Any) -> int:
        self.template.append(value)
        return len(self.template) - 1

    def _write(self, schedule: Schedule, env: dict[str, int]) -> None:
        """Append the steps of a schedule and of the graphs nested in it, in the order they run.

        ``env`` maps the names known so far to slots. Nesting may be deep, so this does not recurse.
        """
        frames = [self._frame(schedule, env, "", None)]
        while frames:
            frame = frames[-1]
            node = next(frame.nodes, None)
            if node is None:
                frames.pop()
                if frame.node is not None:
                    frames[-1].env.update(frame.node.outside(frame.env))
            elif isinstance(node, CallableNode):
                self._write_call(node, frame.env, frame.path)
            elif isinstance(node, GraphNode):
                given = {outer: frame.env[outer] for outer in node.inputs if outer in frame.env}
                if node.map_params:
                    self._write_map(node, given, frame)
                    continue
                inner = node.inside(given)
                nested = plan_of(node.graph).schedule(tuple(inner))
                frames.append(self._frame(nested, inner, f"{frame.path}{node.name}/", node))

    def _frame(
        self, schedule: Schedule, env: dict[str, int], path: str, node: GraphNode | None
    ) -> _Frame:
        for name, value in schedule.plan.graph.bound.items():
            if name not in env:
                env[name] = self._slot(value)
        numbers = chain.from_iterable(schedule.generations)
        return _Frame(map(schedule.plan.nodes.__getitem__, numbers), env, path, node)

    def _write_call(self, node: CallableNode, env: dict[str, int], path: str) -> None:
        ins = [env[name] if name in env else self._slot(node.default(name)) for name in node.inputs]
        outs = [self._slot(None) for _ in node.outputs]
        env.update(zip(node.outputs, outs))
        place = (path + node.name, node.inputs)
        self.calls.append((node, reader(ins), tuple(outs)))
        self.answerable = self.answerable and node.cache
        function = collected(node)
        if len(outs) == 1 and len(ins) in (1, 2):
            self.steps.append((function, ins[0], ins[1] if len(ins) == 2 else 0, outs[0], place))
        else:
            self.steps.append((_mover(node, function, ins, outs), 0, 0, 0, place))

    def _write_map(self, node: GraphNode, given: dict[str, int], frame: _Frame) -> None:
        outs = {outer: self._slot(None) for outer in node.outputs}
        frame.env.update(outs)
        self.answerable = False
        self.steps.append((self._map_move(node, given, outs, frame.path), 0, 0, 0, None))

    def _map_move(
        self, node: GraphNode, given: dict[str, int], outs: dict[str, int], path: str
    ) -> Move:
        nested, graph_name, whole_path = self._nested, self.graph_name, path + node.name

        def move(values: Values) -> None:
            inputs = {outer: values[slot] for outer, slot in given.items()}
            results = nested(node, inputs, values[0], graph_name, whole_path)
            for outer, slot in outs.items():
                values[slot] = results[outer]

        return move


def reader(slots: Iterable[int]) -> Callable[[Values], tuple[Any, ...]]:
    """Return a function that reads the values at these slots as a tuple."""
    slots = tuple(slots)
    if not slots:
        return lambda values: ()
    if len(slots) == 1:
        slot = slots[0]
        return lambda values: (values[slot],)
    return itemgetter(*slots)


def _mover(
    node: CallableNode, function: Callable[..., Any], ins: list[int], outs: list[int]
) -> Move:
    """Return a function that takes a node's inputs from the values and puts its outputs there."""
    read = reader(ins)
    if len(outs) == 1:
        out = outs[0]

        def move_one(values: Values) -> None:
            values[out] = function(*read(values))

        return move_one

    def move_several(values: Values) -> None:
        result = function(*read(values))
        if outs:
            for out, value in zip(outs, unpack(node, result)):
                values[out] = value

    return move_several
