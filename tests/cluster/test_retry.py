from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.market.chunk import Cause, Chunk, Receipt, Status
from actors.market.timeframe import Timeframe
from actors.writer.reading import Store
from actors.writer.store import StoreWriter
from cluster import retry
from cluster.config import load
from cluster.plan import plan
from cluster.provider import provider_of
from cluster.retry import Filters, wants_of
from tests.actors.writer.conftest import Kit

NOW = datetime(2024, 6, 10, tzinfo=UTC)
TIMEFRAMES = [Timeframe.parse(label) for label in ("1day", "5minute", "1week")]
CAUSES = [Cause.TIMEOUT, Cause.VANISHED, Cause.UNKNOWN_INSTRUMENT]
RUNS = ["run-1", "run-2"]
KEYS = {"NSE_EQ|A": "A", "NSE_EQ|B": "B", "BSE_EQ|A": "A"}


@st.composite
def letters(draw: st.DrawFn) -> Receipt:
    key = draw(st.sampled_from([*KEYS]))
    first = date(2024, 1, 1) + timedelta(draw(st.integers(0, 130)))
    last = first + timedelta(draw(st.integers(0, 20)))
    return Receipt(
        chunk=Chunk(key, KEYS[key], draw(st.sampled_from(TIMEFRAMES)), first, last),
        status=Status.FAILED,
        cause=draw(st.sampled_from(CAUSES)),
        run_id=draw(st.sampled_from(RUNS)),
        fetched_at=NOW,
    )


def bars(chunk: Chunk) -> set[tuple[str, str, date]]:
    """What a chunk asks for: the first days of its bars."""
    days = (chunk.first + timedelta(n) for n in range((chunk.last - chunk.first).days + 1))
    begins = {chunk.timeframe.bar_days(day)[0] for day in days}
    return {(chunk.instrument_key, chunk.timeframe.label, begin) for begin in begins}


@given(st.lists(letters(), max_size=12))
def test_all_days_that_failed_are_asked_for_once(failed: list[Receipt]) -> None:
    """However they overlap, in no more requests than there are dead letters, and of no other series."""
    chunks = plan(wants_of(failed).wants, {}, NOW).chunks
    asked = [bar for chunk in chunks for bar in bars(chunk)]
    assert len(asked) == len(set(asked))
    wanted = {bar for letter in failed for bar in bars(letter.chunk)}
    assert set(asked) >= wanted
    assert {bar[:2] for bar in asked} == {bar[:2] for bar in wanted}
    assert len(chunks) <= len(failed)


@given(
    st.lists(letters(), max_size=12),
    st.sets(st.sampled_from(CAUSES)),
    st.sets(st.sampled_from(["A", "BSE_EQ|A", "B", "C"])),
    st.sets(st.sampled_from(TIMEFRAMES)),
    st.sets(st.sampled_from(RUNS)),
)
def test_a_dead_letter_passes_if_no_filter_stops_it(
    failed: list[Receipt],
    causes: set[Cause],
    symbols: set[str],
    timeframes: set[Timeframe],
    runs: set[str],
) -> None:
    """One that names nothing stops nothing; a symbol stands for all its instruments."""
    filters = Filters(causes=causes, symbols=symbols, timeframes=timeframes, runs=runs)
    for letter in failed:
        stopped = (
            (causes and letter.cause not in causes)
            or (timeframes and letter.chunk.timeframe not in timeframes)
            or (runs and letter.run_id not in runs)
        )
        if symbols and letter.chunk.symbol not in symbols:
            stopped = stopped or letter.chunk.instrument_key not in symbols
        assert filters.passes(letter) == (not stopped)


def test_the_run_says_what_it_asks_for_again() -> None:
    """By cause, the most frequent first; with nothing to ask, nothing."""
    chunk = Chunk("NSE_EQ|A", "A", TIMEFRAMES[0], NOW.date(), NOW.date())
    failed = [
        Receipt(chunk=chunk, status=Status.FAILED, cause=cause, run_id="r", fetched_at=NOW)
        for cause in (Cause.POISON, Cause.TIMEOUT, Cause.TIMEOUT)
    ]
    notes = ("Asking again for 3 dead letters: timeout 2, poison 1.",)
    assert wants_of(failed).notes == notes
    assert wants_of([]).notes == ()


@pytest.mark.parametrize(("today", "asked"), [("true", [NOW.date()]), ("false", [])])
def test_the_running_day_is_asked_for_again_where_the_config_wants_it(
    tmp_path: Path, today: str, asked: list[date]
) -> None:
    """A dead letter of today can be answered by the intraday endpoint only."""
    kit, path = Kit(), tmp_path / "config.yaml"
    path.write_text(
        f"store: {tmp_path}/store\ntoday: {today}\n"
        "universe: {symbols: [A]}\ntimeframes: [5minute]\ndates: {from: 2024-06-01}\n"
    )
    failed = kit.failed(kit.chunk("NSE_EQ|A", NOW.date(), NOW.date(), "5minute"))
    StoreWriter(f"{tmp_path}/store").commit([failed])
    with provider_of(load(path)) as provider:
        store = Store(f"{tmp_path}/store")
        _, found = retry._planned(Filters(), load(path), provider, store, NOW)
    assert [chunk.first for chunk in found.chunks] == asked
