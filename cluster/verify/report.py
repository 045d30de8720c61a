"""What a verification found: one object for machines, tables and lines for people."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import date
from typing import Any

from rich.console import RenderableType
from rich.table import Table

from actors.market.instrument import Instrument
from actors.market.session_days import REFERENCE, is_weekend
from actors.market.sessions import IST
from cluster.verify.judgement import Gap, Reason, Verdict
from cluster.verify.verification import Verification

#: So many gaps are listed for people; `--json` gives all.
LISTED = 20
_DAYS_NAMED = 5


def as_dict(found: Verification) -> dict[str, Any]:
    """The object `verify --json` prints. Counts are sessions, or weeks or months."""
    return {
        "store": found.store,
        "candles_version": found.candles_version,
        "verified_at": found.now.astimezone(IST).isoformat(),
        "first": found.span and found.span[0].isoformat(),
        "last": found.span and found.span[1].isoformat(),
        "calendar": _calendar(found),
        "instruments": len(found.instruments),
        "complete": len(found.instruments) - len(found.incomplete),
        "with_gaps": len(found.incomplete),
        "undecided": [day.isoformat() for day in found.undecided],
        "unresolved": [name.name for name in found.unresolved],
        "series": [_series(verdict) for verdict in found.verdicts],
        "gaps": [_gap(verdict, gap) for verdict in found.verdicts for gap in verdict.gaps],
    }


def screens(found: Verification) -> list[RenderableType]:
    """The same for people, one below the other."""
    head = f"Store {found.store}, candles version {found.candles_version}"
    shown: list[RenderableType] = [head]
    if found.verdicts:
        shown += [_timeframes(found.verdicts), *_sessions(found)]
    if found.incomplete:
        shown.append(_gaps(found.verdicts))
    gaps, every = len(found.incomplete), len(found.instruments)
    shown += [f"unresolved: {name}" for name in found.unresolved]
    shown.append(f"{every - gaps:,} complete + {gaps:,} with gaps = {every:,} instruments.")
    return shown


def _calendar(found: Verification) -> dict[str, Any]:
    calendar = found.calendar
    return {
        "learned_from": REFERENCE,
        "known": [[first.isoformat(), last.isoformat()] for first, last in calendar.known],
        "sessions": len(_within(found)),
        "holidays": [day.isoformat() for day in _holidays(found)],
        "weekend_sessions": [day.isoformat() for day in _within(found) if is_weekend(day)],
        "short_sessions": [
            {
                "date": s.day.isoformat(),
                "timeframe": str(s.timeframe),
                "bars": s.bars,
                "usual": s.usual,
            }
            for s in found.short_sessions
        ],
    }


def _series(verdict: Verdict) -> dict[str, Any]:
    return {
        "instrument_key": verdict.instrument.instrument_key,
        "symbol": verdict.instrument.symbol,
        "timeframe": verdict.timeframe.label,
        "due": verdict.due,
        "there": verdict.there,
        "explained": {reason.name.lower(): n for reason, n in verdict.explained.items()},
        "missing": verdict.missing,
        "bars": verdict.bars,
        "market_bars": verdict.market_bars,
    }


def _gap(verdict: Verdict, gap: Gap) -> dict[str, Any]:
    return {
        "instrument_key": verdict.instrument.instrument_key,
        "symbol": verdict.instrument.symbol,
        "timeframe": verdict.timeframe.label,
        "reason": gap.reason.name.lower(),
        "first": gap.first.isoformat(),
        "last": gap.last.isoformat(),
        "sessions": gap.sessions,
        "note": gap.note,
    }


def _timeframes(verdicts: Iterable[Verdict]) -> Table:
    columns = ("complete", "due", "there", "explained", "missing", "candles")
    title = "Sessions; weeks and months count as one"
    table = Table("timeframe", *columns, title=title, title_justify="left")
    of: dict[str, list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        of[verdict.timeframe.label].append(verdict)
    for label, mine in of.items():
        sums = (
            sum(v.due for v in mine),
            sum(v.there for v in mine),
            sum(sum(v.explained.values()) for v in mine),
            sum(v.missing for v in mine),
            sum(v.bars for v in mine),
        )
        complete = f"{sum(v.is_complete for v in mine):,} of {len(mine):,}"
        table.add_row(label, complete, *(f"{n:,}" for n in sums))
    return table


def _gaps(verdicts: Iterable[Verdict]) -> Table:
    """A line for each series and reason: a thin share may have a hundred gaps of one day."""
    sessions: Counter[Reason] = Counter()
    alike: dict[tuple[Instrument, str, str], list[Gap]] = defaultdict(list)
    for verdict in verdicts:
        for gap in verdict.gaps:
            sessions[gap.reason] += gap.sessions
            why = f"{gap.reason}: {gap.note}" if gap.note else str(gap.reason)
            alike[verdict.instrument, verdict.timeframe.label, why].append(gap)
    title = f"Missing: {', '.join(f'{sessions[r]:,} {r}' for r in Reason if r in sessions)}"
    columns = ("symbol", "timeframe", "sessions", "from", "to", "why")
    table = Table(*columns, title=title, title_justify="left")
    for (instrument, label, why), gaps in list(alike.items())[:LISTED]:
        many = f"{sum(gap.sessions for gap in gaps):,}"
        ends = str(gaps[0].first), str(gaps[-1].last)
        table.add_row(instrument.symbol, label, many, *ends, why)
    if len(alike) > LISTED:
        table.add_row(f"… and {len(alike) - LISTED:,} more (--json lists all)")
    return table


def _sessions(found: Verification) -> list[str]:
    """The calendar in words."""
    sessions, holidays = _within(found), _holidays(found)
    told = [f"{len(sessions):,} sessions, {len(holidays):,} holidays"]
    if weekends := [day for day in sessions if is_weekend(day)]:
        told.append(f"on weekends {_named(weekends)}")
    if found.short_sessions:
        told.append(f"short ones {_named([session.day for session in found.short_sessions])}")
    source = f"the daily bars of {REFERENCE}"
    if not found.calendar.known:
        source = "the days on which most instruments have bars"
    lines = [f"{'; '.join(told)}. Learned from {source}."]
    if found.undecided:
        days = f"{len(found.undecided):,} day{'' if len(found.undecided) == 1 else 's'}"
        lines.append(
            f"{days} from {found.undecided[0]} to {found.undecided[-1]} may be holidays or gaps: the "
            f"store lacks the daily bars of {REFERENCE} there. One request gets a decade of them: "
            "candlefleet verify CONFIG --fetch."
        )
    return lines


def _within(found: Verification) -> list[date]:
    return found.calendar.within(*found.span) if found.span else []


def _holidays(found: Verification) -> list[date]:
    return found.calendar.holidays(*found.span) if found.span else []


def _named(days: list[date]) -> str:
    named = ", ".join(map(str, days[:_DAYS_NAMED]))
    return named if len(days) <= _DAYS_NAMED else f"{named} and {len(days) - _DAYS_NAMED:,} more"
