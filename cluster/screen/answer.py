"""What a screen has found, and of which instruments it cannot tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from html import escape
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa

from actors.market.sessions import IST
from cluster.wording import counted

if TYPE_CHECKING:
    import pandas as pd

    from cluster.screen.looking import Looked

IST_STAMP = pa.timestamp("us", tz="Asia/Kolkata")


class Reason(StrEnum):
    """Why an instrument was not screened."""

    NO_DATA = "no data"
    STALE = "stale"
    INCOMPLETE = "incomplete"
    TOO_SHORT = "too short"
    UNDEFINED = "undefined"


@dataclass(frozen=True, slots=True)
class Match:
    symbol: str
    instrument_key: str
    close: float  # of the last bar
    ts: datetime  # its start, IST
    end: datetime  # when it was over
    not_final: int  # bars that the answer counts on and that may still change
    rank: float | None
    shown: tuple[float | None, ...]

    @classmethod
    def of(cls, symbol: str, each: Looked) -> Self:
        return cls(
            symbol=symbol,
            instrument_key=each.key,
            close=each.close,
            ts=each.ts,
            end=each.end,
            not_final=each.not_final,
            rank=each.rank,
            shown=each.shown,
        )


@dataclass(frozen=True, slots=True)
class NotScreened:
    symbol: str
    instrument_key: str  # empty where the store knows none
    reason: Reason
    detail: str

    def __str__(self) -> str:
        return f"{self.symbol}: {self.reason}: {self.detail}"


@dataclass(frozen=True, slots=True, repr=False)
class Answer:
    """Of one version of a store. Screened and not screened make up the universe."""

    screen: dict[str, Any]  # as it was asked
    store: str
    version: int  # of the candles table
    on: date | None  # the day it was asked for; None: the newest
    newest: dict[str, date]  # the newest session of each timeframe that was looked at
    asked_at: datetime
    universe: int
    found: int  # matches, of which there may be more than a limit lets through
    matches: tuple[Match, ...]  # best first
    not_screened: tuple[NotScreened, ...]

    def __repr__(self) -> str:
        return f"<of version {self.version} of {self.store}: {self.sum()}>"

    def _repr_html_(self) -> str:
        """In a notebook: the matches as a DataFrame is shown, above the sum."""
        return f"{self.to_pandas().to_html(max_rows=60)}<p>{escape(self.sum())}</p>"

    @property
    def screened(self) -> int:
        return self.universe - len(self.not_screened)

    @property
    def reasons(self) -> dict[Reason, int]:
        counts = Counter(each.reason for each in self.not_screened)
        return {reason: counts[reason] for reason in Reason if counts[reason]}

    @property
    def labels(self) -> list[str]:
        """Names of the columns that the screen shows."""
        return list(self.screen.get("show") or {})

    def sum(self) -> str:
        """A line that always adds up."""
        why = ", ".join(f"{count:,} {reason}" for reason, count in self.reasons.items())
        left_out = f" ({why})" if why else ""
        return (
            f"{self.screened:,} screened + {len(self.not_screened):,} not screened{left_out}"
            f" = {counted(self.universe, 'instrument')}; {self.found:,} match."
        )

    def origin(self) -> str:
        """The version it is of, and the newest session, of each timeframe where they differ."""
        days = {*self.newest.values()}
        each = (f"{frame} {day}" for frame, day in self.newest.items())
        newest = days.pop() if len(days) == 1 else ", ".join(each)
        return f"Version {self.version} of {self.store}, newest session {newest}"

    def as_dict(self) -> dict[str, Any]:
        """The object `--format json` prints. `Screen(**it["screen"])` asks the same again."""
        return self.facts() | {"matches": [self._plain(match) for match in self.matches]}

    def facts(self) -> dict[str, Any]:
        """All but the matches, in JSON's types."""
        return {
            "screen": self.screen,
            "store": self.store,
            "candles_version": self.version,
            "on": self.on and self.on.isoformat(),
            "newest": {frame: day.isoformat() for frame, day in self.newest.items()},
            "asked_at": self.asked_at.astimezone(IST).isoformat(),
            "universe": self.universe,
            "screened": self.screened,
            "found": self.found,
            "reasons": {str(reason): count for reason, count in self.reasons.items()},
            "not_screened": [
                {
                    "symbol": each.symbol,
                    "instrument_key": each.instrument_key or None,
                    "reason": str(each.reason),
                    "detail": each.detail,
                }
                for each in self.not_screened
            ],
        }

    def _plain(self, match: Match) -> dict[str, Any]:
        return {
            "symbol": match.symbol,
            "instrument_key": match.instrument_key,
            "close": match.close,
            "ts": match.ts.isoformat(),
            "age_s": round((self.asked_at - match.end).total_seconds()),
            "not_final": match.not_final,
            "rank": match.rank,
            "shown": dict(zip(self.labels, match.shown, strict=True)),
        }

    def to_arrow(self) -> pa.Table:
        """One row a match, best first."""
        columns: dict[str, Any] = {
            "symbol": pa.array([match.symbol for match in self.matches], pa.string()),
            "instrument_key": pa.array([m.instrument_key for m in self.matches], pa.string()),
            "close": pa.array([match.close for match in self.matches], pa.float64()),
            "ts": pa.array([match.ts for match in self.matches], IST_STAMP),
            "not_final": pa.array([match.not_final for match in self.matches], pa.int64()),
            "rank": pa.array([match.rank for match in self.matches], pa.float64()),
        }
        for place, label in enumerate(self.labels):
            values = [match.shown[place] for match in self.matches]
            columns[_free(label, columns)] = pa.array(values, pa.float64())
        return pa.table(columns)

    def to_pandas(self) -> pd.DataFrame:
        frame: pd.DataFrame = self.to_arrow().to_pandas()
        return frame


def in_order(matches: Iterable[Match], *, ascending: bool) -> list[Match]:
    """By rank, those without one last; of the same rank, as they come."""
    sign = 1 if ascending else -1
    return sorted(matches, key=lambda match: (match.rank is None, sign * (match.rank or 0.0)))


def _free(label: str, taken: dict[str, Any]) -> str:
    """A screen may show a column that is called as one of ours."""
    while label in taken:
        label = f"{label} shown"
    return label
