"""The laws of a run, asked of the store and of the judge after whatever has happened."""

from __future__ import annotations

from typing import Any

from deltalake import DeltaTable

from tests.together.conftest import Scan
from tests.together.test_scan import expected

KEY = ["instrument_key", "timeframe", "ts"]
Series = tuple[str, str]  # instrument key and timeframe


def rows_are_the_markets(scan: Scan, without: frozenset[Series] = frozenset()) -> None:
    """All of them, once each; of the series `without`, which ended as dead letters, none."""
    market = {series: bars for series, bars in expected(scan).items() if series not in without}
    assert scan.rows() == market


def every_chunk_has_one_receipt(scan: Scan, planned: int) -> None:
    ids = [receipt["chunk_id"] for receipt in scan.receipts()]
    assert len(ids) == len(set(ids)) == planned


def no_version_holds_a_candle_twice(scan: Scan) -> None:
    last = DeltaTable(scan.store / "candles").version()
    for version in range(last + 1):
        table = DeltaTable(scan.store / "candles", version=version).to_pyarrow_table(columns=KEY)
        assert table.group_by(KEY).aggregate([]).num_rows == table.num_rows


def no_window_was_overfull(judged: dict[str, Any]) -> None:
    assert judged["refused"] == 0
    assert all(window["worst"] <= window["limit"] for window in judged["windows"])


def only_what_was_under_way_is_repeated(judged: dict[str, Any], lost: int) -> None:
    """`lost`: requests that may have been under way at the kills, and so were answered to nobody."""
    assert judged["repeats"] <= lost
