"""Nodes that vanish and nodes that join while a run is under way: all on this machine."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from ray._private.ray_constants import PROCESS_TYPE_GCS_SERVER
from ray.cluster_utils import Cluster

from cluster.lookalike.launch import run_lookalike
from cluster.lookalike.settings import Settings
from tests.together import laws
from tests.together.conftest import Scan, events, finish, until

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
NOTICED_WITHIN_S = 20.0  # on a busy machine; one that only kept silent would have half a minute
CLOSING_WITHIN_S = 30.0  # on a busy machine
HEADLESS_AT_MOST_S = 5.0  # a user's run has more patience
IMPATIENT = f"""
import cluster.mover
cluster.mover.HEADLESS_AT_MOST_S = {HEADLESS_AT_MOST_S}
from cluster.cli import main
main()
"""
RATE = (20, 1.0)
THREADS = 2


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """One for all of them; the last of them takes its head away."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in QUICK.items():
            environment.setenv(name, value)
        cluster = Cluster(initialize_head=True, head_node_args=NODE | {"include_dashboard": False})
        yield cluster
        cluster.shutdown()


def came_to(scan: Scan) -> dict[str, str]:
    """Fetchers by the nodes on which they began anew."""
    return {event["node"]: event["fetcher"] for event in events(scan.store, "fetcher.returned")}


def test_a_node_that_joins_is_used_and_one_that_vanishes_costs_what_it_had_in_hand(
    scan: Scan, cluster: Cluster
) -> None:
    scan.config["timeframes"] = ["1day", "5minute", "15minute", "1hour"]
    scan.config["writer"] = {"commit_every_s": 0.3}
    scan.config["fleet"] = {"fetchers": 2, "threads": THREADS}
    scan.config["budget"] = {"windows": [{"limit": RATE[0], "seconds": RATE[1]}]}
    scan.config["dates"]["from"] = "2023-01-01"
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
        removed_s = time.monotonic()
        until(lambda: bool(events(scan.store, "fetcher.lost")), process)
        assert time.monotonic() - removed_s < NOTICED_WITHIN_S
        exchange.set_latency(0.1)
        done = finish(process)
        judged = exchange.judge()
    assert done.code == 0, done.stderr
    assert [lost["fetcher"] for lost in events(scan.store, "fetcher.lost")] == [fetcher]
    assert [moved["to"] for moved in events(scan.store, "fetcher.moved")] == [node.node_id]
    assert done.summary["planned"] > 60
    laws.rows_are_the_markets(scan)
    laws.every_chunk_has_one_receipt(scan, done.summary["planned"])
    laws.no_version_holds_a_candle_twice(scan)
    laws.no_window_was_overfull(judged)
    laws.only_what_was_under_way_is_repeated(judged, THREADS)


def test_losing_the_head_ends_the_run_in_words_and_the_same_command_goes_on(
    scan: Scan, cluster: Cluster
) -> None:
    scan.config["writer"] = {"commit_every_s": 0.3}
    scan.config["fleet"] = {"fetchers": 2, "threads": 1}
    scan.exchange.set_latency(
        4.0
    )  # the fleet can go on without a head, and a short run would be done
    scan.program = ("-c", IMPATIENT)
    process = scan.start("--address", cluster.address)
    until(lambda: bool(events(scan.store, "batch.committed")), process)
    kill_head(cluster)
    killed_s = time.monotonic()
    broken = finish(process)
    assert time.monotonic() - killed_s < HEADLESS_AT_MOST_S + CLOSING_WITHIN_S
    assert broken.code == 1, broken.stderr
    assert "the head of the Ray cluster has not answered for 5 s" in broken.stderr
    assert "The same command fetches the rest." in broken.stderr
    assert 0 < broken.summary["stored"] < broken.summary["planned"] == 15
    cluster.shutdown()

    scan.exchange.set_latency(0.0)
    done = scan.run()
    assert done.code == 0, done.stderr
    laws.rows_are_the_markets(scan)
    laws.every_chunk_has_one_receipt(scan, planned=15)
    laws.no_version_holds_a_candle_twice(scan)


def kill_head(cluster: Cluster) -> None:
    """What knows of all nodes and actors, as if its host were gone; the driver's own node stays."""
    for info in cluster.head_node.all_processes[PROCESS_TYPE_GCS_SERVER]:
        info.process.kill()
