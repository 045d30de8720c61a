"""A store as it was: by version and by time."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from hypothesis import given
from hypothesis import strategies as st

from actors.market.candles import Delivery
from actors.market.chunk import Status
from actors.market.errors import UsageError
from actors.market.sessions import IST
from actors.writer.moment import past
from actors.writer.reading import Store
from actors.writer.store import StoreWriter

SBIN, NIFTY = "NSE_EQ|SBIN", "NSE_INDEX|Nifty 50"
JANUARY, FEBRUARY = (date(2024, 1, 1), date(2024, 1, 31)), (date(2024, 2, 1), date(2024, 2, 29))
NOON = datetime(2024, 1, 31, 12, tzinfo=IST)

commits = st.lists(st.integers(0, 50), min_size=1, max_size=8).map(
    lambda minutes: {n: NOON + timedelta(minutes=m) for n, m in enumerate(minutes)}
)


@given(commits, st.integers(-5, 55))
def test_a_moment_is_the_newest_version_made_by_then(log, minutes):
    """However the clock of the writers jumped; a moment before all of them is refused."""
    moment = NOON + timedelta(minutes=minutes)
    by_then = [version for version in log if log[version] <= moment]
    for written in (moment, moment.astimezone(UTC), moment.replace(tzinfo=None), str(moment)):
        if by_then:
            assert past(written, log).version == max(by_then)
            assert past(written, log).until == moment
        else:
            with pytest.raises(UsageError, match="nothing yet at .*it begins at 2024-01-31T12:"):
                past(written, log)


@given(commits, st.integers(-2, 9))
def test_a_version_is_itself_until_another_one_is_made(log, version):
    """One that there is not is refused."""
    if version in log:
        found = past(version, log)
        later = [log[v] for v in log if v > version]
        assert (found.version, found.until) == (version, min(later, default=None))
    else:
        with pytest.raises(UsageError, match=f"no version {version}, only 0 to {max(log)}"):
            past(version, log)


def bare(kit, chunk, status):
    """A delivery without rows, fetched now."""
    return Delivery(kit.receipt(chunk, status, fetched_at=datetime.now(UTC)))


@pytest.fixture
def history(kit, uri):
    """A store that was filled, added to, replaced in part and merged; and how each version looked."""
    writer = StoreWriter(uri)
    steps = [
        lambda: kit.stored(kit.chunk(SBIN, *JANUARY), 1.0),
        lambda: bare(kit, kit.chunk(NIFTY, *FEBRUARY), Status.FAILED),
        lambda: kit.stored(kit.chunk(SBIN, *FEBRUARY, "5minute"), 2.0),
        lambda: bare(kit, kit.chunk(SBIN, *FEBRUARY), Status.EMPTY),
        lambda: kit.stored(kit.chunk(SBIN, *JANUARY), 3.0, run_id="again"),
        lambda: kit.stored(kit.chunk(NIFTY, *JANUARY), 4.0),
    ]
    looks = {0: look(Store(uri))}
    times = {}
    for step in steps:
        time.sleep(0.002)  # versions are stamped with milliseconds
        writer.commit([step()])
        looks[writer.candles_version] = look(Store(uri))
        times[writer.candles_version] = datetime.now(UTC)
    DeltaTable(f"{uri}/candles").optimize.compact()
    return uri, looks, times


def look(store):
    """Everything that can be asked of a store, in plain values."""
    rows = store.candles().to_arrow().to_pylist() if store.holdings() else []
    receipts = sorted(store.receipts().to_pylist(), key=str)
    return store.candles_version(), rows, receipts, store.holdings(), store.symbols()


def test_every_version_looks_as_it_did_when_it_was_the_newest(history):
    """Candles, receipts, coverage and holdings; asked by version and by time."""
    uri, looks, times = history
    assert len({str(each) for each in looks.values()}) == 5
    assert Store(uri).candles_version() == 5, "the files were not merged"
    for version, looked in looks.items():
        assert look(Store(uri).at(version)) == looked
    for version, moment in times.items():
        assert look(Store(uri).at(moment)) == looks[version]
    assert look(Store(uri))[1] == looks[max(looks)][1]


def test_a_past_store_stays_where_it_is(kit, history):
    """Whatever is written after."""
    uri, looks, _ = history
    then = Store(uri).at(1)
    StoreWriter(uri).commit([kit.stored(kit.chunk(SBIN, *JANUARY), 9.0)])
    assert look(then) == looks[1]
    assert then.candles(as_of=2).to_arrow().num_rows == 31 + 29 * 2


def test_a_store_that_stands_still_answers_of_one_moment(kit, uri):
    """Whatever is written after, and asked first after that."""
    StoreWriter(uri).commit([kit.stored(kit.chunk(SBIN, *JANUARY))])
    still, before = Store(uri).still(), look(Store(uri))
    StoreWriter(uri).commit(
        [kit.stored(kit.chunk(NIFTY, *JANUARY)), kit.empty(kit.chunk(SBIN, *FEBRUARY))]
    )
    assert look(still) == before != look(Store(uri))
    assert look(still.at(0)) == look(Store(uri).at(0))


def test_what_was_not_there_is_refused(history):
    """In words; a reader of a past store is told what was unknown then."""
    uri, _, _ = history
    with pytest.raises(UsageError, match="no version 99, only 0 to 5"):
        Store(uri).at(99)
    with pytest.raises(UsageError, match="there was nothing yet at 2000-01-01T00:00:00[+]05:30"):
        Store(uri).at("2000-01-01")
    with pytest.raises(UsageError, match="holds no 5minute, only 1day"):
        Store(uri).candles(timeframe="5minute", as_of=1)


def test_a_version_whose_files_were_cleaned_away_is_refused(history):
    """One of which every file is still in use is not; nor is the newest."""
    uri, _, _ = history
    candles = DeltaTable(f"{uri}/candles")
    candles.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    newest = Store(uri).candles_version()
    assert look(Store(uri).at(newest))[1] == look(Store(uri))[1] != []
    with pytest.raises(UsageError, match="version 1 of .* cannot be read any more: files"):
        Store(uri).at(1)
    assert Store(uri).at(0).candles_version() == 0
    assert pa.table(candles.scan()).num_rows == len(look(Store(uri))[1])
