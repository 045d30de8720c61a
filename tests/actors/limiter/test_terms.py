from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.limiter.terms import Terms, reserved, without
from actors.market.window import NS_PER_S, Window

some_windows = st.builds(
    Window, st.integers(1, 2_000), st.integers(1, 3_600).map(lambda s: s * NS_PER_S)
)


WINDOWS = (Window(50, NS_PER_S), Window(500, 60 * NS_PER_S), Window(2_000, 1_800 * NS_PER_S))


def test_a_share_is_a_part_of_each_window_and_never_nothing() -> None:
    def own(share: float) -> list[int]:
        return [w.limit for w in Terms("a", WINDOWS, 30.0, share=share).own_windows]

    assert own(0.9) == [45, 450, 1_800]
    assert own(0.58) == [29, 290, 1_160]  # 28 in floats
    assert own(0.001) == [1, 1, 2]


def test_a_reserve_is_what_others_can_send_within_each_window() -> None:
    """5 a second and 20 a minute: so no more than 600 in half an hour. The widest reserve is kept."""
    bot = (Window(5, NS_PER_S), Window(20, 60 * NS_PER_S))
    assert [w.limit for w in without(WINDOWS, [bot])] == [45, 480, 1_400]
    other = (Window(1, NS_PER_S),)
    assert [w.limit for w in without(WINDOWS, [bot, other])] == [45, 440, 200]
    assert [w.limit for w in without(WINDOWS, [(Window(60, NS_PER_S),)])] == [1, 1, 1]


@given(some_windows, st.lists(some_windows, min_size=1, max_size=2), st.data())
def test_no_program_inside_its_reserve_sends_more_than_is_kept_for_it(
    window: Window, reserve: list[Window], data: st.DataObject
) -> None:
    """Counted naively: the most arrivals in one span of `window` that keep within all of `reserve`."""
    kept = reserved(window, reserve)
    tries = data.draw(st.lists(st.integers(0, window.span_ns - 1), max_size=60).map(sorted))
    sent: list[int] = []
    for at_ns in tries:
        if all(sum(s > at_ns - r.span_ns for s in sent) < r.limit for r in reserve):
            sent.append(at_ns)
    assert len(sent) <= kept
