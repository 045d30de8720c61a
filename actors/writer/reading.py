from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from actors.market.candles import CANDLES
from actors.market.errors import UsageError
from actors.writer import coverage, moment, naming, object_store, tables
from actors.writer.folder import Folder, absolute
from actors.writer.predicate import selecting
from actors.writer.presence import Presence
from actors.writer.receipts import RECEIPTS
from actors.writer.selection import COLUMNS, USUAL, Candles, Choice

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import date

    from deltalake import DeltaTable

    from actors.market.timeframe import Timeframe

_LISTED = 5  # names in one complaint


@dataclass(frozen=True, slots=True)
class Holding:
    """What the store holds of one timeframe."""

    timeframe: str
    instruments: int
    rows: int
    first: date  # the oldest candle's day, IST
    last: date  # the newest one's


class _Tables(NamedTuple):
    chunks: DeltaTable | None
    candles: DeltaTable | None  # the newest, or the version that is looked at
    pending: list[tables.Unfinished]  # commits of candles whose receipts are not in chunks yet


class Store:
    """Reads a store; every call sees the newest version, unless it was asked to stand `still`.

    One that is not there yet has no receipts. Rows and receipts appear together, even after a crash
    between their commits. Making one raises UsageError if it is in an object store that cannot be
    looked into.
    """

    def __init__(self, uri: str, *, storage_options: dict[str, str] | None = None) -> None:
        self.uri = absolute(uri)
        if storage_options is None:
            object_store.reach(self.uri)
        self._options = storage_options or object_store.options(self.uri)
        self._past: moment.Past | None = None
        self._still: _Tables | None = None

    def still(self) -> Store:
        """The store as it is now: whatever is asked of it, it answers of one moment."""
        seen = Store(self.uri, storage_options=self._options)
        seen._past, seen._still = self._past, self._opened()
        return seen

    def at(self, as_of: moment.AsOf) -> Store:
        """The store as it was at a version of the candles table, or at a moment.

        Raises UsageError for a version that never was, one whose files have been cleaned away since,
        and a moment before the first one.
        """
        candles = self._table("candles")
        if candles is None:
            raise UsageError(f"there is no store at {self.uri} yet")
        with tables.in_words(self.uri):
            commits = {
                int(entry["version"]): datetime.fromtimestamp(entry.get("timestamp", 0) / 1e3, UTC)
                for entry in candles.history()
            }
        seen = Store(self.uri, storage_options=self._options)
        seen._past = moment.past(as_of, commits)
        seen._refuse_if_cleaned(candles, seen._at_version(seen._past.version))
        return seen

    def candles_version(self) -> int | None:
        """Version of the candles table; None if there is none yet."""
        if self._past is not None:
            return self._past.version
        candles = self._table("candles") if self._still is None else self._still.candles
        return None if candles is None else int(candles.version())

    @property
    def until(self) -> datetime | None:
        """What came later than this is not seen; None: everything is."""
        return None if self._past is None else self._past.until

    def receipts(self) -> pa.Table:
        """Every receipt there is, as RECEIPTS."""
        return self._receipts(self._opened(), RECEIPTS)

    def latest(self) -> pa.Table:
        """The newest receipt of every chunk."""
        return coverage.latest(self.receipts())

    def dead_letters(self) -> pa.Table:
        """Receipts of the chunks that failed last, and whose days nothing has answered since."""
        return coverage.dead_letters(self.receipts())

    def candles(
        self,
        *,
        symbols: str | Collection[str] | None = None,
        timeframe: Timeframe | str | None = None,
        first: date | str | None = None,
        last: date | str | None = None,
        columns: str | Collection[str] | None = None,
        final_only: bool = False,
        as_of: moment.AsOf | None = None,
    ) -> Candles:
        """Candles that pass every filter given.

        `symbols` are trading symbols or instrument keys; `first` and `last` IST days, both included.
        Raises UsageError for a symbol or timeframe of which nothing was ever fetched, and for days the
        wrong way round: that would not be an empty answer, but none. See `at` for `as_of`.
        """
        begin, end = naming.days_of(first, last)
        store: Store = self if as_of is None else self.at(as_of)
        opened = store._opened()
        if opened.candles is None:
            raise UsageError(f"there is no store at {self.uri} yet")
        frame = naming.timeframe_of(timeframe)
        choice = Choice(
            instrument_keys=store._keys(opened, symbols, frame),
            timeframe=frame,
            first=begin,
            last=end,
            final_only=final_only,
        )
        return Candles(opened.candles, self.uri, choice, naming.columns_of(columns, USUAL, COLUMNS))

    def presence(self) -> Presence:
        """Counts what stands in the version that is the newest now, and stays with it."""
        return Presence(self._opened().candles, self.uri)

    def symbols(self) -> dict[str, list[str]]:
        """The instrument keys each symbol stands for, of all that was ever asked for."""
        return naming.instruments_by_symbol(self._receipts(self._opened(), naming.SERIES))

    def holdings(self) -> list[Holding]:
        """What is held of each timeframe, from the tables' own statistics: no candle is read."""
        opened = self._opened()
        if opened.candles is None:
            return []
        with tables.in_words(self.uri):
            files = pa.table(opened.candles.get_add_actions(flatten=True))
        if files.num_rows == 0:
            return []
        receipts = self._receipts(opened, RECEIPTS)
        stored = receipts.filter(pc.greater(receipts["rows"], 0)).group_by("timeframe")
        counted = stored.aggregate([("instrument_key", "count_distinct")])
        instruments = dict(
            zip(*(column.to_pylist() for column in counted.itercolumns()), strict=True)
        )
        sums = files.group_by("partition.timeframe").aggregate(
            [("num_records", "sum"), ("min.date", "min"), ("max.date", "max")]
        )
        found = {
            label: Holding(label, instruments.get(label, 0), *rest)
            for label, *rest in zip(*(c.to_pylist() for c in sums.itercolumns()), strict=True)
        }
        return [found[label] for label in naming.by_length(found)]

    def runs(self) -> list[str]:
        """Ids of the runs that left files here, in order."""
        return self._folder.within("runs").names()

    def run(self, run_id: str) -> Folder:
        """The files of a run: its manifest, report and log. Raises UsageError for no run's id."""
        if "/" in run_id or run_id in {"", ".", ".."}:
            raise UsageError(f"{run_id!r} is no run's id")
        return self._folder.within("runs").within(run_id)

    @property
    def _folder(self) -> Folder:
        return Folder(self.uri)

    def _table(self, name: str) -> DeltaTable | None:
        """The newest version."""
        if self._folder.is_file():
            raise UsageError("is a file, not a folder", f"store {self.uri}")
        with tables.in_words(f"{self.uri}/{name}"):
            return tables.open_table(f"{self.uri}/{name}", self._options)

    def _opened(self) -> _Tables:
        if self._still is not None:
            return self._still
        chunks = self._table("chunks")  # before the candles, so that none is missed in between
        candles = self._table("candles")
        with tables.in_words(self.uri):
            pending = tables.unfinished(candles, chunks, self.uri)
        if candles is not None and self._past is not None:
            candles = self._at_version(self._past.version)
        return _Tables(chunks, candles, pending)

    def _at_version(self, version: int) -> DeltaTable:
        table = self._table("candles")
        assert table is not None
        with tables.in_words(self.uri):
            table.load_as_version(version)
        return table

    def _receipts(self, opened: _Tables, columns: pa.Schema, condition: str = "TRUE") -> pa.Table:
        """Those that `condition` selects; unfinished ones come along in any case."""
        telling = [name for name in ("candles_version", "fetched_at") if name not in columns.names]
        read = pa.schema([*columns, *(RECEIPTS.field(name) for name in telling)])
        with tables.in_words(self.uri):
            found = [commit.receipts.select(read.names) for commit in opened.pending]
            if opened.chunks is not None:
                found.insert(0, tables.scan(opened.chunks, read, condition).read_all())
        receipts = pa.concat_tables([read.empty_table(), *found]).combine_chunks()
        known = receipts if self._past is None else self._past.known(receipts)
        return known.select(columns.names)

    def _keys(
        self,
        opened: _Tables,
        symbols: str | Collection[str] | None,
        timeframe: Timeframe | None,
    ) -> list[str] | None:
        """The instruments meant; None: all. Raises UsageError where there can be no answer."""
        assert opened.candles is not None
        held = {partition["timeframe"] for partition in opened.candles.partitions()}
        if not held:
            raise UsageError(f"{self.uri} holds no candles yet")
        if symbols is None:
            if timeframe is not None and timeframe.label not in held:
                there = ", ".join(naming.by_length(held))
                raise UsageError(f"{self.uri} holds no {timeframe}, only {there}", "timeframe")
            return None
        names = naming.several(symbols, "symbols")
        receipts = self._receipts(opened, naming.SERIES, naming.naming(names))
        meant = naming.keys_of(names, receipts, self.symbols)
        without = naming.unanswered(meant, receipts, timeframe)
        asked = [meant[name] for name in without]
        standing = self._standing(opened.candles, asked, timeframe)
        reasons = [reason for name, reason in without.items() if meant[name] not in standing]
        if reasons:
            more = f"; and {len(reasons) - _LISTED} more" if len(reasons) > _LISTED else ""
            raise UsageError("; ".join(reasons[:_LISTED]) + more, "symbols")
        return list(meant.values())

    def _standing(
        self, candles: DeltaTable, keys: list[str], timeframe: Timeframe | None
    ) -> set[str]:
        """Those of `keys` that have rows whatever the receipts say, as derived timeframes may."""
        if not keys:
            return set()
        key = pa.schema([CANDLES.field("instrument_key")])
        condition = selecting(instrument_keys=keys, timeframe=timeframe)
        with tables.in_words(self.uri):
            return set(
                tables.scan(candles, key, condition).read_all()["instrument_key"].to_pylist()
            )

    def _refuse_if_cleaned(self, newest: DeltaTable, seen: DeltaTable) -> None:
        """Raise UsageError if files of the version looked at are no longer there."""
        with tables.in_words(self.uri):
            now, then = (
                set(pa.table(table.get_add_actions())["path"].to_pylist())
                for table in (newest, seen)
            )
        missing = then - now
        for folder in {path.rpartition("/")[0] for path in missing}:
            names = self._folder.within(f"candles/{folder}").names()
            missing -= {f"{folder}/{name}" for name in names}
        if missing:
            problem = "cannot be read any more: files of it have been cleaned away"
            raise UsageError(f"version {seen.version()} of {self.uri} {problem}")
