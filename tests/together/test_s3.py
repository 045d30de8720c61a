"""A whole run on an object store: what ends it early hurts nothing, and the secret key is shown nowhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from actors.writer import object_store
from tests.bucket import NAME, Bucket
from tests.together.conftest import Scan, contents, finished, watch
from tests.together.test_scan import expected


@dataclass
class ScanInBucket(Scan):
    @property
    def store(self) -> str:  # type: ignore[override]
        return f"s3://{NAME}/{self.folder.name}"

    def versions(self) -> int:
        place = f"{self.store}/candles"
        return DeltaTable(place).version() if DeltaTable.is_deltatable(place) else 0

    def ask(self, verb: str, *options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-P", "-m", "cluster", verb, "--store", self.store, *options]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def scan_in_bucket(scan: Scan, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> ScanInBucket:
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")  # for the naive looks of these tests
    scan.config["timeframes"] = ["1day", "1minute", "5minute"]
    scan.config["fleet"] = {"fetchers": 1, "threads": 2}
    scan.config["writer"] = {"commit_every_s": 0.2}
    return ScanInBucket(scan.folder, scan.exchange, scan.config)


def test_a_killed_run_in_a_bucket_resumes_and_status_and_export_agree(
    scan_in_bucket: ScanInBucket, bucket: Bucket
) -> None:
    """`kill -9` of the driver in mid-run; then the same command, and once more."""
    scan = scan_in_bucket
    scan.exchange.set_latency(0.5)
    process = scan.start()
    until_s = time.monotonic() + 60
    while scan.versions() < 2:
        assert process.poll() is None, f"it ended before it had committed: {process.communicate()}"
        assert time.monotonic() < until_s
    process.kill()
    process.communicate()

    scan.exchange.set_latency(0.0)
    seen = watch(scan.start())
    done = finished(seen.code, seen.out, seen.err)
    assert done.code == 0, done.stderr
    truth = expected(scan)
    assert scan.rows() == truth
    for version in range(scan.versions() + 1):
        table = DeltaTable(f"{scan.store}/candles", version=version).to_pyarrow_table()
        keys = table.select(["instrument_key", "timeframe", "ts"]).to_pylist()
        assert len(keys) == len({tuple(key.values()) for key in keys})
    repeats = scan.exchange.judge()["repeats"]
    assert repeats <= 2, "what had been answered was asked for again"

    again = scan.run()
    assert (again.code, again.summary["planned"], again.summary["requests"]) == (0, 0, 0)
    status = json.loads(scan.ask("status", "--json").stdout)
    rows = Counter(timeframe for (_, timeframe), bars in truth.items() for _ in bars)
    assert {held["timeframe"]: held["rows"] for held in status["timeframes"]} == rows
    outcomes = {run["run_id"]: run["outcome"] for run in status["runs"]}
    assert outcomes.pop(done.summary["run_id"]) == "done"
    assert list(outcomes.values()) == ["cut off"]
    out = scan.folder / "out.parquet"
    scan.ask("export", "--format", "parquet", "--out", str(out))
    assert pq.read_metadata(out).num_rows == rows.total()
    look_for(bucket.secret, scan, [done.stderr, again.stderr, json.dumps(status)], seen.ray_files)


def look_for(
    secret: str, scan: ScanInBucket, texts: list[str], ray_files: dict[Path, bytes]
) -> None:
    """In what was printed, in the bucket, in our folders, and in all that Ray wrote down."""
    objects = object_store.Objects(scan.store, object_store.options(scan.store))
    for entry in objects.get_file_info_selector(pafs.FileSelector("", recursive=True)):
        if entry.path.startswith("runs/") and entry.is_file:
            with objects.open_input_stream(entry.path) as stream:
                texts.append(stream.read().decode())
    assert any('"event": "run.ended"' in text for text in texts), "no log was looked at"
    assert not [text for text in texts if secret in text]
    files = ray_files | contents(scan.folder, Path(os.environ["CANDLEFLEET_STATE_DIR"]))
    assert any(path.suffix == ".out" for path in files), "Ray's logs were not looked at"
    assert not [path for path, content in files.items() if secret.encode() in content]


def test_what_keeps_us_out_is_told_before_anything_is_sent(
    scan_in_bucket: ScanInBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By whatever verb, as the user's to mend: exit code 2."""
    scan = scan_in_bucket
    refused = scan.run(AWS_SECRET_ACCESS_KEY="not-the-one")
    assert refused.code == 2
    assert "the secret key does not belong to the access key" in refused.stderr
    assert scan.exchange.judge()["requests"] == 0
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    unreachable = scan.ask("status")
    assert unreachable.returncode == 2
    assert "no answer from http://127.0.0.1:9" in unreachable.stderr
