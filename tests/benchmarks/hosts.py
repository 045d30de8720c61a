"""Whether a host whose cable is pulled costs only what it had in hand, and when that is noticed.

Separate hosts, as far as one machine has them: each node in a network namespace of its own, on one switch,
which root may lay. The provider is on every host's own loopback: a relay over a Unix socket, which no network
is needed for.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from cluster.lookalike.launch import run_lookalike
from cluster.lookalike.settings import Settings
from tests.benchmarks.meter import Failed
from tests.together import laws
from tests.together.conftest import Scan, events, finish, until
from tests.together.test_nodes import QUICK

#: A host that answers nothing for some six seconds is dead.
HEALTH = QUICK | {"RAY_health_check_timeout_ms": "2000", "RAY_USAGE_STATS_ENABLED": "0"}
NOTICED_WITHIN_S = 30.0  # by a busy machine
RATE = (20, 1.0)
THREADS = 2
PORT = 6399
CONFIG = {
    "universe": {"symbols": ["SBIN", "RELIANCE", "INFY", "TCS", "NSE_INDEX|Nifty 50"]},
    "timeframes": ["1day", "5minute", "15minute", "1hour"],
    "dates": {"from": "2022-07-01", "to": "2024-02-29"},
    "retry": {"attempts": 8, "base_s": 0.05, "cap_s": 0.5},
    "writer": {"commit_every_s": 0.3},
    "fleet": {"fetchers": 3, "threads": THREADS},
    "budget": {"windows": [{"limit": RATE[0], "seconds": RATE[1]}]},
}

RELAY = textwrap.dedent("""
    import asyncio, sys

    async def main(listen, connect):
        async def pump(reader, writer):
            try:
                while piece := await reader.read(65536):
                    writer.write(piece)
                    await writer.drain()
            except OSError:
                pass
            writer.close()

        async def serve(reader, writer):
            try:
                there = await dial()
            except OSError:
                return writer.close()
            await asyncio.gather(pump(reader, there[1]), pump(there[0], writer))

        def dial():
            if connect.isdigit():
                return asyncio.open_connection("127.0.0.1", int(connect))
            return asyncio.open_unix_connection(connect)

        if listen.isdigit():
            server = await asyncio.start_server(serve, "127.0.0.1", int(listen))
        else:
            server = await asyncio.start_unix_server(serve, listen)
        await server.serve_forever()

    asyncio.run(main(*sys.argv[1:]))
""")


def call(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=90)


def is_fetcher(pid: int) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).name().startswith("ray::Fetcher")
    return False


@dataclass(frozen=True)
class Hosts:
    """A switch, and hosts on it: `10.213.7.1`, `10.213.7.2` and so on."""

    switch: str
    names: tuple[str, ...]

    @property
    def head(self) -> str:
        return f"{self.ip(0)}:{PORT}"

    def ip(self, number: int) -> str:
        return f"10.213.7.{number + 1}"

    def within(self, number: int) -> tuple[str, ...]:
        return ("ip", "netns", "exec", self.names[number])

    def start_ray(self, number: int, folder: Path) -> None:
        role = ["--head", f"--port={PORT}", "--include-dashboard=false", f"--temp-dir={folder}"]
        if number:
            role = [f"--address={self.head}"]
        ray = str(Path(sys.executable).with_name("ray"))
        call(
            *self.within(number),
            *("env", *(f"{name}={value}" for name, value in HEALTH.items())),
            *(ray, "start", *role, f"--node-ip-address={self.ip(number)}"),
            *("--num-cpus=1", "--object-store-memory=80000000"),
        )

    def pids(self, number: int) -> list[int]:
        command = ("ip", "netns", "pids", self.names[number])
        found = subprocess.run(command, capture_output=True, text=True, check=False)
        return list(map(int, found.stdout.split()))

    def fetchers(self, number: int) -> int:
        """How many there are on this host."""
        return sum(map(is_fetcher, self.pids(number)))

    def cut_off(self, number: int) -> None:
        """Pull its cable."""
        call("ip", "-n", self.switch, "link", "set", f"port{number}", "down")

    def kill_all_on(self, number: int) -> None:
        for pid in self.pids(number):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def hosts_of(folder: Path) -> Iterator[Hosts]:
    """A head and two workers."""
    label = f"cf{os.getpid()}"
    made = Hosts(f"{label}-switch", tuple(f"{label}-{name}" for name in ("head", "one", "two")))
    if shutil.which("ip") is None:
        raise Failed("no `ip` (iproute2) to make network namespaces with")
    try:
        try:
            lay_cables(made)
        except subprocess.CalledProcessError as error:
            said = error.stderr.decode().strip()
            raise Failed(f"may not make network namespaces: {said}") from error
        for number in range(len(made.names)):
            made.start_ray(number, folder)
        yield made
    finally:
        pull_down(made)


def lay_cables(hosts: Hosts) -> None:
    for name in (hosts.switch, *hosts.names):
        call("ip", "netns", "add", name)
        call("ip", "-n", name, "link", "set", "lo", "up")
    call("ip", "-n", hosts.switch, "link", "add", "bridge", "type", "bridge")
    call("ip", "-n", hosts.switch, "link", "set", "bridge", "up")
    for number, name in enumerate(hosts.names):
        port = f"port{number}"
        ends = ("type", "veth", "peer", "name", "eth0", "netns", name)
        call("ip", "-n", hosts.switch, "link", "add", port, *ends)
        call("ip", "-n", hosts.switch, "link", "set", port, "master", "bridge", "up")
        call("ip", "-n", name, "address", "add", f"{hosts.ip(number)}/24", "dev", "eth0")
        call("ip", "-n", name, "link", "set", "eth0", "up")


def pull_down(hosts: Hosts) -> None:
    for number, name in enumerate(hosts.names):
        hosts.kill_all_on(number)
        subprocess.run(("ip", "netns", "delete", name), capture_output=True, check=False)
    subprocess.run(("ip", "netns", "delete", hosts.switch), capture_output=True, check=False)


@contextlib.contextmanager
def relayed(hosts: Hosts, url: str, folder: Path) -> Iterator[None]:
    """The server at `url`, on this machine's loopback, is at the same address of every host."""
    port, line = str(urlsplit(url).port), str(folder / "line")
    python = (sys.executable, "-c", RELAY)
    relays = [subprocess.Popen((*python, line, port))]
    relays += [
        subprocess.Popen((*hosts.within(number), *python, port, line))
        for number in range(len(hosts.names))
    ]
    try:
        yield
    finally:
        for relay in relays:
            relay.kill()
            relay.wait()


def run(rounds: int) -> None:
    """A host is cut off in the middle of a run, as often as there are rounds; each takes two minutes."""
    for _ in range(rounds):
        with (
            tempfile.TemporaryDirectory(prefix="benchmark-") as folder,
            tempfile.TemporaryDirectory(prefix="cf-") as short,  # Ray's sockets have long paths
            run_lookalike(Settings(windows=(RATE,), latency_s=1.5, jitter_s=0.3)) as exchange,
            hosts_of(Path(short)) as hosts,
            relayed(hosts, exchange.base_url, Path(folder)),
        ):
            cut_one_off(Scan(Path(folder), exchange, CONFIG, hosts.within(0)), hosts)


def cut_one_off(scan: Scan, hosts: Hosts) -> None:
    """No word comes of it any more, and what it goes on sending to the provider is counted."""
    exchange, state = scan.exchange, str(scan.folder / "state")
    address = ("--address", hosts.head)
    process = scan.start(*address, RAY_AUTH_MODE="disabled", CANDLEFLEET_STATE_DIR=state)
    fetchers = scan.config["fleet"]["fetchers"]
    until(lambda: len(events(scan.store, "fetcher.started")) == fetchers, process)
    sent = exchange.judge()["requests"]
    until(lambda: exchange.judge()["requests"] >= sent + 4 * THREADS, process)
    assert [hosts.fetchers(number) for number in range(fetchers)] == [1] * fetchers
    hosts.cut_off(1)
    cut_s = time.monotonic()
    until(lambda: bool(events(scan.store, "chunk.lost")), process)
    noticed_s = time.monotonic() - cut_s
    exchange.set_latency(0.1)
    done = finish(process)
    judged = exchange.judge()
    if done.code != 0 or noticed_s > NOTICED_WITHIN_S:
        raise Failed(f"exit code {done.code}, noticed after {noticed_s:.1f} s: {done.stderr}")
    assert len(events(scan.store, "fetcher.lost")) == 1
    laws.rows_are_the_markets(scan)
    laws.every_chunk_has_one_receipt(scan, done.summary["planned"])
    laws.no_version_holds_a_candle_twice(scan)
    laws.no_window_was_overfull(judged)
    print(f"noticed after {noticed_s:.1f} s; {judged['repeats']} requests repeated")
    laws.only_what_was_under_way_is_repeated(judged, THREADS)
