"""The fault matrix: whoever dies and however the provider fails, the laws hold.

who dies by kill -9            | where
-------------------------------+------------------------------------------------
writer, limiter, monitor,      | test_whoever_is_killed_the_laws_hold, one after
fetcher, driver, and again the | the other in one run and the next
fetcher at one chunk (poison)  |
node, and the cluster's head   | test_nodes.py
a node's network               | `python -m tests.benchmarks hosts`, as root
-------------------------------+------------------------------------------------
how the provider fails         |
-------------------------------+------------------------------------------------
503 for long                   | test_an_outage_..., beyond patience and within
each of `WORST`                | test_every_kind_of_bad_answer_..., all in one run
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
from contextlib import suppress

import psutil

from cluster.breaker import TRIP_AFTER
from cluster.lookalike.faults import WORST
from cluster.lookalike.launch import Lookalike, run_lookalike
from cluster.lookalike.settings import Settings
from tests.together import laws
from tests.together.conftest import Finished, Scan, actors_of, events, finish, until

#: Enough for the permits of the dead, which are counted for a minute.
RATE = (20, 1.0)
UNDER_WAY = 2  # two fetchers of one thread
HANDS = 3  # each holds two chunks more
ACTORS = ("Writer", "Limiter", "Fetcher", "Monitor")
SEED = 5  # with which every kind is dealt
POISON = ("NSE_EQ|INE154A01025", "1day")  # ITC


def kill_all(process: subprocess.Popen[str], actor: str) -> set[psutil.Process]:
    """Once there are any: while one starts it goes by another name."""
    until(lambda: bool(actors_of(process.pid, actor)), process)
    found = set(actors_of(process.pid, actor))
    for each in found:
        with suppress(psutil.NoSuchProcess):
            each.kill()
    return found


def arrivals(exchange: Lookalike, part: str) -> int:
    log = exchange.judge(with_log=True)["log"]
    return sum(part in path for _, path, _ in log)


def test_whoever_is_killed_the_laws_hold(scan: Scan) -> None:
    """Every actor at a random moment, and in the end the driver; then the same command.

    The rest of it has one chunk that takes all fetchers down whenever it is asked for.
    """
    scan.config["timeframes"] = ["1day", "1minute", "5minute"]
    scan.config["writer"] = {"commit_every_s": 0.3}
    scan.config["fleet"] = {"fetchers": 2, "threads": 1}
    scan.config["budget"] = {"windows": [{"limit": RATE[0], "seconds": RATE[1]}]}
    seed = random.SystemRandom().randrange(1_000_000)
    print(f"seed {seed}")
    dice = random.Random(seed)
    settings = Settings(windows=(RATE,), latency_s=0.4, jitter_s=0.1, log_arrivals=True)
    with run_lookalike(settings) as exchange:
        scan.exchange = exchange
        process = scan.start()
        victims = dice.sample(ACTORS, len(ACTORS))
        for number, actor in enumerate(victims):
            sent = 3 * number + 1 + dice.randrange(3)
            until(lambda sent=sent: exchange.judge()["requests"] >= sent, process)  # type: ignore[misc]
            time.sleep(dice.random() * 0.2)
            kill_all(process, actor)
        until(lambda: exchange.judge()["requests"] >= 15, process)
        process.send_signal(signal.SIGKILL)
        process.communicate()

        scan.config["universe"]["symbols"].append("ITC")
        exchange.set_faults(stall=1.0, matching="INE154A01025/days")
        process = scan.start()
        for hit in range(1, 4):
            until(lambda hit=hit: arrivals(exchange, "INE154A01025/days") >= hit, process)  # type: ignore[misc]
            kill_all(process, "Fetcher")
            if hit == 2:
                killed = kill_all(process, "Monitor")
        # A run goes on without one; while fetchers start once more, there is time to look.
        until(lambda: bool(set(actors_of(process.pid, "Monitor")) - killed), process)
        done = finish(process)
        judged = exchange.judge()
    assert done.code == 1, done.stderr
    assert (done.summary["failed"], done.summary["causes"]) == (1, {"poison": 1}), victims
    assert done.summary["pending"] == 0
    laws.rows_are_the_markets(scan, without=frozenset([POISON]))
    laws.every_chunk_has_one_receipt(scan, planned=30)
    laws.no_version_holds_a_candle_twice(scan)
    laws.no_window_was_overfull(judged)
    kills_of_what_was_under_way = 1 + 1 + 3  # fetchers, driver, fetchers for the poison
    laws.only_what_was_under_way_is_repeated(judged, kills_of_what_was_under_way * UNDER_WAY)


def test_words_that_get_lost_on_their_way_cost_no_candle(scan: Scan) -> None:
    """Of every eighth call between driver and actors the answer never comes, though nobody has died."""
    scan.config |= {"fleet": {"fetchers": 2, "threads": 1}, "writer": {"commit_every_s": 0.2}}
    answers = {"num_failures": -1, "req_failure_prob": 0, "resp_failure_prob": 12}
    chaos = {"CoreWorkerService.grpc_client.PushTask": answers}
    done = scan.run("--address", "local", RAY_testing_rpc_failure=json.dumps(chaos))
    assert done.code == 0, done.stderr
    lost = ("fetcher.lost", "writer.lost")
    assert any(events(scan.store, name) for name in lost), "nothing was lost"
    laws.rows_are_the_markets(scan)
    laws.every_chunk_has_one_receipt(scan, planned=15)
    laws.no_version_holds_a_candle_twice(scan)
    laws.no_window_was_overfull(scan.exchange.judge())


def test_an_outage_is_waited_for_and_ends_the_run_when_it_does_not_end(scan: Scan) -> None:
    """Resumable, with few requests, no dead letter, and in words; then a shorter one, which costs nothing."""
    scan.config["fleet"] = {"fetchers": 2, "threads": 1}
    scan.config["retry"] |= {"attempts": 2, "outage_s": 6}
    scan.exchange.set_faults(server_error=1.0)
    scan.exchange.set_latency(
        0.7
    )  # long enough to pause the run while each thread has a request under way
    stopped = scan.run()
    scan.exchange.set_latency(0.0)
    assert stopped.code == 1, stopped.stderr
    assert (stopped.summary["failed"], stopped.summary["pending"]) == (0, 15)
    assert "the provider has failed every request for 6s: HTTP 50" in stopped.stderr
    assert "The same command fetches the rest." in stopped.stderr
    assert "paused: the provider fails (50" in stopped.stderr
    asked = scan.exchange.judge()["requests"]
    assert asked == stopped.summary["requests"]
    # What fetchers had in hand besides, they did not send.
    assert asked - stopped.summary["probes"] <= TRIP_AFTER + 3 < TRIP_AFTER + 2 * HANDS - 1

    probed = len(events(scan.store, "provider.probed"))
    scan.config["retry"] |= {"outage_s": 60}
    process = scan.start()
    until(lambda: len(events(scan.store, "provider.probed")) > probed, process)
    scan.exchange.set_faults()
    done = finish(process)
    assert done.code == 0, done.stderr
    assert (done.summary["failed"], done.summary["outages"]) == (0, 1)
    assert "The provider answers; going on." in done.stderr
    assert "The provider failed altogether for" in done.stderr
    failed = TRIP_AFTER + 2 * HANDS + done.summary["probes"]
    assert done.summary["requests"] <= 15 + failed
    laws.rows_are_the_markets(scan)
    laws.every_chunk_has_one_receipt(scan, planned=15)


def test_every_kind_of_bad_answer_in_one_run_costs_retries_but_no_candle(scan: Scan) -> None:
    """18 kinds, each chunk's first two requests may meet one."""
    names = ["SBIN", "RELIANCE", "INFY", "TCS", "ITC", "LT", "WIPRO", "TITAN", "MARUTI", "ONGC"]
    scan.config |= {
        "universe": {"symbols": names},
        "timeframes": ["1day", "5minute", "1minute", "15minute"],
        "provider": {"timeout_s": 2},
        # What is refused (429) narrows a window for its whole span: a minute's would be waited for.
        "budget": {"windows": [{"limit": 50, "seconds": 1}]},
    }
    scan.exchange.set_faults(worst=0.9, per_path=2, seed=SEED)
    done: Finished = scan.run()
    judged = scan.exchange.judge()
    assert set(judged["faults"]) == set(WORST), "not every kind was dealt"
    assert done.code == 0, done.stderr
    assert done.summary["failed"] == 0
    assert judged["requests"] == done.summary["requests"]
    assert done.summary["quarantined"] > 0
    laws.rows_are_the_markets(scan)
    laws.every_chunk_has_one_receipt(scan, planned=done.summary["planned"])
    laws.no_version_holds_a_candle_twice(scan)
