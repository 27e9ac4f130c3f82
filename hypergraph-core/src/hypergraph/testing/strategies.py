"""Hypothesis strategies for random graphs with inputs: ``cases()``.

Rule of this file: valid by construction as far as possible. A description of the nodes is drawn
first; what turns out to be no graph (two producers, a cycle without a way out) is repaired by a
fixed list of simplifications, so that almost no example is thrown away and failures shrink to few
nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hypergraph.errors import GraphConfigError, MissingExtraError
from hypergraph.graph import Graph, GraphNode
from hypergraph.nodes import (
    END,
    FunctionNode,
    GateNode,
    HyperNode,
    InterruptNode,
    TypeRouteNode,
    branch,
    node,
    route,
)
from hypergraph.testing.functions import Behaviour, Kind, Record, make_function

try:
    from hypothesis import reject, strategies as st
except ModuleNotFoundError as error:
    if error.name != "hypothesis":
        raise  # hypothesis is there and broken: its own error says more
    raise MissingExtraError(
        "Random graphs need the package hypothesis, which is not installed.",
        where=__name__,
        fix='pip install "hypergraph-core[testing]"',
    ) from error

OUTSIDE = ("x", "y", "t")
LISTS = ("xs", "ys")
_PREFIXES = "nmk"
_KINDS: tuple[Kind, ...] = ("number", "number", "number", "text", "list", "none", "yield", "raise")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shapes:
    """What random graphs may contain; ``loops``: at least one loop through a gate."""

    loops: bool = False
    cycles: bool = True
    gates: bool = True
    nested: bool = True
    failures: bool = True
    interrupts: bool = False
    max_nodes: int = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A graph, the inputs and options of one run, and the record that its nodes write to."""

    graph: Graph
    inputs: dict[str, Any]
    options: dict[str, Any] = field(default_factory=dict)
    record: Record = field(default_factory=Record)

    def observe(self, run: Callable[..., Any], **more: Any) -> Outcome:
        """Run the case by ``run(graph, inputs, **options)``; return all that can be seen of it."""
        self.record.clear()
        try:
            result = run(self.graph, dict(self.inputs), **self.options, **more)
            outcome = Outcome(result=describe_value(getattr(result, "outputs", result)))
        except Exception as error:
            raised = self.record.raised
            own = bool(raised) and error is raised[-1]
            details = {name: getattr(error, name) for name in _DETAILS if hasattr(error, name)}
            outcome = Outcome(
                error=type(error).__name__, details=details, is_nodes_own=own, exception=error
            )
        return replace(outcome, calls=tuple(self.record.calls))

    def __repr__(self) -> str:
        lines = [
            *describe_graph(self.graph),
            f"inputs = {self.inputs}",
            f"options = {self.options}",
        ]
        return "\n" + "\n".join(lines) + "\n"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))  # what hypothesis prints for a failing example


_DETAILS = ("missing", "unknown", "output", "nodes", "node", "expected", "actual", "targets")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """All that can be seen of a run: its result or error, and every call in order.

    ``is_nodes_own``: the error is the very object that a node raised.
    """

    result: Any = None
    error: str | None = None
    details: dict[str, Any] = field(default_factory=dict)
    is_nodes_own: bool = False
    calls: tuple[tuple[str, tuple[Any, ...]], ...] = ()
    exception: Exception | None = field(default=None, compare=False)


def describe_value(value: Any) -> Any:
    """Return the value with the type of each part, so that ``1`` and ``True`` differ."""
    if isinstance(value, Mapping):
        return [(key, describe_value(item)) for key, item in value.items()]
    if isinstance(value, (list, tuple)):
        return (type(value).__name__, [describe_value(item) for item in value])
    return (type(value).__name__, value)


def describe_graph(graph: Graph, indent: str = "") -> list[str]:
    """Return one line per node: its ports, targets and bindings, nested graphs indented."""
    lines = [f"{indent}graph: entrypoints={graph.entrypoints} bound={dict(graph.bound)}"]
    if graph.selected is not None:
        lines[0] += f" selected={graph.selected}"
    for item in graph.nodes.values():
        ports = ", ".join(i + ("=..." if item.has_default(i) else "") for i in item.inputs)
        line = f"{indent}  {item.name}({ports}) -> {', '.join(item.outputs) or '-'}"
        if isinstance(item, GateNode):
            line += f"  gate {'(multi) ' if item.multi_target else ''}to {item.targets}"
        lines.append(line + "  interrupt" * item.is_interrupt)
        if isinstance(item, GraphNode):
            maps = f" map_over={item.map_params} {item.map_mode}" if item.map_params else ""
            lines[-1] += f"  nested{maps} {dict(item.inner_inputs)} -> {dict(item.inner_outputs)}"
            lines += describe_graph(item.graph, indent + "    ")
    return lines


# -- nodes ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spec:
    """The description of one node, before it is made."""

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    kind: Kind = "number"
    targets: tuple[Any, ...] = ()
    gate: str = ""
    fallback: Any = None
    nested: HyperNode | None = None
    asks: bool = False


def _make(spec: _Spec, record: Record) -> HyperNode:
    if spec.nested is not None:
        return spec.nested
    if spec.asks:
        return InterruptNode(spec.name, spec.inputs[0], spec.outputs[0])
    if spec.gate == "type" and spec.inputs:
        kinds: tuple[type, ...] = (int, str, list)
        routes = dict(zip(kinds, spec.targets, strict=False))
        return TypeRouteNode(spec.name, spec.inputs[0], routes, fallback=spec.fallback)
    behaviour = Behaviour(spec.kind, _choices(spec) if spec.gate else ())
    func = make_function(spec.name, spec.inputs, spec.defaults, behaviour, record)
    if not spec.gate:
        made: FunctionNode[..., Any] = node(output_name=spec.outputs or None)(func)
        return made
    if spec.gate == "branch":
        first, last = spec.targets[0], spec.targets[-1]
        return branch(when_true=first, when_false=last)(func)
    multi = spec.gate == "multi"
    return route(targets=list(spec.targets), fallback=spec.fallback, multi_target=multi)(func)


def _choices(spec: _Spec) -> tuple[Any, ...]:
    """Return what a gate's function may return."""
    if spec.gate == "branch":
        return (True, False)
    if spec.gate == "multi":
        every = list(spec.targets)
        return (every, every[:1], every[-1:], None, [])
    return (*spec.targets, None)


@st.composite
def _specs(draw: st.DrawFn, shapes: Shapes, depth: int, record: Record) -> list[_Spec]:
    """Draw the descriptions of all nodes of one graph."""
    loops = shapes.loops and depth == 0
    count = draw(st.integers(4 if loops else 1, shapes.max_nodes))
    roles = ["function"] * 4 + ["gate"] * 2 * shapes.gates
    roles += ["nested"] * (shapes.nested and depth < 2)
    roles += ["interrupt"] * 3 * shapes.interrupts
    drawn = [draw(st.sampled_from(roles)) for _ in range(count)]
    drawn[:4] = ["function", "gate", "function", "function"] if loops else drawn[:4]
    names = [f"{_PREFIXES[depth]}{i}" for i in range(count)]
    writes = ("function", "interrupt")
    values = [f"v{name}" for name, role in zip(names, drawn, strict=True) if role in writes]
    specs = []
    for index, (name, role) in enumerate(zip(names, drawn, strict=True)):
        known = [v for v in values if v[1:] < name]
        later = [v for v in values if v[1:] >= name] if shapes.cycles else []
        pool = [*known, *known, *later, *OUTSIDE]
        inputs = tuple(draw(st.lists(st.sampled_from(pool), max_size=3, unique=True)))
        if role == "nested":
            nested = draw(_nested(shapes, depth, record, name, known + later))
            specs.append(_Spec(name=name, inputs=(), nested=nested))
            continue
        if role == "interrupt":
            shown = draw(st.sampled_from([v for v in pool if v != f"v{name}"]))
            specs.append(_Spec(name=name, inputs=(shown,), outputs=(f"v{name}",), asks=True))
            continue
        defaults = {i: index for i in inputs if draw(_rarely(6))}
        spec = _Spec(name=name, inputs=inputs, defaults=defaults)
        if role == "gate":
            others = names if shapes.cycles else names[index + 1 :]
            specs.append(draw(_gate(spec, others)))
        else:
            specs.append(draw(_function(spec, values, shapes)))
    if shapes.cycles and shapes.gates:
        for index in range(draw(st.integers(int(loops), 2))):
            specs = draw(_ring(specs, index))
    return specs


@st.composite
def _ring(draw: st.DrawFn, specs: list[_Spec], index: int) -> list[_Spec]:
    """Close a loop through some of the functions, with a gate (where there is one) to go round."""
    functions = [s.name for s in specs if s.outputs and not s.gate and s.nested is None]
    if not functions:
        return specs
    ring = draw(st.lists(st.sampled_from(functions), min_size=1, max_size=4, unique=True))
    found = {s.name: s for s in specs}
    if draw(_rarely(2)) and len(found[ring[-1]].outputs) == 1:  # two writers of one value
        found[ring[-1]] = replace(found[ring[-1]], outputs=found[ring[0]].outputs[:1])
    for name, before in zip(ring, [ring[-1], *ring], strict=False):
        kept = () if found[name].asks else found[name].inputs
        taken = tuple(dict.fromkeys([*kept, found[before].outputs[0]]))
        found[name] = replace(found[name], inputs=taken)
    for gate in [s for s in specs if s.gate][index : index + 1]:
        shown = found[draw(st.sampled_from(ring))].outputs[0]
        target = draw(st.sampled_from(ring))
        found[gate.name] = replace(
            gate, inputs=(shown,), targets=(target, END, target), defaults={}
        )
    return list(found.values())


@st.composite
def _function(draw: st.DrawFn, spec: _Spec, values: list[str], shapes: Shapes) -> _Spec:
    own = f"v{spec.name}"
    match draw(st.integers(0, 11)):
        case 11:
            return replace(spec, outputs=())
        case 10 | 9:
            kind: Kind = "wrong count" if shapes.failures and draw(_rarely(4)) else "pair"
            return replace(spec, outputs=(own, f"w{spec.name}"), kind=kind)
        case 8 | 7 if shapes.gates:
            own = draw(st.sampled_from(values))
    kind = draw(st.sampled_from(_KINDS if shapes.failures else _KINDS[:-1]))
    return replace(spec, outputs=(own,), kind=kind)


@st.composite
def _gate(draw: st.DrawFn, spec: _Spec, names: Sequence[str]) -> _Spec:
    targets = draw(
        st.lists(st.sampled_from([*names, END, END]), min_size=1, max_size=3, unique=True)
    )
    gate = draw(st.sampled_from(["branch", "route", "route", "multi", "type"]))
    fallback = draw(st.sampled_from([None, None, targets[0]]))
    return replace(spec, targets=tuple(targets), gate=gate, fallback=fallback, kind="choose")


@st.composite
def _nested(
    draw: st.DrawFn, shapes: Shapes, depth: int, record: Record, name: str, values: list[str]
) -> GraphNode:
    """Draw a graph as a node, perhaps renamed to take values of the outer graph, perhaps mapped."""
    inner = draw(_graphs(replace(shapes, max_nodes=3), depth + 1, record, name))
    result = inner.as_node(name=name, namespaced=draw(_rarely(8)))
    for port in result.inputs:
        if draw(st.booleans()) and values:
            new = draw(st.sampled_from(values))
            if new not in result.inputs and "." not in port:
                result = result.with_inputs({port: new})
    if draw(st.booleans()) and result.inputs and not inner.has_interrupts:
        ports = draw(st.lists(st.sampled_from(result.inputs), min_size=1, max_size=2, unique=True))
        mapped = []
        for port, new in zip(ports, LISTS, strict=False):
            usable = "." not in port and new not in result.inputs and draw(st.integers(0, 5))
            mapped.append(new if usable else port)
            result = result.with_inputs({port: new}) if usable else result
        result = result.map_over(*mapped, mode=draw(st.sampled_from(["zip", "product"])))
    return result


# -- graphs --------------------------------------------------------------------------------------


def _own_outputs(specs: list[_Spec]) -> list[_Spec]:
    """Give each node an output of its own, where several shared one."""
    return [replace(s, outputs=(f"v{s.name}",)) if len(s.outputs) == 1 else s for s in specs]


def _with_end(specs: list[_Spec]) -> list[_Spec]:
    """Give each gate a way out."""
    return [replace(s, targets=(*s.targets, END)) if s.gate else s for s in specs]


@st.composite
def _graphs(draw: st.DrawFn, shapes: Shapes, depth: int, record: Record, name: str) -> Graph:
    specs = draw(_specs(shapes, depth, record))
    order = draw(st.permutations(range(len(specs)))) if draw(st.booleans()) else range(len(specs))
    points = draw(st.lists(st.sampled_from([s.name for s in specs]), max_size=1 + draw(_rarely(4))))
    repairs: list[Callable[[list[_Spec]], list[_Spec]]]
    repairs = [list, _own_outputs, _with_end, lambda s: _with_end(_own_outputs(s))]
    for entrypoint in (points if draw(_rarely(3)) else [], []):
        for repair in repairs:
            try:
                made = [_make(spec, record) for spec in repair(specs)]
                graph = Graph([made[i] for i in order], name=name, entrypoint=entrypoint)
            except GraphConfigError:
                continue
            return draw(_adjusted(graph, depth))
    return reject()


@st.composite
def _adjusted(draw: st.DrawFn, graph: Graph, depth: int) -> Graph:
    """Bind some inputs, and leave out some outputs of a nested graph."""
    for name in graph.inputs.all:
        if "." not in name and draw(_rarely(10)):
            graph = graph.bind({name: [5] if name in LISTS else 5})
    if depth and graph.outputs and draw(_rarely(6)):
        graph = graph.select(*draw(st.lists(st.sampled_from(graph.outputs), min_size=1)))
    return graph


def _rarely(n: int) -> st.SearchStrategy[bool]:
    return st.integers(0, n).map(lambda i: i == n)


# -- cases ---------------------------------------------------------------------------------------


def value_of(name: str) -> st.SearchStrategy[Any]:
    """Return values for an input: short lists where the name says so."""
    if name in LISTS:
        return st.lists(st.integers(0, 9), min_size=0, max_size=3) | st.just([1, 2])
    if name == "t":
        return st.sampled_from(["", "one", "two"])
    return st.integers(0, 99)


@st.composite
def cases(draw: st.DrawFn, shapes: Shapes | None = None) -> Case:
    """Random graphs with inputs that mostly fit: what is required, the seeds, sometimes more.

    Now and then an input is missing or unknown, or outputs are given.
    """
    record = Record()
    graph = draw(_graphs(shapes or Shapes(), 0, record, "g"))
    spec = graph.inputs
    names = [*spec.required, *spec.seeds, *(n for n in spec.optional if draw(_rarely(2)))]
    if draw(_rarely(3)):
        produced = [n for item in graph.nodes.values() for n in item.outputs if n not in names]
        names += [n for n in dict.fromkeys(produced) if draw(_rarely(3))]
    if draw(_rarely(12)) and names:
        names.remove(draw(st.sampled_from(names)))
    options: dict[str, Any] = {"max_iterations": draw(st.sampled_from([10, 4, 3, 2, 1]))}
    if draw(_rarely(12)):
        names.append("unheard")
        options["allow_extra"] = draw(st.booleans())
    if draw(_rarely(8)) and graph.outputs:
        options["select"] = draw(st.lists(st.sampled_from(graph.outputs), max_size=2))
    inputs = {name: draw(value_of(name)) for name in names}
    return Case(graph=graph, inputs=inputs, options=options, record=record)


def looping_cases() -> st.SearchStrategy[Case]:
    """Graphs in which a gate goes round a loop, often several times, and loops inside loops."""
    return cases(Shapes(loops=True, failures=False))


def asking_cases() -> st.SearchStrategy[Case]:
    """Graphs of all kinds in which interrupts ask, in loops and in nested graphs too."""
    return cases(Shapes(failures=False, interrupts=True)).filter(lambda c: c.graph.has_interrupts)


def acyclic_cases() -> st.SearchStrategy[Case]:
    """Plain DAGs: no cycles, no gates, nothing that fails; nested and mapped graphs included."""
    return cases(Shapes(cycles=False, gates=False, failures=False))
