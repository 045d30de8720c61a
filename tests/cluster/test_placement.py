from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from cluster.placement import Places, move_due, spread

NODES = st.lists(st.sampled_from("abcdefgh"), min_size=1, unique=True)


@given(st.integers(0, 20), NODES)
def test_nodes_take_turns(count: int, nodes: list[str]) -> None:
    placed = spread([f"fetcher-{i}" for i in range(count)], nodes)
    loads = [list(placed.values()).count(node) for node in nodes]
    assert max(loads) - min(loads) <= 1
    assert sum(loads) == count


@given(st.integers(1, 12), NODES, st.lists(NODES, max_size=4))
def test_whatever_nodes_come_and_go_moving_ends_with_none_idle_beside_a_crowded_one(
    count: int, first: list[str], later: list[list[str]]
) -> None:
    placed = spread([f"fetcher-{i}" for i in range(count)], first)
    for nodes in later:
        moves = 0
        while (move := move_due(placed, nodes)) is not None:
            fetcher, node = move
            assert node in nodes
            assert node not in placed.values(), "it has one already"
            placed[fetcher] = node
            moves += 1
        assert moves <= min(count, len(nodes)), "to and fro"
        held = Counter(placed.values())
        if any(not held[node] for node in nodes):
            assert all(node in nodes and held[node] == 1 for node in placed.values())


def test_a_fetcher_that_is_starting_is_not_moved_again() -> None:
    places = Places(["fetcher-1", "fetcher-2"], "a")
    assert places.move_due("ab") == ("fetcher-2", "b")
    places.of["fetcher-2"] = "b"
    assert places.move_due("ab") is None


def test_where_a_fetcher_could_not_start_none_is_sent_again() -> None:
    """Such as to a node that lacks a package; the fetcher is not lost with it."""
    places = Places(["fetcher-1", "fetcher-2", "fetcher-3"], "abc")
    places.failed("fetcher-3", "abc")
    assert places.of["fetcher-3"] in "ab"
    assert places.move_due("abc") is None
    places.started("fetcher-3", "c")  # Ray had its own mind, and it went well
    assert places.of["fetcher-3"] == "c"
    places.of["fetcher-3"] = "a"
    assert places.move_due("abc") == ("fetcher-3", "c")


@given(NODES, st.lists(st.booleans(), max_size=12))
def test_a_fetcher_is_started_again_wherever_there_is_any_node_and_not_in_haste(
    nodes: list[str], others_start: list[bool]
) -> None:
    """Twice as long is waited each time, up to a minute; from the start again once it was there."""
    places, waits_s = Places(["fetcher-1", "fetcher-2"], nodes), []
    for starts in others_start:
        waits_s.append(places.failed("fetcher-1", nodes))
        assert places.of["fetcher-1"] in nodes
        if starts:
            places.started("fetcher-2", places.of["fetcher-2"])
    assert waits_s == [min(60.0, 2.0**n) for n in range(len(waits_s))]
    places.started("fetcher-1", places.of["fetcher-1"])
    assert places.failed("fetcher-1", nodes) == 1.0


def test_each_node_is_tried_before_any_is_tried_again() -> None:
    places, tried = Places(["fetcher-1"], "abc"), []
    for _ in range(3):
        tried.append(places.of["fetcher-1"])
        places.failed("fetcher-1", "abc")
    assert sorted(tried) == ["a", "b", "c"]
