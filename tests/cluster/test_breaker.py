"""An outage costs no chunk its attempts and few requests; a bad chunk is given up all the same."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from datetime import date
from itertools import count

from hypothesis import example, given, settings
from hypothesis import strategies as st

from actors.fetcher.outcome import Answered, Delivered, Outcome, TryAgain, Unsent, Word
from actors.market.chunk import Cause, Chunk, Status
from actors.market.timeframe import Timeframe
from actors.upstox.limits import LANDMARKS
from actors.upstox.reply import Refused
from cluster.breaker import FIRST_PROBE_AFTER_S, PROBE_EVERY_AT_MOST_S, TRIP_AFTER
from cluster.dispatch import Dispatch
from cluster.orders import Order, Probe, Send, WriteOff, control_of

DAY = date(2024, 1, 1)
LANES = {"fetcher-1": 10, "fetcher-2": 10}  # two fetchers of eight threads, as by default
ATTEMPTS = 5


def chunk(number: int) -> Chunk:
    return Chunk(f"NSE_EQ|{number}", f"S{number}", Timeframe.parse("1day"), DAY, DAY)


def refused(retry_after_s: float | None = None) -> Refused:
    return Refused(
        cause=Cause.SERVER_ERROR, message="503", http_status=503, retry_after_s=retry_after_s
    )


@dataclass
class World:
    """A fleet and a provider in simulated time: every request takes `latency_s`."""

    dispatch: Dispatch
    down: list[tuple[float, float]]  # from, until
    bad: set[str] = field(default_factory=set)  # chunks that always fail
    latency_s: float = 0.2
    cut_off: str = ""  # a fetcher whose requests fail at once
    now_s: float = 0.0
    written_off: list[str] = field(default_factory=list)
    requests: list[tuple[float, str]] = field(default_factory=list)  # when each was sent

    def is_down(self, at_s: float) -> bool:
        return any(first <= at_s < until for first, until in self.down)

    def fails(self, order: Order) -> bool:
        if order.fetcher == self.cut_off or self.is_down(self.now_s):
            return True
        return isinstance(order, Send) and order.chunk.id in self.bad

    def run(self, until_s: float = 1e6) -> None:
        numbers, under_way = count(), list[tuple[float, int, Order, Outcome | Word]]()
        while not (self.dispatch.idle and not self.dispatch.uncommitted) and self.now_s < until_s:
            for order in self.dispatch.orders(self.now_s):
                outcome = self.ask(order)
                latency_s = 0.001 if order.fetcher == self.cut_off else self.latency_s
                entry = (self.now_s + latency_s, next(numbers), order, outcome)
                heapq.heappush(under_way, entry)
            wake_s = self.dispatch.next_wake_s()
            if under_way and (wake_s is None or under_way[0][0] <= wake_s):
                at_s, _, order, outcome = heapq.heappop(under_way)
                self.now_s = max(self.now_s, at_s)
                self.take(order, outcome)
            else:
                assert wake_s is not None, "it waits for nothing at all"
                self.now_s = max(self.now_s, wake_s)

    def ask(self, order: Order) -> Outcome | Word:
        match order:
            case WriteOff(chunk=asked):
                self.written_off.append(asked.id)
                return Delivered("writer", Status.FAILED, 0)
            case Probe() | Send():
                self.requests.append((self.now_s, order.chunk.id))
                failing = self.fails(order)
        if failing:
            return TryAgain(0.5, refused())
        return Answered() if isinstance(order, Probe) else Delivered("writer", Status.STORED, 1)

    def take(self, order: Order, outcome: Outcome | Word) -> None:
        if isinstance(order, Probe):
            assert not isinstance(outcome, Delivered)
            self.dispatch.probed(outcome, self.now_s)  # type: ignore[arg-type]
            return
        self.dispatch.settle(order.chunk, outcome, self.now_s)  # type: ignore[arg-type]
        if isinstance(outcome, Delivered):
            self.dispatch.committed([order.chunk.id], "writer")

    def sent_while_down(self) -> int:
        return sum(self.is_down(at_s) for at_s, _ in self.requests)


def world(chunks: int, down: list[tuple[float, float]], bad: int = 0, **rest: float) -> World:
    plan = [chunk(number) for number in range(chunks)]
    dispatch = Dispatch(plan, LANES, ATTEMPTS)
    return World(dispatch, down, {each.id for each in plan[:bad]}, **rest)


def test_ten_minutes_of_503_cost_no_chunk_and_some_forty_requests() -> None:
    """10 that trip it, those under way just then, and 15 probes, the last of which finds it over."""
    outage = world(1000, [(1.0, 601.0)])
    outage.run()
    assert outage.written_off == []
    assert outage.dispatch.pending == 0
    under_way = sum(LANES.values())
    assert outage.sent_while_down() <= TRIP_AFTER + under_way + 15
    strain = outage.dispatch.strain(outage.now_s)
    assert strain.outages == 1
    assert strain.probes <= 16
    assert 600 <= strain.seconds + 1 <= 600 + PROBE_EVERY_AT_MOST_S + 1
    assert outage.dispatch.requests == len(outage.requests)


@settings(deadline=None, max_examples=150)
@given(
    chunks=st.integers(1, 60),
    begins_s=st.floats(0, 5),
    lasts_s=st.floats(10, 1_200),
    bad=st.integers(0, 5),
    latency_s=st.floats(0.01, 3),
)
@example(chunks=1, begins_s=0.0, lasts_s=600.0, bad=0, latency_s=0.1)
@example(chunks=1, begins_s=0.0, lasts_s=600.0, bad=1, latency_s=0.1)
@example(chunks=21, begins_s=1.0, lasts_s=10.0, bad=0, latency_s=1.5)
@example(chunks=3, begins_s=0.1, lasts_s=600.0, bad=2, latency_s=0.3)
def test_only_bad_chunks_are_given_up_whatever_outage_comes(
    chunks: int, begins_s: float, lasts_s: float, bad: int, latency_s: float
) -> None:
    """Also where hardly anything is left to fetch, and where nothing was ever answered."""
    day = world(chunks, [(begins_s, begins_s + lasts_s)], bad=min(bad, chunks), latency_s=latency_s)
    day.run()
    assert set(day.written_off) == day.bad
    assert day.dispatch.pending == 0
    assert day.sent_while_down() <= TRIP_AFTER + sum(LANES.values()) + 6 + lasts_s / 60 + ATTEMPTS
    # And it is soon over, once the provider is back.
    rest_s = (chunks + ATTEMPTS * len(day.bad)) * (latency_s + 0.5) + 20 * (1 + latency_s)
    assert day.now_s <= begins_s + lasts_s + PROBE_EVERY_AT_MOST_S + rest_s


@settings(deadline=None, max_examples=50)
@given(bad=st.integers(1, 120), good=st.integers(0, 50), latency_s=st.floats(0.01, 3))
def test_chunks_that_always_fail_end_as_dead_letters_within_bounds(
    bad: int, good: int, latency_s: float
) -> None:
    """They alone are left in the end: a question about an index shows that it is not the provider."""
    day = world(bad + good, [], bad=bad, latency_s=latency_s)
    day.run()
    assert set(day.written_off) == day.bad
    assert len(day.written_off) == bad, "written off twice"
    assert day.dispatch.pending == 0
    attempts = ATTEMPTS * bad
    probes = sum(each.partition("/")[0] in LANDMARKS for _, each in day.requests)
    assert len(day.requests) == good + attempts + probes
    assert probes <= 2 + attempts / TRIP_AFTER
    assert day.now_s <= (attempts + good + 1) * (latency_s + 0.5) + probes * (1 + latency_s)
    assert day.dispatch.strain(day.now_s).outages == 0


def test_a_few_bad_chunks_among_good_ones_pause_nothing() -> None:
    day = world(400, [], bad=0)
    day.bad = {chunk(number).id for number in range(0, 400, 40)}
    day.run()
    assert set(day.written_off) == day.bad
    good_s = max(at_s for at_s, name in day.requests if name not in day.bad and "INDEX" not in name)
    probes_s = [at_s for at_s, name in day.requests if "INDEX" in name]
    assert all(at_s > good_s for at_s in probes_s), "while others succeeded"


def test_a_chunk_that_had_failed_before_the_outage_is_not_given_up_for_it() -> None:
    """Two attempts fall into the outage: they are not held against it."""
    dispatch = Dispatch([chunk(0)], {"a": 1}, attempts=3)
    for now_s in (0.0, 1.0):
        (order,) = dispatch.orders(now_s)
        assert isinstance(order, Send)
        dispatch.settle(order.chunk, TryAgain(1.0, refused()), now_s)
    assert dispatch.orders(1.0) == []
    assert not dispatch.idle
    (probe,) = dispatch.orders(1.0 + FIRST_PROBE_AFTER_S)
    assert probe == Probe("a", control_of(chunk(0)))
    dispatch.probed(TryAgain(0.0, refused(retry_after_s=100.0)), 3.0)
    assert dispatch.outage is not None
    assert dispatch.outage.why == "503"
    assert dispatch.next_wake_s() == 103.0, "a wait the provider names is kept to"
    assert dispatch.orders(102.9) == []
    (probe,) = dispatch.orders(103.0)
    assert dispatch.outage.next_try_s is None
    dispatch.probed(Unsent("the limiter is away"), 103.0)
    assert dispatch.strain(103.0).probes == 1, "nothing was sent"
    (probe,) = dispatch.orders(dispatch.next_wake_s() or 0.0)
    dispatch.probed(Answered(), 110.0)
    assert dispatch.outage is None
    assert dispatch.orders(110.0) == [Send("a", chunk(0), 3)]
    assert dispatch.requests == 2 + 2


def test_the_question_is_about_an_instrument_other_than_the_one_that_fails() -> None:
    for landmark in LANDMARKS:
        asked = Chunk(landmark, "x", Timeframe.parse("5minute"), DAY, DAY)
        control = control_of(asked)
        assert control.instrument_key in LANDMARKS
        assert control.instrument_key != landmark
        assert (control.timeframe, control.first, control.last) == (asked.timeframe, DAY, DAY)


def test_a_fetcher_that_only_the_provider_does_not_answer_does_not_draw_the_work() -> None:
    """It fails at once, and so is always the least loaded; yet it costs few requests and no chunk."""
    fleet = world(1000, [])
    fleet.cut_off = "fetcher-2"
    fleet.run()
    assert fleet.written_off == []
    assert fleet.dispatch.pending == 0
    assert len(fleet.requests) < 1000 + 2 * 1000**0.5 + 2 * LANES["fetcher-2"]
