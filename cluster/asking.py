"""A screen that a run answers: what is said of it before, who matches meanwhile, the answer at the end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

from actors.market.errors import CandlefleetError, StoreError
from actors.writer.reading import Store
from cluster.derive import due_of
from cluster.derived import MINUTE, is_derivable
from cluster.exit import Exit
from cluster.plan import wanted_days
from cluster.record import write_answer
from cluster.wording import counted

if TYPE_CHECKING:
    from rich.console import Console

    from cluster.config import RunConfig
    from cluster.scan import Finished, Prepared
    from cluster.screen.answer import Answer
    from cluster.screen.live import LiveScreen
    from cluster.screen.screen import Screen

_NAMED = 5


def refuse_unfit(screen: Screen, config: RunConfig) -> None:
    """Raises UsageError if the screen asks about what is neither fetched nor held."""
    from cluster.screen.beforehand import refuse

    timeframes = {timeframe for ask in config.asks for timeframe in ask.timeframes}
    if config.derive and any(map(is_derivable, timeframes)):
        timeframes.add(MINUTE)
    held = {holding.timeframe for holding in Store(config.store).holdings()}
    refuse(screen, {timeframe.label for timeframe in timeframes}, held)


def remarks(screen: Screen, prepared: Prepared) -> Iterator[str]:
    """What will leave it without an answer, and whom it can tell of only at the end."""
    from cluster.screen.beforehand import shortness

    yield from shortness(screen, _days(prepared))
    if late := _late(screen, prepared):
        some = counted(len(late), "instrument")
        yield f"{screen.name} waits for the end with {some}, whose bars are computed then."


@contextmanager
def meanwhile(
    screen: Screen | None, prepared: Prepared, console: Console, began_s: float
) -> Iterator[LiveScreen | None]:
    """Within, the screen is asked of each instrument that is whole. None: of nobody before the end."""
    if screen is None or not prepared.plan.chunks:
        yield None
        return
    from cluster.screen.live import LiveScreen
    from cluster.screen.owed import Owed

    owed = Owed(screen.question.labels, prepared.plan.chunks, _late(screen, prepared))
    with LiveScreen(screen, prepared.store, owed, console, began_s) as live:
        yield live


def answered(
    finished: Finished, screen: Screen, prepared: Prepared, live: LiveScreen | None
) -> Finished:
    """With the answer, of the store as the run has left it; the run's folder keeps it, if there is one."""
    name = screen.name
    try:
        if live:
            live.end()
        answer = screen.run(prepared.store)
    except CandlefleetError as error:
        code, said = finished.exit or Exit.INCOMPLETE, f"candlefleet: {name} has no answer: {error}"
        return replace(finished, exit=code, lines=[*finished.lines, said])
    except KeyboardInterrupt:
        said = f"Interrupted before {name} was answered; `candlefleet screen` does it."
        return replace(finished, exit=Exit.INTERRUPTED, lines=[*finished.lines, said])
    lines = [*finished.lines, *_withdrawn(answer, live)]
    try:
        folder = prepared.store.run(finished.summary.run_id)
        if folder.names():  # a run with nothing to do leaves none
            write_answer(folder, answer)
    except StoreError as error:
        lines.append(f"candlefleet: {error}")
    return replace(finished, answer=answer, lines=lines)


def _withdrawn(answer: Answer, live: LiveScreen | None) -> Iterator[str]:
    """Who has matched meanwhile and is not screened in the end, where something newer came of others."""
    reasons = {each.instrument_key: each.reason for each in answer.not_screened}
    gone = [
        f"{match.symbol} ({reasons[match.instrument_key]})"
        for match in (live.matches if live else ())
        if match.instrument_key in reasons
    ]
    if gone:
        more = f" and {len(gone) - _NAMED:,} more" if len(gone) > _NAMED else ""
        yield f"Matched meanwhile, and not screened in the end: {', '.join(gone[:_NAMED])}{more}."


def _days(prepared: Prepared) -> dict[str, tuple[date, date]]:
    """The first and last day there will be of each timeframe, by what is wanted and what is held."""
    wants = (*prepared.wants.wants, *prepared.wants.written)
    spans = [
        (timeframe.label, date.fromordinal(days[0][0]), date.fromordinal(days[-1][1]))
        for (_, timeframe), days in wanted_days(wants, prepared.clock.now()).items()
        if days
    ]
    spans += [(each.timeframe, each.first, each.last) for each in prepared.store.holdings()]
    return _united(spans)


def _united(spans: Iterable[tuple[str, date, date]]) -> dict[str, tuple[date, date]]:
    found: dict[str, tuple[date, date]] = {}
    for label, first, last in spans:
        begins, ends = found.get(label, (first, last))
        found[label] = min(first, begins), max(last, ends)
    return found


def _late(screen: Screen, prepared: Prepared) -> set[str]:
    """Keys of instruments of which longer bars are still to be computed that the screen asks about."""
    labels = {*screen.question.labels}
    derived = {
        want.instrument.instrument_key
        for want in prepared.wants.derived
        if want.timeframe.label in labels
    }
    minutes = {c.instrument_key for c in prepared.plan.chunks if c.timeframe == MINUTE}
    due = {
        each.chunk.instrument_key
        for each in due_of(prepared)
        if each.chunk.timeframe.label in labels
    }
    return derived & minutes | due
