"""Ways to ask the same question of the same candles, each a process of its own: `… WAY PLACE TIMEFRAME`.

Prints the seconds it took once all was imported, and who matches.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import talib

#: Ten indicators. The widest window is one of a daily screen, and one of 20 sessions of minutes.
WIDEST = {"1day": 200, "1minute": 7_400}
WHERE = """
close > SMA(close, 20) and SMA(close, 50) > SMA(close, {widest}) and close > EMA(close, 20)
and 45 < RSI(close, 14) < 80 and MACD(close, 12, 26, 9).macdhist > 0
and close < BBANDS(close, 20, 2, 2).upperband and ATR(14) / close < 0.08
and close > 0.9 * highest(high, 20)[1] and relative_volume(20) > 0.5
"""
_COLUMNS = ["symbol", "ts", "high", "low", "close", "volume"]


def ours(place: Path, timeframe: str) -> list[str]:
    from cluster import Screen, Store

    screen = Screen(WHERE.format(widest=WIDEST[timeframe]), timeframe=timeframe)
    return [match.symbol for match in screen.run(Store(str(place / "store"))).matches]


def pandas_loop(place: Path, timeframe: str) -> list[str]:
    """One file for each symbol, read and computed in a loop, as scripts do."""
    found = []
    for file in (place / "files").iterdir():
        bars = pd.read_parquet(file, columns=_COLUMNS[1:]).sort_values("ts")
        if _asked_of(bars, WIDEST[timeframe]):
            found.append(file.stem)
    return found


def _asked_of(bars: pd.DataFrame, widest: int) -> bool:
    close, high, low = bars["close"], bars["high"], bars["low"]
    middle, deviation = close.rolling(20).mean(), close.rolling(20).std(ddof=0)
    change = close.diff()
    gain = change.clip(lower=0).ewm(alpha=1 / 14, adjust=False).mean()
    loss = (-change).clip(lower=0).ewm(alpha=1 / 14, adjust=False).mean()
    rsi = 100 * gain / (gain + loss)
    macd = _average(close, 12) - _average(close, 26)
    ranges = pd.concat(
        [high - low, (high - close.shift()).abs(), (low - close.shift()).abs()], axis=1
    )
    atr = ranges.max(axis=1).ewm(alpha=1 / 14, adjust=False).mean()
    relative = bars["volume"] / bars["volume"].rolling(20).mean().shift()
    asked = (
        (close > middle)
        & (close.rolling(50).mean() > close.rolling(widest).mean())
        & (close > _average(close, 20))
        & (rsi > 45)
        & (rsi < 80)
        & (macd > _average(macd, 9))
        & (close < middle + 2 * deviation)
        & (atr / close < 0.08)
        & (close > 0.9 * high.rolling(20).max().shift())
        & (relative > 0.5)
    )
    return bool(asked.iloc[-1])


def _average(series: pd.Series[float], span: int) -> pd.Series[float]:
    return series.ewm(span=span, adjust=False).mean()


def talib_loop(place: Path, timeframe: str) -> list[str]:
    """The same files, computed by TA-Lib in a loop: the careful script."""
    found = []
    for file in (place / "files").iterdir():
        bars = pd.read_parquet(file, columns=_COLUMNS[1:]).sort_values("ts")
        high, low, close, volume = (
            bars[name].to_numpy(np.float64) for name in ("high", "low", "close", "volume")
        )
        rsi, last = talib.RSI(close, 14)[-1], close[-1]
        if (
            last > talib.SMA(close, 20)[-1]
            and talib.SMA(close, 50)[-1] > talib.SMA(close, WIDEST[timeframe])[-1]
            and last > talib.EMA(close, 20)[-1]
            and 45 < rsi < 80
            and talib.MACD(close, 12, 26, 9)[2][-1] > 0
            and last < talib.BBANDS(close, 20, 2, 2)[0][-1]
            and talib.ATR(high, low, close, 14)[-1] / last < 0.08
            and last > 0.9 * talib.MAX(high, 20)[-2]
            and volume[-1] / talib.SMA(volume, 20)[-2] > 0.5
        ):
            found.append(file.stem)
    return found


def polars(place: Path, timeframe: str) -> list[str]:
    """On the same table, every window an expression over the instrument."""
    close, high, low, volume = (pl.col(name) for name in ("close", "high", "low", "volume"))
    mine = "symbol"
    change = close.diff()
    middle = close.rolling_mean(20)
    gain = change.clip(lower_bound=0).ewm_mean(alpha=1 / 14, adjust=False)
    loss = (-change).clip(lower_bound=0).ewm_mean(alpha=1 / 14, adjust=False)
    macd = close.ewm_mean(span=12, adjust=False) - close.ewm_mean(span=26, adjust=False)
    ranges = pl.max_horizontal(
        high - low, (high - close.shift()).abs(), (low - close.shift()).abs()
    )
    asked = {
        "close": close,
        "middle": middle,
        "upper": middle + 2 * close.rolling_std(20, ddof=0),
        "fast": close.rolling_mean(50),
        "slow": close.rolling_mean(WIDEST[timeframe]),
        "ema": close.ewm_mean(span=20, adjust=False),
        "rsi": 100 * gain / (gain + loss),
        "hist": macd - macd.ewm_mean(span=9, adjust=False),
        "atr": ranges.ewm_mean(alpha=1 / 14, adjust=False),
        "top": high.rolling_max(20).shift(),
        "relative": volume / volume.rolling_mean(20).shift(),
    }
    bars = pl.scan_delta(str(place / "store" / "candles")).filter(timeframe=timeframe)
    bars = bars.select(_COLUMNS).sort("symbol", "ts")
    last = bars.group_by(mine).agg(**{name: each.last() for name, each in asked.items()}).collect()
    found = last.filter(
        (pl.col("close") > pl.col("middle"))
        & (pl.col("fast") > pl.col("slow"))
        & (pl.col("close") > pl.col("ema"))
        & pl.col("rsi").is_between(45, 80, closed="none")
        & (pl.col("hist") > 0)
        & (pl.col("close") < pl.col("upper"))
        & (pl.col("atr") / pl.col("close") < 0.08)
        & (pl.col("close") > 0.9 * pl.col("top"))
        & (pl.col("relative") > 0.5)
    )
    return found["symbol"].to_list()


WAYS: dict[str, Callable[[Path, str], list[str]]] = {
    "ours": ours,
    "polars": polars,
    "talib_loop": talib_loop,
    "pandas_loop": pandas_loop,
}

if __name__ == "__main__":
    way, place, timeframe = sys.argv[1:]
    if way == "ours":
        from cluster.screen import screen  # noqa: F401  # as the others have imported theirs
    began_s = time.perf_counter()
    matching = WAYS[way](Path(place), timeframe)
    print(time.perf_counter() - began_s, ",".join(sorted(matching)))
