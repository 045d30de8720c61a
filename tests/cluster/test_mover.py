"""Whatever nodes come and go: a move costs no chunk, and a head that is away for long ends the run."""

from __future__ import annotations

from datetime import date
from itertools import pairwise

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from actors.fetcher.outcome import Delivered, Unsent
from actors.market.chunk import Chunk, Status
from actors.market.errors import CandlefleetError
from actors.market.timeframe import Timeframe
from cluster.alarms import Alarms
from cluster.dispatch import Dispatch
from cluster.mover import HEADLESS_AT_MOST_S, LOOK_EVERY_S, REST_AT_MOST_S, REST_S, Mover
from cluster.orders import Probe
from cluster.placement import Places

NODES = ["home", "east", "west"]
LANES = {"fetcher-1": 2, "fetcher-2": 2, "fetcher-3": 2}


def chunk(number: int) -> Chunk:
    day = date(2024, 1, 1)
    return Chunk(f"NSE_EQ|{number}", f"S{number}", Timeframe.parse("1day"), day, day)


class Site:
    """Nodes and fetchers that are only names, on a clock that a test moves."""

    def __init__(self, chunks: int = 0, starting: frozenset[str] = frozenset()) -> None:
        self.now_s = 0.0
        self.has_head = True
        self.nodes = ["home"]
        self.places = Places(LANES, self.nodes)
        self.unheard = starting
        self.hushed: list[str] = []
        self.moves: list[tuple[float, str, str]] = []
        self.restarting: list[str] = []
        self.dispatch = Dispatch(map(chunk, range(chunks)), LANES)
        self.alarms = Alarms()
        self.mover = Mover(
            self, self.dispatch, self.alarms, self.restarting.append, lambda: self.now_s
        )

    def head_answers(self) -> bool:
        return self.has_head

    def move_due(self) -> tuple[str, str] | None:
        return self.places.move_due(self.nodes)

    def hush(self, fetcher: str) -> None:
        self.hushed.append(fetcher)

    def move(self, fetcher: str, node: str) -> bool:
        assert not self.dispatch.holds(fetcher), "it had something in hand"
        assert fetcher not in self.dispatch.present, "it could have been sent more"
        self.moves.append((self.now_s, fetcher, node))
        self.places.of[fetcher] = node
        return True

    def pass_time(self, seconds: float, step_s: float = 0.25) -> None:
        until_s = self.now_s + seconds
        while self.now_s < until_s:
            self.now_s += step_s
            self.alarms.ring(self.now_s)

    def return_all(self) -> None:
        while self.restarting:
            self.dispatch.back(self.restarting.pop())


class Moves(RuleBasedStateMachine):
    """Chunks are sent and settled, nodes join and vanish, in any order."""

    @initialize(chunks=st.integers(0, 12))
    def begin(self, chunks: int) -> None:
        self.site = Site(chunks)
        self.held: list[Chunk] = []
        self.site.mover.begin()

    @rule()
    def send(self) -> None:
        for order in self.site.dispatch.orders(self.site.now_s):
            assert not isinstance(order, Probe)
            self.held.append(order.chunk)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), is_sent=st.booleans())
    def settle(self, data: st.DataObject, is_sent: bool) -> None:
        settled = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        outcome = Delivered("writer", Status.STORED, 1) if is_sent else Unsent("hushed")
        self.site.dispatch.settle(settled, outcome, self.site.now_s)

    @rule(nodes=st.sets(st.sampled_from(NODES[1:])))
    def nodes_come_and_go(self, nodes: set[str]) -> None:
        self.site.nodes = ["home", *sorted(nodes)]

    @rule(seconds=st.floats(0, 30))
    def time_passes(self, seconds: float) -> None:
        self.site.pass_time(seconds)

    @rule()
    def those_that_start_say_so(self) -> None:
        self.site.return_all()

    @invariant()
    def nobody_is_kept_away_for_nothing(self) -> None:
        """Only one on its way out, and those that start."""
        site = self.site
        assert len(LANES.keys() - set(site.dispatch.present) - set(site.restarting)) <= 1

    def teardown(self) -> None:
        """Left in peace, every node ends with a fetcher, as far as there are any."""
        if not hasattr(self, "site"):
            return
        while self.held:
            self.site.dispatch.settle(
                self.held.pop(), Delivered("writer", Status.STORED, 1), self.site.now_s
            )
        for _ in range(len(LANES) + 1):
            self.site.return_all()
            self.site.pass_time(2 * REST_AT_MOST_S)
        assert self.site.places.move_due(self.site.nodes) is None
        assert set(self.site.nodes) <= set(self.site.places.of.values())


TestMoves = Moves.TestCase
TestMoves.settings = settings(max_examples=200, stateful_step_count=20, deadline=None)


def test_what_a_fetcher_waits_for_is_called_back_before_it_is_moved() -> None:
    site = Site(chunks=6)
    sent = site.dispatch.orders(0.0)
    assert len(sent) == 6
    site.nodes.append("east")
    site.mover.begin()
    (fetcher,) = set(site.hushed)
    site.pass_time(3 * LOOK_EVERY_S)
    assert site.moves == []
    for order in sent:
        assert not isinstance(order, Probe)
        if order.fetcher == fetcher:
            site.dispatch.settle(order.chunk, Unsent("hushed"), site.now_s)
    site.pass_time(LOOK_EVERY_S)
    assert [move[1:] for move in site.moves] == [(fetcher, "east")]
    assert site.restarting == [fetcher]


def test_moves_that_come_to_nothing_become_rarer_and_a_quiet_time_makes_up_for_them() -> None:
    """As where Ray puts a fetcher elsewhere than on the node that it was told to."""
    site = Site()
    site.nodes.append("east")
    site.mover.begin()
    while len(site.moves) < 7:
        site.places.of = dict.fromkeys(LANES, "home")
        site.return_all()
        site.pass_time(0.25)
    times_s = [at_s for at_s, _, _ in site.moves]
    rests_s = [later - earlier for earlier, later in pairwise(times_s)]
    assert rests_s == pytest.approx([5, 10, 20, 40, 60, 60], abs=1)
    site.return_all()
    site.pass_time(2 * REST_AT_MOST_S)
    site.places.of = dict.fromkeys(LANES, "home")
    site.return_all()
    site.pass_time(LOOK_EVERY_S)
    moved_s = site.now_s
    site.places.of = dict.fromkeys(LANES, "home")
    site.return_all()
    site.pass_time(REST_S + 0.5)
    assert site.moves[-1][0] == pytest.approx(moved_s + REST_S, abs=0.5)


def test_a_fetcher_that_is_starting_is_sent_nothing_and_moved_nowhere() -> None:
    site = Site(chunks=6, starting=frozenset({"fetcher-2", "fetcher-3"}))
    site.nodes.append("east")
    site.mover.begin()
    assert sorted(site.restarting) == ["fetcher-2", "fetcher-3"]
    orders = site.dispatch.orders(0.0)
    assert {order.fetcher for order in orders} == {"fetcher-1"}
    site.pass_time(10 * LOOK_EVERY_S)
    assert site.moves == []
    site.return_all()
    site.pass_time(2 * LOOK_EVERY_S)
    assert len(site.moves) == 1


def test_a_head_that_comes_back_is_forgiven_and_one_that_does_not_ends_the_run() -> None:
    site = Site()
    site.mover.begin()
    for _ in range(3):
        site.has_head = False
        site.pass_time(HEADLESS_AT_MOST_S)
        site.has_head = True
        site.pass_time(2 * LOOK_EVERY_S)
    site.has_head = False
    site.nodes.append("east")
    with pytest.raises(
        CandlefleetError, match="head .* has not answered for 20 s; the same command"
    ):
        site.pass_time(HEADLESS_AT_MOST_S + 3 * LOOK_EVERY_S)
    assert site.moves == [], "nobody could be asked to"
