from __future__ import annotations

import numpy as np
import pytest
import talib
from talib import abstract

from cluster.screen.evaluation import Evaluation
from cluster.screen.indicators import indicators
from cluster.screen.parsing import parse
from cluster.screen.tree import reach
from tests.cluster.screen.market import DAY, bars_of, random_bars, stamps, walk, weekdays

ONE = {"day": DAY}
#: Ours starts anew with each session.
GROUPS = {
    group: [name for name in names if name != "VWAP"]
    for group, names in talib.get_function_groups().items()
}
WHERE_IT_IS = {"MAXINDEX", "MININDEX", "MINMAXINDEX"}

#: Two series are never implied; angles want numbers up to 1.
SERIES = {"MAVP": "close, volume / volume + 4"} | dict.fromkeys(
    ("ADD", "SUB", "MULT", "DIV", "BETA", "CORREL"), "high, low"
)
SMALL = {"ACOS", "ASIN", "COSH", "SINH", "EXP"}


def written(name, output=None):
    inside = "close / 1000" if name in SMALL else SERIES.get(name, "")
    return f"{name}({inside})" + (f".{output}" if output else "")


def ways(name):
    """How each of its values is written."""
    outputs = indicators()[name].outputs
    return [written(name, output) for output in outputs] if len(outputs) > 1 else [written(name)]


def test_every_function_of_talib_stands_in_a_group():
    assert {name for names in GROUPS.values() for name in names} == {*indicators()} - {"VWAP"}


@pytest.mark.parametrize("group", GROUPS)
def test_each_function_of_talib_gives_what_talib_gives(group):
    """For each of three instruments by itself, at every bar; unknown where it has too few."""
    bars = random_bars(DAY, 160, seed=5)
    evaluation = Evaluation({"day": bars})
    for name in GROUPS[group]:
        found = [evaluation.values(parse(text, ONE)) for text in ways(name)]
        for i, _ in enumerate(bars.keys):
            mine = slice(bars.starts[i], bars.starts[i + 1])
            expected = of_talib(name, {c: values[mine] for c, values in bars.columns.items()})
            for ours, theirs in zip(found, expected, strict=True):
                np.testing.assert_array_equal(ours[mine], theirs, name)
                assert np.isfinite(theirs[-1])


def of_talib(name, prices):
    """By its abstract interface, which takes series by their names and has its own defaults."""
    close = prices["close"] / (1000 if name in SMALL else 1)
    function = abstract.Function(name)
    found = function(prices | {"close": close, "periods": np.full(len(close), 5.0)})
    for raw in found if len(indicators()[name].outputs) > 1 else [found]:
        theirs = np.where(np.isfinite(raw), raw, np.nan)
        theirs[: function.lookback] = np.nan
        yield np.arange(len(raw)) - theirs if name in WHERE_IT_IS else theirs


AVERAGES = [f"MACDEXT(close, 12, {n}, 26, {n}, 9, {n}).macdsignal" for n in range(9)]


@pytest.mark.parametrize("group", [*GROUPS, "averages"])
def test_what_lies_beyond_its_reach_changes_nothing(group):
    """From as many bars as its reach counts on, a value is the same, whatever came before."""
    texts = [text for name in GROUPS.get(group, []) for text in ways(name)] or AVERAGES
    for tree in (parse(text, ONE) for text in texts):
        far = reach(tree)["day"]
        if far.all:
            continue
        bars = far.bars + far.settling + 1
        for seed in range(2):
            when, prices = stamps(DAY, weekdays(bars + 300)), walk(bars + 300, seed)
            tail = {name: values[-bars:] for name, values in prices.items()}
            long, short = (
                Evaluation({"day": bars_of(DAY, [each])}).values(tree)[-1]
                for each in ((when, prices), (when[-bars:], tail))
            )
            assert short == pytest.approx(long, rel=1e-6, abs=1e-7), str(tree)
