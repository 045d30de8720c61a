from __future__ import annotations

from datetime import UTC, date, datetime

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from actors.market.candles import Delivery
from actors.market.chunk import Chunk, Receipt, Status
from actors.market.timeframe import Timeframe
from actors.writer.buffer import Buffer, BufferRules, bytes_of

RULES = BufferRules(commit_every_s=5.0, commit_bytes=4_000, limit_bytes=10_000)


def delivery(number: int, rows: int) -> Delivery:
    day = date(2024, 1, 1)
    chunk = Chunk(f"NSE_EQ|{number}", "S", Timeframe.parse("1day"), day, day)
    receipt = Receipt(chunk=chunk, status=Status.STORED, run_id="r", fetched_at=datetime.now(UTC))
    return Delivery(receipt, candles=pa.table({"x": pa.array(range(rows), pa.int64())}))


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 900))))
def test_what_goes_in_comes_out_once_and_the_limit_holds(offers: list[tuple[int, int]]) -> None:
    """Of a chunk delivered twice the newest stands; the buffer is never fuller than its limit."""
    buffer = Buffer(RULES)
    naive: dict[str, Delivery] = {}
    for number, rows in offers:
        offer = delivery(number, rows)
        if not buffer.has_room(offer):
            assert buffer.size_bytes + bytes_of(offer) > RULES.limit_bytes
            continue
        buffer.add(offer, 0.0)
        naive[offer.receipt.chunk.id] = offer
        assert buffer.size_bytes == sum(map(bytes_of, naive.values()))
        assert buffer.size_bytes <= RULES.limit_bytes
    assert sorted(map(id, buffer.take())) == sorted(map(id, naive.values()))
    assert buffer.take() == []
    assert buffer.size_bytes == 0


def test_a_commit_is_due_by_age_of_the_oldest() -> None:
    buffer = Buffer(RULES)
    assert buffer.due_s(100.0) is None
    buffer.add(delivery(1, 1), 100.0)
    buffer.add(delivery(2, 1), 104.0)
    assert buffer.due_s(104.0) == 1.0
    assert buffer.due_s(999.0) == 0.0
    buffer.take()
    buffer.add(delivery(3, 1), 200.0)
    assert buffer.due_s(200.0) == 5.0


def test_a_commit_is_due_by_size_at_once() -> None:
    buffer = Buffer(RULES)
    buffer.add(delivery(1, 500), 0.0)
    assert buffer.due_s(0.0) == 0.0


def test_a_delivery_larger_than_the_limit_still_fits_an_empty_buffer() -> None:
    buffer = Buffer(RULES)
    assert buffer.has_room(delivery(1, 100_000))
