from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.market.errors import UsageError
from cluster.screen.parsing import MAX_CHARACTERS, condition, parse
from cluster.screen.reader import MAX_DEPTH
from cluster.screen.tree import Call, Column, Constant, Operation, Reach, Shifted, reach, walk
from tests.cluster.screen.market import DAY, QUARTER

ONE = {"day": DAY}
TWO = {"day": DAY, "entry": QUARTER}


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("close > SMA(close, 50)", "close > SMA(close, 50)"),
        ("CLOSE > sma(Close, timeperiod=50)", "close > SMA(close, 50)"),
        ("rsi(14) < 30", "RSI(close, 14) < 30"),
        ("macd(close).macdhist[2] > 0", "MACD(close, 12, 26, 9).macdhist[2] > 0"),
        (
            "BBANDS(close, 20, nbdevdn=3).lowerband > low",
            "BBANDS(close, 20, 2, 3, 0).lowerband > low",
        ),
        ("ATR() > ATR(high, low, close, 20)", "ATR(14) > ATR(high, low, close, 20)"),
        ("cdlengulfing() > 0", "CDLENGULFING() > 0"),
        ("OBV() > OBV(open)", "OBV(close) > OBV(open)"),
        ("1 < close <= 2", "(1 < close) and (close <= 2)"),
        ("not (close > open)[1] or high == -1", "(not (close > open)[1]) or (high == -1)"),
        ("-(close + 1) * 2 / volume != .5", "(((-(close + 1)) * 2) / volume) != 0.5"),
        ("\n close\n  >\n  1 \n", "close > 1"),
        ("VWMA(close[1], 3) > close[0]", "VWMA(close[1], 3) > close"),
    ],
)
def test_what_is_written_is_understood(text, meant):
    """In any case of letters, with TA-Lib's defaults and implied series."""
    assert str(condition(text, ONE)) == meant
    assert condition(meant, ONE) == condition(text, ONE)  # what is shown can be written


@pytest.mark.parametrize(
    ("text", "frame", "meant"),
    [
        ("close > 1", "day", "day.close > 1"),
        ("entry.close > SMA(close, 5)", "entry", "entry.close > SMA(day.close, 5)"),
        ("entry.RSI(close, 5) > 1", "entry", "RSI(entry.close, 5) > 1"),
        ("RSI(entry.close, 5) > day.RSI(5)", "entry", "RSI(entry.close, 5) > RSI(day.close, 5)"),
        ("entry.ATR(5) > entry.vwap()", "entry", "entry.ATR(5) > entry.vwap()"),
        ("entry.SMA(day.close, 5) > 0", "day", "SMA(day.close, 5) > 0"),
    ],
)
def test_each_part_is_of_the_timeframe_that_it_names(text, frame, meant):
    """Without one, of the first; what mixes them is of the one with the shortest bars."""
    tree = condition(text, TWO)
    assert (tree.frame, str(tree)) == (frame, meant)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("RSY(14) < 30", "column 1, `RSY(14)`: there is no indicator RSY; did you mean RSI?"),
        ("1 < higest(low, 5)", "column 5, `higest(low, 5)`: there is no indicator higest; did you mean"),
        ("ünder > 1", "column 1, `ünder`: there is no column ünder"),
        ("close > clsoe", "column 9, `clsoe`: there is no column clsoe; did you mean close?"),
        ("MACD(close) > 0", "has 3 values; say which: .macd or .macdsignal or .macdhist"),
        ("MACD(close).signal > 0", "has no value signal; did you mean macdsignal?"),
        ("SMA(close).real > 0", "has one value; leave .real out"),
        ("SMA(close, period=5) > 0", "no parameter period; did you mean timeperiod?: SMA(close, "),
        ("SMA(close, 5, timeperiod=5) > 0", "is given timeperiod twice"),
        ("SMA(close, 5, 6) > 0", "takes 1 number, not 2"),
        ("SMA(close, open) > 0", "takes 1 series, not 2: SMA(close, timeperiod=30)"),
        ("SMA(close, timeperiod=open) > 0", "timeperiod must be a plain number, not open"),
        ("SMA(close, 2.5) > 0", "timeperiod must be a whole number, not 2.5"),
        ("SMA(close, -5) > 0", "SMA does not take timeperiod=-5"),
        ("SMA(close, 1e300) > 0", "timeperiod is too large"),
        ("BETA(5) > 0", "takes 2 series, not 0: BETA(price0, price1, timeperiod=5)"),
        ("highest(high) > 0", "needs n: highest(x, n)"),
        ("highest(high, 0) > 0", "highest's n must be from 1 to 100000, not 0"),
        ("count(close, 3) > 0", "close is no condition, as count(condition, n) wants one"),
        ("SMA(close > 1, 3) > 0", "close > 1 is no number"),
        ("sma > 1", "is called with brackets: SMA(close, timeperiod=30)"),
        ("VWAP() > 1", "vwap is of a session's course, and a bar of 1day has none"),
        ("close", "is a number, not a condition"),
        ("close and open", "column 1, `close`: is a number; `and` takes conditions"),
        ("(close > 1) + 1 > 1", "is a condition; a number is wanted here"),
        ("(close > 1) > 1", "is a condition; a number is wanted here"),
        ("1 + 2", "says nothing of any candle"),
        ("1 < 2 and close > 1", "column 1, `1 < 2`: compares plain numbers"),
        ("close > 1 / 0", "column 9, `1 / 0`: divides by zero"),
        ("close > 1e300 * 1e300", "is too large a number"),
        ("close[-1] > 1", "no bar to come is ever looked at"),
        ("close[open] > 1", "how many bars ago is a whole number, as in close[1]"),
        ("close[1:2] > 1", "how many bars ago is a whole number"),
        ("close[999999] > 1", "looks back more than"),
        ("3[1] > 1", "a number is the same at every bar"),
        ("close > 1 & open > 1", "column 9, `1 & open`: write `and` for &"),
        ("close ** 2 > 1", "there is no power; multiply"),
        ("close is 1", "compare with < <= > >= == or !="),
        ("close = 1", "is it compared by `==`?"),
        ("close > 'x'", "is no number"),
        ("close > True", "is no number"),
        ("close > 1e999", "is too large a number"),
        (f"close > {'9' * 400}", "is too large a number"),
        ("", "is empty"),
        ("close >", "`close >` is no expression"),
        ("close > 1) + (2", "is no expression"),
        ("__import__('os').system('true')", "only"),
        ("().__class__ > 1", "only timeframes and indicators have parts"),
        ("[close for close in high]", "this has no meaning in a screen"),
        ("(lambda: 1)() > 1", "only indicators are called"),
        ("SMA(*close) > 1", "this has no meaning in a screen"),
        ("SMA(**close) > 1", "has no parameter"),
        ("weekly.close > 1", "there is no timeframe weekly in this screen; there is one, which goes"),
        ("days.SMA(close, 3) > 1", "there is no timeframe days in this screen; did you mean day?"),
        ("+" * 90 + "close > 1", f"deeper than {MAX_DEPTH} levels"),
        ("close > 1" + " " * 9 + "and 1" * MAX_CHARACTERS, f"longer than {MAX_CHARACTERS} characters"),
    ],
)  # fmt: skip
def test_what_means_nothing_is_refused_where_it_stands(text, said):
    """With what was probably meant."""
    with pytest.raises(UsageError) as refused:
        condition(text, ONE, "where")
    assert said in str(refused.value)
    assert str(refused.value).startswith("where: ")


def test_a_timeframe_by_itself_and_minutes_that_no_bar_ends_with_are_refused():
    with pytest.raises(UsageError, match=r"is a timeframe; write entry.close"):
        condition("entry > 1", TWO)
    with pytest.raises(UsageError, match=r"no timeframe week in this screen; there are day, entry"):
        condition("week.close > 1", TWO)
    with pytest.raises(UsageError, match=r"opening_high\(20\) does not end with a bar of 15 min"):
        condition("entry.opening_high(20) > 1", TWO)


_WORDS = "close SMA ( ( ) ) , < > == = 1 14 [ ] . day entry * - RSI(14) lambda: : ' { } é #"
_PIECES = st.sampled_from([*_WORDS.split(), " and ", " or ", "not ", "\n"])


@given(st.one_of(st.text(), st.lists(_PIECES, max_size=60).map("".join)))
def test_no_text_is_answered_by_anything_but_a_tree_or_a_refusal(text):
    try:
        tree = condition(text, TWO)
    except UsageError:
        return
    assert all(isinstance(t, Constant | Column | Call | Shifted | Operation) for t in walk(tree))


@pytest.mark.parametrize("opened", ["(", "-", "not ", "close[", "SMA(", "[", "day.", "~", "1+("])
@pytest.mark.parametrize("times", [40, 190, 380, 1_990, 100_000])
def test_however_deep_a_text_is_nested_it_is_refused(opened, times):
    with pytest.raises(UsageError):
        parse(opened * times, ONE)


@pytest.mark.parametrize(
    ("text", "far"),
    [
        ("close[3] > 1", Reach(3)),
        ("SMA(close, 50)[2] > 1", Reach(51)),
        ("highest(high[1], 20) > change_pct(close, 5)", Reach(20)),
        ("high_52w()[1] > 1", Reach(1, days=364)),
        ("RSI(14) > SMA(close, 100)", Reach(99, 14 + 22 * 15 - 99)),
        ("OBV() > SMA(OBV(), 10)", Reach(9, all=True)),
    ],
)
def test_a_tree_knows_how_far_back_it_looks(text, far):
    assert reach(condition(text, ONE)) == {"day": far}


def test_each_timeframe_is_looked_back_in_for_itself():
    found = reach(condition("entry.close > day.SMA(close, 20) and entry.close[4] > 1", TWO))
    assert found == {"entry": Reach(4), "day": Reach(19)}
