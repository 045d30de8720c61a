"""What kind of thing an instrument is: how dear, how restless, how thinly traded, since when."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from typing import Any

from cluster.lookalike.randomness import fingerprint, fraction
from cluster.lookalike.trading_days import FIRST_DAY, LAST_DAY, epoch_day

_IST = timezone(timedelta(hours=5, minutes=30))
_ALWAYS = 65_536  # chances are counted in 65,536ths

_THIN_SERIES = {"SM", "ST", "BE"}
_SMALL_COMPANY_SERIES = {"SM", "ST"}
_SMALL_COMPANIES_SINCE = date(2012, 3, 1)  # NSE opened its SME platform then
_LATEST_LISTING = date(2025, 6, 30)
_CONTRACT_LIFE_DAYS = 90
_HASHED_THIN_SHARE = 0.08
_LATE_LISTED_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class Character:
    """`random_key` names the instrument's own stream of random numbers."""

    random_key: int
    segment: str
    tick_paise: int
    base_ticks: float  # the middle of the range its price wanders in
    step: int  # standard deviation of a day's change, in 1e-4
    base_volume: int  # of a usual day; 0 for an index
    base_oi: int  # 0 but for contracts
    minute_chance: int  # that a minute of a trading day sees a trade, in 65,536ths
    day_chance: int  # that a day sees a trade at all, in 65,536ths
    first_day: int  # epoch days, both included
    last_day: int

    @property
    def is_thin(self) -> bool:
        return self.minute_chance < _ALWAYS


def character_of(seed: int, record: dict[str, Any]) -> Character:
    """The record is the instrument master's; it must hold a key, a segment and a type."""
    key, segment = record["instrument_key"], record["segment"]
    is_index = segment.endswith("_INDEX")
    is_contract = "expiry" in record

    def draw(what: str) -> float:
        return fraction(seed, key, what)

    thin = not is_index and (
        record["instrument_type"] in _THIN_SERIES or draw("thin") < _HASHED_THIN_SHARE
    )
    tick = 5 if is_index else max(1, round(record.get("tick_size", 5)))
    dearth, dearest = (500_000, 5_000_000) if is_index else (4_000, 400_000)
    place = draw("price")
    base_paise = dearth + (dearest - dearth) * place * place * place
    first, last = _life(record, draw)
    return Character(
        random_key=fingerprint(seed, key, "stream"),
        segment=segment,
        tick_paise=tick,
        base_ticks=max(1000.0, base_paise / tick),
        step=60 + int(60 * draw("step")) if is_index else 100 + int(180 * draw("step")),
        base_volume=0 if is_index else _base_volume(draw("volume"), thin=thin),
        base_oi=200_000 + int(5_000_000 * draw("oi")) if is_contract else 0,
        minute_chance=500 + int(20_000 * draw("minutes")) if thin else _ALWAYS,
        day_chance=_ALWAYS - int(12_000 * draw("days")) if thin else _ALWAYS,
        first_day=epoch_day(first),
        last_day=epoch_day(last),
    )


def _base_volume(drawn: float, *, thin: bool) -> int:
    return 2_000 + int(40_000 * drawn) if thin else 40_000 + int(8_000_000 * drawn * drawn * drawn)


def _life(record: dict[str, Any], draw: Callable[[str], float]) -> tuple[date, date]:
    if "expiry" in record:
        expires = datetime.fromtimestamp(record["expiry"] / 1000, _IST).date()
        return expires - timedelta(days=_CONTRACT_LIFE_DAYS), expires
    series = record["instrument_type"]
    earliest = _SMALL_COMPANIES_SINCE if series in _SMALL_COMPANY_SERIES else FIRST_DAY
    is_late = series in _SMALL_COMPANY_SERIES or draw("late") < _LATE_LISTED_SHARE
    if record["segment"].endswith("_INDEX") or not is_late:
        return earliest, LAST_DAY
    span_days = (_LATEST_LISTING - earliest).days
    return earliest + timedelta(days=int(span_days * draw("listed"))), LAST_DAY
