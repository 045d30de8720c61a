"""Nodes that vanish and nodes that join while a run is under way: all on this machine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from ray.cluster_utils import Cluster

from cluster.lookalike.launch import run_lookalike
from cluster.lookalike.settings import Settings
from tests.together import laws
from tests.together.conftest import Scan, finish
from tests.together.test_faults import until

#: A node that refuses three questions in as many seconds is dead; one that is only slow is given time.
QUICK = {
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "10000",
    "RAY_health_check_failure_threshold": "3",
    "RAY_enable_worker_prestart": "0",
    "RAY_AUTH_MODE": "disabled",  # a token of the user's is none of a test's business
}
NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
RATE = (20, 1.0)
THREADS = 2


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    for name, value in QUICK.items():
        monkeypatch.setenv(name, value)
    cluster = Cluster(initialize_head=True, head_node_args=NODE | {"include_dashboard": False})
    yield cluster
    cluster.shutdown()


def events(scan: Scan, name: str) -> list[dict[str, Any]]:
    found = []
    for log in (scan.store / "runs").glob("*/log.jsonl"):
        entries = map(json.loads, log.read_text().splitlines())
        found += [entry for entry in entries if entry["event"] == name]
    return found


def came_to(scan: Scan) -> dict[str, str]:
    """Fetchers by the nodes on which they began anew."""
    return {event["node"]: event["fetcher"] for event in events(scan, "fetcher.returned")}


def test_a_node_that_joins_is_used_and_one_that_vanishes_costs_what_it_had_in_hand(
    scan: Scan, cluster: Cluster
) -> None:
    scan.config["timeframes"] = ["1day", "1minute", "5minute", "15minute", "1hour"]
    scan.config["writer"] = {"commit_every_s": 0.3}
    scan.config["fleet"] = {"fetchers": 2, "threads": THREADS}
    scan.config["budget"] = {"windows": [{"limit": RATE[0], "seconds": RATE[1]}]}
    scan.config["dates"]["from"] = "2022-07-01"
    settings = Settings(windows=(RATE,), latency_s=1.0, jitter_s=0.3)
    with run_lookalike(settings) as exchange:
        scan.exchange = exchange
        process = scan.start("--address", cluster.address)
        until(lambda: exchange.judge()["requests"] >= 4, process)
        node = cluster.add_node(**NODE)
        until(lambda: node.node_id in came_to(scan), process)
        fetcher = came_to(scan)[node.node_id]
        sent = exchange.judge()["requests"]
        until(lambda: exchange.judge()["requests"] >= sent + 2 * THREADS, process)
        cluster.remove_node(node, allow_graceful=False)
        until(lambda: bool(events(scan, "fetcher.lost")), process)
        exchange.set_latency(0.1)
        done = finish(process)
        judged = exchange.judge()
    assert done.code == 0, done.stderr
    assert {lost["fetcher"] for lost in events(scan, "fetcher.lost")} == {fetcher}
    assert done.summary["planned"] > 60
    laws.every_chunk_has_one_receipt(scan, done.summary["planned"])
    laws.no_window_was_overfull(judged)
    laws.only_what_was_under_way_is_repeated(judged, THREADS)
