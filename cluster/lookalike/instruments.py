"""The instrument master the look-alike serves and knows.

NSE: `instruments.json.gz`, the records of Upstox's own file of early 2026 exactly as served: every
share (EQ, SM, ST, BE, BZ) and index, and 26 contracts of the other segments. BSE: six records made
by hand after the documented form. MCX: empty.
"""

from __future__ import annotations

import gzip
import json
from functools import cache
from importlib import resources
from typing import Any

Record = dict[str, Any]

_BSE_SHARES = (
    ("RELIANCE", "RELIANCE INDUSTRIES LTD", "INE002A01018", "500325"),
    ("SBIN", "STATE BANK OF INDIA", "INE062A01020", "500112"),
    ("HDFCBANK", "HDFC BANK LTD", "INE040A01034", "500180"),
    ("INFY", "INFOSYS LIMITED", "INE009A01021", "500209"),
    ("TCS", "TATA CONSULTANCY SERV LT", "INE467B01029", "532540"),
)


def _bse() -> list[Record]:
    shares: list[Record] = [
        {
            "segment": "BSE_EQ",
            "name": name,
            "exchange": "BSE",
            "isin": isin,
            "instrument_type": "A",
            "instrument_key": f"BSE_EQ|{isin}",
            "lot_size": 1,
            "freeze_quantity": 100000.0,
            "exchange_token": token,
            "tick_size": 5.0,
            "trading_symbol": symbol,
            "short_name": symbol,
            "security_type": "NORMAL",
        }
        for symbol, name, isin, token in _BSE_SHARES
    ]
    index: Record = {
        "segment": "BSE_INDEX",
        "name": "SENSEX",
        "exchange": "BSE",
        "instrument_type": "INDEX",
        "instrument_key": "BSE_INDEX|SENSEX",
        "exchange_token": "1",
        "trading_symbol": "SENSEX",
    }
    return [*shares, index]


def _packed(records: list[Record]) -> bytes:
    text = json.dumps(records, separators=(",", ":"), ensure_ascii=False)
    return gzip.compress(text.encode(), mtime=0)


@cache
def file_of(exchange: str) -> bytes | None:
    """`<exchange>.json.gz` as served; None where there is none."""
    nse = resources.files(__package__).joinpath("instruments.json.gz").read_bytes()
    match exchange:
        case "NSE":
            return nse
        case "BSE":
            return _packed(_bse())
        case "MCX":
            return _packed([])
        case "complete":
            return _packed([*json.loads(gzip.decompress(nse)), *_bse()])
    return None


@cache
def known_instruments() -> dict[str, Record]:
    """Every record served, by instrument key."""
    packed = file_of("complete")
    assert packed is not None
    records: list[Record] = json.loads(gzip.decompress(packed))
    return {record["instrument_key"]: record for record in records}
