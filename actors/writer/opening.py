"""A store's folder and its two tables, made where there are none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.market.errors import StoreError
from actors.writer import object_store, spool, tables
from actors.writer.folder import Folder, absolute

if TYPE_CHECKING:
    from deltalake import DeltaTable

ROOMS = ("candles", "chunks", "quarantine", "runs", spool.ROOM)  # what lies in a store's folder


def claim(uri: str) -> None:
    """Refuse early what cannot be, or become, a store."""
    folder = Folder(uri)
    if folder.is_file():
        raise StoreError("is a file, not a folder", uri)
    names = folder.names()
    if names and not set(names) & set(ROOMS):
        raise StoreError(f"holds other things ({', '.join(names[:3])}) and is no store", uri)
    folder.make()


def table(uri: str, name: str, options: dict[str, str] | None) -> DeltaTable:
    """The table `candles` or `chunks`."""
    place = f"{uri}/{name}"
    found = tables.open_table(place, options)
    if found is not None:
        return found
    if Folder(place).names():
        raise StoreError(f"its folder {name} holds files, but no Delta table", uri)
    create = tables.create_candles if name == "candles" else tables.create_chunks
    return create(place, options)


def make_ready(uri: str) -> None:
    """Make the store where there is none. Raises StoreError if it cannot be written to.

    What a writer has left half done stays so: it may be alive, and about to finish it.
    """
    uri = absolute(uri)
    options = object_store.options(uri)
    claim(uri)
    with tables.in_words(uri):
        # In the order in which they are looked at by who reads: never receipts without their rows.
        chunks = table(uri, "chunks", options)
        tables.unfinished(table(uri, "candles", options), chunks, uri)
