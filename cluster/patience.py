"""How long a run waits for what it can only wait for. No clock, no Ray."""

from __future__ import annotations

from actors.fetcher.outcome import Halted
from actors.market.errors import CandlefleetError, StoreError
from cluster.breaker import Outage
from cluster.display import duration

COMMIT_WITHIN_S = 300.0  # the writer answers within this, or the store is taken for dead
AWAY_AT_MOST_S = 180.0  # without any fetcher
FROZEN_AT_MOST_S = 3_600.0  # with every request refused: twice the widest published window


class Patience:
    """Since when each thing has been waited for, in seconds on one clock."""

    def __init__(self, store: str, began_s: float, outage_at_most_s: float) -> None:
        """`outage_at_most_s`: so long a provider that fails altogether is waited for."""
        self._store = store
        self._began_s = began_s
        self._outage_at_most_s = outage_at_most_s
        self.writer_heard_s = began_s
        self.fetcher_seen_s = began_s
        self._refused_since_s: float | None = None

    def refused(self, now_s: float, lasts_s: float | None) -> None:
        """For how long every request has been refused (429); None: they are not.

        What came before this run is not held against the provider: nobody may have asked since.
        """
        self._refused_since_s = None if lasts_s is None else max(self._began_s, now_s - lasts_s)

    def trouble(self, now_s: float, outage: Outage | None) -> CandlefleetError | None:
        """What has lasted too long. After a StoreError nothing that was fetched can be kept any more."""
        if now_s - self.writer_heard_s > COMMIT_WITHIN_S:
            problem = f"the writer has not answered for {COMMIT_WITHIN_S:g} s"
            return StoreError(problem, self._store)
        if now_s - self.fetcher_seen_s > AWAY_AT_MOST_S:
            return CandlefleetError(f"no fetcher has come back in {AWAY_AT_MOST_S:g} s")
        if outage is not None and now_s - outage.since_s > self._outage_at_most_s:
            lasted = duration(now_s - outage.since_s)
            said = outage.refused.message
            return CandlefleetError(f"the provider has failed every request for {lasted}: {said}")
        return None

    def refusal(self, now_s: float) -> Halted | None:
        """The provider does not mean to answer us."""
        if self._refused_since_s is None or now_s - self._refused_since_s <= FROZEN_AT_MOST_S:
            return None
        lasted = duration(now_s - self._refused_since_s)
        return Halted(f"it has refused every request for {lasted} (429)", 429, None)
