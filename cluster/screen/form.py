"""How a screen is written down."""

from __future__ import annotations

import keyword
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from actors.market.timeframe import Timeframe
from cluster.config.section import ConfigPath, Label, Section, Text, Texts
from cluster.screen.binding import function_named
from cluster.screen.tree import COLUMNS
from cluster.universe.listing import read_listing

ONLY = "bars"  # what the only timeframe of a screen is called within

Expression = Text


class Names(Section):
    """Which instruments of the store are asked: all that either names."""

    file: ConfigPath = None
    symbols: Texts = ()

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if self.file is None and not self.symbols:
            raise ValueError("names no instrument: give file or symbols")
        return self

    def names(self) -> tuple[str, ...]:
        """Each as it may be called in a store: by its symbol, its key or its ISIN."""
        listed = [] if self.file is None else read_listing(Path(self.file))
        named = (entry.symbol or entry.isin or f"line {entry.line}" for entry in listed)
        return (*self.symbols, *named)


class ScreenForm(Section):
    name: Text | None = None
    description: str | None = None
    timeframe: Label | None = None
    timeframes: Annotated[dict[str, Label], Field(default_factory=dict)]
    #: Words that stand for expressions, in `where`, `rank`, `show` and those that follow here.
    define: Annotated[dict[str, Expression], Field(default_factory=dict)]
    where: Expression
    rank: Expression | None = None
    order: Literal["desc", "asc"] = "desc"
    limit: Annotated[int, Field(gt=0)] | None = None
    show: Annotated[dict[str, Expression], Field(default_factory=dict)]
    #: Days that the last bar may be older than the newest session in the store.
    max_age: Annotated[int, Field(ge=0)] = 0
    universe: Names | None = None  # none: all that the store was asked for

    @field_validator("timeframes")
    @classmethod
    def _callable(cls, timeframes: dict[str, Timeframe]) -> dict[str, Timeframe]:
        for name in timeframes:
            _refuse_if_taken(name)
        if len({*timeframes.values()}) < len(timeframes):
            raise ValueError("the same timeframe has two names")
        return timeframes

    @field_validator("define")
    @classmethod
    def _free(cls, define: dict[str, str]) -> dict[str, str]:
        for name in define:
            _refuse_if_taken(name)
        return define

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if bool(self.timeframes) == (self.timeframe is not None):
            raise ValueError(
                "give `timeframe`, such as 1day, or several as `timeframes: {day: 1day, …}`"
            )
        both = set(self.timeframes) & set(self.define)
        if both:
            raise ValueError(f"{min(both)} is a timeframe and is defined, too")
        return self

    @property
    def named(self) -> dict[str, Timeframe]:
        """Its timeframes; what names none means the first."""
        return dict(self.timeframes) if self.timeframe is None else {ONLY: self.timeframe}


def _refuse_if_taken(name: str) -> None:
    if not name.isidentifier() or keyword.iskeyword(name):
        raise ValueError(f"{name!r} cannot stand in an expression; take a word")
    if name.lower() in COLUMNS or function_named(name):
        raise ValueError(f"{name} means something else in expressions; take another word")
