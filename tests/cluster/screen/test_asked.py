from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.market.chunk import Chunk, Receipt, Status
from actors.writer.receipts import receipts_table
from cluster.screen.asked import Asked, unanswered
from tests.cluster.screen.market import DAY, MONDAY

AT = datetime(2026, 1, 1, tzinfo=UTC)
offsets = st.integers(0, 40)


def day(n: int) -> date:
    return MONDAY + timedelta(n)


@given(st.lists(st.tuples(offsets, offsets), max_size=6), offsets, offsets, st.sets(offsets))
def test_a_day_without_an_answer_is_found_wherever_it_lies(answers, first, length, sessions):
    """Against a look at every day by itself; weekends count where somebody had a session."""
    spans = sorted((day(min(pair)), day(max(pair)), AT) for pair in answers)
    had = {day(n) for n in sessions}
    found = unanswered({("K", "1day"): spans}, "K", "1day", (day(first), day(first + length)), had)
    expected = [
        each
        for each in (day(n) for n in range(first, first + length + 1))
        if not any(begin <= each <= end for begin, end, _ in spans)
        and (each.weekday() < 5 or each in had)
    ]
    assert found == expected


def receipts(*pairs: tuple[str, str]):
    """Each a minute after the one before."""
    facts = {"status": Status.STORED, "run_id": "r", "rows": 1}
    chunks = [Chunk(key, symbol, DAY, MONDAY, MONDAY) for key, symbol in pairs]
    return receipts_table(
        [
            Receipt(chunk=chunk, fetched_at=AT + timedelta(minutes=n), **facts)
            for n, chunk in enumerate(chunks)
        ]
    )


SBIN, AT_BSE, NIFTY = "NSE_EQ|INE062A01020", "BSE_EQ|INE062A01020", "NSE_INDEX|Nifty 50"


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("SBIN", SBIN),
        ("sbin", SBIN),
        ("NSE:SBIN", SBIN),
        ("BSE:SBIN", AT_BSE),
        ("INE062A01020", SBIN),
        (AT_BSE, AT_BSE),
        (f"{SBIN}|SBIN", SBIN),
        ("Nifty 50", NIFTY),
    ],
)
def test_an_instrument_is_named_as_in_a_config(name, meant):
    """One share at two exchanges is NSE's, where none is named."""
    held = receipts((SBIN, "SBIN"), (AT_BSE, "SBIN"), (NIFTY, "Nifty 50"))
    assert [*Asked.of(held, ["1day"], [name]).symbols] == [meant]


def test_of_a_share_whose_isin_has_changed_the_newest_is_meant():
    """Among all, both are there: the old one ends where it was renamed, and is told so."""
    old, new = "NSE_EQ|INE237A01036", "NSE_EQ|INE237A01028"
    held = receipts((old, "KOTAKBANK"), (new, "KOTAKBANK"))
    assert [*Asked.of(held, ["1day"], ["kotakbank"]).symbols] == [new]
    assert [*Asked.of(held, ["1day"], [old]).symbols] == [old]
    assert len(Asked.of(held, ["1day"], None).symbols) == 2


def test_names_that_nothing_answers_to_are_kept_once():
    asked = Asked.of(receipts((SBIN, "SBIN")), ["1day"], ["NOSUCH", "SBIN", "NOSUCH", "NSE_EQ|X"])
    assert asked.unknown == ("NOSUCH", "NSE_EQ|X")
    assert [*asked.symbols] == [SBIN]
    assert Asked.of(receipts((SBIN, "SBIN")), ["1day"], ["BSE:SBIN"]).unknown == ("BSE:SBIN",)
    assert [*Asked.of(receipts((AT_BSE, "SBIN")), ["1day"], ["SBIN"]).symbols] == [AT_BSE]


def test_all_that_a_timeframe_was_asked_for_are_everybody():
    held = receipts((SBIN, "OLDNAME"), (NIFTY, "Nifty 50"))
    assert Asked.of(held, ["1day", "5minute"], None).symbols == {SBIN: "OLDNAME", NIFTY: "Nifty 50"}
    assert Asked.of(held, ["5minute"], None).symbols == {}
