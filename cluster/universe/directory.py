"""Looks instruments up in one exchange's master, by whatever they may be called."""

from __future__ import annotations

import difflib
import fnmatch
import re
from collections import defaultdict
from collections.abc import Callable
from functools import cached_property, lru_cache

import pyarrow as pa
import pyarrow.compute as pc

from actors.market.instrument import Instrument
from cluster.config.ask import Filter
from cluster.master import Master
from cluster.segments import EXCHANGES, holds_indices, holds_shares

#: Of several shares with one symbol, the first of these series is meant, the one people trade:
#: bonds and warrants share their company's symbol. The letters are BSE's groups.
_SERIES = ("EQ", "BE", "BZ", "SM", "ST", "SZ", "A", "B", "T", "X", "XT", "Z", "M", "MT")
_FIELDS = ("instrument_key", "symbol", "exchange", "segment", "instrument_type", "isin", "name")


@lru_cache(maxsize=len(EXCHANGES))
def directory_of(master: Master) -> Directory:
    """Its directory, made once however many universes are looked up in it."""
    return Directory(master)


class Directory:
    def __init__(self, master: Master) -> None:
        self.as_of = master.as_of
        self._table = master.table

    def by_key(self, key: str) -> Instrument | None:
        segment, _, tail = key.partition("|")
        if holds_indices(segment):
            # The provider minds case and blanks in an index's name. People do not.
            return next(
                (i for i in self._indices.get(_folded(tail), ()) if i.segment == segment), None
            )
        row = self._rows.get(key)
        return None if row is None else _instruments(self._table.slice(row, 1))[0]

    def by_isin(self, isin: str) -> Instrument | None:
        return self._shares_by_isin.get(isin)

    def by_token(self, token: str) -> Instrument | None:
        """A share by the exchange's number for it, such as BSE's 500112."""
        return self._shares_by_token.get(token)

    def by_symbol(self, symbol: str) -> tuple[Instrument, ...]:
        """Shares of that symbol: of the best series only, so more than one is a true doubt."""
        found = self._shares_by_symbol.get(_folded(symbol), [])
        best = min((_rank(share) for share in found), default=0)
        return tuple(share for share in found if _rank(share) == best)

    def by_index_name(self, name: str) -> Instrument | None:
        return next(iter(self._indices.get(_folded(name), ())), None)

    def select(self, wanted: Filter) -> tuple[Instrument, ...]:
        """All that fit, in the order of segment, symbol and key."""
        table = self._table
        if wanted.segment:
            table = table.filter(pc.is_in(table["segment"], pa.array(wanted.segment)))
        if wanted.instrument_type:
            kinds = pa.array([kind.upper() for kind in wanted.instrument_type])
            table = table.filter(pc.is_in(table["instrument_type"], kinds))
        if wanted.symbol:
            fits = _pattern(wanted.symbol)
            symbols = pc.unique(table["symbol"]).to_pylist()
            fitting = [symbol for symbol in symbols if fits.match(symbol)]
            table = table.filter(pc.is_in(table["symbol"], pa.array(fitting, pa.string())))
        order = [(name, "ascending") for name in ("segment", "symbol", "instrument_key")]
        return tuple(_instruments(table.sort_by(order)))

    def nearest(self, symbol: str) -> str | None:
        """The share's symbol or index's name that looks most like it, if any does."""
        found = difflib.get_close_matches(_folded(symbol), self._called, n=1, cutoff=0.7)
        return self._called[found[0]] if found else None

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {key: row for row, key in enumerate(self._table["instrument_key"].to_pylist())}

    @cached_property
    def _shares(self) -> pa.Table:
        return self._table.filter(_segments(self._table, holds_shares))

    @cached_property
    def _share_list(self) -> list[Instrument]:
        return _instruments(self._shares)

    @cached_property
    def _shares_by_symbol(self) -> dict[str, list[Instrument]]:
        found: dict[str, list[Instrument]] = defaultdict(list)
        for share in self._share_list:
            found[_folded(share.symbol)].append(share)
        return found

    @cached_property
    def _shares_by_isin(self) -> dict[str, Instrument]:
        return {share.isin: share for share in self._share_list if share.isin}

    @cached_property
    def _shares_by_token(self) -> dict[str, Instrument]:
        tokens = self._shares["exchange_token"].to_pylist()
        return {t: share for t, share in zip(tokens, self._share_list, strict=True) if t}

    @cached_property
    def _indices(self) -> dict[str, list[Instrument]]:
        """By the name in their key; where that is free, by trading symbol (`NIFTY`: `Nifty 50`)."""
        indices = _instruments(self._table.filter(_segments(self._table, holds_indices)))
        found: dict[str, list[Instrument]] = defaultdict(list)
        for index in indices:
            found[_folded(index.instrument_key.partition("|")[2])].append(index)
        for index in indices:
            if _folded(index.symbol) not in found:
                found[_folded(index.symbol)].append(index)
        return found

    @cached_property
    def _called(self) -> dict[str, str]:
        """What shares and indices are called, as written, by what it is compared as."""
        names = {_folded(share.symbol): share.symbol for share in self._share_list}
        for name, (index, *_) in self._indices.items():
            names.setdefault(name, index.instrument_key.partition("|")[2])
        return names


def _folded(name: str) -> str:
    return " ".join(name.split()).upper()


def _rank(share: Instrument) -> int:
    known = share.instrument_type in _SERIES
    return _SERIES.index(share.instrument_type) if known else len(_SERIES)


def _segments(table: pa.Table, wanted: Callable[[str], bool]) -> pa.ChunkedArray:
    segments = [s for s in pc.unique(table["segment"]).to_pylist() if wanted(s)]
    return pc.is_in(table["segment"], pa.array(segments, pa.string()))


def _pattern(shell_patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(
        "|".join(f"(?:{fnmatch.translate(pattern)})" for pattern in shell_patterns), re.IGNORECASE
    )


def _instruments(table: pa.Table) -> list[Instrument]:
    rows = table.select(list(_FIELDS)).to_pylist()
    return [Instrument(**{**row, "name": row["name"] or ""}) for row in rows]
