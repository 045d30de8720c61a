"""`candlefleet screen` as a user meets it."""

from __future__ import annotations

import json

import pytest

from cluster.screen import ready
from tests.cluster.screen.market import weekdays
from tests.cluster.screen.stored import stored, write
from tests.cluster.screen.test_screening import FLAT, RISING
from tests.cluster.test_cli import candlefleet

RISES = ("--where", "close > SMA(close, 20)")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    uri = tmp_path_factory.mktemp("screen") / "store"
    days = weekdays(60)
    young = stored("YOUNG", RISING, days[-5:])
    write(str(uri), [stored("UP", RISING, days), stored("FLAT", FLAT, days), young])
    return uri


def test_matches_stand_in_a_table_above_a_sum_that_adds_up(store, tmp_path):
    """However wide the table is, no number in it is cut off."""
    wide = tmp_path / "wide.yaml"
    shown = "".join(f"  column {n}: close * 1234567\n" for n in range(9))
    wide.write_text(f"timeframe: 1day\nwhere: {RISES[1]}\nshow:\n{shown}")
    done = candlefleet("screen", wide, "--store", store)
    assert done.returncode == 0
    assert "UP" in done.stdout
    assert "2024-03-22" in done.stdout
    assert done.stdout.count(f"{159 * 1234567:,}.00") == 9
    assert "not screened, too short: YOUNG (needs 20 bars of 1day, has 5)" in done.stdout
    assert "2 screened + 1 not screened (1 too short) = 3 instruments; 1 match." in done.stdout


def test_a_machine_reads_the_same_in_json(store):
    done = candlefleet(
        "screen", *RISES, "--store", store, "--format", "json", "--out", "-", "--on", "2024-03-01"
    )
    told = json.loads(done.stdout)
    assert done.returncode == 0
    assert (told["universe"], told["screened"], told["found"]) == (3, 2, 1)
    assert told["reasons"] == {"no data": 1}
    assert [(m["symbol"], m["close"]) for m in told["matches"]] == [("UP", 144.0)]
    assert told["matches"][0]["ts"] == "2024-03-01T00:00:00+05:30"
    assert told["screen"]["where"] == RISES[1]


def test_no_match_is_an_answer(store, tmp_path):
    """A file as well."""
    out = tmp_path / "none.csv"
    words = ("--where", "close > 1e9", "--store", store, "--format", "csv", "--out", out)
    done = candlefleet("screen", *words)
    assert done.returncode == 0
    assert "; 0 match." in done.stderr
    assert out.read_text().startswith('"symbol",')


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--where", "close > SMAA(close)"), "--where: column 9, `SMAA(close)`: there is no indicator"),
        (("golden-crss",), "did you mean golden-cross?"),
        (("x" * 5_000,), f"there is no screen and no file {'x' * 59}…; `candlefleet screen --list`"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_in_words_with_exit_code_2(store, words, said):
    done = candlefleet("screen", *words, "--store", store)
    assert done.returncode == 2
    assert said in done.stderr


def test_the_ready_screens_are_listed():
    done = candlefleet("screen", "--list")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert all(any(f" {name} " in line and "." in line for line in lines) for name in ready.names())
