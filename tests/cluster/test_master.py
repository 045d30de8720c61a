from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from actors.market.address import checked_url
from actors.market.errors import UsageError
from cluster.master import INSTRUMENTS, Bounds, Master, load_master, load_masters

NOW = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)  # 09:30 in India
NEXT_DAY = NOW + timedelta(days=1)
TIGHT = Bounds(packed_bytes=100_000, unpacked_bytes=1_000_000, seconds=0.4)
REAL = Path(__file__).parents[3] / "shared" / "data" / "NSE.json.gz"

SBIN: dict[str, Any] = {
    "segment": "NSE_EQ",
    "name": "STATE BANK OF INDIA",
    "exchange": "NSE",
    "isin": "INE062A01020",
    "instrument_type": "EQ",
    "instrument_key": "NSE_EQ|INE062A01020",
    "exchange_token": "3045",
    "trading_symbol": "SBIN",
    "lot_size": 1,
    "of_the_future": {"unknown": True},
}
NIFTY = {
    "segment": "NSE_INDEX",
    "name": "Nifty 50",
    "exchange": "NSE",
    "instrument_type": "INDEX",
    "instrument_key": "NSE_INDEX|Nifty 50",
    "trading_symbol": "NIFTY",
}


def packed(content: object) -> bytes:
    return gzip.compress(json.dumps(content).encode())


Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Assets:
    """A host of instrument files that answers as it is told."""

    answer: Answer
    asked: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    def gives(self, body: bytes, status: int = 200, **headers: str) -> None:
        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                handler.send_header(name, value)
            handler.end_headers()
            handler.wfile.write(body)

        self.answer = answer


@pytest.fixture
def assets() -> Iterator[Assets]:
    told = Assets(answer=lambda handler: None)
    told.gives(packed([SBIN, NIFTY]))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told.asked.append(self.path)
            told.headers.append(dict(self.headers))
            try:
                told.answer(self)
            except OSError:
                self.close_connection = True  # the client had enough

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        told.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield told
        finally:
            told.closing.set()
            server.shutdown()
            thread.join()


def load(assets: Assets, state: Path, now: datetime = NOW, bounds: Bounds = TIGHT) -> Master:
    return load_master("NSE", assets.url, state, now, bounds)


def keys(master: Master) -> list[str]:
    found: list[str] = master.table["instrument_key"].to_pylist()
    return found


def files(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file()]


def test_the_file_is_read_as_served_and_unknown_fields_are_passed_over(
    assets: Assets, tmp_path: Path
) -> None:
    master = load(assets, tmp_path)
    assert assets.asked == ["/market-quote/instruments/exchange/NSE.json.gz"]
    assert master.table.schema.equals(INSTRUMENTS)
    assert master.table.to_pylist() == [
        {
            "instrument_key": "NSE_EQ|INE062A01020",
            "symbol": "SBIN",
            "exchange": "NSE",
            "segment": "NSE_EQ",
            "instrument_type": "EQ",
            "isin": "INE062A01020",
            "name": "STATE BANK OF INDIA",
            "exchange_token": "3045",
        },
        {
            "instrument_key": "NSE_INDEX|Nifty 50",
            "symbol": "NIFTY",
            "exchange": "NSE",
            "segment": "NSE_INDEX",
            "instrument_type": "INDEX",
            "isin": None,
            "name": "Nifty 50",
            "exchange_token": None,
        },
    ]
    assert master.warnings == ()


def test_the_list_is_fetched_once_a_day_of_india(assets: Assets, tmp_path: Path) -> None:
    first = load(assets, tmp_path)
    evening = datetime(2026, 3, 2, 18, 29, tzinfo=UTC)  # 23:59 in India
    assert load(assets, tmp_path, evening).table.equals(first.table)
    assert load(assets, tmp_path, evening).fetched_at == NOW
    assert len(assets.asked) == 1
    assets.gives(packed([NIFTY]))
    midnight = evening + timedelta(minutes=1)
    assert keys(load(assets, tmp_path, midnight)) == ["NSE_INDEX|Nifty 50"]
    assert len(assets.asked) == 2


def test_a_copy_from_the_future_is_not_trusted(assets: Assets, tmp_path: Path) -> None:
    load(assets, tmp_path, NEXT_DAY)
    load(assets, tmp_path, NOW)
    assert len(assets.asked) == 2


def test_hosts_do_not_share_copies(assets: Assets, tmp_path: Path) -> None:
    load(assets, tmp_path)
    load_master("NSE", f"{assets.url}/other", tmp_path, NOW, TIGHT)
    assert len(assets.asked) == 2
    assert files(tmp_path) == ["NSE.parquet"] * 2


def test_only_the_exchanges_asked_for_are_fetched(assets: Assets, tmp_path: Path) -> None:
    masters = load_masters({"NSE", "BSE"}, assets.url, tmp_path, NOW, TIGHT)
    assert list(masters) == ["BSE", "NSE"]
    assert [path.rsplit("/", 1)[1] for path in assets.asked] == ["BSE.json.gz", "NSE.json.gz"]


def test_no_secret_and_no_password_of_the_user_is_sent(
    assets: Assets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password hidden\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("UPSTOX_ACCESS_TOKEN", "hidden")
    load(assets, tmp_path / "state")
    assert "Authorization" not in assets.headers[0]
    assert assets.headers[0]["User-Agent"].startswith("candlefleet")


BAD = [
    {**SBIN, "instrument_key": None},
    {k: v for k, v in SBIN.items() if k != "trading_symbol"},
    {**SBIN, "trading_symbol": "  "},
    {**SBIN, "segment": 7},
    {**SBIN, "segment": "NSE_FO"},  # not the key's
    {**SBIN, "trading_symbol": "A\nB"},
    {**SBIN, "instrument_key": "NSE_EQ|\ud800"},
    {**SBIN, "name": "THE SAME KEY AGAIN"},
    "no record",
    None,
]


def test_bad_records_are_counted_and_the_good_ones_kept(assets: Assets, tmp_path: Path) -> None:
    odd = {
        **NIFTY,
        "instrument_key": "NSE_INDEX|Odd",
        "name": 5,
        "isin": ["x"],
        "exchange_token": "",
    }
    assets.gives(packed([SBIN, *BAD, NIFTY, odd]))
    master = load(assets, tmp_path)
    assert keys(master) == ["NSE_EQ|INE062A01020", "NSE_INDEX|Nifty 50", "NSE_INDEX|Odd"]
    assert master.table["name"].to_pylist() == ["STATE BANK OF INDIA", "Nifty 50", None]
    assert master.dropped == len(BAD)
    (warning,) = master.warnings
    assert "10 records are left out" in warning
    assert load(assets, tmp_path).warnings == master.warnings  # from the copy too
    assert len(assets.asked) == 1


# What a host may do wrong


def drip(assets: Assets, part: bytes, head: bytes = b"") -> Answer:
    """Send a byte now and then, for ever."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(head)
        for at in range(10_000):
            handler.wfile.write(part[at % len(part) : at % len(part) + 1])
            if assets.closing.wait(0.02):
                return

    return answer


def stall(assets: Assets) -> Answer:
    return lambda handler: assets.closing.wait(30) and None


def reset(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc")


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
SOUND = packed([SBIN, NIFTY])

FAULTS: dict[str, tuple[Callable[[Assets], None], str]] = {
    "404": (lambda a: a.gives(b"", 404), "HTTP 404"),
    "500": (lambda a: a.gives(b"<html>", 500), "HTTP 500"),
    "redirect": (
        lambda a: a.gives(b"", 302, Location="/elsewhere"),
        "HTTP 302, a redirect",
    ),
    "no gzip": (lambda a: a.gives(b"[]"), "no whole gzip"),
    "html": (lambda a: a.gives(b"<html>" * 100), "no whole gzip"),
    "empty": (lambda a: a.gives(b""), "no JSON"),
    "cut gzip": (lambda a: a.gives(SOUND[:-20]), "no whole gzip"),
    "bent gzip": (lambda a: a.gives(SOUND[:40] + b"\0\0\0\0" + SOUND[44:]), "no whole gzip"),
    "cut json": (lambda a: a.gives(gzip.compress(b'[{"a": 1')), "no JSON"),
    "deep json": (lambda a: a.gives(gzip.compress(b"[" * 200_000)), "no JSON"),
    "no list": (lambda a: a.gives(packed({"a": 1})), "no list of records"),
    "no records": (lambda a: a.gives(packed([])), "none of the file's 0 records"),
    "other records": (lambda a: a.gives(packed([{"a": 1}] * 9)), "none of the file's 9 records"),
    "too large": (lambda a: a.gives(b"x" * 100_001), "larger than 100,000 bytes"),
    "bomb": (lambda a: a.gives(gzip.compress(b" " * 3_000_000)), "unpacks to more than 1,000,000"),
    "stall": (lambda a: setattr(a, "answer", stall(a)), "not whole within 0.4 s"),
    "drip": (lambda a: setattr(a, "answer", drip(a, SOUND, HEAD)), "not whole within 0.4 s"),
    "drip of headers": (
        lambda a: setattr(a, "answer", drip(a, b"X-Header: y\r\n", b"HTTP/1.1 200 OK\r\n")),
        "not whole within 0.4 s",
    ),
    "cut short": (lambda a: setattr(a, "answer", reset), "the connection broke"),
    "no http": (
        lambda a: setattr(a, "answer", lambda h: h.wfile.write(b"hello\r\n")),
        "no connection",
    ),
}


@pytest.mark.parametrize(("spoil", "reason"), FAULTS.values(), ids=list(FAULTS))
def test_what_is_not_whole_and_sound_never_replaces_a_good_copy(
    assets: Assets, tmp_path: Path, spoil: Callable[[Assets], None], reason: str
) -> None:
    """Without a copy it is refused, with one the copy is used and the reason given; always in time."""
    spoil(assets)
    began = time.monotonic()
    with pytest.raises(UsageError) as caught:
        load(assets, tmp_path)
    assert time.monotonic() - began < TIGHT.seconds + 2
    assert len(assets.asked) == 1  # nothing is followed, nothing is asked twice
    assert reason in str(caught.value)
    assert str(caught.value).startswith(
        f"{assets.url}/market-quote/instruments/exchange/NSE.json.gz: "
    )
    assert files(tmp_path) == []

    assets.gives(SOUND)
    good = load(assets, tmp_path)
    spoil(assets)
    stale = load(assets, tmp_path, NEXT_DAY)
    assert stale.table.equals(good.table)
    assert stale.fetched_at == NOW
    (warning,) = stale.warnings
    assert "NSE's instrument list of 2026-03-02 is used" in warning
    assert reason in warning
    assert files(tmp_path) == ["NSE.parquet"]

    assets.gives(SOUND)
    assert load(assets, tmp_path, NEXT_DAY).warnings == ()


def test_an_unreachable_host_is_survived_with_yesterdays_copy(
    assets: Assets, tmp_path: Path
) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as gone:
        url = f"http://127.0.0.1:{gone.server_port}"
    with pytest.raises(UsageError, match="no connection; and no earlier copy"):
        load_master("NSE", url, tmp_path, NOW, TIGHT)
    load(assets, tmp_path)
    (kept,) = tmp_path.glob("instruments/*")
    kept.rename(kept.with_name(url.removeprefix("http://").replace(":", "_")))
    master = load_master("NSE", url, tmp_path, NEXT_DAY, TIGHT)
    assert keys(master) == ["NSE_EQ|INE062A01020", "NSE_INDEX|Nifty 50"]
    assert "no connection" in master.warnings[0]


@pytest.mark.parametrize("content", [b"", b"PAR1 and no more", b"\0" * 5000])
def test_a_broken_copy_is_fetched_anew(assets: Assets, tmp_path: Path, content: bytes) -> None:
    load(assets, tmp_path)
    (copy,) = tmp_path.rglob("NSE.parquet")
    copy.write_bytes(content)
    assert len(load(assets, tmp_path).table) == 2
    assert len(assets.asked) == 2
    load(assets, tmp_path)
    assert len(assets.asked) == 2


def test_a_state_folder_that_cannot_be_written_costs_the_copy_only(
    assets: Assets, tmp_path: Path
) -> None:
    (tmp_path / "state").write_text("a file where the folder should be")
    master = load(assets, tmp_path / "state")
    assert len(master.table) == 2
    assert "could not be kept" in master.warnings[0]


def test_a_copy_that_cannot_be_put_in_its_place_leaves_nothing_behind(
    assets: Assets, tmp_path: Path
) -> None:
    load(assets, tmp_path)
    (place,) = tmp_path.rglob("NSE.parquet")
    place.unlink()
    (place / "occupied").mkdir(parents=True)
    master = load(assets, tmp_path)
    assert len(master.table) == 2
    assert "could not be kept" in master.warnings[0]
    assert files(tmp_path) == []


def test_an_address_without_encryption_is_not_asked(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must be https"):
        load_master("NSE", "http://assets.example.com", tmp_path, NOW, TIGHT)


@pytest.mark.parametrize(
    "url",
    ["https://h", "https://h:1/a/b/", "http://localhost:1", "http://127.9.9.9", "http://[::1]:8"],
)
def test_https_anywhere_and_http_to_this_machine_are_addresses(url: str) -> None:
    assert checked_url(url) == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    [
        "http://h",
        "http://localhost.example.com",
        "http://127.0.0.1@h",
        "http://h\\@127.0.0.1",
        "http://0.0.0.0",
        "http://2130706433",
        "https://u:p@h",
        "https://h?x",
        "https://h#x",
        "https://h:0",
        "https://h:x",
        "https://[::1",
        "https:///path",
        "HTTPS",
        "",
        " https://h",
        "https://h\n",
        "file:///etc/passwd",
    ],
)
def test_anything_else_is_none(url: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        checked_url(url)


@pytest.mark.skipif(not REAL.exists(), reason=f"the real file of NSE is not at {REAL}")
def test_the_real_file_of_nse_is_read_whole_and_its_copy_fast(
    assets: Assets, tmp_path: Path
) -> None:
    assets.gives(REAL.read_bytes())
    master = load(assets, tmp_path, bounds=Bounds())
    assert (len(master.table), master.dropped, master.warnings) == (116_645, 0, ())
    began = time.perf_counter()
    load(assets, tmp_path, bounds=Bounds())
    assert (
        time.perf_counter() - began < 1
    )  # 0.05 s measured; a test must not fail on a busy machine
    assert len(assets.asked) == 1
