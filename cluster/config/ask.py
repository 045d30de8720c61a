from __future__ import annotations

from calendar import monthrange
from datetime import date, timedelta
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from actors.market.timeframe import Timeframe
from actors.upstox.limits import reach
from cluster.config.section import ConfigPath, Day, Label, OneOrMore, Section, Texts, nearest
from cluster.segments import SEGMENTS

_MONTHS_A_YEAR = 12


class Filter(Section):
    """Instruments of the master whose every named field fits."""

    segment: OneOrMore = ()
    instrument_type: OneOrMore = ()  # for shares the series: EQ, BE, SM ...
    symbol: OneOrMore = ()  # shell patterns: `NIFTY*`, `BANK?`

    @field_validator("segment")
    @classmethod
    def _known(cls, segments: tuple[str, ...]) -> tuple[str, ...]:
        for segment in segments:
            if segment not in SEGMENTS:
                raise ValueError(f"there is no segment {segment!r}{nearest(segment, SEGMENTS)}")
        return segments

    @model_validator(mode="after")
    def _narrows(self) -> Self:
        if not (self.segment or self.instrument_type or self.symbol):
            raise ValueError("says nothing: give segment, instrument_type or symbol")
        return self


class Labelled(Section):
    """An instrument named twice over: by the user's word for it and by its key."""

    symbol: Annotated[str, Field(min_length=1)]
    instrument_key: Annotated[str, Field(min_length=1)]


class UniverseSpec(Section):
    """Which instruments: all that any of its members names."""

    file: ConfigPath = None
    symbols: Texts = ()
    filter: Filter | None = None
    allow_unresolved: bool = (
        False  # names without an instrument are listed, but do not fail the run
    )
    labelled: tuple[Labelled, ...] = ()  # by the seed's form only


class Ask(Section):
    """One part of what is to be fetched: these instruments, these timeframes, these days."""

    universe: UniverseSpec
    timeframes: Annotated[tuple[Label, ...], Field(strict=False)]
    first: Day  # None: as far back from the last day as one request reaches
    last: Day  # None: up to today

    def days(self, timeframe: Timeframe, today: date) -> tuple[date, date]:
        """First and last day asked for, both included, none before the provider's history begins.

        The first may come after the last: then nothing is asked for.
        """
        last = self.last or today
        reached = reach(timeframe)
        first = self.first
        if first is None and reached.max_months is not None:
            first = _months_before(last, reached.max_months) + timedelta(days=1)
        return max(reached.earliest, first or reached.earliest), last


def _months_before(day: date, months: int) -> date:
    """The same day of an earlier month, or that month's last day where it has no such day."""
    year, month = divmod(day.year * _MONTHS_A_YEAR + day.month - 1 - months, _MONTHS_A_YEAR)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
