"""The provider's list of instruments, fetched once a day, kept for when it cannot be fetched."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import tempfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

from actors.market.address import checked_url
from actors.market.errors import UsageError
from actors.market.sessions import ist_date
from actors.upstox.limits import INSTRUMENTS_PATH
from cluster.download import Trouble, download
from cluster.segments import EXCHANGES

#: The columns of a master kept here; fields it has besides are left out.
INSTRUMENTS = pa.schema(
    [
        pa.field("instrument_key", pa.string(), nullable=False),
        pa.field("symbol", pa.string(), nullable=False),
        pa.field("exchange", pa.string(), nullable=False),
        pa.field("segment", pa.string(), nullable=False),
        pa.field("instrument_type", pa.string(), nullable=False),
        pa.field("isin", pa.string()),
        pa.field("name", pa.string()),
        pa.field("exchange_token", pa.string()),
    ]
)
#: What the file calls each column, and whether a record without it is no instrument.
_WIRE_NAMES = tuple(
    ("trading_symbol" if field.name == "symbol" else field.name, not field.nullable)
    for field in INSTRUMENTS
)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is accepted of a server. NSE's file of early 2026 has 2.7 MB, and unpacked 58 MB."""

    packed_bytes: int = 64 * 2**20
    unpacked_bytes: int = 256 * 2**20
    seconds: float = 30.0


@dataclass(frozen=True, slots=True, eq=False)
class Master:
    """One exchange's instruments, as of `fetched_at`."""

    exchange: str
    table: pa.Table  # INSTRUMENTS
    fetched_at: datetime
    dropped: int = 0  # records of the file that were no instrument
    warnings: tuple[str, ...] = ()

    @property
    def as_of(self) -> str:
        return f"{self.exchange}'s instrument list of {ist_date(self.fetched_at)}"


def load_masters(
    exchanges: Iterable[str],
    assets_url: str,
    state_dir: Path,
    now: datetime,
    bounds: Bounds = Bounds(),  # frozen
) -> dict[str, Master]:
    """The master of each exchange, in the exchanges' order of names."""
    return {
        exchange: load_master(exchange, assets_url, state_dir, now, bounds)
        for exchange in sorted(exchanges)
    }


def load_master(
    exchange: str,
    assets_url: str,
    state_dir: Path,
    now: datetime,
    bounds: Bounds = Bounds(),  # frozen
) -> Master:
    """Today's master: the copy of today (IST), else a fresh one, else, with a warning, an old copy.

    Raises UsageError if it can neither be fetched nor is kept.
    """
    assert exchange in EXCHANGES, exchange
    url = f"{checked_url(assets_url)}{INSTRUMENTS_PATH}/{exchange}.json.gz"
    place = _place(assets_url, exchange, state_dir)
    kept = _read(exchange, place)
    if isinstance(kept, Master) and ist_date(kept.fetched_at) == ist_date(now):
        return kept
    fresh = _fetch(exchange, url, now, bounds)
    if isinstance(fresh, Master):
        return _keep(fresh, place)
    if isinstance(kept, Master):
        stale = f"{kept.as_of} is used: today's did not come from {url}: {fresh.reason}"
        return replace(kept, warnings=(*kept.warnings, stale))
    problem = (
        f"{fresh.reason}; and no earlier copy of the instrument list is kept. --assets-url, or "
        "provider.assets_url, says where else it is"
    )
    raise UsageError(problem, url)


def _place(assets_url: str, exchange: str, state_dir: Path) -> Path:
    parts = urlsplit(assets_url)
    host = re.sub(r"[^a-z0-9.-]+", "_", f"{parts.netloc}{parts.path}".lower()).strip("_.")
    return state_dir / "instruments" / host / f"{exchange}.parquet"


# From the provider


def _fetch(exchange: str, url: str, now: datetime, bounds: Bounds) -> Master | Trouble:
    packed = download(url, max_bytes=bounds.packed_bytes, within_s=bounds.seconds)
    if isinstance(packed, Trouble):
        return packed
    records = _unpack(packed, bounds.unpacked_bytes)
    if isinstance(records, Trouble):
        return records
    table = _table(records)
    if not len(table):
        return Trouble(f"none of the file's {len(records):,} records is an instrument")
    return _described(Master(exchange, table, now, dropped=len(records) - len(table)))


def _described(master: Master) -> Master:
    if not master.dropped:
        return master
    warning = f"{master.as_of}: {master.dropped:,} records are left out, being no instruments"
    return replace(master, warnings=(warning,))


def _unpack(packed: bytes, max_bytes: int) -> list[Any] | Trouble:
    try:
        with gzip.open(io.BytesIO(packed)) as stream:
            text = stream.read(max_bytes + 1)
    except (OSError, EOFError, zlib.error):
        return Trouble("the file is broken: no whole gzip")
    if len(text) > max_bytes:
        return Trouble(f"the file unpacks to more than {max_bytes:,} bytes")
    try:
        records = json.loads(text)
    except (ValueError, RecursionError):
        return Trouble("the file is broken: no JSON inside")
    return records if isinstance(records, list) else Trouble("the file holds no list of records")


def _table(records: list[Any]) -> pa.Table:
    """Every record that names an instrument, each key once, the first one."""
    rows: dict[str, tuple[str | None, ...]] = {}
    for record in records:
        row = _row(record) if isinstance(record, dict) else None
        if row is not None:
            rows.setdefault(str(row[0]), row)
    columns = zip(*rows.values(), strict=True) if rows else ([] for _ in INSTRUMENTS)
    return pa.table([pa.array(c, pa.string()) for c in columns], schema=INSTRUMENTS)


def _row(record: Mapping[str, Any]) -> tuple[str | None, ...] | None:
    """Values in the order of INSTRUMENTS; None if one that is needed is missing or odd."""
    row = []
    for name, needed in _WIRE_NAMES:
        value = record.get(name)
        sound = isinstance(value, str) and value.isprintable() and value.strip()
        if needed and not sound:
            return None
        row.append(value if sound else None)
    return tuple(row) if str(row[0]).startswith(f"{row[3]}|") else None


# From the state folder


def _read(exchange: str, place: Path) -> Master | None:
    """The copy kept; None if there is none, or none that can be read: then it is fetched anew."""
    try:
        table = pq.ParquetFile(place).read()
        about = {k.decode(): v.decode() for k, v in (table.schema.metadata or {}).items()}
        fetched_at = datetime.fromisoformat(about["fetched_at"])
        dropped = int(about["dropped"])
    except (OSError, pa.ArrowException, KeyError, ValueError):
        return None
    if not table.schema.equals(INSTRUMENTS) or fetched_at.tzinfo is None:
        return None
    return _described(Master(exchange, table, fetched_at, dropped))


def _keep(master: Master, place: Path) -> Master:
    """Put it where it is found next time: whole or not at all."""
    about = {"fetched_at": master.fetched_at.isoformat(), "dropped": str(master.dropped)}
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=place.parent, suffix=".part", delete=False) as part:
            try:
                pq.write_table(
                    master.table.replace_schema_metadata(about), part, compression="zstd"
                )
                part.flush()
                os.fsync(part.fileno())
                Path(part.name).replace(place)
            except BaseException:
                Path(part.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        warning = f"{master.as_of} could not be kept in {place.parent}: {error.strerror}"
        return replace(master, warnings=(*master.warnings, warning))
    return master
