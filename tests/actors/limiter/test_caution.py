from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from actors.limiter.caution import (
    FIRST_WAIT_NS,
    LONGEST_WAIT_NS,
    Caution,
    Counted,
)
from actors.market.window import NS_PER_S, Window

S = NS_PER_S
SECOND, HALF_HOUR = Window(50, S), Window(2_000, 1_800 * S)
WINDOWS = (SECOND, HALF_HOUR)
NOW = 10_000 * S
FULL = (Counted(50, SECOND), Counted(2_000, HALF_HOUR))


def refused(caution: Caution | None = None, *, at_ns: int = NOW) -> Caution:
    """One request, sent a little before, is refused."""
    return (caution or Caution()).refused(at_ns - S // 10, at_ns, None, FULL)


def probe_refused(caution: Caution) -> tuple[Caution, int]:
    """As soon as one may be sent, it is, and refused in turn."""
    at_ns = caution.free_at(0)
    return caution.granted(at_ns, at_ns + 90 * S).refused(at_ns, at_ns + 1, None, FULL), at_ns + 1


def test_without_a_refusal_nothing_is_held_back() -> None:
    caution = Caution().granted(NOW, NOW + 90 * S).answered(NOW)
    assert caution.free_at(NOW) == NOW
    assert caution.narrowed(WINDOWS, NOW) == WINDOWS
    assert caution.widens_at(WINDOWS, NOW) is None
    assert caution.began_ns() is None


def test_a_refusal_stops_everything_for_as_long_as_the_provider_names() -> None:
    assert Caution().refused(NOW, NOW, 7 * S, FULL).free_at(NOW) == NOW + 7 * S
    assert Caution().refused(NOW, NOW, 0, FULL).free_at(NOW) == NOW
    assert refused().free_at(NOW) == NOW + FIRST_WAIT_NS


def test_then_one_request_asks_and_waits_twice_as_long_where_it_is_refused_too() -> None:
    caution, waits_s, refused_ns = refused(), [], NOW
    for _ in range(13):
        waits_s.append((caution.free_at(0) - refused_ns) / S)
        caution, refused_ns = probe_refused(caution)
    assert waits_s == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 1800, 1800]
    assert LONGEST_WAIT_NS == 1_800 * S
    assert caution.began_ns() == NOW


def test_while_the_probe_is_under_way_nobody_else_sends() -> None:
    asking = refused().granted(NOW + S, NOW + 91 * S)
    assert asking.free_at(NOW + S) == NOW + 91 * S
    assert asking.answered(NOW + S).free_at(NOW + 2 * S) == NOW + 2 * S


def test_a_probe_that_taught_nothing_is_followed_by_another() -> None:
    lost = refused().granted(NOW + S, NOW + 91 * S).given_up(NOW + S, NOW + 32 * S)
    assert lost.free_at(NOW + 31 * S) == NOW + 32 * S
    assert not lost.is_settled


def test_a_provider_that_names_no_wait_worth_the_name_is_asked_ever_less_often() -> None:
    caution, asked_ns = Caution().refused(NOW, NOW, 0, FULL), []
    for _ in range(12):
        at_ns = caution.free_at(0)
        asked_ns.append(at_ns)
        caution = caution.granted(at_ns, at_ns + 90 * S).refused(at_ns, at_ns, 0, FULL)
    gaps_s = [(b - a) / S for a, b in pairwise(asked_ns)]
    assert gaps_s == [2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 1800]


def test_a_refusal_of_before_the_freeze_that_is_told_after_it_is_no_new_one() -> None:
    settled = refused().granted(NOW + S, NOW + 91 * S).answered(NOW + S)
    assert settled.refused(NOW - S, NOW + 3 * S, None, FULL) == settled


def test_it_survives_being_written_down_and_moves_with_its_clock() -> None:
    caution = refused().granted(NOW + S, NOW + 91 * S)
    assert Caution.from_json(caution.as_json()) == caution
    moved = caution.moved(-7 * S)
    assert moved.free_at(0) == caution.free_at(0) - 7 * S
    assert moved.narrowed(WINDOWS, NOW) == caution.narrowed(WINDOWS, NOW + 7 * S)
    assert moved.moved(7 * S) == caution


def test_requests_that_were_under_way_at_the_refusal_say_nothing_new() -> None:
    """Sixteen refused at once are one refusal; and one answered late is no sign of peace."""
    caution = refused()
    late = caution.refused(NOW - S, NOW + S // 2, None, FULL).answered(NOW - S)
    assert late == caution
    assert caution.refused(NOW - S, NOW, 30 * S, FULL).free_at(NOW) == NOW + 30 * S


def test_afterwards_a_window_is_trusted_with_less_and_regains_it_by_its_own_span() -> None:
    caution = refused().answered(NOW)
    assert [w.limit for w in caution.narrowed(WINDOWS, NOW)] == [35, 1_400]
    assert [w.limit for w in caution.narrowed(WINDOWS, NOW + 2 * S)] == [40, 1_400]
    assert [w.limit for w in caution.narrowed(WINDOWS, NOW + 1_800 * S)] == [50, 1_500]
    forgotten_ns = NOW + 6 * 1_800 * S
    assert caution.narrowed(WINDOWS, forgotten_ns) == WINDOWS


def test_a_refused_probe_narrows_nothing_further_but_a_refusal_after_peace_does() -> None:
    caution, at_ns = probe_refused(refused())
    assert [w.limit for w in caution.narrowed((HALF_HOUR,), at_ns)] == [1_400]
    again = refused(caution.answered(at_ns), at_ns=at_ns + S)
    assert [w.limit for w in again.narrowed((HALF_HOUR,), at_ns + S)] == [980]


def test_a_window_that_we_had_hardly_used_is_not_suspected_unless_none_is_likelier() -> None:
    def after(seconds: int, half_hours: int) -> list[int]:
        counted = (Counted(seconds, SECOND), Counted(half_hours, HALF_HOUR))
        caution = Caution().refused(NOW, NOW, None, counted)
        return [w.limit for w in caution.narrowed(WINDOWS, NOW)]

    assert after(25, 999) == [35, 2_000]
    assert after(24, 1_000) == [50, 1_400]
    assert after(3, 40) == [35, 1_400]


def test_something_is_left_of_every_window_however_often_it_was_refused() -> None:
    caution = Caution()
    for i in range(60):
        caution = refused(caution, at_ns=NOW + i * S).answered(NOW + i * S)
    after_ns = NOW + 60 * S
    assert [w.limit for w in caution.narrowed((Window(4, S), HALF_HOUR), after_ns)] == [1, 500]
    assert len(caution.narrowings) <= 20


@dataclass
class Naive:
    """The part of a limit in permille, looked after span by span."""

    span_ns: int
    part: int = 1_000
    since_ns: int = 0
    spans: int = 0

    def pass_until(self, now_ns: int) -> None:
        while self.since_ns + (self.spans + 1) * self.span_ns <= now_ns:
            self.spans += 1
            self.part = min(1_000, self.part + 50)

    def refuse(self, now_ns: int) -> None:
        self.pass_until(now_ns)
        self.part = max(250, self.part * 7 // 10)
        self.since_ns, self.spans = now_ns, 0


@given(
    st.lists(st.integers(1, 100), min_size=1, max_size=8), st.integers(0, 200), st.integers(1, 9)
)
def test_trust_is_regained_as_a_naive_count_has_it(gaps: list[int], after: int, span: int) -> None:
    caution, naive, now_ns = Caution(), Naive(span), 0
    window = Window(1_000, span)
    for gap in gaps:
        now_ns += gap
        caution = caution.answered(now_ns).refused(now_ns, now_ns, None, [Counted(1_000, window)])
        naive.refuse(now_ns)
    now_ns += after
    naive.pass_until(now_ns)
    (narrowed,) = caution.narrowed((window,), now_ns)
    assert narrowed.limit == naive.part
    widens_ns = caution.widens_at((window,), now_ns)
    assert (widens_ns is None) == (naive.part == 1_000)
    if widens_ns is not None:
        assert caution.narrowed((window,), widens_ns - 1) == (narrowed,)
        assert caution.narrowed((window,), widens_ns)[0].limit > narrowed.limit
