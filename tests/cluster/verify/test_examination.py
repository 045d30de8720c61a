"""The verdict on every series, held against one made day by day without arrays."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from random import Random

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.market.chunk import Chunk, Receipt, Status
from actors.market.instrument import Instrument
from actors.market.session_days import REFERENCE
from actors.market.sessions import IST, settled_at
from actors.market.timeframe import Timeframe
from actors.writer.coverage import rewritten
from actors.writer.presence import COUNTS
from actors.writer.receipts import receipts_table
from cluster.days import Days
from cluster.verify.answers import answers
from cluster.verify.counts import Counts
from cluster.verify.examination import Examination
from cluster.verify.judgement import Grade, Reason
from tests.cluster.test_coverage import is_held

DAY = timedelta(days=1)
FIRST, LAST = date(2024, 1, 22), date(2024, 2, 11)  # three whole weeks, two weekends inside
SPAN = [FIRST + n * DAY for n in range((LAST - FIRST).days + 1)]
DAILY, MINUTES, WEEKLY = (Timeframe.parse(label) for label in ("1day", "5minute", "1week"))
KEYS = ("NSE_EQ|A", "BSE_EQ|B", "NSE_COM|C", REFERENCE)
SERIES = [(key, frame) for key in KEYS for frame in (DAILY, MINUTES, WEEKLY)]


@dataclass
class World:
    now: datetime
    wanted: dict  # series: days
    receipts: list[Receipt]
    bars: dict  # series: {day: bars}
    provisional: dict  # series: days on which one of them is not final


#: Whole worlds, drawn by hand: one by one, hypothesis would mostly draw empty ones.
seeds = st.integers(0, 2**32)


def world(seed):
    """Mostly as it should be: a few days lack a bar, a few receipts are off."""
    draw = Random(seed)
    minutes = draw.randrange(12 * 24 * 60)
    now = datetime(2024, 2, 6, tzinfo=IST) + timedelta(minutes=minutes)
    closed = draw.sample(SPAN, 3)
    bars, provisional, receipts, wanted = {}, {}, [], {}
    for key in KEYS:
        listed = draw.choice([FIRST, FIRST, draw.choice(SPAN)])
        idle = draw.sample(SPAN, draw.choice([0, 1, 4]))
        open_ = [d for d in SPAN if d.weekday() < 5 and d not in [*closed, *idle] and d >= listed]
        for frame in (DAILY, MINUTES, WEEKLY):
            days = {frame.bar_days(day)[0] for day in open_ if draw.random() < 0.95}
            days |= {frame.bar_days(day)[0] for day in draw.sample(SPAN, draw.choice([0, 0, 0, 1]))}
            bars[key, frame] = {day: draw.randint(1, 3) for day in sorted(days)}
            provisional[key, frame] = {day for day in sorted(days) if draw.random() < 0.2}
            if draw.random() < 0.8:
                wanted[key, frame] = whole(frame, *span(draw))
            receipts += [
                receipt(draw, key, frame, now, bars) for _ in range(draw.choice([0, 1, 1, 2, 3]))
            ]
    return World(now, wanted, receipts, bars, provisional)


def span(draw):
    return (FIRST, LAST) if draw.random() < 0.5 else tuple(sorted(draw.choices(SPAN, k=2)))


def receipt(draw, key, frame, now, bars):
    first, last = span(draw)
    status = draw.choices(list(Status), weights=[8, 1, 2])[0]
    rows = sum(n for day, n in bars[key, frame].items() if day in whole(frame, first, last))
    rows += draw.choice([0, 0, 0, 1, 2, -1])
    at = now - timedelta(seconds=draw.randrange(14 * 24 * 3600), microseconds=draw.randrange(10**6))
    chunk = Chunk(key, key, frame, first, last)
    stored = status is Status.STORED
    has_rows = stored or (status is Status.FAILED and draw.random() < 0.5)  # it lacked others
    told = at - timedelta(days=1) if stored and draw.random() < 0.04 else None
    return Receipt(
        chunk=chunk,
        status=status,
        run_id="r",
        fetched_at=at,
        rows=max(0, rows) if has_rows else 0,
        quarantined=draw.choice([0, 0, 0, 0, 1]),
        attempts=draw.choice([0, 1, 1, 1]),
        outdates=told,
        final=draw.random() < 0.8,
        revised=draw.choice([0, 0, 0, 1]),
    )


def days_of(receipt):
    return whole(receipt.chunk.timeframe, receipt.chunk.first, receipt.chunk.last)


def whole(frame, first, last):
    """Every day of all bars that hold a day of the span."""
    begin, end = frame.bar_days(first)[0], frame.bar_days(last)[1]
    return {begin + n * DAY for n in range((end - begin).days + 1)}


class Naive:
    def __init__(self, world):
        self.world = world
        self.since = rewritten(receipts_table(world.receipts))
        self.keys = {REFERENCE, *(key for key, _ in world.wanted)}

    def of(self, key, frame, statuses):
        """The answers that count, each with whether it says that the day's bar is settled."""
        mine = [r for r in self.world.receipts if r.chunk.instrument_key == key]
        return [r for r in mine if r.chunk.timeframe == frame and r.status in statuses]

    def held_by(self, key, frame, day, statuses=(Status.STORED, Status.EMPTY)):
        """The receipts that speak for good of the bar the day belongs to."""
        last = min(frame.bar_days(day)[1], self.world.now.astimezone(IST).date() - DAY)
        return [
            r
            for r in self.of(key, frame, statuses)
            if is_held(frame, last, [(r.chunk.first, r.chunk.last, r.fetched_at)], self.world.now)
            and not self.is_stale(r)
        ]

    def given_by(self, key, frame, day):
        """Of them, the provider's: what was made of minutes, without a request, says nothing new.

        Nor does one that counts rows of which nobody knows where they are, or of which some are put aside.
        """
        held = [r for r in self.held_by(key, frame, day) if r.attempts or frame != MINUTES]
        held = [r for r in held if not r.quarantined]
        return [r for r in held if r not in self.audit(key, frame)[1]]

    def is_stale(self, receipt):
        since = self.since.get(receipt.chunk.instrument_key)
        return receipt.status is Status.STORED and since is not None and receipt.fetched_at < since

    def has_bar(self, key, day, frames=(DAILY, MINUTES)):
        return any(day in self.world.bars[key, f] for f in frames if self.looked_at(key, f))

    def looked_at(self, key, frame):
        """Timeframes are witnesses if they are wanted of the instrument; the daily one always is."""
        return frame == DAILY or (key, frame) in self.world.wanted

    def audit(self, key, frame):
        """Losses as (days, least rows, most rows), and the receipts whose rows cannot be accounted for."""
        told = self.of(key, frame, list(Status))  # one that failed may have done either
        stored = [r for r in told if r.rows or r.revised]  # rows brought, or taken away
        losses, doubtful, accounted = [], [], set()
        for receipt in sorted(stored, key=lambda r: r.fetched_at, reverse=True):
            mine = days_of(receipt)
            newer = [r for r in stored if r.fetched_at > receipt.fetched_at and days_of(r) & mine]
            standing = sum(n for day, n in self.world.bars[key, frame].items() if day in mine)
            missing = receipt.rows - standing - sum(n for days, n, _ in losses if days <= mine)
            excused = sum(r.revised for r in newer)
            excused += sum(most - n * (days <= mine) for days, n, most in losses if days & mine)
            free = sorted(mine - accounted)
            settled = receipt.final or len(free) == len(mine)
            if missing > excused and free and settled:
                days = {d for d in SPAN if free[0] <= d <= free[-1]}
                losses.append((days, missing - excused, missing))
                missing = 0
            accounted |= mine if missing == 0 else set()
            doubtful += [receipt] if missing > 0 else []
        return losses, doubtful

    def lost(self, key, frame):
        """Days on which rows may be missing."""
        return set().union(*(days for days, *_ in self.audit(key, frame)[0]))

    def alike(self, key):
        """Instruments that trade on the same days."""
        if key == "NSE_COM|C":
            return ["NSE_COM|C"]
        return [k for k in self.keys if k != "NSE_COM|C"]

    def all_frames(self):
        return {DAILY, *(frame for _, frame in self.world.wanted)}

    def is_session(self, key, day):
        mine = self.alike(key)
        frames = [f for f in self.all_frames() if f != WEEKLY]
        bars = self.world.bars
        came = [k for k in mine if any(day in bars[k, f] for f in frames)]
        listed = [k for k in mine if any(d <= day for f in frames for d in bars[k, f])]
        if len(came) * 2 > len(listed):
            return True
        return REFERENCE in mine and day in bars[REFERENCE, DAILY]

    def is_doubtful(self, key, day):
        if self.is_session(key, day) or day.weekday() >= 5:
            return False
        return key == "NSE_COM|C" or not self.held_by(REFERENCE, DAILY, day)

    def listed_by(self, key):
        firsts = [
            frame.bar_days(day)[1]
            for frame in self.all_frames()
            for day in self.world.bars[key, frame]
        ]
        stored = [r for r in self.world.receipts if r.rows]
        firsts += [
            r.chunk.timeframe.bar_days(r.chunk.last)[1]
            for r in stored
            if r.chunk.instrument_key == key
        ]
        return min(firsts, default=date.min)

    def silent(self, key, frame, day):
        """Answers of the other timeframes that have no bar on that day."""
        others = [f for f in (DAILY, MINUTES) if f != frame and self.looked_at(key, f)]
        return sum(
            len(self.given_by(key, other, day))
            for other in others
            if day not in self.world.bars[key, other] and day not in self.lost(key, other)
        )

    def reason(self, key, frame, label):
        """'not due', None for a bar that is as it should be, or the reason."""
        world = self.world
        last = frame.bar_days(label)[1]
        days = [label + n * DAY for n in range((last - label).days + 1)]
        present = label in world.bars[key, frame]
        held = self.held_by(key, frame, label)
        is_open = any(self.is_session(key, day) for day in days)
        doubtful = any(self.is_doubtful(key, day) for day in days)
        if not any(day in world.wanted[key, frame] for day in days):
            return "not due"
        if settled_at(frame, label) > world.now:
            return "not due"
        if not (present or is_open or (doubtful and not held)):
            return "not due"
        return self.why(key, frame, days, present, held)

    def why(self, key, frame, days, present, held):  # noqa: PLR0911
        label = days[0]
        if not held:
            asked = self.of(key, frame, [Status.STORED, Status.EMPTY])
            if self.dead_letter(key, frame, days):
                return Reason.FAILED
            stale = [r for r in asked if self.is_stale(r)]
            if any(r.chunk.first <= day <= r.chunk.last for r in stale for day in days):
                return Reason.STALE
            if any(r.chunk.first <= day <= r.chunk.last for r in asked for day in days):
                return Reason.NOT_FINAL
            return Reason.NEVER_ASKED
        if present:
            in_doubt = label in self.world.provisional[key, frame]
            return Reason.FAILED if in_doubt and self.dead_letter(key, frame, days) else None
        others = [f for f in (DAILY, MINUTES) if f != frame]
        traded = any(self.has_bar(key, day, others) for day in days)
        silent = min(self.silent(key, frame, day) for day in days)
        if any(day in self.lost(key, frame) for day in days) and (traded or not silent):
            return Reason.LOST
        if traded:
            return Reason.MISSING
        if days[-1] < self.listed_by(key):
            return Reason.BEFORE_LISTING
        told = len(self.given_by(key, frame, label)) + silent
        if told == 0 and any(r.quarantined for r in held):
            return Reason.GARBLED
        return Reason.NO_TRADE if told >= 2 else Reason.UNCONFIRMED

    def dead_letter(self, key, frame, days):
        """A chunk's newest receipt says failed, and no answer since covers its days."""
        chunks = {}
        for r in sorted(self.of(key, frame, list(Status)), key=lambda r: r.fetched_at):
            chunks[r.chunk.id] = r
        return any(
            r.status is Status.FAILED
            and any(r.chunk.first <= day <= r.chunk.last for day in days)
            and not self.answered_since(key, frame, r)
            for r in chunks.values()
        )

    def answered_since(self, key, frame, receipt):
        later = [
            r
            for r in self.of(key, frame, [Status.STORED, Status.EMPTY])
            if r.fetched_at > receipt.fetched_at
        ]
        span = (receipt.chunk.last - receipt.chunk.first).days + 1
        days = [receipt.chunk.first + n * DAY for n in range(span)]
        return all(any(r.chunk.first <= d <= r.chunk.last for r in later) for d in days)


def examination(world):
    days = Days(FIRST.toordinal(), LAST.toordinal())
    keys = sorted({REFERENCE, *(key for key, _ in world.wanted)})
    frames = {DAILY, *(frame for _, frame in world.wanted)}
    counts = Counts(keys, days)
    for frame in frames:
        rows = [
            {"instrument_key": key, "date": day, "bars": n, "traded": n, "final": final}
            for key in KEYS
            for day, n in world.bars[key, frame].items()
            for final in [n - (day in world.provisional[key, frame])]
        ]
        counts.take(frame, [pa.Table.from_pylist(rows, schema=COUNTS)])
    wanted = {
        series: tuple((day.toordinal(), day.toordinal()) for day in sorted(some))
        for series, some in world.wanted.items()
    }
    said = answers(receipts_table(world.receipts), world.now)
    return Examination(
        wanted, said, counts, dict.fromkeys(frames, (days.first, days.last)), world.now
    )


@settings(max_examples=80, deadline=None)
@given(seeds)
def test_every_gap_is_the_one_a_loop_over_days_would_find(seed):
    """By reason, from its first day to its last; and due is there, explained or missing."""
    case = world(seed)
    naive, looked = Naive(case), examination(case)
    for key in {key for key, _ in case.wanted}:
        for verdict in looked.verdicts(Instrument(key, key, "", "", "")):
            frame = verdict.timeframe
            labels = sorted({frame.bar_days(day)[0] for day in SPAN})
            told = [(label, naive.reason(key, frame, label)) for label in labels]
            due = [(label, reason) for label, reason in told if reason != "not due"]
            runs = [(r, list(run)) for r, run in groupby(due, key=lambda pair: pair[1])]
            expected = [
                (reason, run[0][0], frame.bar_days(run[-1][0])[1], len(run))
                for reason, run in runs
                if reason is not None and reason.grade
            ]
            found = [(g.reason, g.first, g.last, g.sessions) for g in verdict.gaps if g.sessions]
            assert found == expected
            assert verdict.due == len(due)
            assert verdict.there == sum(reason is None for _, reason in due)
            open_ones = verdict.sessions(Grade.UNCONFIRMED) + verdict.sessions(Grade.GAPS)
            assert verdict.due == verdict.there + sum(verdict.explained.values()) + open_ones


@settings(max_examples=40, deadline=None)
@given(seeds)
def test_no_lost_row_goes_untold_and_nothing_is_told_as_lost_that_is_not(seed):
    """Of every receipt that counts more rows than stand: in all, exactly its days are asked again."""
    case = world(seed)
    naive, looked = Naive(case), examination(case)
    for key in {key for key, _ in case.wanted}:
        for verdict in looked.verdicts(Instrument(key, key, "", "", "")):
            lost = naive.lost(key, verdict.timeframe)
            gaps = [gap for gap in verdict.gaps if gap.reason is Reason.LOST]
            asked = {day for gap in gaps for day in SPAN if gap.asks[0] <= day <= gap.asks[1]}
            whole_days = {d for g in gaps if g.sessions for d in SPAN if g.first <= d <= g.last}
            partly = [g for g in gaps if not g.sessions]
            assert not any(g.first <= day <= g.last for g in partly for day in whole_days)
            assert lost & case.wanted[key, verdict.timeframe] <= asked
            assert all(gap.first in lost and gap.last in lost for gap in gaps)
