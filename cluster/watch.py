"""What a run waits for, why it pauses, and when it must stop. No clock, no Ray."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from actors.market.errors import CandlefleetError, StoreError
from cluster.outlook import Outlook
from cluster.patience import Patience

if TYPE_CHECKING:
    from actors.limiter.use import BudgetUse
    from actors.monitor.actor import Snapshot
    from cluster.dispatch import Dispatch
    from cluster.interrupt import Interrupt
    from cluster.standing import Standing, Totals

log = logging.getLogger(__name__)


class Watch:
    """Hears of everything, and says so where people should know; `Run` does what follows from it."""

    def __init__(
        self, dispatch: Dispatch, outlook: Outlook, patience: Patience, interrupt: Interrupt
    ) -> None:
        self._dispatch = dispatch
        self._outlook = outlook
        self._patience = patience
        self._interrupt = interrupt
        self._refused_ns: int | None = None  # of the refusal told last
        self._outage_told = False
        self.stopping = False
        self.trouble: CandlefleetError | None = None  # of our own making; what was fetched is kept

    @property
    def paused(self) -> bool:
        """Whether nothing should be sent for now: memory is short, or the provider fails."""
        squeeze = self._outlook.squeeze
        return (squeeze is not None and squeeze.is_shut) or self._dispatch.outage is not None

    @property
    def reason_to_stop(self) -> str | None:
        if self._dispatch.halted is not None:
            return self._dispatch.halted.reason
        return self._interrupt.signal if self.trouble is None else str(self.trouble)

    def look(self, now_s: float) -> None:
        """Notice what has changed, and waits that would have no end.

        Raises StoreError where nothing that was fetched can be kept any more.
        """
        self._tell_of_outage(now_s)
        if self._dispatch.present:
            self._patience.fetcher_seen_s = now_s
        trouble = self._patience.trouble(now_s, self._dispatch.outage)
        if isinstance(trouble, StoreError):
            raise trouble
        self.trouble = self.trouble or trouble or self._dispatch.trouble

    def writer_heard(self, now_s: float) -> None:
        self._patience.writer_heard_s = now_s

    def see(self, snapshot: Snapshot) -> None:
        before, now = self._outlook.squeeze, snapshot.squeeze
        self._outlook.snapshot = snapshot
        if now is not None and before is None:
            log.warning("fleet.slowed", extra={"reason": now.reason})
        elif before is not None and now is None:
            log.warning("fleet.resumed")

    def heed_freeze(self, use: BudgetUse, now_s: float) -> None:
        """Say so when the provider refuses us, and do not wait for it for ever."""
        self._outlook.use = use
        freeze = use.freeze
        self._patience.refused(now_s, None if freeze is None else freeze.lasts_s)
        if freeze is not None and freeze.asked_ns != self._refused_ns:
            self._refused_ns = freeze.asked_ns
            facts = {"own_count": freeze.counted, "next_try_s": round(freeze.next_try_s, 3)}
            log.warning("budget.frozen", extra=facts)
        if (refusal := self._patience.refusal(now_s)) is not None:
            self._dispatch.halt(refusal)

    def standing(self, totals: Totals, now_s: float) -> Standing:
        return self._outlook.standing(self._dispatch, totals, self._notice(now_s), now_s)

    def _notice(self, now_s: float) -> str | None:
        if self.stopping:
            return f"stopping: {self.reason_to_stop}"
        if self._outlook.frozen:
            return self._outlook.frozen
        if self._dispatch.outage is not None:
            return f"paused: {self._outlook.failing(self._dispatch.outage, now_s)}"
        return f"slowed: {self._outlook.squeeze.reason}" if self._outlook.squeeze else None

    def _tell_of_outage(self, now_s: float) -> None:
        outage = self._dispatch.outage
        if outage is not None and not self._outage_told:
            facts = {"why": outage.why, "error": outage.refused.message}
            log.warning("provider.failing", extra=facts)
        elif outage is None and self._outage_told:
            strain = self._dispatch.strain(now_s)
            log.warning("provider.answers", extra={"outage_s": round(strain.seconds, 1)})
        self._outage_told = outage is not None
