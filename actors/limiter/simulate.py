"""How long a number of requests will take, by playing them through the rule itself."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush

from actors.limiter.windows import Spending
from actors.market.window import NS_PER_S, Window


def seconds_at_least(
    requests: int, windows: Sequence[Window], spent_ns: Sequence[int] = ()
) -> float:
    """Seconds until the last of `requests` may be sent, if each were answered at once.

    `spent_ns` says for every permit that still counts when it is over, from now: `Spending.overs`.
    """
    return seconds_expected(requests, windows, spent_ns, latency_s=0.0, lanes=1)


def seconds_expected(
    requests: int,
    windows: Sequence[Window],
    spent_ns: Sequence[int] = (),
    *,
    latency_s: float,
    lanes: int,
) -> float:
    """Seconds until the last is answered, each after `latency_s`, `lanes` at a time."""
    latency_ns = round(latency_s * NS_PER_S)
    spending = Spending(windows, latency_ns)
    for permit, over_ns in enumerate(spent_ns, start=1):
        spending.record(permit, over_ns, is_open=False)
    answers: list[int] = []  # when the lanes come free, a heap
    now_ns = end_ns = 0
    for _ in range(requests):
        if len(answers) == lanes:
            now_ns = max(now_ns, heappop(answers))
        # The latency is the permits' lifetime, so each ends by itself in time.
        now_ns = spending.free_at(now_ns)
        spending.grant(now_ns)
        end_ns = now_ns + latency_ns
        heappush(answers, end_ns)
    return end_ns / NS_PER_S
