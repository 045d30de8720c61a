from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Instrument:
    """One row of the provider's instrument master."""

    instrument_key: str  # what requests name it by: `NSE_EQ|INE062A01020`, `NSE_INDEX|Nifty 50`
    symbol: str  # the exchange's trading symbol: `SBIN`
    exchange: str  # `NSE`, `BSE`, `MCX`
    segment: str  # `NSE_EQ`, `NSE_INDEX`, `NSE_FO` ...
    instrument_type: str  # for shares the series: `EQ`, `BE`, `SM`; else `INDEX`, `FUT`, `CE` ...
    isin: str | None = None  # shares only; changes on a face-value split
    name: str = ""
