from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from actors.market.sessions import IST
from cluster.screen.table import age, moment, number


@pytest.mark.parametrize(
    ("minutes", "said"),
    [(-1, "forming"), (0, "0m"), (59, "59m"), (61, "1h 1m"), (1439, "23h 59m"), (1500, "1d 1h")],
)
def test_an_age_is_said_in_its_greatest_units(minutes, said):
    assert age(timedelta(minutes=minutes)) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [(None, "-"), (0.0, "0.00"), (1234.5, "1,234.50"), (-2.0, "-2.00"), (0.0123456, "0.01235")],
)
def test_a_number_has_the_digits_that_count(value, said):
    assert number(value) == said


def test_a_day_is_said_without_a_time():
    assert moment(datetime(2024, 1, 2, tzinfo=IST)) == "2024-01-02"
    assert moment(datetime(2024, 1, 2, 9, 15, tzinfo=IST)) == "2024-01-02 09:15"
