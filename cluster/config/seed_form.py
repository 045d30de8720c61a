"""The form of a batch processor: a list of symbols, each with its own timeframes and days."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from actors.market.timeframe import Timeframe
from cluster.config.ask import Ask, Labelled, UniverseSpec
from cluster.config.section import (
    Day,
    NotEmpty,
    PastDay,
    Section,
    Text,
    quoted,
    refuse_reversed,
    timeframe_of,
)
from cluster.config.settings import Settings

_DAILY = ({"interval": 1, "unit": "day"},)


class IntervalForm(Section):
    interval: Annotated[int, Field(gt=0)]
    unit: Text  # minute, hour, day, week, month; or their plurals

    @model_validator(mode="after")
    def _known(self) -> Self:
        timeframe_of(f"{self.interval}{self.unit}")
        return self

    @property
    def timeframe(self) -> Timeframe:
        return timeframe_of(f"{self.interval}{self.unit}")


class DateRange(Section):
    first: Annotated[PastDay, Field(alias="from_date")] = None
    last: Annotated[Day, Field(alias="to_date")] = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        refuse_reversed(self.first, self.last)
        return self


def _mapping(value: object) -> object:
    if isinstance(value, str):
        raise ValueError(  # noqa: TRY004  # pydantic turns only ValueError into a refusal
            f"{quoted(value)} alone belongs under `universe: {{symbols: […]}}`;"
            " here each entry is {symbol: …, instrument_key: …}"
        )
    return value


def _or_daily(value: object) -> object:
    return _DAILY if value is None or value in ([], ()) else value


def _or_nothing(value: object) -> object:
    return {} if value is None else value


class SymbolForm(Section):
    symbol: Text
    instrument_key: Text
    timeframes: Annotated[
        tuple[IntervalForm, ...],
        Field(strict=False, validate_default=True),
        BeforeValidator(_or_daily),
    ] = ()
    date_range: Annotated[DateRange, BeforeValidator(_or_nothing)] = DateRange()
    custom_params: Annotated[dict[str, Any], BeforeValidator(_or_nothing)] = {}  # noqa: RUF012  # pydantic copies it


class SeedForm(Settings):
    symbols: Annotated[
        tuple[Annotated[SymbolForm, BeforeValidator(_mapping)], ...],
        Field(strict=False),
        NotEmpty,
    ]

    def asks(self) -> tuple[Ask, ...]:
        """Symbols that want the same timeframes of the same days share one ask."""
        groups: dict[tuple[tuple[Timeframe, ...], date | None, date | None], list[Labelled]] = {}
        for form in self.symbols:
            timeframes = tuple(dict.fromkeys(wanted.timeframe for wanted in form.timeframes))
            days = form.date_range
            groups.setdefault((timeframes, days.first, days.last), []).append(
                Labelled(symbol=form.symbol, instrument_key=form.instrument_key)
            )
        return tuple(
            Ask(
                universe=UniverseSpec(labelled=tuple(labelled)),
                timeframes=timeframes,
                first=first,
                last=last,
            )
            for (timeframes, first, last), labelled in groups.items()
        )

    def custom_params(self) -> dict[str, dict[str, Any]]:
        """What the user wrote beside each symbol, by instrument key."""
        return {
            form.instrument_key: form.custom_params for form in self.symbols if form.custom_params
        }
