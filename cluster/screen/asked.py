"""Of which instruments a question is asked, and what the store was told about their days. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc

from actors.market.session_days import follows_reference, is_weekend
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
        """`names` may be symbols, instrument keys or ISINs; None: all with any of the timeframes."""
        if names is None:
            wanted = pc.is_in(receipts["timeframe"], pa.array([*labels], pa.string()))
            return cls(_symbols(receipts.filter(wanted)), ())
        symbols, asked_last = _symbols(receipts), _asked_last(receipts)
        known = naming.instruments_by_symbol(receipts)
        meant = {name: _meant(name, known, asked_last) for name in names}
        chosen = {*meant.values()}
        return cls(
            {key: symbol for key, symbol in symbols.items() if key in chosen},
            tuple(name for name, key in meant.items() if key is None),
        )


def _meant(name: str, known: Mapping[str, list[str]], keys: Mapping[str, datetime]) -> str | None:
    """The key that the store has for it, as a config's universe may name it; None: nothing."""
    if name in keys:
        return name
    read = parse_name(name)
    word = read.symbol or ""
    found = known.get(word) or known.get(word.upper()) or []
    if read.isin:
        found = [key for key in keys if key.partition("|")[2] == read.isin]
    if len(found) > 1 or ":" in name:  # one share at two exchanges: what names none means NSE
        found = [key for key in found if SEGMENTS.get(key.partition("|")[0]) == read.exchange]
    if read.key:
        found = [read.key] if read.key in keys else []
    # A share whose ISIN has changed has two keys: the one that was asked for last is traded today.
    return max(found, key=keys.__getitem__, default=None)


def _asked_last(receipts: pa.Table) -> dict[str, datetime]:
    newest = receipts.group_by("instrument_key").aggregate([("fetched_at", "max")])
    columns = (newest[name].to_pylist() for name in ("instrument_key", "fetched_at_max"))
    return dict(zip(*columns, strict=True))


def _symbols(receipts: pa.Table) -> dict[str, str]:
    """The newest symbol of each key, keys ascending."""
    newest = receipts.group_by(["instrument_key", "symbol"]).aggregate([("fetched_at", "max")])
    ordered = newest.sort_by([("instrument_key", "ascending"), ("fetched_at_max", "ascending")])
    return dict(
        zip(ordered["instrument_key"].to_pylist(), ordered["symbol"].to_pylist(), strict=True)
    )


def market(key: str) -> str:
    """What has sessions of its own: NSE and BSE have the same, every other segment may differ."""
    return "" if follows_reference(key) else key.partition("|")[0]


def markets(receipts: pa.Table, label: str) -> dict[str, list[str]]:
    """The instruments of each market that were stored in a timeframe."""
    is_mine = pc.and_(pc.equal(receipts["timeframe"], label), pc.greater(receipts["rows"], 0))
    found: dict[str, list[str]] = defaultdict(list)
    for key in sorted(receipts.filter(is_mine)["instrument_key"].unique().to_pylist()):
        found[market(key)].append(key)
    return dict(found)


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
