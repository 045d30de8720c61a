"""What a table's folder keeps for earlier versions, and which of those can still be read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from deltalake import CommitProperties

from actors.writer import tables

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deltalake import DeltaTable

#: For so long a checkpoint remembers a removed file, unless a table says otherwise (Delta protocol,
#: `delta.deletedFileRetentionDuration`); afterwards it is as one that no version ever had.
_REMEMBERED = timedelta(days=7)


def removable(table: DeltaTable, keep: timedelta, now: datetime) -> list[str]:
    """Files that no version of the last `keep` needs, leavings of killed writers among them.

    Paths in the table's folder, of files that are gone already too. `keep` is taken in whole hours.
    """
    return _vacuum(table, keep, now, dry_run=True)


def remove(table: DeltaTable, keep: timedelta, now: datetime) -> None:
    """Delete those, and commit that it was done."""
    _vacuum(table, keep, now, dry_run=False)


def oldest_readable(log: Sequence[dict[str, Any]], cleaned_to: datetime | None = None) -> int:
    """From which version on each can be read, after all clean-ups of the log, and one more if given.

    `cleaned_to`: what had been replaced by then is gone.
    """
    ends = [_cleaned_to(entry) for entry in log if entry["operation"] == "VACUUM START"]
    end = max([*ends, *([] if cleaned_to is None else [cleaned_to])], default=None)
    kept = [int(entry["version"]) for entry in log if end is None or _made_at(entry) > end]
    return min(kept, default=int(log[0]["version"]))


def forgotten(log: Sequence[dict[str, Any]], keep: timedelta, now: datetime) -> list[int]:
    """Versions of the last `keep` whose files the table may not remember having removed."""
    until = now - keep
    since = max((_made_at(entry) for entry in log if _made_at(entry) <= until), default=until)
    return [int(entry["version"]) for entry in log if since <= _made_at(entry) <= now - _REMEMBERED]


def _vacuum(table: DeltaTable, keep: timedelta, now: datetime, *, dry_run: bool) -> list[str]:
    return table.vacuum(
        retention_hours=int(keep / timedelta(hours=1)),
        enforce_retention_duration=False,
        full=True,
        keep_versions=forgotten(table.history(), keep, now) or None,
        dry_run=dry_run,
        commit_properties=CommitProperties(custom_metadata=tables.MOVED),
    )


def _made_at(entry: dict[str, Any]) -> datetime:
    return datetime.fromtimestamp(entry.get("timestamp", 0) / 1e3, UTC)


def _cleaned_to(entry: dict[str, Any]) -> datetime:
    told = entry["operationParameters"]
    kept_ms = told.get("specifiedRetentionMillis") or told["defaultRetentionMillis"]
    return _made_at(entry) - timedelta(milliseconds=int(kept_ms))
