"""Which instrument a name means. Nothing is guessed: a doubt is a reason, not an instrument."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from actors.market.instrument import Instrument
from cluster.segments import holds_indices, holds_shares
from cluster.universe.directory import Directory
from cluster.universe.name import Name, is_isin


@dataclass(frozen=True, slots=True)
class Found:
    instrument: Instrument
    note: str | None = None


def find(name: Name, directories: Mapping[str, Directory]) -> Found | str:
    """The instrument, or the reason why there is none."""
    if name.fault is not None:
        return name.fault
    directory = None if name.exchange is None else directories.get(name.exchange)
    if directory is None:
        return _unlisted(name.key, name.symbol) if name.key else f"{name.exchange} has no list here"
    if name.key is not None:
        return _by_key(name, name.key, directory)
    if name.isin is not None:
        return _by_isin(name, name.isin, directory)
    assert name.symbol is not None
    return _by_symbol(name.symbol, directory)


def nearest_to(name: Name, directories: Mapping[str, Directory]) -> str | None:
    """What may have been meant by a name that was not found."""
    directory = None if name.exchange is None else directories.get(name.exchange)
    if directory is None or name.fault is not None:
        return None
    segment, _, tail = (name.key or "").partition("|")
    if not name.key or holds_indices(segment):
        called = tail or name.symbol
        near = directory.nearest(called) if called else None
        if near is None or near == called:  # the same name: in doubt between several
            return None
        return f"{segment}|{near}" if segment else near
    shares = directory.by_symbol(tail) if holds_shares(segment) else ()
    return shares[0].instrument_key if shares else None


def _by_key(name: Name, key: str, directory: Directory) -> Found | str:
    instrument = directory.by_key(key)
    if instrument is not None:
        return Found(instrument, _note_on_label(name, instrument))
    segment, _, tail = key.partition("|")
    if holds_shares(segment) and is_isin(tail) and name.symbol:
        return _by_isin(name, tail, directory)
    return f"{directory.as_of} has no such key"


def _note_on_label(name: Name, instrument: Instrument) -> str | None:
    known = {instrument.symbol.upper(), instrument.instrument_key.partition("|")[2].upper()}
    if name.symbol is None or name.symbol.upper() in known:
        return None
    key, symbol = instrument.instrument_key, instrument.symbol
    return f"{name.symbol}: {key} is called {symbol} by the exchange, and so it is stored"


def _by_isin(name: Name, isin: str, directory: Directory) -> Found | str:
    share = directory.by_isin(isin)
    if share is not None:
        renamed = name.symbol is not None and name.symbol.upper() != share.symbol.upper()
        return Found(share, f"{name.symbol} is called {share.symbol} now" if renamed else None)
    if name.symbol is None:
        return f"{directory.as_of} has no such ISIN"
    # A split of the face value gives a share a new ISIN.
    match directory.by_symbol(name.symbol):
        case (share,):
            return Found(share, f"{share.symbol}: ISIN changed from {isin} to {share.isin}")
        case ():
            return f"{directory.as_of} has neither ISIN {isin} nor a share called {name.symbol}"
        case several:
            return _doubt(several)


def _by_symbol(symbol: str, directory: Directory) -> Found | str:
    match directory.by_symbol(symbol):
        case (share,):
            return Found(share)
        case (_, *_) as several:
            return _doubt(several)
    index = directory.by_index_name(symbol)
    if index is not None:
        return Found(index)
    if not symbol.isdecimal():
        return f"{directory.as_of} has no share or index called so"
    numbered = directory.by_token(symbol)
    if numbered is not None:
        return Found(numbered, f"{symbol} is {numbered.exchange}'s number of {numbered.symbol}")
    return f"{directory.as_of} has no share of that number; BSE's are written BSE:500112"


def _doubt(several: tuple[Instrument, ...]) -> str:
    return f"several are called so: {', '.join(i.instrument_key for i in several)}"


def _unlisted(key: str, label: str | None) -> Found:
    """An instrument of a segment that no list covers: taken at the user's word."""
    segment, _, tail = key.partition("|")
    kind = "INDEX" if holds_indices(segment) else ""
    instrument = Instrument(key, label or tail, segment.partition("_")[0], segment, kind)
    return Found(instrument, f"{key}: taken unchecked, there is no list of {segment}")
