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
from actors.limiter.balance import Balance
from actors.limiter.budget import AHEAD_AT_MOST, Budget, Granted
from actors.limiter.caution import Counted
from actors.limiter.clock import Reading
from actors.limiter.ledger import Ledger
from actors.limiter.restart import SYNC_EVERY_NS
from actors.limiter.terms import ON_ITS_WAY_NS, Claim, Terms
from actors.limiter.turns import Priority
from actors.market.window import NS_PER_S, Window

MS = 1_000_000
MINUTE = 60 * NS_PER_S
TIMEOUT_S = 30.0
LIFETIME = 90 * NS_PER_S


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


class Limiter:
    """A process with the same budget as any other, and one run that wants permits of it."""

    def __init__(self, folder, computer, windows, run_id="run-1", **terms):
        self.computer = computer
        self.ledger = Ledger(folder)
        self.claim = Claim(run_id, Terms("upstox", windows, TIMEOUT_S, **terms))
        self.budget = Budget(self.ledger, "upstox", f"limiter of {id(self)}", computer.read())
        self.balance = self.budget.balance

    def grant(self):
        answer = self.budget.grant(self.computer.read(), [self.claim])
        return answer.permit if isinstance(answer, Granted) else None

    def spend(self, count=1, ended=True):
        permits = [self.grant() for _ in range(count)]
        assert None not in permits
        for permit in permits if ended else ():
            self.balance.end(permit, self.computer.read())
        return permits

    def free_in_s(self):
        now = self.computer.read()
        self.balance.remember(self.claim)
        limits = self.budget.limits(now, self.claim.terms)
        return (self.balance.free_at(now, self.claim, limits) - now.boot_ns) / NS_PER_S

    def use(self):
        now = self.computer.read()
        self.balance.remember(self.claim)
        return self.balance.use(now, self.balance.narrowed(now, self.claim.terms.windows))


@pytest.fixture
def computer():
    return Computer()


@pytest.fixture
def opened(tmp_path, computer):
    """Opens the same budget anew, as a process does that starts."""
    limiters = []

    def open_budget(*windows, folder=tmp_path, **claim):
        limiters.append(Limiter(folder, computer, windows, **claim))
        return limiters[-1]

    yield open_budget
    for limiter in limiters:
        limiter.ledger.close()


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
    st.builds(Window, st.integers(1, 3), st.integers(1, 240).map(lambda s: s * NS_PER_S)),
    min_size=1,
    max_size=2,
).map(tuple)
happenings = st.lists(
    st.tuples(
        st.sampled_from(
            ["grant", "grant", "end", "give up", "refuse", "restart", "reboot", "wall set"]
        ),
        st.one_of(st.just(0), st.integers(0, 40 * NS_PER_S)),
        st.integers(0, 5),
    ),
    min_size=8,
    max_size=30,
)


@settings(deadline=None, max_examples=60)
@given(some_windows, happenings)
def test_no_window_is_overfull_across_restarts_reboots_and_clocks_set(windows, happenings):
    """A request may arrive until its permit's lifetime is over; later only if it was given up late."""
    computer = Computer()
    sent = {}  # permit: [granted, may arrive until, somebody waits for it]
    with tempfile.TemporaryDirectory() as folder:
        limiter = Limiter(Path(folder), computer, windows)
        for kind, later_ns, which in happenings:
            computer.now_ns += later_ns
            now = computer.read()
            waited_for = [p for p, r in sent.items() if r[2] and computer.now_ns <= r[1]]
            if kind == "grant" and (permit := limiter.grant()) is not None:
                sent[permit] = [computer.now_ns, computer.now_ns + LIFETIME, True]
            elif kind in ("end", "refuse") and waited_for:
                permit = waited_for[which % len(waited_for)]
                if kind == "end":
                    limiter.balance.end(permit, now)
                else:
                    limiter.balance.refuse(permit, now, limiter.claim.terms)
                sent[permit][1:] = [computer.now_ns, False]
            elif kind == "give up" and waited_for:
                permit = waited_for[which % len(waited_for)]
                limiter.balance.give_up(permit, now)
                until_ns = max(sent[permit][1], computer.now_ns + ON_ITS_WAY_NS)
                sent[permit][1:] = [until_ns, False]
            elif (
                kind == "wall set"
            ):  # back or forth, in mid-run: the driver is heard twice a second
                computer.wall_ahead_ns += (which - 2) * 60 * NS_PER_S
                limiter.budget.announce(computer.read(), limiter.claim, 1)
            elif kind in ("restart", "reboot"):
                limiter.ledger.close()
                if kind == "reboot":
                    computer.reboot()
                limiter = Limiter(Path(folder), computer, windows)
        limiter.ledger.close()
    times = [(granted, over) for granted, over, _ in sent.values()]
    assert all(worst(w, times) <= w.limit for w in windows)


def test_a_run_that_is_killed_is_soon_in_no_forecast(opened, computer):
    """The same command, given again at once, is not told that it waits for what it was itself."""
    limiter = opened(Window(10, MINUTE))
    limiter.budget.announce(computer.read(), limiter.claim, 370)
    computer.now_ns += 2 * NS_PER_S  # it is heard twice a second, on a busy machine less often
    assert [run.pending for run in limiter.budget.runs(computer.read())] == [370]
    computer.now_ns += 2 * NS_PER_S
    assert limiter.budget.runs(computer.read()) == []


def test_a_restart_forgets_nothing_and_costs_nothing(opened, computer):
    before = opened(Window(10, MINUTE))
    before.spend(7)
    (now,) = opened(Window(10, MINUTE)).use()
    assert (now.recent, now.in_flight, now.left) == (7, 0, 3)
    assert before.free_in_s() == 0


def test_a_permit_without_an_end_counts_for_its_lifetime_whatever_restarts(opened, computer):
    opened(Window(1, NS_PER_S)).spend(ended=False)
    computer.now_ns += 20 * NS_PER_S
    assert opened(Window(1, NS_PER_S)).free_in_s() == pytest.approx(90 - 20 + 1, abs=0.01)


def test_a_permit_lives_as_long_as_its_own_run_waits_for_requests(opened, computer):
    """Not as long as the run that looks at it."""
    opened(Window(1, NS_PER_S)).spend(ended=False)
    other = opened(Window(1, NS_PER_S))
    other.claim = Claim("run-2", Terms("upstox", (Window(1, NS_PER_S),), 600.0))
    assert other.free_in_s() == pytest.approx(90 + 1, abs=0.01)


def test_a_permit_given_up_counts_for_a_minute_more_and_a_restart_knows(opened, computer):
    one = opened(Window(1, NS_PER_S))
    (permit,) = one.spend(ended=False)
    computer.now_ns += 40 * NS_PER_S
    one.balance.give_up(permit, computer.read())
    assert one.free_in_s() == pytest.approx(60 + 1, abs=0.01)
    assert opened(Window(1, NS_PER_S)).free_in_s() == one.free_in_s()


def test_after_a_reboot_the_wall_clock_says_how_long_ago(opened, computer):
    windows = (Window(2, NS_PER_S), Window(100, MINUTE))
    opened(*windows).spend(2)
    computer.now_ns += 40 * NS_PER_S
    computer.reboot()
    (_, minute) = opened(*windows).use()
    # Two more may have been lost with the power: that cannot be told from an orderly reboot.
    assert (minute.recent, minute.in_flight) == (2, 2)
    assert (minute.frees_at_ns - computer.read().boot_ns) / NS_PER_S == pytest.approx(20, abs=0.1)


def test_a_wall_clock_set_while_the_computer_is_on_tells_a_reboot_nothing_false(opened, computer):
    """Set two hours forward between two permits: both are half a minute old, for a boot is one clock."""
    limiter = opened(Window(9, NS_PER_S), Window(100, MINUTE))
    limiter.spend(5)
    computer.wall_ahead_ns += 7_200 * NS_PER_S
    limiter.spend(3)
    computer.now_ns += 30 * NS_PER_S
    computer.reboot()
    (_, minute) = opened(Window(9, NS_PER_S), Window(100, MINUTE)).use()
    assert minute.recent == 8
    assert (minute.frees_at_ns - computer.read().boot_ns) / NS_PER_S == pytest.approx(30, abs=0.1)


def test_after_a_reboot_a_wall_clock_set_back_meanwhile_makes_the_last_of_it_now(opened, computer):
    windows = (Window(2, MINUTE), Window(1, NS_PER_S))
    opened(*windows).spend()
    computer.now_ns += 40 * NS_PER_S
    computer.reboot()
    computer.wall_ahead_ns -= 3_600 * NS_PER_S
    (minute, _) = opened(*windows).use()
    assert minute.left == 0
    assert minute.frees_at_ns - computer.read().boot_ns == pytest.approx(MINUTE, rel=0.01)


def test_what_a_loss_of_power_takes_is_counted(opened, computer, tmp_path):
    """The disk holds only what was synced; up to a window's worth may have been granted since."""
    windows = (Window(5, NS_PER_S), Window(20, MINUTE))
    limiter = opened(*windows)
    limiter.spend()
    shutil.copytree(tmp_path, tmp_path / "disk")
    computer.now_ns += SYNC_EVERY_NS - 1
    limiter.spend(4)
    computer.now_ns += 10 * NS_PER_S
    computer.reboot()
    (_, minute) = opened(*windows, folder=tmp_path / "disk").use()
    assert minute.left == 20 - 1 - 5
    # Once only: the next start on the same boot takes nothing more.
    (_, again) = opened(*windows, folder=tmp_path / "disk").use()
    assert again.left == minute.left


def test_grants_are_synced_often_enough_for_that(opened, computer, tmp_path):
    """Half a second after the last sync, a grant brings all before it to the disk."""
    statements = []
    limiter = opened(Window(1_000, NS_PER_S))
    limiter.ledger._db.set_trace_callback(statements.append)
    for _ in range(100):
        limiter.spend(ended=False)
        computer.now_ns += 50 * MS
    assert sum("synchronous = FULL" in statement for statement in statements) == 10


def test_a_run_with_wider_windows_finds_what_was_spent_before_it(opened, computer):
    """Within the hour in any case, though the narrow one has forgotten it long ago."""
    limiter = opened(Window(500, NS_PER_S))
    limiter.spend(300)
    computer.now_ns += 1_800 * NS_PER_S
    limiter.spend(1)
    day = (Window(303, 86_400 * NS_PER_S),)
    limiter.claim = Claim("run-2", Terms("upstox", day, TIMEOUT_S))
    assert [use.left for use in limiter.use()] == [2]
    limiter.spend(2)
    assert limiter.grant() is None


def test_a_run_with_narrow_windows_forgets_nothing_that_another_needs(opened, computer):
    day = Window(40, 86_400 * NS_PER_S)
    opened(day, run_id="day").spend(40)
    computer.now_ns += 3 * 3_600 * NS_PER_S
    opened(Window(50, NS_PER_S), run_id="second").spend(5)  # its first grant prunes
    assert opened(day, run_id="day").grant() is None


# Several runs


def test_two_limiters_on_one_ledger_share_the_budget(opened, computer):
    one, other = opened(Window(4, MINUTE)), opened(Window(4, MINUTE), run_id="run-2")
    one.spend(2)
    other.spend(2)
    assert one.grant() is None
    assert other.grant() is None
    assert one.use() == other.use()
    assert one.free_in_s() == pytest.approx(60, abs=0.02)


def test_an_end_told_by_one_limiter_frees_the_other(opened, computer):
    one, other = opened(Window(1, NS_PER_S)), opened(Window(1, NS_PER_S), run_id="run-2")
    (permit,) = one.spend(ended=False)
    assert other.free_in_s() > 60
    one.balance.end(permit, computer.read())
    assert other.free_in_s() == pytest.approx(1, abs=0.01)


def test_a_share_binds_its_own_run_and_counts_over_a_restart(opened):
    other = opened(Window(10, MINUTE), run_id="other")
    half = opened(Window(10, MINUTE), run_id="half", share=0.5)
    other.spend(3)
    half.spend(5)
    assert half.grant() is None
    assert opened(Window(10, MINUTE), run_id="half", share=0.5).grant() is None
    other.spend(2)
    assert other.grant() is None


def test_a_reserve_is_kept_free_by_every_run_while_one_that_names_it_is_alive(opened, computer):
    plain = opened(Window(10, MINUTE), run_id="plain")
    careful = opened(Window(10, MINUTE), run_id="careful", reserve=(Window(2, MINUTE),))
    careful.spend(1)
    plain.spend(7)
    assert plain.grant() is None
    assert careful.grant() is None
    computer.now_ns += 11 * NS_PER_S
    plain.spend(2)


def race(limiters, computer, seconds, *, lanes=8, latency_ns=150 * MS):
    """Runs with that many requests under way at the most, each a process with a limiter of its own.

    Every one asks when it said it would, and whenever one of its requests has ended. Who got how many.
    """
    got = dict.fromkeys([limiter.claim.run_id for limiter in limiters], 0)
    wakes_ns = [computer.now_ns for _ in limiters]
    under_way = [[] for _ in limiters]  # of each: when it ends, which permit
    until_ns = computer.now_ns + seconds * NS_PER_S
    announced_ns = 0
    while computer.now_ns < until_ns:
        if computer.now_ns >= announced_ns:  # as drivers do, so that others know of them
            announced_ns = computer.now_ns + NS_PER_S // 2
            for limiter in limiters:
                limiter.budget.announce(computer.read(), limiter.claim, 10_000)
        nexts_ns = [
            min([wakes_ns[i]] * (len(under_way[i]) < lanes) + [end for end, _ in under_way[i][:1]])
            for i in range(len(limiters))
        ]
        who = nexts_ns.index(min(nexts_ns))
        computer.now_ns = max(computer.now_ns, nexts_ns[who]) + MS  # nobody is exactly on time
        limiter, now = limiters[who], computer.read()
        while under_way[who] and under_way[who][0][0] <= computer.now_ns:
            limiter.balance.end(under_way[who].pop(0)[1], now)
        if len(under_way[who]) == lanes:
            continue
        answer = limiter.budget.grant(now, [limiter.claim])
        if isinstance(answer, Granted):
            got[answer.run_id] += 1
            under_way[who].append((computer.now_ns + latency_ns, answer.permit))
            wakes_ns[who] = computer.now_ns
        else:
            wakes_ns[who] = answer.at_ns
    for limiter, left in zip(limiters, under_way, strict=True):
        for _, permit in left:
            limiter.balance.end(permit, computer.read())
    return got


SCARCE = (Window(20, NS_PER_S), Window(60, 10 * NS_PER_S))


def test_runs_of_two_processes_share_evenly_whatever_their_lanes_do(opened, computer):
    runs = [opened(*SCARCE, run_id=f"run-{i}") for i in (1, 2)]
    got = race(runs, computer, 60)
    assert sum(got.values()) >= 0.9 * 60 * 6
    assert abs(got["run-1"] - got["run-2"]) <= 0.1 * sum(got.values())


def test_an_interactive_run_goes_before_another_processs_backfill_which_still_moves(
    opened, computer
):
    backfill = opened(*SCARCE, run_id="backfill", priority=Priority.BACKFILL)
    race([backfill], computer, 30)  # has had everything so far; that is not held against it
    interactive = opened(*SCARCE, run_id="interactive")
    got = race([backfill, interactive], computer, 60)
    total = sum(got.values())
    assert total >= 0.9 * 60 * 6
    assert 0 < got["backfill"] <= total / 17 + 2 * AHEAD_AT_MOST + 8


def test_a_share_beside_a_run_without_takes_nothing_from_either(opened, computer):
    careful = opened(*SCARCE, run_id="careful", share=0.8)
    carefree = opened(*SCARCE, run_id="carefree")
    got = race([careful, carefree], computer, 60)
    assert abs(got["careful"] - got["carefree"]) <= 0.15 * sum(got.values())


def test_a_small_share_is_used_and_leaves_the_rest_to_others(opened, computer):
    polite = opened(*SCARCE, run_id="polite", share=0.1)
    other = opened(*SCARCE, run_id="other")
    got = race([polite, other], computer, 60)
    assert got["polite"] == pytest.approx(36, abs=8)
    assert got["other"] >= 0.85 * (60 * 6 - got["polite"])


def test_nobody_waits_long_for_a_run_whose_process_is_gone(opened, computer):
    """It should have asked by now, and does not: its turn is over after a moment."""
    gone, alive = (opened(*SCARCE, run_id=f"run-{i}") for i in (1, 2))
    race([gone, alive], computer, 30)  # and then it is never heard of again
    got = race([alive], computer, 30)
    assert got["run-2"] >= 0.9 * 30 * 6


def test_runs_of_one_process_take_turns_without_any_lead(opened, computer):
    limiter = opened(Window(10, NS_PER_S))
    claims = [limiter.claim, Claim("run-2", limiter.claim.terms)]
    got = [limiter.budget.grant(computer.read(), claims).run_id for _ in range(10)]
    assert got == ["run-1", "run-2"] * 5


def test_budgets_of_other_names_are_apart(tmp_path, computer):
    ledger = Ledger(tmp_path)
    terms = Terms("a", (Window(1, MINUTE),), TIMEOUT_S)
    for name in ("a", "b"):
        budget = Budget(ledger, name, "limiter", computer.read())
        assert isinstance(budget.grant(computer.read(), [Claim("run-1", terms)]), Granted)
    ledger.close()


# Refusals


def refuse_one(limiter, computer):
    (permit,) = limiter.spend(ended=False)
    limiter.balance.refuse(permit, computer.read(), limiter.claim.terms)


def test_a_refusal_freezes_every_process_and_says_what_we_had_counted(opened, computer):
    one, other = opened(Window(10, MINUTE)), opened(Window(10, MINUTE), run_id="run-2")
    one.spend(3)
    refuse_one(one, computer)
    assert one.grant() is None
    assert other.grant() is None
    assert other.balance.caution.counted == (Counted(4, Window(10, MINUTE)),)
    computer.now_ns += NS_PER_S
    probe = other.grant()
    assert probe is not None
    assert one.grant() is None, "one request asks, not one per process"
    other.balance.end(probe, computer.read())
    assert one.grant() is not None


def test_a_restart_and_a_reboot_know_that_we_are_refused(opened, computer):
    windows = (Window(5, NS_PER_S), Window(100, MINUTE))
    refuse_one(opened(*windows), computer)
    assert opened(*windows).grant() is None
    computer.reboot()
    after = opened(*windows)
    assert after.grant() is None
    computer.now_ns += LIFETIME + 2 * NS_PER_S  # what the power may have taken is over, too
    assert after.grant() is not None
    assert after.grant() is None, "it is a probe"


def test_after_a_refusal_the_limits_are_narrower_for_a_while(opened, computer):
    limiter = opened(Window(100, MINUTE))
    refuse_one(limiter, computer)
    computer.now_ns += NS_PER_S
    limiter.spend()
    (use,) = opened(Window(100, MINUTE)).use()
    assert (use.window.limit, use.left) == (70, 68)
    computer.now_ns += 6 * MINUTE
    (use,) = opened(Window(100, MINUTE)).use()
    assert use.window.limit == 100


def test_trust_returns_by_the_clock_and_a_waiter_knows_when(opened, computer):
    """After a refusal, 7 of 10 may be used; half a permit more after each minute of peace."""
    limiter = opened(Window(10, MINUTE))
    limiter.spend(6)
    refuse_one(limiter, computer)
    computer.now_ns += 2 * NS_PER_S
    answer = limiter.budget.grant(computer.read(), [limiter.claim])
    assert answer.at_ns - computer.read().boot_ns == pytest.approx(58 * NS_PER_S, rel=0.01)


def test_what_was_learned_outlives_what_it_was_learned_from(opened, computer, monkeypatch):
    """Refusals are remembered though their permits, and those that came after, are pruned."""
    monkeypatch.setattr(budget_module, "_PRUNE_EVERY", 1)
    window = Window(100, 1_800 * NS_PER_S)
    limiter = opened(window)
    for _ in range(3):
        refuse_one(limiter, computer)
        computer.now_ns += 2 * NS_PER_S
        limiter.spend()
        computer.now_ns += 2 * 3_600 * NS_PER_S
    limiter.spend()
    (use,) = limiter.use()
    assert use.window.limit < 100
    assert opened(window).use() == limiter.use()
    assert opened(window).balance.frozen_until(computer.read()) is None


def test_a_request_that_was_never_sent_is_no_sign_of_peace(opened, computer):
    limiter = opened(Window(10, MINUTE))
    refuse_one(limiter, computer)
    computer.now_ns += NS_PER_S
    (probe,) = limiter.spend(ended=False)
    limiter.balance.withdraw(probe, computer.read())
    (probe,) = limiter.spend(ended=False)
    assert limiter.grant() is None, "the next one asks, alone again"
    limiter.balance.end(probe, computer.read())
    assert limiter.grant() is not None


def test_an_answered_probe_lets_waiting_runs_of_other_processes_go_on_soon(opened, computer):
    one, other = opened(Window(10, MINUTE)), opened(Window(10, MINUTE), run_id="run-2")
    refuse_one(one, computer)
    computer.now_ns += NS_PER_S
    one.grant()
    waits_ns = other.budget.grant(computer.read(), [other.claim]).at_ns - computer.read().boot_ns
    assert 0 < waits_ns <= NS_PER_S


# The file


def test_the_ledger_does_not_grow_with_what_is_long_over(opened, computer, monkeypatch):
    monkeypatch.setattr(budget_module, "_PRUNE_EVERY", 50)
    limiter = opened(Window(10_000, NS_PER_S))
    for _ in range(300):
        limiter.spend()
        computer.now_ns += 60 * NS_PER_S
    entries = limiter.ledger.entries("upstox")
    assert 120 <= len(entries) <= 120 + 51  # two hours
    # Change numbers go on where they were: another limiter misses nothing.
    assert entries[-1].change == 600


def test_a_thousand_grants_a_second_are_no_burden(tmp_path):
    """Each is a committed transaction, and so is each end."""
    ledger = Ledger(tmp_path)
    budget = Budget(ledger, "upstox", "limiter", clock.read())
    claim = Claim("run-1", Terms("upstox", (Window(100_000, NS_PER_S),), TIMEOUT_S))
    began_s = time.process_time()
    for _ in range(2_000):
        budget.balance.end(budget.grant(clock.read(), [claim]).permit, clock.read())
    assert 2_000 / (time.process_time() - began_s) > 1_000
    ledger.close()


def test_this_computers_clocks_run_on():
    first, then = clock.read(), clock.read()
    assert first.boot_id == then.boot_id != ""
    assert first.boot_ns <= then.boot_ns


# Real processes

SPENDER = """
import json, os, sys, time
from pathlib import Path
from actors.limiter.budget import Budget, Granted
from actors.limiter.clock import read
from actors.limiter.ledger import Ledger
from actors.limiter.terms import Claim, Terms
from actors.market.window import Window

folder, limit, span_ns, seconds = sys.argv[1], *map(int, sys.argv[2:])
windows = (Window(limit, span_ns), Window(4 * limit, 6 * span_ns))
name = str(os.getpid())
budget = Budget(Ledger(Path(folder)), "upstox", name, read())
claim = Claim(name, Terms("upstox", windows, 1.0))
print("ready", flush=True)
until_ns = read().boot_ns + seconds * 10**9
while (now := read()).boot_ns < until_ns:
    answer = budget.grant(now, [claim])
    if isinstance(answer, Granted):
        print(json.dumps([answer.permit, now.boot_ns, read().boot_ns]), flush=True)
        budget.balance.end(answer.permit, read())
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
    terms = Terms("upstox", (Window(100_000, 1_800 * NS_PER_S),), TIMEOUT_S)
    (use,) = Balance(ledger, "upstox", clock.read()).use(clock.read(), terms.windows)
    assert use.in_flight + use.recent >= len(permits)
    ledger.close()
