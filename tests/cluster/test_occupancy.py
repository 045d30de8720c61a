from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from io import StringIO
from pathlib import Path

import pyarrow.fs as pafs
import pytest
from rich.console import Console

from actors.market.errors import UsageError
from actors.writer import object_store, spool, tables
from actors.writer.folder import Folder
from actors.writer.spool import Spool, place_of
from actors.writer.store import StoreWriter
from cluster import occupancy
from cluster.config import Overrides, load
from cluster.exit import Exit
from cluster.occupancy import check, locked, make_ready, occupied, recover
from cluster.plan import plan
from cluster.scan import scan
from cluster.wants import Wants
from tests.actors.writer.conftest import Kit
from tests.bucket import NAME, run_bucket

STORE = f"s3://{NAME}/store"
JANUARY = (date(2024, 1, 1), date(2024, 1, 31))


def everything_directly_inside(uri: str) -> set[str]:
    objects = object_store.Objects(uri, object_store.options(uri))
    return {entry.path for entry in objects.get_file_info_selector(pafs.FileSelector(""))}


def test_a_store_that_overlooks_the_condition_of_a_write_is_refused(bucket, tmp_path, monkeypatch):
    """In words, before a run, and nothing is left of finding that out."""
    with run_bucket("careless") as careless:
        for name, value in careless.environment.items():
            monkeypatch.setenv(name, value)
        refused = pytest.raises(UsageError, match="takes no conditional writes")
        with refused, occupied(STORE, tmp_path):
            pytest.fail("a run would have begun")
        assert everything_directly_inside(STORE) == set()


def test_a_store_that_heeds_it_is_there_within(bucket, tmp_path):
    """With both of its tables, and none beside."""
    with occupied(STORE, tmp_path):
        assert everything_directly_inside(STORE) == {"candles", "chunks"}


def test_a_run_that_looks_on_between_two_commits_of_another_leaves_it_unhurt(
    bucket, tmp_path, monkeypatch
):
    """In a bucket, from another machine. Opening its tables finishes nothing that is under way."""
    kit, live = Kit(), StoreWriter(STORE)
    put, looked = tables.put_receipts, []

    def put_when_looked_at(*arguments):
        with occupied(STORE, tmp_path / "elsewhere"):
            looked.append(arguments)
        put(*arguments)

    monkeypatch.setattr(tables, "put_receipts", put_when_looked_at)
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")  # for the kit's own look
    live.commit([kit.stored(kit.chunk("NSE_EQ|A", *JANUARY))])
    live.commit([kit.stored(kit.chunk("NSE_EQ|B", *JANUARY))])
    assert len(looked) == len(kit.receipts(STORE)) == 2


@pytest.fixture(params=["disk", "bucket"])
def store(request, bucket, tmp_path, monkeypatch) -> str:
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")  # for the kit's own look
    return f"s3://{NAME}/{tmp_path.name}" if request.param == "bucket" else f"{tmp_path}/store"


def test_a_second_run_on_this_machine_is_refused(store, tmp_path):
    """Before it opens anything; and once the first has ended, it is not."""
    for taken in (locked, occupied):
        with (
            locked(store, tmp_path),
            pytest.raises(UsageError, match="another run is writing to it"),
            taken(store, tmp_path),
        ):
            pytest.fail("a second run would have begun")


def test_a_lock_leaves_nothing_where_nothing_was(store, tmp_path):
    place = tmp_path / "state"
    with locked(store, place):
        assert {*tmp_path.iterdir()} != set()
    assert {*tmp_path.iterdir()} == set()
    with locked(store, place):
        make_ready(store)
    assert {"candles", "chunks"} <= {*Folder(store).names()}


UNFIT = ["file", "file/below", "other/candles", "other/candles/x", "other/runs/x/y", "/proc/x"]


@pytest.mark.parametrize("unfit", UNFIT)
def test_what_can_be_no_store_is_refused_by_who_only_asks_too(tmp_path, unfit):
    """In the same words, and nothing is left of it."""
    (tmp_path / "file").write_text("not a folder")
    other = StoreWriter(f"{tmp_path}/other")
    other.commit([Kit().stored(Kit().chunk("NSE_EQ|A", *JANUARY))])
    before = {*tmp_path.rglob("*")}
    store, told = str(tmp_path / unfit), []
    with pytest.raises(UsageError) as refused:
        check(store)
    told.append(str(refused.value))
    with pytest.raises(UsageError) as refused, locked(store, tmp_path / "state"):
        pytest.fail("a run would have begun")
    assert [*told, store] == [str(refused.value), store]
    assert {*tmp_path.rglob("*")} == before


def test_a_plan_is_made_while_nobody_else_can_write(tmp_path):
    """Else it could ask for what another run has fetched meanwhile."""
    path = tmp_path / "config.yaml"
    path.write_text("universe: {symbols: [SBIN]}\ntimeframes: [1day]\n")
    config = load(path, Overrides(store=f"{tmp_path}/store"))

    def planner(config, provider, store, now):
        with pytest.raises(UsageError, match="another run"), locked(store.uri, tmp_path):
            pytest.fail("a second run would have begun")
        return Wants((), (), (), 0, (), ()), plan((), {}, now)

    assert scan(config, Console(file=StringIO()), planner=planner).exit is Exit.DONE
    assert not Path(config.store).exists()


def test_an_orphan_commits_to_its_end_before_its_store_is_opened(store, tmp_path, monkeypatch):
    """Its driver was killed, and the same command given again at once. Nothing it kept is lost."""
    kit = Kit()
    committed = kit.stored(kit.chunk("NSE_EQ|A", *JANUARY), 1.0)
    kept = kit.stored(kit.chunk("NSE_EQ|B", *JANUARY), 2.0)
    orphan, its_spool = StoreWriter(store), Spool(place_of(store, tmp_path))
    for delivery in (committed, kept):
        its_spool.put(delivery)

    def end() -> None:
        orphan.commit([committed])
        its_spool.drop([committed])
        its_spool.close()

    look = spool._taken
    with ThreadPoolExecutor(1) as pool:

        def awaited(*arguments):
            pool.submit(end)
            return look(*arguments)

        monkeypatch.setattr(spool, "_taken", awaited)
        with locked(store, tmp_path):
            assert recover(store, tmp_path) == 1
    assert {row[0::3] for row in kit.rows(store)} == {("NSE_EQ|A", 1.0), ("NSE_EQ|B", 2.0)}
    assert [run_id for _, run_id, _ in kit.receipts(store)] == ["run"] * 2


def test_a_run_is_refused_while_an_orphan_keeps_answers_and_does_not_end(tmp_path, monkeypatch):
    """They are in no plan and in no store: a run that went on would call itself done without them."""
    monkeypatch.setattr(occupancy, "ORPHANS_END_WITHIN_S", 0.05)
    kit, store = Kit(), f"{tmp_path}/store"
    StoreWriter(store)
    orphan = Spool(place_of(store, tmp_path))
    orphan.put(kit.stored(kit.chunk("NSE_EQ|A", *JANUARY)))
    with locked(store, tmp_path):
        with pytest.raises(UsageError, match="has not ended yet"):
            recover(store, tmp_path)
        orphan.close()
        assert recover(store, tmp_path) == 1
