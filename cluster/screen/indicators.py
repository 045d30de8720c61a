"""TA-Lib's functions, by what TA-Lib itself says of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import talib.abstract

from cluster.screen.bars import Bars, Values
from cluster.screen.tree import Param, Params, Reach, Slot
from cluster.screen.windows import by_run

#: Averages without a memory beyond their period: simple, weighted, triangular.
_FORGETTING = (0, 2, 5)

#: Bars for each of their periods until the seed of exponential averages weighs less than 1e-9: with
#: weight 2 / (n + 1) for the newest bar, (1 - 2 / (n + 1)) ** k < 1e-9 from k = 10.4 (n + 1) on.
_EXPONENTIAL = 11
#: Wilder's average weighs the newest bar by 1 / n.
_WILDERS = 22

_AVERAGED = frozenset(
    {"MACD", "MACDFIX", "EMA", "DEMA", "TEMA", "TRIX", "TSI", "SMI", "ZLEMA", "KC", "ERI", "EFI"}
    | {"CVI", "MASSI", "ADOSC"}
)
#: They call Wilder's average, or nest others, without TA-Lib saying that they take time to settle.
_NESTED = frozenset({"ADXR", "STOCHRSI", "RMA", "T3", "SUPERTREND"})
_TWICE = frozenset({"ADX", "ADXR"})  # Wilder's average of Wilder's average
#: Without a period, or adaptive: bars after which two starts agree, found by trial.
_BY_TRIAL = {
    "MACDFIX": 450,
    "SAR": 300,
    "SAREXT": 300,
    "HA": 60,
    "KAMA": 300,
    "MAMA": 400,
} | dict.fromkeys(
    ("HT_DCPERIOD", "HT_DCPHASE", "HT_PHASOR", "HT_SINE", "HT_TRENDMODE", "HT_TRENDLINE"), 400
)
_SETTLES = "Function has an unstable period"
_PRICE_GROUPS = ("Overlap Studies", "Price Transform")
_WHOLE_PAST = "Output is path-dependent"

#: Which bar of the array it is says nothing to a screen; how many bars ago it was does.
_PLACES = frozenset({"MAXINDEX", "MININDEX", "MINMAXINDEX"})


@dataclass(frozen=True, slots=True)
class Indicator:
    name: str
    slots: tuple[Slot, ...]
    params: tuple[Param, ...]
    outputs: tuple[str, ...]
    flags: tuple[str, ...]
    group: str

    @property
    def is_condition(self) -> bool:
        return False

    @property
    def needs_minutes(self) -> bool:
        return False

    @property
    def on_prices(self) -> bool:
        return self.group in _PRICE_GROUPS and self.name != "AVGDEV"

    def refusal(self, params: Params, minutes: int | None) -> str | None:
        del minutes
        return _refusal(self, params)

    def reach(self, params: Params) -> Reach:
        settles = self._settling(params)
        return Reach(_lookback(self, params), settles or 0, all=settles is None)

    def compute(self, bars: Bars, inputs: list[Values], params: Params) -> tuple[Values, ...]:
        call = _call(self.name)

        def computed(*series: Values) -> tuple[Values, ...]:
            found = call(*series, *params)
            found = found if isinstance(found, (tuple, list)) else (found,)
            if self.name in _PLACES:
                return tuple(np.arange(len(values)) - values for values in found)
            return tuple(found)

        return by_run(bars, inputs, _lookback(self, params), len(self.outputs), computed)

    def _settling(self, params: Params) -> int | None:
        """Bars beyond the lookback; None: the whole past."""
        periods = sum(
            int(value) + 1
            for param, value in zip(self.params, params, strict=True)
            if param.name.endswith("period")
        )
        averages = [
            int(value)
            for param, value in zip(self.params, params, strict=True)
            if param.name.endswith("matype")
        ]
        if self.name in _BY_TRIAL:
            return max(_BY_TRIAL[self.name], _WILDERS * periods)
        if self.name in _AVERAGED:
            return _EXPONENTIAL * periods
        if self.name in _NESTED or _SETTLES in self.flags or not set(averages) <= {*_FORGETTING}:
            return _WILDERS * periods * (2 if self.name in _TWICE else 1)
        return None if _WHOLE_PAST in self.flags else 0


@cache
def indicators() -> dict[str, Indicator]:
    """Every function that TA-Lib has, by its name."""
    return {name: _described(name) for name in talib.get_functions()}


def _described(name: str) -> Indicator:
    info = talib.abstract.Function(name).info
    slots: list[Slot] = []
    several = sum(isinstance(column, str) for column in info["input_names"].values()) > 1
    for given, column in info["input_names"].items():
        if isinstance(column, str):  # where two series are compared, none goes without saying
            slots.append(Slot(given, None if several else column))
        else:
            slots += [Slot(each, each) for each in column]
    params = tuple(
        Param(param, default, whole=isinstance(default, int))
        for param, default in info["parameters"].items()
    )
    return Indicator(
        name=name,
        slots=tuple(slots),
        params=params,
        outputs=tuple(info["output_names"]),
        flags=tuple(info["function_flags"] or ()),
        group=info["group"],
    )


@cache
def _lookback(indicator: Indicator, params: Params) -> int:
    function = talib.abstract.Function(indicator.name)
    function.set_parameters(_named(indicator, params))
    return int(function.lookback)


@cache
def _refusal(indicator: Indicator, params: Params) -> str | None:
    """TA-Lib alone knows what it takes, and says so only when it is called."""
    tried: list[Any] = [np.linspace(1.0, 2.0, 8) for _ in indicator.slots]
    try:
        _call(indicator.name)(*tried, *params)
    except Exception as error:  # it raises nothing narrower
        if "Bad Parameter" not in str(error):
            raise
        said = ", ".join(f"{name}={value:g}" for name, value in _named(indicator, params).items())
        return f"{indicator.name} does not take {said}"
    return None


def _call(name: str) -> Callable[..., Any]:
    """The C function itself. What is wrapped around it looks for pandas and Polars at every call."""
    bare: Callable[..., Any] = inspect.unwrap(getattr(talib.func, name))
    return bare


def _named(indicator: Indicator, params: Params) -> dict[str, Any]:
    return {param.name: value for param, value in zip(indicator.params, params, strict=True)}
