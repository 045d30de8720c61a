"""From a question and a store to an answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from actors.market.chunk import Status
from actors.writer import coverage
from cluster.screen.answer import Match, NotScreened, Reason
from cluster.screen.asked import Asked, market, unanswered
from cluster.screen.bars import Bars
from cluster.screen.history import History
from cluster.screen.looking import Looked, look
from cluster.screen.question import Question

if TYPE_CHECKING:
    from actors.writer.reading import Store


@dataclass(frozen=True, slots=True)
class Found:
    """Every instrument asked is a match, not screened, or neither."""

    version: int  # of the candles table
    newest: dict[str, date]  # the newest session of each timeframe
    universe: int
    matches: list[Match]  # by symbol
    not_screened: list[NotScreened]  # likewise


def ask(
    question: Question,
    store: Store,
    names: Sequence[str] | None,
    on: date | None,
    max_age: int,
    heed: Callable[[], object] = lambda: None,
) -> Found:
    """Ask the instruments of these names (None: all) at their last bars, or at the close of `on`.

    Who has no bar of the newest session, or of the `max_age` days before it, is not screened. `heed` is
    called before each piece of the bars is looked at: by raising something it cuts the asking off.
    """
    receipts = store.receipts()  # before the candles, so that what they tell of is there
    asked = Asked.of(receipts, question.labels, names)
    history = History.of(store, question, on)
    seen = _Seen()
    for frames in history.pieces([*asked.symbols], everybody=names is None):
        heed()
        seen.add(question, frames)
    failures, newest = _failures(receipts), history.newest(receipts)
    judge = _Judge(
        question, history, newest, coverage.held(receipts), failures, seen.sessions, max_age
    )
    not_screened = [*_without_data(asked, seen, failures)]
    matches: list[Match] = []
    for each in seen.looked:
        symbol = asked.symbols[each.key]
        doubt = judge.doubt(each)
        if doubt is not None:
            not_screened.append(NotScreened(symbol, each.key, *doubt))
        elif each.matches:
            matches.append(Match.of(symbol, each))
    return Found(
        version=history.candles.version,
        newest=dict(history.last),
        universe=len(asked.symbols) + len(asked.unknown),
        matches=sorted(matches, key=_name),
        not_screened=sorted(not_screened, key=_name),
    )


def _name(each: Match | NotScreened) -> tuple[str, str]:
    return each.symbol, each.instrument_key


@dataclass(slots=True)
class _Seen:
    """What all pieces together have shown."""

    looked: list[Looked] = field(default_factory=list)
    lacking: dict[str, str] = field(default_factory=dict)  # by key, a timeframe without any bar
    sessions: dict[str, set[date]] = field(default_factory=dict)

    def add(self, question: Question, frames: Mapping[str, Bars]) -> None:
        looked, lacking = look(question, frames)
        self.looked += looked
        self.lacking |= lacking
        for frame, bars in frames.items():
            self.sessions.setdefault(frame, set()).update(bars.days)


#: (instrument_key, timeframe label) -> the first day of a request that failed, and of what.
_Failures = dict[tuple[str, str], tuple[date, str]]


def _failures(receipts: pa.Table) -> _Failures:
    """Of each series the failure that reaches back furthest, whatever has become of it since."""
    failed = receipts.filter(pc.equal(receipts["status"], Status.FAILED))
    names = ("instrument_key", "timeframe", "first", "cause")
    found: _Failures = {}
    for key, label, first, cause in zip(*(failed[name].to_pylist() for name in names), strict=True):
        found[key, label] = min((first, cause), found.get((key, label), (first, cause)))
    return found


def _without_data(asked: Asked, seen: _Seen, failures: _Failures) -> Iterator[NotScreened]:
    for name in asked.unknown:
        yield NotScreened(name, "", Reason.NO_DATA, "the store was never asked for it")
    for key, label in seen.lacking.items():
        failure = failures.get((key, label))
        why = f"; requests have failed ({failure[1]})" if failure else ""
        yield NotScreened(
            asked.symbols[key], key, Reason.NO_DATA, f"there is no {label} of it{why}"
        )


@dataclass(frozen=True, slots=True)
class _Judge:
    """Tells of whom nothing can be said, and why."""

    question: Question
    history: History
    newest: Mapping[str, Mapping[str, date]]  # session of each timeframe, where markets differ
    held: coverage.Held
    failures: _Failures
    sessions: Mapping[str, set[date]]  # that any instrument had
    max_age: int

    def doubt(self, each: Looked) -> tuple[Reason, str] | None:
        for frame, last in each.newest.items():
            newest = self.newest[frame].get(market(each.key), self.history.last[frame])
            if (newest - last).days > self.max_age:
                label = self.question.timeframes[frame].label
                return Reason.STALE, f"its last {label} is of {last}, the newest of {newest}"
        for frame, (since, last) in each.used.items():
            timeframe = self.question.timeframes[frame]
            label = timeframe.label
            _, first = timeframe.bar_days(since)  # within its first bar a request may have begun
            failed, _ = self.failures.get((each.key, label), (first, ""))
            first = min(first, failed) if frame in each.short else first
            missing = unanswered(self.held, each.key, label, (first, last), self.sessions[frame])
            if missing:
                several = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
                return Reason.INCOMPLETE, f"no answer counts for {label} of {missing[0]}{several}"
        if each.unknown is None:
            return None
        too_short, detail = each.unknown
        return (Reason.TOO_SHORT if too_short else Reason.UNDEFINED), detail
