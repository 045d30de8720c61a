"""What is retried, for how long, and what never is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.fetcher.verdict import (
    Freeze,
    GiveUp,
    Halt,
    Keep,
    Retry,
    RetryRules,
    Split,
    backoff_s,
    judge,
)
from actors.market.candles import BARS
from actors.market.chunk import Cause
from actors.upstox.reply import Answer, Refused

RULES = RetryRules(base_s=0.5, cap_s=30.0)

# Written out a second time on purpose: the table is what the README promises.
RETRIED = {"server_error", "timeout", "connection", "bad_body", "body_too_large", "redirected"}
ENDS_THE_RUN = {"unauthorized", "banned"}


def refused(cause: Cause, retry_after_s: float | None = None) -> Refused:
    return Refused(
        cause=cause,
        http_status=None,
        error_code=None,
        message="no",
        retry_after_s=retry_after_s,
        seconds=0.0,
        body_bytes=0,
    )


def test_an_answer_is_kept_whatever_the_attempt() -> None:
    answer = Answer(
        bars=BARS.empty_table(), misshapen=(), http_status=200, body_bytes=2, seconds=0.1
    )
    assert judge(answer, 99, RULES, 0.5) == Keep(answer)


@given(st.sampled_from(Cause), st.integers(1, 10), st.floats(0, 1, exclude_max=True))
def test_each_cause_has_one_fate(cause: Cause, attempt: int, chance: float) -> None:
    verdict = judge(refused(cause), attempt, RULES, chance)
    if cause.value in ENDS_THE_RUN:
        assert verdict == Halt()
    elif cause is Cause.RATE_LIMITED:
        assert verdict == Freeze(), "the limiter says when to go on, and no attempt is lost"
    elif cause is Cause.SPAN_TOO_LONG:
        assert verdict == Split()
    elif cause.value in RETRIED:
        assert isinstance(verdict, Retry)
    else:
        assert verdict == GiveUp()


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_backoff_doubles_is_jittered_in_full_and_is_capped(attempt: int, chance: float) -> None:
    """Naively: double `base_s` attempt-1 times, stop at the cap, take the jitter's part."""
    ceiling_s = RULES.base_s
    for _ in range(attempt - 1):
        ceiling_s = min(RULES.cap_s, 2 * ceiling_s)
    assert backoff_s(attempt, RULES, chance) == pytest.approx(chance * ceiling_s)


@given(st.floats(0, 3600))
def test_a_wait_named_by_the_provider_is_kept_to(wait_s: float) -> None:
    """Zero is an answer too."""
    assert judge(refused(Cause.SERVER_ERROR, wait_s), 1, RULES, 0.9) == Retry(wait_s)
