"""What the provider publishes about itself, as data: rates, reaches, hosts, paths."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from actors.market.timeframe import Timeframe, Unit
from actors.market.window import NS_PER_S, Window

#: Per user, all standard APIs. Whether historical and intraday candles count together is not said,
#: so they share one budget here. Nor is it said whether windows are fixed or rolling: rolling, the
#: stricter, is assumed.
#: Source: upstox.com/developer/api-documentation/rate-limiting, read 2026-09.
PUBLISHED: tuple[Window, ...] = (
    Window(50, 1 * NS_PER_S),
    Window(500, 60 * NS_PER_S),
    Window(2_000, 1_800 * NS_PER_S),
)

#: Source: the served OpenAPI and the documented examples, read 2026-09.
API_URL = "https://api.upstox.com"
ASSETS_URL = "https://assets.upstox.com"


class Family(StrEnum):
    """Endpoints that may have limits of their own. Not published; so by default they share one budget."""

    HISTORICAL = "historical"
    INTRADAY = "intraday"


CANDLES_PATH = "/v3/historical-candle"
INTRADAY_PATH = "/v3/historical-candle/intraday"
INSTRUMENTS_PATH = "/market-quote/instruments/exchange"  # then /NSE.json.gz and the like


#: Instruments there have always been: whether the provider answers for them tells whether it works.
LANDMARKS = ("NSE_INDEX|Nifty 50", "NSE_INDEX|Nifty Bank")


@dataclass(frozen=True, slots=True)
class Reach:
    """How far back the provider's history goes, and how much of it one request may ask for."""

    earliest: date
    max_months: int | None  # calendar months in one request; None: no limit


# Source: upstox.com/developer/api-documentation/v3/get-historical-candle-data, read 2026-09. That a
# longer span is refused (UDAPI1148), and not cut short, was observed on 2026-09-23.
_INTRADAY_SINCE = date(2022, 1, 1)
_DAYS_SINCE = date(2000, 1, 1)
_MONTH = Reach(_INTRADAY_SINCE, 1)
_QUARTER = Reach(_INTRADAY_SINCE, 3)
_DECADE = Reach(_DAYS_SINCE, 120)
_UNBOUNDED = Reach(_DAYS_SINCE, None)

_REACHES: dict[Unit, tuple[tuple[range, Reach], ...]] = {
    Unit.MINUTE: ((range(1, 16), _MONTH), (range(16, 301), _QUARTER)),
    Unit.HOUR: ((range(1, 6), _QUARTER),),
    Unit.DAY: ((range(1, 2), _DECADE),),
    Unit.WEEK: ((range(1, 2), _UNBOUNDED),),
    Unit.MONTH: ((range(1, 2), _UNBOUNDED),),
}

_ALLOWED = "1 to 300 minutes, 1 to 5 hours, 1 day, 1 week or 1 month"


def reach(timeframe: Timeframe) -> Reach:
    """Say what may be asked for `timeframe`.

    Raises ValueError, fit for the user, if the provider does not serve it.
    """
    for intervals, found in _REACHES[timeframe.unit]:
        if timeframe.interval in intervals:
            return found
    raise ValueError(f"the provider has no {timeframe} candles; it serves {_ALLOWED}")
