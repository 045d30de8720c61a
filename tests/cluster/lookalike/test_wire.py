from __future__ import annotations

import json
from datetime import date, timedelta

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.lookalike.bars import Bars
from cluster.lookalike.wire import body_of

PAISE = st.integers(1, 10**9) | st.integers(1, 10**7).map(lambda rupees: rupees * 100)
COUNT = st.integers(0, 10**12) | st.sampled_from([0, 9_999, 10_000, 99_999_999, 100_000_000])
ROW = st.tuples(
    st.integers(10_957, 23_010), st.integers(0, 1_439), PAISE, PAISE, PAISE, PAISE, COUNT, COUNT
)


def naive(row):
    day, minute, *prices, volume, oi = row
    stamp = (
        f"{date(1970, 1, 1) + timedelta(days=day)}T{minute // 60:02d}:{minute % 60:02d}:00+05:30"
    )
    rupees = [price // 100 if price % 100 == 0 else price / 100 for price in prices]
    return [stamp, *rupees, volume, oi]


@given(st.lists(ROW, max_size=20))
@settings(max_examples=200, deadline=None)
def test_bars_print_as_a_plain_printer_would_newest_first(given_rows):
    """Byte for byte: compact JSON, whole rupees as integers, volume and interest as integers."""
    columns = np.array(given_rows, np.int64).reshape(-1, 8).T
    printed = body_of(Bars(*columns))
    candles = [naive(row) for row in reversed(given_rows)]
    whole = {"status": "success", "data": {"candles": candles}}
    assert printed == json.dumps(whole, separators=(",", ":")).encode()
