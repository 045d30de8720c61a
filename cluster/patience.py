"""How long a run waits for what it can only wait for. No clock, no Ray."""

from __future__ import annotations

from dataclasses import dataclass

from actors.fetcher.outcome import Halted
from actors.market.errors import CandlefleetError, StoreError, UsageError
from cluster.display import duration

COMMIT_WITHIN_S = 300.0  # the writer answers within this, or the store is taken for dead
AWAY_AT_MOST_S = 180.0  # without any fetcher
PAUSE_AT_MOST_S = 60.0  # without memory coming down
FROZEN_AT_MOST_S = 3_600.0  # with every request refused: twice the widest published window


@dataclass(slots=True)
class Patience:
    """Since when each thing has been waited for, in seconds on one clock."""

    store: str
    writer_heard_s: float
    fetcher_seen_s: float
    paused_s: float | None = None  # since when the fleet has paused; None: it does not
    refused_since_s: float | None = None  # since when every request was refused (429)

    def trouble(self, now_s: float, pause: str | None) -> CandlefleetError | None:
        """What has lasted too long. `pause`: why the fleet pauses.

        A StoreError means that nothing of what was fetched can be kept any more.
        """
        if now_s - self.writer_heard_s > COMMIT_WITHIN_S:
            problem = f"the writer has not answered for {COMMIT_WITHIN_S:g} s"
            return StoreError(problem, self.store)
        if self.paused_s is not None and now_s - self.paused_s > PAUSE_AT_MOST_S:
            # Nothing is under way any more that could free memory.
            return UsageError(f"memory does not come down: {pause}", "memory.limit_mb")
        if now_s - self.fetcher_seen_s > AWAY_AT_MOST_S:
            return CandlefleetError(f"no fetcher has come back in {AWAY_AT_MOST_S:g} s")
        return None

    def refusal(self, now_s: float) -> Halted | None:
        """The provider does not mean to answer us."""
        if self.refused_since_s is None or now_s - self.refused_since_s <= FROZEN_AT_MOST_S:
            return None
        lasted = duration(now_s - self.refused_since_s)
        return Halted(f"it has refused every request for {lasted} (429)", 429, None)
