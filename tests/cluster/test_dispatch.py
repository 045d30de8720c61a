"""However events fall, every chunk of a plan ends in exactly one place, and none is forgotten."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from actors.fetcher.outcome import (
    Answered,
    Delivered,
    Halted,
    Outcome,
    Throttled,
    TooLong,
    TryAgain,
    Undelivered,
    Unsent,
)
from actors.market.chunk import Cause, Chunk, Status
from actors.market.timeframe import Timeframe
from actors.upstox.reply import Refused
from cluster.breaker import TRIP_AFTER
from cluster.dispatch import UNSENT_PAUSE_S, Dispatch
from cluster.orders import Probe, Send, WriteOff

DAY = date(2024, 1, 1)


def chunk(number: int, days: int = 8) -> Chunk:
    return Chunk(
        f"NSE_EQ|{number}",
        f"S{number}",
        Timeframe.parse("1day"),
        DAY,
        DAY + timedelta(days=days - 1),
    )


def failing(wait_s: float = 0.0) -> TryAgain:
    refused = Refused(cause=Cause.SERVER_ERROR, message="HTTP 503: no", http_status=503)
    return TryAgain(wait_s, refused)


class Fleet(RuleBasedStateMachine):
    """A fleet that does anything a real one may do, in any order."""

    LANES = {"fetcher-1": 2, "fetcher-2": 1}

    @initialize(count=st.integers(0, 6))
    def begin(self, count: int) -> None:
        self.now_s = 0.0
        self.dispatch = Dispatch([chunk(i) for i in range(count)], self.LANES)
        self.held: list[Send | WriteOff] = []
        self.probes: list[Probe] = []
        self.writer = 0  # its incarnation
        self.heard = -1  # the one that told last
        self.buffered: set[str] = set()  # with this incarnation, not committed
        self.stored: set[str] = set()
        self.told: set[str] = set()  # receipts that were news
        self.days_owed = count * 8  # days of the plan; a split must not lose one
        self.sizes = {chunk(i).id: 8 for i in range(count)}
        self.planned = count
        self.unwritten: Counter[str] = Counter()  # dead letters that broke their fetchers

    def keep(self, chunk_id: str) -> Delivered:
        """What the writer does: it takes a chunk once."""
        if chunk_id not in self.stored:
            self.buffered.add(chunk_id)
        return Delivered(str(self.writer), Status.STORED, 1)

    def settle(self, order: Send | WriteOff, outcome: Outcome) -> None:
        self.dispatch.settle(order.chunk, outcome, self.now_s)

    @rule(step_s=st.floats(0, 3))
    def time_passes(self, step_s: float) -> None:
        self.now_s += step_s
        for order in self.dispatch.orders(self.now_s):
            if isinstance(order, Probe):
                assert not self.probes, "one probe at a time"
                self.probes.append(order)
                continue
            assert order.chunk.id not in {o.chunk.id for o in self.held}, "a chunk is sent twice"
            self.held.append(order)
            self.sizes[order.chunk.id] = (order.chunk.last - order.chunk.first).days + 1

    @precondition(lambda self: self.probes)
    @rule(data=st.data())
    def is_probed(self, data: st.DataObject) -> None:
        words = [Answered(), failing(), Throttled("429"), Unsent("no permit"), None]
        self.probes.clear()
        self.dispatch.probed(data.draw(st.sampled_from(words)), self.now_s)

    def pick(self, data: st.DataObject) -> Send | WriteOff:
        order = data.draw(st.sampled_from(self.held))
        self.held.remove(order)
        return order

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def delivers(self, data: st.DataObject) -> None:
        order = self.pick(data)
        self.settle(order, self.keep(order.chunk.id))

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def delivers_to_a_writer_that_dies_before_the_word_arrives(self, data: st.DataObject) -> None:
        order = self.pick(data)
        word = self.keep(order.chunk.id)
        self.writer_dies()
        if data.draw(st.booleans()):
            self.writer_tells()
        self.settle(order, word)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def is_committed_before_the_fetcher_is_heard(self, data: st.DataObject) -> None:
        order = self.pick(data)
        word = self.keep(order.chunk.id)
        self.writer_tells()
        if data.draw(st.booleans()):
            self.settle(order, data.draw(st.sampled_from([word, Undelivered("lost its answer")])))
        else:
            self.dispatch.lost(order.chunk, "its process died")

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def comes_back_unfinished(self, data: st.DataObject) -> None:
        order = self.pick(data)
        outcomes: list[Outcome] = [Unsent("stop"), Undelivered("full")]
        if isinstance(order, Send):
            outcomes += [failing(1.5), failing(1.5), Throttled("429")]
        self.settle(order, data.draw(st.sampled_from(outcomes)))

    def divisible(self) -> list[Send]:
        """What the provider has answered once, it does not call too long."""
        known = self.stored | self.buffered
        fresh = [o for o in self.held if isinstance(o, Send) and o.chunk.id not in known]
        return [o for o in fresh if o.chunk.halves()]

    @precondition(lambda self: self.divisible())
    @rule(data=st.data())
    def is_too_long(self, data: st.DataObject) -> None:
        order = data.draw(st.sampled_from(self.divisible()))
        self.held.remove(order)
        self.settle(order, TooLong())

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def dies(self, data: st.DataObject) -> None:
        self.lose(self.pick(data))

    def lose(self, order: Send | WriteOff) -> None:
        """No dead letter breaks its fetchers for ever."""
        self.unwritten[order.chunk.id] += isinstance(order, WriteOff)
        if self.unwritten[order.chunk.id] < 3:
            self.dispatch.lost(order.chunk, "its process died")
        else:
            self.settle(order, Undelivered("full"))

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def keeps_but_its_word_gets_lost(self, data: st.DataObject) -> None:
        """The writer commits it by and by; the chunk may be queued, suspected or sent again by then."""
        order = self.pick(data)
        self.keep(order.chunk.id)
        if data.draw(st.booleans()):
            self.lose(order)
        else:
            self.settle(order, Undelivered("no answer in time"))

    @rule()
    def more_is_planned(self) -> None:
        """History was rewritten."""
        more = chunk(self.planned)
        self.dispatch.add([more])
        self.planned += 1
        self.days_owed += 8
        self.sizes[more.id] = 8

    @rule()
    def writer_tells(self) -> None:
        """Its answer to a call to commit: of its batch; a new incarnation tells of all in the store."""
        if self.heard != self.writer:
            told = set(self.stored)
        else:
            told, self.buffered = self.buffered, set()
            self.stored |= told
        self.heard = self.writer
        news = self.dispatch.committed(told, str(self.writer))
        assert not news & self.told, "a receipt is counted twice"
        self.told |= news

    @rule()
    def writer_dies(self) -> None:
        self.buffered = set()
        self.writer += 1

    @invariant()
    def each_chunk_is_somewhere(self) -> None:
        if not hasattr(self, "dispatch"):
            return
        assert self.dispatch.in_flight == len(self.held)
        assert self.dispatch.done == len(self.told) <= len(self.stored)

    def teardown(self) -> None:
        """Left alone with a well fleet, the plan is finished, each day exactly once."""
        if not hasattr(self, "dispatch"):
            return
        for _ in range(1000):
            self.writer_tells()
            for order in self.held:
                self.settle(order, self.keep(order.chunk.id))
            self.held = []
            if self.probes:
                self.probes.clear()
                self.dispatch.probed(Answered(), self.now_s)
            self.time_passes(60.0)
            if self.dispatch.idle and not self.dispatch.uncommitted:
                break
        assert self.dispatch.idle
        assert self.dispatch.pending == 0
        assert self.told == self.stored
        assert sum(self.sizes[i] for i in self.stored) == self.days_owed


Fleet.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestAnyFleet = Fleet.TestCase


def test_no_fetcher_is_given_more_than_it_has_hands_for() -> None:
    orders = Dispatch([chunk(i) for i in range(9)], {"a": 2, "b": 3}).orders(0.0)
    assert sorted(o.fetcher for o in orders) == ["a", "a", "b", "b", "b"]


def test_a_fetcher_that_is_away_is_sent_nothing_until_it_is_back() -> None:
    dispatch = Dispatch([chunk(i) for i in range(4)], {"a": 1, "b": 1})
    dispatch.away("a")
    assert [o.fetcher for o in dispatch.orders(0.0)] == ["b"]
    dispatch.back("a")
    assert [o.fetcher for o in dispatch.orders(0.0)] == ["a"]


def test_a_retry_waits_its_time_and_counts_its_attempts() -> None:
    dispatch = Dispatch([chunk(0)], {"a": 1})
    (first,) = dispatch.orders(0.0)
    dispatch.settle(first.chunk, failing(2.0), 10.0)
    assert dispatch.orders(11.9) == []
    assert dispatch.next_wake_s() == 12.0
    assert [o.attempt for o in dispatch.orders(12.0)] == [2]


def test_an_attempt_that_sent_nothing_costs_none_and_is_not_repeated_at_once() -> None:
    dispatch = Dispatch([chunk(0)], {"a": 1})
    (first,) = dispatch.orders(0.0)
    dispatch.settle(first.chunk, Unsent("the limiter is away"), 0.0)
    assert dispatch.orders(0.0) == []
    assert [o.attempt for o in dispatch.orders(UNSENT_PAUSE_S)] == [1]
    assert dispatch.requests == 0


def test_a_chunk_that_breaks_its_fetcher_again_and_again_is_written_off() -> None:
    dispatch = Dispatch([chunk(0)], {"a": 1}, poison_after=3)
    for _ in range(3):
        (order,) = dispatch.orders(0.0)
        assert isinstance(order, Send)
        dispatch.lost(order.chunk, "its process died")
    (order,) = dispatch.orders(0.0)
    assert isinstance(order, WriteOff)
    assert (order.attempts, order.refused.cause) == (3, Cause.POISON)
    assert dispatch.requests == 3


def test_a_dead_letter_that_cannot_be_made_ends_the_run_and_names_what_went_wrong() -> None:
    """It is the writer that breaks, or we do: to go on would be to go round for ever."""
    dispatch = Dispatch([chunk(0), chunk(1)], {"a": 1}, poison_after=3)  # the second stays pending
    messages = []
    for turn in range(100):
        for order in dispatch.orders(float(turn)):
            if isinstance(order, WriteOff):
                messages.append(order.refused.message)
            dispatch.lost(order.chunk, "ValueError; see the run's log")
    assert (
        messages
        == ["it broke its fetcher 3 times, the last time: ValueError; see the run's log"] * 3
    )
    assert dispatch.idle
    assert (dispatch.pending, dispatch.requests) == (2, 3)
    assert "ValueError" in str(dispatch.trouble)


def test_a_suspect_is_sent_alone_so_that_no_innocent_chunk_is_condemned() -> None:
    """Fetcher `a` breaks whenever it holds chunk 0. Only chunk 0 is ever written off."""
    dispatch = Dispatch([chunk(i) for i in range(12)], {"a": 4, "b": 1}, poison_after=3)
    written_off, done = set(), set()
    for turn in range(200):
        orders = dispatch.orders(float(turn))
        guilty = {o.fetcher for o in orders if o.chunk == chunk(0) and isinstance(o, Send)}
        for order in orders:
            if order.fetcher in guilty:
                dispatch.lost(order.chunk, "its process died")
                continue
            (written_off if isinstance(order, WriteOff) else done).add(order.chunk)
            dispatch.settle(order.chunk, Delivered("w", Status.STORED, 1), float(turn))
        dispatch.committed([c.id for c in written_off | done], "w")
    assert written_off == {chunk(0)}
    assert len(done) == 11
    assert dispatch.pending == 0


@pytest.mark.parametrize("well", [["a"], ["a", "c"]])
@pytest.mark.parametrize("its_dead_letters_too", [False, True])
def test_a_fetcher_that_breaks_over_everything_condemns_nothing_and_draws_no_work(
    well: list[str],
    its_dead_letters_too: bool,  # by its name
) -> None:
    """Such as one whose disk is full; the others are given what it broke over."""
    dispatch = Dispatch([chunk(i) for i in range(400)], dict.fromkeys([*well, "bad"], 5))
    broken, under_way = 0, []
    for turn in range(2_000):
        under_way += dispatch.orders(float(turn))
        if not under_way:
            break
        order = under_way.pop(0)
        if order.fetcher == "bad" and (isinstance(order, Send) or its_dead_letters_too):
            broken += 1
            dispatch.lost(order.chunk, "OSError")
            continue
        assert isinstance(order, Send), "an innocent chunk was written off"
        dispatch.settle(order.chunk, Delivered("w", Status.STORED, 1), float(turn))
        dispatch.committed([order.chunk.id], "w")
    assert dispatch.trouble is None
    assert (dispatch.pending, dispatch.idle) == (0, True)
    assert 0 < broken < 40


def test_a_fetcher_that_dies_again_and_again_is_given_less_and_less() -> None:
    dispatch = Dispatch([chunk(i) for i in range(300)], {"well": 5, "dying": 5})
    deaths, under_way = 0, []
    for turn in range(2_000):
        dispatch.back("dying")
        under_way += dispatch.orders(float(turn))
        if not under_way:
            break
        if any(order.fetcher == "dying" for order in under_way):
            deaths += 1
            dispatch.away("dying")
            for order in [o for o in under_way if o.fetcher == "dying"]:
                under_way.remove(order)
                dispatch.lost(order.chunk, "its process died")
            continue
        order = under_way.pop(0)
        assert isinstance(order, Send), "an innocent chunk was written off"
        dispatch.settle(order.chunk, Delivered("w", Status.STORED, 1), float(turn))
        dispatch.committed([order.chunk.id], "w")
    assert dispatch.pending == 0
    assert 0 < deaths < 30


def test_a_receipt_whose_fetcher_was_lost_is_the_end_of_its_chunk() -> None:
    """The writer had its answer, the driver never heard of it: no second request, and the run ends."""
    dispatch = Dispatch([chunk(0)], {"a": 1})
    (order,) = dispatch.orders(0.0)
    dispatch.lost(order.chunk, "its process died")
    assert dispatch.committed([order.chunk.id], "w") == {order.chunk.id}
    assert dispatch.orders(1.0) == []
    assert dispatch.idle
    assert (dispatch.done, dispatch.pending, dispatch.uncommitted) == (1, 0, 0)
    assert dispatch.committed([order.chunk.id], "the next") == set()


def test_nothing_is_to_wake_for_while_nobody_could_probe() -> None:
    """Or the loop would turn without a rest until a fetcher is back."""
    dispatch = Dispatch([chunk(i) for i in range(TRIP_AFTER)], {"a": TRIP_AFTER})
    for order in dispatch.orders(0.0):
        dispatch.settle(order.chunk, failing(), 0.0)
    dispatch.away("a")
    assert dispatch.orders(99.0) == []
    assert dispatch.next_wake_s() is None
    dispatch.back("a")
    (probe,) = dispatch.orders(99.0)
    assert isinstance(probe, Probe)


def test_a_halt_stops_everything_and_keeps_the_first_reason() -> None:
    dispatch = Dispatch([chunk(i) for i in range(3)], {"a": 2})
    first, second = dispatch.orders(0.0)
    dispatch.settle(first.chunk, Halted("token expired", 401, "UDAPI100050"), 0.0)
    dispatch.settle(second.chunk, Halted("again", 401, None), 0.0)
    assert dispatch.halted == Halted("token expired", 401, "UDAPI100050")
    assert dispatch.orders(99.0) == []
    assert dispatch.idle
    assert dispatch.pending == 3


def test_a_throttled_chunk_has_lost_no_attempt_and_is_next_again() -> None:
    """The request was sent, though; and it is no backoff of its own that it waits for, but a permit."""
    dispatch = Dispatch([chunk(1), chunk(2)], {"fetcher-1": 1})
    (first,) = dispatch.orders(0.0)
    dispatch.settle(first.chunk, Throttled("429"), 0.0)
    assert dispatch.orders(0.0) == [first]
    assert dispatch.requests == 1


def test_a_halted_run_sends_nothing_more_and_says_why() -> None:
    dispatch = Dispatch([chunk(1)], {"fetcher-1": 1})
    dispatch.halt(Halted("banned", 403, "1010"))
    dispatch.halt(Halted("again", 403, "1010"))
    assert dispatch.orders(0.0) == []
    assert dispatch.halted == Halted("banned", 403, "1010")
