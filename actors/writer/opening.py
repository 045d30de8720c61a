"""A store's folder and its two tables, made where there are none."""

from __future__ import annotations

from tempfile import TemporaryFile
from typing import TYPE_CHECKING

from actors.market.errors import StoreError
from actors.writer import object_store, spool, tables
from actors.writer.folder import Folder, absolute

if TYPE_CHECKING:
    from pathlib import Path

    from deltalake import DeltaTable

_TABLES = ("candles", "chunks")
ROOMS = (*_TABLES, "quarantine", "runs", "schedule", spool.ROOM)  # what lies in a store's folder


def check(uri: str) -> None:
    """Refuse what cannot be, or become, a store. Nothing is left behind by finding out."""
    folder = Folder(uri)
    if (path := folder.local_path) is not None:
        try:
            _check_place(path, uri)
        except OSError as error:
            raise StoreError(f"cannot be written ({error.strerror})", uri) from error
    names = folder.names()
    if names and not set(names) & set(ROOMS):
        raise StoreError(f"holds other things ({', '.join(names[:3])}) and is no store", uri)


def _check_place(path: Path, uri: str) -> None:
    there = next(place for place in (path, *path.parents) if place.exists())
    if not there.is_dir():
        lies = "is" if there == path else f"lies below {there}, which is"
        raise StoreError(f"{lies} a file, not a folder", uri)
    for place in path.parents:
        room = path.relative_to(place).parts[0]
        if room in ROOMS and any((place / name / "_delta_log").is_dir() for name in _TABLES):
            raise StoreError(f"lies inside another store, {place}", uri)
    with TemporaryFile(dir=there):
        pass


def claim(uri: str) -> None:
    """Make the folder of a store; refuse early what cannot be, or become, one."""
    check(uri)
    Folder(uri).make()


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
