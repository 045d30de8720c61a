"""What may be asked of the provider, as its documentation says."""

from __future__ import annotations

from datetime import date

import pytest

from actors.market.timeframe import Timeframe
from actors.upstox.limits import PUBLISHED, reach


def test_the_published_windows() -> None:
    assert [str(window) for window in PUBLISHED] == ["50/1 s", "500/60 s", "2000/1800 s"]


@pytest.mark.parametrize(
    ("label", "earliest", "max_months"),
    [
        ("1minute", date(2022, 1, 1), 1),
        ("15minute", date(2022, 1, 1), 1),
        ("16minute", date(2022, 1, 1), 3),
        ("300minute", date(2022, 1, 1), 3),
        ("1hour", date(2022, 1, 1), 3),
        ("5hour", date(2022, 1, 1), 3),
        ("1day", date(2000, 1, 1), 120),
        ("1week", date(2000, 1, 1), None),
        ("1month", date(2000, 1, 1), None),
    ],
)
def test_each_timeframe_has_its_reach(label: str, earliest: date, max_months: int | None) -> None:
    found = reach(Timeframe.parse(label))
    assert (found.earliest, found.max_months) == (earliest, max_months)


@pytest.mark.parametrize("label", ["301minute", "6hour", "2day", "2week", "3month"])
def test_what_the_provider_does_not_serve_is_refused_in_the_users_words(label: str) -> None:
    with pytest.raises(ValueError, match=f"no {label} candles; it serves 1 to 300 minutes"):
        reach(Timeframe.parse(label))
