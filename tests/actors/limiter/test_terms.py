from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.limiter.terms import Terms
from actors.market.window import NS_PER_S, Window

some_windows = st.builds(
    Window, st.integers(1, 2_000), st.integers(1, 3_600).map(lambda s: s * NS_PER_S)
)


def limits(share: float = 1.0, reserve: tuple[Window, ...] = ()) -> list[int]:
    windows = (Window(50, NS_PER_S), Window(500, 60 * NS_PER_S), Window(2_000, 1_800 * NS_PER_S))
    return [w.limit for w in Terms("a", windows, 30.0, share=share, reserve=reserve).limits]


def test_a_share_is_a_part_of_each_window_and_never_nothing() -> None:
    assert limits(share=0.9) == [45, 450, 1_800]
    assert limits(share=0.58) == [29, 290, 1_160]  # 28 in floats
    assert limits(share=0.001) == [1, 1, 2]


def test_a_reserve_is_what_others_can_send_within_each_window() -> None:
    """5 a second and 100 a minute: so no more than 100 in a minute, and 3,000 in half an hour."""
    assert limits(reserve=(Window(5, NS_PER_S), Window(20, 60 * NS_PER_S))) == [45, 480, 1_400]


@given(some_windows, st.lists(some_windows, min_size=1, max_size=2), st.data())
def test_no_program_inside_its_reserve_sends_more_than_is_kept_for_it(
    window: Window, reserve: list[Window], data: st.DataObject
) -> None:
    """Counted naively: the most arrivals in one span of `window` that keep within all of `reserve`."""
    kept = Terms("a", (window,), 30.0, reserve=tuple(reserve)).reserved(window)
    tries = data.draw(st.lists(st.integers(0, window.span_ns - 1), max_size=60).map(sorted))
    sent: list[int] = []
    for at_ns in tries:
        if all(sum(s > at_ns - r.span_ns for s in sent) < r.limit for r in reserve):
            sent.append(at_ns)
    assert len(sent) <= kept
