"""Whether an object store keeps the later of two commits from erasing the earlier."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

from actors.market.errors import StoreError
from actors.writer import object_store, tables
from actors.writer.folder import Folder

if TYPE_CHECKING:
    from collections.abc import Iterator

_NOTHING = pa.schema([("nothing", pa.int64())])


def prove(uri: str) -> None:
    """Try it out on a table of no use, which is gone afterwards.

    Raises StoreError where the store overlooks the condition on a write (`If-None-Match: *`) on which
    every commit rests: no lock stands beside it.
    """
    name = f".fence-{uuid.uuid4().hex}"
    try:
        with tables.in_words(uri):
            versions = _versions_by_two(f"{uri}/{name}", object_store.options(uri))
    finally:
        Folder(uri).remove(name)
    if versions == 1:
        problem = (
            "it takes no conditional writes (If-None-Match), so one commit could erase another"
        )
        raise StoreError(problem, uri)


def _versions_by_two(place: str, options: dict[str, str] | None) -> int:
    """How many versions stand once two writers have made a table there, both finding none."""

    def rows() -> Iterator[pa.RecordBatch]:
        # Asked for when the table was looked for and not found, and before the commit. In a thread
        # of its own, because this one is the engine's.
        with ThreadPoolExecutor(1) as pool:
            quicker = pool.submit(DeltaTable.create, place, _NOTHING, storage_options=options)
        quicker.result()
        yield pa.record_batch([[0]], schema=_NOTHING)

    late = pa.RecordBatchReader.from_batches(_NOTHING, rows())
    write_deltalake(place, late, storage_options=options)
    return int(DeltaTable(place, storage_options=options).version()) + 1
