"""All that is known of a store's series, brought to the days and bars it speaks of. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property

import numpy as np

from actors.market.instrument import Instrument
from actors.market.session_days import REFERENCE, SessionDays
from actors.market.sessions import settled_at
from actors.market.timeframe import DAILY, Timeframe
from cluster.coverage import Span, Spans, subtracted, united
from cluster.days import BarDays, Ints, Mask
from cluster.verify.answers import Answers, Loss, Series, audit
from cluster.verify.counts import Counts, is_daily
from cluster.verify.judgement import Evidence, Verdict, explained, gaps, judge
from cluster.verify.openings import (
    Openings,
    ShortSession,
    calendar,
    hours_of,
    openings,
    short_sessions,
)


@dataclass(frozen=True, slots=True)
class Testimony:
    """What one timeframe of an instrument tells of each day."""

    bars: Ints
    traded: Mask
    given: Ints  # sound answers of the provider; none whose rows cannot be accounted for
    silent: Ints  # of them, those without a bar; 0 where rows of theirs are lost
    losses: list[Loss]


class Examination:
    """Gives a verdict on each series that is wanted.

    `counted` says for which days the bars of a timeframe were counted; outside nothing is known.
    """

    def __init__(
        self,
        wanted: Mapping[Series, Spans],
        said: Mapping[Series, Answers],
        counts: Counts,
        counted: Mapping[Timeframe, Span],
        now: datetime,
    ) -> None:
        self._wanted = wanted
        self._said = said
        self._counts = counts
        self._counted = counted
        self._now = now
        self._days = counts.days
        self._bars = {timeframe: BarDays(counts.days, timeframe) for timeframe in counted}
        self._charted = united(self._answers(REFERENCE, DAILY).final)

    @property
    def calendar(self) -> SessionDays:
        return calendar(self._openings[REFERENCE], self._counts, self._charted)

    @property
    def short_sessions(self) -> tuple[ShortSession, ...]:
        return short_sessions(self._counts, self._counted)

    def undecided(self) -> tuple[date, ...]:
        """Days that were answered without a bar and that only the calendar can tell from holidays."""
        found = np.zeros(len(self._days), np.bool_)
        for (key, timeframe), wanted in self._wanted.items():
            if is_daily(timeframe) and hours_of(key) == REFERENCE:
                answered = self._days.held(self._answers(key, timeframe).final)
                found |= (
                    answered & self._days.held(wanted) & (self._counts.bars(key, timeframe) == 0)
                )
        found &= self._openings[REFERENCE].doubtful & self._settled[DAILY]
        return tuple(self._days.day(int(place)) for place in np.flatnonzero(found))

    def verdicts(self, instrument: Instrument) -> list[Verdict]:
        """One for each timeframe that is wanted of it."""
        key = instrument.instrument_key
        frames = [t for t in self._counted if t == DAILY or (key, t) in self._wanted]
        told = {timeframe: self._testimony(key, timeframe) for timeframe in frames}
        return [
            self._verdict(instrument, timeframe, told)
            for timeframe in frames
            if (key, timeframe) in self._wanted
        ]

    @cached_property
    def _settled(self) -> dict[Timeframe, Mask]:
        return {
            timeframe: np.array([settled_at(timeframe, day) <= self._now for day, _ in bars.spans])
            for timeframe, bars in self._bars.items()
        }

    @cached_property
    def _came(self) -> dict[str, list[int]]:
        """Of each instrument, days by which there were bars, somewhere."""
        came: dict[str, list[int]] = defaultdict(list)
        for (key, _), answers in self._said.items():
            came[key] += [stored.extent[1] for stored in answers.stored if stored.rows]
        return came

    @cached_property
    def _groups(self) -> dict[str, list[str]]:
        """Instruments that trade at the same hours."""
        groups: dict[str, list[str]] = defaultdict(list)
        for key in {REFERENCE, *(key for key, _ in self._wanted)}:
            groups[hours_of(key)].append(key)
        return groups

    @cached_property
    def _openings(self) -> dict[str, Openings]:
        return {
            group: openings(group, keys, self._counts, self._charted)
            for group, keys in self._groups.items()
        }

    @cached_property
    def _market_bars(self) -> dict[tuple[str, Timeframe], Ints]:
        return {
            (group, timeframe): self._counts.most(keys, timeframe)
            for group, keys in self._groups.items()
            for timeframe in self._counted
        }

    def _answers(self, key: str, timeframe: Timeframe) -> Answers:
        return self._said.get((key, timeframe), Answers())

    def _testimony(self, key: str, timeframe: Timeframe) -> Testimony:
        answers, counted = self._answers(key, timeframe), self._counted[timeframe]
        bars = self._counts.bars(key, timeframe)
        found = audit(answers.stored, bars, self._days, counted)
        sound = self._days.held([counted]) & ~self._days.held(loss.extent for loss in found.losses)
        given = self._days.counted((*answers.bare, *found.given))
        return Testimony(
            bars=bars,
            traded=self._counts.traded(key, timeframe),
            given=given,
            silent=np.where(sound & (bars == 0), given, 0),
            losses=found.losses,
        )

    def _verdict(
        self, instrument: Instrument, timeframe: Timeframe, told: Mapping[Timeframe, Testimony]
    ) -> Verdict:
        key, mine, bars = instrument.instrument_key, told[timeframe], self._bars[timeframe]
        evidence = self._evidence(key, timeframe, told)
        codes, due = judge(evidence), evidence.due
        failed = self._answers(key, timeframe).failed
        wanted = self._wanted[key, timeframe]
        lost = [
            loss for loss in mine.losses if subtracted((loss.extent,), wanted) != (loss.extent,)
        ]
        market_bars = self._market_bars[hours_of(key), timeframe]
        return Verdict(
            instrument=instrument,
            timeframe=timeframe,
            due=int(due.sum()),
            there=int((codes[due] == 0).sum()),
            explained=explained(codes),
            gaps=gaps(codes, due, bars, failed, lost),
            bars=int(bars.labelled(mine.bars)[due].sum()),
            market_bars=int(bars.labelled(market_bars)[due].sum()),
        )

    def _evidence(
        self, key: str, timeframe: Timeframe, told: Mapping[Timeframe, Testimony]
    ) -> Evidence:
        days, answers, mine = self._days, self._answers(key, timeframe), told[timeframe]
        bars, opened = self._bars[timeframe], self._openings[hours_of(key)]
        others = [t for frame, t in told.items() if frame != timeframe and is_daily(frame)]
        traded, silent = np.zeros(len(days), np.bool_), np.zeros(len(days), np.int64)
        for other in others:
            traded |= other.traded
            silent += other.silent
        present = bars.labelled(mine.bars) > 0
        answered = bars.labelled(days.counted(answers.final))
        wanted = bars.any(days.held(self._wanted[key, timeframe])) & self._settled[timeframe]
        may_be_due = bars.any(opened.session) | bars.any(opened.doubtful) & (answered == 0)
        listed_by = min((*self._counts.firsts(key), *self._came[key]), default=0)
        return Evidence(
            due=wanted & (may_be_due | present),
            present=present,
            provisional=bars.labelled(self._counts.provisional(key, timeframe)),
            answered=answered > 0,
            given=bars.labelled(mine.given),
            asked=bars.any(days.held(answers.asked)),
            stale=bars.any(days.held(answers.stale)),
            failed=bars.any(days.held(letter.span for letter in answers.failed)),
            garbled=bars.labelled(days.counted(answers.garbled)) > 0,
            lost=bars.any(days.held(loss.extent for loss in mine.losses)),
            traded=bars.any(traded),
            silent=bars.least(silent),
            unlisted=bars.lasts < listed_by,
        )
