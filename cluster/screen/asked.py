"""Of which instruments a question is asked, and what the store was told about their days. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc

from actors.writer import coverage, naming

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
        by_isin = {key.partition("|")[2]: key for key in keys}
        meant = {name: by_isin.get(name, name) for name in names}
        there = [name for name in dict.fromkeys(meant.values()) if name in known or name in keys]
        chosen = set(naming.keys_of(there, receipts, lambda: known).values())
        symbols = {key: name for key, name in _symbols(receipts).items() if key in chosen}
        unknown = dict.fromkeys(name for name, word in meant.items() if word not in there)
        return cls(symbols, tuple(unknown))


def _symbols(receipts: pa.Table) -> dict[str, str]:
    """The newest symbol of each key, keys ascending."""
    newest = receipts.group_by(["instrument_key", "symbol"]).aggregate([("fetched_at", "max")])
    ordered = newest.sort_by([("instrument_key", "ascending"), ("fetched_at_max", "ascending")])
    return dict(
        zip(ordered["instrument_key"].to_pylist(), ordered["symbol"].to_pylist(), strict=True)
    )


def sessions_unanswered(
    held: coverage.Held, key: str, label: str, span: tuple[date, date], sessions: Sequence[date]
) -> list[date]:
    """The `sessions`, which ascend, of a span for which no answer counts."""
    first, last = span
    missing: list[date] = []
    for begin, end, _ in held.get((key, label), []):
        if end < first:
            continue
        if begin > last:
            break
        missing += _between(sessions, first, begin - _DAY)
        first = max(first, end + _DAY)
    return missing + _between(sessions, first, last)


def _between(sessions: Sequence[date], first: date, last: date) -> list[date]:
    return list(sessions[bisect_left(sessions, first) : bisect_right(sessions, last)])
