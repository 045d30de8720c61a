from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from cluster.config.section import ConfigPath, Day, Label, OneOrMore, Section, Texts, nearest
from cluster.segments import SEGMENTS


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
    allow_unresolved: bool = False  # names without an instrument are listed, and that is all
    labelled: tuple[Labelled, ...] = ()  # by the seed's form only


class Ask(Section):
    """One part of what is to be fetched. Parts may overlap."""

    universe: UniverseSpec
    timeframes: Annotated[tuple[Label, ...], Field(strict=False)]
    first: Day  # None: as far back from the last day as one request reaches
    last: Day  # None: up to today
