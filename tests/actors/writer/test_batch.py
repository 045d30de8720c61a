from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from actors.market.chunk import Cause, Status
from actors.writer.batch import has_rows, layers, unanswered
from actors.writer.occupied import Occupied, extent, series

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
    """Each delivery once; none touches another with rows in its layer; the later lies later."""
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
        if has_rows(one) and occupied.overlaps(one.receipt.chunk):
            assert depth[id(one)] > 0  # nothing is appended where rows stand
        for other in deliveries[place + 1 :]:
            if touch(one, other) and has_rows(one):
                assert depth[id(one)] < depth[id(other)]
            elif touch(one, other):  # without rows: looked at first in its layer
                assert depth[id(one)] <= depth[id(other)]


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
