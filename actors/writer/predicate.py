"""SQL conditions over the tables. Texts from outside are quoted here, and only here."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import date

    from actors.market.timeframe import Timeframe


class Days(NamedTuple):
    """Days `first` to `last`, both included, of one instrument in one timeframe."""

    instrument_key: str
    timeframe: Timeframe
    first: date
    last: date


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def within(days: Iterable[Days]) -> str:
    """True for the rows of these days. Instruments that share their days share a term."""
    groups: dict[tuple[Timeframe, date, date], list[str]] = defaultdict(list)
    for key, timeframe, first, last in days:
        groups[timeframe, first, last].append(key)
    return " OR ".join(
        f"({selecting(instrument_keys=keys, timeframe=timeframe, first=first, last=last)})"
        for (timeframe, first, last), keys in groups.items()
    )


def selecting(
    *,
    instrument_keys: Collection[str] | None = None,
    timeframe: Timeframe | None = None,
    first: date | None = None,
    last: date | None = None,
) -> str:
    """True for the rows that pass every filter given; says enough to skip files that hold none."""
    terms = [] if timeframe is None else [f"timeframe = {quoted(timeframe.label)}"]
    if first is not None:
        # For all timeframes at once: `2024` sorts before `2024-01` and after every older period.
        period = f"{first:%Y}" if timeframe is None else timeframe.period(first)
        terms += [f"period >= {quoted(period)}", f"date >= {quoted(first.isoformat())}"]
    if last is not None:
        period = f"{last:%Y-%m}" if timeframe is None else timeframe.period(last)
        terms += [f"period <= {quoted(period)}", f"date <= {quoted(last.isoformat())}"]
    if instrument_keys is not None:
        terms += _one_of(sorted(set(instrument_keys)))
    return " AND ".join(terms) or "TRUE"


def _one_of(keys: list[str]) -> list[str]:
    if not keys:
        return ["FALSE"]
    # Long lists are not compared with a file's least and greatest key; the two bounds are.
    bounds = [f"instrument_key >= {quoted(keys[0])}", f"instrument_key <= {quoted(keys[-1])}"]
    return [*bounds, f"instrument_key IN ({', '.join(map(quoted, keys))})"]
