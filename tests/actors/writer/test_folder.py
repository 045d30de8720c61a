from __future__ import annotations

import threading
from pathlib import Path

import pytest

from actors.market.errors import StoreError
from actors.writer.folder import Folder


def test_a_file_written_again_is_replaced(tmp_path):
    """And what is missing is None, not an error."""
    folder = Folder(str(tmp_path / "runs" / "one"))
    assert folder.read("report.json") is None
    assert folder.names() == []
    folder.write("report.json", b"first")
    folder.write("report.json", b"second")
    assert folder.read("report.json") == b"second"
    assert folder.names() == ["report.json"]
    assert Path(folder.local_path or "", "report.json").read_bytes() == b"second"


def test_a_reader_sees_a_file_whole_or_not_at_all(tmp_path):
    """While it is being replaced again and again."""
    folder = Folder(str(tmp_path))
    contents = {bytes([65 + n]) * 300_000 for n in range(8)}
    folder.write("manifest", min(contents))
    writer = threading.Thread(
        target=lambda: [folder.write("manifest", c) for c in sorted(contents) * 5]
    )
    writer.start()
    while writer.is_alive():
        assert folder.read("manifest") in contents
        assert folder.names() == ["manifest"]
    writer.join()


def test_trouble_is_said_in_words(tmp_path):
    """A file where a folder should be."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        Folder(str(tmp_path / "file" / "runs")).write("report", b"")
