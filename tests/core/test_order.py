"""Cycles, their entries, and the forward order, on small graphs of numbers."""

from hypergraph.graph.order import (
    acyclic_order,
    components,
    forward_order,
    is_cycle,
    reaches_ungated,
)


def order_of(edges, *, gated=(), entrypoints=(), starts=(), lacking=None):
    """Return the forward order; only ``starts`` can start a cycle, or all nodes when there are none."""
    successors = [
        edges.get(node, ()) for node in range(max([*edges, *sum(edges.values(), ())]) + 1)
    ]
    lacks = lacking or (lambda node, inside: () if not starts or node in starts else (f"v{node}",))
    return forward_order(range(len(successors)), successors, gated, entrypoints, lacks)


def test_an_acyclic_graph_is_ordered_topologically():
    order = acyclic_order([(1, 2), (3,), (3,), ()])
    assert order is not None
    assert order.index(0) < order.index(1) < order.index(3)
    assert order.index(2) < order.index(3)
    assert acyclic_order([]) == []


def test_there_is_no_acyclic_order_of_a_cycle():
    assert acyclic_order([(1,), (0,)]) is None
    assert acyclic_order([(0,)]) is None


def test_components_come_successors_first_with_members_in_declaration_order():
    assert components(range(5), [(1,), (2,), (1, 3), (4,), ()]) == [[4], [3], [1, 2], [0]]
    assert components([0, 2], [(1, 2), (0,), ()]) == [[2], [0]]


def test_a_component_is_a_cycle_with_several_members_or_a_self_edge():
    assert is_cycle([0, 1], [(1,), (0,)])
    assert is_cycle([0], [(0,)])
    assert not is_cycle([0], [(1,), ()])


def test_a_circle_of_10000_needs_no_recursion():
    size = 10000
    circle = [((node + 1) % size,) for node in range(size)]
    assert components(range(size), circle) == [list(range(size))]
    order = forward_order(range(size), circle, (), (), lambda node, inside: ())
    assert order.back == {(size - 1, 0)}


def test_without_cycles_every_edge_points_forward():
    order = order_of({0: (1, 2), 1: (3,), 2: (3,)})
    assert order.successors == [{1, 2}, {3}, {3}, set()]
    assert (order.back, order.cycles) == (set(), {})


def test_a_cycle_starts_at_the_first_node_that_lacks_nothing():
    circle = {0: (1,), 1: (2,), 2: (0,)}
    assert order_of(circle).back == {(2, 0)}
    assert order_of(circle, starts=(1, 2)).back == {(0, 1)}
    assert list(order_of(circle, starts=(2,)).cycles) == [2]


def test_an_entrypoint_goes_before_everything_else():
    circle = {0: (1,), 1: (2,), 2: (0,)}
    assert order_of(circle, entrypoints=(2,)).back == {(1, 2)}
    assert order_of(circle, entrypoints=(2, 1)).back == {(1, 2)}
    stuck = order_of(circle, entrypoints=(2,), starts=(0,)).cycles[2]
    assert stuck.gap == ((2, ("v2",)),)


def test_a_cycle_that_nothing_can_start_says_what_each_node_lacks():
    cycle = order_of({0: (1,), 1: (0,)}, lacking=lambda node, inside: (f"v{node}",)).cycles[0]
    assert cycle.gap == ((0, ("v0",)), (1, ("v1",)))
    assert cycle.members == {0, 1}


def test_what_is_lacking_is_asked_with_the_members_of_the_cycle():
    asked = []
    order_of({0: (1,), 1: (2,), 2: (1,)}, lacking=lambda *args: asked.append(args) or ())
    assert asked == [(1, frozenset({1, 2}))]


def test_a_self_edge_points_back():
    order = order_of({0: (0, 1)})
    assert (order.back, order.successors) == ({(0, 0)}, [{1}, set()])


def test_the_same_is_done_with_what_is_still_cyclic():
    # 0 -> 1 -> 2 -> 0, and 1 -> 2 -> 1 inside it
    order = order_of({0: (1,), 1: (2,), 2: (0, 1)})
    assert order.back == {(2, 0), (2, 1)}
    assert order.cycles[0].members == {0, 1, 2}
    assert order.cycles[1].members == {1, 2}
    assert order.rounds[1] == {1: {2}, 2: {1}}
    assert acyclic_order(order.successors) == [0, 1, 2]


def test_in_an_inner_cycle_nodes_that_no_gate_controls_come_first():
    edges = {0: (1,), 1: (2,), 2: (0, 1)}
    assert set(order_of(edges, gated={1}).cycles) == {0, 2}
    assert set(order_of(edges, gated={1, 2}).cycles) == {0, 1}
    assert set(order_of({0: (1,), 1: (0,)}, gated={0}).cycles) == {0}  # an outer one goes by order


def test_two_cycles_beside_each_other_have_an_entry_each():
    order = order_of({0: (1,), 1: (0, 2), 2: (3,), 3: (2,)})
    assert order.back == {(1, 0), (3, 2)}
    assert order.successors[1] == {2}


def test_nodes_that_are_left_out_take_no_part():
    order = forward_order([0, 2], [(1, 2), (0,), ()], (), (), lambda node, inside: ())
    assert order.successors == [{2}, set(), set()]
    assert order.cycles == {}


def test_whether_a_round_avoids_every_gated_node():
    ring = {0: {1}, 1: {2}, 2: {0}, 3: set()}
    assert reaches_ungated(0, 2, (), ring)
    assert not reaches_ungated(0, 2, {1}, ring)
    assert not reaches_ungated(0, 2, {0}, ring)
    assert not reaches_ungated(0, 2, {2}, ring)
    assert not reaches_ungated(0, 3, (), ring)
    assert reaches_ungated(0, 0, (), ring)
    detour = {0: {1, 3}, 1: {2}, 2: {0}, 3: {2}}
    assert reaches_ungated(0, 2, {1}, detour)
