"""Questions to real stores."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.market.chunk import Status
from actors.market.errors import UsageError
from actors.market.timeframe import Timeframe
from cluster import Screen, Store
from cluster.screen import history
from cluster.screen.answer import Reason
from tests.cluster.screen.market import QUARTER, midnight, walk, weekdays
from tests.cluster.screen.stored import key_of, stored, told, write

WEEK = Timeframe.parse("1week")
DAYS = weekdays(60)
NEWEST = DAYS[-1]
NOW = datetime(2026, 6, 2, tzinfo=UTC)


def even(closes, volume=1000.0):
    close = np.array(closes, float)
    prices = {"open": close, "high": close + 1, "low": close - 1, "close": close}
    return prices | {"volume": np.full(len(close), volume), "oi": np.zeros(len(close))}


FLAT, RISING = even([100] * 60), even(range(100, 160))
NEVER_TRADED = even(range(100, 160), volume=0)

FATES = {
    "UP": [stored("UP", RISING, DAYS)],
    "UPPER": [stored("UPPER", even(range(100, 220, 2)), DAYS)],
    "FLAT": [stored("FLAT", FLAT, DAYS)],
    "YOUNG": [stored("YOUNG", RISING, DAYS[-19:])],
    "OLD": [stored("OLD", RISING, DAYS[:-1]), told("OLD", NEWEST, NEWEST, Status.EMPTY)],
    "HOLE": [
        stored("HOLE", RISING, DAYS[:50]),
        told("HOLE", DAYS[50], DAYS[51], Status.FAILED),
        stored("HOLE", RISING, DAYS[52:]),
    ],
    "LONGAGO": [
        told("LONGAGO", DAYS[0], DAYS[5], Status.FAILED),
        stored("LONGAGO", RISING, DAYS[6:]),
    ],
    "NOTHING": [told("NOTHING", DAYS[0], NEWEST, Status.EMPTY)],
    "FAILED": [told("FAILED", DAYS[0], NEWEST, Status.FAILED)],
    "UNTRADED": [stored("UNTRADED", NEVER_TRADED, DAYS)],
}
RISES = {"where": "close > SMA(close, 20) and relative_volume(20) > 0", "timeframe": "1day"}


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    uri = str(tmp_path_factory.mktemp("screen") / "store")
    write(uri, [delivery for fate in FATES.values() for delivery in fate])
    return Store(uri)


def reasons(answer):
    return {each.symbol: each.reason for each in answer.not_screened}


def symbols(answer):
    return [match.symbol for match in answer.matches]


def test_for_every_instrument_it_is_said_what_became_of_it(store):
    """And the sum adds up."""
    answer = Screen(**RISES, rank="change_pct(close, 5)").run(store)
    assert symbols(answer) == ["UPPER", "LONGAGO", "UP"]  # best first, then by name
    assert reasons(answer) == {
        "YOUNG": Reason.TOO_SHORT,
        "OLD": Reason.STALE,
        "HOLE": Reason.INCOMPLETE,
        "NOTHING": Reason.NO_DATA,
        "FAILED": Reason.NO_DATA,
        "UNTRADED": Reason.UNDEFINED,
    }
    details = {each.symbol: each.detail for each in answer.not_screened}
    assert details["YOUNG"] == "needs 21 bars of 1day, has 19"
    assert details["OLD"] == f"its last 1day is of {DAYS[-2]}, the newest of {NEWEST}"
    assert details["HOLE"] == f"no answer counts for 1day of {DAYS[50]} and 1 more"
    assert details["FAILED"] == "there is no 1day of it; requests have failed (timeout)"
    assert details["UNTRADED"] == "relative_volume(20)"
    assert answer.origin().endswith(f"newest session {NEWEST}")
    assert answer.sum() == (
        "4 screened + 6 not screened (2 no data, 1 stale, 1 incomplete, 1 too short, 1 undefined)"
        " = 10 instruments; 3 match."
    )


@settings(max_examples=12)
@given(
    st.sets(st.sampled_from([*FATES]), min_size=1),
    st.sampled_from(["RSI(14) > 50", "close > SMA(close, 40)", "close / volume > 1", "high < 105"]),
    st.integers(0, 3),
)
def test_the_sum_adds_up_whatever_is_asked_of_whom(store, names, where, max_age):
    """Each instrument is once what it is; and is the same among all as by itself."""
    screen = Screen(where, timeframe="1day", max_age=max_age)
    answer = screen.run(store, symbols=names)
    told = reasons(answer)
    assert answer.universe == len(names)
    assert len(told) == len(answer.not_screened) == answer.universe - answer.screened
    assert {*symbols(answer)} <= names - {*told}
    whole = screen.run(store)
    assert told == {name: reason for name, reason in reasons(whole).items() if name in names}
    assert symbols(answer) == [name for name in symbols(whole) if name in names]


@pytest.mark.parametrize("where", ["close > SMA(close, 55)", "RSI(close, 3) > 50", "OBV() > 0"])
def test_who_is_short_of_bars_for_a_request_that_failed_is_incomplete(store, where):
    """And not too short, let alone screened as if what came before had never been."""
    answer = Screen(where, timeframe="1day").run(store, symbols=["LONGAGO", "UP"])
    assert reasons(answer) == {"LONGAGO": Reason.INCOMPLETE}
    assert answer.not_screened[0].detail == f"no answer counts for 1day of {DAYS[0]} and 5 more"
    enough = Screen("close > SMA(close, 54)", timeframe="1day").run(store, symbols="LONGAGO")
    assert reasons(enough) == {}


def test_a_week_that_was_asked_for_from_its_middle_on_is_answered_for(tmp_path):
    """It is labelled by its Monday, of which nobody asked."""
    uri = str(tmp_path / "store")
    mondays = [day for day in DAYS if day.weekday() == 0]
    weeks = stored("UP", RISING, mondays, WEEK)
    asked = replace(weeks.receipt.chunk, first=mondays[0] + timedelta(2))
    write(uri, [replace(weeks, receipt=replace(weeks.receipt, chunk=asked))])
    answer = Screen("RSI(close, 3) > 50", timeframe="1week").run(Store(uri))
    assert (symbols(answer), reasons(answer)) == (["UP"], {})


def test_nobody_is_stale_for_a_session_of_another_market(tmp_path, monkeypatch):
    """Commodities trade on many an evening when shares have a holiday."""
    uri = str(tmp_path / "store")
    shares = [stored("UP", RISING, DAYS[:-1]), stored("OLD", RISING, DAYS[:-2])]
    monkeypatch.setattr("tests.cluster.screen.stored.key_of", "MCX_FO|{}".format)
    write(uri, [*shares, stored("GOLD", RISING, DAYS)])
    screen = Screen("close > 1", timeframe="1day")
    for on in (None, NEWEST, DAYS[-2]):
        answer = screen.run(Store(uri), on=on)
        assert (symbols(answer), reasons(answer)) == (["GOLD", "UP"], {"OLD": Reason.STALE})
        assert reasons(screen.run(Store(uri), on=on, symbols="OLD")) == {"OLD": Reason.STALE}


def test_a_condition_that_is_decided_needs_nothing_more(store):
    """What is false whatever the unknown is, is false."""
    answer = Screen("close > 1e6 and SMA(close, 50) > 1", timeframe="1day").run(store)
    assert "YOUNG" not in reasons(answer)
    assert answer.found == 0
    assert answer.screened == 6


def test_who_lags_is_screened_where_that_is_allowed(store):
    assert "OLD" in symbols(Screen(**RISES, max_age=1).run(store))


def test_only_those_asked_for_make_up_the_universe(store, tmp_path):
    """By symbol, key or ISIN; a name of a list that the store does not know is told."""
    (tmp_path / "mine.csv").write_text(f"symbol\nUP\n{key_of('FLAT')}\nNOSUCH\n")
    path = tmp_path / "rises.yaml"
    path.write_text(
        "timeframe: 1day\nwhere: close > SMA(close, 20)\n"
        "universe: {file: mine.csv, symbols: [NSE:upper]}\n"
    )
    answer = Screen.load(path).run(store)
    assert symbols(answer) == ["UP", "UPPER"]
    assert reasons(answer) == {"NOSUCH": Reason.NO_DATA}
    assert (answer.universe, answer.screened) == (4, 3)
    assert symbols(Screen.load(path).run(store, symbols="UP")) == ["UP"]
    assert reasons(Screen.load(path).run(store, symbols="HOLE")) == {"HOLE": Reason.INCOMPLETE}
    with pytest.raises(UsageError, match=r"knows no 'UPP'; did you mean UP or UPPER"):
        Screen.load(path).run(store, symbols="UPP")


def test_pieces_make_no_difference(store, monkeypatch):
    screen = Screen(**RISES, rank="RSI(14)", show={"sma": "SMA(close, 30)"})
    whole = screen.run(store, now=NOW)
    monkeypatch.setattr(history, "ROWS_TOGETHER", 600)
    monkeypatch.setattr(history, "ROWS_OF_ALL", 600)
    monkeypatch.setattr(history, "ROWS_COMPUTED", 150)
    assert screen.run(store, now=NOW) == whole
    assert len(whole.matches) > 1


def test_a_limit_shortens_what_is_shown_and_no_count(store):
    answer = Screen(**RISES, rank="close", order="asc", limit=2).run(store)
    assert (symbols(answer), answer.found) == (["LONGAGO", "UP"], 3)
    assert symbols(Screen(**RISES, rank="close").run(store, limit=1)) == ["UPPER"]


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_that_lets_none_through_is_refused(store, limit):
    with pytest.raises(UsageError, match=rf"limit: must be 1 or more, not {limit}"):
        Screen(**RISES).run(store, limit=limit)


def test_a_match_without_a_rank_comes_last(store):
    answer = Screen("close > 100", timeframe="1day", rank="SMA(close, 30)", order="asc").run(store)
    assert symbols(answer) == ["LONGAGO", "UNTRADED", "UP", "UPPER", "YOUNG"]
    assert answer.matches[-1].rank is None


def test_for_notebooks_it_is_a_data_frame(store):
    shown = {"close shown": "open", "close": "close[1]"}
    answer = Screen(**RISES, rank="close", show=shown).run(store)
    frame = answer.to_pandas()
    assert [*frame.columns] == [
        *("symbol", "instrument_key", "close", "ts", "not_final", "rank"),
        *("close shown", "close shown shown"),
    ]
    assert frame["close shown shown"].tolist() == [216.0, 158.0, 152.0]
    assert str(frame["ts"][0]) == f"{NEWEST} 00:00:00+05:30"
    displayed = answer._repr_html_()
    assert "<td>UPPER</td>" in displayed
    assert answer.sum() in displayed


def test_it_can_be_asked_as_things_stood(store, tmp_path):
    """At a version of the store, which the answer names."""
    uri = str(tmp_path / "store")
    write(uri, [stored("UP", RISING, DAYS[:30])])
    first = Screen("close > 100", timeframe="1day").run(Store(uri))
    write(uri, [stored("UP", even([99] * 60), DAYS[30:])])
    assert Screen("close > 100", timeframe="1day").run(Store(uri)).found == 0
    again = Screen("close > 100", timeframe="1day").run(Store(uri), as_of=first.version)
    assert (again.matches, again.version) == (first.matches, first.version)
    assert again.found == 1


def test_who_hardly_trades_is_looked_for_further_back(tmp_path):
    """Forty bars in three years are forty bars."""
    uri = str(tmp_path / "store")
    days = weekdays(900)
    rare = stored("RARE", even(range(100, 145)), days[::20])
    write(uri, [stored("OFTEN", even([100] * 900), days), rare])
    answer = Screen("close > SMA(close, 40)", timeframe="1day", max_age=30).run(Store(uri))
    assert symbols(answer) == ["RARE"]
    assert reasons(answer) == {}


def test_who_paused_a_year_ago_has_a_year_all_the_same(tmp_path):
    """The bar that tells where its year begins lies further back than of others."""
    uri = str(tmp_path / "store")
    days = weekdays(400)
    paused = [day for day in days if not 350 < (days[-1] - day).days < 390]
    write(uri, [stored("FULL", even([100] * 400), days)])
    write(uri, [stored("PAUSED", even(range(100, 900, 2)), paused)])
    answer = Screen("close > high_52w()[1]", timeframe="1day").run(Store(uri), symbols="PAUSED")
    assert (symbols(answer), reasons(answer)) == (["PAUSED"], {})


@pytest.mark.parametrize(
    "where", ["RSI(close, 100000) > 1", "close > close[100000]" + 5 * "[100000]"]
)
def test_no_period_reaches_back_too_far(store, where):
    """Nor before the calendar's first year."""
    answer = Screen(where, timeframe="1day").run(store, symbols="UP")
    assert reasons(answer) == {"UP": Reason.TOO_SHORT}


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """Weeks, days and quarters of an hour of three instruments that go at random."""
    days = weekdays(80)
    mondays = [day for day in days if day.weekday() == 0]
    uri = str(tmp_path_factory.mktemp("several") / "store")
    deliveries = []
    for n, symbol in enumerate(["A", "B", "C"]):
        deliveries += [
            stored(symbol, walk(80, n), days),
            stored(symbol, walk(len(mondays), n), mondays, WEEK),
            stored(symbol, walk(25 * 40, n), days[40:], QUARTER),
        ]
    write(uri, deliveries)
    return Store(uri), days


EXPRESSIONS = [
    {"where": "close > SMA(close, 5)", "timeframe": "1day", "rank": "RSI(close, 5)"},
    {"where": "close > SMA(close, 3)", "timeframe": "1week", "rank": "close"},
    {
        "timeframes": {"w": "1week", "d": "1day", "q": "15minute"},
        "where": "q.close > d.SMA(close, 3) or w.close > q.vwap() or d.close < 1",
        "rank": "q.RSI(close, 9)",
        "show": {"w": "w.close[1]", "d": "d.close", "q": "q.opening_high(30)"},
    },
]


@pytest.mark.parametrize("keys", EXPRESSIONS)
def test_at_the_close_of_a_day_nothing_later_is_seen(several, tmp_path, keys):
    """The answer is that of a store to which nothing later ever came."""
    store, days = several
    screen = Screen(**keys)
    found = 0
    for day in (days[44], days[57], days[71], date(2024, 3, 30)):
        uri = str(tmp_path / f"until {day}")
        until = [d for d in days if d <= day]
        # A week that is not over by then would not have been there as it is.
        mondays = [d for d in until if d.weekday() == 0 and d + timedelta(6) <= day]
        deliveries = []
        for n, symbol in enumerate(["A", "B", "C"]):
            deliveries += [
                stored(symbol, walk(80, n), until),
                stored(symbol, walk(16, n), mondays, WEEK),
                stored(symbol, walk(25 * 40, n), until[40:], QUARTER),
            ]
        write(uri, deliveries)
        then = screen.run(Store(uri), now=NOW)
        now = screen.run(store, on=day, now=NOW)
        assert now.matches == then.matches
        assert reasons(now) == reasons(then) == {}
        found += now.found
    assert found


def test_before_the_first_day_and_after_today_there_is_no_answer(several):
    with pytest.raises(UsageError, match=r"no 1day up to 2023-12-31; it begins on 2024-01-01"):
        Screen("close > 1", timeframe="1day").run(several[0], on="2023-12-31")
    with pytest.raises(UsageError, match=r"on: 2026-06-03 is in the future"):
        Screen("close > 1", timeframe="1day").run(several[0], on="2026-06-03", now=NOW)


def test_bars_that_may_still_change_count_and_are_told(tmp_path):
    """A day fetched in its evening is not final until the next morning."""
    uri = str(tmp_path / "store")
    evening = midnight(NEWEST) + timedelta(hours=18)
    write(uri, [stored("UP", RISING, DAYS, at=evening)])
    answer = Screen(**RISES).run(Store(uri))
    assert [(match.symbol, match.not_final) for match in answer.matches] == [("UP", 1)]


def test_longer_bars_that_form_count_only_where_nothing_shorter_is_asked(tmp_path):
    """A week asked by itself is taken as it stands; beside days, only weeks that are over count."""
    uri = str(tmp_path / "store")
    mondays = [day for day in DAYS if day.weekday() == 0]
    tuesday = mondays[-1] + timedelta(1)
    days = [day for day in DAYS if day <= tuesday]
    weeks = even([100] * (len(mondays) - 1) + [1])
    forming = stored("UP", weeks, mondays, WEEK, at=midnight(tuesday) + timedelta(hours=18))
    write(uri, [stored("UP", RISING, days), forming])
    alone = Screen("close < 100", timeframe="1week").run(Store(uri))
    assert [match.not_final for match in alone.matches] == [1]
    both = {"day": "1day", "week": "1week"}
    beside = Screen("week.close == 100 and day.close > 1", timeframes=both).run(Store(uri))
    assert [match.not_final for match in beside.matches] == [0]
    assert beside.origin().endswith(f"newest session day {tuesday}, week {mondays[-1]}")


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"where": "close >", "timeframe": "1day"}, "where: `close >` is no expression"),
        ({"where": "close > 1"}, "give `timeframe`, such as 1day"),
        ({"where": "close > 1", "timeframe": "2fortnight"}, "timeframe: '2fortnight' is no timeframe"),
        ({"where": "close > 1", "timeframe": "1day", "rnak": "x"}, "rnak: unknown key; did you mean rank"),
        ({"where": "close > 1", "timeframe": "1day", "rank": "clos"}, "rank: column 1, `clos`"),
        ({"where": "close > 1", "timeframe": "1day", "show": {"x": "1"}}, "show.x: `1` says nothing"),
        ({"where": "close > 1", "timeframe": "1day", "limit": 0}, "limit: must be greater than 0"),
        ({"where": "close > 1", "timeframes": {"sma": "1day"}}, "sma means something else"),
        ({"where": "close > 1", "timeframes": {"a b": "1day"}}, "'a b' cannot stand in an expression"),
        ({"where": "close > 1", "timeframes": {"a": "1day", "b": "1day"}}, "has two names"),
        ({"where": "w > 1", "define": {"w": "high +"}, "timeframe": "1day"}, "define.w: `high +`"),
        ({"where": "w > 1", "define": {"low": "1"}, "timeframe": "1day"}, "low means something else"),
    ],
)  # fmt: skip
def test_what_no_screen_can_be_made_of_is_refused_by_its_key(keys, said):
    with pytest.raises(UsageError) as refused:
        Screen(**keys)
    assert said in str(refused.value)


def test_words_that_stand_for_each_other_cannot_grow_without_bound():
    words = {"a0": "close + close"}
    words |= {f"a{n}": f"a{n - 1} + a{n - 1} + a{n - 1} + a{n - 1}" for n in range(1, 40)}
    with pytest.raises(UsageError, match=r"define.a\d: has more than 2000 parts"):
        Screen("a39 > 1", define=words, timeframe="1day")


def test_nor_can_they_be_nested_without_bound():
    words = {"a0": "close"} | {f"a{n}": f"{'-' * 20}a{n - 1}" for n in range(1, 90)}
    with pytest.raises(UsageError, match=r"define.a\d: is nested deeper than 100 levels"):
        Screen("a89 > 1", define=words, timeframe="1day")


def test_a_word_stands_for_what_it_is_defined_as(store):
    plain = Screen("2 * (high - low) > 3", timeframe="1day")
    worded = Screen(
        "double > 3", define={"width": "high - low", "double": "2 * width"}, timeframe="1day"
    )
    assert worded.question.where == plain.question.where
    assert worded.run(store).found == plain.run(store).found > 0


def test_a_screen_is_found_by_its_path_or_by_a_ready_ones_name(tmp_path):
    assert "SMA" in repr(Screen.load("Golden Cross"))
    with pytest.raises(UsageError, match="did you mean golden-cross"):
        Screen.load("goldencross")
    with pytest.raises(UsageError, match="there is no such file"):
        Screen.load(tmp_path / "mine.yaml")
    (tmp_path / "mine.yaml").write_text("timeframe: 1day\nwhere: close > SMAA(close)\n")
    with pytest.raises(UsageError, match=r"mine.yaml: where: column 9, .*did you mean SMA"):
        Screen.load(tmp_path / "mine.yaml")


def test_a_timeframe_that_the_store_lacks_is_told(store):
    with pytest.raises(UsageError, match="holds no 5minute, only 1day"):
        Screen("close > 1", timeframe="5minute").run(store)


def test_a_store_that_is_not_there_is_told(tmp_path):
    with pytest.raises(UsageError):
        Screen("close > 1", timeframe="1day").run(Store(str(tmp_path / "nowhere")))
