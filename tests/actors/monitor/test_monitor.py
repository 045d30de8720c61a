from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.market.chunk import Cause
from actors.market.memory import MemorySample, sample
from actors.monitor.memory import (
    BREATH_EVERY_S,
    BREATH_S,
    Held,
    HostMemory,
    MemoryGate,
    Silence,
    by_host,
)
from actors.monitor.progress import RATE_OVER_S, Counters, Tally

tallies = st.builds(
    Tally,
    fetcher=st.sampled_from(["fetcher-1", "fetcher-2"]),
    rows=st.integers(0, 9_000),
    body_bytes=st.integers(0, 700_000),
    trouble=st.none() | st.sampled_from(Cause),
)


@given(st.lists(st.tuples(st.floats(0, 5), tallies)))
def test_counters_add_up_and_rates_look_back_ten_seconds(steps: list[tuple[float, Tally]]) -> None:
    """Sums equal a plain recount; the rate is the recount of the last ten seconds."""
    counters = Counters(0.0)
    now_s, history = 0.0, []
    for step_s, tally in steps:
        now_s += step_s
        history.append((now_s, tally))
        counters.add(tally, now_s)
    progress = counters.progress(now_s)
    recent = [t for at, t in history if at > now_s - RATE_OVER_S]
    over_s = max(1.0, min(RATE_OVER_S, now_s))
    assert progress.requests == len(history)
    assert progress.rows == sum(t.rows for _, t in history)
    assert progress.body_bytes == sum(t.body_bytes for _, t in history)
    assert sum(progress.troubles.values()) == sum(t.trouble is not None for _, t in history)
    assert sum(progress.requests_by_fetcher.values()) == len(history)
    assert progress.requests_per_s == len(recent) / over_s
    assert progress.rows_per_s == sum(t.rows for t in recent) / over_s


def held(host: str, pid: int, private_bytes: int) -> MemorySample:
    return MemorySample(host, pid, private_bytes, 10**9, 10**8)


def test_hosts_are_summed_apart_and_a_process_counts_once() -> None:
    """The newest sample of a process stands; processes of one host add up."""
    hosts = by_host([held("a", 1, 5), held("a", 1, 7), held("a", 2, 10), held("b", 1, 3)])
    assert [(h.host, h.processes, h.private_bytes) for h in hosts] == [("a", 2, 17), ("b", 1, 3)]


said = st.integers(0, 3).map(lambda size: held("a", 1, size)) | st.sampled_from(Silence)


@given(st.lists(st.tuples(st.sampled_from("xyz"), said)))
def test_what_a_process_last_said_counts_until_it_is_dead(
    heard: list[tuple[str, MemorySample | Silence]],
) -> None:
    """By a naive look back: the last word of each that was not merely too busy to answer."""
    counted = Held()
    for name, answer in heard:
        counted.hear(name, answer)
    words = {name: answer for name, answer in heard if answer is not Silence.BUSY}
    left = [answer for answer in words.values() if answer is not Silence.DEAD]
    assert sorted(counted.samples(), key=repr) == sorted(left, key=repr)


def test_a_fleet_too_busy_to_answer_stays_squeezed_and_a_dead_one_does_not() -> None:
    gate, fleet = MemoryGate(1000), Held()
    fleet.hear("fetcher-1", held("a", 1, 1001))
    assert gate.update(by_host(fleet.samples()), 0.0) is not None
    fleet.hear("fetcher-1", Silence.BUSY)
    assert gate.update(by_host(fleet.samples()), 5.0) is not None
    fleet.hear("fetcher-1", Silence.DEAD)
    assert gate.update(by_host(fleet.samples()), 6.0) is None


def on(private_bytes: int) -> list[HostMemory]:
    return by_host([held("quiet", 1, 0), held("busy", 2, private_bytes)])


def test_the_gate_squeezes_over_the_limit_and_opens_a_tenth_below() -> None:
    """Between nine tenths and the whole it stays as it was."""
    gate = MemoryGate(1000)
    assert gate.update(on(1000), 0.0) is None
    squeeze = gate.update(on(1001), 0.0)
    assert squeeze is not None
    assert "busy" in squeeze.reason
    assert gate.update(on(950), 1.0) is not None
    assert gate.update(on(900), 2.0) is None
    assert gate.update(on(950), 3.0) is None


@given(st.lists(st.floats(0.01, 0.6), min_size=300, max_size=400))
def test_over_the_limit_the_fleet_is_slowed_and_never_stopped(looks_s: list[float]) -> None:
    """At once shut; then open for about a tenth of the time, for as long as memory stays short."""
    gate, now_s, open_s, last_open_s = MemoryGate(1000), 0.0, 0.0, 0.0
    squeeze = gate.update(on(2000), now_s)
    for look_s in looks_s:
        assert squeeze is not None
        if not squeeze.is_shut:
            open_s, last_open_s = open_s + look_s, now_s
        assert now_s - last_open_s <= BREATH_EVERY_S
        now_s += look_s
        squeeze = gate.update(on(2000), now_s)
    breaths = now_s / BREATH_EVERY_S
    assert open_s <= (breaths + 1) * (BREATH_S + 0.6)
    assert open_s >= (breaths - 2) * (BREATH_S - 0.6)


def test_a_sample_of_this_process_is_plausible() -> None:
    mine = sample()
    assert 2**20 < mine.private_bytes < mine.host_total_bytes
