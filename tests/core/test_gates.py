"""Gates: their targets, what they may return, and END."""

import copy
import pickle

import pytest

from hypergraph import END, BranchNode, GateNode, RouteNode, TypeRouteNode, branch, node, route
from hypergraph.errors import GraphConfigError, RouteError


def choose(x):
    return x


def several(x):
    return [x]


one = route(targets=["write", "revise", END])(choose)
many = route(targets=["write", "revise", END], multi_target=True)(several)
check = branch(when_true="write", when_false=END)(choose)


def test_end_is_one_object_however_it_travels():
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(END, protocol)) is END
    assert copy.copy(END) is END
    assert copy.deepcopy([END])[0] is END
    assert copy.deepcopy(one).targets[-1] is END
    assert repr(END) == "END"


def test_a_gate_has_targets_and_no_outputs():
    assert isinstance(check, BranchNode)
    assert isinstance(one, RouteNode)
    for gate in (one, many, check):
        assert isinstance(gate, GateNode)
        assert (gate.name, gate.inputs, gate.outputs) == (gate.func.__name__, ("x",), ())
        assert gate.cache is False
        assert gate.func(3) == gate(3)
    assert one.targets == ("write", "revise", END)
    assert check.targets == ("write", END)
    assert branch(when_true="a", when_false="a")(choose).targets == ("a",)


def test_a_fallback_counts_among_the_targets():
    assert route(targets=["a"], fallback="b")(choose).targets == ("a", "b")
    assert route(targets=["a", END], fallback=END)(choose).targets == ("a", END)


def test_inputs_are_renamed_when_a_gate_is_made():
    gate = route(targets=["a"], rename_inputs={"x": "score"}, name="judge", cache=True)(choose)
    assert (gate.name, gate.inputs, gate.params, gate.cache) == ("judge", ("score",), ("x",), True)


@pytest.mark.parametrize("targets", ["ab", [], None, 5, {"a", "b"}, {"a": 1}])
def test_a_route_needs_a_list_of_targets(targets):
    with pytest.raises(GraphConfigError, match="needs a list of targets") as caught:
        route(targets=targets)(choose)
    assert caught.value.where.startswith("function choose (")
    assert caught.value.fix == 'write @route(targets=["a", "b", END]).'


@pytest.mark.parametrize(
    ("target", "says"),
    [
        (node(choose), "must be a string, not FunctionNode"),
        (choose, "must be a string, not function"),
        (None, "must be a string, not NoneType"),
        (3, "must be a string, not int"),
        ("inner.write", "reserved character"),
        ("inner/write", "reserved character"),
        ("", "is not a name"),
    ],
)
def test_targets_are_names_or_end(target, says):
    for attempt in (
        lambda: route(targets=["a", target])(choose),
        lambda: branch(when_true=target, when_false=END)(choose),
        lambda: branch(when_true=END, when_false=target)(choose),
        lambda: TypeRouteNode("kind", "x", {int: target}),
    ):
        with pytest.raises(GraphConfigError, match=f"The target.*{says}"):
            attempt()


def test_a_fallback_is_a_name_or_end():
    with pytest.raises(GraphConfigError, match="The target must be a string, not int"):
        route(targets=["a"], fallback=3)(choose)


def test_a_gate_is_no_generator():
    def yielding(x):
        yield x

    with pytest.raises(GraphConfigError, match="'yielding' is a generator") as caught:
        route(targets=["a"])(yielding)
    assert caught.value.fix == "return the decision instead."


def test_an_async_gate_is_known_as_one():
    async def ask(x):
        return END

    assert route(targets=["a", END])(ask).is_async


def test_a_branch_goes_by_truth():
    for value in (True, 1, "no", [0], object()):
        assert check.decide(value) == ("write",)
    for value in (False, 0, "", []):
        assert check.decide(value) == (END,)


def test_a_branch_refuses_none():
    with pytest.raises(RouteError, match="'choose' returned None") as caught:
        check.decide(None)
    assert caught.value.targets == ("write", "END")
    assert "True or False" in caught.value.fix


def test_a_route_decides_for_one_target():
    assert one.decide("write") == ("write",)
    assert one.decide(END) == (END,)
    assert one.decide(None) == ()
    assert route(targets=["a"], fallback="b")(choose).decide(None) == ("b",)
    assert route(targets=["a"], fallback=END)(choose).decide(None) == (END,)


def test_a_multi_target_route_decides_for_several_in_the_order_of_targets():
    assert many.decide(["revise", "write"]) == ("write", "revise")
    assert many.decide({"revise", "write"}) == ("write", "revise")
    assert many.decide(("write", "write")) == ("write",)
    assert many.decide([]) == ()
    assert many.decide(None) == ()
    assert many.decide([END]) == (END,)


@pytest.mark.parametrize(
    ("gate", "value", "says"),
    [
        (one, "wirte", "type str that is none of its targets. Did you mean 'write'?"),
        (one, "END", "type str that is none of its targets. END is written without quotes."),
        (one, 3, "type int that is none of its targets."),
        (one, ["write"], "type list that is none of its targets."),
        (many, "write", "type str in place of a list of targets."),
        (many, {"write": 1}, "type dict in place of a list of targets."),
        (many, END, "type EndType in place of a list of targets."),
        (many, ["write", "wirte"], "type str that is none of its targets. Did you mean 'write'?"),
        (many, [["write"]], "type list that is none of its targets."),
    ],
)
def test_any_other_return_value_is_an_error_that_names_the_targets(gate, value, says):
    with pytest.raises(RouteError) as caught:
        gate.decide(value)
    assert caught.value.what == f"Gate {gate.name!r} returned a value of {says}"
    assert caught.value.targets == ("write", "revise", "END")
    assert caught.value.where.startswith(f"gate {gate.name!r}, ")


class Array:
    """Compares like an array: the result is no truth."""

    def __eq__(self, other):
        return self

    def __hash__(self):
        return 0

    def __bool__(self):
        raise ValueError("ambiguous")


@pytest.mark.parametrize("value", [Array(), [Array()]], ids=["one", "several"])
def test_what_cannot_be_compared_is_a_wrong_target(value):
    with pytest.raises(RouteError):
        (many if isinstance(value, list) else one).decide(value)


def test_a_wrong_target_is_not_repeated_in_the_message():
    with pytest.raises(RouteError) as caught:
        one.decide("the patient's name")
    assert "patient" not in str(caught.value)


class Base:
    pass


class Left(Base):
    pass


class Right(Base):
    pass


class Both(Left, Right):
    pass


def test_a_type_route_takes_the_nearest_class():
    gate = TypeRouteNode("kind", "item", {object: "other", Base: "base", Right: "right"})
    assert (gate.name, gate.inputs, gate.outputs) == ("kind", ("item",), ())
    assert gate.targets == ("other", "base", "right")
    for value, target in ((Both(), "right"), (Left(), "base"), (3, "other")):
        assert gate.decide(gate.func(value)) == (target,)


def test_a_type_route_without_a_fitting_class_takes_its_fallback_or_fails():
    gate = TypeRouteNode("kind", "item", {Left: "left"}, fallback=END)
    assert gate.decide(Right) == (END,)
    assert gate.targets == ("left", END)
    with pytest.raises(RouteError, match="'kind' has no route for a Right") as caught:
        TypeRouteNode("kind", "item", {Left: "left"}).decide(Right)
    assert "fallback=" in caught.value.fix


@pytest.mark.parametrize("routes", [{}, None, [(int, "a")]])
def test_a_type_route_needs_routes(routes):
    with pytest.raises(GraphConfigError, match="needs at least one route"):
        TypeRouteNode("kind", "item", routes)


@pytest.mark.parametrize("key", ["int", list[int], int | str])
def test_a_type_route_goes_by_classes(key):
    with pytest.raises(GraphConfigError, match="is not a type to route by") as caught:
        TypeRouteNode("kind", "item", {key: "a"})
    assert caught.value.where == "gate 'kind'"


def test_the_routes_of_a_type_route_cannot_be_changed():
    given = {int: "a"}
    gate = TypeRouteNode("kind", "item", given)
    given[str] = "b"
    assert dict(gate.routes) == {int: "a"}
    with pytest.raises(TypeError, match="does not support item assignment"):
        gate.routes[str] = "b"
