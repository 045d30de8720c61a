"""Plain files of the store: what is no table."""

from __future__ import annotations

import os
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.fs as pafs

from actors.market.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator


#: deltalake 1.6.6 takes a path for a URL here and there: with `#` and `?` it finds no history, with
#: `[`, `|` and `^` it panics, with `%20` it looks elsewhere (each tried).
_UNFIT = frozenset("#?[]|^%\\")


def absolute(uri: str) -> str:
    """The store's address without doubt: `s3://…` as it is, a path made absolute.

    Raises StoreError for a path that the table format cannot keep.
    """
    if "://" in uri:
        return uri.rstrip("/")
    path = Path(uri).expanduser().absolute().as_posix()
    if unfit := sorted(_UNFIT.intersection(path)):
        raise StoreError(f"a store's path cannot hold {' or '.join(unfit)}", uri)
    return path


class Folder:
    """Files at one address, on a disk or in an object store; each is seen whole or not at all."""

    def __init__(self, uri: str) -> None:
        self.uri = absolute(uri)
        if "://" in self.uri:
            try:
                self._files, self._root = pafs.FileSystem.from_uri(self.uri)
            except (pa.ArrowInvalid, OSError) as error:
                reason = str(error).splitlines()[0]
                raise StoreError(f"cannot be opened: {reason}", self.uri) from error
        else:
            self._files, self._root = pafs.LocalFileSystem(), self.uri

    @property
    def local_path(self) -> Path | None:
        """Where it lies on this machine's disk, if it does; for a log written line by line."""
        return Path(self._root) if isinstance(self._files, pafs.LocalFileSystem) else None

    def within(self, name: str) -> Folder:
        return Folder(f"{self.uri}/{name}")

    def make(self) -> None:
        """Create it and try to write. Raises StoreError in words if that cannot be done."""
        with _refusing(self.uri, "cannot be written"):
            self._files.create_dir(self._root, recursive=True)
        probe = f".probe-{uuid.uuid4().hex}"
        self.write(probe, b"probe")
        with _refusing(self.uri, "cannot be written"):
            self._files.delete_file(f"{self._root}/{probe}")

    def write(self, name: str, content: bytes) -> None:
        """Write a file, in place of one of that name."""
        with _refusing(self.uri, f"{name} cannot be written"):
            self._files.create_dir(self._root, recursive=True)
            place = f"{self._root}/{name}"
            if self.local_path is None:  # an object appears only when its upload is complete
                self._pour(place, content)
                return
            aside = f"{self._root}/.{name}-{uuid.uuid4().hex}"
            try:
                self._pour(aside, content)
                Path(aside).replace(place)
            finally:
                Path(aside).unlink(missing_ok=True)

    def read(self, name: str) -> bytes | None:
        """A file's content; None if there is no such file."""
        with _refusing(self.uri, f"{name} cannot be read"):
            try:
                with self._files.open_input_stream(f"{self._root}/{name}") as stream:
                    content: bytes = stream.read()
                    return content
            except FileNotFoundError:
                return None

    def names(self) -> list[str]:
        """Of the files and folders directly inside, in order; none if the folder is missing."""
        with _refusing(self.uri, "cannot be read"):
            chosen = pafs.FileSelector(self._root, allow_not_found=True)
            found = [entry.base_name for entry in self._files.get_file_info(chosen)]
            return sorted(name for name in found if not name.startswith("."))

    def is_file(self) -> bool:
        with _refusing(self.uri, "cannot be read"):
            return bool(self._files.get_file_info(self._root).type == pafs.FileType.File)

    def _pour(self, place: str, content: bytes) -> None:
        with self._files.open_output_stream(place) as stream:
            stream.write(content)


@contextmanager
def _refusing(uri: str, problem: str) -> Iterator[None]:
    """Say a file system's error in the user's words."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise StoreError(f"{problem} ({reason})", uri) from error
