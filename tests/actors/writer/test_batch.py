from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from actors.market.candles import Delivery
from actors.market.chunk import Cause, Status
from actors.writer.batch import check, denies, has_rows, layers, unanswered
from actors.writer.occupied import Occupied, extent, series
from actors.writer.reading import Store
from actors.writer.store import StoreWriter

DAWN = date(2024, 1, 1)

orders = st.tuples(
    st.sampled_from(["N|A", "N|B"]),
    st.integers(0, 12),
    st.integers(0, 4),
    st.sampled_from(["stored", "stored", "empty", "failed"]),
)


def touch(one, other):
    (first, last), (from_, to) = extent(one.receipt.chunk), extent(other.receipt.chunk)
    return (
        series(one.receipt.chunk) == series(other.receipt.chunk) and first <= to and from_ <= last
    )


@given(st.lists(orders, max_size=10), st.lists(orders, max_size=4))
def test_layers_keep_the_order_of_what_overlaps(kit, batch, standing):
    """Each delivery once; none touches another that tells of rows in its layer; the later lies later."""
    deliveries = [
        getattr(kit, outcome)(kit.chunk(key, DAWN + timedelta(n), DAWN + timedelta(n + more)))
        for key, n, more, outcome in batch
    ]
    occupied = Occupied()
    for key, n, more, _ in standing:
        occupied.add(kit.chunk(key, DAWN + timedelta(n), DAWN + timedelta(n + more)))
    found = layers(deliveries, occupied)
    depth = {id(d): depth for depth, layer in enumerate(found) for d in layer}
    assert sorted(map(id, deliveries)) == sorted(id(d) for layer in found for d in layer)
    for place, one in enumerate(deliveries):
        if (has_rows(one) or denies(one)) and occupied.overlaps(one.receipt.chunk):
            assert depth[id(one)] > 0  # nothing is appended where rows stand, nor overheard
        for other in deliveries[place + 1 :]:
            if touch(one, other) and (has_rows(one) or denies(one)):
                assert depth[id(one)] < depth[id(other)]
            elif touch(one, other):  # without rows: looked at first in its layer
                assert depth[id(one)] <= depth[id(other)]


others = st.tuples(
    st.integers(0, 30),
    st.integers(0, 12),
    st.integers(-1, 1),
    st.sampled_from(["stored", "empty", "failed"]),
)


def days_of(delivery):
    first, last = extent(delivery.receipt.chunk)
    return [first + timedelta(n) for n in range((last - first).days + 1)]


@given(
    st.sampled_from(["1day", "1week", "5minute"]),
    st.integers(0, 20),
    st.integers(0, 20),
    st.sampled_from(["stored", "empty", "failed"]),
    st.lists(others, max_size=5),
)
def test_of_a_late_answer_the_days_are_left_that_no_newer_one_has(
    kit, timeframe, n, more, outcome, answers
):
    """In pieces that keep its rows and each tell of them; once they are in the store, nothing is."""
    chunk = kit.chunk("N|A", DAWN + timedelta(n), DAWN + timedelta(n + more), timeframe)
    late = getattr(kit, outcome)(chunk)
    known = [
        kit.receipt(
            kit.chunk("N|A", DAWN + timedelta(n), DAWN + timedelta(n + more), timeframe),
            Status(status),
            run_id="other",
            fetched_at=late.receipt.fetched_at + timedelta(seconds=later),
        )
        for n, more, later, status in answers
    ]
    newer = [r for r in known if r.fetched_at > late.receipt.fetched_at and r.status != "failed"]
    overtaken = {day for receipt in newer for day in days_of(Delivery(receipt))}
    left = unanswered([late], known)
    wanted = [day for day in days_of(late) if day not in overtaken]
    assert sorted(day for piece in left for day in days_of(piece)) == wanted
    for piece in left:
        check(piece)
        assert chunk.first <= piece.receipt.chunk.first <= piece.receipt.chunk.last <= chunk.last
        assert piece.receipt.rows == (piece.candles.num_rows if piece.candles else 0)
        if piece is not late:
            assert (piece.receipt.status is Status.STORED) == (piece.receipt.rows > 0)
    rows = [row for piece in left if piece.candles for row in piece.candles.to_pylist()]
    whole = late.candles.to_pylist() if late.candles else []
    assert rows == [row for row in whole if row["date"] not in overtaken]
    assert unanswered([late], [*known, *(piece.receipt for piece in left)]) == []


def test_deliveries_that_touch_nothing_are_one_layer(kit):
    """So that the usual batch is a single commit."""
    batch = [kit.stored(kit.chunk(f"N|{n}", DAWN, DAWN)) for n in range(50)]
    assert layers(batch, Occupied()) == [batch]


def test_a_late_answer_gives_way_to_newer_rows_though_their_chunk_has_failed(kit):
    """As one does whose answer lacks a day that stands; a failure without rows answers nothing."""
    late = kit.stored(kit.chunk("N|A", DAWN, DAWN))
    newer = kit.stored(kit.chunk("N|A", DAWN, DAWN + timedelta(1)), run_id="newer").receipt
    newer = replace(newer, status=Status.FAILED, cause=Cause.VANISHED)
    assert unanswered([late], [newer]) == []
    assert unanswered([late], [replace(newer, rows=0)]) == [late]


def test_a_late_answer_that_lacks_what_stands_on_the_days_left_to_it_says_so(kit, uri):
    """It had rows, but of other days; on these it is a denial like any other."""
    chunk = kit.chunk("N|A", DAWN, DAWN + timedelta(30))
    writer = StoreWriter(uri)
    writer.commit([kit.stored(chunk)])
    late = kit.stored(chunk, days=kit.days(chunk)[:10], run_id="late")
    newer = kit.stored(kit.chunk("N|A", DAWN, DAWN + timedelta(14)), run_id="newer")
    writer.commit([newer])
    assert writer.recover([late]) == 1
    (told,) = writer.receipts_of("late")
    assert (told.cause, told.rows, len(kit.rows(uri))) == (Cause.VANISHED, 0, 31)
    assert Store(uri).candles(final_only=True).to_arrow().num_rows == 15
