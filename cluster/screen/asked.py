"""Of which instruments a question is asked, and what the store was told about their days. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc

from actors.market.session_days import is_weekend
from actors.writer import coverage, naming
from cluster.segments import SEGMENTS
from cluster.universe.name import parse_name

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Asked:
    """Instruments by key, ascending, and names that the store knows nothing of."""

    symbols: dict[str, str]
    unknown: tuple[str, ...]

    @classmethod
    def of(cls, receipts: pa.Table, labels: Iterable[str], names: Sequence[str] | None) -> Self:
        """`names` may be symbols, instrument keys or ISINs; None: all with any of the timeframes.

        Raises UsageError for a symbol that several instruments have, as one share at two exchanges.
        """
        if names is None:
            wanted = pc.is_in(receipts["timeframe"], pa.array([*labels], pa.string()))
            return cls(_symbols(receipts.filter(wanted)), ())
        known = naming.instruments_by_symbol(receipts)
        keys = {key for found in known.values() for key in found}
        meant = {name: _meant(name, known, keys) for name in names}
        there = dict.fromkeys(word for word in meant.values() if word)
        chosen = set(naming.keys_of(there, receipts, lambda: known).values())
        symbols = {key: name for key, name in _symbols(receipts).items() if key in chosen}
        return cls(symbols, tuple(dict.fromkeys(name for name in names if not meant[name])))


def _meant(name: str, known: Mapping[str, list[str]], keys: Collection[str]) -> str | None:
    """The key or symbol that the store has for it, as a config's universe may name it; None: nothing."""
    if name in keys:
        return name
    read = parse_name(name)
    word = read.symbol or ""
    found = known.get(word) or known.get(word.upper()) or []
    if read.isin:
        found = [key for key in keys if key.partition("|")[2] == read.isin]
    if len(found) > 1:  # one share at two exchanges: what names none means NSE
        found = [key for key in found if SEGMENTS.get(key.partition("|")[0]) == read.exchange]
    if read.key:
        found = [read.key] if read.key in keys else []
    return found[0] if len(found) == 1 else None


def _symbols(receipts: pa.Table) -> dict[str, str]:
    """The newest symbol of each key, keys ascending."""
    newest = receipts.group_by(["instrument_key", "symbol"]).aggregate([("fetched_at", "max")])
    ordered = newest.sort_by([("instrument_key", "ascending"), ("fetched_at_max", "ascending")])
    return dict(
        zip(ordered["instrument_key"].to_pylist(), ordered["symbol"].to_pylist(), strict=True)
    )


def unanswered(
    held: coverage.Held, key: str, label: str, span: tuple[date, date], sessions: Collection[date]
) -> list[date]:
    """Days of a span, both ends included, for which no answer counts.

    Weekends only where they are among the `sessions` that others had. Of holidays nobody knows
    beforehand: what asks for the days around them asks for them, too.
    """
    first, last = span
    missing: list[date] = []
    for begin, end, _ in held.get((key, label), []):
        if end >= first and begin <= last:
            missing += _days(first, begin - _DAY)
            first = max(first, end + _DAY)
    missing += _days(first, last)
    return [day for day in missing if not is_weekend(day) or day in sessions]


def _days(first: date, last: date) -> list[date]:
    return [first + n * _DAY for n in range((last - first).days + 1)]
