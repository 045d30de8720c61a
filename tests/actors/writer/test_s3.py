"""The laws in a bucket, over a real S3 server; nothing of it is stood in for."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import traceback
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow.fs as pafs
import pytest
from deltalake import DeltaTable

from actors.market.errors import UsageError, WriterFenced
from actors.writer import care, cleaning, fence, object_store
from actors.writer.folder import Folder
from actors.writer.reading import Store
from actors.writer.store import StoreWriter
from tests.actors.writer.test_crash import ROOT, look, newest_batch, stored_receipts
from tests.bucket import NAME

SBIN = "NSE_EQ|INE062A01020"
NIFTY = "NSE_INDEX|Nifty 50"
JANUARY = (date(2024, 1, 1), date(2024, 1, 31))


@pytest.fixture
def place(bucket, monkeypatch) -> str:
    """A store that does not exist yet. Tools that are not ours want plain http to be allowed."""
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    return f"s3://{NAME}/{uuid.uuid4().hex}/a-store"


def objects(uri: str) -> list[str]:
    everything = pafs.FileSelector("", recursive=True, allow_not_found=True)
    found = object_store.Objects(uri, object_store.options(uri)).get_file_info_selector(everything)
    return [info.path for info in found]


def test_a_bucket_holds_what_a_folder_would(kit, place, tmp_path):
    """The same deliveries, and the same files and tables come of them, whoever looks."""
    chunks = [kit.chunk(f"NSE_EQ|{n}", *JANUARY, "5minute") for n in range(9)]
    stored = [kit.stored(chunk) for chunk in chunks]
    others = [kit.quarantine(kit.failed(kit.chunk(SBIN, *JANUARY))), kit.empty(chunks[0])]
    seen = []
    for uri in (place, str(tmp_path / "store")):
        writer = StoreWriter(uri)
        for delivery in stored:
            writer.commit([delivery])
        writer.commit([*others, kit.stored(chunks[1], 7.0)])
        writer.tidy(date(2000, 1, 1))
        Folder(uri).within("runs").within("one").write("report.json", b"{}")
        store = Store(uri)
        seen.append(
            {
                "rows": sorted(kit.rows(uri)),
                "receipts": [row[:3] for row in kit.receipts(uri)],
                "holdings": store.holdings(),
                "dead": sorted(store.dead_letters()["chunk_id"].to_pylist()),
                "rooms": Folder(uri).names(),
                "quarantine": Folder(uri).within("quarantine").names(),
                "run": [store.run(run).read("report.json") for run in store.runs()],
                "versions": store.candles_version(),
            }
        )
    assert seen[0] == seen[1]
    assert seen[0]["dead"] == sorted([f"{SBIN}/1day/2024-01-01/2024-01-31", chunks[0].id])
    assert len(seen[0]["quarantine"]) == 1
    assert {row[3] for row in seen[0]["rows"]} == {100.0, 7.0}


def test_a_killed_writer_loses_nothing_and_doubles_nothing(kit, place):
    """As on a disk: `kill -9` between any two steps of a commit, and in their midst."""
    deaths = ["put_candles*2", "put_receipts", "replace_files", *["anytime*4"] * 3]
    number, unfinished = 1, 0
    command = [sys.executable, str(Path(__file__).with_name("crashing.py")), place]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT) as writer:
        for seed, where in enumerate(deaths):
            print(number, seed, where, file=writer.stdin, flush=True)
            lasting = int(writer.stdout.readline())
            number = max(number, lasting, newest_batch(kit, place)) + 1
            held_back = Store(place).receipts().num_rows
            unfinished += held_back - stored_receipts(kit, place)
            StoreWriter(place)
            assert stored_receipts(kit, place) == held_back
            look(kit, place, lasting)
    assert number > len(deaths) / 2  # it did get somewhere
    assert unfinished > 0  # and was at least once killed between its commits


def test_of_two_writers_one_is_fenced_off_and_nothing_is_hurt(kit, place):
    """Both have opened the same version and commit at the same moment, again and again."""
    start = threading.Barrier(2)

    def outcome(writer: StoreWriter, who: int, day: date) -> str:
        start.wait()
        try:
            writer.commit([kit.stored(kit.chunk(SBIN, day, day), float(who), run_id=str(who))])
        except WriterFenced as refusal:
            return refusal.problem
        return "committed"

    winners = []
    with ThreadPoolExecutor(2) as pool:
        for day in (date(2024, 1, n) for n in range(1, 5)):
            writers = [StoreWriter(place), StoreWriter(place)]
            outcomes = list(pool.map(outcome, writers, range(2), [day] * 2))
            winners.append(outcomes.index("committed"))
            loser = outcomes[1 - winners[-1]]
            assert loser == "another writer has committed to it since this one opened it"
    rows = kit.rows(place)
    assert [row[3] for row in sorted(rows, key=lambda row: row[2])] == winners
    assert len(kit.receipts(place)) == len(winners)
    for version in range(1, DeltaTable(f"{place}/candles").version() + 1):
        counts = Counter(row[:3] for row in kit.rows(place, version))
        assert max(counts.values()) == 1


def test_a_run_goes_on_while_its_store_is_put_in_order(kit, place):
    """Nothing can be locked there: rows are moved between any two of its commits, and none is lost."""
    run = StoreWriter(place)
    for n in range(9):
        run.commit([kit.stored(kit.chunk(f"NSE_EQ|{n}", *JANUARY), 1.0)])
        if n % 3 == 2:
            caretaker = StoreWriter(place)
            caretaker.tend(care.ordering(place, lambda found: [p for p in found if p.gains]))
    run.commit([kit.stored(kit.chunk("NSE_EQ|0", *JANUARY), 2.0)])
    prices = Counter(row[3] for row in kit.rows(place))
    assert prices == {1.0: 8 * 31, 2.0: 31}
    assert len({row[:3] for row in kit.rows(place)}) == 9 * 31
    assert len(kit.receipts(place)) == 10
    keep, now = timedelta(days=7), datetime.now(UTC)
    candles = DeltaTable(f"{place}/candles")
    assert cleaning.removable(candles, keep, now) == []
    cleaning.remove(candles, timedelta(0), now + timedelta(seconds=1))
    files = {name for name in objects(place) if "/period=" in name}
    assert {Path(name).name for name in files if name.endswith("parquet")} == {
        Path(file).name for file in DeltaTable(f"{place}/candles").file_uris()
    }
    assert Counter(row[3] for row in kit.rows(place)) == prices


@pytest.mark.parametrize(
    "trap", ["", "AWS_CONDITIONAL_PUT=disabled", "AWS_S3_ALLOW_UNSAFE_RENAME=true"]
)
def test_a_store_that_heeds_conditions_passes_the_proof(place, monkeypatch, trap):
    """Whatever the environment says of them. Nothing is left of it."""
    if trap:
        monkeypatch.setenv(*trap.split("="))
    fence.prove(place)
    assert objects(place) == []


@pytest.fixture
def nobody() -> str:
    """An address at which somebody listens, and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        yield f"http://127.0.0.1:{silent.getsockname()[1]}"


REFUSALS = {
    "AWS_SECRET_ACCESS_KEY=not-the-one": "the secret key does not belong to the access key",
    "AWS_ACCESS_KEY_ID=AKIAUNKNOWN": "it does not know the access key",
    "AWS_ACCESS_KEY_ID=": "no credentials found",
    "AWS_ENDPOINT_URL=http://127.0.0.1:9": "no answer from http://127.0.0.1:9 .*refused",
    "AWS_ENDPOINT_URL=nobody": "no answer from http://127.0.0.1:.*timed out",
    "AWS_ENDPOINT_URL=http://s3.example": "plain http is for this machine only",
    "AWS_ENDPOINT_URL=localhost:9000": "is no web address",
    "AWS_ENDPOINT_URL=https://user:word@localhost": "must not carry a user or a password",
    "AWS_ENDPOINT_URL=": "names the bucket's region",
}


@pytest.mark.parametrize("change", REFUSALS)
def test_what_does_not_let_us_in_is_told_at_once(bucket, nobody, monkeypatch, change):
    """As the user's to mend, without the secret; its cause is the engine's own, for a log."""
    name, _, value = change.partition("=")
    if value:
        monkeypatch.setenv(name, nobody if value == "nobody" else value)
    else:
        monkeypatch.delenv(name)
        monkeypatch.delenv("AWS_REGION")
    monkeypatch.setitem(object_store._IMPATIENT, "timeout", "300ms")
    with pytest.raises(UsageError, match=REFUSALS[change]) as refusal:
        Store(f"s3://{NAME}/store")
    told = "".join(traceback.format_exception(refusal.value))
    assert bucket.secret not in told
    assert "not-the-one" not in told


def test_a_missing_bucket_is_told_at_once(bucket):
    with pytest.raises(UsageError, match="store s3://nowhere/store: there is no such bucket"):
        Store("s3://nowhere/store")


@pytest.mark.parametrize(
    "uri",
    [
        "gs://candles/x",
        "s3://",
        "s3://b/x",
        "s3://candles//x",
        "s3://candles/../x",
        "s3://candles/%",
    ],
)
def test_what_is_no_address_of_a_store_is_refused(bucket, uri):
    with pytest.raises(UsageError, match="no s3://bucket/prefix|cannot hold|no bucket that can be"):
        Store(uri)


def test_an_address_with_a_secret_in_it_is_refused_and_not_repeated():
    with pytest.raises(UsageError, match="must not carry credentials") as refusal:
        Store("s3://key:hush-hush@candles/store")
    assert "hush" not in str(refusal.value)


def test_a_profile_says_where_to_and_who_we_are(bucket, place, kit, tmp_path, monkeypatch):
    """Keys from one file of `~/.aws`, region and endpoint from the other."""
    for name in bucket.environment:
        monkeypatch.delenv(name)
    keys = f"aws_access_key_id = {bucket.key}\naws_secret_access_key = {bucket.secret}\n"
    (tmp_path / "credentials").write_text(f"[default]\naws_access_key_id = other\n[work]\n{keys}")
    (tmp_path / "config").write_text(
        f"[profile work]\nregion = eu-west-1\nendpoint_url = {bucket.url}\n"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "work")
    StoreWriter(place).commit([kit.stored(kit.chunk(SBIN, *JANUARY))])
    assert Store(place).holdings()[0].rows == 31


def test_the_environment_stands_over_the_profile():
    """And the engine is sent to look for credentials where the environment has none."""
    profile = {"region": "eu-west-1", "endpoint_url": "https://of.profile"}
    always = {"aws_conditional_put": "etag"}
    mine = {"AWS_REGION": "ap-south-1", "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "hush"}
    for environment, expected in (
        (mine, {"aws_region": "ap-south-1", "aws_endpoint_url": "https://of.profile"}),
        (
            {"AWS_ENDPOINT_URL": "https://both", "AWS_ENDPOINT_URL_S3": "https://for.s3"},
            {
                "aws_region": "eu-west-1",
                "aws_endpoint_url": "https://for.s3",
                "aws_force_credential_load": "true",
            },
        ),
        (
            mine | {"AWS_ENDPOINT_URL": "http://far", "AWS_ALLOW_HTTP": "true"},
            {
                "aws_region": "ap-south-1",
                "aws_endpoint_url": "http://far",
                "aws_allow_http": "true",
            },
        ),
    ):
        assert object_store.connection(environment, profile) == always | expected


def test_a_refusal_of_the_store_is_told_without_what_surrounds_it():
    """What S3 sends along may be pieced together by others: its answers quote what was signed."""
    said = (
        "Generic S3 error\n \x1b[31m↳\x1b[0m 400 Bad Request\n \x1b[31m↳\x1b[0m <Error><Code>{}</Code>"
        "<Message>{}</Message><StringToSign>AWS4-HMAC-SHA256 signed</StringToSign></Error>\n"
    )
    moved = said.format("AuthorizationHeaderMalformed", "the region 'x' is wrong; expecting 'y'")
    assert object_store.reason(moved) == "the bucket is in another region than AWS_REGION says"
    busy = said.format("SlowDown", "Please reduce your request rate.")
    assert object_store.reason(busy) == "Please reduce your request rate (SlowDown)"
    assert object_store.reason("Generic DeltaTable error: Schema mismatch") is None
