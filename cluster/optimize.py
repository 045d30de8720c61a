"""Puts a store in order, and clears away what no version of the last days needs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable
from rich.console import RenderableType
from rich.table import Table

from actors.market.errors import StoreError, UsageError
from actors.writer import cleaning, object_store, tables
from actors.writer.care import Partition, ordering, partitions
from actors.writer.folder import Folder, absolute
from actors.writer.naming import by_length
from actors.writer.reading import Store
from actors.writer.store import StoreWriter
from cluster.occupancy import occupied
from cluster.state import state_dir
from cluster.wording import counted

#: A reader that has opened a version may still be at it.
READERS_NEED_DAYS = 1

_TABLES = ("candles", "chunks")


@dataclass(frozen=True, slots=True)
class Files:
    files: int
    bytes: int

    def __str__(self) -> str:
        return f"{self.files:,}, {_mib(self.bytes)}"


@dataclass(frozen=True, slots=True)
class Optimized:
    """What was done, or of a dry run, what would be."""

    store: str
    dry_run: bool
    candles_version: int
    oldest_version: int  # of candles; from it on each can be read
    ordered: list[str]  # partitions
    before: dict[str, Files]  # by timeframe, of the newest version
    after: dict[str, Files] | None  # None: a dry run
    freed: Files
    kept: Files  # for earlier versions, or not old enough to be cleared away

    def as_dict(self) -> dict[str, Any]:
        told = asdict(self)
        before, after = told.pop("before"), told.pop("after")
        sizes = [
            {"timeframe": label, "before": of_it, "after": None if after is None else after[label]}
            for label, of_it in before.items()
        ]
        return told | {"timeframes": sizes}


def refuse_haste(store: str, keep_days: int, force: bool) -> None:
    """Raise UsageError for a clean-up that could take files from under somebody at work."""
    if keep_days >= READERS_NEED_DAYS:
        return
    if object_store.is_remote(store):
        # Nothing keeps another run out, and what it has written and not committed yet looks unneeded.
        raise UsageError("in an object store, keep at least 1 day: a run may be at work", "--keep")
    if not force:
        problem = "who reads just now would lose files under their hands; --force does it anyway"
        raise UsageError(problem, "--keep")


def optimize(
    uri: str, keep: timedelta, now: datetime, show: Callable[[str], None], *, dry_run: bool
) -> Optimized:
    """Order, merge and clear away, or say what that would do.

    Raises UsageError if there is no store or another run is writing to it, StoreError if one begins
    to: what was done until then stays.
    """
    if Store(uri).candles_version() is None:
        raise UsageError(f"there is no store at {uri} yet")
    place = absolute(uri)
    if dry_run:
        before, chosen = _survey(place)
        freed, kept = _clearance(place, keep, now)
        cleaned_to = now - keep if freed["candles"].files else None
        return _told(place, chosen, before, None, freed, kept, cleaned_to)
    with occupied(place, state_dir()):
        before, chosen = _survey(place)
        size_bytes = sum(partition.size_bytes for partition in chosen)
        if chosen:
            show(f"Putting {counted(len(chosen), 'partition')} in order, {_mib(size_bytes)}.")
        writer = StoreWriter(place)
        writer.tend(ordering(place, _gaining))
        freed, kept = _clearance(place, keep, now)
        writer.tend(partial(_clean, freed, keep, now))
        after, _ = _survey(place)
        return _told(place, chosen, before, after, freed, kept, None)


def lines(done: Optimized) -> list[str]:
    """What to say of it."""
    would = "that would be " if done.dry_run else ""
    moved = f"Partitions {would}put in order: {len(done.ordered):,}."
    return [
        moved if done.ordered else "Everything is in order already.",
        f"Files {would}cleared away: {done.freed}.",
        f"Kept for earlier versions: {done.kept}.",
        f"Versions {done.oldest_version} to {done.candles_version} can be read as they were.",
    ]


def table(done: Optimized) -> RenderableType:
    heads = ("timeframe", "files", "MiB", *([] if done.after is None else ("files after", "MiB")))
    shown = Table(*heads)
    for column in shown.columns[1:]:
        column.justify = "right"
    for label, before in done.before.items():
        sizes = [before, *([] if done.after is None else [done.after[label]])]
        cells = ((f"{size.files:,}", f"{size.bytes / 2**20:,.1f}") for size in sizes)
        shown.add_row(label, *(cell for pair in cells for cell in pair))
    return shown


def _told(
    place: str,
    chosen: list[Partition],
    before: dict[str, Files],
    after: dict[str, Files] | None,
    freed: dict[str, Files],
    kept: Files,
    cleaned_to: datetime | None,
) -> Optimized:
    candles = _opened(place, "candles")
    with tables.in_words(place):
        oldest = cleaning.oldest_readable(candles.history(), cleaned_to)
    return Optimized(
        store=place,
        dry_run=after is None,
        candles_version=int(candles.version()),
        oldest_version=oldest,
        ordered=[f"{one.timeframe} {one.period}" for one in chosen],
        before=before,
        after=after,
        freed=Files(sum(f.files for f in freed.values()), sum(f.bytes for f in freed.values())),
        kept=kept,
    )


def _survey(place: str) -> tuple[dict[str, Files], list[Partition]]:
    """What the newest version holds of each timeframe, and the partitions to put in order."""
    with tables.in_words(place):
        found = partitions(_opened(place, "candles"))
    files, size_bytes = Counter[str](), Counter[str]()
    for partition in found:
        files[partition.timeframe] += len(partition.files)
        size_bytes[partition.timeframe] += partition.size_bytes
    sizes = {label: Files(files[label], size_bytes[label]) for label in by_length(files)}
    return sizes, _gaining(found)


def _gaining(found: Sequence[Partition]) -> list[Partition]:
    return [partition for partition in found if partition.gains]


def _clearance(place: str, keep: timedelta, now: datetime) -> tuple[dict[str, Files], Files]:
    """What can be cleared away of each table's folder, and what else no newest version uses."""
    freed: dict[str, Files] = {}
    kept: list[int] = []
    for name in _TABLES:
        opened = _opened(place, name)
        there = Folder(f"{place}/{name}").sizes()
        with tables.in_words(place):
            gone = there.keys() & cleaning.removable(opened, keep, now)
            used = set(pa.table(opened.get_add_actions())["path"].to_pylist())
        freed[name] = _files(there[path] for path in gone)
        kept += [
            size_bytes
            for path, size_bytes in there.items()
            if path not in gone | used and not path.startswith("_delta_log/")
        ]
    return freed, _files(kept)


def _clean(
    freed: dict[str, Files],
    keep: timedelta,
    now: datetime,
    candles: DeltaTable,
    chunks: DeltaTable,
) -> Iterator[None]:
    for name, opened in zip(_TABLES, (candles, chunks), strict=True):
        if freed[name].files:
            cleaning.remove(opened, keep, now)
        yield


def _files(sizes_bytes: Iterable[int]) -> Files:
    sizes = list(sizes_bytes)
    return Files(len(sizes), sum(sizes))


def _opened(place: str, name: str) -> DeltaTable:
    with tables.in_words(place):
        found = tables.open_table(f"{place}/{name}", object_store.options(place))
    if found is None:
        raise StoreError(f"its table {name} is gone", place)
    return found


def _mib(size_bytes: int) -> str:
    return f"{size_bytes / 2**20:,.1f} MiB"
