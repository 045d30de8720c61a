"""What a verification found: one object for machines, tables and lines for people."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import date
from typing import Any

from rich.console import RenderableType
from rich.table import Table

from actors.market.instrument import Instrument
from actors.market.session_days import REFERENCE, is_weekend
from actors.market.sessions import IST
from cluster.verify.judgement import Gap, Grade, Reason, Verdict
from cluster.verify.verification import Verification
from cluster.wording import counted, printable

#: So many gaps are listed for people; `--json` gives all.
LISTED = 20
_NAMED = 5


def as_dict(found: Verification) -> dict[str, Any]:
    """The object `verify --json` prints. Counts are sessions, or weeks or months."""
    grades = Counter(found.grades.values())
    return {
        "store": found.store,
        "candles_version": found.candles_version,
        "as_of": found.now.astimezone(IST).isoformat(),
        "first": found.span and found.span[0].isoformat(),
        "last": found.span and found.span[1].isoformat(),
        "calendar": _calendar(found),
        "instruments": len(found.instruments),
        "complete": grades[Grade.COMPLETE],
        "unconfirmed": grades[Grade.UNCONFIRMED],
        "with_gaps": grades[Grade.GAPS],
        "undecided": [day.isoformat() for day in found.undecided],
        "unresolved": [name.name for name in found.unresolved],
        "series": [_series(verdict) for verdict in found.verdicts],
        "gaps": [_gap(*each) for each in _of_grade(found, Grade.GAPS)],
        "single_answers": [_gap(*each) for each in _of_grade(found, Grade.UNCONFIRMED)],
    }


def screens(found: Verification) -> list[RenderableType]:
    """The same for people, one below the other."""
    head = f"Store {found.store}, candles version {found.candles_version}"
    shown: list[RenderableType] = [head]
    if found.verdicts:
        shown += [_timeframes(found.verdicts), *_sessions(found)]
    if gaps := _of_grade(found, Grade.GAPS):
        shown.append(_gaps(gaps))
    if doubts := _of_grade(found, Grade.UNCONFIRMED):
        shown.append(_doubts(doubts))
    shown += [f"unresolved: {name}" for name in found.unresolved]
    shown.append(sum_of(found))
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
        "unconfirmed": verdict.sessions(Grade.UNCONFIRMED),
        "missing": verdict.sessions(Grade.GAPS),
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
    columns = ("complete", "due", "there", "explained", "unconfirmed", "missing")
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
            sum(v.sessions(Grade.UNCONFIRMED) for v in mine),
            sum(v.sessions(Grade.GAPS) for v in mine),
        )
        complete = f"{sum(not v.grade for v in mine):,} of {len(mine):,}"
        table.add_row(label, complete, *(f"{n:,}" for n in sums))
    return table


def _of_grade(found: Verification, grade: Grade) -> list[tuple[Verdict, Gap]]:
    return [(v, gap) for v in found.verdicts for gap in v.gaps if gap.reason.grade is grade]


def _gaps(found: Iterable[tuple[Verdict, Gap]]) -> Table:
    """A line for each series and reason: a thin share may have a hundred gaps of one day."""
    sessions: Counter[Reason] = Counter()
    alike: dict[tuple[Instrument, str, str], list[Gap]] = defaultdict(list)
    for verdict, gap in found:
        sessions[gap.reason] += gap.sessions
        why = f"{gap.reason}: {printable(gap.note)}" if gap.note else str(gap.reason)
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


def _doubts(found: Collection[tuple[Verdict, Gap]]) -> str:
    sessions = sum(gap.sessions for _, gap in found)
    symbols = list(dict.fromkeys(verdict.instrument.symbol for verdict, _ in found))
    return (
        f"Unconfirmed: {counted(sessions, 'session')} of {_named(symbols)} without a bar, by a single "
        "answer. There was no trade, or the answer lacked it: candlefleet verify CONFIG --fetch asks once "
        "more, and two answers are believed."
    )


def sum_of(found: Verification) -> str:
    grades = Counter(found.grades.values())
    parts = [f"{grades[Grade.COMPLETE]:,} complete"]
    if doubtful := grades[Grade.UNCONFIRMED]:
        parts.append(f"{doubtful:,} unconfirmed")
    parts.append(f"{grades[Grade.GAPS]:,} with gaps")
    return f"{' + '.join(parts)} = {counted(len(found.instruments), 'instrument')}."


def _sessions(found: Verification) -> list[str]:
    """The calendar in words."""
    sessions, holidays = _within(found), _holidays(found)
    told = [f"{counted(len(sessions), 'session')}, {counted(len(holidays), 'holiday')}"]
    if weekends := [day for day in sessions if is_weekend(day)]:
        told.append(f"on weekends {_named(weekends)}")
    if found.short_sessions:
        told.append(f"short ones {_named([session.day for session in found.short_sessions])}")
    source = f"the daily bars of {REFERENCE}"
    if not found.calendar.known:
        source = "the days on which most instruments have bars"
    lines = [f"{'; '.join(told)}. Learned from {source}."]
    if found.undecided:
        days = counted(len(found.undecided), "day")
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


def _named(some: Sequence[date | str]) -> str:
    named = ", ".join(map(str, some[:_NAMED]))
    return named if len(some) <= _NAMED else f"{named} and {len(some) - _NAMED:,} more"
