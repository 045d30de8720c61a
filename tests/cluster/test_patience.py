from __future__ import annotations

import pytest

from actors.market.chunk import Cause
from actors.market.errors import CandlefleetError, StoreError
from actors.upstox.reply import Refused
from cluster.breaker import Outage
from cluster.patience import Patience

START_S = 1_000.0


def patience() -> Patience:
    return Patience("data", began_s=START_S, outage_at_most_s=1_800)


@pytest.mark.parametrize(
    ("waits_for", "bearable_s", "kind"),
    [
        ("writer_heard_s", 300, StoreError),
        ("fetcher_seen_s", 180, CandlefleetError),
    ],
)
def test_every_wait_has_an_end_and_no_other(
    waits_for: str, bearable_s: float, kind: type[CandlefleetError]
) -> None:
    waiting = patience()
    waiting.writer_heard_s = waiting.fetcher_seen_s = START_S + 10_000
    setattr(waiting, waits_for, START_S)
    assert waiting.trouble(START_S + bearable_s, None) is None
    assert type(waiting.trouble(START_S + bearable_s + 1, None)) is kind


def test_a_provider_that_refuses_everything_for_an_hour_does_not_mean_to_answer() -> None:
    waiting = patience()
    assert waiting.refusal(START_S + 99_999) is None
    waiting.refused(START_S + 3_600, lasts_s=3_600)
    assert waiting.refusal(START_S + 3_600) is None
    halted = waiting.refusal(START_S + 3_661)
    assert halted is not None
    assert "1h 01m" in halted.reason
    assert halted.http_status == 429
    waiting.refused(START_S + 3_700, lasts_s=None)
    assert waiting.refusal(START_S + 9_999) is None


def test_what_was_refused_before_this_run_began_does_not_end_it() -> None:
    waiting = patience()
    waiting.refused(START_S + 1, lasts_s=7_200)
    assert waiting.refusal(START_S + 1) is None


def test_an_outage_is_waited_for_half_an_hour_and_its_last_words_are_told() -> None:
    waiting = patience()
    waiting.writer_heard_s = waiting.fetcher_seen_s = START_S + 10_000
    said = Refused(cause=Cause.CONNECTION, message="the connection broke: refused")
    outage = Outage(said, since_s=START_S, next_try_s=None)
    assert waiting.trouble(START_S + 1_800, outage) is None
    trouble = waiting.trouble(START_S + 1_801, outage)
    assert type(trouble) is CandlefleetError, "neither the user's mistake nor the store's end"
    assert "every request for 30m" in str(trouble)
    assert "refused" in str(trouble)
