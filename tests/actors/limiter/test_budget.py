from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import actors
from actors.limiter import budget as budget_module
from actors.limiter import clock
from actors.limiter.budget import SYNC_EVERY_NS, Budget
from actors.limiter.clock import Reading
from actors.limiter.ledger import Ledger
from actors.market.window import NS_PER_S, Window

MS = 1_000_000
MINUTE = 60 * NS_PER_S
LIFETIME = 150 * MS


class Computer:
    """True time, and what the clocks make of it."""

    def __init__(self):
        self.now_ns = 1_000 * NS_PER_S
        self.booted_ns = 0
        self.wall_ahead_ns = 1_700_000_000 * NS_PER_S
        self.boots = 1

    def read(self):
        return Reading(
            f"boot-{self.boots}", self.now_ns - self.booted_ns, self.now_ns + self.wall_ahead_ns
        )

    def reboot(self):
        self.boots += 1
        self.booted_ns = self.now_ns


@pytest.fixture
def computer():
    return Computer()


@pytest.fixture
def opened(tmp_path, computer):
    """Opens the same budget anew, as a process does that starts."""
    ledgers = []

    def open_budget(*windows, lifetime_ns=MINUTE, folder=tmp_path):
        ledgers.append(Ledger(folder))
        return Budget(ledgers[-1], "upstox", windows, lifetime_ns, computer.read())

    yield open_budget
    for ledger in ledgers:
        ledger.close()


def spend(budget, computer, count=1, ended=True):
    for _ in range(count):
        permit = budget.grant(computer.read(), "run-1")
        assert permit is not None
        if ended:
            budget.end(permit, computer.read())


def free_in_s(budget, computer):
    return (budget.free_at(computer.read()) - computer.read().boot_ns) / NS_PER_S


def worst(window, times):
    """Most requests within one half-open span, if each arrives when it is worst between its times."""
    begins = [over for _, over in times]
    return max(
        (
            sum(g < begin + window.span_ns and begin <= over for g, over in times)
            for begin in begins
        ),
        default=0,
    )


some_windows = st.lists(
    st.builds(Window, st.integers(1, 3), st.integers(1, 400).map(lambda ms: ms * MS)),
    min_size=1,
    max_size=2,
).map(tuple)
happenings = st.lists(
    st.tuples(
        st.sampled_from(["grant", "grant", "end", "give up", "restart", "reboot", "wall set back"]),
        st.one_of(st.just(0), st.integers(0, 60 * MS)),
        st.integers(0, 5),
    ),
    min_size=8,
    max_size=30,
)


@settings(deadline=None, max_examples=60)
@given(some_windows, happenings)
def test_no_window_is_overfull_across_restarts_reboots_and_clocks_set_back(windows, happenings):
    computer, sent = (
        Computer(),
        {},
    )  # permit: [granted, over at the latest, where between, waited for]
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(Path(folder))
        budget = Budget(ledger, "upstox", windows, LIFETIME, computer.read())
        for kind, later_ns, which in happenings:
            computer.now_ns += later_ns
            now = computer.read()
            alive = [p for p, r in sent.items() if r[2] and computer.now_ns <= r[0] + LIFETIME]
            if kind == "grant" and (permit := budget.grant(now, "run-1")) is not None:
                sent[permit] = [computer.now_ns, computer.now_ns + LIFETIME, True]
            elif kind == "end" and alive:
                permit = alive[which % len(alive)]
                budget.end(permit, now)
                sent[permit][1:] = [computer.now_ns, False]
            elif kind == "give up" and alive:
                permit = alive[which % len(alive)]
                budget.give_up(permit, now)
                sent[permit][1:] = [computer.now_ns + LIFETIME, False]
            elif kind == "wall set back":
                computer.wall_ahead_ns -= which * 100 * MS
            elif kind in ("restart", "reboot"):
                ledger.close()
                if kind == "reboot":
                    computer.reboot()
                ledger = Ledger(Path(folder))
                budget = Budget(ledger, "upstox", windows, LIFETIME, computer.read())
        ledger.close()
    times = [(granted, over) for granted, over, _ in sent.values()]
    assert all(worst(w, times) <= w.limit for w in windows)


def test_a_restart_forgets_nothing_and_costs_nothing(opened, computer):
    before = opened(Window(10, MINUTE))
    spend(before, computer, 7)
    (now,) = opened(Window(10, MINUTE)).use(computer.read())
    assert (now.recent, now.in_flight, now.left) == (7, 0, 3)
    assert before.free_at(computer.read()) == computer.read().boot_ns


def test_a_permit_without_an_end_counts_from_the_restart_for_a_lifetime(opened, computer):
    """Its holder may have given it up until now, and the word of that died with the limiter."""
    spend(opened(Window(1, NS_PER_S)), computer, ended=False)
    computer.now_ns += 20 * NS_PER_S
    assert free_in_s(opened(Window(1, NS_PER_S)), computer) == pytest.approx(61, abs=0.01)
    computer.now_ns += 600 * NS_PER_S
    assert free_in_s(opened(Window(1, NS_PER_S)), computer) == 0


def test_after_a_reboot_the_wall_clock_says_how_long_ago(opened, computer):
    windows = (Window(2, NS_PER_S), Window(100, MINUTE))
    spend(opened(*windows), computer, 2)
    computer.now_ns += 40 * NS_PER_S
    computer.reboot()
    (_, minute) = opened(*windows).use(computer.read())
    assert (minute.frees_at_ns - computer.read().boot_ns) / NS_PER_S == pytest.approx(20, abs=0.1)
    # Two more may have been lost with the power: that cannot be told from an orderly reboot.
    assert minute.left == 100 - 2 - 2


def test_after_a_reboot_a_wall_clock_set_back_makes_all_of_it_now(opened, computer):
    spend(opened(Window(2, MINUTE), Window(1, NS_PER_S)), computer)
    computer.now_ns += 40 * NS_PER_S
    computer.wall_ahead_ns -= 3_600 * NS_PER_S
    computer.reboot()
    (minute, _) = opened(Window(2, MINUTE), Window(1, NS_PER_S)).use(computer.read())
    assert minute.left == 0
    assert minute.frees_at_ns - computer.read().boot_ns == pytest.approx(MINUTE, rel=0.01)


def test_what_a_loss_of_power_takes_is_counted(opened, computer, tmp_path):
    """The disk holds only what was synced; up to a window's worth may have been granted since."""
    windows = (Window(5, NS_PER_S), Window(20, MINUTE))
    budget = opened(*windows)
    spend(budget, computer)
    shutil.copytree(tmp_path, tmp_path / "disk")
    computer.now_ns += SYNC_EVERY_NS - 1
    spend(budget, computer, 4)
    computer.now_ns += 10 * NS_PER_S
    computer.reboot()
    (_, minute) = opened(*windows, folder=tmp_path / "disk").use(computer.read())
    assert minute.left <= 20 - 5
    assert minute.left == 20 - 1 - 5
    # Once only: the next start on the same boot takes nothing more.
    (_, again) = opened(*windows, folder=tmp_path / "disk").use(computer.read())
    assert again.left == minute.left


def test_grants_are_synced_often_enough_for_that(opened, computer, tmp_path):
    """Half a second after the last sync, a grant brings all before it to the disk."""
    statements = []
    budget = opened(Window(1_000, NS_PER_S))
    budget._ledger._db.set_trace_callback(statements.append)
    for _ in range(100):
        spend(budget, computer, ended=False)
        computer.now_ns += 50 * MS
    assert sum("synchronous = FULL" in statement for statement in statements) == 10


def test_two_limiters_on_one_ledger_share_the_budget(opened, computer):
    windows = (Window(4, MINUTE),)
    one, other = opened(*windows), opened(*windows)
    spend(one, computer, 2)
    spend(other, computer, 2)
    assert one.grant(computer.read(), "run-1") is None
    assert other.grant(computer.read(), "run-2") is None
    assert one.use(computer.read()) == other.use(computer.read())
    assert free_in_s(one, computer) == pytest.approx(60, abs=0.02)


def test_an_end_told_by_one_limiter_frees_the_other(opened, computer):
    one, other = opened(Window(1, NS_PER_S)), opened(Window(1, NS_PER_S))
    permit = one.grant(computer.read(), "run-1")
    assert free_in_s(other, computer) > 60
    one.end(permit, computer.read())
    assert free_in_s(other, computer) == pytest.approx(1, abs=0.01)


def test_budgets_of_other_names_are_apart(tmp_path, computer):
    ledger = Ledger(tmp_path)
    budgets = [
        Budget(ledger, name, (Window(1, MINUTE),), MINUTE, computer.read()) for name in ("a", "b")
    ]
    for budget in budgets:
        spend(budget, computer)
    ledger.close()


def test_the_ledger_does_not_grow_with_what_is_long_over(opened, computer, monkeypatch):
    monkeypatch.setattr(budget_module, "_PRUNE_EVERY", 50)
    budget = opened(Window(10_000, NS_PER_S))
    for _ in range(300):
        spend(budget, computer)
        computer.now_ns += 60 * NS_PER_S
    entries = budget._ledger.entries("upstox")
    assert 62 <= len(entries) <= 62 + 50  # an hour and two lifetimes
    # Change numbers go on where they were: another limiter misses nothing.
    assert entries[-1].change == 600


def test_a_thousand_grants_a_second_are_no_burden(opened):
    """Each is a committed transaction, and so is each end."""
    budget = opened(Window(100_000, NS_PER_S))
    began_s = time.perf_counter()
    for _ in range(2_000):
        budget.end(budget.grant(clock.read(), "run-1"), clock.read())
    assert 2_000 / (time.perf_counter() - began_s) > 1_000


def test_this_computers_clocks_run_on():
    first, then = clock.read(), clock.read()
    assert first.boot_id == then.boot_id != ""
    assert first.boot_ns <= then.boot_ns


# Real processes

SPENDER = """
import json, sys, time
from pathlib import Path
from actors.limiter.budget import Budget
from actors.limiter.clock import read
from actors.limiter.ledger import Ledger
from actors.market.window import Window

folder, limit, span_ns, seconds = sys.argv[1], *map(int, sys.argv[2:])
windows = (Window(limit, span_ns), Window(4 * limit, 6 * span_ns))
budget = Budget(Ledger(Path(folder)), "upstox", windows, 10**9, read())
print("ready", flush=True)
until_ns = read().boot_ns + seconds * 10**9
while (now := read()).boot_ns < until_ns:
    permit = budget.grant(now, "run")
    if permit is not None:
        granted_ns = now.boot_ns
        print(json.dumps([permit, granted_ns, read().boot_ns]), flush=True)
        budget.end(permit, read())
"""


def spender(folder, *, limit, span_ns, seconds):
    root = str(Path(actors.__file__).parents[1])
    return subprocess.Popen(
        [sys.executable, "-c", SPENDER, str(folder), str(limit), str(span_ns), str(seconds)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": root},
    )


def test_two_processes_together_never_overfill_a_window(tmp_path):
    span_ns = 50 * MS
    both = [spender(tmp_path, limit=10, span_ns=span_ns, seconds=1) for _ in range(2)]
    told = [process.communicate(timeout=60)[0].splitlines()[1:] for process in both]
    sent = sorted(json.loads(line) for lines in told for line in lines)
    assert all(len(lines) > 10 for lines in told)
    assert len({permit for permit, *_ in sent}) == len(sent)
    times = [(granted_ns, over_ns) for _, granted_ns, over_ns in sent]
    assert worst(Window(10, span_ns), times) <= 10
    assert worst(Window(40, 6 * span_ns), times) <= 40


def test_kill_9_loses_no_grant_that_was_told(tmp_path):
    process = spender(tmp_path, limit=100_000, span_ns=1_800 * NS_PER_S, seconds=60)
    told = [process.stdout.readline() for _ in range(200)][1:]
    process.send_signal(signal.SIGKILL)
    told += process.stdout.readlines()
    process.wait(timeout=30)
    process.stdout.close()
    permits = {json.loads(line)[0] for line in told if line.endswith("]\n")}
    assert len(permits) >= 199
    ledger = Ledger(tmp_path)
    assert permits <= {entry.permit for entry in ledger.entries("upstox")}
    windows = (Window(100_000, 1_800 * NS_PER_S),)
    (use,) = Budget(ledger, "upstox", windows, NS_PER_S, clock.read()).use(clock.read())
    assert use.in_flight + use.recent >= len(permits)
    ledger.close()
