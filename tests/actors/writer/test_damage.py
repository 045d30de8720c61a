"""A table that was hurt by other hands is told in words, by everything that reads it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from actors.market.errors import StoreError
from actors.writer.damage import damage
from actors.writer.reading import Store
from actors.writer.store import StoreWriter


def log(store: Path, table: str, version: int) -> Path:
    return store / table / "_delta_log" / f"{version:020}.json"


def data_file(store: Path) -> Path:
    return next((store / "candles").rglob("*.parquet"))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "candles: its log is damaged": lambda s: log(s, "candles", 1).write_text('{"add'),
    "chunks: its log is damaged": lambda s: log(s, "chunks", 0).write_text("garbage"),
    "candles: the beginning of its log is gone": lambda s: log(s, "candles", 0).unlink(),
    "its receipts speak of candles that are no longer there": lambda s: log(
        s, "candles", 1
    ).write_text(""),
    "parquet is gone": lambda s: data_file(s).unlink(),
    "parquet is damaged": lambda s: data_file(s).write_bytes(b"\0" * 500),
}


def test_what_is_no_damage_is_told_as_what_it_is():
    """A file that may not be read is whole for all we know."""
    file = "/s/candles/timeframe=1day/period=2024/part-0.parquet"
    metadata = f"Parquet error: Failed to fetch metadata for file {file}: Object Store error: "
    refused = f"{metadata}Unable to open file {file}: Permission denied (os error 13)"
    place = file.removeprefix("/s/")
    assert damage(refused) == f"its file {place} cannot be read (Permission denied)"
    assert damage("Parquet error: External: No space left on device (os error 28)") is None
    assert damage("Generic S3 error: HTTP error: error sending request") is None


@pytest.mark.parametrize(("words", "harm"), DAMAGES.items(), ids=list(DAMAGES))
def test_damage_is_told_in_words(kit, tmp_path, words, harm):
    """Without a word of the engine's own trade, and never as an answer."""
    store = tmp_path / "store"
    StoreWriter(str(store)).commit(
        [kit.stored(kit.chunk("NSE_EQ|SBIN", date(2024, 1, 1), date(2024, 1, 31)))]
    )
    harm(store)
    with pytest.raises(StoreError) as caught:
        Store(str(store)).candles().to_arrow()
    assert words in str(caught.value)
    assert not any(word in str(caught.value) for word in ("Kernel", "pthread", "Object Store"))
