"""Answers on this machine's disk: from before they are called kept until they are committed.

    <place>/<writer>/<chunk>.arrow   one answer: the receipt as metadata, rows, rows put aside
    <place>/<writer>.lock            held by that writer; the system releases it with the process

Nothing is synced. The death of a process costs nothing that was put here; that of the machine costs
what its system had not written down yet, half a minute's answers on Linux.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
from filelock import FileLock, Timeout

from actors.market.candles import BARS, CANDLES, QUARANTINE, Delivery, label_candles
from actors.market.errors import StoreError
from actors.writer import object_store
from actors.writer.buffer import grouped
from actors.writer.folder import absolute
from actors.writer.receipts import as_receipts, carried, from_carried

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from actors.market.chunk import Receipt

ROOM = "spool"  # of a store on this machine's disk
GROUP_BYTES = 64 * 2**20  # of what was left, in memory at once; as much as a usual commit

_RECEIPT = b"candlefleet.receipt"
#: What the receipt does not say of the rows.
_ROWS = pa.schema([*BARS, CANDLES.field("final")])
_NOT_WHOLE = (OSError, pa.ArrowException, TypeError, KeyError, ValueError)  # raised by reading it


def place_of(store: str, state_dir: Path) -> Path:
    """Where answers for a store wait: in it, or for an object store in this machine's state folder.

    There they are found again by whoever next writes to the store from this machine. If it is gone,
    they are: their chunks have no receipts, and are asked for again.
    """
    address = absolute(store)
    options = object_store.options(address)
    if options is None:
        return Path(address) / ROOM
    # Two providers may have buckets of one name.
    where = f"{options.get('aws_endpoint_url', '')} {address}"
    return state_dir / ROOM / hashlib.blake2b(where.encode(), digest_size=8).hexdigest()


class Spool:
    """One writer's answers that are not in the store yet. May be used from many threads."""

    def __init__(self, place: Path) -> None:
        self._folder = place / uuid.uuid4().hex
        self._lock = _lock(self._folder)
        with _in_words(place):
            place.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()  # before there is a folder that could be taken for abandoned
            self._folder.mkdir()

    def put(self, delivery: Delivery) -> None:
        """Write it down, in place of an earlier answer for the same chunk.

        Raises StoreError if that cannot be done; then it is as if it had never come.
        """
        path = self._path(delivery)
        aside = path.with_suffix(f".{uuid.uuid4().hex}")
        with _in_words(self._folder.parent):
            try:
                _write(aside, delivery)
                aside.replace(path)
            except BaseException:
                aside.unlink(missing_ok=True)
                raise

    def drop(self, deliveries: Iterable[Delivery]) -> None:
        """They are in the store."""
        with _in_words(self._folder.parent):
            for delivery in deliveries:
                self._path(delivery).unlink(missing_ok=True)

    def close(self) -> None:
        """Leave nothing behind but what is not in the store; that is abandoned from now on."""
        if not any(self._folder.iterdir()):
            self._folder.rmdir()
            Path(self._lock.lock_file).unlink(missing_ok=True)
        self._lock.release()

    def _path(self, delivery: Delivery) -> Path:
        chunk_id = delivery.receipt.chunk.id.encode()
        return self._folder / f"{hashlib.blake2b(chunk_id, digest_size=16).hexdigest()}.arrow"


def is_abandoned(place: Path) -> bool:
    """Whether writers that are no more may have left something there."""
    with _in_words(place):
        return bool(_folders(place))


def waiting(place: Path) -> list[Receipt]:
    """What the answers there tell, whoever is to commit them. They are only looked at."""
    with _in_words(place):
        paths = [path for folder in _folders(place) for path in folder.glob("*.arrow")]
    return [receipt for receipt in map(_told, paths) if receipt is not None]


@contextmanager
def abandoned(
    place: Path, wait_s: float | None = None, group_bytes: int = GROUP_BYTES
) -> Iterator[Iterator[list[Delivery]]]:
    """What writers that are no more have left, oldest first; it is deleted if the block ends well.

    It is read a group at a time, whose rows are `group_bytes` or one answer more. What a writer that
    is still there keeps is passed over; or it is given `wait_s` to end, and StoreError raised if it does
    not. A file that is not whole was never called kept, and is passed over.
    """
    with ExitStack() as locks:
        folders = [path for path in _folders(place) if _taken(path, locks, wait_s)]
        yield _groups(folders, group_bytes)
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
            Path(_lock(folder).lock_file).unlink(missing_ok=True)


def _folders(place: Path) -> list[Path]:
    return sorted(path for path in place.iterdir() if path.is_dir()) if place.is_dir() else []


def _taken(folder: Path, locks: ExitStack, wait_s: float | None) -> bool:
    """Whether its writer is dead, and nobody else is looking after what it left."""
    lock = _lock(folder)
    try:
        lock.acquire(timeout=wait_s or 0.0)
    except Timeout as held:
        if wait_s is None:
            return False
        problem = "the writer of a run that was cut off has not ended yet; try again in a moment"
        raise StoreError(problem, str(folder.parent)) from held
    locks.callback(lock.release)
    return folder.is_dir()  # the last one to look after it may have finished just now


def _lock(folder: Path) -> FileLock:
    return FileLock(f"{folder}.lock", timeout=0, thread_local=False)


def _groups(folders: list[Path], group_bytes: int) -> Iterator[list[Delivery]]:
    told = [(path, _told(path)) for folder in folders for path in folder.glob("*.arrow")]
    ages = {path: receipt.fetched_at for path, receipt in told if receipt is not None}
    found = map(_read, sorted(ages, key=ages.__getitem__))
    return grouped((delivery for delivery in found if delivery is not None), group_bytes)


def _write(path: Path, delivery: Delivery) -> None:
    receipt = json.dumps(carried([delivery.receipt])).encode()
    rows = CANDLES.empty_table() if delivery.candles is None else delivery.candles
    aside = QUARANTINE.empty_table() if delivery.quarantine is None else delivery.quarantine
    with pa.OSFile(str(path), "wb") as file:
        for table in (
            rows.select(_ROWS.names).replace_schema_metadata({_RECEIPT: receipt}),
            aside,
        ):
            with pa.ipc.new_stream(file, table.schema) as stream:
                stream.write_table(table)


def _told(path: Path) -> Receipt | None:
    """The receipt of an answer, whose rows are not read; None if not even that is whole."""
    try:
        with pa.OSFile(str(path), "rb") as file, pa.ipc.open_stream(file) as stream:
            return _receipt(stream.schema)
    except _NOT_WHOLE:
        return None


def _read(path: Path) -> Delivery | None:
    try:
        with pa.OSFile(str(path), "rb") as file:
            rows, aside = (pa.ipc.open_stream(file).read_all() for _ in range(2))
        receipt = _receipt(rows.schema)
    except _NOT_WHOLE:
        return None
    if (rows.num_rows, aside.num_rows) != (receipt.rows, receipt.quarantined):
        return None
    candles = label_candles(receipt.chunk, rows.select(BARS.names), receipt.fetched_at)
    place = candles.schema.get_field_index("final")
    candles = candles.set_column(place, CANDLES.field("final"), rows["final"])
    return Delivery(receipt, candles if rows.num_rows else None, aside if aside.num_rows else None)


def _receipt(schema: pa.Schema) -> Receipt:
    columns = json.loads(schema.metadata[_RECEIPT])
    (receipt,) = as_receipts(from_carried(columns, candles_version=0))
    return receipt


@contextmanager
def _in_words(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(f"answers cannot be kept here ({error.strerror})", str(place)) from error
