"""Plain files of the store: what is no table."""

from __future__ import annotations

import os
import re
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.fs as pafs

from actors.market.errors import StoreError, UsageError
from actors.writer import object_store

if TYPE_CHECKING:
    from collections.abc import Iterator


#: deltalake 1.6.6 takes a path for a URL here and there: with `#` and `?` it finds no history, with
#: `[`, `|` and `^` it panics, with `%20` it looks elsewhere (each tried).
_UNFIT = frozenset("#?[]|^%\\")

#: `s3:/bucket`, a slip, would be a folder named `s3:`.
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/")


def absolute(uri: str) -> str:
    """The store's address without doubt: `s3://…` as it is, a path made absolute.

    Raises UsageError for what is neither, and for one that the table format cannot keep.
    """
    address = object_store.checked(uri) if object_store.is_remote(uri) else _absolute_path(uri)
    if unfit := sorted(_UNFIT.intersection(address)):
        raise UsageError(f"a store's address cannot hold {' or '.join(unfit)}", f"store {uri}")
    return address


def _absolute_path(path: str) -> str:
    if not path.strip() or "\0" in path or _SCHEME.match(path):
        raise UsageError(object_store.NO_PLACE, f"store {path!r}")
    try:
        return Path(path).expanduser().absolute().as_posix()
    except RuntimeError as error:  # ~ of a user there is not
        raise UsageError(object_store.NO_PLACE, f"store {path}") from error


class Folder:
    """Files at one address, on a disk or in an object store; each is seen whole or not at all."""

    def __init__(self, uri: str, objects: object_store.Objects | None = None) -> None:
        """`objects` are those of a folder around this one, whose connections it then shares."""
        self.uri = absolute(uri)
        if objects is None and object_store.is_remote(self.uri):
            with _refusing(self.uri, "cannot be opened"):
                objects = object_store.Objects(self.uri, object_store.options(self.uri))
        self._objects = objects
        if objects is None:
            self._files, self._root = pafs.LocalFileSystem(), self.uri
        else:
            self._files = pafs.PyFileSystem(objects)
            self._root = self.uri.removeprefix(objects.uri).lstrip("/")

    @property
    def local_path(self) -> Path | None:
        """Where it lies on this machine's disk, if it does; for a log written line by line."""
        return Path(self._root) if self._objects is None else None

    def within(self, name: str) -> Folder:
        return Folder(f"{self.uri}/{name}", self._objects)

    def make(self) -> None:
        """Create it and try to write. Raises StoreError in words if that cannot be done."""
        with _refusing(self.uri, "cannot be written"):
            self._files.create_dir(self._root, recursive=True)
        probe = f".probe-{uuid.uuid4().hex}"
        self.write(probe, b"probe")
        with _refusing(self.uri, "cannot be written"):
            self._files.delete_file(self._place(probe))

    def write(self, name: str, content: bytes) -> None:
        """Write a file, in place of one of that name."""
        place = self._place(name)
        with _refusing(self.uri, f"{name} cannot be written"):
            if self._objects is not None:
                self._objects.put(place, content)
                return
            self._files.create_dir(self._root, recursive=True)
            aside = self._place(f".{name}-{uuid.uuid4().hex}")
            try:
                with self._files.open_output_stream(aside) as stream:
                    stream.write(content)
                Path(aside).replace(place)
            finally:
                Path(aside).unlink(missing_ok=True)

    def read(self, name: str) -> bytes | None:
        """A file's content; None if there is no such file."""
        with _refusing(self.uri, f"{name} cannot be read"):
            try:
                with self._files.open_input_stream(self._place(name)) as stream:
                    content: bytes = stream.read()
                    return content
            except FileNotFoundError:
                return None

    def delete(self, name: str) -> None:
        """Delete a file, if it is there."""
        with _refusing(self.uri, f"{name} cannot be deleted"), suppress(FileNotFoundError):
            self._files.delete_file(self._place(name))

    def remove(self, name: str) -> None:
        """Delete a folder directly inside, and all that is in it."""
        with _refusing(self.uri, f"{name} cannot be deleted"):
            self._files.delete_dir(self._place(name))

    def names(self) -> list[str]:
        """Of the files and folders directly inside, in order; none if the folder is missing."""
        with _refusing(self.uri, "cannot be read"):
            chosen = pafs.FileSelector(self._root, allow_not_found=True)
            found = [entry.base_name for entry in self._files.get_file_info(chosen)]
            return sorted(name for name in found if not name.startswith("."))

    def sizes(self) -> dict[str, int]:
        """Bytes of every file inside, at any depth, by its path from here."""
        with _refusing(self.uri, "cannot be read"):
            chosen = pafs.FileSelector(self._root, allow_not_found=True, recursive=True)
            found = self._files.get_file_info(chosen)
        skipped = len(self._place(""))
        return {entry.path[skipped:]: entry.size for entry in found if entry.is_file}

    def is_file(self) -> bool:
        """Never of an object store, where a name can be an object's and a prefix of others."""
        with _refusing(self.uri, "cannot be read"):
            return self._objects is None and bool(
                self._files.get_file_info(self._root).type == pafs.FileType.File
            )

    def _place(self, name: str) -> str:
        return f"{self._root}/{name}" if self._root else name


@contextmanager
def _refusing(uri: str, problem: str) -> Iterator[None]:
    """Say a file system's error in the user's words."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else object_store.reason(str(error))
        reason = reason or str(error)
        raise StoreError(f"{problem} ({reason})", uri) from error
