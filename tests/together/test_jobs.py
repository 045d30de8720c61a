"""A cluster that others have started, joined from anywhere and given jobs. It has never seen our code."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from cluster.joining import claim_of
from cluster.lookalike.launch import run_lookalike
from cluster.lookalike.settings import Settings
from tests.bucket import Bucket
from tests.together.conftest import Scan, finish
from tests.together.head import PYTHON, ROOT, Head, run_head
from tests.together.test_s3 import ScanInBucket
from tests.together.test_scan import expected, wait_until_committed

TOKEN = "t0ken-that-only-the-cluster-knows"
WINDOWS = ((20, 1.0), (60, 6.0))


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory, _running_bucket: Bucket) -> Iterator[Head]:
    state = tmp_path_factory.mktemp("state-of-the-head")
    with run_head(CANDLEFLEET_STATE_DIR=str(state), **_running_bucket.environment) as running:
        yield running


def config(scan: Scan, **changes: object) -> Path:
    path = scan.folder / "config.yaml"
    path.write_text(yaml.safe_dump({**scan.config, "store": str(scan.store), **changes}))
    return path


def hosts(scan: Scan) -> list[str]:
    return ["--base-url", scan.exchange.base_url, "--assets-url", scan.exchange.base_url]


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=150)
    assert "Traceback" not in err, err
    return process.returncode, out, err


def elsewhere(scan: Scan, name: str, kind: type[Scan] = Scan) -> Scan:
    folder = scan.folder / name
    folder.mkdir()
    return kind(folder, scan.exchange, scan.config)


def test_runs_that_join_a_cluster_share_its_limiter_and_never_a_store(
    scan: Scan, head: Head, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two at once, from folders that hold no code, on nodes that have none; a third on the first's store."""
    probe = [str(PYTHON), "-P", "-c", "import actors"]
    lacking = subprocess.run(probe, cwd=scan.folder, capture_output=True, check=False)
    assert b"No module named 'actors'" in lacking.stderr
    for name, value in (head.environment | {"AWS_ALLOW_HTTP": "true"}).items():
        monkeypatch.setenv(name, value)
    limits = Settings(windows=WINDOWS, latency_s=0.1, jitter_s=0.05, count_refused=True)
    with run_lookalike(limits) as exchange:
        scan.exchange = exchange
        scan.config["budget"] = {"windows": [{"limit": n, "seconds": s} for n, s in WINDOWS]}
        scan.config["timeframes"] = ["1day", "5minute", "15minute"]
        scan.config["fleet"] = {"fetchers": 1, "threads": 4}
        scan.config["writer"] = {"commit_every_s": 0.3}
        runs = [elsewhere(scan, "one", ScanInBucket), elsewhere(scan, "other")]
        processes = [run.start("--address", head.address) for run in runs]
        wait_for_actors(head, {claim_of(str(runs[0].store))})
        exchange.set_latency(8)
        # As from another machine, whose locks are its own.
        third = runs[0].run("--address", head.address, CANDLEFLEET_STATE_DIR=f"{scan.folder}/state")
        exchange.set_latency(0.1, 0.05)
        assert third.code == 2, third.stderr
        assert "another run of this cluster is writing to it" in third.stderr
        assert third.summary["requests"] == 0
        done = [finish(process) for process in processes]
        judged = exchange.judge()
    assert [each.code for each in done] == [0, 0], done
    assert all(run.rows() == expected(run) for run in runs)
    assert judged["refused"] == 0
    assert all(w["worst"] <= w["limit"] for w in judged["windows"])
    wait_for_actors(head, {"limiter-1"}, only=True)


def wait_for_actors(head: Head, names: set[str], *, only: bool = False) -> None:
    """Until these names are taken; `only`, and no others."""
    until_s = time.monotonic() + 120
    while not (head.actors() == names if only else head.actors() >= names):
        assert time.monotonic() < until_s, head.actors()
        time.sleep(0.1)


def test_a_node_without_a_package_is_named_with_it(scan: Scan, head: Head) -> None:
    """As if we needed more than the cluster has."""
    code = (
        "import sys, cluster.joining as j; j.NODES = ('deltalake>=99', 'no-such-package>=3')\n"
        "from cluster.cli import main; main()"
    )
    words = ["scan", config(scan), *hosts(scan), "--address", head.address]
    exit_code, _, err = ended(head.python("-c", code, *words, cwd=scan.folder))
    assert exit_code == 2, err
    assert "node " in err
    assert "deltalake>=99 (it has 1." in err
    assert "no-such-package>=3" in err
    assert scan.exchange.judge()["requests"] == 0


def test_who_is_not_let_in_is_told_before_anything_else_is_done(scan: Scan, head: Head) -> None:
    """Else it would be told of the instrument list, which is out of reach too."""
    nowhere = "http://127.0.0.1:9"
    words = ["scan", config(scan), "--base-url", nowhere, "--assets-url", nowhere, "--address"]
    older = "import ray; ray.__version__ = '2.59.0'\nfrom cluster.cli import main; main()"
    wrong = {"RAY_AUTH_TOKEN": "0" * 64}  # goes before the one that its head has
    for program, address, own, said in (
        (("-m", "cluster"), head.address, wrong, "does not let us in"),
        (("-c", older), head.address, {}, "has another Ray or Python than this command"),
        (("-m", "cluster"), "auto", {"RAY_ADDRESS": "127.0.0.1:9"}, "no Ray cluster answers"),
    ):
        exit_code, _, err = ended(head.python(*program, *words, address, cwd=scan.folder, **own))
        assert exit_code == 2, err
        assert "\ncandlefleet: --address: " in f"\n{err}"  # Ray speaks there too
        assert said in err


def test_a_submitted_scan_brings_back_log_and_exit_code_and_the_secret_stays_there(
    scan: Scan, head: Head
) -> None:
    """From an empty folder; the universe's file goes along, the token's does not."""
    scan.config["fleet"] = {"fetchers": 1, "threads": 2}
    (scan.folder / "names.csv").write_text("Symbol\nSBIN\nINFY\n")
    scan.config["universe"] = {"file": "names.csv"}
    empty = scan.folder / "empty"
    empty.mkdir()
    (head.folder / "upstox-token").write_text(TOKEN)
    with run_lookalike(Settings(windows=(), auth="required", token=TOKEN)) as exchange:
        scan.exchange = exchange
        words = ["-m", "cluster", "submit", config(scan), *hosts(scan)]
        words += ["--address", head.dashboard, "--json"]
        words += ["--token-file", str(head.folder / "upstox-token")]
        # Their addresses go before ours in Ray's own client, not in ours.
        named = head.python(*words, cwd=empty, RAY_ADDRESS="http://127.0.0.1:9")
        words[-1] += "-of-yesterday"  # such a one is not there
        refused = ended(head.python(*words, cwd=empty))
        done = ended(named)
    assert refused[:2] == (2, ""), refused
    assert "upstox-token-of-yesterday" in refused[2]
    assert done[0] == 0, done
    assert json.loads(done[1].splitlines()[-1])["stored"] == 6
    assert "6 chunks stored" in done[2]
    assert scan.rows() == expected(scan)
    assert not list(empty.iterdir())
    look_for(TOKEN, head, done[1] + done[2])


def look_for(secret: str, head: Head, shown: str) -> None:
    """In what was printed, what the dashboard tells, and all that Ray wrote down."""
    listed = json.dumps(head.told("/api/jobs/"))
    assert "candlefleet-" in listed
    assert secret not in shown + listed
    files = [
        path for path in (head.folder / "r").rglob("*") if path.is_file() and not path.is_symlink()
    ]
    assert any(path.name == "config.yaml" for path in files), "the job's folder was not looked at"
    assert not [path for path in files if secret.encode() in path.read_bytes()]


def test_a_job_can_be_stopped_and_ray_job_submit_finishes_it(scan: Scan, head: Head) -> None:
    """`ray job submit` with our checkout as its folder, as the README has it."""
    scan.config["writer"] = {"commit_every_s": 0.2}
    scan.config["fleet"] = {"fetchers": 1, "threads": 1}
    scan.exchange.set_latency(0.4)
    there = ["--address", head.dashboard]
    words = ["-m", "cluster", "submit", config(scan), *hosts(scan), *there, "--no-wait", "--json"]
    exit_code, out, err = ended(head.python(*words, cwd=scan.folder))
    assert exit_code == 0, err
    job = json.loads(out)["id"]
    wait_until_committed(scan)
    stopped = ended(
        head.python("-m", "cluster", "jobs", *there, "--stop", job, "--json", cwd=scan.folder)
    )
    (told,) = json.loads(stopped[1])["jobs"]
    assert (told["id"], told["state"], told["exit"]) == (job, "stopped", 130)
    assert told["config"] == "config.yaml"
    held = len(scan.receipts())
    assert 0 < held < 15

    scan.exchange.set_latency(0.0)
    words = ["job", "submit", *there, "--working-dir", str(ROOT), "--"]
    words += ["python", "-m", "cluster", "scan", str(config(scan)), *hosts(scan)]
    exit_code, out, err = ended(
        head.python("-m", "ray.scripts.scripts", *words, cwd=scan.folder, RAY_AUTH_MODE="token")
    )
    assert exit_code == 0, (out, err)
    assert f"of {15 - held}." in out
    assert scan.rows() == expected(scan)
    assert scan.exchange.judge()["requests"] <= 15 + 1, "what had been answered was asked for again"
    listed = ended(head.python("-m", "cluster", "jobs", *there, "--json", cwd=scan.folder))
    states = [each["state"] for each in json.loads(listed[1])["jobs"]]
    assert states[:2] == ["succeeded", "stopped"], "both are ours, the latest first"


def test_what_is_no_cluster_is_said_at_once(scan: Scan, head: Head) -> None:
    words = ["-m", "cluster", "jobs", "--address"]
    nobody, no_dashboard, unknown = (
        head.python(*words, address, *more, cwd=scan.folder)
        for address, *more in (
            ["http://127.0.0.1:9"],
            [scan.exchange.base_url],
            [head.dashboard, "--stop", "candlefleet-no-such"],
        )
    )
    for process, said in (
        (nobody, "no Ray dashboard answers at http://127.0.0.1:9"),
        (no_dashboard, "is no Ray dashboard"),
        (unknown, "knows no job candlefleet-no-such"),
    ):
        exit_code, out, err = ended(process)
        assert (exit_code, out) == (2, ""), err
        assert said in err
