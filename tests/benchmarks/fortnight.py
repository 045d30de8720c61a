"""A fortnight of scheduled updates with a driven clock, over the real fleet, store and look-alike.

January 2024 had it all: an exchange open on Saturday the 20th, and closed on Monday the 22nd and on Friday
the 26th. The machine sleeps over three runs, and once the provider is down for a quarter of an hour.
`python -m tests.benchmarks.fortnight --weekend` tries five days of it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path

import pyarrow.compute as pc
import yaml
from rich.console import Console

from actors.market.clock import Clock
from actors.market.session_days import REFERENCE
from actors.market.sessions import IST
from actors.writer.reading import Store
from cluster import kept
from cluster.config import RunConfig, load
from cluster.lookalike.launch import Lookalike, run_lookalike
from cluster.lookalike.settings import Settings
from cluster.lookalike.trading_days import SPECIAL_SESSIONS, holidays_of
from cluster.schedule.agenda import Due
from cluster.schedule.heed import heed
from cluster.schedule.keeper import Keeper
from cluster.schedule.record import Journal, Outcome, Record
from cluster.state import STATE_VARIABLE
from cluster.verify.job import verify_config
from cluster.verify.judgement import Grade
from tests.benchmarks.meter import Failed
from tests.cluster.schedule.one_by_one import next_look

SYMBOLS = ("SBIN", "RELIANCE", "INFY")
TIMEFRAMES = ("1day", "5minute")
SERIES = len(SYMBOLS) * len(TIMEFRAMES)
FROM = date(2024, 1, 8)  # one request a series reaches back to it
DAY = timedelta(days=1)

Moments = tuple[datetime, datetime]


@dataclass(frozen=True)
class Scenario:
    first: datetime
    last: datetime
    asleep: Moments
    down: Moments  # the provider

    def awake(self, moment: datetime) -> datetime:
        """The next moment, `moment` included, at which the machine is awake."""
        return self.asleep[1] if self.asleep[0] <= moment < self.asleep[1] else moment


def january(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2024, 1, day, hour, minute, tzinfo=IST)


FORTNIGHT = Scenario(
    first=january(15, 9),
    last=january(29, 12),
    asleep=(january(23, 12), january(26, 9)),
    down=(january(17, 17, 50), january(17, 18, 12)),
)
WEEKEND = Scenario(
    first=january(19, 9),
    last=january(23, 20),
    asleep=(january(20, 12), january(22, 9)),
    down=(january(19, 17), january(19, 18, 4)),
)


@dataclass
class Simulation:
    folder: Path
    exchange: Lookalike
    scenario: Scenario
    console: Console

    @property
    def config(self) -> RunConfig:
        return load(self.folder / "config.yaml")

    @property
    def store(self) -> Store:
        return Store(self.config.store)

    def run(self) -> list[Record]:
        """Look after the store until the scenario is over; every occasion in order, as it ended."""
        now = self.scenario.first
        while now <= self.scenario.last:
            self.exchange.set_now(now)
            is_down = self.scenario.down[0] <= now < self.scenario.down[1]
            self.exchange.set_faults(**({"server_error": 1.0} if is_down else {}))
            clock = Clock.at(now)
            keeper = Keeper(self.config, partial(self._perform, clock), self._say, clock=clock)
            is_idle = keeper.look() is None
            now = self.scenario.awake(self._next_look(now)) if is_idle else clock.now()
        records = reversed(Journal(self.config.store).last(1_000))
        return [record for record in records if record.outcome is not Outcome.ADDED]

    def _next_look(self, now: datetime) -> datetime:
        newest = Journal(self.config.store).newest(now)
        return next_look(self.config.schedule.jobs, newest, now)

    def _perform(self, clock: Clock, due: Due) -> int:
        record = heed(
            due.job, self.config, due.occasion, self.console, clock=clock, is_retried=True
        )
        return int(record.attempts[-1].exit or 0)

    def _say(self, line: str) -> None:
        self.console.print(line)


def fewest(records: list[Record], scenario: Scenario) -> int:
    """Requests of somebody who does the same updates, and knows the calendar beforehand."""
    known, asked = FROM - DAY, 0
    for record in records:
        attempt = record.attempts[-1]
        settled = (attempt.began.astimezone(IST) - timedelta(hours=8, minutes=30)).date() - DAY
        if any(is_session(known + n * DAY) for n in range(1, (settled - known).days + 1)):
            asked += SERIES
        known = max(known, settled)
    return asked


def is_session(day: date) -> bool:
    is_closed = day.weekday() > 4 or day in holidays_of(day.year)
    return day in SPECIAL_SESSIONS or not is_closed


def check(simulation: Simulation, records: list[Record]) -> str:
    """Raises Failed unless all that was to be had is there, for hardly more requests than it takes."""
    scenario, config = simulation.scenario, simulation.config
    found = verify_config(config, simulation.store, Clock.at(scenario.last)).found
    if found.grade is not Grade.COMPLETE or found.undecided:
        raise Failed(f"the store is not complete: {found.grade.name}, {found.undecided}")
    _same_days(simulation)
    sent, least = simulation.exchange.judge()["requests"], fewest(records, scenario)
    failed = [a for r in records for a in r.attempts if a.exit]
    lost = sum(attempt.requests for attempt in failed)
    index = simulation.store.receipts().filter(pc.field("instrument_key") == REFERENCE)
    learned = index.filter(pc.field("status") != "failed").num_rows
    told = f"{sent} requests sent, {least} the fewest by who knows the calendar beforehand"
    told += f"; the others: {learned} to learn it, {lost} while the provider was down"
    if sent != least + learned + lost or learned > len(records):
        raise Failed(told)
    return told


def _same_days(simulation: Simulation) -> None:
    """Each share must have a bar of every session that was over, and of no other day."""
    last = simulation.scenario.last.date() - DAY
    expected = [FROM + n * DAY for n in range((last - FROM).days + 1) if is_session(FROM + n * DAY)]
    for symbol in SYMBOLS:
        bars = simulation.store.candles(symbols=symbol, timeframe="1day", columns=["date"])
        if sorted(bars.to_arrow()["date"].to_pylist()) != expected:
            raise Failed(f"{symbol} does not have the sessions of the market")


def shown(record: Record) -> str:
    at = f"{record.occasion.astimezone(IST):%a %d %H:%M} {record.job:6}"
    attempts = f"{len(record.attempts)} attempts, " if len(record.attempts) > 1 else ""
    missed = f"also for {record.missed} missed before it, " if record.missed else ""
    ran = f"{record.attempts[-1].began.astimezone(IST):%a %d %H:%M}"
    head = f"{at} {record.outcome} ({missed}{attempts}at {ran}, {record.requests} requests)"
    return f"{head}: {record.reason}"


@contextmanager
def simulation(folder: Path, scenario: Scenario) -> Iterator[Simulation]:
    """In a process that has not imported Ray yet."""
    os.environ[STATE_VARIABLE] = str(folder / "state")
    with run_lookalike(Settings(windows=(), now=scenario.first)) as exchange:
        config = {
            "store": str(folder / "store"),
            "provider": {"base_url": exchange.base_url, "assets_url": exchange.assets_url},
            "universe": {"symbols": list(SYMBOLS)},
            "timeframes": list(TIMEFRAMES),
            "dates": {"from": FROM.isoformat()},
            "fleet": {"fetchers": 1},
            "retry": {"attempts": 2, "base_s": 0.05, "cap_s": 0.1, "outage_s": 0.5},
            "writer": {"commit_every_s": 0.2},
        }
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        kept.up(folder / "state")
        try:
            yield Simulation(folder, exchange, scenario, Console(stderr=True, highlight=False))
        finally:
            kept.down(folder / "state")


def run(rounds: int) -> None:
    """Print what became of every occasion."""
    for _ in range(rounds):
        try:
            subprocess.run([sys.executable, "-m", "tests.benchmarks.fortnight"], check=True)
        except subprocess.CalledProcessError as error:
            raise Failed("see above") from error


def main() -> None:
    scenario = WEEKEND if "--weekend" in sys.argv else FORTNIGHT
    began_s = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="candlefleet-bench-") as folder,
        simulation(Path(folder), scenario) as simulated,
    ):
        records = simulated.run()
        print(*map(shown, records), sep="\n")
        try:
            print(check(simulated, records))
        except Failed as failure:
            sys.exit(f"fortnight: {failure}")
    print(f"took {time.monotonic() - began_s:.0f} s")


if __name__ == "__main__":
    main()
