"""What a request came to. A reply is a value: nothing here is raised."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from actors.market.chunk import Cause


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The candles came, perhaps none."""

    bars: pa.Table  # BARS
    misshapen: tuple[tuple[str, str], ...] = ()  # rows that are no bar: the row as JSON, the reason
    http_status: int = 200
    body_bytes: int = 0  # as received, before decompression
    seconds: float = 0.0  # from the start of the request to the last byte


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """No candles came."""

    cause: Cause
    message: str  # one short line; never carries the token
    http_status: int | None = None  # None: no response came
    unsent: bool = False  # no byte of the request has left: there was no connection
    error_code: str | None = None  # the provider's, such as UDAPI100011
    retry_after_s: float | None = None  # if the provider named a wait
    body_bytes: int = 0
    seconds: float = 0.0
