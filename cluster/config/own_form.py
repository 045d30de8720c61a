"""The form a config is meant to be written in."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from actors.market.timeframe import Timeframe
from cluster.config.ask import Ask, Filter, UniverseSpec
from cluster.config.section import (
    ConfigPath,
    Day,
    Label,
    NotEmpty,
    PastDay,
    Section,
    Texts,
    refuse_reversed,
    timeframe_of,
)
from cluster.config.settings import Settings


class UniverseForm(Section):
    file: ConfigPath = None
    symbols: Texts = ()
    filter: Filter | None = None
    allow_unresolved: bool = False

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if self.file is None and not self.symbols and self.filter is None:
            raise ValueError("names no instrument: give file, symbols or filter")
        return self


class Dates(Section):
    first: Annotated[PastDay, Field(alias="from")] = None
    last: Annotated[Day, Field(alias="to")] = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        refuse_reversed(self.first, self.last)
        return self


class TimeframeForm(Section):
    """A timeframe that has days of its own."""

    timeframe: Label
    first: Annotated[PastDay, Field(alias="from")] = None
    last: Annotated[Day, Field(alias="to")] = None


def _maybe_bare(value: object) -> object:
    """`5minute` is short for `{timeframe: 5minute}`."""
    if isinstance(value, (dict, TimeframeForm)):
        return value
    return TimeframeForm(timeframe=timeframe_of(value))


TimeframeForms = tuple[Annotated[TimeframeForm, BeforeValidator(_maybe_bare)], ...]


class OwnForm(Settings):
    universe: UniverseForm
    timeframes: Annotated[TimeframeForms, Field(strict=False), NotEmpty]
    dates: Dates = Dates()

    @model_validator(mode="after")
    def _each_in_order(self) -> Self:
        reversed_ones = [
            f"timeframes[{place}]: {timeframe}'s first day {first} comes after its last, {last}"
            for place, (timeframe, first, last) in enumerate(self._wanted())
            if first is not None and last is not None and first > last
        ]
        if reversed_ones:
            raise ValueError("\n".join(reversed_ones))
        return self

    def asks(self) -> tuple[Ask, ...]:
        universe = UniverseSpec(**dict(self.universe))
        groups: dict[tuple[date | None, date | None], dict[Timeframe, None]] = {}
        for timeframe, first, last in self._wanted():
            groups.setdefault((first, last), {})[timeframe] = None
        return tuple(
            Ask(universe=universe, timeframes=tuple(timeframes), first=first, last=last)
            for (first, last), timeframes in groups.items()
        )

    def _wanted(self) -> Iterator[tuple[Timeframe, date | None, date | None]]:
        """Timeframes with their days: their own where they have some, else those of all."""
        for form in self.timeframes:
            yield form.timeframe, form.first or self.dates.first, form.last or self.dates.last
