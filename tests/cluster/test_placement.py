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
    assert places.instead("fetcher-3", "abc") == "a"
    places.of["fetcher-3"] = "a"
    assert places.move_due("abc") is None
    assert places.instead("fetcher-3", "ac") is None
