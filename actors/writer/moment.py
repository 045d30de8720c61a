"""Which version of a store a moment means, and what was known by then. Pure."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import SupportsIndex

import pyarrow as pa
import pyarrow.compute as pc

from actors.market.errors import UsageError
from actors.market.sessions import IST

#: A version of the candles table, or a moment: ISO text or a date, India's if it names no zone.
AsOf = SupportsIndex | str | date


@dataclass(frozen=True, slots=True)
class Past:
    """A store as it was when `version` was the candles table's newest."""

    version: int
    until: datetime | None  # what was fetched later was not known; None: nothing is later

    def known(self, receipts: pa.Table) -> pa.Table:
        """Those of `receipts` that stood in the store; answers without rows count from their fetch."""
        holding = receipts["candles_version"]
        known = pc.fill_null(pc.less_equal(holding, self.version), fill_value=True)
        if self.until is not None:
            until = pa.scalar(self.until, receipts.schema.field("fetched_at").type)
            known = pc.and_(known, pc.less_equal(receipts["fetched_at"], until))
        return receipts.filter(known)


def past(as_of: AsOf, commits: Mapping[int, datetime]) -> Past:
    """What `as_of` means to a table with these commits: versions, and when each was made.

    A moment means the newest version that was there by then. Raises UsageError for a version that
    is not among them, a moment before all of them, and what is neither.
    """
    if isinstance(as_of, str | date):
        moment = _moment(as_of)
        by_then = [version for version, made_at in commits.items() if made_at <= moment]
        if not by_then:
            oldest = min(commits.values()).astimezone(IST).isoformat(timespec="seconds")
            raise UsageError(
                f"there was nothing yet at {moment.isoformat()}; it begins at {oldest}"
            )
        return Past(max(by_then), moment)
    version = operator.index(as_of)
    if version not in commits:
        raise UsageError(f"there is no version {version}, only {min(commits)} to {max(commits)}")
    return Past(version, min((at for v, at in commits.items() if v > version), default=None))


def _moment(as_of: str | date) -> datetime:
    try:
        moment = datetime.fromisoformat(str(as_of))
    except ValueError:
        hint = "write one like 2024-01-31T15:30, India's unless it names a zone"
        raise UsageError(f"{as_of!r} is no time; {hint}") from None
    return moment.astimezone(IST) if moment.tzinfo else moment.replace(tzinfo=IST)
