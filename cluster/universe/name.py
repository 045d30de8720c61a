"""What users call an instrument, taken apart; nothing is looked up yet."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from cluster.config.section import nearest
from cluster.segments import (
    DEFAULT_EXCHANGE,
    EXCHANGES,
    SEGMENTS,
    UNLISTED_SEGMENTS,
    holds_indices,
    holds_shares,
)

_ISIN = re.compile(r"IN[A-Z0-9]{10}")

MOST_CHARS = 100  # of a name; the longest in the masters of 2026 has some 50


@dataclass(frozen=True, slots=True)
class Name:
    """One instrument, as somebody named it: the first known of `key`, `isin`, `symbol` decides."""

    text: str  # as it was written
    exchange: str | None = DEFAULT_EXCHANGE  # whose master has to know it; None: no master does
    key: str | None = None
    isin: str | None = None
    symbol: str | None = None
    shortened: bool = False  # the key had a third part, which is the symbol now
    fault: str | None = None  # why it cannot name anything


def parse_name(text: str, *, isin: str | None = None, label: str | None = None) -> Name:
    """Take apart `SBIN`, `NSE:SBIN`, `BSE:500112`, `Nifty 50`, an ISIN, or an instrument key.

    `isin` and `label` are what else is known of it. Upper and lower case are the same to us.
    """
    text = text.strip()
    for word in (text, isin or "", label or ""):
        if fault := _unfit(word):
            return Name(repr(text)[1:-1][:MOST_CHARS], None, fault=fault)
    if "|" in text:
        return _parse_key(text, label)
    prefix, colon, rest = text.partition(":")
    exchange, symbol = (prefix.strip().upper(), rest.strip()) if colon else (DEFAULT_EXCHANGE, text)
    name = Name(text, exchange, isin=isin.strip().upper() if isin else None, symbol=symbol)
    if exchange not in EXCHANGES:
        return replace(
            name,
            exchange=None,
            fault=f"there is no exchange {prefix}{nearest(exchange, EXCHANGES)}",
        )
    if not symbol:
        return replace(name, fault="names nothing")
    if isin is None and is_isin(symbol.upper()):
        return replace(name, isin=symbol.upper(), symbol=None)
    return name


def is_isin(text: str) -> bool:
    """An Indian ISIN, by its form."""
    return _ISIN.fullmatch(text) is not None


def _unfit(word: str) -> str | None:
    """Why no instrument can be called so, and no file, log or terminal should see it."""
    if not word.isprintable():
        return "holds characters that cannot be printed"
    return f"is longer than {MOST_CHARS} characters" if len(word) > MOST_CHARS else None


def _parse_key(text: str, label: str | None) -> Name:
    segment, *parts = (part.strip() for part in text.split("|"))
    segment = segment.upper()
    if segment not in SEGMENTS and segment not in UNLISTED_SEGMENTS:
        advice = nearest(segment, SEGMENTS)
        return Name(text, None, fault=f"there is no segment {segment}{advice}")
    exchange = SEGMENTS.get(segment)
    if not all(parts):
        return Name(text, exchange, fault="a part of its key is empty")
    share = holds_shares(segment)
    tail = parts[0].upper() if share else parts[0]
    key = f"{segment}|{tail}"
    match parts:
        case [_]:
            return Name(text, exchange, key=key, symbol=label)
        # People write the symbol behind a share's key, which the provider refuses (UDAPI1021). But
        # a contract's third part is its expiry, and names another instrument.
        case [_, symbol] if share and is_isin(tail):
            return Name(text, exchange, key=key, symbol=symbol, shortened=True)
        case [_, _] if not share and not holds_indices(segment):
            return Name(text, exchange, fault="is an expired contract's key; none are served here")
    return Name(text, exchange, fault="has too many parts for a key; write SEGMENT|ISIN")
