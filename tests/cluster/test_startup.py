from __future__ import annotations

import pytest

from actors.market.errors import CandlefleetError
from cluster.startup import START_WITHIN_S, Startup

EVERYONE = ["limiter", "writer", "monitor", "fetcher-1", "fetcher-2"]


def test_a_quick_start_is_not_spoken_of_and_a_slow_one_ever_more_seldom() -> None:
    startup = Startup(1000.0)
    said = [s for s in range(180) if startup.look(1000.0 + s, ["writer"]) is not None]
    assert said == [10, 20, 40, 80, 160]


def test_a_look_that_comes_late_says_it_once() -> None:
    startup = Startup(0.0)
    assert startup.look(50.0, ["writer"]) == "writer"
    assert startup.look(51.0, ["writer"]) is None


@pytest.mark.parametrize(
    ("waiting", "named"),
    [
        (EVERYONE[3:], "fetcher-1, fetcher-2"),
        (EVERYONE[:3], "limiter, writer, monitor"),
        (EVERYONE, "limiter, writer, monitor and 2 more"),
    ],
)
def test_those_that_are_waited_for_are_named_and_of_many_the_first(
    waiting: list[str], named: str
) -> None:
    assert Startup(0.0).look(10.0, waiting) == named


def test_what_never_starts_is_given_up_with_a_cause_and_a_remedy() -> None:
    startup = Startup(5.0)
    startup.look(5.0 + START_WITHIN_S, ["writer"])
    with pytest.raises(CandlefleetError, match=r"^writer did not start in 180 s: .*fleet.fetchers"):
        startup.look(5.1 + START_WITHIN_S, ["writer"])
