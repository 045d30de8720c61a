from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.lookalike.faults import Fault
from cluster.lookalike.settings import AUTH_MODES, Settings, read_argv
from cluster.lookalike.split import Split

IST = timezone(timedelta(hours=5, minutes=30))
SECONDS = st.floats(0.001, 3600)

SETTINGS = st.builds(
    Settings,
    port=st.integers(0, 65_535),
    seed=st.integers(),
    now=st.none() | st.datetimes(timezones=st.just(IST)),
    windows=st.lists(st.tuples(st.integers(1, 9999), SECONDS), max_size=3).map(tuple),
    unlimited=st.booleans(),
    retry_after_s=st.none() | st.integers(0, 99),
    auth=st.sampled_from(AUTH_MODES),
    faults=st.dictionaries(st.sampled_from(["reset", "html"]), st.floats(0, 0.5), max_size=2),
    faults_matching=st.sampled_from(["", "NSE_INDEX|Nifty 50"]),
    splits=st.dictionaries(
        st.sampled_from(["NSE_EQ|INE062A01020", "NSE_EQ|A=B"]),
        st.builds(Split, st.floats(0.1, 100), st.dates()),
    ),
    latency_s=SECONDS,
    with_parent=st.booleans(),
)


@given(SETTINGS)
def test_settings_survive_the_command_line(settings):
    """What the launcher asks for is what the server reads."""
    assert read_argv(settings.argv()) == settings


def test_a_moment_without_a_zone_is_indian():
    """The exchange's own."""
    assert read_argv(["--now", "2026-02-12T11:02"]).now == datetime(2026, 2, 12, 11, 2, tzinfo=IST)


@pytest.mark.parametrize(
    "wrong",
    [
        {"auth": "maybe"},
        {"port": -1},
        {"port": 65_536},
        {"windows": ((0, 1.0),)},
        {"latency_s": 1.0, "jitter_s": 2.0},
        {"latency_s": -1.0},
        {"latency_s": float("nan")},
        {"latency_s": 1.0, "jitter_s": -1.0},
    ],
)
def test_settings_that_cannot_be_are_refused(wrong):
    """Before a server is started."""
    with pytest.raises(ValueError, match=r"auth|port|window|jitter|latency"):
        Settings(**wrong)


def test_a_negative_latency_is_refused_as_what_it_is(capsys):
    """Jitter was never mentioned."""
    with pytest.raises(SystemExit):
        read_argv(["--latency-s", "-1"])
    assert "latency and jitter are 0 seconds or more" in capsys.readouterr().err


def test_help_shows_every_default_that_can_be_written(capsys):
    """As the flag would have it."""
    with pytest.raises(SystemExit):
        read_argv(["--help"])
    _, _, options = capsys.readouterr().out.partition("options:")
    told = {said.split()[0]: " ".join(said.split()) for said in options.split("\n  --")[1:]}
    for name, default in (
        ("port", "0"),
        ("clock-rate", "1.0"),
        ("windows", "50/1.0,500/60.0,2000/1800.0"),
        ("auth", "off"),
        ("token", "lookalike-token"),
        ("latency-s", "0.0"),
        ("cache-mb", "64"),
    ):
        assert told[name].endswith(f"(default {default})")
    assert "(default" not in told["faults"]


def test_help_names_every_kind_of_fault(capsys):
    """Each as it is to be written."""
    with pytest.raises(SystemExit):
        read_argv(["--help"])
    assert {*re.findall(r"\w+", capsys.readouterr().out)} >= {*Fault}
