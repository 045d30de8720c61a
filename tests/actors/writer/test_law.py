"""Law 4 under everything a writer meets, against a dict."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from actors.market.candles import CANDLES
from actors.market.chunk import Cause, Status
from actors.market.errors import WriterFenced
from actors.market.sessions import IST, ist_date
from actors.writer import store
from actors.writer.batch import denies, has_rows
from actors.writer.occupied import extent
from actors.writer.reading import Store
from actors.writer.store import StoreWriter

KEYS = ["NSE_INDEX|Nifty 50", "NSE_EQ|O'Neil \"&\" Söhne -- ') OR TRUE"]
TIMEFRAMES = ["1day", "1day", "5minute", "1week", "1month"]
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
DAWN = date(2023, 12, 18)  # so that spans cross months and a year


@st.composite
def orders(draw):
    """What a delivery shall be: instrument, timeframe, days, outcome, price, days and bars left out."""
    first = DAWN + timedelta(days=draw(st.integers(0, 24)))
    last = first + timedelta(days=draw(st.integers(0, 20)))
    outcome = draw(st.sampled_from(["stored", "stored", "stored", "empty", "failed"]))
    thinned = draw(st.sampled_from([(1, 2), (1, 2), (2, 2), (3, 2), (1, 1), (2, 1)]))
    return (
        draw(st.sampled_from(KEYS)),
        draw(st.sampled_from(TIMEFRAMES)),
        first,
        last,
        outcome,
        draw(st.integers(1, 1000)),
        thinned,
    )


class StoreOfDicts(RuleBasedStateMachine):
    kit = None  # handed in by the test

    @initialize(refresh_every=st.sampled_from([1, 3, 100]))
    def _open(self, refresh_every):
        self.undo = pytest.MonkeyPatch()
        self.undo.setattr(store, "_REFRESH_EVERY", refresh_every)
        self.folder = tempfile.TemporaryDirectory()
        self.uri = str(Path(self.folder.name) / "store")
        self.writer = StoreWriter(self.uri)
        self.stand: dict[tuple, tuple[date, float]] = {}  # key of a candle -> its day and price
        self.missed: set[tuple] = set()  # of them, those that the newest answer lacked
        self.answers: list[tuple] = []  # series, days and time of each, and whether it was believed
        self.booked: list[tuple[str, str, str]] = []
        self.seen = 0  # versions checked so far
        self.count = 0

    @rule(batches=st.lists(st.lists(orders(), min_size=2, max_size=6), min_size=1, max_size=4))
    def commit_some(self, batches):
        for batch in batches:
            self.commit(batch)

    def commit(self, batch):
        """A batch ends as if its deliveries had been taken one after another."""
        deliveries = [self._delivery(*order) for order in batch]
        before = set(self.stand)
        expected = [self._take(delivery) for delivery in deliveries]
        lasting = before & set.intersection(*(keys for _, keys in expected))
        done = self.writer.commit(deliveries)
        assert [receipt.status for receipt in done.receipts] == [status for status, _ in expected]
        assert done.rows == sum(d.candles.num_rows for d in deliveries if d.candles is not None)
        assert done.candles_version == DeltaTable(f"{self.uri}/candles").version()
        self._look_at_every_version(lasting)

    @rule(order=orders())
    def die_between_the_commits(self, order):
        """Rows whose receipts a crash held back: readers see both, and the next writer finishes."""
        delivery = self._delivery(*order)
        replaces = self.writer._occupied.overlaps(delivery.receipt.chunk)
        if not (has_rows(delivery) or (replaces and denies(delivery))):
            return
        before = set(self.stand)
        _, after = self._take(delivery)
        bare, kept = [], []
        if replaces:
            self.writer._replace([delivery], bare, kept)
        else:
            self.writer._append([delivery])
        if bare or kept:
            self.booked.pop()  # nothing was to be committed but the receipt
            self.answers.pop()
        seen = Store(self.uri).receipts()
        assert sorted(
            zip(seen["chunk_id"].to_pylist(), seen["run_id"].to_pylist(), strict=True)
        ) == (sorted((chunk_id, run_id) for chunk_id, run_id, _ in self.booked))
        self.writer = StoreWriter(self.uri)
        self._look_at_every_version(before & after)

    @rule(hours=st.sampled_from([1, 5, 24, 24]))
    def let_hours_pass(self, hours):
        self.kit._clock += hours * HOUR

    @rule()
    def reopen(self):
        self.writer = StoreWriter(self.uri)

    @rule()
    def compact(self):
        """Merging files changes nothing."""
        self.writer.tidy(DAWN + 99 * DAY)
        self._look_at_every_version(set(self.stand))

    @rule(order=orders())
    def be_overtaken(self, order):
        """A writer that missed another's commit is turned away, and leaves no trace."""
        stale, self.writer = self.writer, StoreWriter(self.uri)
        self.commit([(KEYS[0], "1day", DAWN, DAWN, "stored", 5000 + self.count, (1, 2))])
        late = self._delivery(*order[:4], "stored", *order[5:])
        if late.candles.num_rows:
            with pytest.raises(WriterFenced):
                stale.commit([late])

    @invariant()
    def the_table_is_what_the_dict_says(self):
        rows = {row[:3]: row[3] for row in self.kit.rows(self.uri)}
        assert rows == {key: price for key, (_, price) in self.stand.items()}
        doubtful = pa.table(DeltaTable(f"{self.uri}/candles").scan(predicate="NOT final"))
        columns = [doubtful[name].to_pylist() for name in ("instrument_key", "timeframe", "ts")]
        assert set(zip(*columns, strict=True)) == self.missed

    @invariant()
    def every_receipt_stands_once(self):
        assert self.kit.receipts(self.uri) == sorted(self.booked)

    def teardown(self):
        if hasattr(self, "folder"):
            self.undo.undo()
            self.folder.cleanup()

    def _delivery(self, *order):
        key, timeframe, first, last, outcome, price, thinned = order
        self.count += 1
        chunk, run_id = self.kit.chunk(key, first, last, timeframe), f"run-{self.count}"
        if outcome == "stored":
            every, bars_a_day = thinned
            days = self.kit.days(chunk)[::every]
            if early := {chunk.timeframe.bar_days(first)[0]} - {first} if price % 2 else set():
                days = sorted(early | set(days))  # the bar under way on the first day
            return self.kit.stored(
                chunk, float(price), days=days, run_id=run_id, bars_a_day=bars_a_day
            )
        return getattr(self.kit, outcome)(chunk, run_id)

    def _take(self, delivery):
        """Do to the dict what the table should see done. Its status, and all keys afterwards."""
        receipt, chunk = delivery.receipt, delivery.receipt.chunk
        series = (chunk.instrument_key, chunk.timeframe.label)
        status = receipt.status
        new = [] if delivery.candles is None else delivery.candles.to_pylist()
        first = min([chunk.first, *(row["date"] for row in new)])
        standing = [
            key
            for key, (day, _) in self.stand.items()
            if key[:2] == series and first <= day <= chunk.last
        ]
        if status is not Status.FAILED:
            keys = {(*series, row["ts"]) for row in new}
            lacking = set(standing) - keys
            if doubted := {key for key in lacking if not self._may_go(key, receipt.fetched_at)}:
                status = Status.FAILED
            self.answers.append((series, *extent(chunk), receipt.fetched_at, not doubted))
            for key in set(standing) - doubted:
                del self.stand[key]
            self.stand |= {(*series, row["ts"]): (row["date"], row["close"]) for row in new}
            self.missed = (self.missed - set(standing)) | doubted
        self.booked.append((chunk.id, receipt.run_id, str(status)))
        return status, set(self.stand)

    def _may_go(self, key, at):
        """What an answer lacks goes by the word of a second one, hours later and of another day."""
        if key not in self.missed:
            return False
        day, doubts = self.stand[key][0], []
        for series, first, last, told_at, believed in self.answers:
            if series == key[:2] and first <= day <= last:
                doubts = [] if believed else [*doubts, told_at]
        return any(ist_date(t) < ist_date(at) and at - t >= 6 * HOUR for t in doubts)

    def _look_at_every_version(self, lasting):
        """No candle twice; and what stood before and after was never gone."""
        newest = DeltaTable(f"{self.uri}/candles").version()
        for version in range(self.seen + 1, newest + 1):
            keys = [row[:3] for row in self.kit.rows(self.uri, version)]
            assert len(keys) == len(set(keys)), f"version {version} holds a candle twice"
            assert lasting <= set(keys), f"version {version} shows a hole"
        self.seen = newest


def test_every_version_holds_each_candle_once_and_the_last_one_all(kit):
    """Any mix of appends, replacements, answers that lack days, empty ones, failures, crashes and merges."""
    machine = type("Machine", (StoreOfDicts,), {"kit": kit})
    quick = settings(
        max_examples=8,
        stateful_step_count=10,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=quick)


def test_an_empty_answer_goes_by_the_word_of_one_of_another_day(kit, uri):
    """Where candles stand: an outage may last an evening. Where none do, it is believed at once."""
    january = kit.chunk(KEYS[0], date(2024, 1, 1), date(2024, 1, 31))
    days = [date(2024, 1, 2), date(2024, 1, 3)]
    writer = StoreWriter(uri)
    writer.commit([kit.stored(january, days=days)])
    within = kit.chunk(KEYS[0], date(2024, 1, 3), date(2024, 1, 9))
    beside = kit.chunk(KEYS[0], date(2024, 1, 4), date(2024, 1, 9))
    vanished, empty = writer.commit([kit.empty(within, "1"), kit.empty(beside, "1")]).receipts
    assert (vanished.status, vanished.cause) == (Status.FAILED, Cause.VANISHED)
    assert "is empty and lacks 1 candles" in str(vanished.error)
    assert empty.status is Status.EMPTY
    (again,) = writer.commit([kit.empty(within, "2")]).receipts
    assert again.cause is Cause.VANISHED
    assert len(kit.rows(uri)) == 2
    assert Store(uri).candles(final_only=True).to_arrow()["date"].to_pylist() == days[:1]
    assert Store(uri).dead_letters()["chunk_id"].to_pylist() == [within.id]
    kit._clock += DAY
    (gone,) = StoreWriter(uri).commit([kit.empty(within, "3")]).receipts
    assert (gone.status, gone.revised, gone.cause) == (Status.EMPTY, 1, None)
    assert [row[2].astimezone(IST).date() for row in kit.rows(uri)] == days[:1]
    assert Store(uri).dead_letters().num_rows == 0
    assert len(kit.receipts(uri)) == 5


OUTAGE = ["empty", "cut", "cut", "midnight", "cut", "empty"]


def test_answers_of_one_outage_confirm_each_other_never(kit, uri):
    """Be they empty or cut, be there a midnight among them; the next day's does."""
    chunk = kit.chunk(KEYS[0], date(2024, 1, 1), date(2024, 1, 31))
    kit._clock = datetime(2024, 6, 2, 23, 55, tzinfo=IST)
    writer, said = StoreWriter(uri), set()
    writer.commit([kit.stored(chunk)])
    cut = kit.days(chunk)[:10]
    for number, word in enumerate(OUTAGE):
        if word == "midnight":
            kit._clock += timedelta(minutes=9)
            continue
        run_id = str(number)
        late = kit.empty(chunk, run_id) if word == "empty" else kit.stored(chunk, days=cut)
        (told,) = writer.commit([late]).receipts
        said.add((told.status, told.cause))
        assert len(kit.rows(uri)) == 31
    assert said == {(Status.FAILED, Cause.VANISHED)}
    kit._clock += DAY
    (told,) = writer.commit([kit.stored(chunk, days=cut, run_id="last")]).receipts
    assert (told.status, told.revised, len(kit.rows(uri))) == (Status.STORED, 21, 10)


def test_a_doubt_that_an_answer_has_cleared_is_none_years_later(kit, uri):
    """Bars that came again, whole, are as final as any: it takes two answers anew."""
    chunk = kit.chunk(KEYS[0], date(2024, 1, 1), date(2024, 1, 31))
    writer, found = StoreWriter(uri), []
    writer.commit([kit.stored(chunk)])
    for days in (10, 31, 10, 10):
        kit._clock += DAY * (days > 10)
        late = kit.stored(chunk, days=kit.days(chunk)[:days], run_id=f"{len(found)}")
        (told,) = writer.commit([late]).receipts
        found.append((str(told.status), len(kit.rows(uri))))
        kit._clock += timedelta(minutes=1)
    assert found == [("failed", 31), ("stored", 31), ("failed", 31), ("failed", 31)]


def test_a_doubted_bar_within_a_day_stays_though_the_others_come(kit, uri):
    """It is not final for the doubt alone; after an empty answer as after one given twice."""
    chunk = kit.chunk(KEYS[0], DAWN, DAWN + 2 * DAY, "5minute")
    writer = StoreWriter(uri)
    writer.commit([kit.stored(chunk, bars_a_day=6)])
    cut = kit.stored(chunk, bars_a_day=2, run_id="2")
    for late in (kit.empty(chunk, "1"), cut, cut):
        (told,) = writer.commit([late]).receipts
        assert (told.cause, told.revised, len(kit.rows(uri))) == (Cause.VANISHED, 0, 18)


def test_a_bar_within_a_day_goes_by_the_word_of_a_second_answer(kit, uri):
    """The day's other bars came. One that was never final goes at once: history need not have it."""
    chunk = kit.chunk(KEYS[0], DAWN, DAWN + DAY, "5minute")
    writer = StoreWriter(uri)
    writer.commit([kit.stored(chunk, 1.0, bars_a_day=3)])
    found = []
    for price in (2.0, 2.0):
        (told,) = writer.commit([kit.stored(chunk, price, bars_a_day=2)]).receipts
        kit._clock += DAY
        found.append((told.cause, told.revised, sorted(row[3] for row in kit.rows(uri))))
    assert found == [(Cause.VANISHED, 4, [1, 1, 2, 2, 2, 2]), (None, 2, [2, 2, 2, 2])]
    running = kit.stored(chunk, 2.0, bars_a_day=4)
    place = CANDLES.get_field_index("final")
    forming = running.candles.set_column(place, CANDLES.field("final"), pa.array([False] * 8))
    writer.commit([replace(running, candles=forming)])
    (told,) = writer.commit([kit.stored(chunk, 2.0, bars_a_day=3)]).receipts
    assert (told.status, len(kit.rows(uri))) == (Status.STORED, 6)


def test_a_day_that_an_answer_lacks_goes_by_the_word_of_a_second(kit, uri):
    """Until then its bars stay, not final, and the chunk has failed. A day that comes again is whole."""
    old, new = kit.chunk(KEYS[0], DAWN, DAWN + 4 * DAY), kit.chunk(KEYS[0], DAWN, DAWN + 6 * DAY)
    days = kit.days(new)
    writer = StoreWriter(uri)
    writer.commit([kit.stored(old, 1.0)])
    (first,) = writer.commit([kit.stored(new, 2.0, days=days[:1] + days[3:], run_id="1")]).receipts
    assert (first.status, first.cause, first.rows) == (Status.FAILED, Cause.VANISHED, 5)
    assert f"of {days[1]}, {days[2]}; they were kept" in str(first.error)
    assert [row[3] for row in sorted(kit.rows(uri))] == [2, 1, 1, 2, 2, 2, 2]
    final = Store(uri).candles(final_only=True).to_arrow()
    assert final["close"].to_pylist() == [2.0] * 5
    assert Store(uri).dead_letters()["chunk_id"].to_pylist() == [new.id]
    writer = StoreWriter(uri)  # which knows where rows of the failed chunk stand
    kit._clock += DAY
    (other,) = writer.commit([kit.stored(new, 3.0, days=days[:2] + days[4:], run_id="2")]).receipts
    assert f"of {days[3]}; they were kept" in str(other.error)
    kit._clock += DAY
    assert [row[3] for row in sorted(kit.rows(uri))] == [3, 3, 2, 3, 3, 3]
    (last,) = writer.commit([kit.stored(new, 4.0, days=days[:3] + days[4:], run_id="3")]).receipts
    assert last.status is Status.STORED
    assert [row[3] for row in sorted(kit.rows(uri))] == [4.0] * 6
    assert Store(uri).dead_letters().num_rows == 0


def test_one_answer_given_twice_is_no_second_word(kit, uri):
    chunk = kit.chunk(KEYS[0], DAWN, DAWN + 4 * DAY)
    cut = kit.stored(chunk, days=kit.days(chunk)[:2])
    done = StoreWriter(uri).commit([kit.stored(chunk), cut, cut])
    assert [r.status for r in done.receipts] == [Status.STORED, Status.FAILED, Status.FAILED]
    assert len(kit.rows(uri)) == 5


def test_a_bar_whose_row_was_put_aside_stays(kit, uri):
    """In place of the one that was not sane; with a sane answer it may go."""
    chunk = kit.chunk(KEYS[0], DAWN, DAWN, "5minute")
    writer = StoreWriter(uri)
    writer.commit([kit.stored(chunk, 1.0, bars_a_day=3)])
    sane = kit.stored(chunk, 2.0, bars_a_day=2)
    garbled = replace(sane, receipt=replace(sane.receipt, quarantined=1))
    (receipt,) = writer.commit([garbled]).receipts
    assert (receipt.cause, receipt.revised) == (Cause.VANISHED, 2)
    assert sorted(row[3] for row in kit.rows(uri)) == [1.0, 2.0, 2.0]
    kit._clock += DAY
    (receipt,) = writer.commit([kit.stored(chunk, 2.0, bars_a_day=2)]).receipts
    assert receipt.status is Status.STORED
    assert len(kit.rows(uri)) == 2


def test_bars_of_the_running_day_stay_when_history_comes_without_the_day(kit, uri):
    """Once; they had not been final, so that alone cannot tell a second answer from the first."""
    day, before = DAWN, DAWN - DAY
    writer = StoreWriter(uri)
    chunk = kit.chunk(KEYS[0], day, day, "5minute")
    running = kit.stored(chunk, 1.0)
    at = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    receipt = replace(running.receipt, final=False, fetched_at=at)
    forming = running.candles.set_column(
        CANDLES.get_field_index("final"), CANDLES.field("final"), pa.array([False, False])
    )
    writer.commit([replace(running, receipt=receipt, candles=forming)])
    both = kit.chunk(KEYS[0], before, day, "5minute")
    found = []
    for _ in range(2):
        (told,) = writer.commit([kit.stored(both, 2.0, days=[before])]).receipts
        found.append((told.cause, len(kit.rows(uri))))
        kit._clock += DAY
    assert found == [(Cause.VANISHED, 4), (None, 2)]


def test_a_week_under_way_on_the_first_day_is_replaced_too(kit, uri):
    """Its bar is labelled Monday, before the span that was asked for."""
    monday, wednesday = date(2024, 1, 8), date(2024, 1, 10)
    writer = StoreWriter(uri)
    writer.commit(
        [kit.stored(kit.chunk(KEYS[0], date(2024, 1, 1), date(2024, 1, 14), "1week"), 1.0)]
    )
    late = kit.chunk(KEYS[0], wednesday, date(2024, 1, 21), "1week")
    writer.commit([kit.stored(late, 2.0, days=[monday, date(2024, 1, 15)])])
    assert [row[3] for row in sorted(kit.rows(uri))] == [1.0, 2.0, 2.0]
    writer.commit([kit.stored(late, 3.0, days=[date(2024, 1, 15)])])
    assert [row[3] for row in sorted(kit.rows(uri))] == [1.0, 2.0, 3.0]
